"""Whom a call is made to, what its attempts were, and what its head says of rate limits."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from openai_forms_kit import KEY, async_client_of, client_of
from spantally.testing import Reply, ScriptedServer, Usage
from watching import Watched, attributes

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}
FINE = Reply(text="fine", usage=Usage(input=11, output=7))
LIMITS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-tokens": "29987",
    "x-ratelimit-reset-tokens": "26ms",
    "x-ratelimit-limit-tokens": "18446744073709551615",
}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's pause before a retry is as short as it can be."""
    import openai._base_client as base

    monkeypatch.setattr(base, "INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr(base, "MAX_RETRY_DELAY", 0.001)


def events(watched: Watched) -> list[dict[str, Any]]:
    """Attributes of the events of failed attempts on the one span."""
    (span,) = watched.spans
    assert {event.name for event in span.events} <= {"spantally.attempt.failed"}
    return [attributes(event) for event in span.events]


def chat(server: ScriptedServer, mode: str, **options: Any) -> None:
    """One call, by the synchronous or the asynchronous client."""
    if mode == "sync":
        with client_of(server, **options) as client:
            client.chat.completions.create(**CHAT)
        return

    async def call() -> None:
        async with async_client_of(server, **options) as client:
            await client.chat.completions.create(**CHAT)

    asyncio.run(call())


MODES = pytest.mark.parametrize("mode", ["sync", "async"])


@MODES
def test_each_failed_attempt_is_an_event(watched: Watched, mode: str) -> None:
    """A rejection, a server error, an answer: one row, one span, two events with status and rate limits."""
    refused = Reply(status=429, headers=LIMITS, error={"message": f"{KEY} is over its limit"})
    with ScriptedServer([refused, Reply(status=503), FINE]) as server:
        chat(server, mode, max_retries=2)
    (record,) = watched.records
    assert (record.status, record.attempts, record.possibly_billed) == ("ok", 3, True)
    assert (record.price_context or {})["lost_attempts"] == 1
    first, second = events(watched)
    assert first == {
        "spantally.attempt": 1,
        "error.type": "429",
        "http.response.status_code": 429,
        "openai.response.rate_limit.limit_requests": 500,
        "openai.response.rate_limit.remaining_tokens": 29987,
        "openai.response.rate_limit.reset_tokens": "26ms",
        # "No limit", of more than 64 bits: no exporter takes such a number.
        "openai.response.rate_limit.limit_tokens": "18446744073709551615",
    }
    assert second == {
        "spantally.attempt": 2,
        "error.type": "503",
        "http.response.status_code": 503,
        "spantally.attempt.possibly_billed": True,
    }
    assert KEY.encode() not in watched.exported()
    assert watched.spans[0].status.code == 0


@MODES
def test_attempts_are_counted_where_all_of_them_fail(watched: Watched, mode: str) -> None:
    """The last failure is the span's own; those before it are events."""
    with ScriptedServer(Reply(status=429, headers=LIMITS)) as server, pytest.raises(openai.RateLimitError):
        chat(server, mode, max_retries=2)
    (record,) = watched.records
    assert (record.status, record.attempts, record.possibly_billed) == ("error", 3, False)
    assert [event["spantally.attempt"] for event in events(watched)] == [1, 2]
    assert attributes(watched.spans[0])["openai.response.rate_limit.remaining_tokens"] == 29987


@MODES
def test_an_attempt_that_timed_out_is_possibly_billed(watched: Watched, mode: str) -> None:
    """The provider may have done its work: the row says so beside the usage of the attempt that succeeded."""
    slow = Reply(text="late", delay=0.6)
    with ScriptedServer([slow, FINE]) as server:
        chat(server, mode, max_retries=1, timeout=0.2)
    (record,) = watched.records
    assert (record.status, record.attempts, record.possibly_billed) == ("ok", 2, True)
    assert record.usage is not None
    assert (record.price_context or {})["lost_attempts"] == 1
    (event,) = events(watched)
    assert event["spantally.attempt.possibly_billed"] is True
    assert event["error.type"].endswith("ReadTimeout")


@MODES
def test_a_lost_connection_is_possibly_billed_and_a_refused_one_is_not(mode: str) -> None:
    """What never left cannot have been billed."""
    watched = Watched()
    try:
        with ScriptedServer([Reply(drop_after_chunks=0), FINE]) as server:
            chat(server, mode, max_retries=1)
        assert watched.records[0].possibly_billed
    finally:
        watched.close()
    with ScriptedServer() as stopped:
        gone: Any = SimpleNamespace(base_url=stopped.base_url)
    watched = Watched()
    try:
        with pytest.raises(openai.APIConnectionError):
            chat(gone, mode, max_retries=1)
        (record,) = watched.records
        assert (record.attempts, record.possibly_billed) == (2, False)
        (event,) = events(watched)
        assert event["error.type"].endswith("ConnectError")
        assert "spantally.attempt.possibly_billed" not in event
    finally:
        watched.close()


@MODES
def test_rate_limits_of_an_answer_are_attributes(watched: Watched, mode: str) -> None:
    """Counts as numbers, times as they came."""
    with ScriptedServer(Reply(text="fine", headers=LIMITS)) as server:
        chat(server, mode)
    told = attributes(watched.spans[0])
    assert told["openai.response.rate_limit.limit_requests"] == 500
    assert told["openai.response.rate_limit.remaining_tokens"] == 29987
    assert told["openai.response.rate_limit.reset_tokens"] == "26ms"
    assert not watched.spans[0].events


# -- hosts -----------------------------------------------------------------------------------------------


def test_azure_is_named_by_its_client(watched: Watched) -> None:
    """AzureOpenAI of any host is Azure; deployments stand in the path."""
    with ScriptedServer(FINE) as server:
        azure = openai.AzureOpenAI(
            azure_endpoint=server.url, api_key=KEY, api_version="2025-01-01-preview", max_retries=0
        )
        azure.chat.completions.create(**CHAT)
        azure.images.generate(model="gpt-image-1", prompt="a cat")
        azure.embeddings.create(model="text-embedding-3-small", input="a")
        azure.responses.create(model="gpt-4o", input="hi")
        azure.close()
    paths = [request.path for request in server.requests]
    assert "/openai/deployments/gpt-4o/chat/completions" in paths
    for record, span in zip(watched.records, watched.spans, strict=True):
        assert record.provider == "azure.ai.openai"
        assert record.usage is not None
        assert attributes(span)["gen_ai.provider.name"] == "azure.ai.openai"


@pytest.mark.parametrize("named", [None, "gpt-4o"])
def test_a_client_of_one_deployment_names_no_model(named: str | None, watched: Watched) -> None:
    """LangChain's sends null then: the deployment is asked for, also where the answer tells no model."""

    http: Any = pytest.importorskip("httpx" if openai.__version__.startswith("2.") else "httpx2")

    def answer(request: Any) -> Any:
        if request.url.path.endswith("/audio/transcriptions"):
            return http.Response(200, json={"text": "hi"})
        return http.Response(429, json={"error": {"code": "429", "message": "slow"}})

    with (
        http.Client(transport=http.MockTransport(answer)) as session,
        openai.AzureOpenAI(
            azure_endpoint="https://mine.openai.azure.com",
            azure_deployment="my-chat",
            api_key=KEY,
            api_version="2025-01-01-preview",
            max_retries=0,
            http_client=session,
        ) as azure,
    ):
        model: Any = named
        with pytest.raises(openai.RateLimitError):
            azure.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
        with pytest.raises(openai.RateLimitError):
            azure.embeddings.create(model=model, input="a")
        azure.audio.transcriptions.create(model=model, file=("a.wav", b"RIFF"))
    expected = named or "my-chat"
    assert [row.request_model for row in watched.records] == [expected] * 3
    assert [attributes(span)["gen_ai.request.model"] for span in watched.spans] == [expected] * 3
    assert watched.spans[0].name == f"chat {expected}"


def test_asynchronous_azure_is_named_too(watched: Watched) -> None:
    """The same for AsyncAzureOpenAI, streamed."""

    async def call(server: ScriptedServer) -> None:
        azure = openai.AsyncAzureOpenAI(
            azure_endpoint=server.url, api_key=KEY, api_version="2025-01-01-preview", max_retries=0
        )
        async with azure:
            stream = await azure.chat.completions.create(
                **CHAT, stream=True, stream_options={"include_usage": True}
            )
            assert [chunk async for chunk in stream]

    with ScriptedServer(FINE) as server:
        asyncio.run(call(server))
    (record,) = watched.records
    assert record.provider == "azure.ai.openai"
    assert record.usage is not None


@pytest.mark.parametrize(
    ("url", "provider", "port"),
    [
        ("https://openrouter.ai/api/v1", "openrouter", 443),
        ("https://api.groq.com/openai/v1", "groq", 443),
        ("https://api.deepseek.com", "deepseek", 443),
        ("https://api.mistral.ai/v1", "mistral_ai", 443),
        ("https://api.x.ai/v1", "x_ai", 443),
        ("https://mine.openai.azure.com/openai/v1", "azure.ai.openai", 443),
        ("http://localhost:11434/v1", "ollama", 11434),
        ("http://vllm.internal:8000/v1", "vllm", 8000),
        ("http://localhost:8000/v1", "openai", 8000),
        ("http://gateway.internal/v1", "openai", 80),
    ],
)
def test_a_compatible_host_is_named_by_the_table(
    watched: Watched, url: str, provider: str, port: int
) -> None:
    """Provider, address and port, over a transport of the program's own."""
    http: Any = pytest.importorskip("httpx" if openai.__version__.startswith("2.") else "httpx2")

    def answer(request: Any) -> Any:
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        message = {"role": "assistant", "content": "hi"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = {"id": "x-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        sent = json.dumps({**body, "usage": usage}).encode()
        return http.Response(200, content=sent, headers={"content-type": "application/json"})

    transport = http.MockTransport(answer)
    client = openai.OpenAI(base_url=url, api_key=KEY, http_client=http.Client(transport=transport))
    client.chat.completions.create(**CHAT)
    client.close()
    (record,) = watched.records
    assert (record.provider, record.server_port) == (provider, port)
    assert record.usage is not None
    told = attributes(watched.spans[0])
    assert told["gen_ai.provider.name"] == provider
    assert told["server.port"] == port
    assert told["server.address"] == url.partition("://")[2].partition("/")[0].partition(":")[0]


class OwnClient(openai.OpenAI):
    """A subclass, as programs make them."""


class OwnAzure(openai.AzureOpenAI):
    """One whose name does not say whose it is."""


OwnAzure.__name__ = "Gateway"


def test_a_subclass_of_the_azure_client_is_azure(watched: Watched) -> None:
    """Its bases tell, whatever it is called and wherever it sends."""
    with ScriptedServer(FINE) as server:
        client = OwnAzure(azure_endpoint=server.url, api_key=KEY, api_version="2025-01-01-preview")
        client.chat.completions.create(**CHAT)
        client.with_options(max_retries=0).chat.completions.create(**CHAT)
        client.close()
    assert {record.provider for record in watched.records} == {"azure.ai.openai"}


def test_a_subclass_of_the_client_is_traced(watched: Watched) -> None:
    """What matters is where its requests pass."""
    with ScriptedServer(FINE) as server:
        client = OwnClient(base_url=server.base_url, api_key=KEY)
        client.chat.completions.create(**CHAT)
        client.with_options(max_retries=0).chat.completions.create(**CHAT)
        client.close()
    assert [record.usage is not None for record in watched.records] == [True, True]


def test_a_tap_that_is_missing_costs_the_events_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK without the pause before a retry is traced all the same, and nothing is said on the log."""
    from openai._base_client import SyncAPIClient

    pause = SyncAPIClient.__dict__["_sleep_for_retry"]

    monkeypatch.delattr(SyncAPIClient, "_sleep_for_retry")
    watched = Watched()
    try:
        with ScriptedServer(FINE) as server:
            chat(server, "sync")
        assert len(watched.records) == 1
    finally:
        watched.close()
        monkeypatch.setattr(SyncAPIClient, "_sleep_for_retry", pause, raising=False)
