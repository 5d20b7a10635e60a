"""What a provider itself says that a call cost: the bill, so it wins over any estimate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from spantally.ground.money import NANO
from spantally.pricing.usage.counts import BadUsage, count, details

MAX_REPORTED_USD: Final = 9_000_000
"""No single call costs more; larger is a unit error, and more than the ledger takes for a cost (2^53)."""

REPORTS: Final = frozenset({"cost", "cost_in_usd_ticks", "cost_nano_usd"})
"""Keys of a usage object under which a provider says it."""

_TICKS: Final = 10
"""xAI's ticks in a nano-USD."""


def reported_cost(raw: Mapping[str, Any]) -> int | None:
    """What the provider itself says that the call cost.

    OpenRouter: ``cost`` is what was charged, in US dollars; with a key of the user's own (``is_byok``) that
    is OpenRouter's fee, and the upstream's charge stands in ``cost_details.upstream_inference_cost``
    (openrouter.ai/docs/use-cases/usage-accounting). Perplexity: ``cost.total_cost`` in US dollars
    (docs.perplexity.ai/api-reference/chat-completions-post). xAI: ``cost_in_usd_ticks``, of which ten
    thousand million are a dollar (docs.x.ai/docs/api-reference, usage).

    A program that records a call itself: ``cost_nano_usd``.

    Returns:
        Nano-USD, rounded half-even, or None when the provider reports no cost.

    Raises:
        BadUsage: when the reported cost is negative or not a number.
    """
    if raw.get("cost_nano_usd") is not None:
        return count(raw, "cost_nano_usd", MAX_REPORTED_USD * NANO)
    cost = raw.get("cost")
    if isinstance(cost, Mapping):
        cost = cost.get("total_cost")
    if cost is None:
        if raw.get("cost_in_usd_ticks") is None:
            return None
        nano, rest = divmod(_ticks(raw), _TICKS)
        return nano + (rest > _TICKS // 2 or (rest == _TICKS // 2 and nano & 1))
    dollars = _dollars(cost)
    if raw.get("is_byok") is True:
        upstream = details(raw, "cost_details").get("upstream_inference_cost")
        if upstream is not None:
            dollars += _dollars(upstream)
    return int((dollars * NANO).to_integral_value(ROUND_HALF_EVEN))


def _ticks(raw: Mapping[str, Any]) -> int:
    value = raw["cost_in_usd_ticks"]
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:
        value = int(value)  # as protocol buffers write 64 bits in JSON
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and 0 <= value <= MAX_REPORTED_USD * NANO * _TICKS
    ):
        return value
    return count(raw, "cost_in_usd_ticks")  # raises, with the right words


def _dollars(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise BadUsage(f"cost is a {type(value).__name__}: not an amount")
    if not math.isfinite(value) or not 0 <= value <= MAX_REPORTED_USD:
        raise BadUsage("cost is not an amount of money")
    # repr() of a float is the shortest decimal that reads back as it: the text the provider sent.
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
