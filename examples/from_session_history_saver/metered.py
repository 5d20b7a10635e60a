"""The same without a word about messages: they are taken from the model calls, with exact tokens and cost."""

from __future__ import annotations

from typing import Any

import openai

import spantally

spantally.instrument(ledger_content="all")
client = openai.OpenAI()
messages: list[Any] = []

with spantally.session("metered-1", user="alice", tags={"project": "support-bot"}):
    for question in ("I was charged twice.", "When is it paid back?"):
        messages.append({"role": "user", "content": question})
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
        messages.append({"role": "assistant", "content": answer.choices[0].message.content})
