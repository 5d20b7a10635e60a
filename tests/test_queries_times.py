"""Times as users give them, and the machine's zone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import TZPATH

import pytest

from ledger_kit import chat, rate
from spantally.ground.errors import ArgumentError
from spantally.ledger.grouping import zone
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import Ledger
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
    """TZ decides, as a name or as a path; what names nothing is UTC, as for the C library."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert local_zone() == "Europe/Berlin"
    monkeypatch.setenv("TZ", ":/usr/share/zoneinfo/Asia/Kathmandu")
    assert local_zone() == "Asia/Kathmandu"
    monkeypatch.delenv("TZ")
    assert zone(local_zone()).key
    monkeypatch.setattr("spantally.queries.times._LOCAL", "/usr/share/zoneinfo/Asia/Tokyo")
    assert local_zone() == "Asia/Tokyo"
    for nothing in (
        "No/Such/Zone",
        "",
        ":",
        "/no/such/file",
        "EST5,x",
        "AB3",
        "EST5EDT,M13.9.9,J0",
        "\udcff",
    ):
        monkeypatch.setenv("TZ", nothing)
        assert local_zone() == "UTC"


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="TZ is POSIX")
@pytest.mark.parametrize(
    "rule",
    [
        "EST5EDT,M3.2.0,M11.1.0",
        "XST5XDT,M3.2.0",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "NZST-12NZDT,M9.5.0,M4.1.0/3",
        "<+03>-3",
        ":<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
        "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "XST5XDT4,J60/2,J300",
        "UTC+3",
        "No/Such/Zone",
        "",
    ],
)
def test_a_posix_rule_is_the_machines_zone(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    """Every hour of two years is the same as in the C library."""
    monkeypatch.setenv("TZ", rule)
    time.tzset()
    try:
        place = zone(local_zone())
        for seconds in range(1_750_000_000, 1_813_000_000, 3600):
            local = datetime.fromtimestamp(seconds, place).replace(tzinfo=None)
            assert local == datetime.fromtimestamp(seconds)  # noqa: DTZ006 - the C library's answer
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_rule_without_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Summer time without a word of when it is comes with the days of the USA."""
    for rule in ("XST5XDT", "XST5XDT,", "XST5XDT4"):
        monkeypatch.setenv("TZ", rule)
        for month, hour in ((1, 7), (3, 7), (4, 8), (7, 8), (10, 8), (12, 7)):
            there = datetime(2026, month, 1, 12, tzinfo=UTC).astimezone(zone(local_zone()))
            assert there.hour == hour


def test_a_file_as_the_machines_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of a zone's file has the name that the system tells only where it is of that zone."""
    copy, name = tmp_path / "localtime", tmp_path / "timezone"
    tokyo = next(filter(Path.exists, (Path(one, "Asia/Tokyo") for one in TZPATH)), None)
    if tokyo is None:
        pytest.skip("no files of zones here")
    copy.write_bytes(tokyo.read_bytes())
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr("spantally.queries.times._LOCAL", str(copy))
    monkeypatch.setattr("spantally.queries.times._NAME", str(name))
    midday = datetime(2026, 11, 30, 12)  # noqa: DTZ001 - a naive one is of the machine's zone
    for told, found in ((None, str(copy)), ("Etc/UTC\n", str(copy)), ("Asia/Tokyo\n", "Asia/Tokyo")):
        if told is not None:
            name.write_text(told)
        assert local_zone() == found
        assert moment_ns("since", midday) == 1_796_007_600_000_000_000
    copy.unlink()
    assert local_zone() == "UTC"
    monkeypatch.setenv("TZ", str(copy))
    assert local_zone() == "UTC"


def test_days_of_a_posix_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days are those of the rule in TZ; to users' own ``tz`` only names are known."""
    store = SQLiteStore(":memory:")
    store.write([chat(start_ns=1_796_004_000_000_000_000, end_ns=None)], rate)  # 2026-11-30T02:00:00Z
    ledger = Ledger(store)
    for text, day in (("EST5EDT,M3.2.0,M11.1.0", "2026-11-29"), ("<+03>-3", "2026-11-30")):
        monkeypatch.setenv("TZ", text)
        assert [row.keys["day"] for row in ledger.cost("day")] == [day]
        assert [row.keys["day"] for row in ledger.outcomes("day")] == [day]
    for wrong in ("<+03>-3", "UTC+3", "/etc/localtime"):
        with pytest.raises(ArgumentError, match="IANA name"):
            ledger.cost("day", tz=wrong)
