"""Times as users give them, and the machine's zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from spantally.ground.errors import ArgumentError
from spantally.queries.times import local_zone, moment_ns

NOW = 1_793_000_000_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_ages(text: str, seconds: int) -> None:
    """Ages count back from now."""
    assert moment_ns("since", text, now_ns=NOW) == NOW - seconds * 1_000_000_000


def test_exact_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 3339 text and datetimes are exact to the microsecond; naive ones are local."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    wanted = 1_793_000_000_123_456_000
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=wanted // 1000)
    assert moment_ns("since", moment) == wanted
    assert moment_ns("since", moment.astimezone(timezone(timedelta(hours=-5)))) == wanted
    assert moment_ns("since", moment.isoformat().replace("+00:00", "Z")) == wanted
    local = (moment + timedelta(hours=5, minutes=30)).replace(tzinfo=None)
    assert moment_ns("since", local) == moment_ns("since", local.isoformat()) == wanted
    assert moment_ns("since", None) is None


@pytest.mark.parametrize("wrong", ["yesterday", "7y", "", "12:00", 5])
def test_wrong_times(wrong: object) -> None:
    """What is no time is named with examples."""
    with pytest.raises(ArgumentError, match="7d"):
        moment_ns("since", wrong)  # type: ignore[arg-type]


def test_the_machines_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """TZ decides, as a name or as a path; nonsense falls through to a zone that exists."""
    from zoneinfo import ZoneInfo

    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert local_zone() == "Europe/Berlin"
    monkeypatch.setenv("TZ", ":/usr/share/zoneinfo/Asia/Kathmandu")
    assert local_zone() == "Asia/Kathmandu"
    monkeypatch.setenv("TZ", "No/Such/Zone")
    assert ZoneInfo(local_zone()).key
