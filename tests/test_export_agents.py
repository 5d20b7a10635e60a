"""What an exported agent's span says of the calls beneath it is what its live span said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from cli_ledger import fill
from export_kit import command
from ledger_kit import agent, chat, session, tool, usage
from program_kit import Programs, ok
from spantally.ground.records import Record
from spantally.testing import OtlpReceiver, ReceivedSpan, ScriptedServer

START = str(Path(sys.executable).with_name("opentelemetry-instrument"))
SUMS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.request.model",
    "gen_ai.response.finish_reasons",
    "spantally.usage.unknown_calls",
)
PROGRAM = """
import spantally
connection = client()

@spantally.agent
def researcher(text):
    ask(connection, text)
    with ask(connection, "leave early", stream=True) as stream:
        next(stream)

@spantally.agent
def planner(task):
    researcher(task)
    connection.responses.create(model="gpt-4o", input="and then?")
    connection.embeddings.create(model="text-embedding-3-small", input=["one", "two"])

planner("batteries")
"""
NO_MORE = {"OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}


def sums(spans: list[ReceivedSpan]) -> dict[str, dict[str, Any]]:
    """By agent, what its span says of the calls beneath."""
    return {
        span.attributes["gen_ai.agent.name"]: {
            key: span.attributes[key] for key in SUMS if key in span.attributes
        }
        for span in spans
        if span.attributes.get("gen_ai.operation.name") == "invoke_agent"
    }


def exported(ledger: Path) -> list[ReceivedSpan]:
    """The spans of everything in a ledger, as a receiver gets them."""
    with OtlpReceiver() as receiver:
        command(ledger, "export", "--all", "--otlp", receiver.url)
        return receiver.spans()


def test_sums_are_those_of_the_live_spans(tmp_path: Path, server: ScriptedServer) -> None:
    """Tokens, model, last finish reasons and calls without usage, of nested agents, too."""
    programs = Programs(tmp_path, server.base_url)
    with OtlpReceiver() as receiver:
        env = {
            **NO_MORE,
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        }
        ok(programs.run(PROGRAM, START, instrument=False, env=env))
        live = sums(receiver.spans())
    assert set(live) == {"planner", "researcher"}
    assert live["researcher"]["spantally.usage.unknown_calls"] == 1
    assert sums(exported(programs.ledger)) == live


def test_a_session_within_an_agent_is_of_it(tmp_path: Path) -> None:
    """So are calls beneath tools. A refused one used nothing, what a lost one used is unknown."""
    path = tmp_path / "ledger.db"
    records: list[Record] = [
        session("outer"),
        agent("a1", "outer"),
        tool("t1", "outer", parent_call_id="a1"),
        session("inner", parent_id="outer"),
        chat("c1", "inner", parent_call_id="t1", usage=usage(100, 10), finish_reasons=("length",)),
        chat("c2", "outer", parent_call_id="a1", usage=None, status="error", error_type="429"),
        chat("c3", "outer", parent_call_id="a1", usage=None, status="cancelled", possibly_billed=True),
        chat("beside", "outer"),
    ]
    fill(path, records)
    (found,) = sums(exported(path)).values()
    assert found == {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.request.model": "gpt-5",
        "gen_ai.response.finish_reasons": ["length"],
        "spantally.usage.unknown_calls": 1,
    }
