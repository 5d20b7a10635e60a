"""Chats of two customers: whose they are is said once, and each turn counts in its conversation."""

from __future__ import annotations

import logging
from typing import Any

import openai

import spantally

spantally.instrument()
client = openai.OpenAI()

handler = logging.StreamHandler()
handler.addFilter(spantally.LogFilter())
handler.setFormatter(logging.Formatter("session=%(session_id)s %(message)s"))
logger = logging.getLogger("chatbot")
logger.addHandler(handler)
logger.setLevel(logging.INFO)


class Chat:
    """A conversation; after an hour of silence it goes on under a new session id."""

    def __init__(self, customer: str, conversation: str, instructions: str) -> None:
        self.session = spantally.session(
            "{customer}:{conversation}",
            conversation=conversation,
            entity=("customer", customer),
            tags={"feature": "chatbot"},
            idle_timeout=3600,
        )
        self.messages: list[Any] = [{"role": "system", "content": instructions}]

    def say(self, text: str) -> str:
        """One turn; the whole conversation goes along."""
        self.messages.append({"role": "user", "content": text})
        with self.session:
            answer = client.chat.completions.create(model="gpt-4o", messages=self.messages)
            logger.info("answered turn %d", len(self.messages) // 2)
        said = answer.choices[0].message.content or ""
        self.messages.append({"role": "assistant", "content": said})
        return said


chat = Chat("acme-corp", "conv-123", "You are a helpful assistant.")
for question in ("What is a glacier?", "How does it differ from a fjord?", "Give me an example."):
    print(chat.say(question))

print(Chat("globex", "conv-9", "You are brief.").say("Is it going to rain?"))
