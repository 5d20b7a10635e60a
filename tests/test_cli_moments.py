"""Times on the command line: what users write, what JSON and tables say."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spantally.cli.moments import parse_moment, rfc3339, span_text
from spantally.cli.zone import machine_zone

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("90s", NOW - timedelta(seconds=90)),
        ("2w", NOW - timedelta(weeks=2)),
        ("30 m", NOW - timedelta(minutes=30)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00+05:30", datetime(2026, 1, 31, 6, 30, tzinfo=UTC)),
    ],
)
def test_moments_are_read(text: str, expected: datetime) -> None:
    """Every documented form gives the point in time it names."""
    assert parse_moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "7", "-7d", "7x", "2026-13-01", "999999w", "२४h"])
def test_other_texts_are_refused_by_name(text: str) -> None:
    """Anything else is a ValueError that repeats the value and says what is allowed."""
    with pytest.raises(ValueError) as raised:
        parse_moment(text, NOW)
    assert repr(text) in str(raised.value)


def test_a_date_is_midnight_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A date without an offset begins when it begins where the user sits."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert parse_moment("2026-01-31", NOW) == datetime(2026, 1, 30, 18, 30, tzinfo=UTC)
        assert machine_zone() == "Asia/Kolkata"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_zone_without_an_iana_name_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A POSIX rule in TZ has no name, so none is made up from elsewhere."""
    monkeypatch.setenv("TZ", "XYZ-3:07")
    assert machine_zone() is None


def test_zone_of_the_system_is_found_by_its_link(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without TZ the name comes from where the system's zone file lies."""
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr("os.path.realpath", lambda _path: "/usr/share/zoneinfo/posix/Asia/Kolkata")
    assert machine_zone() == "Asia/Kolkata"


def test_json_times_are_rfc3339_in_utc() -> None:
    """Times in JSON keep their microseconds and end in Z."""
    assert rfc3339(1_767_225_600_123_456_789) == "2026-01-01T00:00:00.123456Z"
    assert rfc3339(None) is None


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "-"),
        (0.4, "0ms"),
        (999.4, "999ms"),
        (2310, "2.31s"),
        (59_960, "1m00s"),
        (252_000, "4m12s"),
        (11_220_000, "3h07m"),
    ],
)
def test_lengths_of_time_are_short(milliseconds: float | None, text: str) -> None:
    """Durations read well at every size and never show 60 seconds in a minute."""
    assert span_text(milliseconds) == text
