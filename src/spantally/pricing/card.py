"""A rate card: what one model costs at one time under one tier, compiled to integers.

Rates are nano-USD per *million* units, which is whole for nearly every rate there is (a fraction otherwise,
never a float). A card holds one vector of rates in the order of :class:`UsageParts`; with long-context
rates one vector per threshold, chosen once by the whole input, cached tokens included, for every part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from operator import itemgetter
from typing import Any, Final, NamedTuple

from spantally.ground.money import CostStatus, UsageParts, partial
from spantally.pricing.own import Own
from spantally.pricing.parts import TOKENS, UNITS, Rate, at, by_units, rates_of, scaled
from spantally.pricing.supplement import Extra
from spantally.pricing.surcharges import request_fee, same_as_batch, search_fee, share_of, tier_share
from spantally.pricing.vendors import is_regional

STANDARD_TIERS: Final = frozenset({"default", "standard", "on_demand", "on-demand"})
"""Names that vendors give to no particular tier."""

_SAME_PRICE: Final[Mapping[str, frozenset[str]]] = {"groq": frozenset({"auto", "flex"})}
"""Tiers that cost what the standard one does: console.groq.com/docs/flex-processing."""

_INPUT: Final = UsageParts._fields.index("uncached_input")
_OUTPUT: Final = UsageParts._fields.index("output")
_WEB_SEARCHES: Final = UsageParts._fields.index("web_searches")


class Step(NamedTuple):
    """The rates that apply when the input is larger than ``above`` tokens."""

    above: int
    vector: tuple[Rate, ...]
    """By part, in the order of :class:`UsageParts`; 0 also where the table has no rate."""
    rates: tuple[Rate, ...]
    """Of the vector those that are not 0."""
    rated: Callable[[UsageParts], tuple[int, ...]]
    """The counts that go with them, picked in one go: few parts of many have a rate."""
    gaps: tuple[int, ...]
    """Indexes of the parts without a rate."""
    gap_counts: Callable[[UsageParts], tuple[int, ...]]
    """The counts of those parts, picked in one go."""
    price_id: str


class Card(NamedTuple):
    """Compiled rates."""

    steps: tuple[Step, ...]
    """Largest threshold first; the last one's is -1, so one always applies."""
    per_call: Rate = 0
    """A fee for each request, in nano-USD per million requests."""
    estimated: bool = False
    """The table has no rate for exactly this; the nearest it has is used."""
    long_write: bool = False
    """Cache writes cost differently by retention, so a write of unknown retention is an estimate."""
    source: str | None = None
    """Who says so, where it is not the table."""
    units: tuple[int, ...] = ()
    """Indexes of the parts one of which must be there: the model is billed by nothing else."""
    own: Own | None = None
    """Where the rates are the user's own."""


class Miss(NamedTuple):
    """No rates, and why."""

    status: str


class Query(NamedTuple):
    """What chooses a card, beside vendor, models and time."""

    service_tier: str | None = None
    batch: bool = False
    speed: str | None = None
    geography: str | None = None
    search: str | None = None
    """How much of the web a request looked at, or by which of two tools."""


class _About(NamedTuple):
    """What holds for all steps of a card."""

    vendor: str
    model: str
    share: Fraction
    """By what the rates of tokens are multiplied."""
    search_rate: Rate | None


UNKNOWN: Final = Miss(CostStatus.UNKNOWN_MODEL)


def _start(constraint: Any) -> date | None:
    return getattr(constraint, "start_date", None)


def _standard(model: Any, when: datetime) -> tuple[dict[str, Any], date | None]:
    """The rates without any tier, and since when they hold."""
    entries = model.prices
    if not isinstance(entries, list):
        return dict(entries.__dict__), None
    for entry in reversed(entries):
        if entry.constraint is None or entry.constraint.active(when):
            return dict(entry.prices.__dict__), _start(entry.constraint)
    return dict(entries[0].prices.__dict__), _start(entries[0].constraint)


def _choice(query: Query, vendor: str) -> tuple[str, str] | Miss | None:
    """The table's context for a tier; None for the standard rates."""
    tier = (query.service_tier or "").strip().lower()
    found: list[tuple[str, str]] = []
    if query.batch or tier == "batch":
        found.append(("processing", "batch"))
    if tier in _SAME_PRICE.get(vendor, ()):
        tier = ""
    if tier and tier not in STANDARD_TIERS and tier not in ("auto", "batch"):
        found.append(("service_tier", tier))
    speed = (query.speed or "").strip().lower()
    if speed and speed not in STANDARD_TIERS:
        found.append(("speed", speed))
    if len(found) > 1:
        return Miss(partial(found[-1][0]))  # no vendor lists a rate for two at once
    return found[0] if found else None


def _apply(
    prices: dict[str, Any], variants: Sequence[Any], choice: tuple[str, str], when: datetime
) -> tuple[date | None, bool] | None:
    """Put a tier's rates over the standard ones.

    Returns:
        Since when they hold, and whether they are of a later time than the call; None where there are none.
    """
    fitting = [one for one in variants if one.when == {choice[0]: choice[1]}]
    if not fitting:
        return None
    active = [one for one in fitting if one.constraint is None or one.constraint.active(when)]
    # Of those that are all of later times, the earliest is the nearest.
    chosen = active or [min(fitting, key=lambda one: _start(one.constraint) or date.min)]
    for one in reversed(chosen):
        prices.update({key: value for key, value in one.prices.__dict__.items() if value is not None})
    return _start(chosen[0].constraint), not active


def _step(prices: Mapping[str, Any], above: int, free: bool, price_id: str, about: _About) -> Step:
    if free:
        found: list[Rate | None] = [0] * len(UsageParts._fields)
    else:
        found = rates_of(prices, about.vendor, about.model, above)
    if about.search_rate is not None:
        found[_WEB_SEARCHES] = about.search_rate
    if about.share != 1:
        found[:TOKENS] = [None if rate is None else _whole(rate * about.share) for rate in found[:TOKENS]]
    return stepped(found, above, price_id)


def stepped(found: Sequence[Rate | None], above: int, price_id: str) -> Step:
    """A step of rates by part, in the order of :class:`UsageParts`; None for a part that has none.

    Args:
        found: nano-USD per million units; reasoning as its difference to the output within which it lies.
        above: the input that it is for.
        price_id: of the step.
    """
    gaps = tuple(index for index, rate in enumerate(found) if rate is None)
    vector = tuple(rate or 0 for rate in found)
    rated = [index for index, rate in enumerate(vector) if rate]
    rates = (*(vector[index] for index in rated), 0) if rated else ()
    return Step(above, vector, rates, _picker(rated), gaps, _picker(gaps), price_id)


def _picker(places: Sequence[int]) -> Callable[[UsageParts], tuple[int, ...]]:
    """Counts at several places; one of them comes twice, since a getter of one would give no tuple."""
    return itemgetter(*places, places[0]) if places else _no_counts


def _whole(rate: Rate) -> Rate:
    exact = Fraction(rate)
    return exact.numerator if exact.denominator == 1 else exact


def _no_counts(parts: UsageParts) -> tuple[int, ...]:
    return ()


def _price_id(
    vendor: Any,
    model: Any,
    since: date | None,
    choice: tuple[str, str] | None,
    above: int,
    query: Query,
    premium: bool,
) -> str:
    text = f"{vendor.id}/{model.id}"
    if since is not None:
        text += f"@{since.isoformat()}"
    if choice is not None:
        text += (
            ";batch" if choice[0] == "processing" else f";{choice[0].removeprefix('service_')}={choice[1]}"
        )
    if premium:
        text += f";geography={(query.geography or 'regional').lower()}"
    if query.search and request_fee(vendor.id, model.id, query.search) is not None:
        text += f";search={query.search}"
    if above >= 0:
        text += f";input>{above}"
    return text


def is_within_hour(model: Any) -> bool:
    """True where some rate of the model begins or ends within an hour, so that no hour has one card."""
    entries = model.prices if isinstance(model.prices, list) else []
    for one in (*entries, *(model.price_variants or ())):
        for edge in ("start_time", "end_time"):
            at = getattr(one.constraint, edge, None)
            if at is not None and (at.minute or at.second or at.microsecond):
                return True
    return False


def _is_free(vendor: Any, model: Any, prices: Mapping[str, Any], provider: str | None) -> bool:
    """True for what the vendor gives away, where the table lists no price because there is none.

    Moderation costs nothing (platform.openai.com/docs/guides/moderation); Gemma costs nothing on the Gemini
    API (ai.google.dev/gemini-api/docs/pricing) and is one's own deployment on Vertex AI.
    """
    if prices:
        return False
    if model.id.endswith(":free") or (vendor.id, model.id) == ("openai", "moderation"):
        return True
    return vendor.id == "google" and model.id.startswith("gemma") and provider != "gcp.vertex_ai"


def compile_card(
    vendor: Any,
    model: Any,
    query: Query,
    host: str | None,
    start_ns: int,
    provider: str | None = None,
    extra: Extra | None = None,
) -> Card | Miss:
    """The rates of a model at a time.

    A tier that the table does not know for the model has no rate: its cost is unknown, not the standard one.
    A tier that it knows from a later date on (when somebody looked) is used and marked as an estimate, and so
    is a call of tier ``auto``, which says that nobody told, or one that was processed in a region.

    Args:
        vendor: the table's provider.
        model: the table's model.
        query: tier, batch and the like.
        host: ``server.address``.
        start_ns: when the call began, UNIX nanoseconds.
        provider: ``gen_ai.provider.name``, where one vendor of the table has several.
        extra: rates of the vendor's price list that the table lacks.
    """
    when = datetime.fromtimestamp(start_ns // 1_000_000_000, UTC)
    prices, since = _standard(model, when)
    known_there = bool(prices)
    if extra is not None:
        prices = {**extra.prices, **{key: value for key, value in prices.items() if value is not None}}
    choice = _choice(query, vendor.id)
    if isinstance(choice, Miss):
        return choice
    tier = (query.service_tier or "").strip().lower()
    estimated = (tier == "auto" and vendor.id not in _SAME_PRICE) or is_regional(vendor.id, host)
    geography = (query.geography or "global").lower()
    share = share_of(vendor.id, model.id, host, geography)
    premium = share != 1
    estimated = estimated or (not premium and geography not in _EVERYWHERE)
    if choice is not None:
        # A vendor's tiers hold for what it sells itself, not for a model whose rates are another's.
        own = any(model is its for its in vendor.models)
        applied = _apply(prices, model.price_variants or (), choice, when) if own else None
        if applied is None and extra is not None and extra.batch and choice[0] == "processing":
            prices.update(extra.batch)
            applied = None, False
        if applied is None and own and same_as_batch(vendor.id, choice):
            applied = _apply(prices, model.price_variants or (), ("processing", "batch"), when)
            estimated = True
        by_rule = tier_share(vendor.id, model.id, choice) if applied is None and own else None
        if by_rule is not None:
            share, applied = share * by_rule, (None, True)
        if applied is None:
            return Miss(partial("batch" if choice[0] == "processing" else choice[0]))
        since = max((one for one in (since, applied[0]) if one is not None), default=None)
        estimated = estimated or applied[1]
    free = _is_free(vendor, model, prices, provider)
    search = search_fee(vendor.id, model.id, query.search or "")
    about = _About(vendor.id, model.id, share, None if search is None else scaled(search, "_kcount"))
    thresholds = {tier.start for price in prices.values() for tier in getattr(price, "tiers", ())}
    steps = tuple(
        _step(prices, above, free, _price_id(vendor, model, since, choice, above, query, premium), about)
        for above in (*sorted(thresholds, reverse=True), -1)
    )
    units = tuple(index for index in UNITS if index not in steps[-1].gaps) if by_units(prices) else ()
    if not units and {_INPUT, _OUTPUT} <= set(steps[-1].gaps):
        return UNKNOWN
    fee = request_fee(vendor.id, model.id, query.search or "")
    if fee is None and prices.get("requests_kcount") is not None:
        fee = at(prices["requests_kcount"], -1)
    per_call = 0 if fee is None else scaled(fee, "requests_kcount")
    long_write = steps[-1].vector[_LONG_WRITE] != 0
    source = f"price list {extra.document}" if extra is not None and not known_there else None
    return Card(steps, per_call, estimated, long_write, source, units)


_EVERYWHERE: Final = frozenset({"global", "default", "not_available"})
"""Geographies that name no place: Anthropic's models that cannot be pinned say ``not_available``."""

_LONG_WRITE: Final = UsageParts._fields.index("cache_write_1h")
