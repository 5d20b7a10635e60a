"""`spantally prices`: known rates, missing ones, problems of the settings file, and newer data on request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from cli_ledger import fill, invoke
from doctor_kit import diagnosed
from ledger_kit import T0, chat, session, usage
from own_rates_kit import UseOwn, own, read
from price_data import published
from spantally.ground.money import CostStatus, Rating, UsageParts
from spantally.ground.records import CallRecord
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.pricing import downloads, rates
from spantally.pricing.overrides_file import read_own
from spantally.queries import open_ledger
from spantally.queries.missing import missing_rates

__all__ = ["own"]

OWN = """
[aliases]
"prod-chat" = { provider = "azure", model = "gpt-4o" }
[[rate]]
name = "deal"
provider = "azure"
model = "gpt-4o"
from = 2026-01-01
multiplier = 0.85
[[rate]]
name = "gpu"
host = "gpu.lan"
model = "llama*"
per_second = 0.001
[[rate]]
name = "mine"
model = "llama-x"
service_tier = "flex"
input = 0.3
output = 1
[[rate.long_context]]
above = 1000
input = 0.6
[[rate]]
name = "old"
model = "llama-x"
to = 2025-12-31
input = 7
"""


def objects(*arguments: str) -> list[dict[str, Any]]:
    """What a command gives as JSON."""
    done = invoke("prices", *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


# -- MODEL ----------------------------------------------------------------------------------------------


def test_every_entry_of_a_model(own: UseOwn) -> None:
    """By provider, tier and threshold, in dollars for a million tokens, with date, id and source."""
    own("")
    rows = objects("gpt-5.4", "--provider", "openai", "--at", "2026-11-18")
    contexts = {(row["service_tier"], row["batch"], row["input_above"]) for row in rows}
    assert {
        (None, False, None),
        (None, False, 272_000),
        ("flex", False, 272_000),
        (None, True, None),
    } <= contexts
    [plain] = [
        row for row in rows if (row["service_tier"], row["batch"], row["input_above"]) == (None, False, None)
    ]
    assert plain["rates"]["uncached_input"] == "2.5"
    assert plain["rates"]["output"] == "15"
    assert plain["rates"]["web_searches"] == "10"
    assert (plain["override"], plain["kind"], plain["price_id"]) == (False, "list", "openai/gpt-5.4")
    assert plain["source"].startswith("genai-prices ")
    [flex] = [row for row in rows if (row["service_tier"], row["input_above"]) == ("flex", None)]
    assert flex["since"] == "2026-10-12"


def test_all_providers_without_one(own: UseOwn) -> None:
    """Each that has a rate, by its own name."""
    own("")
    assert {"openai", "azure"} <= {row["provider"] for row in objects("gpt-4o")}
    for name in ("azure", "azure.ai.openai", "AZURE"):
        assert {row["provider"] for row in objects("gpt-4o", "--provider", name)} == {"azure"}


def test_the_rates_of_another_day(own: UseOwn) -> None:
    """What holds at the time, of the list and of the own ones."""
    own(OWN)
    assert [row["entry"] for row in objects("llama-x", "--at", "2025-12-31")] == [
        "old",
        "mine",
        "mine",
        "gpu",
    ]
    assert "deal" not in {row["entry"] for row in objects("gpt-4o", "--at", "2025-12-31")}


def test_own_rates_stand_first_and_are_marked(own: UseOwn) -> None:
    """A factor as the rates that come of it; an alias as what it stands for."""
    own(OWN)
    first, second = objects("prod-chat")
    assert (first["override"], first["kind"], first["entry"]) == (True, "multiplier", "deal")
    assert (first["provider"], first["model"], first["since"]) == ("azure", "gpt-4o", "2026-01-01")
    assert (first["rates"]["uncached_input"], first["rates"]["output"]) == ("2.125", "8.5")
    assert first["price_id"] == "deal@2026-01-01;x0.85 of azure/gpt-4o"
    assert first["source"].startswith("override spantally.toml@0 on genai-prices ")
    assert (second["override"], second["rates"]["uncached_input"]) == (False, "2.5")
    flex, long, gpu = objects("llama-x")
    assert (flex["service_tier"], flex["rates"]["uncached_input"]) == ("flex", "0.3")
    assert (long["input_above"], long["rates"]["uncached_input"], long["rates"]["output"]) == (
        1000,
        "0.6",
        "1",
    )
    assert (gpu["host"], gpu["per_second"]) == ("gpu.lan", "0.001")


def test_as_a_table(own: UseOwn) -> None:
    """One line an entry; only parts that somebody has a rate for; the unit on stderr."""
    own(OWN)
    done = invoke("prices", "prod-chat")
    assert done.exit_code == 0
    head, first, second = done.stdout.splitlines()
    assert head.split()[:5] == ["PROVIDER", "MODEL", "FOR", "INPUT", "CACHE"]
    assert "AUDIO" not in head
    assert "override: deal" in first
    assert "genai-prices" in second
    assert "US dollars for a million tokens" in done.stderr


def test_no_rate_is_exit_code_1(own: UseOwn) -> None:
    """With what to do about it."""
    own("")
    done = invoke("prices", "no-such-model")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no rate is known for no-such-model" in done.stderr
    assert "spantally prices update" in done.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["gpt-4o", "--missing"],
        ["--check", "--missing"],
        ["show"],
        ["gpt-4o", "--since", "7d"],
        ["--check", "--at", "2026-01-01"],
        ["gpt-4o", "--at", "soon"],
        ["update", "--undo", "--url", "https://x"],
        ["update", "--url", "ftp://x"],
    ],
)
def test_wrong_arguments_are_exit_code_2(own: UseOwn, arguments: list[str]) -> None:
    """Before anything is loaded or changed."""
    own("")
    assert invoke("prices", *arguments).exit_code == 2


# -- --check --------------------------------------------------------------------------------------------


def test_check_shows_every_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a line, exit code 1; a sound file has none."""
    path = tmp_path / "spantally.toml"
    monkeypatch.setenv("SPANTALLY_CONFIG", str(path))
    path.write_text(OWN)
    done = invoke("prices", "--check")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "4 rates, 1 alias, 0 currencies in force, 0 problems" in done.stderr.replace("\n", " ")
    path.write_text(f"{OWN}\n[check]\nmax_usd = 1\n")  # the limits of `spantally check` stand there, too
    assert invoke("prices", "--check").exit_code == 0
    path.write_text("[[rate]]\ninput = 'x'\n[[rate]]\n[currencies]\nEUR = 0\n")
    done = invoke("prices", "--check")
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == 3
    assert len(json.loads(invoke("prices", "--check", "--json").stdout)) == 3
    doctor = diagnosed()
    assert sum(one["name"] == "own rates" and one["level"] == "problem" for one in doctor) == 3


def test_check_names_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt SPANTALLY_CONFIG leaves every rate out of force; without one, no file is no problem."""
    monkeypatch.setenv("SPANTALLY_CONFIG", str(tmp_path / "nowhere.toml"))
    done = invoke("prices", "--check")
    assert done.exit_code == 1
    assert "nowhere.toml does not exist, and SPANTALLY_CONFIG names it" in done.stdout
    monkeypatch.delenv("SPANTALLY_CONFIG")
    assert invoke("prices", "--check").exit_code == 0


def test_a_wrong_file_fails_what_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates are shown as they hold, and exit code 1 says that not all of the file does."""
    table = rates.load()
    assert table is not None
    monkeypatch.setattr(rates._loader, "table", replace(table, own=read("[[rate]]\ninput = 'x'\n")))
    done = invoke("prices", "gpt-4o")
    assert (done.exit_code, bool(done.stdout)) == (1, True)
    assert "spantally prices --check" in done.stderr


# -- --missing ------------------------------------------------------------------------------------------


def rated(record: CallRecord) -> Rating:
    """The status that stands in place of the response model."""
    parts = UsageParts(uncached_input=100, output=10)
    status = record.response_id or CostStatus.PRICED
    if status == "partial:input":
        parts = UsageParts(output=10)
    return Rating(None if status != CostStatus.PRICED else 1, status, parts)


@pytest.fixture
def unpriced(tmp_path: Path) -> None:
    """A ledger of calls with all kinds of gaps."""
    store = SQLiteStore(tmp_path / "ledger.db")
    gaps: list[tuple[str, dict[str, Any]]] = [
        ("priced", {}),
        ("unknown_model", {"response_model": "m", "server_address": "gw.lan"}),
        ("unknown_model", {"response_model": "m", "server_address": "gw.lan"}),
        ("unknown_model", {"response_model": "m", "server_address": "other.lan"}),
        ("partial:audio_output", {"response_model": "talks"}),
        ("partial:service_tier", {"response_model": "tiers"}),
        ("partial:input", {"response_model": "cut"}),
        ("partial:interrupted", {"response_model": "cut"}),
        ("no_usage", {"response_model": "cut"}),
        ("covered", {"response_model": "plan"}),
    ]
    store.write(
        [
            session(),
            *(
                chat(
                    f"c{number}",
                    response_id=None if status == "priced" else status,
                    usage=usage(1, 1),
                    **more,
                )
                for number, (status, more) in enumerate(gaps)
            ),
        ],
        lambda record: rated(record),
    )
    store.close()


@pytest.mark.usefixtures("unpriced")
def test_what_the_ledger_has_no_rate_for() -> None:
    """By provider, host and model, with calls and tokens; gaps of the usage are not among them."""
    rows = objects("--missing")
    found = {(row["host"], row["model"], row["status"], row["calls"], row["input_tokens"]) for row in rows}
    assert found == {
        ("gw.lan", "m", "unknown_model", 2, 200),
        ("other.lan", "m", "unknown_model", 1, 100),
        (None, "talks", "partial:audio_output", 1, 100),
        (None, "tiers", "partial:service_tier", 1, 100),
    }
    assert rows[0]["calls"] == 2
    assert all(row["advice"] and row["last_at"] for row in rows)
    assert objects("--missing", "--since", "2027-01-01") == []


@pytest.mark.usefixtures("unpriced")
def test_what_is_missing_is_grouped_in_the_ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No row of a call is read for it; a store that cannot group answers the same."""
    with open_ledger(tmp_path / "ledger.db") as ledger:
        grouped = missing_rates(ledger.store, None)
        monkeypatch.delattr(SQLiteStore, "unpriced")
        assert missing_rates(ledger.store, None) == grouped
        assert len(grouped) == 4
        monkeypatch.undo()
        monkeypatch.setattr(SQLiteStore, "calls", None)
        assert missing_rates(ledger.store, None) == grouped


@pytest.mark.usefixtures("unpriced")
def test_the_entry_to_paste_fits(tmp_path: Path) -> None:
    """As it is, it names no rate and is refused; with a rate filled in it is sound and for those calls."""
    for row in objects("--missing"):
        path = tmp_path / "spantally.toml"
        path.write_text(row["snippet"])
        [line] = read_own(path).wrong
        assert "it says nothing" in line
        filled = (
            row["snippet"].replace("# input = ...", "input = 1.5").replace("# output = ...", "output = 2")
        )
        path.write_text(filled.replace("# audio_output = ...", "audio_output = 3"))
        found = read_own(path)
        assert found.wrong == ()
        [rule] = found.rules
        assert rule.model.text == row["model"]
        assert (rule.host.text if rule.host else None) == row["host"]


@pytest.mark.usefixtures("unpriced")
def test_missing_rates_as_text() -> None:
    """A table, and below it the entries, on stdout; which file they are for on stderr."""
    done = invoke("prices", "--missing")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].split()[:5] == ["PROVIDER", "HOST", "MODEL", "WHY", "CALLS"]
    assert done.stdout.count("[[rate]]") == 4
    assert "spantally.toml" in done.stderr.replace("\n", "")


def test_nothing_is_missing(tmp_path: Path) -> None:
    """Said on stderr; an empty array in JSON."""
    fill(tmp_path / "ledger.db", [session(), chat("a", start_ns=T0)])
    done = invoke("prices", "--missing")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "every call has a rate" in done.stderr
    assert objects("--missing") == []


# -- update ---------------------------------------------------------------------------------------------

Answer = tuple[int, bytes, int]
"""Status, body, and the length that is promised."""


@pytest.fixture
def publisher() -> Iterator[Callable[..., str]]:
    """A server of price data on loopback; called with an answer, it gives the URL of it."""
    answers: list[Answer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, length = answers[-1]
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def publish(body: bytes, status: int = 200, length: int | None = None) -> str:
            answers.append((status, body, len(body) if length is None else length))
            return f"http://127.0.0.1:{server.server_port}/data.json"

        yield publish
        server.shutdown()
        thread.join()


def test_update_and_undo(publisher: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest data is in force for the next program, by the option or the setting; and back."""
    url = publisher(published(gpt_4o="2.1"))
    done = invoke("prices", "update", "--url", url)
    assert (done.exit_code, done.stdout) == (0, "")
    [first] = downloads.history()
    assert first.source in done.stderr.replace("\n", "")
    publisher(published(gpt_4o="2.2"))
    monkeypatch.setenv("SPANTALLY_PRICES_URL", url)
    assert invoke("prices", "update").exit_code == 0
    assert len(downloads.history()) == 2
    assert "was in force already" in invoke("prices", "update").stderr.replace("\n", " ")
    back = invoke("prices", "update", "--undo")
    assert (back.exit_code, downloads.history()) == (0, [first])
    doctor = diagnosed()
    assert [one["value"] for one in doctor if one["name"] == "price data"] == [first.source]
    assert "as it is installed" in invoke("prices", "update", "--undo").stderr.replace("\n", " ")
    assert invoke("prices", "update", "--undo").exit_code == 1


def test_a_failed_update_changes_nothing(publisher: Callable[..., str], tmp_path: Path) -> None:
    """A refusal, a half, a page, nobody there: exit code 1, why, and what was in force stays."""
    good = published(gpt_4o="2.1")
    assert invoke("prices", "update", "--url", publisher(good)).exit_code == 0
    before = downloads.history()
    cases: list[tuple[Callable[[], str], str]] = [
        (lambda: publisher(b"no", 404), "the server answered 404"),
        (lambda: publisher(good[:1000], 200, len(good)), "broke off"),
        (lambda: publisher(b"<html>log in</html>"), "cannot be read as price data"),
        (lambda: "http://127.0.0.1:9/data.json", "cannot be reached"),
        (lambda: f"file://{tmp_path}/none.json", "cannot be reached"),
    ]
    for url, said in cases:
        done = invoke("prices", "update", "--url", url())
        assert done.exit_code == 1
        words = " ".join(done.stderr.split())
        assert said in words
        assert "the prices in force are what they were" in words
        assert downloads.history() == before


def test_a_failed_update_says_where_its_url_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL of the environment is named with its variable; one that was given is not."""
    wrong = "http://127.0.0.1:9/data.json"
    monkeypatch.setenv("SPANTALLY_PRICES_URL", wrong)
    assert "URL from SPANTALLY_PRICES_URL" in " ".join(invoke("prices", "update").stderr.split())
    assert "SPANTALLY_PRICES_URL" not in invoke("prices", "update", "--url", wrong).stderr


def test_a_copy_without_a_network(tmp_path: Path) -> None:
    """A file that was carried over is as good."""
    path = tmp_path / "data.json"
    path.write_bytes(published(gpt_4o="2.1"))
    assert invoke("prices", "update", "--url", path.as_uri()).exit_code == 0
    assert downloads.history()[0].url == path.as_uri()
