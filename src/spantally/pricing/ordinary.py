"""The cost of a call that has just ended, for its span: the usual case by a short way.

The program waits for it, and what it touches is out of the processor's caches by then: the whole of a rating
costs three times there what it costs the worker. Most calls of a program go to a few models and say the usual
things in their usage, so a card's three rates that matter are kept by what calls have in common, and the rest
is a sum. The rates are the card's, and :mod:`spantally.pricing.rate` has the only say in all that is not
ordinary; a property test holds that both say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from spantally.ground.money import CostStatus, UsageParts
from spantally.ground.records import Kind, Precedence, Status, UsageFormat
from spantally.pricing import rates
from spantally.pricing.card import Card
from spantally.pricing.parts import nano_of
from spantally.pricing.rate import HOUR_NS, card_of, quote


class Said(NamedTuple):
    """What a span says of a cost."""

    status: str
    nano_usd: int | None
    source: str | None
    parts: UsageParts | None = None
    """What it was rated by; None where that is just what the usage says."""
    plain: bool = False
    """True where nothing had a say but counts of the usage, models, host and tier."""


class _Rates(NamedTuple):
    """The rates of ordinary calls of one kind, in nano-USD per million."""

    names: _Names
    uncached: int
    cached: int
    output: int
    fixed: int
    source: str
    plain: bool


class _Names(NamedTuple):
    """Where one format of usage has its counts."""

    known: frozenset[str]
    """Whatever else stands in a usage object is not ordinary."""
    input: str
    output: str
    input_details: str
    output_details: str


def _names(first: str, second: str) -> _Names:
    names = (f"{first}_tokens", f"{second}_tokens", f"{first}_tokens_details", f"{second}_tokens_details")
    return _Names(frozenset({*names, "total_tokens"}), *names)


_FORMATS: Final[Mapping[str | None, _Names]] = {
    UsageFormat.OPENAI_CHAT: _names("prompt", "completion"),
    UsageFormat.OPENAI_RESPONSES: _names("input", "output"),
}

_COSTS_NOTHING_MORE: Final = frozenset(
    {"reasoning_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens", "text_tokens"}
)
"""Details of the output that are billed as output, which they are part of (see pricing/usage/openai.py)."""

_TOLD: Final = frozenset({"api", "provider", "requested_tier", "server_address", "service_tier"})
"""Of a price context, what attributes of the conventions tell."""

_NEEDED: Final = tuple(map(UsageParts._fields.index, ("uncached_input", "cache_read", "output")))
_REASONING: Final = UsageParts._fields.index("reasoning")

_PRICED: Final = str(CostStatus.PRICED)
_FREE: Final = str(CostStatus.FREE)

MOST_TOKENS: Final = 5_000_000
"""Of input or of output; what more cost may be no cost."""
MOST: Final = 512
"""Kinds of calls whose rates are kept; beyond it all are forgotten."""

_kept: dict[tuple[Any, ...], _Rates] = {}
_table: rates.Table | None = None
"""The table that the kept rates are of."""


def price_of(operation: Any) -> Said:
    """The price of an operation that has ended, without waiting.

    Args:
        operation: has the fields of a :class:`~spantally.ground.records.CallRecord`.
    """
    global _table
    table = rates.table()
    if _table is not table:
        _kept.clear()
        _table = table
    context = operation.price_context
    key: tuple[Any, ...] | None = None
    try:
        if type(context) is dict:
            key = (
                operation.kind,
                operation.status,
                operation.precedence,
                operation.estimated,
                operation.usage_format,
                operation.provider,
                operation.response_model,
                operation.request_model,
                operation.start_ns // HOUR_NS,
                operation.server_address,
                *context.items(),
            )
            known = _kept.get(key)
            if known is not None:
                said = _sum(operation, known)
                if said is not None:
                    return said
    except Exception:
        key = None  # something in it has no hash, or misbehaves: the rater says what that means
    rating = quote(operation)
    if key is not None and rating.status == _PRICED and rates.table() is table:
        _keep(key, operation)
    return Said(str(rating.status), rating.nano_usd, rating.source, rating.parts)


def _sum(operation: Any, known: _Rates) -> Said | None:
    """The price of an ordinary call; None for any other."""
    usage = operation.usage
    names, uncached_rate, cached_rate, output_rate, fixed, source, plain = known
    known_names, inputs, outputs, input_details, output_details = names
    if type(usage) is not dict or not known_names.issuperset(usage):
        return None
    total_in, total_out = usage.get(inputs), usage.get(outputs)
    if type(total_in) is not int or type(total_out) is not int:
        return None
    if not (0 < total_in <= MOST_TOKENS and 0 < total_out <= MOST_TOKENS):
        return None
    cached = 0
    details = usage.get(input_details)
    if details is not None:
        if type(details) is not dict:
            return None
        if any(details.values()):
            cached = details.get("cached_tokens") or 0
            others = [name for name, count in details.items() if count and name != "cached_tokens"]
            if others or type(cached) is not int or not 0 <= cached <= total_in:
                return None
    details = usage.get(output_details)
    if details is not None:
        if type(details) is not dict:
            return None
        if any(details.values()):
            told = [(name, count) for name, count in details.items() if count]
            for name, count in told:
                if name not in _COSTS_NOTHING_MORE or type(count) is not int or not 0 <= count <= total_out:
                    return None
    amount = (total_in - cached) * uncached_rate + cached * cached_rate + total_out * output_rate + fixed
    return Said(_PRICED if amount else _FREE, nano_of(amount), source, None, plain)


def _is_plain(operation: Any) -> bool:
    """Whether nothing but models, provider, time and usage has a say in its price."""
    return (
        operation.kind == Kind.INFERENCE
        and operation.status == Status.OK
        and operation.precedence == Precedence.METERED
        and not operation.estimated
        and "server_tools" not in operation.price_context
    )


def _keep(key: tuple[Any, ...], operation: Any) -> None:
    """Keep the rates by which such a call was rated, where a sum of three products is all of it."""
    names = _FORMATS.get(operation.usage_format)
    found = card_of(operation)
    # Other hosts than OpenAI's have ways of their own to count.
    if names is None or found is None or operation.provider != "openai" or not _is_plain(operation):
        return
    card, source = found
    rates_of = _ordinary(card)
    if rates_of is None:
        return
    if len(_kept) >= MOST:
        _kept.clear()
    context = operation.price_context
    plain = _TOLD.issuperset(context) and context.get("provider", operation.provider) == operation.provider
    _kept[key] = _Rates(names, *rates_of, source, plain)


def _ordinary(card: Card) -> tuple[int, int, int, int] | None:
    """Rates of uncached and cached input and of output, and the fee; None for a card with more to it."""
    step = card.steps[0]
    needed = (*_NEEDED, _REASONING)
    figures = (*(step.vector[place] for place in needed), card.per_call)
    if (
        len(card.steps) != 1
        or card.estimated
        or card.units
        or card.own is not None
        or not set(needed).isdisjoint(step.gaps)
        or step.vector[_REASONING]
        or not all(type(one) is int for one in figures)
    ):
        return None
    uncached, cached, output, _, fixed = figures
    return int(uncached), int(cached), int(output), int(fixed)


def forget() -> None:
    """Drop all kept rates (for tests)."""
    _kept.clear()
