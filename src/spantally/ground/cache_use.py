"""What calls made of their providers' prompt caches: sums that add up over disjoint groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class CacheUse(NamedTuple):
    """Prompt caching of a group of calls. Calls whose provider reports nothing of a cache are not in it."""

    calls: int = 0
    """Calls whose provider tells how much it read from its cache, be it nothing."""
    input_tokens: int = 0
    """All input of these."""
    read_tokens: int = 0
    """Of it read from the cache."""
    write_tokens: int = 0
    """Of it written to the cache, where that is told."""
    rated_calls: int = 0
    """Calls of these whose rates are known."""
    saving: int = 0
    """Nano-USD that reading saved these, against the rate of uncached input."""
    premium: int = 0
    """Nano-USD that writing cost these beyond the rate of uncached input."""

    @property
    def hit_rate(self) -> float | None:
        """Share of the input that was read from the cache, 0 to 1; None where no provider reports it."""
        return self.read_tokens / self.input_tokens if self.input_tokens else None

    @property
    def saving_nano_usd(self) -> int | None:
        """What reading saved against the rate of uncached input; None where that is not known of any call."""
        return self.saving if self.rated_calls else None

    @property
    def premium_nano_usd(self) -> int | None:
        """What writing cost beyond the rate of uncached input; None where that is not known of any call."""
        return self.premium if self.rated_calls else None


NO_CACHE = CacheUse()


def cache_sum(groups: Iterable[CacheUse]) -> CacheUse:
    """The sum over disjoint groups."""
    used = [one for one in groups if one.calls]
    return used[0] if len(used) == 1 else CacheUse(*map(sum, zip(*used, strict=True))) if used else NO_CACHE
