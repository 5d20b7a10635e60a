"""Whose work it is stays inside: no key of ours goes to a model provider or to a host that is denied."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import spantally
from hygiene_kit import ALLOWED, CLIENTS, DENIED, OFFICIAL, Send, Service, has_ours, httpx2_sync, official
from spantally.ground import guard
from spantally.instrumentors import baggage as gate
from spantally.instrumentors.outbound import cleaned, takes_our_keys, use_hosts
from spantally.testing import ScriptedServer
from watching import Watched, attributes

ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
HEADERS = {"baggage": "session.id=chat-1,spantally.tag.a=1,theirs=1;note=2"}


@pytest.fixture
def service() -> Iterator[Service]:
    """A service of the program's own."""
    with Service() as running:
        yield running


@pytest.fixture(autouse=True)
def _lists_of_hosts() -> Iterator[None]:
    yield
    use_hosts(deny=(), allow=())


@pytest.fixture
def theirs() -> Iterator[None]:
    """Baggage of the program's own."""
    token = context.attach(baggage.set_baggage("theirs", "x y"))
    yield
    context.detach(token)


STANDS_ON = openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]
"""The HTTP client that the OpenAI SDK stands on: httpx or httpx2."""


class Hook:
    """Injects into every request of one client, as the instrumentations do: a span, and the headers."""

    def __init__(self) -> None:
        self._provider: Any = None

    def instrument(self, *, tracer_provider: Any) -> None:
        """Make the spans there."""
        self._provider = tracer_provider

    def uninstrument(self) -> None:
        """Nothing to take back."""

    def __call__(self, request: Any) -> None:
        """What is called with each request."""
        tracer = trace.get_tracer("http", tracer_provider=self._provider)
        with tracer.start_as_current_span(request.method, kind=trace.SpanKind.CLIENT):
            propagate.inject(request.headers)

    async def asynchronous(self, request: Any) -> None:
        """The same for an asynchronous client."""
        self(request)


def _injecting(how: str) -> tuple[Any, dict[str, Any]]:
    """Something that injects baggage into requests, and what the HTTP client is made with for it."""
    if how == "official":
        return official("httpx", f"{STANDS_ON.upper()}ClientInstrumentor"), {}
    hook = Hook()
    return hook, {"event_hooks": {"request": [hook]}}


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("how", ["official", "hook"])
def test_a_provider_is_told_nothing_and_a_service_is(
    server: ScriptedServer, service: Service, theirs: None, how: str, sampled: bool
) -> None:
    """Both read what one HTTP client sends, that injects baggage into every request by itself."""
    injecting, made_with = _injecting(how)
    watched = Watched(**({} if sampled else {"sampler": ALWAYS_OFF}))
    injecting.instrument(tracer_provider=watched.provider)
    try:
        with (
            openai.DefaultHttpxClient(trust_env=False, **made_with) as client,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", http_client=client) as model,
            spantally.session("chat-1", user="alice", entity="customer:acme", tags={"a": "1"}),
        ):
            model.chat.completions.create(**ASK)
            list(model.chat.completions.create(**ASK, stream=True))
            with pytest.raises(openai.OpenAIError):
                model.models.retrieve("none")
            with spantally.paused():
                model.chat.completions.create(**ASK)
            client.get(service.at())
    finally:
        injecting.uninstrument()
        watched.close()
    assert len(server.requests) >= 4
    for request in server.requests:
        assert "traceparent" in request.headers, request.path
        assert request.headers["baggage"] == "theirs=x+y", request.path
    for key in ("session.id=chat-1", "user.id=alice", "spantally.entity.id=acme", "spantally.tag.a=1"):
        assert key in service.baggage()
    if sampled:
        sent = [attributes(span) for span in watched.spans if span.name in ("POST", "GET")]
        assert len(sent) == len(server.requests) + 1
        of_paused = [span for span in sent if "session.id" not in span]
        assert len(of_paused) == 1
        assert {span["session.id"] for span in sent if span not in of_paused} == {"chat-1"}
    assert {record.session_id for record in watched.records} == {"chat-1"}


@pytest.mark.parametrize("how", ["official", "hook"])
def test_a_provider_of_an_asynchronous_client_is_told_nothing(
    server: ScriptedServer, service: Service, how: str
) -> None:
    """The same for the asynchronous client, an endpoint that is no call of ours included."""
    injecting, made_with = _injecting(how)
    if made_with:
        made_with = {"event_hooks": {"request": [injecting.asynchronous]}}
    watched = Watched()
    injecting.instrument(tracer_provider=watched.provider)

    async def run() -> None:
        async with (
            openai.DefaultAsyncHttpxClient(trust_env=False, **made_with) as client,
            openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-made-up", http_client=client) as model,
        ):
            await model.chat.completions.create(**ASK)
            with pytest.raises(openai.OpenAIError):
                await model.models.retrieve("none")
            await client.get(service.at())

    try:
        with spantally.session("chat-1"):
            asyncio.run(run())
    finally:
        injecting.uninstrument()
        watched.close()
    assert ["traceparent" in request.headers for request in server.requests] == [True, True]
    assert ["baggage" in request.headers for request in server.requests] == [False, False]
    assert "session.id=chat-1" in service.baggage()


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize(("module", "name", "send"), OFFICIAL)
def test_beside_the_official_instrumentations(
    service: Service, module: str, name: str, send: Send, sampled: bool
) -> None:
    """A service is told the session, a denied host is not, by redirect neither; both spans have it."""
    injecting = official(module, name)
    watched = Watched(baggage_deny=[DENIED], **({} if sampled else {"sampler": ALWAYS_OFF}))
    injecting.instrument(tracer_provider=watched.provider)
    try:
        with spantally.session("chat-1"):
            send(service.at(), {})
            assert "session.id=chat-1" in service.baggage()
            send(service.at(DENIED), {})
            assert not has_ours(service.baggage())
            assert "traceparent" in service.headers[-1]
            send(service.at(path=f"to/{DENIED}/{service.port}"), {})
            before, after = service.headers[-2:]
            assert "session.id=chat-1" in before["baggage"]
            assert not has_ours(after.get("baggage", ""))
        if sampled:
            assert {attributes(span)["session.id"] for span in watched.spans} == {"chat-1"}
    finally:
        injecting.uninstrument()
        watched.close()


@pytest.mark.parametrize("send", CLIENTS, ids=lambda send: send.__name__)
def test_lists_of_hosts_hold_for_every_client(service: Service, send: Send) -> None:
    """Denied hosts, and all outside a list of allowed ones, get the program's own entries only."""
    watched = Watched(baggage_deny=[DENIED])
    given = dict(HEADERS)
    try:
        send(service.at(), given)
        assert service.baggage() == HEADERS["baggage"]
        send(service.at(DENIED), given)
        assert service.baggage() == "theirs=1;note=2"
        send(service.at(DENIED), {"Baggage": "session.id=chat-1"})
        assert "baggage" not in service.headers[-1]
        spantally.instrument(baggage_deny=[], baggage_allow=["internal.example", DENIED])
        send(service.at(DENIED), given)
        assert service.baggage() == HEADERS["baggage"]
        send(service.at(), given)
        assert service.baggage() == "theirs=1;note=2"
        assert given == HEADERS
        spantally.uninstrument()
        send(service.at(), given)
        assert service.baggage() == HEADERS["baggage"]
    finally:
        watched.close()


def test_everything_is_put_back(service: Service) -> None:
    """After uninstrument the classes of others have the very functions that they had."""
    places = [(http.client.HTTPConnection, "endheaders")]
    for module, path in (
        ("httpcore2._sync.connection_pool", "ConnectionPool.handle_request"),
        ("httpcore._async.connection_pool", "AsyncConnectionPool.handle_async_request"),
        ("aiohttp.client_reqrep", "ClientRequest.send"),
    ):
        owner, _, name = path.partition(".")
        with contextlib.suppress(ImportError):  # what is not there cannot be changed
            places.append((getattr(importlib.import_module(module), owner), name))
    spantally.uninstrument()
    before = [vars(owner)[name] for owner, name in places]
    watched = Watched()
    assert all(vars(owner)[name] is not one for (owner, name), one in zip(places, before, strict=True))
    watched.close()
    assert [vars(owner)[name] for owner, name in places] == before


@pytest.mark.parametrize("send", CLIENTS, ids=lambda send: send.__name__)
def test_a_gate_that_fails_lets_the_request_go(
    watched: Watched, service: Service, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's request is sent as it is, and the failure is counted."""

    def fail(host: str) -> bool:
        raise RuntimeError

    monkeypatch.setattr(gate, "takes_our_keys", fail)
    send(service.at(), HEADERS)
    assert service.baggage() == HEADERS["baggage"]
    places = {
        "requests_sync": "baggage.http_client",
        "urllib_sync": "baggage.http_client",
        "aiohttp_async": "baggage.aiohttp",
    }
    met = {where for where, kind in guard.failures if kind == "RuntimeError"}
    assert met == {places.get(send.__name__, "baggage.httpcore")}


@pytest.mark.parametrize("send", CLIENTS, ids=lambda send: send.__name__)
def test_a_request_of_a_generated_sdk_tells_nothing(watched: Watched, service: Service, send: Send) -> None:
    """Whatever its host: an SDK of a model provider that is not instrumented, behind a gateway."""
    send(service.at(), {**HEADERS, "X-Stainless-Lang": "python"})
    assert service.baggage() == "theirs=1;note=2"


def test_a_call_that_is_traced_tells_nothing_without_the_gate(
    watched: Watched, server: ScriptedServer
) -> None:
    """Whoever switches the gate off still has calls in whose Context no key of ours is, and a session."""
    spantally.BaggageInstrumentor().uninstrument()
    injecting, made_with = _injecting("hook")
    injecting.instrument(tracer_provider=watched.provider)
    with (
        openai.DefaultHttpxClient(trust_env=False, **made_with) as client,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", http_client=client) as model,
        spantally.session("chat-1"),
    ):
        model.chat.completions.create(**ASK)
    (request,) = server.requests
    assert "traceparent" in request.headers
    assert "baggage" not in request.headers
    assert [attributes(span)["session.id"] for span in watched.spans] == ["chat-1", "chat-1"]


def test_through_a_proxy_the_host_of_the_request_counts(service: Service) -> None:
    """Not the proxy's: a plain request names the host in its line, a tunnel where it is opened."""
    watched = Watched(baggage_deny=["denied.example"])
    try:
        connection = http.client.HTTPConnection(ALLOWED, service.port)
        for host, left in (("api.denied.example", "b=1"), ("service.example", "session.id=a,b=1")):
            connection.request("GET", f"http://{host}/x", headers={"baggage": "session.id=a,b=1"})
            connection.getresponse().read()
            assert service.baggage() == left
        connection.close()
        tunnel = http.client.HTTPConnection(ALLOWED, service.port)
        tunnel.set_tunnel("denied.example")
        assert gate._host_of(tunnel) == "denied.example"
    finally:
        watched.close()


def test_several_values_of_one_header(service: Service) -> None:
    """What http.client folds into one header is looked at value by value."""
    watched = Watched(baggage_deny=["*"])
    try:
        connection = http.client.HTTPConnection(ALLOWED, service.port)
        connection.putrequest("GET", "/")
        connection.putheader("baggage", "a=1", b"session.id=x", 5)
        connection.putheader("Baggage", "user.id=u")
        connection.putheader("baggage-other", "session.id=x")
        connection.endheaders()
        connection.getresponse().read()
        connection.close()
        assert service.headers[-1]["baggage"] == "a=1,5"
        assert service.headers[-1]["baggage-other"] == "session.id=x"
    finally:
        watched.close()


@pytest.mark.parametrize(
    ("host", "takes"),
    [
        ("api.openai.com", False),
        ("API.OpenAI.com.", False),
        ("eu.api.openai.com", False),
        ("myname.openai.azure.com", False),
        ("bedrock-runtime.us-east-1.amazonaws.com", False),
        ("us-central1-aiplatform.googleapis.com", False),
        ("generativelanguage.googleapis.com", False),
        ("s3.amazonaws.com", True),
        ("openai.com.example", True),
        ("notapi.openai.com", True),
        ("localhost", True),
        ("[::1]", True),
        ("", True),
    ],
)
def test_known_providers_are_denied(host: str, takes: bool) -> None:
    """By host and those beneath, whatever the case, those of one region too."""
    assert takes_our_keys(host) is takes


def test_lists_of_hosts_and_providers_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Denied beats allowed, no list opens a provider, a wildcard is what is beneath; by environment too."""
    monkeypatch.setenv("SPANTALLY_BAGGAGE_DENY", "*.secret.example.org, ")
    monkeypatch.setenv("SPANTALLY_BAGGAGE_ALLOW", "api.openai.com,example.org")
    watched = Watched()
    try:
        hosts = (
            "api.openai.com",
            "a.example.org",
            "secret.example.org",
            "x.secret.example.org",
            "example.net",
        )
        assert [takes_our_keys(host) for host in hosts] == [False, True, True, False, False]
        spantally.instrument(baggage_allow="*", baggage_deny=[])
        assert [takes_our_keys(host) for host in hosts] == [False, True, True, True, True]
        spantally.instrument(baggage_deny="*")
        assert not any(takes_our_keys(host) for host in (*hosts, "localhost"))
    finally:
        watched.close()


@pytest.mark.parametrize(
    "wrong", ["http://a.example", "a.example:443", "a/b", "a b", "a.*", "*.", [""], [5], 7]
)
@pytest.mark.parametrize("name", ["baggage_allow", "baggage_deny"])
def test_wrong_hosts_are_named(name: str, wrong: Any) -> None:
    """A URL, a port and what is no text are ValueErrors."""
    with pytest.raises(spantally.SettingsError, match=name):
        spantally.instrument(**{name: wrong})


@pytest.mark.parametrize(
    ("header", "left"),
    [
        ("theirs=1", "theirs=1"),
        ("session.id=a", None),
        ("a=1, session.id=b ,c=2", "a=1,c=2"),
        ("spantally.tag.x=1,spantally%2Etag%2Ey=2", None),
        ("user.id=x;p=1,k=v", "k=v"),
        ("", ""),
        (",,", ",,"),
    ],
)
def test_a_header_is_cleaned_entry_by_entry(header: str, left: str | None) -> None:
    """Ours go, percent-encoded names too; the others stay letter by letter."""
    assert cleaned(header) == left


def test_the_context_keeps_all_of_it(watched: Watched, service: Service) -> None:
    """What the program reads of its baggage is the same after a request to a denied host."""
    use_hosts(deny=("*",), allow=None)
    with spantally.session("chat-1"):
        before = dict(baggage.get_all())
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        httpx2_sync(service.at(), dict(carrier))
        assert not has_ours(service.baggage())
        assert dict(baggage.get_all()) == before
        assert before["session.id"] == "chat-1"
