"""What a span carries of a ledger: the whole row, who said what of it, and what it cost where it was made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from spantally.ground import semconv
from spantally.ground.money import CostStatus, Rating, UsageParts
from spantally.ground.records import CallRecord, Kind, LinkRecord, Status, UsageFormat
from spantally.ledger.contract import Rater
from spantally.ledger.merge import FIELD_GROUPS, Facts
from spantally.ledger.tally import LARGEST, Row

_PAID_OTHERWISE: Final = frozenset({CostStatus.COVERED, CostStatus.FREE})
_NEVER_CARRIED: Final = frozenset({"content"})
_STATUSES: Final = frozenset(CostStatus)
_PARTIAL: Final = "partial:"
_RATING: Final = "rating"
_RANKS: Final = "ranks"
_LINKS: Final = "links"
_RANKED: Final = frozenset(name for name, _, _ in FIELD_GROUPS)
_MOST_LINKS: Final = 1_000
_WORDS: Final[Mapping[str, frozenset[str]]] = {
    "kind": frozenset(Kind),
    "status": frozenset(Status),
    "usage_format": frozenset(UsageFormat),
}
_HEX: Final = {"trace_id": 32, "span_id": 16, "parent_span_id": 16}
"""What no redaction looks at, since a row has no other: a file may say any text there."""
_DEFAULTS: Final[Mapping[str, Any]] = CallRecord._field_defaults
_UNRATED: Final[Mapping[str, Any]] = Rating._field_defaults


class Carried(NamedTuple):
    """A row of a ledger, as a span brings it."""

    row: Row
    links: tuple[LinkRecord, ...]
    """Of the spans between it and the row around it that are no operation."""


def packed(row: Row, links: Iterable[LinkRecord] = ()) -> str:
    """A row, but for its content, as JSON for :data:`~spantally.ground.semconv.RECORD`.

    Args:
        row: of the ledger.
        links: of the spans between it and the row around it that are no operation, innermost first.
    """
    record, ranks = row.facts
    values: dict[str, Any] = {
        name: value
        for name, value in record._asdict().items()
        if name not in _NEVER_CARRIED and (name not in _DEFAULTS or value != _DEFAULTS[name])
    }
    if "tags" in values:
        values["tags"] = dict(values["tags"])
    if ranks is not None:
        values[_RANKS] = dict(ranks)
    if row.rating is not None:
        values[_RATING] = _rating_values(row.rating)
    chain = [[link.span_id, link.parent_span_id, link.end_ns] for link in links]
    if chain:
        values[_LINKS] = chain
    return json.dumps(values, separators=(",", ":"))


def _rating_values(rating: Rating) -> dict[str, Any]:
    values = {
        name: value
        for name, value in rating._asdict().items()
        if name not in _UNRATED or value != _UNRATED[name]
    }
    if rating.parts is not None:
        values["parts"] = told(rating.parts)
    return values


def told(parts: UsageParts) -> dict[str, int]:
    """The parts of a usage that are not zero, as ``spantally.usage`` has them."""
    return {name: count for name, count in parts._asdict().items() if count}


def unpacked(attributes: Mapping[str, Any]) -> Carried | None:
    """The row that a span from a ledger carries; None for any other span.

    Raises:
        ValueError: what it carries is no row.
    """
    text = attributes.get(semconv.RECORD)
    if not isinstance(text, str):
        return None
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"{semconv.RECORD} is no object")  # noqa: TRY004 - what it says is wrong
    record = _record(values)
    return Carried(
        Row(Facts(record, _ranks(values.get(_RANKS))), _rating(values.get(_RATING))),
        _links(record, values.get(_LINKS)),
    )


def _record(values: Mapping[str, Any]) -> CallRecord:
    values = {name: value for name, value in values.items() if name in CallRecord._fields}
    if "tags" in values:
        values["tags"] = tuple(sorted((str(key), str(value)) for key, value in dict(values["tags"]).items()))
    for name in ("agent_path", "finish_reasons"):
        if name in values:
            values[name] = tuple(map(str, values[name]))
    for name, words in _WORDS.items():
        if values.get(name) is not None and values[name] not in words:
            raise ValueError(f"{semconv.RECORD} has a {name} that is none")
    for name, digits in _HEX.items():
        text = values.get(name)
        if text is not None and not (
            type(text) is str and len(text) == digits and re.fullmatch("[0-9a-f]*", text)
        ):
            raise ValueError(f"{semconv.RECORD} has a {name} that is none")
    try:
        return CallRecord(**values)
    except TypeError as error:
        raise ValueError(f"{semconv.RECORD} lacks what a row has: {error}") from None


def _ranks(values: Any) -> Mapping[str, int] | None:
    if values is None:
        return None
    if not isinstance(values, dict) or not all(
        name in _RANKED and type(rank) is int and -1 <= rank < LARGEST for name, rank in values.items()
    ):
        raise ValueError(f"{semconv.RECORD} has {_RANKS} that are none")
    return values


def _rating(values: Any) -> Rating | None:
    if values is None:
        return None
    try:
        found = {name: value for name, value in values.items() if name in Rating._fields}
        parts = found.pop("parts", None)
        made = Rating(**found, parts=None if parts is None else UsageParts(**parts))
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{semconv.RECORD} has a {_RATING} that is none: {error}") from None
    numbers = (*(made.parts or ()), made.nano_usd, made.list_nano_usd, *made[6:8])
    if (
        not all(one is None or (type(one) is int and -LARGEST < one < LARGEST) for one in numbers)
        or not (made.status in _STATUSES or (type(made.status) is str and made.status.startswith(_PARTIAL)))
        or not all(one is None or type(one) is str for one in (made.source, made.price_id))
        or type(made.cache_reported) is not bool
    ):
        raise ValueError(f"{semconv.RECORD} has a {_RATING} that is none")
    return made


def _links(record: CallRecord, values: Any) -> tuple[LinkRecord, ...]:
    if not values or not record.trace_id:
        return ()
    if not isinstance(values, list) or len(values) > _MOST_LINKS:
        raise ValueError(f"{semconv.RECORD} has {_LINKS} that are none")
    made = []
    for one in values:
        span_id, parent_id, end_ns = one
        if type(span_id) is not str or not (parent_id is None or type(parent_id) is str):
            raise ValueError(f"{semconv.RECORD} has {_LINKS} that are none")
        if type(end_ns) is not int or not 0 <= end_ns < 2**63:
            raise ValueError(f"{semconv.RECORD} has {_LINKS} that are none")
        made.append(LinkRecord(record.trace_id, span_id, parent_id, end_ns))
    return tuple(made)


def rating_of(attributes: Mapping[str, Any]) -> Rating | None:
    """What a live span says its call was rated at; None where it says nothing that stands for itself."""
    status, nano = attributes.get(semconv.COST_STATUS), attributes.get(semconv.COST_NANO_USD)
    if not isinstance(status, str) or (nano is None and status not in _PAID_OTHERWISE):
        return None
    if nano is not None and (type(nano) is not int or not 0 <= nano < 2**63):
        return None
    source = attributes.get(semconv.COST_SOURCE)
    rating = Rating(nano, status, None, source if isinstance(source, str) else None)
    return None if rating.status == CostStatus.PENDING else rating


class CarriedRates:
    """A rater that takes the word of the span, and otherwise asks another one.

    Args:
        rate: prices what nobody has priced, and tells the parts of a usage.
    """

    def __init__(self, rate: Rater) -> None:
        self._rate = rate
        self.known: dict[str, Rating] = {}
        """By call id."""

    def __call__(self, record: CallRecord) -> Rating:
        """The rating of a record."""
        mine = self._rate(record)
        said = self.known.get(record.call_id)
        if said is None:
            return mine
        if (said.nano_usd, said.status) == (mine.nano_usd, mine.status) and said.price_id is None:
            return mine
        return said._replace(parts=mine.parts)
