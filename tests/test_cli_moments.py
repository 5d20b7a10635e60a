"""Times that the command line writes: RFC 3339 in JSON, short lengths in tables."""

from __future__ import annotations

import pytest

from spantally.cli.moments import rfc3339, span_text


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
