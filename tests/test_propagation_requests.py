"""Requests of httpx2: who gets trace context and baggage, who does not, and what stays as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.utils import suppress_http_instrumentation, suppress_instrumentation

import spantally
from spantally.calls import starting
from spantally.calls import telemetry as telemetry_module
from spantally.calls.plans import Plan
from spantally.ground.records import Kind
from spantally.instrumentors.outbound import takes_our_keys
from spantally.testing import ScriptedServer
from spantally.testing.loopback import Connection, LoopbackServer
from watching import Watched

httpx2 = pytest.importorskip("httpx2")


class Service(LoopbackServer):
    """Notes the headers of each request; ``/to?URL`` redirects there."""

    def __init__(self) -> None:
        super().__init__()
        self.headers: list[dict[str, str]] = []

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Note and answer."""
        self.headers.append({key.lower(): value for key, value in connection.headers.items()})
        path, _, target = connection.path.partition("?")
        if path == "/to":
            connection.answer(302, b"", {"location": target})
        else:
            connection.answer_json(200, {})

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/"


@pytest.fixture
def service() -> Iterator[Service]:
    """A service of the program's own."""
    with Service() as running:
        yield running


@pytest.fixture
def client() -> Iterator[Any]:
    """A client without proxies."""
    with httpx2.Client(trust_env=False, follow_redirects=True) as made:
        yield made


def test_request_carries_span_and_session(watched: Watched, service: Service, client: Any) -> None:
    """A service is told the session, percent-encoded, and the span around; the program's baggage too."""
    token = context.attach(baggage.set_baggage("mine", "1"))
    with spantally.session("chat 1", user="ä", tags={"feature": "a,b"}), spantally.agent("planner"):
        span = trace.get_current_span().get_span_context()
        response = client.get(service.url)
    context.detach(token)
    (sent,) = service.headers
    assert sent["traceparent"].split("-")[1:3] == [f"{span.trace_id:032x}", f"{span.span_id:016x}"]
    members = dict(member.split("=") for member in sent["baggage"].split(","))
    assert members["mine"] == "1"
    assert members["session.id"] == "chat+1"
    assert members["user.id"] == "%C3%A4"
    assert members["spantally.tag.feature"] == "a%2Cb"
    assert "baggage" not in response.request.headers


def test_asynchronous_client_too(watched: Watched, service: Service) -> None:
    """The asynchronous client does the same."""

    async def get() -> None:
        async with httpx2.AsyncClient(trust_env=False) as made:
            response = await made.get(service.url)
            assert "baggage" not in response.request.headers

    with spantally.session("s"):
        asyncio.run(get())
    assert "session.id=s" in service.headers[0]["baggage"]


def test_nothing_outside_and_when_suppressed(watched: Watched, service: Service, client: Any) -> None:
    """Outside any session, suppressed, paused and after uninstrument() a request is what it was."""
    client.get(service.url)
    with spantally.session("s"):
        with suppress_http_instrumentation():
            client.get(service.url)
        with suppress_instrumentation():
            client.get(service.url)
        with spantally.paused():
            client.get(service.url)
        spantally.HTTPX2Instrumentor().uninstrument()
        client.get(service.url)
    assert not any({"baggage", "traceparent"} & set(sent) for sent in service.headers)


def test_a_method_that_was_kept_tells_nothing_any_more(
    watched: Watched, service: Service, client: Any
) -> None:
    """Who took the method while it was instrumented calls what it was, from uninstrument() on."""
    kept = httpx2.Client._send_single_request
    kept_async = httpx2.AsyncClient._send_single_request

    async def get() -> None:
        async with httpx2.AsyncClient(trust_env=False) as made:
            await made.get(service.url)

    spantally.HTTPX2Instrumentor().uninstrument()
    with pytest.MonkeyPatch.context() as patch, spantally.session("s"):
        patch.setattr(httpx2.Client, "_send_single_request", kept)
        patch.setattr(httpx2.AsyncClient, "_send_single_request", kept_async)
        client.get(service.url)
        asyncio.run(get())
    assert len(service.headers) == 2
    assert not any({"baggage", "traceparent"} & set(sent) for sent in service.headers)


def test_another_instrumentation_wins(watched: Watched, service: Service, client: Any) -> None:
    """Where somebody has written a traceparent, nothing is added."""
    with spantally.session("s"):
        client.get(service.url, headers={"traceparent": "theirs"})
    (sent,) = service.headers
    assert (sent["traceparent"], sent.get("baggage")) == ("theirs", None)


def test_redirect_to_a_provider_takes_nothing_along(
    watched: Watched, service: Service, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first host is told, the one it redirects to is a provider's and is not."""
    monkeypatch.setattr("spantally.instrumentors.httpx2.takes_our_keys", lambda host: host != "localhost")
    with Service() as provider, spantally.session("s"):
        client.get(f"{service.url}to?http://localhost:{provider.port}/")
        assert "session.id=s" in service.headers[0]["baggage"]
        assert not {"baggage", "traceparent"} & set(provider.headers[0])


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("api.openai.com", False),
        ("API.OPENAI.COM.", False),
        ("my-resource.openai.azure.com", False),
        ("api.anthropic.com", False),
        ("notapi.anthropic.com.example", True),
        ("myapi.anthropic.com", True),
        ("search.internal", True),
        ("127.0.0.1", True),
    ],
)
def test_hosts_of_providers_are_not_told(host: str, *, told: bool) -> None:
    """Known hosts and what is beneath them are told nothing; others are."""
    assert takes_our_keys(host) is told


def test_request_of_a_model_call_is_untouched(watched: Watched, server: ScriptedServer) -> None:
    """What the SDK sends to a provider, wherever it is, has no header of ours."""
    with (
        spantally.session("s", user="alice"),
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as made,
    ):
        made.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
        made.models.list()
    for request in server.requests:
        headers = {key.lower() for key in request.headers}
        assert not {"baggage", "traceparent", "tracestate"} & headers


def test_request_of_a_model_call_by_another_sdk_is_untouched(watched: Watched, service: Service) -> None:
    """What runs inside a call that is metered goes to its provider, whatever client sends it."""
    telemetry = telemetry_module.active
    with spantally.session("s"), httpx2.Client(trust_env=False) as made:
        operation = starting.start(telemetry, Plan(Kind.INFERENCE, "chat", subject="m"))
        assert operation is not None
        token = context.attach(operation.inner_context(strip_baggage=True))
        made.get(service.url)
        context.detach(token)
        operation.finish("ok")
    assert not {"baggage", "traceparent"} & set(service.headers[0])
