"""Which spans a package of others really makes: run in its environment (no test by itself).

``python foreign_capture.py DIALECT`` drives it over scripted servers and prints, as JSON, its spans: scope,
name, kind, parent and attributes. ``tests/foreign_spans/`` holds what it printed; ``make foreign-spans``
makes these files anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from foreign_server import MessagesServer
from spantally.testing import Reply, ScriptedServer, ToolCall, Usage

KEY = "made-up-for-tests-0001"
MODEL = "gpt-4o-mini"
CLAUDE = "claude-sonnet-4-5"
HELLO = [{"role": "user", "content": "hello there"}]
USAGE = Usage(input=1200, output=34, cached=200, reasoning=8)

exporter = InMemorySpanExporter()


def provider() -> TracerProvider:
    """A provider that keeps all spans, set as the global one."""
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(made)
    return made


def openai_forms(client: Any) -> None:
    """Chat, a stream with usage, responses, embeddings."""
    client.chat.completions.create(model=MODEL, messages=HELLO)
    list(
        client.chat.completions.create(
            model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    client.responses.create(model=MODEL, input="hello there")
    client.embeddings.create(model="text-embedding-3-small", input="hello there")


def anthropic_forms(client: Any) -> None:
    """A message, and one streamed."""
    client.messages.create(model=CLAUDE, max_tokens=64, messages=HELLO)
    list(client.messages.create(model=CLAUDE, max_tokens=64, messages=HELLO, stream=True))


def with_openai(act: Callable[[Any], None] = openai_forms) -> None:
    """Act on a client of the scripted server."""
    import openai

    client = openai.OpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key=KEY, max_retries=0)
    with client:
        act(client)


def with_anthropic(act: Callable[[Any], None] = anthropic_forms) -> None:
    """The same for Anthropic's."""
    import anthropic

    with anthropic.Anthropic(base_url=os.environ["ANTHROPIC_BASE_URL"], api_key=KEY, max_retries=0) as client:
        act(client)


def instrumented(module: str, name: str, **options: Any) -> None:
    """Let an instrumentor of OpenTelemetry's kind do its work."""
    provider()
    getattr(import_module(module), name)().instrument(**options)


def official_openai() -> None:
    instrumented("opentelemetry.instrumentation.genai.openai", "OpenAIInstrumentor")
    with_openai()


def official_anthropic() -> None:
    os.environ["OTEL_ANTHROPIC_SDK_DISABLED"] = "true"
    instrumented("opentelemetry.instrumentation.genai.anthropic", "AnthropicInstrumentor")
    with_anthropic()


def openinference_openai() -> None:
    instrumented("openinference.instrumentation.openai", "OpenAIInstrumentor")
    with_openai()


def openinference_anthropic() -> None:
    instrumented("openinference.instrumentation.anthropic", "AnthropicInstrumentor")
    with_anthropic()


def openllmetry_openai() -> None:
    instrumented("opentelemetry.instrumentation.openai", "OpenAIInstrumentor")
    with_openai()


def openllmetry_anthropic() -> None:
    instrumented("opentelemetry.instrumentation.anthropic", "AnthropicInstrumentor")
    with_anthropic()


def anthropic_native() -> None:
    provider()
    with_anthropic()


def _logfire() -> Any:
    import logfire

    logfire.configure(
        send_to_logfire=False,
        console=False,
        inspect_arguments=False,
        additional_span_processors=[SimpleSpanProcessor(exporter)],
    )
    return logfire


def logfire_openai() -> None:
    _logfire().instrument_openai()
    with_openai()


def logfire_anthropic() -> None:
    _logfire().instrument_anthropic()
    with_anthropic()


def pydantic_ai(version: int) -> Callable[[], None]:
    """Its own instrumentation, of one of its versions."""

    def run() -> None:
        from pydantic_ai import Agent
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.models.instrumented import InstrumentationSettings
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.anthropic import AnthropicProvider
        from pydantic_ai.providers.openai import OpenAIProvider

        settings = InstrumentationSettings(tracer_provider=provider(), version=version)
        models = (
            OpenAIChatModel(
                MODEL, provider=OpenAIProvider(base_url=os.environ["OPENAI_BASE_URL"], api_key=KEY)
            ),
            AnthropicModel(
                CLAUDE,
                provider=AnthropicProvider(api_key=KEY, base_url=os.environ["ANTHROPIC_BASE_URL"]),
            ),
        )
        Agent.instrument_all(settings)
        for model in models:
            agent = Agent(model, name="planner")
            agent.run_sync("hello there")

    return run


def langfuse() -> None:
    from langfuse import Langfuse, observe

    made = provider()
    Langfuse(
        public_key="pk-lf-made-up",
        secret_key="sk-lf-made-up",
        base_url="http://127.0.0.1:9",
        tracer_provider=made,
    )
    from langfuse.openai import OpenAI

    @observe(as_type="agent")
    def planner() -> None:
        openai_forms(OpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key=KEY))

    planner()


def openlit_openai() -> None:
    provider()
    import_module("openlit._config").OpenlitConfig()
    import_module("openlit.instrumentation.openai").OpenAIInstrumentor().instrument(pricing_info={})
    with_openai()


def openlit_anthropic() -> None:
    provider()
    import_module("openlit._config").OpenlitConfig()
    import_module("openlit.instrumentation.anthropic").AnthropicInstrumentor().instrument(pricing_info={})
    with_anthropic()


def _agents(module: str | None, name: str) -> Callable[[], None]:
    def run() -> None:
        provider()
        from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
        from openai import AsyncOpenAI

        if module is not None:
            getattr(import_module(module), name)().instrument()
        else:
            set_tracing_disabled(True)

        @function_tool
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        async def go() -> None:
            client = AsyncOpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key=KEY)
            model = OpenAIResponsesModel(MODEL, openai_client=client)
            await Runner.run(Agent(name="planner", model=model, tools=[add]), "use a tool")
            await client.close()

        asyncio.run(go())

    return run


def langsmith() -> None:
    os.environ.update(
        LANGSMITH_TRACING="true",
        LANGSMITH_OTEL_ENABLED="true",
        LANGSMITH_OTEL_ONLY="true",
        LANGSMITH_API_KEY="made-up",
        LANGSMITH_ENDPOINT="http://127.0.0.1:9",
    )
    made = provider()
    import openai
    from langsmith import Client, traceable
    from langsmith.wrappers import wrap_openai

    client = (
        Client(otel_tracer_provider=made)
        if "otel_tracer_provider" in Client.__init__.__code__.co_varnames
        else Client()
    )

    @traceable(run_type="chain", client=client)
    def planner() -> None:
        openai_forms(wrap_openai(openai.OpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key=KEY)))

    planner()
    client.flush()


def mlflow() -> None:
    os.environ.update(
        MLFLOW_ENABLE_OTLP_EXPORTER="true",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:9",
        MLFLOW_USE_DEFAULT_TRACER_PROVIDER="false",
    )
    provider()
    import mlflow as made

    made.openai.autolog()

    @made.trace(name="planner", span_type="AGENT")
    def planner() -> None:
        with_openai()

    planner()


def traceloop() -> None:
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import agent, tool, workflow

    os.environ["TRACELOOP_TELEMETRY"] = "false"
    Traceloop.init(app_name="shop", exporter=exporter, disable_batch=True)

    @tool(name="search")
    def search() -> None:
        with_openai(lambda client: client.chat.completions.create(model=MODEL, messages=HELLO))

    @agent(name="planner")
    def planner() -> None:
        search()

    @workflow(name="flow")
    def flow() -> None:
        planner()

    flow()


def mcp_native() -> None:
    provider()
    from mcp.client import Client
    from mcp.server import MCPServer

    server = MCPServer("sums")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    async def go() -> None:
        async with Client(server) as client:
            await client.call_tool("add", {"a": 2, "b": 3})

    asyncio.run(go())


DIALECTS: dict[str, Callable[[], None]] = {
    "official-openai": official_openai,
    "official-anthropic": official_anthropic,
    "openinference-openai": openinference_openai,
    "openinference-anthropic": openinference_anthropic,
    "openllmetry-openai": openllmetry_openai,
    "openllmetry-anthropic": openllmetry_anthropic,
    "anthropic-native": anthropic_native,
    "logfire-openai": logfire_openai,
    "logfire-anthropic": logfire_anthropic,
    "pydantic-ai-2": pydantic_ai(2),
    "pydantic-ai-3": pydantic_ai(3),
    "pydantic-ai-4": pydantic_ai(4),
    "pydantic-ai-5": pydantic_ai(5),
    "pydantic-ai-6": pydantic_ai(6),
    "langfuse": langfuse,
    "openlit-openai": openlit_openai,
    "openlit-anthropic": openlit_anthropic,
    "agents-openinference": _agents(
        "openinference.instrumentation.openai_agents", "OpenAIAgentsInstrumentor"
    ),
    "agents-openllmetry": _agents("opentelemetry.instrumentation.openai_agents", "OpenAIAgentsInstrumentor"),
    "agents-official": _agents(
        "opentelemetry.instrumentation.genai.openai_agents", "OpenAIAgentsInstrumentor"
    ),
    "langsmith": langsmith,
    "mlflow": mlflow,
    "traceloop": traceloop,
    "mcp-native": mcp_native,
}


_AGENTS = ("openai-agents", "openai")
PACKAGES: dict[str, tuple[str, ...]] = {
    "official-openai": ("opentelemetry-instrumentation-genai-openai", "openai"),
    "official-anthropic": ("opentelemetry-instrumentation-genai-anthropic", "anthropic"),
    "openinference-openai": ("openinference-instrumentation-openai", "openai"),
    "openinference-anthropic": ("openinference-instrumentation-anthropic", "anthropic"),
    "openllmetry-openai": ("opentelemetry-instrumentation-openai", "openai"),
    "openllmetry-anthropic": ("opentelemetry-instrumentation-anthropic", "anthropic"),
    "anthropic-native": ("anthropic",),
    "logfire-openai": ("logfire", "openai"),
    "logfire-anthropic": ("logfire", "anthropic"),
    **{f"pydantic-ai-{n}": ("pydantic-ai-slim", "openai", "anthropic") for n in range(2, 7)},
    "langfuse": ("langfuse", "openai"),
    "openlit-openai": ("openlit", "openai"),
    "openlit-anthropic": ("openlit", "anthropic"),
    "agents-openinference": ("openinference-instrumentation-openai-agents", *_AGENTS),
    "agents-openllmetry": ("opentelemetry-instrumentation-openai-agents", *_AGENTS),
    "agents-official": ("opentelemetry-instrumentation-genai-openai-agents", *_AGENTS),
    "langsmith": ("langsmith", "openai"),
    "mlflow": ("mlflow-tracing", "openai"),
    "traceloop": ("traceloop-sdk", "openai"),
    "mcp-native": ("mcp",),
}
"""What made the spans: the packages whose versions the files name."""


def told(span: ReadableSpan, places: dict[int, int]) -> dict[str, Any]:
    """A span as the files hold it."""
    assert span.context is not None
    scope = span.instrumentation_scope
    parent = None if span.parent is None else places.get(span.parent.span_id)
    return {
        "scope": None if scope is None else scope.name,
        "name": span.name,
        "kind": span.kind.name,
        "parent": parent,
        "attributes": {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in sorted((span.attributes or {}).items())
        },
    }


def answer(request: Any) -> Reply:
    """Every answer is billed alike; a request with tools is first asked to call one."""
    asked = request.body or {}
    done = "function_call_output" in json.dumps(asked.get("input", ""))
    if asked.get("tools") and not done:
        return Reply(tool_calls=(ToolCall("add", {"a": 2, "b": 3}),), usage=USAGE)
    return Reply(text="four", usage=USAGE)


def main(name: str) -> None:
    """Drive one of them."""
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    with (
        ScriptedServer(answer) as server,
        MessagesServer() as messages,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.chdir(folder)
        os.environ["OPENAI_BASE_URL"], os.environ["ANTHROPIC_BASE_URL"] = server.base_url, messages.url
        os.environ["OPENAI_API_KEY"] = os.environ["ANTHROPIC_API_KEY"] = KEY
        DIALECTS[name]()
        billed = {"openai": len(server.bills), "anthropic": messages.served}
        spans = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
        places = {span.context.span_id: place for place, span in enumerate(spans) if span.context is not None}
        text = json.dumps([told(span, places) for span in spans], default=str)
        for address, made in ((server.port, "8001"), (messages.port, "8002")):
            text = text.replace(str(address), made)
    versions = {name: metadata.version(name) for name in PACKAGES[name]}
    print(json.dumps({"dialect": name, "billed": billed, "packages": versions, "spans": json.loads(text)}))


if __name__ == "__main__":
    main(sys.argv[1])
