"""Every rate that is known for a model at a time, of the table and of the user's own, for people to read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, NamedTuple

from spantally.ground.money import UsageParts
from spantally.pricing.card import Card, Miss, Query, compile_card
from spantally.pricing.names import find_model
from spantally.pricing.overrides import ANY, Call, OwnRates, Rule, canonical, spellings
from spantally.pricing.overrides_card import compiled
from spantally.pricing.own import Rate, units_of
from spantally.pricing.rates import Table

LIST: Final = "list"
_NANO: Final = 1_000_000_000
_OUTPUT: Final = UsageParts._fields.index("output")
_SINCE: Final = re.compile(r"@(\d{4}-\d{2}-\d{2})")


class Listing(NamedTuple):
    """The rates of one entry for inputs above one threshold."""

    provider: str | None
    """None where an entry of the user's own names none."""
    model: str
    kind: str
    """``list``; of an override ``rates``, ``multiplier``, ``free`` or ``covered``."""
    entry: str | None
    """Name of the override."""
    host: str | None
    service_tier: str | None
    batch: bool
    speed: str | None
    above: int | None
    """Tokens of input above which these rates hold; None for the smallest."""
    since: str | None
    until: str | None
    rates: dict[str, Fraction]
    """By part, in US dollars for a million tokens (searches: for a thousand)."""
    per_request: Fraction
    """US dollars."""
    per_second: Fraction
    """US dollars."""
    price_id: str
    source: str


def listings(table: Table, model: str, provider: str | None, start_ns: int) -> list[Listing]:
    """What is known of a model, the user's own rates first.

    Args:
        table: the rates.
        model: its name, or an alias of the settings file.
        provider: only this one, by any of its names.
        start_ns: when the call would begin, UNIX nanoseconds.
    """
    own = table.own
    alias = own.alias_of(model, None)
    name = model if alias is None else alias.model
    wanted = canonical(provider or (None if alias is None else alias.provider))
    found = list(_of_table(table, name, wanted, start_ns))
    mine: list[Listing] = []
    names = (model, name) if alias is not None else (model,)
    for rule in sorted(own.rules, key=lambda rule: -rule.place):
        if (
            rule.holds_at(start_ns)
            and any(rule.model.matches(text) for _, text in spellings(names))
            and (wanted is None or rule.provider in (None, wanted))
        ):
            mine.extend(_of_rule(own, rule, name, found, start_ns, table.source))
    return mine + [one for _, _, _, rows in found for one in rows]


_Found = tuple[str, Query, Card, list[Listing]]


def _of_table(table: Table, name: str, wanted: str | None, start_ns: int) -> Iterator[_Found]:
    """Provider, context, card and rows of each entry of the table."""
    for vendor in table.providers:
        if wanted is not None and vendor.id != wanted:
            continue
        model = find_model(vendor, (name,), table.providers)
        if model is None:
            continue
        for query in _contexts(model):
            card = compile_card(vendor, model, query, None, start_ns)
            if isinstance(card, Card):
                rows = list(_rows(card, vendor.id, model.id, query, table.source))
                yield vendor.id, query, card, rows


def _contexts(model: Any) -> Iterator[Query]:
    """Standard processing, and each variant that the table lists."""
    yield Query()
    seen = {Query()}
    for variant in model.price_variants or ():
        [(key, value), *more] = variant.when.items()
        query = {
            "processing": Query(batch=value == "batch"),
            "service_tier": Query(service_tier=value),
            "speed": Query(speed=value),
        }.get(key)
        if query is not None and not more and query not in seen and value != "default":
            seen.add(query)
            yield query


def _of_rule(
    own: OwnRates, rule: Rule, name: str, found: list[_Found], start_ns: int, source: str
) -> Iterator[Listing]:
    """An entry of the settings file, on each listed entry that it is a factor of."""
    query = Query(
        None if rule.service_tier == ANY else rule.service_tier, bool(rule.batch), rule.speed, rule.geography
    )
    if rule.multiplier is None and not (rule.covered and found):
        call = Call(rule.provider, None, None, (name,), query, start_ns)
        yield from _own_rows(own, rule, call, None, rule.provider, name, source)
        return
    for vendor, context, base, rows in found:
        if rule.provider in (None, vendor) and rule.holds_for(context):
            call = Call(vendor, None, None, (name,), context, start_ns)
            yield from _own_rows(own, rule, call, base, vendor, rows[0].model, source)


def _own_rows(
    own: OwnRates, rule: Rule, call: Call, base: Card | None, provider: str | None, model: str, source: str
) -> Iterator[Listing]:
    card = compiled(own, rule, call, base)
    if isinstance(card, Miss) or card.own is None:
        return
    said = f"{card.own.source} on {source}" if card.own.listed else card.own.source
    for row in _rows(card, provider, model, call.query, said):
        yield row._replace(
            kind=card.own.how,
            entry=rule.label,
            host=None if rule.host is None else rule.host.text,
            since=rule.since or (row.since if card.own.listed else None),
            until=rule.until,
            per_second=Fraction(card.own.per_second) / _NANO,
        )


def _rows(card: Card, provider: str | None, model: str, query: Query, source: str) -> Iterator[Listing]:
    for step in reversed(card.steps):
        since = _SINCE.search(step.price_id)
        yield Listing(
            provider,
            model,
            LIST,
            None,
            None,
            query.service_tier,
            query.batch,
            query.speed,
            None if step.above < 0 else step.above,
            None if since is None else since[1],
            None,
            _dollars(step.vector, step.gaps),
            Fraction(card.per_call) / _NANO / 1_000_000,
            Fraction(0),
            step.price_id,
            source,
        )


def _dollars(vector: tuple[Rate, ...], gaps: tuple[int, ...]) -> dict[str, Fraction]:
    """Rates as a vendor lists them. Reasoning is left out where it costs what all output does."""
    found: dict[str, Fraction] = {}
    for index, part in enumerate(UsageParts._fields):
        rate = Fraction(vector[index])
        if part == "reasoning":
            if not rate:
                continue
            rate += vector[_OUTPUT]
        if index not in gaps:
            found[part] = rate / _NANO * units_of(part) / 1_000_000
    return found
