"""Three ways to an id: made for you, the application's own, or put together; and silence ends a session."""

from __future__ import annotations

import time
from typing import Any

import openai

import spantally

spantally.instrument()
client = openai.OpenAI()


def ask(*messages: str) -> str:
    """Ask for the answer to the last of some messages."""
    history: list[Any] = [
        {"role": "assistant" if index % 2 else "user", "content": text} for index, text in enumerate(messages)
    ]
    return client.chat.completions.create(model="gpt-4o", messages=history).choices[0].message.content or ""


# Made for you: unique, and in order of time. Two turns of one session.
with spantally.session(entity="customer:acme-corp", tags={"id": "made"}) as session:
    first = ask("What is Python?")
    ask("What is Python?", first, "What are its main features?")
print(session.id)

# The application's own, wherever its conversation is kept.
with spantally.session("ticket-8841", entity="customer:acme-corp"):
    ask("Where is my parcel?")

# Put together of what is known of the work.
with spantally.session("{customer}:{conversation}", entity="customer:initech", conversation="c/1"):
    ask("Hello?")

# A fifth of a second of silence, where a program would say 3600, and the next turn is another session.
for text in ("Still there?", "And now?"):
    with spantally.session("helpdesk", idle_timeout=0.2):
        ask(text)
    time.sleep(0.4)
