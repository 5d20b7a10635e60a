"""Points in time as a user writes them, and spans of time as a user reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO: Final = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
FORMS: Final = "use 2026-01-31, 2026-01-31T12:00:00Z, or a time ago such as 90s, 30m, 24h, 7d, 2w"


def parse_moment(text: str, now: datetime | None = None) -> datetime:
    """Read a point in time; one without an offset is meant in the machine's zone.

    Args:
        text: a date, an RFC 3339 time, or a time ago.
        now: what "ago" counts from; the present if None.

    Raises:
        ValueError: for anything else.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago:
        try:
            return (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            raise ValueError(f"{text!r} is before the year 1") from None
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment if moment.tzinfo else moment.astimezone()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is not a time; {FORMS}") from None


def rfc3339(ns: int | None) -> str | None:
    """UNIX nanoseconds as RFC 3339 in UTC with microseconds and ``Z``."""
    if ns is None:
        return None
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def local_text(ns: int | None) -> str:
    """UNIX nanoseconds in the machine's zone, to the second."""
    if ns is None:
        return "-"
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def span_text(milliseconds: float | None) -> str:
    """A length of time, short: ``340ms``, ``2.31s``, ``4m12s``, ``3h07m``."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1000:
        return f"{milliseconds:.0f}ms"
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return f"{seconds:.2f}s" if seconds < 9.995 else f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
