"""Looking on while it runs: a session on the terminal, or one agent and what is beneath it."""

from __future__ import annotations

from typing import Any

import openai

import spantally

spantally.instrument()
client = openai.OpenAI()


@spantally.agent
def chat(text: str) -> str:
    """Seen where its session is."""
    messages: list[Any] = [{"role": "user", "content": text}]
    made = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    return made.choices[0].message.content or ""


@spantally.agent(verbose=True)
def inspected(text: str) -> str:
    """Seen wherever it runs."""
    return chat(text)


with spantally.session("dev", console=True):
    chat("hello")

with spantally.session("quiet"):
    chat("nobody sees this")
    inspected("hello again")
