"""What a span carries of a ledger: the whole row, and what the call was rated at where it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.money import CostStatus, Rating
from spantally.ground.records import CallRecord
from spantally.ledger.contract import Rater

_PAID_OTHERWISE: Final = frozenset({CostStatus.COVERED, CostStatus.FREE})
_NEVER_CARRIED: Final = frozenset({"content"})
RATING: Final = "rating"
_DEFAULTS: Final[Mapping[str, Any]] = CallRecord._field_defaults


def packed(record: CallRecord, rating: Rating | None) -> str:
    """A row, but for its content, as JSON for :data:`~spantally.ground.semconv.RECORD`.

    Args:
        record: of the ledger.
        rating: what it was rated at.
    """
    values: dict[str, Any] = {
        name: value
        for name, value in record._asdict().items()
        if name not in _NEVER_CARRIED and (name not in _DEFAULTS or value != _DEFAULTS[name])
    }
    if "tags" in values:
        values["tags"] = dict(values["tags"])
    if rating is not None:
        values[RATING] = rating._replace(parts=None)._asdict()
        del values[RATING]["parts"]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def unpacked(attributes: Mapping[str, Any]) -> CallRecord | None:
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
    values = {name: value for name, value in values.items() if name in CallRecord._fields}
    if "tags" in values:
        values["tags"] = tuple(sorted((str(key), str(value)) for key, value in dict(values["tags"]).items()))
    if "agent_path" in values:
        values["agent_path"] = tuple(map(str, values["agent_path"]))
    try:
        return CallRecord(**values)
    except TypeError as error:
        raise ValueError(f"{semconv.RECORD} lacks what a row has: {error}") from None


def rating_of(attributes: Mapping[str, Any]) -> Rating | None:
    """What a span says its call was rated at; None where it says nothing that stands for itself."""
    text = attributes.get(semconv.RECORD)
    if isinstance(text, str):
        try:
            values = json.loads(text)[RATING]
            return _checked(Rating(**{key: values[key] for key in values if key in Rating._fields}))
        except (ValueError, TypeError, KeyError):
            return None
    status, nano = attributes.get(semconv.COST_STATUS), attributes.get(semconv.COST_NANO_USD)
    if not isinstance(status, str) or (nano is None and status not in _PAID_OTHERWISE):
        return None
    source = attributes.get(semconv.COST_SOURCE)
    return _checked(Rating(nano, status, None, source if isinstance(source, str) else None))


def _checked(rating: Rating) -> Rating | None:
    nano = rating.nano_usd
    if nano is not None and (type(nano) is not int or not 0 <= nano < 2**63):
        return None
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
