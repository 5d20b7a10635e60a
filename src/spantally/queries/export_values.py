"""Values of providers' exports: times, counts and amounts, exact, each wrong one named with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from spantally.ground.errors import ArgumentError
from spantally.ground.money import NANO

HALF_CENT: Final = 5_000_000
"""Nano-USD: amounts in whole cents may be off by so much."""
_LARGEST: Final = 10**15
_COUNT_GROUPS: Final = re.compile(r"[1-9]\d{0,2}(,\d{3})+(\.0*)?")
_AMOUNT_GROUPS: Final = re.compile(r"-?[1-9]\d{0,2}(,\d{3})+(\.\d*|(?<=,\d{3},\d{3}))")
"""Thousands apart by commas. A lone comma of an amount may be the decimal one: 1,234 is refused."""
_YEARS: Final = range(1970, 9999)
"""Others have no neighbouring day, or no time in some zone."""


class ExportLine(NamedTuple):
    """One line of an export: what a provider counted of one model in one stretch of time."""

    start_ns: int | None
    """UNIX time at which it begins; None where only a day is told."""
    day: str | None
    """The day, where no time is told."""
    model: str | None
    """As the provider writes it; None where the export is not by model, or the line is of none."""
    calls: int | None = None
    input_tokens: int | None = None
    """All input, cached tokens included."""
    output_tokens: int | None = None
    cost_nano_usd: int | None = None
    tolerance: int = 0
    """Nano-USD by which the provider's rounding may be off."""


class Export(NamedTuple):
    """What a file holds."""

    format: str
    """Name of the format, as the documentation lists them."""
    provider: str | None
    """``gen_ai.provider.name`` of whose export it is; None where the file does not say."""
    lines: list[ExportLine]
    kind: str | None = None
    """The kind of call that the export is of; None for all."""
    notes: tuple[str, ...] = ()
    """What to know of it: a page that is missing, a currency."""


class ExportError(ArgumentError):
    """A file that is no export that is known, or that holds what cannot be; the text says what and where."""


def count(row: Mapping[str, Any], name: str, place: str) -> int | None:
    """A count; None where it is absent or empty.

    Raises:
        ExportError: it is no count.
    """
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        number = Decimal(_without_groups(str(value).strip(), _COUNT_GROUPS))
    except InvalidOperation:
        raise ExportError(f"{place}: {name}={value!r} is not a count") from None
    if not number.is_finite() or number != number.to_integral_value() or not 0 <= number < _LARGEST:
        raise ExportError(f"{place}: {name}={value!r} is not a count")
    return int(number)


def total(row: Mapping[str, Any], names: tuple[str, ...], place: str) -> int | None:
    """The sum of counts; None where none of them is told."""
    found = [one for one in (count(row, name, place) for name in names) if one is not None]
    return sum(found) if found else None


def amount(value: Any, name: str, place: str, *, cents: bool = False) -> tuple[int, int] | None:
    """Nano-USD of an amount of US dollars (or cents), and by how much its rounding may be off.

    Raises:
        ExportError: it is no amount.
    """
    if value is None or value == "":
        return None
    text = str(value).strip().removeprefix("$")
    try:
        number = Decimal(_without_groups(text, _AMOUNT_GROUPS))
    except InvalidOperation:
        raise ExportError(
            f"{place}: {name}={value!r} is not an amount; use dollars with a decimal point, such as 1234.56"
        ) from None
    if not number.is_finite() or abs(number) > 10**9:
        raise ExportError(f"{place}: {name}={value!r} is not an amount")
    dollars = number / 100 if cents else number
    nano = int((dollars * NANO).to_integral_value(ROUND_HALF_EVEN))
    decimals = -int(number.as_tuple().exponent)
    rounded = isinstance(value, str) and not cents and decimals == 2
    return nano, HALF_CENT if rounded else 1000


def _without_groups(text: str, groups: re.Pattern[str]) -> str:
    return text.replace(",", "") if groups.fullmatch(text) else text


def moment(value: Any, name: str, place: str) -> tuple[int | None, str | None]:
    """A UNIX time in nanoseconds, or a day where the text is only that.

    Raises:
        ExportError: it is neither.
    """
    try:
        found = _moment(value)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None or found.year not in _YEARS:
        raise ExportError(
            f"{place}: {name}={value!r} is not a time; use 2026-11-30, 2026-11-30T12:00:00Z or UNIX seconds"
        )
    if found.tzinfo is None:
        return None, found.date().isoformat()
    return int(found.timestamp()) * 1_000_000_000, None


def _moment(value: Any) -> datetime:
    """A time; without a zone where only a day is told."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return datetime.fromtimestamp(int(value), UTC)
    text = str(value or "").strip()
    if text.isdigit() and len(text) in (9, 10):
        return datetime.fromtimestamp(int(text), UTC)
    text = text.replace("/", "-")
    if len(text) == 10:
        return datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - a day
    found = datetime.fromisoformat(text)
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    if not (found.hour or found.minute or found.second):
        return found  # a day, written as its midnight
    return found.replace(tzinfo=UTC)


def model_of_item(item: Any) -> str | None:
    """The model of a line of OpenAI's costs: ``gpt-4o-2024-08-06, cached input``; None of other lines."""
    if not isinstance(item, str):
        return None
    model, comma, _ = item.partition(",")
    return model.strip() if comma and " " not in model.strip() else None
