"""What happened in a session, in one order of time: what was told, and what its rows say began and ended.

Starts and ends of agents, tools, calls and workflows are stored once, as rows; here each row is read as the
events that it stands for. All of it is read in pages, and in memory are a page of each session and what was
open at the moment that is being told.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, TypeAlias, TypeVar

from spantally.ground import semconv
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.records import COUNTED_KINDS, Kind, Status
from spantally.ledger.contract import CallRow, EventRow, Filter, Store

PAGE: Final = 512
"""Rows that are read at once, of all sessions together."""

SMALLEST_PAGE: Final = 16

MOST_AGENTS: Final = 10_000
"""Agents whose steps are counted at once; of one that began before so many others no more step is told."""

_Row = TypeVar("_Row", CallRow, EventRow)
_Key: TypeAlias = tuple[int, int, str, int]
_Timed: TypeAlias = tuple[_Key, EventRow]
_Page: TypeAlias = Callable[[str, tuple[int, str] | None, int], list[_Row]]

_ENDS, _BEGINS, _ENDS_AT_ONCE = range(3)
"""At one moment what ends comes first, then what begins or was told, then what ends and took no time."""

_NAMES: Final[dict[str, tuple[str, str]]] = {
    Kind.AGENT: (semconv.EVENT_AGENT_START, semconv.EVENT_AGENT_FINISH),
    Kind.WORKFLOW: (semconv.EVENT_WORKFLOW_START, semconv.EVENT_WORKFLOW_FINISH),
    Kind.TOOL: (semconv.EVENT_TOOL_CALL, semconv.EVENT_TOOL_RESULT),
}
_SHORT: Final = {"evaluation": semconv.EVENT_EVALUATION_RESULT}
"""What a type is called for short, where that is not its name without ours before it."""

_NAME_KEYS: Final[dict[str, str]] = {
    Kind.AGENT: semconv.AGENT_NAME,
    Kind.WORKFLOW: semconv.WORKFLOW_NAME,
    Kind.TOOL: semconv.TOOL_NAME,
}
_OPEN: Final = (Status.RUNNING, Status.INTERRUPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events are meant; None leaves all."""

    types: frozenset[str] | None = None
    agent: str | None = None
    since_ns: int | None = None
    told: bool = False
    """Only what the program told."""

    @property
    def rows(self) -> bool:
        """Whether rows have to be read."""
        return not self.told and (self.types is None or not self.types.isdisjoint(semconv.ROW_EVENTS))

    def fits(self, event: EventRow) -> bool:
        """Whether an event is meant."""
        return (
            (self.types is None or event.type in self.types)
            and (self.agent is None or self.agent in event.agent_path)
            and (self.since_ns is None or event.time_ns >= self.since_ns)
        )


def types_of(value: object) -> frozenset[str] | None:
    """The types of events that a text, or a list of texts, means; None for all.

    Raises:
        ArgumentError: for anything else.
    """
    if value is None:
        return None
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, (list, tuple, set, frozenset)) or not given:
        raise ArgumentError(
            f"type={shown(value)} is not a type of events; use a text such as message, or a list"
        )
    for one in given:
        if not isinstance(one, str) or not one:
            raise ArgumentError(f"type={shown(one)} is not a type of events; use a text such as message")
    return frozenset(
        name for one in given for name in (one, f"spantally.{one}", *([_SHORT[one]] if one in _SHORT else ()))
    )


def iter_events(store: Store, sessions: Sequence[str], wanted: Wanted) -> Iterator[EventRow]:
    """Events of sessions, by time.

    Args:
        store: where they are.
        sessions: their ids.
        wanted: which events.
    """
    page = max(SMALLEST_PAGE, PAGE // max(1, len(sessions)))
    told = (_told(event) for event in _merged(store, sessions, "events", page, _moment_of))
    streams: list[Iterator[_Timed]] = [told]
    if wanted.rows:
        streams.append(_row_events(_merged(store, sessions, "calls", page, _start_of)))
    for _, event in heapq.merge(*streams, key=itemgetter(0)):
        if wanted.fits(event):
            yield event


def _merged(
    store: Store,
    sessions: Sequence[str],
    what: str,
    page: int,
    place: Callable[[Any], tuple[int, str]],
) -> Iterator[Any]:
    """Rows or told events of all sessions, each session read page by page, by their places."""
    return heapq.merge(*(_paged(store, one, what, page, place) for one in sessions), key=place)


def _paged(
    store: Store, session_id: str, what: str, size: int, place: Callable[[Any], tuple[int, str]]
) -> Iterator[Any]:
    read: _Page[Any] | None = getattr(store, f"{what}_page", None)
    if read is None:
        yield from _whole(store, session_id, what, place)
        return
    after: tuple[int, str] | None = None
    while True:
        found = read(session_id, after, size)
        yield from found
        if len(found) < size:
            return
        after = place(found[-1])


def _whole(store: Store, session_id: str, what: str, place: Callable[[Any], tuple[int, str]]) -> list[Any]:
    """Of a store that has no pages."""
    if what == "calls":
        return sorted(store.calls(Filter(session_id=session_id)), key=place)
    read = getattr(store, "events", None)
    return [] if read is None else sorted(read(session_id), key=place)


def _moment_of(event: EventRow) -> tuple[int, str]:
    return event.time_ns, event.event_id


def _start_of(row: CallRow) -> tuple[int, str]:
    return row.started_ns, row.call_id


def _told(event: EventRow) -> _Timed:
    return (event.time_ns, _BEGINS, event.event_id, 0), event


class _Steps:
    """Counts the model calls of each agent's loop: those beneath it with no tool or other agent between."""

    def __init__(self) -> None:
        self._agents: OrderedDict[str, list[int]] = OrderedDict()
        """Counts by the id of an agent, and of a workflow within it."""

    def turn(self, row: CallRow) -> int | None:
        """Which step of its agent a row is, None for one that is none; rows come by their start."""
        if row.kind == Kind.AGENT:
            self._keep(row.call_id, [0])
        count = self._agents.get(row.parent_call_id or "")
        if count is None:
            return None
        if row.kind == Kind.WORKFLOW:
            self._keep(row.call_id, count)
        if row.kind != Kind.INFERENCE or not (row.counted or row.status in _OPEN):
            return None  # a second view of a call is no step of its own
        count[0] += 1
        return count[0]

    def _keep(self, call_id: str, count: list[int]) -> None:
        self._agents[call_id] = count
        if len(self._agents) > MOST_AGENTS:
            self._agents.popitem(last=False)


def _row_events(rows: Iterator[CallRow]) -> Iterator[_Timed]:
    """What rows stand for, by time; rows come by their start."""
    ends: list[tuple[_Key, str, EventRow]] = []
    steps = _Steps()
    for row in rows:
        first: _Key = (row.started_ns, _BEGINS, row.call_id, 0)
        while ends and ends[0][0] < first:
            key, _, event = heapq.heappop(ends)
            yield key, event
        turn = steps.turn(row)
        if turn is not None:
            attributes = {semconv.LOOP_TURN: turn, **_asked(row)}
            yield first, _event(row, "step", semconv.EVENT_LOOP_STEP, row.started_ns, attributes)
        yield (*first[:3], 1), _start(row)
        end = _end(row)
        if end is not None:
            # Of what ends at one moment the innermost, which began last, is the first.
            late = f"{2**63 - row.started_ns:020d}"
            phase = _ENDS if end.time_ns > row.started_ns else _ENDS_AT_ONCE
            heapq.heappush(ends, ((end.time_ns, phase, late, 0), row.call_id, end))
    while ends:
        key, _, event = heapq.heappop(ends)
        yield key, event


def _start(row: CallRow) -> EventRow:
    name = _NAMES.get(row.kind, (semconv.EVENT_CALL_START, ""))[0]
    attributes = _asked(row)
    if row.kind == Kind.TOOL:
        attributes |= _content(row, "arguments", semconv.TOOL_CALL_ARGUMENTS)
    return _event(row, "start", name, row.started_ns, attributes)


def _end(row: CallRow) -> EventRow | None:
    """The event of a row's end; None while it is open, and where nobody saw when it ended."""
    if row.status in _OPEN:
        return None
    name = _NAMES.get(row.kind, ("", semconv.EVENT_CALL_FINISH))[1]
    if row.kind == Kind.TOOL and row.status != Status.OK:
        name = semconv.EVENT_TOOL_ERROR
    attributes = {**_asked(row), semconv.ROW_STATUS: row.status}
    more = {
        semconv.ERROR_TYPE: row.error_type,
        semconv.ROW_DURATION: row.duration_ms,
        semconv.RESPONSE_MODEL: row.response_model,
        semconv.RESPONSE_ID: row.response_id,
    }
    if row.kind in COUNTED_KINDS:
        more[semconv.USAGE_INPUT_TOKENS] = row.input_tokens
        more[semconv.USAGE_OUTPUT_TOKENS] = row.output_tokens
    if row.cost_status is not None:
        more[semconv.COST_NANO_USD] = row.cost_nano_usd
        more[semconv.COST_STATUS] = row.cost_status
    attributes.update((key, value) for key, value in more.items() if value is not None)
    if row.kind == Kind.TOOL:
        attributes |= _content(row, "result", semconv.TOOL_CALL_RESULT)
    moment = row.started_ns if row.ended_ns is None else max(row.ended_ns, row.started_ns)
    return _event(row, "end", name, moment, attributes)


def _asked(row: CallRow) -> dict[str, Any]:
    """What was known of a row when it began."""
    named = _NAME_KEYS.get(row.kind)
    found = {
        named or "": row.name if named else None,
        semconv.OPERATION_NAME: row.operation,
        semconv.PROVIDER_NAME: row.provider,
        semconv.REQUEST_MODEL: row.request_model,
        semconv.TOOL_CALL_ID: row.tool_call_id if row.kind == Kind.TOOL else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def _content(row: CallRow, name: str, key: str) -> dict[str, Any]:
    value = (row.content or {}).get(name)
    return {} if value is None else {key: value}


def _event(row: CallRow, what: str, name: str, time_ns: int, attributes: dict[str, Any]) -> EventRow:
    return EventRow(
        event_id=f"{row.call_id}:{what}",
        session_id=row.session_id,
        type=name,
        time_ns=time_ns,
        call_id=row.call_id,
        agent_path=row.agent_path,
        trace_id=row.trace_id,
        span_id=row.span_id,
        attributes=attributes,
        derived=True,
    )
