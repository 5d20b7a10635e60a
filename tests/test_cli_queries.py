"""`sessions`, `calls` and `cost`: filters reach the query, rows reach JSON and tables whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import spantally.queries
from cli_rows import call_row, cost_row, session_row
from spantally.cli.main import cli
from spantally.ground.errors import LedgerError


class ScriptedLedger:
    """A ledger that answers with given rows and remembers what it was asked."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Any]] = {"sessions": [], "calls": [], "cost": []}
        self.asked: dict[str, dict[str, Any]] = {}
        self.closed = False
        self.error: LedgerError | None = None

    def _answer(self, name: str, arguments: dict[str, Any]) -> list[Any]:
        if self.error is not None:
            raise self.error
        self.asked[name] = arguments
        return self.rows[name][: arguments.get("limit")]

    def sessions(self, **arguments: Any) -> list[Any]:
        """Sessions as given."""
        return self._answer("sessions", arguments)

    def calls(self, **arguments: Any) -> list[Any]:
        """Calls as given."""
        return self._answer("calls", arguments)

    def cost(self, **arguments: Any) -> list[Any]:
        """Groups as given."""
        return self._answer("cost", arguments)

    def session(self, session_id: str) -> Any:
        """The session of exactly this id, or None."""
        return next((row for row in self.rows["sessions"] if row.session_id == session_id), None)

    def close(self) -> None:
        """Remember the end."""
        self.closed = True


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedLedger]:
    """A scripted ledger behind an existing file at the default place."""
    scripted = ScriptedLedger()
    (tmp_path / "ledger.db").touch()
    monkeypatch.setattr(spantally.queries, "open_ledger", lambda path: scripted, raising=False)
    yield scripted
    assert scripted.closed or not scripted.asked


def invoke(*arguments: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


SESSION_FIELDS = """
session_id name implicit conversation_id user_id entity_type entity_id tags status agents models
calls turn_count errors input_tokens output_tokens cost_nano_usd own_cost_nano_usd total_cost
unpriced_calls pending_calls started_at ended_at duration_ms
"""
CALL_FIELDS = """
call_id parent_call_id trace_id span_id session_id agent_path kind operation provider model status
error_type input_tokens output_tokens uncached_input cache_read cache_write_5m cache_write_1h
reasoning cost_nano_usd cost_status started_at duration_ms time_to_first_chunk_ms
"""


def test_session_object(ledger: ScriptedLedger) -> None:
    """A session in JSON has every field of the reference, money exact and times in UTC."""
    ledger.rows["sessions"] = [session_row()]
    done = invoke("sessions", "--json")
    (found,) = json.loads(done.stdout)
    assert set(SESSION_FIELDS.split()) <= set(found)
    assert (found["total_cost"], found["cost_nano_usd"]) == ("0.01230008", 12_300_080)
    assert (found["started_at"], found["ended_at"]) == (
        "2026-01-01T00:00:00.000000Z",
        "2026-01-01T00:00:02.000000Z",
    )
    assert (found["tags"], found["agents"], found["models"]) == (
        {"feature": "search"},
        ["planner"],
        ["gpt-4o"],
    )
    assert (done.exit_code, done.stderr) == (0, "")


def test_unknown_cost_is_null_and_not_zero(ledger: ScriptedLedger) -> None:
    """A session none of whose calls has a cost says null in JSON, and how many calls in the table."""
    ledger.rows["sessions"] = [session_row(cost_nano_usd=None, own_cost_nano_usd=None, unpriced_calls=2)]
    (found,) = json.loads(invoke("sessions", "--json").stdout)
    assert found["cost_nano_usd"] is None
    assert found["total_cost"] is None
    table = invoke("sessions").stdout
    assert "2 unpriced" in table
    assert "$" not in table


def test_call_object(ledger: ScriptedLedger) -> None:
    """A call in JSON has every field of the reference, the usage parts among them."""
    ledger.rows["calls"] = [call_row(uncached_input=60, cache_read=40, time_to_first_chunk_ms=12.5)]
    (found,) = json.loads(invoke("calls", "--json").stdout)
    assert set(CALL_FIELDS.split()) <= set(found)
    assert (found["uncached_input"], found["cache_read"], found["agent_path"]) == (60, 40, ["planner"])
    assert found["time_to_first_chunk_ms"] == 12.5


def test_cost_object(ledger: ScriptedLedger) -> None:
    """A group in JSON has its groupings as fields, and the zone its days are of."""
    ledger.rows["cost"] = [cost_row({"model": "gpt-4o", "day": "2026-01-01"})]
    (found,) = json.loads(invoke("cost", "--by", "model,day", "--tz", "Asia/Kolkata", "--json").stdout)
    assert (found["model"], found["day"], found["tz"]) == ("gpt-4o", "2026-01-01", "Asia/Kolkata")
    assert found["total_cost"] == "1.00"
    assert ledger.asked["cost"] == {"by": ("model", "day"), "tz": "Asia/Kolkata"}


def test_total_names_what_it_does_not_cover(ledger: ScriptedLedger) -> None:
    """The total line sums the groups and counts the calls beyond them."""
    ledger.rows["cost"] = [
        cost_row({"model": "a"}, calls=3, cost_nano_usd=1_900_000_000, unpriced_calls=1),
        cost_row({"model": "b"}, calls=4, cost_nano_usd=20_000_000, unpriced_calls=3, pending_calls=1),
        cost_row({"model": None}, calls=1, cost_nano_usd=None, pending_calls=0, possibly_billed_calls=1),
    ]
    done = invoke("cost")
    assert "total: $1.92 known + 4 calls unpriced + 1 pending + 1 possibly billed (of 8)" in done.stdout
    assert "(none)" in done.stdout


def test_total_of_complete_costs_is_plain(ledger: ScriptedLedger) -> None:
    """Where every call has a cost the total says just that."""
    ledger.rows["cost"] = [cost_row({"day": "2026-01-01"}, calls=2)]
    assert "total: $1.00 of 2 calls  (days of UTC)" in invoke("cost", "--by", "day", "--tz", "UTC").stdout


def test_filters_reach_the_query(ledger: ScriptedLedger) -> None:
    """Each option becomes its argument of the query; what was not given is left out."""
    words = (
        "sessions --user alice --entity customer:acme --tag a=1 --tag b=x=y --any-tag --agent planner "
        "--model gpt-4o --project shop --status failed --since 2026-01-01T00:00:00Z --until 1h "
        "--order -cost --limit 7"
    )
    assert invoke(*words.split()).exit_code == 0
    asked = ledger.asked["sessions"]
    until = asked.pop("until")
    assert abs(datetime.now(UTC) - timedelta(hours=1) - until) < timedelta(minutes=1)
    assert asked == {
        "user": "alice",
        "entity": "customer:acme",
        "tags": (("a", "1"), ("b", "x=y")),
        "any_tag": True,
        "agent": "planner",
        "model": "gpt-4o",
        "project": "shop",
        "status": "failed",
        "since": datetime(2026, 1, 1, tzinfo=UTC),
        "order_by": "-cost_nano_usd",
        "limit": 7,
    }


def test_limit_has_a_default_and_an_off(ledger: ScriptedLedger) -> None:
    """50 rows by default, said when there may be more; 0 asks for all."""
    ledger.rows["sessions"] = [session_row(f"s{index}") for index in range(60)]
    done = invoke("sessions")
    assert len(done.stdout.splitlines()) == 51
    assert "first 50" in done.stderr
    assert len(invoke("sessions", "--limit", "0").stdout.splitlines()) == 61


def test_calls_of_one_session_by_prefix(ledger: ScriptedLedger) -> None:
    """`calls --session` takes a unique prefix, and refuses one that fits several by naming them."""
    ledger.rows["sessions"] = [session_row("chat-one"), session_row("chat-two")]
    assert invoke("calls", "--session", "chat-t", "--kind", "tool", "--provider", "openai").exit_code == 0
    asked = ledger.asked["calls"]
    assert (asked["session"], asked["kind"], asked["provider"]) == ("chat-two", "tool", "openai")
    ambiguous = invoke("calls", "--session", "chat")
    assert ambiguous.exit_code == 2
    assert "chat-one, chat-two" in ambiguous.stderr
    assert invoke("calls", "--session", "other").exit_code == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("sessions --status done", "'done'"),
        ("sessions --order colour", "'colour'"),
        ("sessions --tag feature", "'feature'"),
        ("sessions --entity :acme", "':acme'"),
        ("sessions --since someday", "'someday'"),
        ("sessions --limit -1", "-1"),
        ("sessions --any-tag", "--tag"),
        ("sessions --since 1h --until 2h", "--since"),
        ("cost --by colour", "'colour'"),
        ("cost --by tag:", "'tag:'"),
        ("cost --by model,model", "twice"),
        ("cost --tz Mars/Olympus", "'Mars/Olympus'"),
        ("calls --kind thought", "'thought'"),
    ],
)
def test_wrong_arguments_are_named(words: str, named: str) -> None:
    """A wrong argument ends with 2 and a message that repeats it."""
    done = invoke(*words.split())
    assert done.exit_code == 2
    assert named in done.stderr
    assert done.stdout == ""


def test_table_says_every_column_on_a_pipe(ledger: ScriptedLedger) -> None:
    """On a pipe the table has every column, the whole id, and one line a session."""
    ledger.rows["sessions"] = [
        session_row(unpriced_calls=1),
        session_row("s2", name="x[bold]\x1b[31m", implicit=True),
    ]
    head, first, second = invoke("sessions").stdout.splitlines()
    headings = "SESSION NAME USER ENTITY AGENTS CALLS TURNS ERRORS TOKENS IN OUT COST STATUS STARTED DURATION"
    assert " ".join(head.split()) == headings
    assert "0198c5a2-1f3b-7abc-8def-0123456789ab" in first
    assert "$0.01230008 + 1 unpriced" in first
    assert "1,234" in first
    assert "x[bold]\\x1b[31m (implicit)" in second


def test_nothing_matches_is_said_on_stderr(ledger: ScriptedLedger) -> None:
    """No row is no error: stdout stays empty (an empty array in JSON), stderr says so."""
    for command in ("sessions", "calls", "cost"):
        done = invoke(command)
        assert (done.exit_code, done.stdout) == (0, "")
        assert "matches" in done.stderr
        assert json.loads(invoke(command, "--json").stdout) == []


def test_no_ledger_yet(tmp_path: Path) -> None:
    """Before the first call the queries answer with nothing, say how to begin, and make no file."""
    for command in ("sessions", "calls", "cost"):
        done = invoke(command, "--json")
        assert (done.exit_code, json.loads(done.stdout)) == (0, [])
        assert str(tmp_path / "ledger.db") in done.stderr
        assert "spantally run" in done.stderr
    assert not (tmp_path / "ledger.db").exists()


def test_named_ledger_that_is_missing(tmp_path: Path) -> None:
    """A path given by the user that leads nowhere ends with 2 and names it."""
    done = invoke("--ledger", str(tmp_path / "other.db"), "sessions")
    assert done.exit_code == 2
    assert str(tmp_path / "other.db") in done.stderr


@pytest.mark.parametrize("value", ["false", ":memory:"])
def test_ledger_that_cannot_be_read_from_here(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is off or in another process's memory ends with 2 and says what to set."""
    monkeypatch.setenv("SPANTALLY_LEDGER", value)
    done = invoke("sessions")
    assert done.exit_code == 2
    assert "SPANTALLY_LEDGER" in done.stderr


def test_ledger_in_a_missing_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A ledger whose directory does not exist ends with 2 and what to do."""
    monkeypatch.setenv("SPANTALLY_LEDGER", str(tmp_path / "no" / "ledger.db"))
    done = invoke("sessions")
    assert done.exit_code == 2
    assert str(tmp_path / "no") in done.stderr
    assert "create it" in done.stderr


def test_ledger_error_ends_with_2(ledger: ScriptedLedger, tmp_path: Path) -> None:
    """What the store says of a broken ledger comes out with its path, without a traceback."""
    ledger.error = LedgerError("it is of schema 9; upgrade spantally", slug="newer_schema")
    ledger.asked["nothing"] = {}
    done = invoke("sessions")
    assert done.exit_code == 2
    assert done.stderr == f"Error: {tmp_path / 'ledger.db'}: it is of schema 9; upgrade spantally\n"


def test_json_survives_half_a_surrogate(ledger: ScriptedLedger) -> None:
    """Text that UTF-8 cannot carry is escaped, and the array stays readable."""
    ledger.rows["sessions"] = [session_row(name="\ud800", user_id="Jürgen")]
    (found,) = json.loads(invoke("sessions", "--json").stdout)
    assert (found["name"], found["user_id"]) == ("\ud800", "Jürgen")
