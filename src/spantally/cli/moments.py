"""Times as a user reads them: RFC 3339 in JSON, the machine's zone in tables, lengths short."""

from __future__ import annotations

from datetime import UTC, datetime


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
