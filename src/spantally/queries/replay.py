"""A session as it went: what began, ended and happened, in order of time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spantally.ledger.contract import CallRow, EventRow
from spantally.queries.tree import SessionTree

START = "start"
END = "end"
EVENT = "event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One moment of a session."""

    at_ns: int
    """UNIX time in nanoseconds."""
    what: str
    """``start`` or ``end`` of a row, or an ``event``."""
    depth: int
    """How many rows are around it, 0 at the top."""
    call: CallRow | None = None
    """The row that began or ended."""
    event: EventRow | None = None
    """What happened: a decision, an evaluation and the like."""


def build_replay(tree: SessionTree, events: Iterable[EventRow]) -> list[Step]:
    """The steps of a session and its child sessions, by time.

    A row of which no end is known has a start alone. At one moment what encloses begins first and ends last.

    Args:
        tree: the session.
        events: its events.
    """
    timed: list[tuple[tuple[int, int, int], Step]] = []
    depths: dict[str, int] = {}
    for place, (depth, node) in enumerate(tree.walk()):
        row = node.call
        depths[row.call_id] = depth
        start, end = row.started_ns, row.ended_ns
        timed.append(((start, 2, place), Step(at_ns=start, what=START, depth=depth, call=row)))
        if end is not None:
            # What took no time ends after it began, everything else before what begins at its end.
            key = (end, 1, -place) if end > start else (end, 3, -place)
            timed.append((key, Step(at_ns=end, what=END, depth=depth, call=row)))
    for event in events:
        depth = depths.get(event.call_id or "", -1) + 1
        step = Step(at_ns=event.time_ns, what=EVENT, depth=depth, event=event)
        timed.append(((event.time_ns, 2, len(depths) + len(timed)), step))
    timed.sort(key=lambda entry: entry[0])
    return [step for _, step in timed]
