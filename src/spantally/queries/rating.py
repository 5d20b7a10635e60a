"""What prices rows that are read while they wait for their price, or that are rated anew."""

from __future__ import annotations

from spantally.ground.errors import LedgerError
from spantally.ground.event_loop import in_event_loop
from spantally.ground.money import Rating
from spantally.ground.records import CallRecord
from spantally.ledger.contract import Rater


def certain_rater(rate: Rater) -> Rater:
    """A rater whose rates are there.

    Args:
        rate: the rater of a ledger.

    Raises:
        LedgerError: the rates cannot be loaded.
    """
    if rate is not rate_when_read:
        return rate
    from spantally.pricing import load
    from spantally.pricing.rate import rate as certain

    if load() is None:
        raise LedgerError(
            "the price data cannot be loaded, so nothing was rated anew; reinstall it "
            "(pip install --force-reinstall genai-prices) and see `spantally doctor`",
            slug="no_rates",
        )
    return certain


def rate_when_read(record: CallRecord) -> Rating:
    """Price a record, loading the price data at the first one; never waits inside a running event loop."""
    from spantally.pricing.rate import rate, rate_if_loaded

    if not in_event_loop():
        return rate(record)
    from spantally.pricing import ensure_loading

    ensure_loading()
    return rate_if_loaded(record)
