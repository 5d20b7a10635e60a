"""What a provider does on a bad day, as the real SDK sees it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from spantally.testing import Reply, Rule, ScriptedServer, ScriptSource

MESSAGES: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "one two three four five six seven eight nine"}
]


@contextlib.contextmanager
def scripted(script: ScriptSource, retries: int = 0) -> Iterator[tuple[ScriptedServer, openai.OpenAI]]:
    with (
        ScriptedServer(script) as server,
        openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=retries) as client,
    ):
        yield server, client


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, openai.BadRequestError, None),
        (401, openai.AuthenticationError, "invalid_api_key"),
        (403, openai.PermissionDeniedError, "unsupported_country_region_territory"),
        (404, openai.NotFoundError, "model_not_found"),
        (429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, openai.InternalServerError, None),
        (503, openai.InternalServerError, None),
    ],
)
def test_errors_are_the_sdks_own_and_cost_nothing(
    status: int, error: type[openai.APIStatusError], code: str | None
) -> None:
    """Each status raises the SDK's error with OpenAI's error body, streamed or not, and bills nothing."""
    with scripted(Reply(status=status)) as (server, client):
        for stream in (False, True):
            with pytest.raises(error) as caught:
                client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
            assert caught.value.status_code == status
            assert caught.value.code == code
        assert server.billed == {}


def test_an_error_can_quote_anything() -> None:
    """A scripted message and code replace the usual ones: providers do quote keys in error texts."""
    error = {"message": "Incorrect API key provided: sk-abc", "code": "bad_key"}
    with (
        scripted(Reply(status=401, error=error)) as (_, client),
        pytest.raises(openai.AuthenticationError, match="sk-abc") as caught,
    ):
        client.responses.create(model="m", input="x")
    assert caught.value.code == "bad_key"


def test_retries_meet_the_next_reply() -> None:
    """A 429 and then a success: the SDK's own retry gets the second reply; one answer is billed."""
    busy = Reply(status=429, headers={"retry-after-ms": "1"})
    with scripted([busy, Reply(status=500, headers={"retry-after-ms": "1"})], retries=2) as (server, client):
        assert client.chat.completions.create(model="m", messages=MESSAGES).usage
        assert [request.headers["x-stainless-retry-count"] for request in server.requests] == ["0", "1", "2"]
        assert server.billed["m"].requests == 1


def test_a_dropped_stream_delivers_its_chunks_then_fails() -> None:
    """After so many chunks the connection ends; what came is delivered, billed, and not reported."""
    with scripted(Reply(drop_after_chunks=3)) as (server, client):
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        seen = 0
        with pytest.raises(Exception, match=r"incomplete chunked read|peer closed|Connection error"):  # noqa: PT012
            for _ in stream:
                seen += 1
        assert seen == 3
        assert server.billed["m"].requests == 1
        assert server.reported == {}


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_lost_before_any_byte(stream: bool) -> None:
    """Drop at 0 is a lost connection: sent, perhaps billed, no answer."""
    with scripted(Reply(drop_after_chunks=0)) as (server, client):
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
        assert [bill.reported for bill in server.bills] == [False]


def test_a_malformed_chunk() -> None:
    """A chunk that is no JSON surfaces as the SDK's decoding error."""
    with scripted(Reply(malformed_after_chunks=2)) as (_, client), pytest.raises(ValueError):
        for _ in client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
            pass


def test_an_error_within_a_stream() -> None:
    """With status 200 the error comes as an event after the text, and raises APIError."""
    with scripted(Reply(error="the engine died")) as (server, client):
        with pytest.raises(openai.APIError, match="the engine died"):
            for _ in client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
                pass
        assert server.reported == {}


def test_bytes_that_are_no_json() -> None:
    """An exact body is sent as it is, for gateways that answer with HTML."""
    html = Reply(body=b"<html>", headers={"content-type": "text/html"})
    with scripted(html) as (_, client):
        raw = client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
        assert raw.http_response.content == b"<html>"
        assert raw.headers["content-type"] == "text/html"


def test_slow_answers_take_their_time() -> None:
    """Delays hold back the first byte and each further chunk; a short timeout then fires."""
    with scripted([Reply(delay=0.15), Reply(chunk_delay=0.03), Reply(delay=2.0)]) as (_, client):
        begin = time.monotonic()
        client.chat.completions.create(model="m", messages=MESSAGES)
        assert time.monotonic() - begin >= 0.15
        begin = time.monotonic()
        chunks = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
        assert time.monotonic() - begin >= 0.03 * (len(chunks) - 1)
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="m", messages=MESSAGES, timeout=0.1)


def test_leaving_a_stream_early_leaves_the_server_whole() -> None:
    """After a client breaks off, the next request is answered as ever."""
    with scripted([Rule(times=1, reply=Reply(text="word " * 500, chunk_delay=0.001))]) as (server, client):
        with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as stream:
            next(iter(stream))
        assert client.chat.completions.create(model="m", messages=MESSAGES).usage
        assert server.billed["m"].requests == 2


def test_unknown_paths_and_bodies_are_told() -> None:
    """An unknown endpoint is 404 and a body without a model 400, with OpenAI's error body."""
    with scripted(None) as (_, client):
        with pytest.raises(openai.NotFoundError, match="Invalid URL"):
            client.fine_tuning.jobs.list()
        with pytest.raises(openai.BadRequestError):
            client.post("/chat/completions", body={"messages": []}, cast_to=object)


def test_a_stopped_server_is_gone_and_can_start_again() -> None:
    """Stop ends open connections; start listens anew; the URL of a stopped server is an error."""
    server = ScriptedServer()
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.base_url
    for _ in range(2):
        with server, openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
            assert client.models.list().data
            server.stop()
            with pytest.raises(openai.APIConnectionError):
                client.models.list()
