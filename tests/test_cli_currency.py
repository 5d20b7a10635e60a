"""`cost --currency`: each day's cost at that day's rate of the settings file, beside the dollars."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from cli_ledger import fill, invoke
from ledger_kit import T0, chat, session
from spantally.cli.currency import amount_text

DAY = 86_400_000_000_000
"""T0 is 2026-10-26 in UTC."""
EUR = "[currencies.EUR]\n2026-10-26 = 1.25\n2026-10-27 = 1.6\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes the settings file; the ledger has calls of two days, of two models, one without a price."""
    path = tmp_path / "spantally.toml"
    monkeypatch.setenv("SPANTALLY_CONFIG", str(path))
    fill(
        tmp_path / "ledger.db",
        [
            session(),
            chat("a"),
            chat("b", start_ns=T0 + DAY, end_ns=T0 + DAY + 1),
            chat("c", start_ns=T0 + DAY, end_ns=T0 + DAY + 1, response_model="gpt-5-other"),
            chat("d", response_model="unknown"),
        ],
    )

    def write(text: str) -> None:
        path.write_text(text)

    return write


def cost_of_one() -> int:
    """What each priced call of the ledger costs, in nano-USD."""
    [row] = [row for row in json.loads(invoke("calls", "--json").stdout) if row["call_id"] == "a"]
    return int(row["cost_nano_usd"])


def test_each_day_at_its_rate(settings: Callable[[str], None]) -> None:
    """A group over two days is the sum of both, not of either's rate; what has no cost has no amount."""
    settings(EUR)
    nano = cost_of_one()
    done = invoke("cost", "--by", "model", "--currency", "EUR", "--tz", "UTC", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    rows = {row["model"]: row for row in json.loads(done.stdout)}
    both = Fraction(nano) / Fraction("1.25") + Fraction(nano) / Fraction("1.6")
    model = next(name for name in rows if name not in ("unknown", "gpt-5-other"))
    assert rows[model]["cost"] == amount_text(both)
    assert (rows[model]["calls"], rows[model]["cost_nano_usd"]) == (2, 2 * nano)
    assert rows["gpt-5-other"]["cost"] == amount_text(Fraction(nano) / Fraction("1.6"))
    assert (rows["unknown"]["cost"], rows["unknown"]["cost_nano_usd"]) == (None, None)
    assert {row["currency"] for row in rows.values()} == {"EUR"}


def test_the_dollars_are_what_they_are_without(settings: Callable[[str], None]) -> None:
    """Groups, order and figures do not depend on the currency."""
    settings(EUR)
    for by in ("model", "session", "day", "model,day", "week"):
        plain = json.loads(invoke("cost", "--by", by, "--tz", "UTC", "--json").stdout)
        with_it = json.loads(invoke("cost", "--by", by, "--tz", "UTC", "--currency", "EUR", "--json").stdout)
        for row in with_it:
            assert row.pop("currency") == "EUR"
            row.pop("cost")
        assert with_it == plain


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles", "UTC"])
@pytest.mark.parametrize("by", ["model", "day", "week,model", "month"])
def test_rates_are_of_days_in_utc(
    tmp_path: Path, settings: Callable[[str], None], zone: str, by: str
) -> None:
    """As those by which a call is priced: the total is the same whatever zone the groups' days are of."""
    settings(EUR)
    midnight = T0 - T0 % DAY + DAY  # of the 27th, when the rate changes
    around = [-1, 0, 1, 12 * DAY // 24, 18 * DAY // 24, -12 * DAY // 24, -18 * DAY // 24]
    fill(
        tmp_path / "ledger.db",
        [
            chat(f"m{number}", start_ns=midnight + shift, end_ns=midnight + shift)
            for number, shift in enumerate(around)
        ],
    )
    nano = cost_of_one()
    rows = json.loads(invoke("cost", "--by", by, "--currency", "EUR", "--tz", zone, "--json").stdout)
    # Of the fixture "a" is of the 26th, "b" and "c" are of the 27th.
    wanted = 4 * Fraction(nano) / Fraction("1.25") + 6 * Fraction(nano) / Fraction("1.6")
    assert sum(Fraction(row["cost"]) for row in rows if row["cost"]) == wanted / 10**9
    assert sum(row["calls"] for row in rows) == 11
    since = ["--since", "2026-10-26T12:00:00Z", "--until", "2026-10-27T12:00:00Z"]
    rows = json.loads(invoke("cost", "--by", by, "--currency", "EUR", "--tz", zone, "--json", *since).stdout)
    wanted = 2 * Fraction(nano) / Fraction("1.25") + 4 * Fraction(nano) / Fraction("1.6")
    assert sum(Fraction(row["cost"]) for row in rows if row["cost"]) == wanted / 10**9


def test_a_table_has_both(settings: Callable[[str], None]) -> None:
    """A column beside the dollars, and the total in both."""
    settings(EUR)
    done = invoke("cost", "--currency", "EUR", "--tz", "UTC")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].split()[-2:] == ["COST", "EUR"]
    nano = cost_of_one()
    total = amount_text(Fraction(nano) / Fraction("1.25") + 2 * Fraction(nano) / Fraction("1.6"))
    assert done.stdout.splitlines()[-1] == f"EUR {total}, each day at that day's rate"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "--currency EUR is not known; use one of: USD"),
        ("[currencies]\nCHF = 1.2\n", "use one of: USD, CHF"),
        ("[currencies.EUR]\n2026-10-27 = 1.1\n", "has no rate for 2026-10-26"),
        ("[currencies.EUR]\n2026-10-27 = 'x'\n", "--currency EUR is not known"),
    ],
)
def test_without_a_rate_nothing_is_guessed(settings: Callable[[str], None], text: str, said: str) -> None:
    """Exit code 2, with what to add to which file."""
    settings(text)
    done = invoke("cost", "--currency", "EUR", "--tz", "UTC")
    assert done.exit_code == 2
    assert said in done.stderr.replace("\n", " ")
    assert "spantally.toml" in done.stderr
    assert done.stdout == ""


def test_dollars_need_no_rate(settings: Callable[[str], None]) -> None:
    """The currency of the ledger is one of them."""
    settings("")
    done = invoke("cost", "--currency", "USD", "--tz", "UTC", "--json")
    rows = json.loads(done.stdout)
    assert [row["cost"] for row in rows] == [row["total_cost"] for row in rows]
