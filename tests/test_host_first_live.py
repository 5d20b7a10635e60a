"""Live sessions with us and without: events, exceptions and frames are the same, also where we fail."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import context as otel_context

import spantally
from live_kit import CONNECTS, delegated, on_events, over, said, sound, start, started, used
from sockets_kit import CLOSE, DROP, MODES, Both, SocketServer, response, settled, talk_async, tool_item
from spantally.calls.operation import open_operations
from spantally.ground import guard
from spantally.redaction import Redactor
from test_host_first_faults import Boom, Fault, _force
from test_host_first_sockets import _DRAWN, _bill, _plain
from watching import Watched

pytest.importorskip("openai.resources.live", reason="a version of the SDK without the Live API")

LIVE = "spantally.instrumentors.openai.socket_live"
CONNECTION = "spantally.instrumentors.openai.socket_connection"
SOCKETS = "spantally.instrumentors.openai.sockets"
FRAMES = "spantally.instrumentors.openai.wire.frames"
FACTS = "spantally.instrumentors.openai.wire.live"

FAULTS = (
    # entering
    Fault(f"{SOCKETS}:LiveConnection", ("openai.socket_enter",), metered=False),
    Fault(f"{SOCKETS}:_Entry._leave", ("openai.socket_opened",), metered=False),
    Fault(f"{SOCKETS}:plain", ("openai.socket_queue",)),
    # sending
    Fault(f"{LIVE}:LiveConnection.sending", ("openai.socket_send",), metered=False),
    Fault(f"{LIVE}:LiveConnection._start", ("openai.socket_send", "openai.socket_event"), metered=False),
    Fault(f"{CONNECTION}:begin", ("openai.socket_send", "openai.socket_event"), metered=False),
    Fault(f"{CONNECTION}:_entered", ("openai.socket_send", "openai.socket_event"), metered=False),
    Fault(f"{FACTS}:session_body", ("openai.socket_send", "openai.socket_event"), metered=False),
    Fault(f"{SOCKETS}:_sent_raw", ("openai.socket_send",)),
    Fault(f"{LIVE}:LiveConnection.unsent", ("openai.socket_sent",), metered=False),
    # receiving
    Fault(f"{LIVE}:LiveConnection.received", ("openai.socket_event",), metered=False),
    Fault(f"{LIVE}:parsed", ("openai.socket_event",), metered=False),
    Fault(f"{FRAMES}:event_type", ("openai.socket_event",), metered=False),
    Fault(f"{LIVE}:infer_tool_results", ("openai.socket_event",), metered=False),
    Fault(f"{FACTS}:delegate_of", ("openai.socket_send", "openai.socket_event"), metered=False),
    Fault(f"{FACTS}:usage_of", ("openai.socket_event",), metered=False),
    Fault(f"{FACTS}:LiveFacts.observe", ("openai.socket_event",), metered=False),
    Fault(f"{FACTS}:LiveFacts.facts", ("sdk.stream_facts",), metered=False),
    Fault(f"{FACTS}:LiveFacts.content", ("sdk.stream_facts",)),
    Fault(f"{CONNECTION}:Connection.lost", ("openai.socket_lost",), metered=False),
    # the end
    Fault(f"{LIVE}:LiveConnection._taken", ("openai.socket_event", "openai.socket_close"), metered=False),
    Fault(
        f"{LIVE}:LiveConnection._drain",
        ("openai.socket_lost", "openai.socket_close", "openai.socket_left"),
        metered=False,
    ),
)


async def _whole(connection: Both) -> Any:
    await connection.send(start())
    seen = [await connection.recv() for _ in range(8)]
    item = {"type": "function_call_output", "call_id": "call_1", "output": "found"}
    await connection.send({"type": "response.item.create", "item": item})
    await connection.ask()
    seen += [await connection.recv() for _ in range(4)]
    await connection.send({"type": "session.close"})
    return seen + [event async for event in connection.events()]


async def _raw(connection: Both) -> Any:
    await connection.send_raw('{"type": "session.start", "session": {"model": "gpt-live-1"}}')
    seen = [await connection.recv_bytes() for _ in range(8)]
    await connection.close()
    return seen


async def _lost(connection: Both) -> Any:
    await connection.send(start())
    return [event async for event in connection.events()]


async def _refused(connection: Both) -> Any:
    await connection.send(start())
    return [await connection.recv()]


async def _unsent(connection: Both) -> Any:
    async for _ in connection.events():
        pass
    await connection.send(start())


async def _kept(connection: Both) -> Any:
    """Nobody closes it: it is collected."""
    await connection.send(start())
    return [await connection.recv() for _ in range(2)]


FIRST = [started(), sound(), said("hello"), used(5), *delegated(item=tool_item())]
ERROR = {
    "type": "error",
    "event_id": "event_e",
    "error": {"type": "invalid_request_error", "code": "no", "message": "no"},
}
DECISION = {"id": "dec_1", "model": "m", "answers": [], "usage": {"input_tokens": 5, "output_tokens": 1}}
DECIDED = {
    "delegation_id": None,
    "event": {"decision": DECISION, "type": "decision.completed"},
    "event_id": "event_d",
    "type": "decision.event",
}
BEGUN = {
    "type": "response.event",
    "event_id": "event_n",
    "event": {"type": "response.created", "response": response("resp_9")},
}
PROGRAMS: dict[str, tuple[Any, dict[str, list[Any]], list[Any]]] = {
    "whole": (
        _whole,
        {
            "session_start": FIRST,
            "response_create": delegated("resp_2"),
            "session_close": [DECIDED, used(6), over(7), DROP],
        },
        [],
    ),
    "raw": (_raw, {"session_start": FIRST}, []),
    "lost": (_lost, {"session_start": [started(), BEGUN, DROP]}, []),
    "refused": (_refused, {"session_start": [ERROR]}, []),
    "unsent": (_unsent, {}, [CLOSE]),
}


def _run(name: str, mode: str, api: str = "live", *, queued: bool = False) -> Any:
    """Everything about a program that it, or the server, could notice."""
    program, script, greeting = PROGRAMS[name]

    def connect(client: Any) -> Any:
        manager = CONNECTS[api](client)
        if queued:
            manager.send(start())
        return manager

    with SocketServer(on_events(**script), greeting) as server:
        try:
            outcome = _plain(asyncio.run(talk_async(mode, server, program, connect=connect)))
        except Exception as error:
            outcome = type(error), _DRAWN.sub("", str(error))
        headers = [
            {key: value for key, value in one.items() if key not in ("Host", "Sec-WebSocket-Key")}
            for one in server.headers
        ]
    return outcome, server.received, headers, server.paths


def _collected(mode: str) -> Any:
    """A connection that nobody closes."""

    async def run(server: SocketServer) -> Any:
        client = server.client() if mode == "sync" else server.async_client()
        connection = Both(await settled(client.live.connect().enter()))
        seen = await _kept(connection)
        raw = connection.connection._connection
        del connection
        gc.collect()
        await settled(raw.close())
        await settled(client.close())
        return seen

    with SocketServer(on_events(session_start=FIRST)) as server:
        return _plain(asyncio.run(run(server)))


def _run_all() -> dict[str, Any]:
    found = {f"{name} {mode}": _run(name, mode) for name in PROGRAMS for mode in MODES}
    for mode in MODES:
        found[f"forks {mode}"] = _run("raw", mode, "forks")
        found[f"queued {mode}"] = _run("refused", mode, queued=True)
        found[f"collected {mode}"] = _collected(mode)
    gc.collect()
    return found


@pytest.fixture(scope="module")
def without_us() -> dict[str, Any]:
    """What the programs meet when nothing is instrumented."""
    spantally.uninstrument()
    return _run_all()


@pytest.fixture
def active() -> Iterator[Watched]:
    """spantally with all content on, so that every part runs."""
    before = otel_context.get_current()
    made = Watched(capture_content="span_and_event", ledger_content="all", redact=Redactor())
    yield made
    made.close()
    otel_context.attach(before)  # a forced failure may have kept a context from being left
    open_operations.clear()


@pytest.fixture(scope="module")
def full_bill(without_us: dict[str, Any]) -> list[tuple[str, str]]:
    """What is metered when nothing fails."""
    watched = Watched()
    try:
        assert _run_all() == without_us
        assert not guard.failures
        return _bill(watched)
    finally:
        watched.close()


def test_programs_meet_what_they_meet_without_us(full_bill: list[tuple[str, str]]) -> None:
    """Events by value and type, exceptions, frames and handshakes are the same; all is metered."""
    # Of "whole" session, two responses and a decision; of "raw", "lost" and "forks" session and response.
    assert len(full_bill) == len(MODES) * (4 + 3 * 2 + len(["refused", "unsent", "queued", "collected"]))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.target.removeprefix("spantally."))
def test_failure_of_a_part_stays_ours(
    fault: Fault, active: Watched, without_us: dict[str, Any], full_bill: list[tuple[str, str]]
) -> None:
    """Whatever raises in a hook is counted as ours, and every program goes on as without us."""
    with pytest.MonkeyPatch.context() as patch:
        _force(patch, fault.target)
        got = _run_all()
    assert {name for name in got if got[name] != without_us[name]} == set()
    met = {where for where, kind in guard.failures if kind == Boom.__name__}
    assert set(fault.places) <= met
    if fault.metered:
        assert _bill(active) == full_bill


def test_failure_at_a_piece_stays_ours(without_us: dict[str, Any]) -> None:
    """Pieces are told by their frames alone only where nobody wants content."""
    watched = Watched()
    try:
        with pytest.MonkeyPatch.context() as patch:
            _force(patch, f"{FRAMES}:is_piece")
            got = _run_all()
        assert got == without_us
        assert ("openai.socket_event", Boom.__name__) in guard.failures
    finally:
        watched.close()
        open_operations.clear()
