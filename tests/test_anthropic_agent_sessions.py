"""Sessions of agents that Anthropic runs: what their events say that a model used is counted, once."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from anthropic_forms_kit import KEY, TRACES_ITSELF, run_async, run_sync
from openai_forms_kit import Outcome
from spantally.ground import guard
from spantally.ground.records import CallRecord
from spantally.instrumentors.anthropic.wire import agent_sessions as wire
from spantally.instrumentors.stainless import agent_sessions, batches
from spantally.pricing.rate import rate
from spantally.testing.loopback import Connection, LoopbackServer
from test_openai_endpoints_later import totals
from watching import Watched

pytestmark = pytest.mark.skipif(
    not hasattr(anthropic.resources.beta.Beta, "sessions"), reason="this version has no such sessions"
)

MODEL, OTHER = "claude-sonnet-4-5", "claude-haiku-4-5"
SESSION, THREAD = "sesn_1", "sthr_2"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
USAGE: dict[str, Any] = {
    "input_tokens": 10,
    "output_tokens": 5,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 50,
}
NOTHING = dict.fromkeys(USAGE, 0)


def _event(number: int, kind: str, **fields: Any) -> dict[str, Any]:
    moment = NOW - dt.timedelta(seconds=60 - number)
    return {"id": f"sevt_{number}", "type": kind, "processed_at": moment.isoformat(), **fields}


def _ends(number: int, began: int, **fields: Any) -> dict[str, Any]:
    told = {"model_request_start_id": f"sevt_{began}", "is_error": False, "model_usage": USAGE, **fields}
    return _event(number, "span.model_request_end", **told)


EVENTS = [
    _event(1, "session.status_running"),
    _event(2, "span.model_request_start"),
    _event(3, "agent.message", content=[{"type": "text", "text": "hello"}]),
    _ends(5, 2),
    _event(6, "span.model_request_start"),
    _ends(7, 6, is_error=True, model_usage=NOTHING),
    _event(8, "span.model_request_start"),
    _ends(9, 8, is_error=True),
    _event(10, "session.status_idle", stop_reason={"type": "end_turn"}),
]
THREADS = [_event(20, "span.model_request_start"), _ends(21, 20)]
_MADE: dict[str, Any] = {"id": SESSION, "type": "session", "agent": {"id": "a", "model": {"id": MODEL}}}
_THREAD: dict[str, Any] = {"id": THREAD, "type": "session_thread", "agent": {"type": "agent", "model": OTHER}}


class Agents(LoopbackServer):
    """A session with its events, streamed and listed, and one thread of another agent."""

    requests: list[Any]

    def __init__(self) -> None:
        super().__init__()
        self.requests = []

    @property
    def anthropic_url(self) -> str:
        """What a client takes as its base URL."""
        return self.url

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Answer by the path."""
        path = connection.path.partition("?")[0].removeprefix("/v1/sessions").strip("/")
        events = THREADS if THREAD in path else EVENTS
        if path.endswith("stream"):
            said = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events]
            connection.answer_chunks(200, said, {"content-type": "text/event-stream"})
        elif path.endswith("events"):
            half = len(events) // 2
            second = "page=two" in connection.path
            page = events[half:] if second else events[:half]
            connection.answer_json(200, {"data": page, "next_page": None if second else "two"})
        elif THREAD in path:
            connection.answer_json(200, _THREAD)
        else:
            connection.answer_json(
                200, {"data": [_MADE]} if connection.command == "GET" and not path else _MADE
            )


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """No test meets the sessions of another."""
    batches.forget()
    agent_sessions.forget()
    yield
    batches.forget()
    agent_sessions.forget()


@pytest.fixture
def agents() -> Iterator[Agents]:
    """Such a server."""
    with Agents() as server:
        yield server


def client_of(server: Agents) -> anthropic.Anthropic:
    """A client of it."""
    silent: dict[str, Any] = {"open_telemetry": False} if TRACES_ITSELF else {}
    return anthropic.Anthropic(base_url=server.url, api_key=KEY, max_retries=0, **silent)


def _rows(watched: Watched) -> list[CallRecord]:
    """Rows of what a model used, by the time of their beginning."""
    return watched.of("inference")


def _read(client: anthropic.Anthropic, session: str = SESSION) -> list[str]:
    """The types of the events until the session is idle, as programs read them."""
    seen: list[str] = []
    with client.beta.sessions.events.stream(session) as stream:
        for event in stream:
            seen.append(event.type)
            if event.type == "session.status_idle":
                break
    return seen


def test_each_answer_of_a_model_is_a_row(watched: Watched, agents: Agents, tmp_path: Path) -> None:
    """With the model of its session, its time and its price, beneath the request that reads the events."""
    with client_of(agents) as client:
        session = client.beta.sessions.create(agent="a", environment_id="e")
        assert _read(client, session.id) == [event["type"] for event in EVENTS]
    rows = _rows(watched)
    assert [(row.request_model, row.provider, row.status) for row in rows] == [
        (MODEL, "anthropic", "ok"),
        (MODEL, "anthropic", "error"),
    ]
    assert [round(((row.end_ns or 0) - row.start_ns) / 1e9) for row in rows] == [3, 1]
    reading = next(record for record in watched.records if record.operation == "read_agent_events")
    assert {row.parent_call_id for row in rows} == {reading.call_id}
    assert reading.usage is None
    assert totals(watched.records, tmp_path) == (2, 2 * 160, 2 * 5)
    # 3 $ and 15 $ a million, cached 0.1 and 1.25 times the first
    priced = rows[0]._replace(price_context={**(rows[0].price_context or {}), "provider": "anthropic"})
    assert rate(priced).nano_usd == 10 * 3000 + 100 * 3750 + 50 * 300 + 5 * 15000
    assert not guard.failures, guard.failures


@pytest.mark.parametrize("first", ["streamed", "listed"])
def test_events_that_are_read_twice_count_once(
    first: str, watched: Watched, agents: Agents, tmp_path: Path
) -> None:
    """Streamed and listed in pages, whichever comes first."""
    with client_of(agents) as client:
        client.beta.sessions.retrieve(SESSION)
        if first == "streamed":
            _read(client)
        assert len(list(client.beta.sessions.events.list(SESSION))) == len(EVENTS)
        _read(client)
    assert [row.request_model for row in _rows(watched)] == [MODEL, MODEL]
    assert totals(watched.records, tmp_path) == (2, 2 * 160, 2 * 5)
    assert not guard.failures, guard.failures


def test_events_of_two_processes_count_once(watched: Watched, agents: Agents, tmp_path: Path) -> None:
    """The second reader knows nothing of the first, and a row has the same id."""
    with client_of(agents) as client:
        _read(client)
        assert watched.records
        batches.forget()
        client.beta.sessions.retrieve(SESSION)
        _read(client)
    assert len({row.call_id for row in _rows(watched)}) == 2
    assert len(_rows(watched)) == 4
    assert totals(watched.records, tmp_path) == (2, 2 * 160, 2 * 5)


def test_a_thread_has_the_model_of_its_own_agent(watched: Watched, agents: Agents) -> None:
    """Its events are apart from those of the session."""
    with client_of(agents) as client:
        list(client.beta.sessions.list())
        client.beta.sessions.threads.retrieve(THREAD, session_id=SESSION)
        list(client.beta.sessions.threads.events.stream(THREAD, session_id=SESSION))
        _read(client)
    assert {row.request_model for row in _rows(watched)} == {OTHER, MODEL}


def test_a_session_that_nobody_has_fetched_has_no_price(watched: Watched, agents: Agents) -> None:
    """Its events do not name the model: tokens are told, and the cost is absent."""
    with client_of(agents) as client:
        _read(client)
    rated = [rate(row) for row in _rows(watched)]
    assert [(one.nano_usd, one.status) for one in rated] == [(None, "unknown_model")] * 2


def test_an_asynchronous_client_is_read_too(watched: Watched, agents: Agents) -> None:
    """The same rows."""
    silent: dict[str, Any] = {"open_telemetry": False} if TRACES_ITSELF else {}

    async def run() -> None:
        async with anthropic.AsyncAnthropic(base_url=agents.url, api_key=KEY, **silent) as client:
            await client.beta.sessions.retrieve(SESSION)
            async for _ in await client.beta.sessions.events.stream(SESSION):
                pass

    asyncio.run(run())
    assert [row.request_model for row in _rows(watched)] == [MODEL, MODEL]


FORMS: dict[str, Callable[[Any], Any]] = {
    "create": lambda client: client.beta.sessions.create(agent="a", environment_id="e"),
    "stream": lambda client: client.beta.sessions.events.stream(SESSION),
    "send": lambda client: client.beta.sessions.events.send(SESSION, events=[]),
    "thread": lambda client: client.beta.sessions.threads.retrieve(THREAD, session_id=SESSION),
}


@pytest.mark.parametrize("run", [run_sync, run_async])
@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_program_gets_what_it_gets_without_us(form: str, run: Callable[..., Outcome]) -> None:
    """Values, types and warnings, with content and without."""
    with Agents() as server:
        expected = run(FORMS[form], server)
    for capture in ("no_content", "span_and_event"):
        watched = Watched(capture_content=capture)
        try:
            with Agents() as server:
                assert run(FORMS[form], server) == expected
            assert len(watched.spans) == 1
            assert not guard.failures, guard.failures
        finally:
            watched.close()


@pytest.mark.parametrize(
    "event",
    [
        None,
        7,
        [],
        {"type": "span.model_request_end"},
        {"type": "span.model_request_end", "id": 3, "model_usage": USAGE},
        {"type": "span.model_request_end", "id": "x", "model_usage": "many"},
        {"type": "span.model_request_start", "id": "x", "processed_at": "soon"},
        {"type": "session", "id": "x", "agent": None},
        {"type": "session", "id": "x", "agent": {"model": {"id": None}}},
    ],
)
def test_odd_events_tell_nothing(event: Any) -> None:
    """And harm nothing."""
    assert (wire.answered(event), wire.begun(event), wire.asked_model(event)) == (None, None, None)


@pytest.mark.parametrize(
    ("url", "owner"),
    [
        ("/v1/sessions?beta=true", None),
        ("/v1/sessions/s/events/stream?beta=true", "s"),
        ("/v1/sessions/s/events", "s"),
        ("/v1/sessions/s/threads/t/stream?beta=true", "t"),
        ("https://host/v1/sessions/s/threads/t/events", "t"),
    ],
)
def test_whose_events_a_request_is_about(url: str, owner: str | None) -> None:
    """The thread's, where there is one in the path."""
    assert wire.owner_of(url) == owner
