"""The tools of ``zero_code.py``: plain functions that know nothing of telemetry."""

from __future__ import annotations


def stock(item: str) -> str:
    """How many pieces are there."""
    return f"{item}: 12 pieces"


def price(item: str) -> str:
    """What a piece costs."""
    return f"{item}: 4.50 EUR"
