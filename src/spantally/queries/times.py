"""Times as users give them, and the machine's time zone."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from spantally.ground.errors import ArgumentError, shown

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_RELATIVE: Final = re.compile(r"(\d{1,9})\s*([smhdw])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST: Final = 9_200_000_000_000_000_000
"""The last moment to ask for, in 2261: a ledger holds 64 bits, and queries round up to whole periods."""


def moment_ns(name: str, value: datetime | str | None, *, now_ns: int | None = None) -> int | None:
    """A moment as UNIX nanoseconds; one that no ledger can hold is as far as it can.

    Args:
        name: of the argument, for the error.
        value: a datetime (a naive one is in the machine's zone), RFC 3339 text, or a time before now such
            as ``24h``, ``7d``, ``30m``, ``2w``; None stays None.
        now_ns: instead of the clock.

    Raises:
        ArgumentError: for anything else.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        return _within(_datetime_ns(value))
    if isinstance(value, str):
        text = value.strip()
        relative = _RELATIVE.fullmatch(text)
        if relative:
            now = time.time_ns() if now_ns is None else now_ns
            return _within(now - int(relative[1]) * _UNITS[relative[2]] * 1_000_000_000)
        try:
            return _within(_datetime_ns(datetime.fromisoformat(text)))
        except (ValueError, OverflowError):
            pass
    raise ArgumentError(
        f"{name}={shown(value)} is not a time; use a datetime, text such as 2026-11-30 or "
        "2026-11-30T12:00:00Z, or a time before now such as 24h or 7d"
    )


def _within(time_ns: int) -> int:
    return max(-_MOST, min(time_ns, _MOST))


def _datetime_ns(value: datetime) -> int:
    aware = value if value.tzinfo is not None else value.replace(tzinfo=ZoneInfo(local_zone()))
    since = aware - _EPOCH
    # Integers throughout: a float of seconds loses nanoseconds.
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def local_zone() -> str:
    """The IANA name of the machine's zone: TZ, else the system's choice, else UTC."""
    for name in _candidates():
        try:
            ZoneInfo(name)
        except Exception:
            continue
        return name
    return "UTC"


def _candidates() -> list[str]:
    found: list[str] = []
    text = os.environ.get("TZ", "").removeprefix(":")
    if text:
        found.append(_zone_in_path(text) or text)
    try:
        found.append(_zone_in_path(os.path.realpath("/etc/localtime")) or "")
    except OSError:
        pass
    try:
        found.append(Path("/etc/timezone").read_text(encoding="ascii", errors="replace").strip())
    except OSError:
        pass
    return [name for name in found if name]


def _zone_in_path(path: str) -> str | None:
    """The zone's name in the path of its file in a zoneinfo directory."""
    _, found, name = path.replace("\\", "/").partition("zoneinfo/")
    return name.removeprefix("posix/").removeprefix("right/") if found else None
