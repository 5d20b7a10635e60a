"""Pricing: usage to parts, parts to nano-USD. Importing it loads no price data; see ``rates``."""

from spantally.pricing.rate import rate, rate_if_loaded
from spantally.pricing.rates import ensure_loading, load, loaded, on_loaded
from spantally.pricing.usage import BadUsage, normalise

__all__ = [
    "BadUsage",
    "ensure_loading",
    "load",
    "loaded",
    "normalise",
    "on_loaded",
    "rate",
    "rate_if_loaded",
]
