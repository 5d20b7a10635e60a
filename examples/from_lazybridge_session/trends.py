"""A chain of two agents, the first with one beneath it and a tool that fails."""

from __future__ import annotations

import re
from typing import Any

import openai

import spantally

spantally.instrument(redact=spantally.Redactor([re.compile(r"EMP-\d{6}")], pii=True), ledger_content="all")
client = openai.OpenAI()


def ask(model: str, text: str) -> str:
    messages: list[Any] = [{"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=messages).choices[0].message.content or ""


@spantally.tool
def lookup(word: str) -> str:
    raise TimeoutError("the archive does not answer")


@spantally.agent
def reader(topic: str) -> str:
    try:
        lookup(topic)
    except TimeoutError:
        pass
    return ask("gpt-4o-mini", f"What is known of {topic}? Ask EMP-123456 or foo@bar.example")


@spantally.agent
def researcher(topic: str) -> str:
    return ask("gpt-4o", reader(topic))


@spantally.agent
def writer(notes: str) -> str:
    spantally.decision("Good enough to print.", choice="approve", by="human")
    return ask("gpt-4o", f"Write it up: {notes}")


with spantally.session("trends") as session:
    writer(researcher("trends"))

summary = session.summary()
print(summary.total.cost_usd, {row.key: row.cost_usd for row in summary.by_agent})
print([edge.source for edge in session.graph().edges])
