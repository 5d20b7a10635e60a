"""Methods of the SDK that somebody replaced before us: by a mock, a partial, an object that can be called."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from typing import Any
from unittest import mock

import openai
import pytest

import spantally
from spantally.testing import ScriptedServer

MESSAGES: Any = [{"role": "user", "content": "hello"}]


def _owner(client: type) -> type:
    """The class that has the method, of the SDK as it is loaded now."""
    return next(one for one in client.__mro__ if "request" in vars(one))


class _Callable:
    def __call__(self, *args: Any, **kwargs: Any) -> int:
        return 7


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    spantally.uninstrument()
    yield
    spantally.uninstrument()


@pytest.mark.filterwarnings(
    "ignore:functools.partial will be:FutureWarning"
)  # the replacement's own, on 3.13
@pytest.mark.parametrize(
    "replaced",
    [mock.MagicMock(return_value=7), functools.partial(lambda *_, **__: 7), _Callable()],
    ids=["mock", "partial", "callable"],
)
def test_a_replaced_method_is_called_as_without_us(replaced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, with and after us the program gets what the replacement gives."""
    monkeypatch.setattr(_owner(openai.OpenAI), "request", replaced)
    client = openai.OpenAI(base_url="http://127.0.0.1:9", api_key="sk-made-up")
    ask: Any = functools.partial(client.chat.completions.create, model="gpt-4o", messages=MESSAGES)
    before = ask()
    spantally.instrument(ledger=False)
    assert before == ask() == 7
    spantally.uninstrument()
    assert ask() == 7
    assert vars(_owner(openai.OpenAI))["request"] is replaced


def test_a_replaced_asynchronous_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a coroutine function's mock."""
    monkeypatch.setattr(_owner(openai.AsyncOpenAI), "request", mock.AsyncMock(return_value=7))
    spantally.instrument(ledger=False)

    async def main() -> Any:
        client = openai.AsyncOpenAI(base_url="http://127.0.0.1:9", api_key="sk-made-up")
        return await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)

    assert asyncio.run(main()) == 7


def test_a_mock_over_ours(server: ScriptedServer) -> None:
    """One that is put over ours and taken away again leaves ours in force."""
    spantally.instrument(ledger=False)
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up") as client:
        with mock.patch.object(openai.OpenAI, "request", return_value=7):
            made: Any = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
            assert made == 7
        with spantally.session() as session:
            assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES).choices
        assert session.totals.calls == 1
