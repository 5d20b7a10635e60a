"""Times as users give them, and the machine's time zone."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import TZPATH

from spantally.ground.errors import ArgumentError, shown
from spantally.ledger.grouping import zone

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_RELATIVE: Final = re.compile(r"(\d{1,9})\s*([smhdw])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL: Final = "/etc/localtime"
_NAME: Final = "/etc/timezone"
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
    aware = value if value.tzinfo is not None else value.replace(tzinfo=zone(local_zone()))
    since = aware - _EPOCH
    # Integers throughout: a float of seconds loses nanoseconds.
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def local_zone() -> str:
    """The machine's zone: of TZ, else the system's choice, else UTC.

    As the C library takes them: where TZ is set at all, the system's choice is out of the question, and what
    is neither the name of a zone nor a POSIX rule nor a zone's file is UTC.

    Returns:
        An IANA name where there is one, else a rule or a path; :func:`spantally.ledger.grouping.zone` knows
        all of them.
    """
    for name in _candidates():
        try:
            zone(name)
        except ArgumentError:
            continue
        return name
    return "UTC"


def _candidates() -> list[str]:
    text = os.environ.get("TZ")
    if text is not None:
        text = text.removeprefix(":")
        return [name for name in (_zone_in_path(text), text) if name]
    try:
        name = _zone_in_path(os.path.realpath(_LOCAL)) or _name_of_copy(Path(_LOCAL).read_bytes())
    except OSError:
        return []
    return [name, _LOCAL] if name else [_LOCAL]


def _name_of_copy(wanted: bytes) -> str | None:
    """The name that the system gives its zone, if it is the zone of this file.

    In a container the file is often the host's, and the name another's.
    """
    try:
        name = Path(_NAME).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
    for folder in TZPATH if name else ():
        try:
            if Path(folder, name).read_bytes() == wanted:
                return name
        except (OSError, ValueError):
            continue
    return None


def _zone_in_path(path: str) -> str | None:
    """The zone's name in the path of its file in a zoneinfo directory."""
    _, found, name = path.replace("\\", "/").partition("zoneinfo/")
    return name.removeprefix("posix/").removeprefix("right/") if found else None
