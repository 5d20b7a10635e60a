"""Middleware of an Anthropic client: it may ask again, of another model, or answer by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from anthropic_forms_kit import ASK, async_client_of, client_of
from spantally.ground import guard
from spantally.testing import Reply, ScriptedServer
from watching import Watched

middleware: Any = pytest.importorskip("anthropic.lib.middleware")

FIRST, SECOND = "claude-opus-4-8", "claude-sonnet-5-5"
JSON = {"content-type": "application/json"}
FAST = {"retry-after-ms": "1"}


def message(number: int, model: str, reason: str = "end_turn") -> dict[str, Any]:
    """A message that bills ten times its number in, and its number out."""
    made: dict[str, Any] = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 10 * number, "output_tokens": number},
    }
    if reason == "refusal":
        made["stop_details"] = {"type": "refusal", "category": None, "fallback_credit_token": "made-up"}
    return made


def reply(body: dict[str, Any], *, stream: bool = False) -> Reply:
    """It as an answer."""
    if not stream:
        return Reply(body=json.dumps(body).encode(), headers=JSON)
    begun = {**body, "content": [], "stop_reason": None, "usage": {**body["usage"], "output_tokens": 0}}
    begun.pop("stop_details", None)
    ended = {name: body[name] for name in ("stop_reason", "stop_details") if name in body}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": body["usage"]},
        {"type": "message_stop"},
    ]
    told = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events)
    return Reply(body=told.encode(), headers={"content-type": "text/event-stream"})


def ask(server: ScriptedServer, around: Any, mode: str = "sync", *, stream: bool = False) -> Any:
    """One request of the beta API, and what the program got of it."""
    asked = {**ASK, "model": FIRST, "stream": stream}

    def plain(got: Any) -> Any:
        return got.model_dump(mode="json")

    if mode == "sync":
        with client_of(server, middleware=[around], max_retries=2) as client:
            made: Any = client.beta.messages.create(**asked)
            return [plain(one) for one in made] if stream else plain(made)

    async def call() -> Any:
        async with async_client_of(server, middleware=[around], max_retries=2) as client:
            made: Any = await client.beta.messages.create(**asked)
            return [plain(one) async for one in made] if stream else plain(made)

    return asyncio.run(call())


def used(watched: Watched) -> list[Any]:
    """Model asked for and tokens of each row."""
    return [
        (
            one.request_model,
            one.response_id,
            one.usage and (one.usage["input_tokens"], one.usage["output_tokens"]),
        )
        for one in watched.records
    ]


@pytest.fixture
def watched() -> Iterator[Watched]:
    """An active spantally."""
    made = Watched()
    yield made
    assert not guard.failures, guard.failures
    made.close()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_refusal_that_falls_back_is_two_calls(mode: str, stream: bool) -> None:
    """The SDK's own fallback: both models are billed, also where a stream asks the second as it is read."""
    script = [
        reply(message(1, FIRST, "refusal"), stream=stream),
        reply(message(2, SECOND), stream=stream),
    ]
    around = middleware.BetaRefusalFallbackMiddleware([{"model": SECOND}])
    with ScriptedServer(list(script)) as bare:
        expected = ask(bare, around, mode, stream=stream)
    watched = Watched()
    try:
        with ScriptedServer(list(script)) as server:
            assert ask(server, around, mode, stream=stream) == expected
        assert used(watched) == [(FIRST, "msg_1", (10, 1)), (SECOND, "msg_2", (20, 2))]
        assert [one.parent_call_id for one in watched.records] == [None, None]
        assert len(watched.spans) == 2
        assert not guard.failures, guard.failures
    finally:
        watched.close()


def test_an_answer_that_is_asked_for_again_is_billed_twice(watched: Watched) -> None:
    """By middleware itself, or by the SDK since middleware says so."""
    met: list[Any] = []

    def around(request: Any, call_next: Any) -> Any:
        met.append(call_next(request))
        if len(met) == 1:
            raise anthropic.RetryableError("once more")
        return call_next(request) if len(met) == 2 else met[-1]

    with ScriptedServer([reply(message(number, FIRST)) for number in (1, 2, 3)]) as server:
        assert ask(server, around)["id"] == "msg_3"
    assert used(watched) == [(FIRST, f"msg_{number}", (10 * number, number)) for number in (1, 2, 3)]


@pytest.mark.parametrize(("status", "billed"), [(500, True), (429, False)])
def test_what_is_refused_is_no_answer(status: int, billed: bool, watched: Watched) -> None:
    """With middleware it comes by as an answer does; it is an attempt of the same call."""
    refused = Reply(status=status, headers=FAST, error={"message": "no"})
    with ScriptedServer([refused, reply(message(1, FIRST))]) as server:
        ask(server, lambda request, call_next: call_next(request))
    (record,) = watched.records
    assert (record.attempts, record.possibly_billed, record.response_id) == (2, billed, "msg_1")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "billed"), [(500, True), (429, False)])
def test_what_is_refused_for_good(status: int, billed: bool, stream: bool, watched: Watched) -> None:
    """As without middleware."""
    refused = Reply(status=status, headers=FAST, error={"message": "no"})
    with ScriptedServer(refused) as server, pytest.raises(anthropic.APIStatusError):
        ask(server, lambda request, call_next: call_next(request), stream=stream)
    (record,) = watched.records
    assert (record.status, record.attempts, record.possibly_billed) == ("error", 3, billed)


def test_what_middleware_answers_by_itself_is_not_billed(watched: Watched) -> None:
    """Nothing was asked of the provider: a usage that stands in it is that of another request."""
    kept = anthropic.types.beta.BetaMessage.model_validate(message(9, FIRST))
    with ScriptedServer() as server:
        assert ask(server, lambda request, call_next: kept)["id"] == "msg_9"
        assert not server.requests
    assert used(watched) == [(FIRST, None, None)]
    assert not watched.records[0].possibly_billed


def test_a_failure_of_middleware_leaves_what_was_used(watched: Watched) -> None:
    """The answer was there, and is billed."""

    def around(request: Any, call_next: Any) -> Any:
        call_next(request)
        raise ValueError("not good enough")

    with (
        ScriptedServer(reply(message(1, FIRST))) as server,
        pytest.raises(ValueError, match="not good enough"),
    ):
        ask(server, around)
    assert used(watched) == [(FIRST, "msg_1", (10, 1))]
    assert watched.records[0].status == "error"
