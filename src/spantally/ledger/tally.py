"""What one row adds to its session's totals and to the rollups: a pure function of the row.

Every change of a row, be it a merge, a rating or a flip of ``counted``, is written as the difference
between what the row added before and what it adds now; totals are never recomputed and never drift.
"""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Final, NamedTuple, TypeAlias

from spantally.ground.money import CostStatus, Rating, UsageParts
from spantally.ground.records import COUNTED_KINDS, CallRecord, Status, is_mark, possibly_billed
from spantally.ledger.merge import Facts

QUARTER_NS: Final = 900 * 1_000_000_000
"""A quarter of an hour: every zone in use since 1972 begins its days on one."""

LARGEST: Final = 2**53
"""Larger counts and costs are impossible; kept out, so that 64-bit sums stay exact."""


class Row(NamedTuple):
    """A row as it is stored: the merged record, its rating and its standing among others."""

    facts: Facts
    rating: Rating | None = None
    """None for what has no cost of its own: all but model calls and paid tools."""
    counted: bool = False
    hidden: bool = False
    """True where another row shows the same operation."""

    @property
    def record(self) -> CallRecord:
        """The merged record."""
        return self.facts.record


class Amounts(NamedTuple):
    """Integers that add up."""

    rows: int = 0
    calls: int = 0
    turns: int = 0
    errors: int = 0
    running: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_calls: int = 0
    """Calls whose provider tells how much it read from its cache; the next ones are of these."""
    cache_input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_rated: int = 0
    """Those of them whose rates are known; the next ones are of these."""
    cache_saving: int = 0
    cache_premium: int = 0
    cost: int = 0
    """Of calls and of paid tools; the next ones are of calls alone."""
    priced: int = 0
    unpriced: int = 0
    pending: int = 0
    billed: int = 0
    """Calls of which something was possibly billed without known usage."""
    lost: int = 0
    """Those of them that have usage: an earlier attempt was sent and lost."""
    covered: int = 0
    """Calls that are paid otherwise; unpriced ones, too."""
    list_value: int = 0
    """What these would have cost by the rates of the list."""


ZERO: Final = Amounts()

ROLLUP_FIELDS: Final = (
    "calls",
    "errors",
    "input_tokens",
    "output_tokens",
    "cache_calls",
    "cache_input",
    "cache_read",
    "cache_write",
    "cache_rated",
    "cache_saving",
    "cache_premium",
    "cost",
    "priced",
    "unpriced",
    "pending",
    "billed",
    "lost",
    "covered",
    "list_value",
)
ROLLUP_PLACES: Final = tuple(Amounts._fields.index(name) for name in ROLLUP_FIELDS)


class Dimension(NamedTuple):
    """What a rollup row is of, apart from its quarter-hour."""

    session_id: str
    project: str | None
    provider: str | None
    model: str | None
    request_model: str | None
    agent_path: str | None
    """A JSON array of names, or None."""
    user_id: str | None
    entity_type: str | None
    entity_id: str | None
    tool: str | None
    tags: str | None
    """A JSON object sorted by key, or None."""

    def digest(self) -> bytes:
        """Sixteen bytes that stand for the whole."""
        return hashlib.blake2b(json.dumps(self).encode(), digest_size=16).digest()


@functools.lru_cache(maxsize=4096)
def path_text(path: tuple[str, ...]) -> str | None:
    """A JSON array of agent names; None for none."""
    return json.dumps(path) if path else None


@functools.lru_cache(maxsize=4096)
def tags_text(tags: tuple[tuple[str, str], ...]) -> str | None:
    """A JSON object of tags sorted by key; None for none."""
    return json.dumps(dict(tags), sort_keys=True) if tags else None


def amounts(row: Row) -> Amounts:
    """What ``row`` adds to the totals of its session."""
    facts, rating, counted, hidden = row
    if hidden:
        return ZERO
    record = facts.record
    is_model = record.kind in COUNTED_KINDS
    status = record.status
    error = status == _ERROR
    turn = (counted or not is_model) and not is_mark(record) if record.turn else False
    if rating is None:
        return Amounts(rows=1, turns=turn, errors=error)
    nano, cost_status, parts, _, _, list_nano, _, _, tells_cache = rating
    if not counted:
        paid = 0 if is_model else nano or 0
        return Amounts(rows=1, turns=turn, errors=error, cost=paid)
    pending = cost_status == _PENDING
    if parts is None:
        tokens_in = tokens_out = 0
    else:
        tokens_in, tokens_out = parts.input_total, parts.output_total
    billed = possibly_billed(record) if record.possibly_billed else False
    # In the order of the fields: one such row is made for each call.
    return _new(
        Amounts,
        (1, 1, turn, error, status == _RUNNING, tokens_in, tokens_out)
        + (_cache(rating, parts, tokens_in) if tells_cache and parts is not None else _NO_CACHE)
        + (
            nano or 0,
            nano is not None,
            nano is None and not pending,
            pending,
            billed,
            billed and record.usage is not None,
            cost_status == _COVERED,
            list_nano or 0,
        ),
    )


# Members of an enum cost a look-up each, and named tuples made the usual way a call of ours.
_ERROR: Final = Status.ERROR
_RUNNING: Final = Status.RUNNING
_PENDING: Final = CostStatus.PENDING
_COVERED: Final = CostStatus.COVERED
_new: Final = tuple.__new__

_Cache: TypeAlias = tuple[int, int, int, int, int, int, int]
_NO_CACHE: Final[_Cache] = (0, 0, 0, 0, 0, 0, 0)


def _cache(rating: Rating, parts: UsageParts, tokens_in: int) -> _Cache:
    """What a call of which caching is known adds, in the order of the fields from ``cache_calls`` on."""
    saving, premium = rating.cache_saving_nano_usd, rating.cache_premium_nano_usd
    known = rating.nano_usd is not None and saving is not None and premium is not None
    return (
        1,
        tokens_in,
        parts.cache_read + parts.cache_audio_read,
        parts.cache_write_5m + parts.cache_write_1h,
        known,
        (saving or 0) if known else 0,
        (premium or 0) if known else 0,
    )


def names(
    path: tuple[str, ...], counted: bool, model: str | None, request_model: str | None, provider: str | None
) -> list[tuple[str, str]]:
    """(what, name) pairs by which a visible row's session can be found: agents, models, providers."""
    found = [("agent", name) for name in set(path)]
    if counted:
        if model:
            found.append(("model", model))
        if request_model and request_model != model:
            found.append(("request_model", request_model))
        if provider:
            found.append(("provider", provider))
    return found


def sane(rating: Rating) -> Rating:
    """The rating, or one that says ``bad_usage`` where a figure is impossible (negative, beyond 2^53)."""
    parts: UsageParts | None = rating.parts
    if parts is not None and (min(parts) < 0 or max(parts) >= LARGEST):
        return Rating(None, CostStatus.BAD_USAGE, None, rating.source, rating.price_id)
    if rating.nano_usd is not None and not -LARGEST < rating.nano_usd < LARGEST:
        return Rating(None, CostStatus.BAD_USAGE, parts, rating.source, rating.price_id)
    if rating.list_nano_usd is not None and not -LARGEST < rating.list_nano_usd < LARGEST:
        return rating._replace(list_nano_usd=None)
    return rating
