"""An entry of the settings file compiled to a card, as the table's rates are: integers, or fractions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final, NamedTuple, TypeAlias

from spantally.ground.money import UsageParts, partial
from spantally.pricing.card import Card, Miss, Step, stepped
from spantally.pricing.currencies import USD
from spantally.pricing.overrides import ANY, Call, OwnRates, Rule
from spantally.pricing.own import COVERED, FREE, MULTIPLIER, RATES, Own, Rate, units_of

_NANO: Final = 1_000_000_000
_OUTPUT: Final = UsageParts._fields.index("output")
_REASONING: Final = UsageParts._fields.index("reasoning")
_PICTURES: Final = ("image_input", "video_input")
_EXACT: Final = Context(prec=200)
"""Two decimals multiplied in it lose no digit."""


class Asked(NamedTuple):
    """What the table is asked for."""

    provider: str | None
    host: str | None
    models: tuple[str | None, ...]
    told: bool
    """The user said whose model it is, by an alias: no host contradicts that."""


Listed: TypeAlias = Callable[[Asked], tuple[Card | Miss, bool]]
"""Looks a card up in the table; also whether it holds for the whole hour."""


def card_for(own: OwnRates, call: Call, listed: Listed) -> tuple[Card | Miss, bool]:
    """The card of a call, by an entry of the settings file or by the table, aliases resolved.

    Args:
        own: what the settings file says.
        call: what chooses the rate.
        listed: looks up the table.

    Returns:
        The card, or why there is none; and whether it holds for the whole hour of the call.
    """
    call, asked, aliases = resolved(own, call)
    keep = not own.changes_within_hour(call.start_ns)
    rule = own.rule_for(call)
    if rule is not None and rule.multiplier is None and not rule.covered:
        return compiled(own, rule, call, None), keep
    base, kept = listed(asked)
    if aliases and isinstance(base, Card):
        base = _renamed(base, lambda text: f"{text};alias={aliases}")
    return base if rule is None else compiled(own, rule, call, base), keep and kept


def resolved(own: OwnRates, call: Call) -> tuple[Call, Asked, str]:
    """The call by the names that stand behind its own, what to ask the table for, and the aliases used."""
    used: list[str] = []
    provider: str | None = None
    behind: list[str | None] = []
    for name in call.models:
        alias = own.alias_of(name, call.host)
        behind.append(name if alias is None else alias.model)
        if alias is not None:
            used.append(str(name))
            provider = provider or alias.provider
    told = provider is not None
    asked = Asked(provider or call.provider, None if told else call.host, tuple(behind), told)
    if not used:
        return call, asked, ""
    more = tuple(one for one in behind if one not in call.models)
    return call._replace(provider=asked.provider, models=call.models + more), asked, ",".join(used)


def compiled(own: OwnRates, rule: Rule, call: Call, base: Card | Miss | None) -> Card | Miss:
    """The card of an entry.

    Args:
        own: where the entry is from.
        rule: the entry.
        call: what is to be priced.
        base: the listed rates, for an entry that needs them.
    """
    if rule.covered:
        return _covered(own, rule, base)
    if rule.multiplier is not None:
        return _multiplied(own, rule, base)
    if rule.free:
        return _flat(Own(FREE, own.source, complete=True), entry_id(rule))
    day = datetime.fromtimestamp(call.start_ns // _NANO, UTC).date()
    worth = own.currencies.dollars(rule.currency, day)
    if worth is None:
        return Miss(partial("currency"))
    made = Own(
        RATES,
        own.source,
        0 if rule.per_second is None else _whole(Fraction(rule.per_second) * Fraction(worth) * _NANO),
        complete=not rule.needs_usage,
    )
    # In nano-USD for a million requests.
    fee = _whole(Fraction(rule.per_request or 0) * Fraction(worth) * _NANO * 1_000_000)
    text = entry_id(rule, day)
    if not rule.needs_usage:
        return _flat(made, text, fee)
    auto = (call.query.service_tier or "").strip().lower() == "auto" and rule.service_tier != ANY
    return Card(
        _steps(rule, worth, text),
        fee,
        estimated=auto,
        long_write=bool(_named(rule, "cache_write_1h")),
        own=made,
    )


def _named(rule: Rule, part: str) -> bool:
    return part in rule.rates or any(part in more for _, more in rule.long_context)


def _steps(rule: Rule, worth: Decimal, text: str) -> tuple[Step, ...]:
    """The rates by threshold, the largest first."""
    return tuple(
        stepped(vector_of(rates_above(rule, above, worth)), above, _above(text, above))
        for above in (*(one for one, _ in reversed(rule.long_context)), -1)
    )


def rates_above(rule: Rule, above: int, worth: Decimal = Decimal(1)) -> dict[str, Decimal]:
    """The rates that an entry names for inputs just above a threshold, in US dollars.

    Args:
        rule: the entry.
        above: tokens; -1 for any input.
        worth: US dollars for a unit of the entry's currency.
    """
    found = dict(rule.rates)
    for threshold, more in rule.long_context:
        if threshold <= above:
            found.update(more)
    return {part: _EXACT.multiply(value, worth) for part, value in found.items()}


def vector_of(rates: Mapping[str, Decimal]) -> list[Rate | None]:
    """Rates by part, in US dollars for as many units as people give them, as a card has them.

    Pictures in a prompt are tokens of it, and cost what text does unless they have a rate.
    """
    given = dict(rates)
    for part in _PICTURES:
        if part in UsageParts._fields and "uncached_input" in given:
            given.setdefault(part, given["uncached_input"])
    found: list[Rate | None] = [
        _whole(Fraction(given[part]) * _NANO * 1_000_000 / units_of(part)) if part in given else None
        for part in UsageParts._fields
    ]
    output, reasoning = found[_OUTPUT], found[_REASONING]
    found[_REASONING] = 0 if output is None or reasoning is None else _whole(reasoning - output)
    return found


def _multiplied(own: OwnRates, rule: Rule, base: Card | Miss | None) -> Card | Miss:
    """The listed rates times the entry's factor."""
    if not isinstance(base, Card):
        return base or Miss(partial("multiplier"))
    assert rule.multiplier is not None
    factor = Fraction(rule.multiplier)
    name = f"{entry_id(rule)};x{rule.multiplier.normalize():f} of "
    steps = [
        stepped(
            [None if index in step.gaps else _whole(rate * factor) for index, rate in enumerate(step.vector)],
            step.above,
            name + step.price_id,
        )
        for step in base.steps
    ]
    made = Own(MULTIPLIER, own.source, listed=True)
    return base._replace(steps=tuple(steps), per_call=_whole(base.per_call * factor), own=made)


def _covered(own: OwnRates, rule: Rule, base: Card | Miss | None) -> Card:
    """No cost, and the listed rates for the value that is kept beside it."""
    made = Own(COVERED, own.source, complete=True, listed=isinstance(base, Card))
    if not isinstance(base, Card):
        return _flat(made, entry_id(rule))
    return _renamed(base, lambda text: f"{entry_id(rule)};list {text}")._replace(own=made)


def _flat(made: Own, text: str, fee: Rate = 0) -> Card:
    """A card by which no part costs anything by itself."""
    return Card((stepped([0] * len(UsageParts._fields), -1, text),), fee, own=made)


def _renamed(card: Card, name: Callable[[str], str]) -> Card:
    return card._replace(steps=tuple(step._replace(price_id=name(step.price_id)) for step in card.steps))


def entry_id(rule: Rule, day: date | None = None) -> str:
    """The entry as a price id: its name, since when it holds, its conditions, its currency.

    Args:
        rule: the entry.
        day: of the exchange rate.
    """
    text = rule.label
    if rule.since is not None:
        text += f"@{rule.since}"
    if rule.batch:
        text += ";batch"
    for name, value in (
        ("tier", rule.service_tier),
        ("speed", rule.speed),
        ("geography", rule.geography),
    ):
        if value is not None and value != ANY:
            text += f";{name}={value}"
    if rule.currency != USD:
        text += f";{rule.currency}" if day is None else f";{rule.currency} of {day.isoformat()}"
    return text


def _above(text: str, above: int) -> str:
    return text if above < 0 else f"{text};input>{above}"


def _whole(value: Fraction | int) -> Rate:
    exact = Fraction(value)
    return exact.numerator if exact.denominator == 1 else exact
