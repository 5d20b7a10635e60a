"""Money and usage as plain values: integer nano-USD, one list of statuses, normalised usage parts."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

NANO: Final = 1_000_000_000


class CostStatus(enum.StrEnum):
    """How the cost of a row stands. A row without a cost always says why; it is never a silent 0.

    ``partial:<part>`` is written by :func:`partial`; it means that the cost is the sum of the known parts.
    """

    PENDING = "pending"
    PRICED = "priced"
    OVERRIDE = "override"
    FREE = "free"
    COVERED = "covered"
    PROVIDER_REPORTED = "provider_reported"
    ESTIMATED = "estimated"
    UNKNOWN_MODEL = "unknown_model"
    NO_USAGE = "no_usage"
    BAD_USAGE = "bad_usage"


def partial(part: str) -> str:
    """The status of a cost that lacks one part, e.g. ``partial:audio_output``."""
    return f"partial:{part}"


class UsageParts(NamedTuple):
    """Usage of one call, normalised: disjoint parts, but for reasoning, which lies within output.

    All in tokens unless a name says otherwise. ``input_tokens`` and ``output_tokens`` of the contract are
    :attr:`input_total` and :attr:`output_total`.
    """

    uncached_input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    """Uncached audio input."""
    image_input: int = 0
    """Uncached image input, where the provider tells it apart."""
    cache_audio_read: int = 0
    """Audio input that was read from the cache."""
    output: int = 0
    """Text output, reasoning included, audio and image excluded."""
    reasoning: int = 0
    """Within ``output``; never added to it."""
    audio_output: int = 0
    image_output: int = 0
    web_searches: int = 0
    """Requests, not tokens."""
    file_searches: int = 0
    """Requests, not tokens."""

    @property
    def input_total(self) -> int:
        """All input tokens, cached ones included."""
        return (
            self.uncached_input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.audio_input
            + self.image_input
            + self.cache_audio_read
        )

    @property
    def output_total(self) -> int:
        """All output tokens, reasoning included."""
        return self.output + self.audio_output + self.image_output


class Rating(NamedTuple):
    """The cost of one call."""

    nano_usd: int | None
    """Integer nano-USD, rounded half-even once; None with a status that says why."""
    status: str
    """A :class:`CostStatus`, or ``partial:<part>``."""
    parts: UsageParts | None = None
    source: str | None = None
    """Who says so: ``genai-prices 0.2.3``, ``provider``, ``override``."""
    price_id: str | None = None
    """Which entry of the source: provider/model, effective date, context."""
    cache_saving_nano_usd: int | None = None
    """What reading from the provider's cache saved against the rate of uncached input."""
    cache_premium_nano_usd: int | None = None
    """What writing to it cost beyond that rate."""
    cache_reported: bool = False
    """Whether the provider tells how much it read from its cache, be it nothing."""


PENDING: Final = Rating(None, CostStatus.PENDING)


def usd(nano_usd: int | None) -> Decimal | None:
    """Nano-USD as an exact decimal number of US dollars; None stays None."""
    return None if nano_usd is None else Decimal(nano_usd) / NANO


def usd_text(nano_usd: int | None) -> str | None:
    """Nano-USD as a decimal string of US dollars without exponent, at least two places: ``"0.0123"``."""
    if nano_usd is None:
        return None
    sign = "-" if nano_usd < 0 else ""
    whole, nano = divmod(abs(nano_usd), NANO)
    places = f"{nano:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{places}"


def dollar_text(nano_usd: int | None) -> str | None:
    """As :func:`usd_text`, with the sign of the dollar: ``"$0.0123"``."""
    text = usd_text(nano_usd)
    if text is None:
        return None
    return f"-${text[1:]}" if text.startswith("-") else f"${text}"


class Uncovered(Protocol):
    """Any row of totals: how many of its calls the known cost does not cover."""

    @property
    def unpriced_calls(self) -> int:
        """Rated, and without a cost."""

    @property
    def pending_calls(self) -> int:
        """Waiting for the price data."""

    @property
    def possibly_billed_calls(self) -> int:
        """Calls of which something was sent and ended without usage."""

    @property
    def lost_attempt_calls(self) -> int:
        """Those of them that have usage."""


def uncovered(*totals: Uncovered) -> list[tuple[int, str]]:
    """What a sum of costs does not cover: numbers of calls with the word for each, zeros left out.

    A call that was possibly billed is named as such, and not once more among the unpriced ones.

    Args:
        totals: rows of disjoint totals.
    """
    billed = sum(row.possibly_billed_calls for row in totals)
    unpriced = sum(row.unpriced_calls + row.lost_attempt_calls for row in totals) - billed
    counts = (
        (billed, "possibly billed"),
        (max(unpriced, 0), "unpriced"),
        (sum(row.pending_calls for row in totals), "pending"),
    )
    return [(count, word) for count, word in counts if count]


def known_text(nano_usd: int | None, *totals: Uncovered) -> str:
    """A sum of costs in a sentence: ``$1.92 known + 4 calls possibly billed + 1 unpriced``.

    Args:
        nano_usd: the known part; None for none.
        totals: rows of disjoint totals that it sums up.
    """
    known = dollar_text(nano_usd)
    missing = uncovered(*totals)
    amount = "cost unknown" if known is None else f"{known} known" if missing else known
    words = [f"{count:,} {word}" for count, word in missing]
    if missing:
        count, word = missing[0]
        words[0] = f"{count:,} {'call' if count == 1 else 'calls'} {word}"
    return " + ".join([amount, *words])
