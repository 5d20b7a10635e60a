"""What the tests of budgets share: clients, one answer of a known price, and an error forced into a part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai

from spantally.testing import Reply, ScriptedServer, Usage

MODEL = "gpt-4o"
UNPRICED = "nobodys-model-1"
INPUT, OUTPUT = 1_000, 500
COST = 1_000 * 2_500 + 500 * 10_000
"""Nano-USD of one answer of :data:`MODEL`."""

MESSAGES: Any = [{"role": "user", "content": "hello"}]


def answer(request: Any) -> Reply:
    """The same usage each time."""
    output = 0 if request.path.endswith("/embeddings") else OUTPUT
    return Reply(text="fine", usage=Usage(input=INPUT, output=output))


@contextmanager
def client(server: ScriptedServer) -> Iterator[Any]:
    """A client of the scripted server."""
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as made:
        yield made


def ask(made: Any, model: str = MODEL, **more: Any) -> Any:
    """One call."""
    more.setdefault("max_tokens", OUTPUT)
    return made.chat.completions.create(model=model, messages=MESSAGES, **more)


def ask_async(server: ScriptedServer, act: Callable[[Any], Any]) -> Any:
    """Run ``act`` with an asynchronous client on a loop of its own."""

    async def main() -> Any:
        async with openai.AsyncOpenAI(
            base_url=server.base_url, api_key="sk-made-up", max_retries=0, timeout=30
        ) as made:
            return await act(made)

    return asyncio.run(main())
