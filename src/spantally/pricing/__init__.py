"""Pricing: usage to parts, parts to nano-USD; importing it loads no price data.

:mod:`~spantally.pricing.usage` reads a provider's usage object, :mod:`~spantally.pricing.rates` holds the
rate table and its late loading, :mod:`~spantally.pricing.vendors` and :mod:`~spantally.pricing.card` find the
rates of one call, :mod:`~spantally.pricing.rate` puts them together. (``pricing.rate`` is that module;
the function of that name is imported from it.)
"""

from spantally.pricing.ordinary import price_of
from spantally.pricing.rate import quote, rate_if_loaded
from spantally.pricing.rates import ensure_loading, load, loaded, on_loaded
from spantally.pricing.usage import BadUsage, normalise

__all__ = [
    "BadUsage",
    "ensure_loading",
    "load",
    "loaded",
    "normalise",
    "on_loaded",
    "price_of",
    "quote",
    "rate_if_loaded",
]
