"""Money and usage as plain values: integer nano-USD, one list of statuses, normalised usage parts."""

from __future__ import annotations

import enum
from decimal import Decimal, InvalidOperation
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


def nano_of_dollars(value: object, largest: int) -> int | None:
    """An amount of US dollars that a user wrote as nano-USD, exact.

    Args:
        value: a number, a Decimal or a text such as ``"0.50"``.
        largest: nano-USD; more is refused.

    Returns:
        None where it is none, is negative or not finite, or is too large.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    try:
        nano = Decimal(str(value)) * NANO
        return int(nano) if 0 <= nano <= largest else None  # a NaN raises
    except InvalidOperation:
        return None


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
    video_input: int = 0
    """Uncached video input."""
    cache_audio_read: int = 0
    """Audio input that was read from the cache."""
    cache_image_read: int = 0
    """Image input that was read from the cache."""
    cache_video_read: int = 0
    """Video input that was read from the cache."""
    output: int = 0
    """Text output, reasoning included, audio and image excluded."""
    reasoning: int = 0
    """Within ``output``; never added to it."""
    audio_output: int = 0
    image_output: int = 0
    video_output: int = 0
    citations: int = 0
    """Tokens of cited pages that are billed apart; in neither total."""
    web_searches: int = 0
    """Requests, not tokens."""
    file_searches: int = 0
    """Requests, not tokens."""
    search_units: int = 0
    """Units of reranking, not tokens."""
    audio_ms: int = 0
    """Milliseconds of audio, of what is billed by time; not tokens."""
    characters: int = 0
    """Characters of text, of what is billed by them; not tokens."""
    pages: int = 0
    """Pages of documents; not tokens."""
    annotated_pages: int = 0
    """Pages of documents that were annotated too, not among ``pages``."""
    images: int = 0
    """Images, of what is billed by the piece; not tokens."""

    @property
    def input_total(self) -> int:
        """All input tokens, cached ones included."""
        return sum(self[:_INPUTS])

    @property
    def output_total(self) -> int:
        """All output tokens, reasoning included."""
        return self.output + self.audio_output + self.image_output + self.video_output


_INPUTS: Final = UsageParts._fields.index("output")
"""The parts of the input come first, and nothing else does."""


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
    list_nano_usd: int | None = None
    """What a ``covered`` call would have cost by the rates of the list; apart from what was spent."""
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

    @property
    def covered_calls(self) -> int:
        """Those of the unpriced calls that are paid otherwise."""

    @property
    def list_nano_usd(self) -> int | None:
        """What these would have cost by the rates of the list."""


def uncovered(*totals: Uncovered) -> list[tuple[int, str]]:
    """What a sum of costs does not cover: numbers of calls with the word for each, zeros left out.

    A call that was possibly billed is named as such, and not once more among the unpriced ones; so is one
    that is covered.

    Args:
        totals: rows of disjoint totals.
    """
    billed = sum(row.possibly_billed_calls for row in totals)
    covered = sum(row.covered_calls for row in totals)
    value = sum(row.list_nano_usd or 0 for row in totals)
    unpriced = sum(row.unpriced_calls + row.lost_attempt_calls for row in totals) - billed - covered
    counts = (
        (billed, "possibly billed"),
        (max(unpriced, 0), "unpriced"),
        (covered, f"covered (list value {dollar_text(value)})" if value else "covered"),
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
    if known is None and len(missing) == 1 and missing[0][1].startswith("covered"):
        amount = "nothing spent"
    words = [f"{count:,} {word}" for count, word in missing]
    if missing:
        count, word = missing[0]
        words[0] = f"{count:,} {'call' if count == 1 else 'calls'} {word}"
    return " + ".join([amount, *words])
