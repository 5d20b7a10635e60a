"""The IANA name of the machine's time zone, which days, weeks and months are formed in."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def known(name: str) -> bool:
    """True for a name that the time zone database has."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def machine_zone() -> str | None:
    """The machine's zone: TZ, else what the system is set to; None where its name cannot be told."""
    given = os.environ.get("TZ", "").removeprefix(":")
    if given:
        return given if known(given) else None
    try:
        _, zoneinfo, name = os.path.realpath("/etc/localtime").partition("zoneinfo/")
        name = name.removeprefix("posix/")
        if zoneinfo and known(name):
            return name
        name = Path("/etc/timezone").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return name if known(name) else None
