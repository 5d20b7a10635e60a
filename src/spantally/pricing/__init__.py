"""Pricing: usage to parts, parts to nano-USD; importing it loads no price data.

:mod:`~spantally.pricing.usage` reads a provider's usage object, :mod:`~spantally.pricing.rates` holds the
rate table and its late loading, :mod:`~spantally.pricing.vendors` and :mod:`~spantally.pricing.card` find the
rates of one call, :mod:`~spantally.pricing.rate` puts them together.
"""
