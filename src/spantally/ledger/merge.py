"""Merging what several observers say of one operation: field by field, with no regard to order.

Every field of a row carries a rank: who said it (precedence), and whether they said it at the end. A merge
takes, for each field, the value of the higher rank; None and empty values never win; between equal ranks
the larger canonical text wins. Taking a maximum is commutative, associative and idempotent, which is why
re-delivery changes nothing and the order of arrival has no effect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from spantally.ground.records import CallRecord, Status, is_mark

_GROUPS: Final[tuple[tuple[str, ...], ...]] = (
    # Values that only mean something together are one field; the first decides whether it is absent.
    ("usage", "usage_format", "estimated"),
    ("trace_id", "span_id"),
    ("session_id", "implicit_session"),
    ("entity_type", "entity_id"),
    ("kind", "operation"),
    ("server_address", "server_port"),
)
_END_GROUPS: Final[tuple[tuple[str, ...], ...]] = (
    # An observer that saw the end beats one of any precedence that only saw the beginning.
    ("status", "error_type", "abandoned", "process"),
    ("end_ns",),
)
_APART: Final = frozenset({"call_id", "precedence"})


def _groups() -> tuple[tuple[str, tuple[int, ...], bool], ...]:
    """Every mergeable field or group: name, positions in a record, and whether the end decides."""
    index = {name: place for place, name in enumerate(CallRecord._fields)}
    taken = {name for group in (*_GROUPS, *_END_GROUPS) for name in group} | _APART
    single = tuple((name,) for name in CallRecord._fields if name not in taken)
    return tuple(
        (group[0], tuple(index[name] for name in group), group in _END_GROUPS)
        for group in (*_GROUPS, *_END_GROUPS, *single)
    )


FIELD_GROUPS: Final = _groups()

_ENDED_BONUS: Final = 1000
"""More than any precedence: for what only the end tells, having seen it comes first."""


class Facts(NamedTuple):
    """A record with the rank of each of its fields; ``ranks`` None means that all come from one record."""

    record: CallRecord
    ranks: Mapping[str, int] | None = None


def is_running(record: CallRecord) -> bool:
    """True while only the beginning of the operation is known."""
    return record.status == Status.RUNNING


def _told(record: CallRecord) -> int:
    """How far a view of an operation goes: a started mark, what became of it, or what somebody saw."""
    if record.process is None:
        return 2
    return 0 if is_mark(record) else 1


def _own_rank(record: CallRecord, by_end: bool) -> int:
    ended = 0 if is_running(record) else 1
    if by_end:
        return ended * _ENDED_BONUS + int(record.precedence)
    return int(record.precedence) * 2 + ended


def _absent(value: object) -> bool:
    # An empty tuple (no tags, no agents) says nothing; False and 0 do say something.
    return value is None or value == () or value == {}


def canonical(value: object) -> str:
    """One text for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def join(left: Facts, right: Facts) -> Facts:
    """The merge of two views of one operation; keeps the call id of ``left``.

    Args:
        left: what is known, of the row that stays.
        right: what arrived, or the row that is a second view of it.
    """
    if left.ranks is None and left.record == right.record and right.ranks is None:
        return left
    told, more = _told(left.record), _told(right.record)
    if told != more:
        # A mark stands only until somebody saw more: then nothing of it is left, whichever came first.
        record = right.record._replace(call_id=left.record.call_id)
        return left if told > more else Facts(record, right.ranks)
    values: list[Any] = list(left.record)
    ranks: dict[str, int] = {}
    for name, places, by_end in FIELD_GROUPS:
        ours = _rank_of(left, name, places[0], by_end)
        theirs = _rank_of(right, name, places[0], by_end)
        # Of a group whose first value is absent at both, the rest must not depend on who came first either.
        decided = theirs >= 0 or len(places) > 1
        if theirs > ours or (theirs == ours and decided and _larger(right.record, left.record, places)):
            for place in places:
                values[place] = right.record[place]
            ours = theirs
        if ours >= 0:
            ranks[name] = ours
    record = CallRecord(*values)._replace(
        precedence=max(int(left.record.precedence), int(right.record.precedence))
    )
    merged = Facts(record)
    uniform = all(
        ranks.get(name, -1) == _rank_of(merged, name, places[0], by_end)
        for name, places, by_end in FIELD_GROUPS
    )
    return merged if uniform else Facts(record, ranks)


def _rank_of(facts: Facts, name: str, place: int, by_end: bool) -> int:
    """Rank of one field, -1 where it is absent."""
    if _absent(facts.record[place]):
        return -1
    if facts.ranks is not None:
        return facts.ranks.get(name, -1)
    return _own_rank(facts.record, by_end)


def _larger(one: CallRecord, other: CallRecord, places: tuple[int, ...]) -> bool:
    mine = [one[place] for place in places]
    yours = [other[place] for place in places]
    return mine != yours and canonical(mine) > canonical(yours)
