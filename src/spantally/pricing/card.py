"""A rate card: what one model costs at one time under one tier, compiled to integers.

Rates are nano-USD per *million* units, which is whole for nearly every rate there is (a fraction otherwise,
never a float). A card holds one vector of rates in the order of :class:`UsageParts`; with long-context
rates one vector per threshold, chosen once by the whole input, cached tokens included, for every part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from spantally.ground.money import CostStatus, UsageParts, partial
from spantally.pricing.own import Own
from spantally.pricing.vendors import RESOLD, is_regional

Rate: TypeAlias = int | Fraction
"""Nano-USD per million units."""

STANDARD_TIERS: Final = frozenset({"default", "standard", "on_demand", "on-demand"})
"""Names that vendors give to no particular tier."""

_RATE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "uncached_input": ("input_text_mtok", "input_mtok"),
    "cache_read": ("cache_text_read_mtok", "cache_read_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok",),
    "audio_input": ("input_audio_mtok",),
    # Images in a prompt are metered as input tokens unless the vendor lists a rate of their own
    # (platform.openai.com/docs/guides/images-vision, ai.google.dev/gemini-api/docs/pricing).
    "image_input": ("input_image_mtok", "input_mtok"),
    "cache_audio_read": ("cache_audio_read_mtok",),
    "output": ("output_text_mtok", "output_mtok"),
    "reasoning": ("output_reasoning_mtok",),
    "audio_output": ("output_audio_mtok",),
    "image_output": ("output_image_mtok",),
    "web_searches": ("web_searches_kcount",),
    "file_searches": ("storage_searches_kcount",),
}
"""The table's keys for each part, the more specific first. No part falls back to another's rate."""

_REASONING: Final = UsageParts._fields.index("reasoning")
_INPUT: Final = UsageParts._fields.index("uncached_input")
_OUTPUT: Final = UsageParts._fields.index("output")


class Step(NamedTuple):
    """The rates that apply when the input is larger than ``above`` tokens."""

    above: int
    vector: tuple[Rate, ...]
    """By part, in the order of :class:`UsageParts`; 0 also where the table has no rate."""
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


UNKNOWN: Final = Miss(CostStatus.UNKNOWN_MODEL)


def find_model(vendor: Any, models: Sequence[str | None], providers: Sequence[Any]) -> Any | None:
    """The table's entry of the first model name that has one.

    Args:
        vendor: the table's provider.
        models: response model, request model.
        providers: all providers; some vendors sell others' models.
    """
    for name in models:
        if not name:
            continue
        wanted = name.strip().removeprefix("models/")
        found = vendor.find_model(wanted, all_providers=list(providers))
        if found is not None and not _resold(found, providers):
            return found
        if wanted.startswith("ft:"):
            return None  # a fine-tuned model has rates of its own, never those of what it was made from
    return None


def _resold(model: Any, providers: Sequence[Any]) -> bool:
    for owner, prefixes in RESOLD.items():
        if model.id.startswith(prefixes):
            return any(one.id == owner and any(model is its for its in one.models) for one in providers)
    return False


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


def _choice(query: Query) -> tuple[str, str] | Miss | None:
    """The table's context for a tier; None for the standard rates."""
    tier = (query.service_tier or "").strip().lower()
    found: list[tuple[str, str]] = []
    if query.batch or tier == "batch":
        found.append(("processing", "batch"))
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
    chosen = active or fitting
    for one in reversed(chosen):
        prices.update({key: value for key, value in one.prices.__dict__.items() if value is not None})
    return _start(chosen[0].constraint), not active


def _scaled(value: Decimal, key: str) -> Rate:
    per = 1_000 if key.endswith("_kcount") else 1_000_000
    exact = Fraction(value) * 10**15 / per  # 10**9 nano-USD, 10**6 units
    return exact.numerator if exact.denominator == 1 else exact


def _at(price: Any, total_input: int) -> Decimal:
    """A price, which may depend on the input, for an input just above ``total_input`` tokens."""
    if isinstance(price, Decimal):
        return price
    chosen = price.base
    for tier in price.tiers:
        if total_input >= tier.start:
            chosen = tier.price
    return chosen  # type: ignore[no-any-return]


def _step(prices: Mapping[str, Any], above: int, free: bool, price_id: str) -> Step:
    found: list[Rate | None] = []
    for part in UsageParts._fields:
        key = next((one for one in _RATE_KEYS[part] if prices.get(one) is not None), None)
        found.append(0 if free else None if key is None else _scaled(_at(prices[key], above), key))
    own, output = found[_REASONING], found[_OUTPUT]
    # Reasoning lies within output and is billed as output, unless it has a rate: then by the difference.
    found[_REASONING] = 0 if own is None or output is None else own - output
    gaps = tuple(index for index, rate in enumerate(found) if rate is None)
    # itemgetter() needs an index, and gives a tuple from two on: so one gap is picked twice.
    picker = itemgetter(*gaps, gaps[0]) if gaps else _no_counts
    return Step(above, tuple(rate or 0 for rate in found), gaps, picker, price_id)


def _no_counts(parts: UsageParts) -> tuple[int, ...]:
    return ()


def _price_id(vendor: Any, model: Any, since: date | None, choice: tuple[str, str] | None, above: int) -> str:
    text = f"{vendor.id}/{model.id}"
    if since is not None:
        text += f"@{since.isoformat()}"
    if choice is not None:
        text += (
            ";batch" if choice[0] == "processing" else f";{choice[0].removeprefix('service_')}={choice[1]}"
        )
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


def compile_card(vendor: Any, model: Any, query: Query, host: str | None, start_ns: int) -> Card | Miss:
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
    """
    when = datetime.fromtimestamp(start_ns // 1_000_000_000, UTC)
    prices, since = _standard(model, when)
    choice = _choice(query)
    if isinstance(choice, Miss):
        return choice
    estimated = (query.service_tier or "").strip().lower() == "auto" or is_regional(vendor.id, host)
    estimated = estimated or (query.geography or "global").lower() not in ("global", "default")
    if choice is not None:
        # A vendor's tiers hold for what it sells itself, not for a model whose rates are another's.
        own = any(model is its for its in vendor.models)
        applied = _apply(prices, model.price_variants or (), choice, when) if own else None
        if applied is None:
            return Miss(partial("batch" if choice[0] == "processing" else choice[0]))
        since = max((one for one in (since, applied[0]) if one is not None), default=None)
        estimated = estimated or applied[1]
    free = not prices and model.id.endswith(":free")
    thresholds = {tier.start for price in prices.values() for tier in getattr(price, "tiers", ())}
    steps = tuple(
        _step(prices, above, free, _price_id(vendor, model, since, choice, above))
        for above in (*sorted(thresholds, reverse=True), -1)
    )
    if {_INPUT, _OUTPUT} <= set(steps[-1].gaps):
        return UNKNOWN
    fee = prices.get("requests_kcount")
    per_call = 0 if fee is None else _scaled(_at(fee, -1), "requests_kcount")
    long_write = any(prices.get(key) is not None for key in _RATE_KEYS["cache_write_1h"])
    return Card(steps, per_call, estimated, long_write)


def stepped(rates: Sequence[Rate | None], above: int, price_id: str) -> Step:
    """A step of rates by part, in the order of :class:`UsageParts`; None for a part that has none.

    Args:
        rates: nano-USD per million units; reasoning as its difference to the output within which it lies.
        above: the input that it is for.
        price_id: of the step.
    """
    gaps = tuple(index for index, rate in enumerate(rates) if rate is None)
    picker = itemgetter(*gaps, gaps[0]) if gaps else _no_counts
    return Step(above, tuple(rate or 0 for rate in rates), gaps, picker, price_id)
