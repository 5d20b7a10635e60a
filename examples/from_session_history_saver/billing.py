"""Conversations that the ledger keeps, with title, labels and metadata."""

from __future__ import annotations

from typing import Any

import openai

import spantally

spantally.instrument(ledger_content="all")
client = openai.OpenAI()


def answer(messages: list[Any]) -> str:
    made = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    return made.choices[0].message.content or ""


with spantally.session(
    "billing-1",
    user="alice",
    title="Billing query",
    labels=["billing", "priority"],
    metadata={"channel": "web"},
    tags={"project": "support-bot"},
):
    answer([{"role": "user", "content": "I was charged twice."}])


@spantally.session(user="bob", tags={"project": "search"})
@spantally.agent
def run_query(question: str) -> str:
    return answer([{"role": "user", "content": question}])


run_query("What is entanglement?")
