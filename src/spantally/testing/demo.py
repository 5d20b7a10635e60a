"""The demonstration: a research team on the scripted server, with usage fixed so that its cost is known.

The program itself is ``examples/research_team.py`` of the repository, and lies in the wheel as well; here is
what it runs against. :data:`PLANTED` are made-up secrets that the script and the program put where secrets
turn up in real life: none of them may ever be found in what leaves the process, or in a ledger.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from spantally.testing.script import Reply, Rule, ToolCall
from spantally.testing.server import ScriptedServer
from spantally.testing.usage import Usage

# Each is cut in two, so that scanners of source code do not take it for a leak.
PLANTED: Final[Mapping[str, str]] = {
    "prompt": "sk-proj-" + "Zk3vQ9tYx7LmW2pR8sBn4HcJ6dFgA1eU5oKiTrVw0XqPyMhN",
    "tool_argument": "ghp_" + "R7mX2kV9qL4tB8nW3zYc6HdJ5sFgA0pE1uQi",
    "url_password": "t4K9" + "wRz7Qm2LxV8b",
    "url_query": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJyZXNlYXJjaCJ9.Qx7Lm2VtRz9Wk4Bn8Yc3HdJ5sFgA0pE1uQiToKmXvZs",
    "provider_error": "sk-proj-" + "Qw8Lr5TzV1nXk6MbY3cHd9JfS2gAp0EuIiOoRtNmB4vCxZ7K",
}
"""Where a secret is planted, and the secret."""

PLAN: Final = "You plan research"
BATTERIES: Final = "You research batteries"
MOTORS: Final = "You research motors"
PROBE: Final = "Are you there?"
PAGE: Final = (
    f"https://reader:{PLANTED['url_password']}@archive.example/motors/axial?token={PLANTED['url_query']}"
)

COST_NANO_USD: Final = 7_861_320
"""Cost of one run on the scripted server, in nano-USD; ``examples/README.md`` works it out by hand."""
CALLS: Final = 8
"""Model calls of one run, the one that fails included."""


def script() -> list[Reply | Rule]:
    """The rules of the server, for any number of runs."""
    refused = {
        "message": f"Incorrect API key provided: {PLANTED['provider_error']}.",
        "type": "invalid_request_error",
        "code": "invalid_api_key",
    }
    search = {"query": "battery density", "api_key": PLANTED["tool_argument"]}
    return [
        Rule(contains=PROBE, reply=Reply(status=401, error=refused)),
        Rule(path="/embeddings", reply=Reply(usage=Usage(input=16))),
        Rule(
            mentions=PLAN,
            path="/responses",
            reply=Reply(
                text="Solid-state cells raise density; axial-flux motors save weight.",
                usage=Usage(input=1200, output=200, cached=512),
            ),
        ),
        Rule(
            mentions=PLAN,
            reply=Reply(
                tool_calls=(
                    ToolCall("assign", {"topic": "batteries"}),
                    ToolCall("assign", {"topic": "motors"}),
                ),
                usage=Usage(input=1000, output=50),
            ),
        ),
        Rule(
            mentions=BATTERIES,
            contains="Found:",
            reply=Reply(
                text="Solid-state cells reach 450 Wh/kg in the laboratory.",
                usage=Usage(input=600, output=120, cached=200),
            ),
        ),
        Rule(
            mentions=BATTERIES,
            reply=Reply(tool_calls=(ToolCall("search", search),), usage=Usage(input=400, output=30)),
        ),
        Rule(
            mentions=MOTORS,
            contains="Found:",
            reply=Reply(
                text="Axial-flux motors weigh half of radial ones.", usage=Usage(input=700, output=140)
            ),
        ),
        Rule(
            mentions=MOTORS,
            reply=Reply(
                tool_calls=(ToolCall("search", {"query": "motor weight"}), ToolCall("fetch", {"url": PAGE})),
                usage=Usage(input=420, output=40),
            ),
        ),
    ]


@contextlib.contextmanager
def provider(*, live: bool = False) -> Iterator[dict[str, str]]:
    """Where the program finds its model, as arguments of the SDK's client.

    Args:
        live: the real API, with the key of OPENAI_API_KEY. Otherwise the server that OPENAI_BASE_URL names,
            and without that the scripted server, started here.
    """
    if live:
        if not os.environ.get("OPENAI_API_KEY"):
            raise SystemExit("--live talks to the real API: set OPENAI_API_KEY")
        yield {}
    elif os.environ.get("OPENAI_BASE_URL"):
        yield {"api_key": os.environ.get("OPENAI_API_KEY") or "unused"}
    else:
        with ScriptedServer(script()) as server:
            yield {"base_url": server.base_url, "api_key": "unused"}


def program() -> Path:
    """The file of the program: in the wheel beside this one, in a checkout under ``examples``.

    Raises:
        FileNotFoundError: where neither is there.
    """
    packed = Path(__file__).with_name("research_team.py")
    checkout = Path(__file__).parents[3] / "examples" / "research_team.py"
    for place in (packed, checkout):
        if place.is_file():
            return place
    raise FileNotFoundError(
        f"the demonstration is in neither {packed} nor {checkout}; install spantally again"
    )


def run_demo(arguments: Sequence[str] = ()) -> None:
    """Run the program in this process, as ``python research_team.py ARGUMENTS`` would.

    It needs the openai SDK. What watches it (``spantally.instrument()``, a ledger) is the caller's choice.

    Args:
        arguments: of the program's own command line.

    Raises:
        ImportError: without the openai SDK.
        SystemExit: where the program ends itself.
    """
    path = program()
    before = sys.argv
    sys.argv = [str(path), *arguments]
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv = before


if __name__ == "__main__":
    run_demo(sys.argv[1:])
