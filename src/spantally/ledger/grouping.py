"""Groups of ``cost --by``: their names, and days, weeks and months in the reader's zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from spantally.ground.errors import ArgumentError, shown
from spantally.ground.zones import zone_of_file, zone_of_rule

TIMES: Final = ("day", "week", "month")
PLAIN: Final = (
    "session",
    "conversation",
    "run",
    "agent",
    "model",
    "provider",
    "user",
    "entity",
    "tool",
    "project",
    "trace",
)
TAG: Final = "tag:"


def check_groupings(by: Sequence[str]) -> tuple[str, ...]:
    """The groupings, each once.

    Raises:
        ArgumentError: naming the value and what is allowed.
    """
    if not by:
        raise ArgumentError(f"by is empty; use one or more of: {allowed_groupings()}")
    for name in by:
        plain = name in PLAIN or name in TIMES
        if not plain and not (name.startswith(TAG) and len(name) > len(TAG)):
            raise ArgumentError(f"by={shown(name)} is not allowed; use one or more of: {allowed_groupings()}")
    return tuple(dict.fromkeys(by))


def allowed_groupings() -> str:
    """The allowed groupings, in words."""
    return ", ".join((*PLAIN, "tag:KEY", *TIMES))


def named_zone(tz: str) -> ZoneInfo:
    """The zone of an IANA name, as users give it.

    A POSIX rule is refused here: in one, ``UTC+3`` is *west* of Greenwich, which few who write it mean.

    Raises:
        ArgumentError: if there is none of that name.
    """
    try:
        return ZoneInfo(tz)
    except Exception as error:
        raise ArgumentError(
            f"tz={shown(tz)} is not a time zone; use an IANA name such as Europe/Berlin, Asia/Kolkata or UTC"
        ) from error


def zone(tz: str) -> ZoneInfo:
    """The zone of an IANA name, or as the machine's may be told: of a POSIX rule, or of a file.

    Raises:
        ArgumentError: if it is none of them.
    """
    try:
        return named_zone(tz)
    except ArgumentError:
        found = None
        if isinstance(tz, str):
            found = zone_of_file(tz) if tz.startswith("/") else zone_of_rule(tz)
        if found is None:
            raise
        return found


def label_of(unit: str, place: ZoneInfo) -> Callable[[int], str]:
    """A function from UNIX seconds to the day (2026-11-30), ISO week (2026-W49) or month (2026-11) there."""

    def label(seconds: int) -> str:
        local = datetime.fromtimestamp(seconds, place)
        if unit == "day":
            return local.strftime("%Y-%m-%d")
        if unit == "month":
            return local.strftime("%Y-%m")
        year, week, _ = local.isocalendar()
        return f"{year:04d}-W{week:02d}"

    return label
