"""From a record to its cost.

:func:`rate` may wait for the rate table, :func:`rate_if_loaded` never does and answers ``pending`` instead.
Neither raises. A cost is exact integer arithmetic over compiled rates, rounded half-even once, so it does
not depend on the order in which calls, or the parts of one, are added.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter, mul
from typing import Any, Final

from spantally.ground.guard import swallowed
from spantally.ground.money import NANO, PENDING, CostStatus, Rating, UsageParts, partial
from spantally.ground.records import COUNTED_KINDS, CallRecord, Kind, Precedence, Status, UsageFormat, is_paid
from spantally.pricing import rates
from spantally.pricing.cached import NOTHING, Effect, cache_effect
from spantally.pricing.card import UNKNOWN, Card, Miss, Query, Step, compile_card, is_within_hour
from spantally.pricing.names import costs_by_region, find_model
from spantally.pricing.overrides import Call
from spantally.pricing.overrides_card import Asked, card_for
from spantally.pricing.parts import Rate, nano_of
from spantally.pricing.supplement import extra_for
from spantally.pricing.usage import (
    MAX_REPORTED_USD,
    REPORTS,
    BadUsage,
    NoUsage,
    Pass,
    Reading,
    read,
    reported_cost,
    with_server_tools,
)
from spantally.pricing.vendors import payee_of, vendor_of

HOUR_NS: Final = 3_600_000_000_000
MOST_NANO: Final = MAX_REPORTED_USD * NANO
"""No single call costs more."""
CACHE_SIZE: Final = 4096
"""Cards, and names that have none, kept at most; beyond it all are forgotten."""

_NO_USAGE: Final = Rating(None, CostStatus.NO_USAGE)
_BAD_USAGE: Final = Rating(None, CostStatus.BAD_USAGE)
_NO_QUERY: Final = (None, None, None, None, None)
_PARTS: Final = UsageParts._fields

_cached_of: Final = itemgetter(
    *map(_PARTS.index, ("cache_read", "cache_write_5m", "cache_write_1h", "cache_audio_read"))
)
_new: Final = tuple.__new__
"""Named tuples made the usual way take a call of ours each."""

# Members of an enum cost a look-up each on a path that has 5 microseconds in all.
_PRICED: Final = CostStatus.PRICED
_EMBEDDINGS: Final = Kind.EMBEDDINGS
_OK: Final = Status.OK
_INTERRUPTED: Final = Status.INTERRUPTED
_FOREIGN: Final = Precedence.FOREIGN

_NOT_PROVIDERS: Final = frozenset({UsageFormat.SEMCONV, UsageFormat.PARTS})
"""Formats in which a cost would be somebody's estimate, not the provider's figure."""

_RECORDED: Final = "recorded"
"""The source of a cost that the program itself told."""

_cards: dict[tuple[Any, ...], Card | Miss] = {}

RECENT: Final = 512
_recent: dict[int, tuple[CallRecord, Rating]] = {}
_recent_before: dict[int, tuple[CallRecord, Rating]] = {}
"""Records rated lately: the ledger, the metrics and the live totals of a session ask for the same ones, the
totals some hundred records later. Two generations, so that those of a moment ago are never forgotten."""


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
    global _recent, _recent_before
    key = id(record)
    known = _recent.get(key) or _recent_before.get(key)
    if known is not None and known[0] is record:
        return known[1]
    rating = _rate(record, wait=False)
    if rating.status != PENDING.status and record.content is None:
        if len(_recent) >= RECENT:
            _recent_before, _recent = _recent, {}
        _recent[key] = (record, rating)
    return rating


def quote(record: CallRecord) -> Rating:
    """Price what is only about to be used; as :func:`rate_if_loaded`, and nothing of it is remembered."""
    return _rate(record, wait=False)


def forget() -> None:
    """Drop every compiled card (for tests)."""
    _cards.clear()
    _recent.clear()
    _recent_before.clear()


def _rate(record: CallRecord, wait: bool) -> Rating:
    try:
        raw = record.usage
        if raw is None or record.kind not in COUNTED_KINDS:
            if is_paid(record):
                return said(record)
            return _without_usage(record, _NO_USAGE, wait)
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
            return _without_usage(record, Rating(None, CostStatus.NO_USAGE, parts), wait)
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
        vendor, chosen, host, key = _asked(record, context)
        card = _cards.get(key)
        if card is None:
            card = _find(record, vendor, table, chosen, host, key)
        if isinstance(card, Miss):
            return Rating(None, card.status, parts)
        if reading.passes:
            rating = _price_passes(record, reading, card, table, key)
        else:
            rating = _price(record, reading, card, table.source)
        if card.own is not None:
            rating = card.own.settled(rating, record)
        if rating.nano_usd is not None and rating.nano_usd > MOST_NANO:
            return Rating(None, CostStatus.BAD_USAGE, parts)  # as the ledger would say of it
        return rating
    except NoUsage:
        return _without_usage(record, _NO_USAGE, wait)
    except BadUsage:
        return _BAD_USAGE
    except Exception as error:
        swallowed("pricing.rate", error)
        return _BAD_USAGE


def _asked(
    record: CallRecord, context: Mapping[str, Any] | None
) -> tuple[str | None, tuple[Any, ...], str | None, tuple[Any, ...]]:
    """Whose rates apply, what else chooses them, the host, and the key under which the card is kept."""
    host = record.server_address
    vendor = record.provider
    if context:
        # The instrumentor may know that the address is not the vendor's: then no price list applies.
        vendor = context.get("provider", vendor)
        chosen: tuple[Any, ...] = (
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
    return vendor, chosen, host, key


def card_of(record: CallRecord) -> tuple[Card, str] | None:
    """The card that a record has been rated by within this hour, and who says so; None where none is kept.

    Args:
        record: whose usage says nothing of tier, speed and geography.
    """
    table = rates.table()
    card = _cards.get(_asked(record, record.price_context)[3])
    return (card, card.source or table.source) if table is not None and isinstance(card, Card) else None


def said(record: CallRecord) -> Rating:
    """What the program says that a paid tool cost; a tool has no tokens."""
    try:
        nano = reported_cost(record.usage or {})
    except BadUsage:
        return _BAD_USAGE
    return Rating(nano, CostStatus.PROVIDER_REPORTED, None, _RECORDED)


def _without_usage(record: CallRecord, none: Rating, wait: bool) -> Rating:
    """A call without usage has no cost, unless a rate of the user's own needs none.

    That is: free, covered, or by time or request. A call that was refused, or that ended before its answer,
    stays as it is: nobody knows what became of it.
    """
    if record.kind not in COUNTED_KINDS or record.status != _OK or record.possibly_billed:
        return none
    try:
        if not rates.may_price_without_usage():
            return none
        table = rates.table() or (rates.load() if wait else None)
        if table is None:
            return PENDING._replace(parts=none.parts)
        context = record.price_context or {}
        query = Query(
            _text(context.get("service_tier")),
            bool(context.get("batch")),
            _text(context.get("speed")),
            _text(context.get("geography")),
            _text(context.get("search")),
        )
        host = record.server_address or context.get("server_address")
        models = (record.response_model, record.request_model)
        card, _ = _card(record, context.get("provider", record.provider), table, query, host, models)
        if isinstance(card, Miss) or card.own is None or not card.own.complete:
            return none
        reading = Reading(none.parts or UsageParts())
        rating = card.own.settled(_price(record, reading, card, table.source), record)
        return rating._replace(parts=none.parts, list_nano_usd=None)
    except Exception as error:
        swallowed("pricing.own_rate", error)
        return none


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
    source = "provider" if record.usage_format != UsageFormat.RECORDED else _RECORDED
    return Rating(nano, CostStatus.PROVIDER_REPORTED, parts, source)


def _find(
    record: CallRecord,
    provider: str | None,
    table: rates.Table,
    chosen: tuple[Any, ...],
    host: str | None,
    key: tuple[Any, ...],
) -> Card | Miss:
    """Look a card up in the table and keep it, or that there is none."""
    tier, batch, speed, geography, search = chosen
    query = Query(_text(tier), bool(batch), _text(speed), _text(geography), _text(search))
    card, keep = _card(record, provider, table, query, host, key[1:3])
    if keep:
        if len(_cards) >= CACHE_SIZE:
            _cards.clear()
        _cards[key] = card
    return card


def _card(
    record: CallRecord,
    provider: str | None,
    table: rates.Table,
    query: Query,
    host: str | None,
    models: tuple[str | None, ...],
) -> tuple[Card | Miss, bool]:
    """The card by the user's own rates, else by the table; and whether it holds for the whole hour."""

    def listed(asked: Asked) -> tuple[Card | Miss, bool]:
        foreign = record.precedence == Precedence.FOREIGN and not asked.told
        vendor = vendor_of(asked.provider, asked.host, foreign, table.providers)
        if vendor is None:
            return UNKNOWN, True
        # Only the name that was asked for tells Bedrock's geography, which has its own rates.
        names = asked.models[::-1] if vendor.id == "aws" else asked.models
        model = find_model(vendor, names, table.providers)
        if model is None:
            return UNKNOWN, True
        extra = next((one for name in names if name and (one := extra_for(vendor.id, name))), None)
        card = compile_card(vendor, model, query, asked.host, record.start_ns, asked.provider, extra)
        if isinstance(card, Card) and vendor.id == "aws" and costs_by_region(names, model.id):
            card = card._replace(estimated=True)
        return card, not is_within_hour(model)

    if table.own.any:
        payee = payee_of(provider, host, record.precedence == Precedence.FOREIGN, table.providers)
        call = Call(payee, record.provider, host, models, query, record.start_ns)
        return card_for(table.own, call, listed)
    return listed(Asked(provider, host, models, told=False))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _step_for(card: Card, parts: UsageParts) -> Step:
    """The rates by the whole input."""
    step = card.steps[0]
    if step.above >= 0:
        total_input = parts.input_total
        for step in card.steps:  # the last one is above -1
            if total_input > step.above:
                break
    return step


def _price(record: CallRecord, reading: Reading, card: Card, source: str) -> Rating:
    parts = reading.parts
    step = card.steps[0]
    if step.above >= 0:
        step = _step_for(card, parts)
    source = card.source or source
    lacking = None
    if any(step.gap_counts(parts)):
        lacking = next(_PARTS[index] for index in step.gaps if parts[index])
        if not _has_known(parts, step):
            return Rating(None, partial(lacking), parts, source, step.price_id)
    if card.units and not any(parts[index] for index in card.units):
        return Rating(None, partial(_PARTS[card.units[0]]), parts, source, step.price_id)
    own = card.own
    fixed = card.per_call if own is None else own.fixed(record, card.per_call)
    amount = sum(map(mul, step.rated(parts), step.rates), fixed)
    status = _status(record, reading, card, lacking, amount)
    saving, premium = cache_effect(parts, step) if any(_cached_of(parts)) else NOTHING
    return _new(Rating, (nano_of(amount), status, parts, source, step.price_id, None, saving, premium, False))


def _has_known(parts: UsageParts, step: Step) -> bool:
    """True where some part that was used has a rate."""
    gaps = {_PARTS[index] for index in step.gaps} | {"reasoning"}
    return any(count for name, count in zip(_PARTS, parts, strict=True) if name not in gaps)


def _price_passes(
    record: CallRecord, reading: Reading, card: Card, table: rates.Table, key: tuple[Any, ...]
) -> Rating:
    """The cost of a call of several passes, each at its own model's rates and tier; rounded once."""
    amount: Rate = card.per_call if card.own is None else card.own.fixed(record, card.per_call)
    effects: list[Effect] = []
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
        effects.append(cache_effect(one.parts, step))
    price_id = " + ".join(ids) or None
    if not known and lacking is not None:
        return Rating(None, partial(lacking), reading.parts, table.source, price_id)
    status = _status(record, reading, card._replace(estimated=estimated), lacking, amount)
    saving, premium = (_total(one) for one in zip(*effects, strict=True)) if effects else NOTHING
    return Rating(nano_of(amount), status, reading.parts, table.source, price_id, None, saving, premium)


def _total(figures: tuple[int | None, ...]) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if len(known) == len(figures) else None


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
