"""A pipeline as in production: a ledger file, sinks, own redaction, and the sum over the tree."""

from __future__ import annotations

import os
import re
from typing import Any

import openai
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

import spantally

spantally.instrument(
    ledger="events.db",
    ledger_content="all",
    redact=spantally.Redactor([re.compile(r"EMP-\d{6}")], pii=True),
    exporters=[spantally.JsonlExporter("events.jsonl")],
)
client = openai.OpenAI()


def ask(model: str, text: str) -> str:
    """One call of a model."""
    messages: list[Any] = [{"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=messages).choices[0].message.content or ""


@spantally.tool
def lookup(word: str) -> str:
    """A tool that fails."""
    raise TimeoutError("the archive does not answer")


@spantally.agent
def reader(topic: str) -> str:
    """The agent beneath the first one."""
    try:
        lookup(topic)
    except TimeoutError:
        pass
    return ask("gpt-4o-mini", f"What is known of {topic}? Ask EMP-123456 or foo@bar.example")


@spantally.agent
def researcher(topic: str) -> str:
    """The first of the chain."""
    return ask("gpt-4o", reader(topic))


@spantally.agent
def writer(notes: str) -> str:
    """The second of the chain, which a person lets pass."""
    spantally.decision("Good enough to print.", choice="approve", by="human")
    return ask("gpt-4o", f"Write it up: {notes}")


with spantally.session("trends") as session:
    notes = researcher("trends")
    # A collector, from here on: sinks come and go while the program runs.
    collector = OTLPSpanExporter(endpoint=f"{os.environ['COLLECTOR']}/v1/traces")
    spantally.add_exporter(collector)
    writer(notes)
    spantally.remove_exporter(collector)

summary = session.summary()
print("total", summary.total.cost_usd)
for row in summary.by_agent:
    print(row.key, row.cost_usd)

spantally.flush()
failed = spantally.open_ledger().calls(session="trends", kind="tool", status="error")
print([(row.name, row.error_type) for row in failed])
steps = spantally.open_ledger().events("trends", type="loop.step")
print([(event.agent_path[-1], event.attributes["spantally.loop.turn"]) for event in steps])

print(session.graph().to_mermaid())
