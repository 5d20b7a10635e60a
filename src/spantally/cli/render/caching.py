"""Prompt caching as text: hit rate, what reading saved and what writing cost more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from spantally.cli.render.numbers import NONE, money_text
from spantally.cli.render.tables import Column
from spantally.ground.cache_use import CacheUse


class Caching(Protocol):
    """Any row of sums."""

    @property
    def cache(self) -> CacheUse:
        """Of the providers' prompt caches."""


_Row = TypeVar("_Row", bound=Caching)


def rate_text(cache: CacheUse) -> str:
    """The share of input that was read from caches: ``34.2 %``; a dash where no provider reports it."""
    return NONE if cache.hit_rate is None else f"{cache.hit_rate * 100:.1f} %"


def cache_text(cache: CacheUse) -> str | None:
    """A sentence's part: ``34.2 % of input read from cache, saved $0.10, writes cost $0.02 more``.

    Returns:
        None where no provider reports anything, so that nothing is said at all.
    """
    if cache.hit_rate is None:
        return None
    words = [f"{rate_text(cache)} of input read from cache"]
    if cache.saving_nano_usd is not None and cache.read_tokens:
        words.append(f"saved {money_text(cache.saving_nano_usd)}")
    if cache.premium_nano_usd is not None and cache.write_tokens:
        words.append(f"writes cost {money_text(cache.premium_nano_usd)} more")
    return ", ".join(words)


def cache_columns(rows: Sequence[_Row], keep: int, *, money: bool = True) -> list[Column[_Row]]:
    """Columns of a table of sums; none where nothing was read from a cache or written to one.

    Args:
        rows: of the table.
        keep: rank on a narrow terminal.
        money: with what was saved and what writing cost more.
    """
    columns: list[Column[_Row]] = []
    if any(row.cache.read_tokens or row.cache.write_tokens for row in rows):
        columns.append(Column("CACHE HIT", lambda row: rate_text(row.cache), number=True, keep=keep))
    if money and any(row.cache.read_tokens and row.cache.rated_calls for row in rows):
        columns.append(
            Column("SAVED", lambda row: money_text(row.cache.saving_nano_usd), number=True, keep=keep)
        )
    if money and any(row.cache.write_tokens and row.cache.rated_calls for row in rows):
        columns.append(
            Column("WRITES MORE", lambda row: money_text(row.cache.premium_nano_usd), number=True, keep=keep)
        )
    return columns
