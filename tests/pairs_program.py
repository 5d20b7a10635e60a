"""A program beside several instrumentors, run in their environment (no test by itself).

``python pairs_program.py call|zero NAME+NAME...``: who is at work, in the order in which it begins: ``ours``,
``official``, ``openinference``, ``openllmetry``, ``native``, ``pydantic-ai``. By call there may be many such
sets, each in a fork of its own. With ``zero`` it is run by ``opentelemetry-instrument``, and PYTHONPATH says
who is installed. Each line of stdout tells, as JSON, what the ledger holds of each form of call.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import spantally
from foreign_server import MessagesServer
from spantally.ground import guard
from spantally.testing import Reply, ScriptedServer, Usage

KEY = "made-up-for-tests-0001"
MODEL, CLAUDE, EMBEDDING = "gpt-4o-mini", "claude-sonnet-4-5", "text-embedding-3-small"
HELLO = [{"role": "user", "content": "hello there"}]
USAGE = Usage(input=1200, output=34, cached=200, reasoning=8)
STREAM: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}

OPENAI: dict[str, Callable[[Any], Any]] = {
    "chat": lambda client: client.chat.completions.create(model=MODEL, messages=HELLO),
    "stream": lambda client: list(client.chat.completions.create(model=MODEL, messages=HELLO, **STREAM)),
    "responses": lambda client: client.responses.create(model=MODEL, input="hello there"),
    "embeddings": lambda client: client.embeddings.create(model=EMBEDDING, input="hello there"),
}
ANTHROPIC: dict[str, Callable[[Any], Any]] = {
    "message": lambda client: client.messages.create(model=CLAUDE, max_tokens=9, messages=HELLO),
    "message stream": lambda client: list(
        client.messages.create(model=CLAUDE, max_tokens=9, messages=HELLO, stream=True)
    ),
}
MODULES = {
    "official": "opentelemetry.instrumentation.genai",
    "openinference": "openinference.instrumentation",
    "openllmetry": "opentelemetry.instrumentation",
}


def ours() -> list[Any]:
    """Our instrumentors of both SDKs, as far as there are any."""
    found = (getattr(spantally, name, None) for name in ("OpenAIInstrumentor", "AnthropicInstrumentor"))
    return [one() for one in found if one is not None]


def begin(names: list[str], ledger: str) -> None:
    """Let each do its work, in that order."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    if "ours" not in names:
        spantally.instrument(ledger=ledger)
        for one in ours():
            one.uninstrument()
    for name in names:
        if name == "ours":
            spantally.instrument(ledger=ledger)
        elif name == "pydantic-ai":
            import_module("pydantic_ai").Agent.instrument_all()
        elif name in MODULES:
            for sdk, kind in (("openai", "OpenAIInstrumentor"), ("anthropic", "AnthropicInstrumentor")):
                getattr(import_module(f"{MODULES[name]}.{sdk}"), kind)().instrument()


def call(name: str, act: Callable[[], Any]) -> dict[str, Any]:
    """One call in a session of its own, and what the ledger has of it."""
    with spantally.session(f"pair {name}"):
        act()
    assert spantally.flush(10)
    with spantally.open_ledger() as ledger:
        rows = [
            row
            for row in ledger.calls(session=f"pair {name}", limit=50)
            if row.kind not in ("agent", "other")
        ]
        return {
            "views": len(rows),
            "counted": [
                [
                    row.model,
                    row.input_tokens,
                    row.output_tokens,
                    row.cache_read,
                    row.cost_nano_usd,
                    row.cost_status,
                ]
                for row in rows
                if row.counted
            ],
        }


def agent_calls(server: ScriptedServer, messages: MessagesServer) -> dict[str, Callable[[], Any]]:
    """The same SDKs beneath pydantic-ai."""
    pydantic_ai = import_module("pydantic_ai")
    models = import_module("pydantic_ai.models.openai"), import_module("pydantic_ai.models.anthropic")
    providers = (
        import_module("pydantic_ai.providers.openai"),
        import_module("pydantic_ai.providers.anthropic"),
    )
    openai_model = models[0].OpenAIChatModel(
        MODEL, provider=providers[0].OpenAIProvider(base_url=server.base_url, api_key=KEY)
    )
    anthropic_model = models[1].AnthropicModel(
        CLAUDE, provider=providers[1].AnthropicProvider(api_key=KEY, base_url=messages.url)
    )
    return {
        "agent": lambda: pydantic_ai.Agent(openai_model, name="planner").run_sync("hello there"),
        "agent message": lambda: pydantic_ai.Agent(anthropic_model, name="planner").run_sync("hello there"),
    }


def main(mode: str, names: list[str]) -> None:
    """All forms."""
    if "native" not in names:
        os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"
    folder = tempfile.mkdtemp()
    if mode == "call":
        begin(names, str(Path(folder) / "tally.db"))
    elif "pydantic-ai" in names:
        import_module("pydantic_ai").Agent.instrument_all()
    import anthropic
    import openai

    seen: dict[str, Any] = {}
    with ScriptedServer(Reply(text="four", usage=USAGE)) as server, MessagesServer() as messages:
        with openai.OpenAI(base_url=server.base_url, api_key=KEY) as client:
            for form, act in OPENAI.items():
                seen[form] = call(form, partial(act, client))
        with anthropic.Anthropic(base_url=messages.url, api_key=KEY) as claude:
            for form, act in ANTHROPIC.items():
                seen[form] = call(form, partial(act, claude))
        if "pydantic-ai" in names:
            for form, run in agent_calls(server, messages).items():
                seen[form] = call(form, run)
        told = {
            "names": names,
            "forms": seen,
            "billed": [len(server.bills), messages.served],
            "ours": [type(one).__name__ for one in ours()],
            "failures": [list(one) for one in guard.failures],
        }
    print(json.dumps(told), flush=True)


def forked(names: list[str]) -> None:
    """The same in a process of its own, which has what this one imported."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            main("call", names)
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit(f"{names} failed")


if __name__ == "__main__":
    if sys.argv[1] == "zero":
        main("zero", sys.argv[2].split("+"))
    else:
        for name in ("openai", "anthropic", "pydantic_ai.models.openai", "pydantic_ai.models.anthropic"):
            import_module(name)
        for sets in sys.argv[2:]:
            forked(sets.split("+"))
