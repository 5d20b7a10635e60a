"""Clients of two providers in one session: asynchronous, streamed, several at once, with retries."""

from __future__ import annotations

import asyncio

import anthropic
import openai

import spantally

spantally.instrument()


async def ask_openai(client: openai.AsyncOpenAI, text: str) -> str:
    """A stream; its usage comes with the last chunk."""
    stream = await client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": text}],
        stream=True,
        stream_options={"include_usage": True},
    )
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


async def ask_anthropic(client: anthropic.AsyncAnthropic, text: str) -> str:
    """A message; the SDK asks again by itself where the server is busy."""
    answer = await client.messages.create(
        model="claude-sonnet-4-6", max_tokens=100, messages=[{"role": "user", "content": text}]
    )
    return "".join(block.text for block in answer.content if block.type == "text")


async def main() -> None:
    """Three questions at once, for one customer."""
    async with (
        openai.AsyncOpenAI() as first,
        anthropic.AsyncAnthropic() as second,
        spantally.session("compare-1", entity="customer:acme-corp", tags={"feature": "compare"}),
    ):
        await asyncio.gather(
            ask_openai(first, "What is a glacier?"),
            ask_openai(first, "What is a fjord?"),
            ask_anthropic(second, "What is a moraine?"),
        )


asyncio.run(main())
