"""Interactions from their beginning to their outcome: one that goes well, two that do not."""

from __future__ import annotations

import openai

import spantally

spantally.instrument()
client = openai.OpenAI()


@spantally.agent(name="support-agent")
def answer(question: str) -> str:
    """What the model says to a question."""
    messages: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": question}]
    made = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    return made.choices[0].message.content or ""


question = "How do I reset my password?"
interaction = spantally.session(name="chat_message", user="user_123", conversation="conv_456").begin()
said = answer(question)
interaction.finish(success=True, input=question, output=said, cost_usd=0.023)

# An outcome of your own judgement ...
interaction = spantally.session(name="chat_message", user="user_123", conversation="conv_456").begin()
answer("Can I speak to a person?")
interaction.finish(success=False, reason="nobody was there")

# ... and one that nobody had to report: an error that leaves the block.
try:
    with spantally.session(name="chat_message", user="user_9"):
        raise LookupError("no such ticket")
except LookupError:
    pass
