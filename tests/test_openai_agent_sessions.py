"""Sessions of agents that OpenAI runs: what their turns say that they used is counted once, estimated."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from openai_forms_kit import KEY, Outcome, run_async, run_sync
from spantally.ground import guard
from spantally.ground.records import CallRecord
from spantally.instrumentors.openai.wire import agent_sessions as wire
from spantally.instrumentors.stainless import agent_sessions, batches
from spantally.pricing.rate import rate
from spantally.testing.loopback import Connection, LoopbackServer
from test_openai_endpoints_later import totals
from watching import Watched

pytestmark = pytest.mark.skipif(
    not hasattr(openai.resources.beta.Beta, "agents"), reason="this version has no such sessions"
)

SESSION = "as_1"
NOW = int(time.time())
USAGE: dict[str, Any] = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 120,
}


def _turn(number: int, status: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"turn_{number}",
        "object": "agent.session.turn",
        "agent_id": "agent_1",
        "session_id": SESSION,
        "status": status,
        "created_at": NOW - 60,
        "started_at": NOW - 50,
        "completed_at": NOW - 40,
        **fields,
    }


def _event(kind: str, turn: dict[str, Any], usage: Any = None) -> dict[str, Any]:
    said = {"event_id": f"{turn['id']}-{kind}", "session_id": SESSION, "turn_id": turn["id"], "turn": turn}
    return {**said, "type": f"agent.session.turn.{kind}", "usage": usage}


FAILED = _turn(2, "failed", error={"code": "server_error", "message": "no"})
CANCELLED = _turn(3, "cancelled")
EVENTS = [
    _event("created", _turn(1, "in_progress", completed_at=None)),
    _event("completed", _turn(1, "completed"), USAGE),
    _event("failed", FAILED, USAGE),
    _event("cancelled", CANCELLED),
]
_MADE: dict[str, Any] = {
    "id": SESSION,
    "object": "agent.session",
    "agent": {"id": "agent_1", "model": "gpt-4o", "service_tier": "auto"},
    "created_at": NOW,
    "status": "idle",
    "usage": {**USAGE, "input_tokens": 9_999, "total_tokens": 10_019},
}


class Agents(LoopbackServer):
    """A session with its events and turns; the usage of the last turn is known only later."""

    requests: list[Any]

    def __init__(self) -> None:
        super().__init__()
        self.requests = []

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return f"{self.url}/v1"

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Answer by the path."""
        path = connection.path.partition("?")[0]
        if path.endswith("/events"):
            said = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in EVENTS]
            connection.answer_chunks(200, said, {"content-type": "text/event-stream"})
        elif path.endswith("/turns"):
            turns = [{**_turn(1, "completed"), "usage": USAGE}, {**CANCELLED, "usage": USAGE}]
            connection.answer_json(200, {"object": "list", "data": turns, "has_more": False})
        elif "/turns/" in path:
            connection.answer_json(200, {**CANCELLED, "usage": USAGE})
        else:
            connection.answer_json(200, _MADE)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """No test meets the sessions of another."""
    batches.forget()
    agent_sessions.forget()
    yield
    batches.forget()
    agent_sessions.forget()


@pytest.fixture
def client() -> Iterator[openai.OpenAI]:
    """A client of such a server."""
    with Agents() as server, openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as made:
        yield made


def _rows(watched: Watched) -> list[CallRecord]:
    return watched.of("inference")


def test_each_turn_is_a_row(watched: Watched, client: openai.OpenAI, tmp_path: Path) -> None:
    """With the model of its session, its time, its end and its price; one that tells no usage has none."""
    client.beta.agents.sessions.retrieve(SESSION)
    assert len(list(client.beta.agents.sessions.events.stream(SESSION))) == len(EVENTS)
    rows = _rows(watched)
    assert [(row.request_model, row.status, row.error_type, row.estimated) for row in rows] == [
        ("gpt-4o", "ok", None, True),
        ("gpt-4o", "error", "server_error", True),
    ]
    assert [((row.end_ns or 0) - row.start_ns) / 1e9 for row in rows] == [10, 10]
    assert totals(watched.records, tmp_path) == (2, 200, 40)
    priced = rows[0]._replace(price_context={**(rows[0].price_context or {}), "provider": "openai"})
    assert rate(priced).nano_usd == 60 * 2500 + 40 * 1250 + 20 * 10000
    assert not guard.failures, guard.failures


def test_turns_that_are_read_twice_count_once(
    watched: Watched, client: openai.OpenAI, tmp_path: Path
) -> None:
    """Streamed, listed and fetched; the usage of one that told none is counted when it is known."""
    turns = client.beta.agents.sessions.turns
    client.beta.agents.sessions.retrieve(SESSION)
    list(client.beta.agents.sessions.events.stream(SESSION))
    assert len(list(turns.list(session_id=SESSION))) == 2
    turns.retrieve("turn_3", session_id=SESSION)
    assert [row.status for row in _rows(watched)] == ["ok", "error", "cancelled"]
    assert totals(watched.records, tmp_path) == (3, 300, 60)


def test_what_a_session_sums_up_is_no_call(watched: Watched, client: openai.OpenAI, tmp_path: Path) -> None:
    """Its usage is that of its turns."""
    client.beta.agents.sessions.retrieve(SESSION)
    client.beta.agents.sessions.update(SESSION, metadata={"a": "b"})
    assert totals(watched.records, tmp_path) == (0, 0, 0)


FORMS: dict[str, Callable[[Any], Any]] = {
    "retrieve": lambda client: client.beta.agents.sessions.retrieve(SESSION),
    "stream": lambda client: client.beta.agents.sessions.events.stream(SESSION),
    "turn": lambda client: client.beta.agents.sessions.turns.retrieve("turn_3", session_id=SESSION),
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
    "thing",
    [
        None,
        7,
        {"type": "agent.session.turn.completed"},
        {"type": "agent.session.turn.completed", "turn": 3, "usage": USAGE},
        _event("completed", {**_turn(1, "completed"), "id": 4}, USAGE),
        {**_turn(1, "in_progress"), "usage": USAGE},
        {"object": "agent.session", "id": "x", "agent": None},
    ],
)
def test_odd_things_tell_nothing(thing: Any) -> None:
    """And harm nothing."""
    assert (wire.answered(thing), wire.asked_model(thing)) == (None, None)
