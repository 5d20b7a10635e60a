"""The rates of the settings file: what is wrong is told in one line, and the rest of the file holds."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from own_rates_kit import read
from spantally.pricing.currencies import Currencies
from spantally.pricing.overrides import Rule
from spantally.pricing.overrides_file import NONE, read_own

TESTS = Path(__file__).parent
GOOD = '[[rate]]\nname = "good"\nmodel = "m"\ninput = 1\n'

WRONG = [
    ("name = 7\nfree = true", "name=7", "a text of"),
    ('model = ""\nfree = true', "model=''", "a text of"),
    ('model = "/(/"\nfree = true', "model='/(/'", "/a regex/"),
    ('host = "https://x.lan/v1"\nfree = true', "host='https://x.lan/v1'", "without scheme and port"),
    ('host = "localhost:8000"\nfree = true', "host='localhost:8000'", "without scheme and port"),
    ('host = "[::1]:8000"\nfree = true', "host='[::1]:8000'", "without scheme and port"),
    ('host = "x.lan/v1"\nfree = true', "host='x.lan/v1'", "without a path"),
    ("inptu = 1", "no such key: inptu", "did you mean input?"),
    ("input = 'abc'", "input='abc'", "0 to 1,000,000"),
    ("input = -1", "input=-1", "0 to 1,000,000"),
    ("input = true", "input=True", "0 to 1,000,000"),
    ("input = nan", "input=NaN", "0 to 1,000,000"),
    ("input = 1e9", "input=1E+9", "0 to 1,000,000"),
    ("input = 1e-40", "input=1E-40", "0 to 1,000,000"),
    ("per_second = inf", "per_second=Infinity", "each second"),
    ("multiplier = 0", "multiplier=0", "free = true"),
    ("free = 1", "free=1", "true or false"),
    ("batch = 'yes'\ninput = 1", "batch='yes'", "true or false"),
    ("from = 'soon'\ninput = 1", "from='soon'", "a date such as"),
    ("from = 2026-02-01\nto = 2026-01-31\ninput = 1", "to='2026-01-31'", "the last day"),
    ("currency = 'EUR'\ninput = 1", "currency='EUR'", "USD"),
    ("currency = 'GBP'\nfree = true", "currency='GBP'", "leave it out"),
    ("reasoning = 1", "reasoning needs", "output"),
    ("[[rate.long_context]]\nabove = 5\ninput = 1", "long_context needs", "input"),
    ("input = 1\n[[rate.long_context]]\nabove = 0\ninput = 1", "above=0", "input tokens"),
    ("input = 1\n[[rate.long_context]]\nabove = 5", "above=5", "no rate"),
    ("input = 1\nlong_context = 5", "long_context is not a list", "[[rate.long_context]]"),
    ("input = 1\n[[rate.long_context]]\nabove = 5\nfree = true", "no such key: free", "above"),
    ("", "it says nothing", "covered = true"),
    ("input = 1\nfree = true", "it says rates and free", "covered = true"),
    ("multiplier = 0.5\ncovered = true", "it says multiplier and covered", "covered = true"),
]


@pytest.mark.parametrize(("text", "named", "allowed"), WRONG)
def test_a_wrong_entry_is_named_and_left_out(text: str, named: str, allowed: str) -> None:
    """By file, entry, key, value and what is allowed; the entry after it holds."""
    found = read(f"[currencies]\nGBP = 1.3\n[[rate]]\n{text}\n{GOOD}")
    [line] = found.wrong
    assert line.startswith("spantally.toml, rate 1")
    assert named in line
    assert allowed in line
    assert "\n" not in line
    assert [rule.label for rule in found.rules] == ["good"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[rate]\ninput = 1", "write [[rate]]"),
        ("rate = [1]", "rate 1: 1 is not a table"),
        ("aliases = 5", "aliases=5 is not a table"),
        ('[aliases]\nx = { provider = "openai" }', "aliases, x: it has no model"),
        ('[aliases]\n" " = "m"', "the name is empty"),
        ("[aliases]\nx = 5", "aliases, x: 5 is not allowed"),
        ('[aliases]\nx = { model = "m", wrong = 1 }', "aliases, x: no such key: wrong"),
        ('[aliases]\n"/(/" = "m"', "aliases, /(/: name='/(/' is not allowed"),
        ("currencies = 5", "currencies=5 is not a table"),
        ("[currencies]\nEUR = 0", "currencies, EUR: EUR=0"),
        ("[currencies]\neuro = 1", "currencies, euro: the name"),
        ("[currencies]\nUSD = 2", "currencies, USD: the name"),
        ("[currencies.EUR]\nsoon = 1", "'soon' is not a date"),
        ("[currencies.EUR]\n2026-01-01 = 'x'", "2026-01-01='x'"),
        ("[currencies.EUR]", "it has no rate"),
        ("[[rates]]\ninput = 1", "did you mean rate?"),
        ("[alias]\nx = 1", "did you mean aliases?"),
        ("[[price]]\ninput = 1", "price is not known; allowed: aliases, budget, check, currencies, rate"),
    ],
)
def test_a_wrong_table_is_named(text: str, named: str) -> None:
    """What stands beside it holds all the same."""
    found = read(text if "rate" in text else f"{text}\n{GOOD}")
    [line] = found.wrong
    assert named in line
    assert [rule.label for rule in found.rules] == ([] if "rate" in text else ["good"])


@pytest.mark.parametrize("host", ["::1", "10.0.0.1", "[::1]", "a-b.example.org", "/gpu-[0-9]+/"])
def test_addresses_are_hosts(host: str) -> None:
    """A colon is a port only where it stands behind a name."""
    assert not read(f'[[rate]]\nhost = "{host}"\nfree = true').wrong


def test_numbers_are_read_as_they_are_written(tmp_path: Path) -> None:
    """A decimal of the file is that decimal, not the nearest binary one; as text it is the same."""
    path = tmp_path / "spantally.toml"
    path.write_text(
        '[[rate]]\nmodel = "m"\ninput = 0.1\ncache_read = "0.025"\noutput = 0.30000000000000000000001\n'
    )
    [rule] = read_own(path).rules
    assert rule.rates == {
        "uncached_input": Decimal("0.1"),
        "cache_read": Decimal("0.025"),
        "output": Decimal("0.30000000000000000000001"),
    }


def test_the_source_tells_one_content_from_another(tmp_path: Path) -> None:
    """Rows name the file and a hash of what it said; a file without rates is none."""
    path = tmp_path / "spantally.toml"
    assert read_own(path) == NONE
    sources = set()
    for text in ("", GOOD, GOOD + "\n"):
        path.write_text(text)
        sources.add(read_own(path).source)
    assert len(sources) == 3
    assert all(one.startswith("override spantally.toml@") for one in sources)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """No TOML, no UTF-8, no file: one line, and no rate."""
    path = tmp_path / "spantally.toml"
    path.write_text("[[rate]\n")
    assert "is not TOML" in read_own(path).wrong[0]
    path.write_bytes(b"\xff\xfe")
    assert "is not TOML" in read_own(path).wrong[0]
    assert "cannot be read" in read_own(tmp_path).wrong[0]


def test_a_number_beyond_all_numbers_is_one_wrong_entry(tmp_path: Path) -> None:
    """It is named as it is written, and the rest of the file holds."""
    path = tmp_path / "spantally.toml"
    path.write_text(f"[[rate]]\ninput = 1e999999999999999999999\n{GOOD}")
    found = read_own(path)
    [line] = found.wrong
    assert "rate 1: input='1e999999999999999999999' is not allowed" in line
    assert [rule.label for rule in found.rules] == ["good"]


def test_currencies_by_date() -> None:
    """The rate of the latest date that is not after the day; an undated one holds always."""
    money = read(
        "[currencies]\nCHF = 1.25\n[currencies.EUR]\n2026-07-01 = 1.2\n2026-01-01 = 1.1\n"
    ).currencies
    assert money.names() == ["USD", "CHF", "EUR"]
    assert money.dollars("EUR", date(2025, 12, 31)) is None
    assert money.dollars("EUR", date(2026, 6, 30)) == Decimal("1.1")
    assert money.dollars("EUR", date(2026, 7, 1)) == Decimal("1.2")
    assert money.converted(1_000, "CHF", date(1999, 1, 1)) == 800
    assert money.converted(1_000, "EUR", date(2026, 8, 1)) == Fraction(10_000, 12)
    assert money.converted(1_000, "JPY", date(2026, 8, 1)) is None
    assert Currencies().dollars("USD", date(2026, 1, 1)) == 1


def run(program: str, config: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter with a settings file."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=TESTS,
        env={"PATH": "", "SPANTALLY_CONFIG": str(config)},
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_file_is_read_on_the_rates_own_thread(tmp_path: Path) -> None:
    """Never by a caller, never at import; once in a process; what is wrong is logged once."""
    path = tmp_path / "spantally.toml"
    path.write_text(f"[[rate]]\nname = 'bad'\ninput = 'x'\n{GOOD}")
    done = run(
        """
        import logging, sys, threading
        logging.basicConfig(stream=sys.stderr, format="%(message)s")
        opened = []
        sys.addaudithook(lambda event, args: opened.append(threading.current_thread().name)
                         if event == "open" and str(args[0]).endswith("spantally.toml") else None)
        from pricing_records import chat, record
        from spantally.pricing import rates
        from spantally.pricing.rate import rate_if_loaded
        assert rate_if_loaded(record("m", chat(1, 0))).status == "pending"
        assert rate_if_loaded(record("m", None)).status == "pending"
        assert not opened and "tomllib" not in sys.modules
        done = threading.Event()
        rates.on_loaded(done.set)
        rates.ensure_loading()
        assert done.wait(30)
        for _ in range(3):
            assert rate_if_loaded(record("m", chat(1, 0))).price_id == "good"
        assert rate_if_loaded(record("m", None)).status == "no_usage"
        assert opened == ["spantally-rates"], opened
        """,
        path,
    )
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert str(path) in lines[0]
    assert "rate 1 (bad): input='x' is not allowed" in lines[0]


def test_a_reader_that_fails_leaves_the_list(tmp_path: Path) -> None:
    """Calls are rated by the table then, and the program notices nothing."""
    path = tmp_path / "spantally.toml"
    path.write_text(GOOD)
    done = run(
        """
        from pricing_records import chat, record
        from spantally.pricing import rates
        from spantally.pricing.rate import rate
        def broken(path):
            raise RuntimeError("broken")
        rates.read_own = broken
        assert rate(record("gpt-4o", chat(10, 10))).status == "priced"
        from spantally.ground import guard
        assert guard.failures == {("pricing.own_rates", "RuntimeError"): 1}, guard.failures
        """,
        path,
    )
    assert done.stdout == ""


def test_the_examples_of_the_docs_hold() -> None:
    """Each TOML block of the pages is without a problem, and together they show every way to give a rate."""
    rules: list[Rule] = []
    for name in ("rates.md", "ledger-and-cost.md"):
        page = (TESTS.parent / "docs" / name).read_text(encoding="utf-8")
        for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL):
            found = read(block)
            assert found.wrong == ()
            rules.extend(found.rules)
    assert any(rule.multiplier for rule in rules)
    assert any(rule.free for rule in rules)
    assert any(rule.covered for rule in rules)
    assert any(rule.per_second for rule in rules)
    assert any(rule.long_context for rule in rules)
    assert any(rule.currency == "EUR" for rule in rules)
