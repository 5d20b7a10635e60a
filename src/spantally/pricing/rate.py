"""From a record to its cost.

:func:`rate` may wait for the rate table, :func:`rate_if_loaded` never does and answers ``pending`` instead.
Neither raises. A cost is exact integer arithmetic over compiled rates, rounded half-even once, so it does
not depend on the order in which calls, or the parts of one, are added.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import mul
from typing import Any, Final

from spantally.ground.guard import swallowed
from spantally.ground.money import PENDING, CostStatus, Rating, UsageParts, partial
from spantally.ground.records import COUNTED_KINDS, CallRecord, Kind, Precedence, Status, UsageFormat
from spantally.pricing import rates
from spantally.pricing.card import UNKNOWN, Card, Miss, Query, Step, compile_card, is_within_hour
from spantally.pricing.names import costs_by_region, find_model
from spantally.pricing.parts import Rate
from spantally.pricing.supplement import extra_for
from spantally.pricing.usage import (
    REPORTS,
    BadUsage,
    NoUsage,
    Pass,
    Reading,
    read,
    reported_cost,
    with_server_tools,
)
from spantally.pricing.vendors import vendor_of

HOUR_NS: Final = 3_600_000_000_000
CACHE_SIZE: Final = 4096
"""Cards, and names that have none, kept at most; beyond it all are forgotten."""

_NO_USAGE: Final = Rating(None, CostStatus.NO_USAGE)
_BAD_USAGE: Final = Rating(None, CostStatus.BAD_USAGE)
_NO_QUERY: Final = (None, None, None, None, None)
_PARTS: Final = UsageParts._fields

_INPUTS: Final = _PARTS.index("output")
"""The parts of the input come first; adding a slice is a third of the property's time."""

# Members of an enum cost a look-up each on a path that has 5 microseconds in all.
_PRICED: Final = CostStatus.PRICED
_EMBEDDINGS: Final = Kind.EMBEDDINGS
_INTERRUPTED: Final = Status.INTERRUPTED
_FOREIGN: Final = Precedence.FOREIGN

_NOT_PROVIDERS: Final = frozenset({UsageFormat.SEMCONV, UsageFormat.PARTS})
"""Formats in which a cost would be somebody's estimate, not the provider's figure."""

_cards: dict[tuple[Any, ...], Card | Miss] = {}

RECENT: Final = 512
_recent: dict[int, tuple[CallRecord, Rating]] = {}
"""Records rated lately: the ledger and the live totals of a session ask for the same ones."""


def rate(record: CallRecord) -> Rating:
    """Price a record; loads the rates if they are not there, which takes 0.3 to 1 s once.

    Returns:
        The cost, or None with a status that says why; ``pending`` only where the rates cannot be loaded.
    """
    return _rate(record, wait=True)


def rate_if_loaded(record: CallRecord) -> Rating:
    """Price a record without waiting.

    Returns:
        As :func:`rate`; while the rates are not there, ``pending`` with the parts of the usage. What needs
        no rates (no or bad usage, a cost that the provider reports, a row that has none) is answered at once.
    """
    known = _recent.get(id(record))
    if known is not None and known[0] is record:
        return known[1]
    rating = _rate(record, wait=False)
    if rating.status != CostStatus.PENDING and record.content is None:
        if len(_recent) >= RECENT:
            _recent.clear()
        _recent[id(record)] = (record, rating)
    return rating


def quote(record: CallRecord) -> Rating:
    """Price what is only about to be used; as :func:`rate_if_loaded`, and nothing of it is remembered."""
    return _rate(record, wait=False)


def forget() -> None:
    """Drop every compiled card (for tests)."""
    _cards.clear()
    _recent.clear()


def _rate(record: CallRecord, wait: bool) -> Rating:
    try:
        raw = record.usage
        if raw is None or record.kind not in COUNTED_KINDS:
            return _NO_USAGE
        usage_format = record.usage_format or ""
        if not REPORTS.isdisjoint(raw) and usage_format not in _NOT_PROVIDERS:
            reported = _reported(record)
            if reported is not None:
                return reported
        reading = read(raw, usage_format, record.provider)
        context = record.price_context
        if context and "server_tools" in context:
            reading = with_server_tools(reading, context["server_tools"])
        parts = reading.parts
        if not any(parts):
            # A prompt is never empty: a host that fills in zeros has reported nothing.
            return Rating(None, CostStatus.NO_USAGE, parts)
        if reading.context:
            # What the instrumentor knows goes before what the usage object says of itself.
            told = {key: value for key, value in (context or {}).items() if value is not None}
            context = {**reading.context, **told, **_whose(context)}
            if context.get("service_tier") == "provisioned_throughput":
                return Rating(None, CostStatus.COVERED, parts)
        table = rates.table()
        if table is None:
            table = rates.load() if wait else None
            if table is None:
                return PENDING._replace(parts=parts)
        host = record.server_address
        vendor = record.provider
        if context:
            # The instrumentor may know that the address is not the vendor's: then no price list applies.
            vendor = context.get("provider", vendor)
            chosen = (
                context.get("service_tier"),
                context.get("batch"),
                context.get("speed"),
                context.get("geography"),
                context.get("search"),
            )
            host = host or context.get("server_address")
        else:
            chosen = _NO_QUERY
        key = (
            vendor,
            record.response_model,
            record.request_model,
            record.start_ns // HOUR_NS,
            chosen,
            host,
            record.precedence == _FOREIGN,
        )
        card = _cards.get(key)
        if card is None:
            card = _find(record, vendor, table, chosen, host, key)
        if isinstance(card, Miss):
            return Rating(None, card.status, parts)
        if reading.passes:
            return _price_passes(record, reading, card, table, key)
        return _price(record, reading, card, table.source)
    except NoUsage:
        return _NO_USAGE
    except BadUsage:
        return _BAD_USAGE
    except Exception as error:
        swallowed("pricing.rate", error)
        return _BAD_USAGE


def _whose(context: Mapping[str, Any] | None) -> dict[str, Any]:
    """Whose rates apply by the instrumentor's word; None there means nobody's, and is kept."""
    return {"provider": context["provider"]} if context and "provider" in context else {}


def _reported(record: CallRecord) -> Rating | None:
    """The provider's own figure, with the parts where they can be read."""
    assert record.usage is not None
    nano = reported_cost(record.usage)
    if nano is None:
        return None
    try:
        parts = read(record.usage, record.usage_format or "", record.provider).parts
    except BadUsage:
        parts = None
    return Rating(nano, CostStatus.PROVIDER_REPORTED, parts, "provider")


def _find(
    record: CallRecord,
    provider: str | None,
    table: rates.Table,
    chosen: tuple[Any, ...],
    host: str | None,
    key: tuple[Any, ...],
) -> Card | Miss:
    """Look a card up in the table and keep it, or that there is none."""
    card: Card | Miss = UNKNOWN
    keep = True
    vendor = vendor_of(provider, host, record.precedence == Precedence.FOREIGN, table.providers)
    if vendor is not None:
        names: tuple[str | None, ...] = key[1:3]
        if vendor.id == "aws":
            # Only the name that was asked for tells the geography, which has its own rates.
            names = names[::-1]
        model = find_model(vendor, names, table.providers)
        if model is not None:
            tier, batch, speed, geography, search = chosen
            query = Query(_text(tier), bool(batch), _text(speed), _text(geography), _text(search))
            extra = next((one for name in names if name and (one := extra_for(vendor.id, name))), None)
            card = compile_card(vendor, model, query, host, record.start_ns, provider, extra)
            if isinstance(card, Card) and vendor.id == "aws" and costs_by_region(names, model.id):
                card = card._replace(estimated=True)
            keep = not is_within_hour(model)
    if keep:
        if len(_cards) >= CACHE_SIZE:
            _cards.clear()
        _cards[key] = card
    return card


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _step_for(card: Card, parts: UsageParts) -> Step:
    """The rates by the whole input."""
    step = card.steps[0]
    if step.above >= 0:
        total_input = sum(parts[:_INPUTS])
        for step in card.steps:  # the last one is above -1
            if total_input > step.above:
                break
    return step


def _price(record: CallRecord, reading: Reading, card: Card, source: str) -> Rating:
    parts = reading.parts
    step = card.steps[0] if card.steps[0].above < 0 else _step_for(card, parts)
    source = card.source or source
    lacking = None
    if any(step.gap_counts(parts)):
        lacking = next(_PARTS[index] for index in step.gaps if parts[index])
        if not _has_known(parts, step):
            return Rating(None, partial(lacking), parts, source, step.price_id)
    if card.units and not any(parts[index] for index in card.units):
        return Rating(None, partial(_PARTS[card.units[0]]), parts, source, step.price_id)
    amount = sum(map(mul, step.rated(parts), step.rates), card.per_call)
    return Rating(
        _rounded(amount), _status(record, reading, card, lacking, amount), parts, source, step.price_id
    )


def _has_known(parts: UsageParts, step: Step) -> bool:
    """True where some part that was used has a rate."""
    gaps = {_PARTS[index] for index in step.gaps} | {"reasoning"}
    return any(count for name, count in zip(_PARTS, parts, strict=True) if name not in gaps)


def _rounded(amount: Rate) -> int:
    """An amount in millionths of a nano-USD as nano-USD, half-even."""
    nano, rest = divmod(amount, 1_000_000)
    if rest >= 500_000 and (rest > 500_000 or nano & 1):
        nano += 1
    return nano


def _price_passes(
    record: CallRecord, reading: Reading, card: Card, table: rates.Table, key: tuple[Any, ...]
) -> Rating:
    """The cost of a call of several passes, each at its own model's rates and tier; rounded once."""
    amount: Rate = card.per_call
    lacking: str | None = None
    known = False
    ids: list[str] = []
    estimated = card.estimated
    for one in reading.passes:
        step, its = _of_pass(record, one, card, table, key)
        if step is None:
            lacking = lacking or one.name
            continue
        if step.price_id not in ids:
            ids.append(step.price_id)
        if any(step.gap_counts(one.parts)):
            lacking = lacking or next(_PARTS[index] for index in step.gaps if one.parts[index])
        known = known or _has_known(one.parts, step)
        estimated = estimated or its.estimated
        amount += sum(map(mul, step.rated(one.parts), step.rates))
    price_id = " + ".join(ids) or None
    if not known and lacking is not None:
        return Rating(None, partial(lacking), reading.parts, table.source, price_id)
    status = _status(record, reading, card._replace(estimated=estimated), lacking, amount)
    return Rating(_rounded(amount), status, reading.parts, table.source, price_id)


def _of_pass(
    record: CallRecord, one: Pass, card: Card, table: rates.Table, key: tuple[Any, ...]
) -> tuple[Step | None, Card]:
    """The rates of one pass, None where its model has none."""
    found: Card | Miss | None = card
    if one.model is not None and one.model not in key[1:3]:
        own = (key[0], one.model, None, *key[3:])
        found = _cards.get(own)
        if found is None:
            found = _find(record, key[0], table, key[4], key[5], own)
    if found is None or isinstance(found, Miss):
        return None, card
    return _step_for(found, one.parts), found


def _status(record: CallRecord, reading: Reading, card: Card, lacking: str | None, amount: Rate) -> str:
    if lacking is not None:
        return partial(lacking)
    missing = reading.missing
    if missing is not None and not (missing == "output" and record.kind == _EMBEDDINGS):
        return partial(missing)
    if record.status == _INTERRUPTED:
        return partial("interrupted")  # what arrived before its process ended
    if card.estimated or record.estimated or reading.approximate or (reading.ttl_assumed and card.long_write):
        return CostStatus.ESTIMATED
    return _PRICED if amount else CostStatus.FREE
