"""`sessions`, `calls` and `cost`: filters choose, and rows come out whole, in JSON and in tables."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from cli_ledger import LONG, fill, invoke, research, small
from doctor_kit import diagnosed
from ledger_kit import T0
from spantally.cli.cost import total_line
from spantally.cli.jsonout import print_array
from spantally.ledger.contract import CostRow

SESSION_FIELDS = """
session_id name implicit conversation_id user_id entity_type entity_id tags status agents models
calls turn_count errors input_tokens output_tokens cost_nano_usd own_cost_nano_usd total_cost
unpriced_calls pending_calls started_at ended_at duration_ms
"""
CALL_FIELDS = """
call_id parent_call_id trace_id span_id session_id agent_path kind operation provider model status
error_type input_tokens output_tokens uncached_input cache_read cache_write_5m cache_write_1h
reasoning cost_nano_usd cost_status started_at duration_ms time_to_first_chunk_ms finish_reasons
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The default ledger with three sessions in it."""
    path = tmp_path / "ledger.db"
    fill(path, research(), small("chat-one", 1), small("chat-two", 2, tags=(("tier", "free"),)))
    return path


def objects(*arguments: str) -> list[dict[str, Any]]:
    """The objects that a command gives as JSON, which must end well and say nothing else."""
    done = invoke(*arguments, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def ids(*arguments: str) -> list[str]:
    """Ids of the sessions that `sessions` gives."""
    return [one["session_id"] for one in objects("sessions", *arguments)]


def test_session_object(ledger: Path) -> None:
    """A session in JSON has every field of the reference, money exact and times in UTC."""
    (found,) = objects("sessions", "--user", "alice")
    assert set(SESSION_FIELDS.split()) <= set(found)
    assert found["session_id"] == LONG
    assert (found["cost_nano_usd"], found["total_cost"], found["unpriced_calls"]) == (146_000, "0.000146", 1)
    assert (found["calls"], found["turn_count"], found["errors"]) == (3, 1, 1)
    assert found["started_at"] == "2026-10-26T07:33:20.000000Z"
    assert (found["ended_at"], found["duration_ms"]) == ("2026-10-26T07:33:25.000000Z", 5000.0)
    assert found["tags"] == {"feature": "search", "tier": "gold"}
    assert found["agents"] == ["planner", "researcher"]
    assert found["models"] == ["gpt-5-2026", "unknown"]


def test_call_object(ledger: Path) -> None:
    """A call in JSON has every field of the reference, the usage parts among them."""
    found = objects("calls", "--session", LONG, "--kind", "inference")[0]
    assert set(CALL_FIELDS.split()) <= set(found)
    assert (found["call_id"], found["parent_call_id"], found["agent_path"]) == ("ask", "plan", ["planner"])
    assert (found["uncached_input"], found["output_tokens"], found["cost_nano_usd"]) == (100, 10, 130_000)
    assert (found["duration_ms"], found["time_to_first_chunk_ms"]) == (1000.0, 250.0)
    assert found["finish_reasons"] == ["tool_call"]


def test_calls_by_finish_reason(ledger: Path) -> None:
    """Those with a choice that stopped for it; nobody's own spelling matches others."""
    assert [one["call_id"] for one in objects("calls", "--finish-reason", "tool_call")] == ["ask"]
    assert objects("calls", "--finish-reason", "length") == []
    assert invoke("calls", "--finish-reason", "").exit_code == 2


def test_cost_objects_sum_to_the_total(ledger: Path) -> None:
    """A group in JSON has its groupings as fields and the zone of its days; groups are disjoint."""
    found = objects("cost", "--by", "model,day", "--tz", "Asia/Kolkata")
    assert {(one["model"], one["day"], one["tz"]) for one in found if one["calls"]} == {
        ("gpt-5-2026", "2026-10-26", "Asia/Kolkata"),
        ("unknown", "2026-10-26", "Asia/Kolkata"),
    }
    assert sum(one["cost_nano_usd"] or 0 for one in found) == 178_000
    assert {one["total_cost"] for one in found if one["calls"]} == {"0.000178", None}


def test_zone_moves_the_days(ledger: Path) -> None:
    """`--tz` decides on which day a call fell; by default it is the machine's zone."""
    assert {one["day"] for one in objects("cost", "--by", "day", "--tz", "Pacific/Pago_Pago")} == {
        "2026-10-25"
    }
    assert objects("cost", "--by", "day")[0]["tz"] == "UTC"


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of these tests is in UTC."""
    monkeypatch.setenv("TZ", "UTC")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", ["chat-two", "chat-one", LONG]),
        ("--user bob", ["chat-two", "chat-one"]),
        ("--entity customer", [LONG]),
        ("--entity customer:acme", [LONG]),
        ("--entity customer:other", []),
        ("--tag tier=gold --tag feature=search", [LONG]),
        ("--tag tier=free --tag feature=search", []),
        ("--tag tier=free --tag feature=search --any-tag", ["chat-two", LONG]),
        ("--agent researcher", [LONG]),
        ("--model unknown", [LONG]),
        ("--project nowhere", []),
        ("--status failed", []),
        ("--since 2026-10-26T07:34:20Z", ["chat-two", "chat-one"]),
        ("--until 2026-10-26T07:34:20Z", [LONG]),
        ("--order cost", ["chat-one", "chat-two", LONG]),
        ("--order -cost --limit 1", [LONG]),
        ("--limit 0", ["chat-two", "chat-one", LONG]),
    ],
)
def test_filters_choose_sessions(ledger: Path, words: str, expected: list[str]) -> None:
    """Each filter, order and limit reaches the query."""
    found = ids(*words.split())
    assert sorted(found) == sorted(expected) if words == "--order cost" else found == expected
    if words == "--order cost":
        assert found[-1] == LONG


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--kind tool", ["find"]),
        ("--status error", ["find"]),
        ("--session 0198c --kind agent", ["plan", "look"]),
        ("--session last", ["chat-two-c"]),
        ("--user bob --order -started", ["chat-two-c", "chat-one-c"]),
        ("--provider elsewhere", []),
        ("--model unknown", ["odd"]),
    ],
)
def test_filters_choose_calls(ledger: Path, words: str, expected: list[str]) -> None:
    """The same for calls, with those that only calls have."""
    assert [one["call_id"] for one in objects("calls", *words.split())] == expected


def test_costs_are_filtered_too(ledger: Path) -> None:
    """`cost` sums only what the filters leave."""
    (found,) = objects("cost", "--by", "user", "--user", "bob")
    assert (found["user"], found["calls"], found["cost_nano_usd"]) == ("bob", 2, 32_000)


def test_table_says_every_column_on_a_pipe(ledger: Path) -> None:
    """On a pipe the table has every column, the whole id, what the cost lacks, one line a session."""
    head, _, _, line = invoke("sessions").stdout.splitlines()
    headings = "SESSION NAME USER ENTITY AGENTS CALLS TURNS ERRORS TOKENS IN OUT COST STATUS STARTED DURATION"
    assert " ".join(head.split()) == headings
    for text in (LONG, "research", "customer:acme", "planner, researcher", "$0.000146 + 1 unpriced", "5.00s"):
        assert text in line


def test_unknown_cost_is_null_and_not_zero(ledger: Path) -> None:
    """A group without any cost says null in JSON, and how many calls in the table."""
    (found,) = objects("cost", "--by", "model", "--model", "unknown")
    assert (found["cost_nano_usd"], found["total_cost"], found["unpriced_calls"]) == (None, None, 1)
    table = invoke("cost", "--model", "unknown").stdout
    assert "1 unpriced" in table
    assert "$" not in table
    assert "total: cost unknown + 1 call unpriced, of 1 call" in table


def cost_row(**values: Any) -> CostRow:
    """A group made by hand, for sums that a settled ledger does not show."""
    fields = dict.fromkeys(CostRow.__dataclass_fields__, 0)
    return CostRow(**{**fields, "keys": {}, **values})


def test_total_names_what_it_does_not_cover() -> None:
    """The total line sums the groups and counts the calls beyond them, each way of being unknown apart."""
    rows = [
        cost_row(calls=3, cost_nano_usd=1_900_000_000, unpriced_calls=1),
        cost_row(calls=4, cost_nano_usd=20_000_000, unpriced_calls=3, pending_calls=1),
        cost_row(calls=1, cost_nano_usd=None, unpriced_calls=1, possibly_billed_calls=1),
    ]
    assert total_line(rows[:2]) == "total: $1.92 known + 4 calls unpriced + 1 pending, of 7 calls"
    expected = "total: $1.92 known + 1 call possibly billed + 4 unpriced + 1 pending, of 8 calls"
    assert total_line(rows) == expected
    assert total_line([cost_row(calls=1, cost_nano_usd=80)]) == "total: $0.00000008 of 1 call"


def test_days_are_said_to_be_of_a_zone(ledger: Path) -> None:
    """The table names the zone where a grouping depends on it."""
    assert "(days of UTC)" in invoke("cost", "--by", "day").stdout
    assert "(days of" not in invoke("cost", "--by", "model").stdout


def test_limit_has_a_default_and_an_off(tmp_path: Path) -> None:
    """50 rows by default, said when there are more, with --json too; 0 asks for all."""
    fill(tmp_path / "ledger.db", *(small(f"s{index:02d}", index) for index in range(55)))
    done = invoke("sessions")
    assert len(done.stdout.splitlines()) == 51
    assert "first 50" in done.stderr
    assert len(invoke("sessions", "--limit", "0").stdout.splitlines()) == 56
    assert invoke("sessions", "--limit", "55").stderr == ""
    as_json = invoke("sessions", "--json")
    assert len(json.loads(as_json.stdout)) == 50
    assert "--limit 0 for all" in as_json.stderr
    assert invoke("sessions", "--json", "--limit", "3").stderr == ""  # a program that pages knows
    old = invoke("calls")
    assert "oldest 50" in old.stderr
    assert "oldest" not in invoke("calls", "--order", "-started").stderr


def test_ambiguous_and_unknown_session(ledger: Path) -> None:
    """A beginning that fits several ends with 2 and names them; one that fits none ends with 1."""
    ambiguous = invoke("calls", "--session", "chat")
    assert ambiguous.exit_code == 2
    assert "chat-one, chat-two" in ambiguous.stderr
    unknown = invoke("calls", "--session", "other")
    assert unknown.exit_code == 1
    assert "'other'" in unknown.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("sessions --status done", "'done'"),
        ("sessions --order colour", "'colour'"),
        ("sessions --tag feature", "'feature'"),
        ("sessions --tag a=1 --tag a=2", "--tag"),
        ("sessions --entity :acme", "':acme'"),
        ("sessions --since someday", "'someday'"),
        ("sessions --limit -1", "-1"),
        ("sessions --any-tag", "--tag"),
        ("sessions --since 1h --until 2h", "since='1h'"),
        ("sessions --user=", "user=''"),
        ("cost --by colour", "'colour'"),
        ("cost --by tag:", "'tag:'"),
        ("cost --tz Mars/Olympus", "'Mars/Olympus'"),
        ("calls --kind thought", "'thought'"),
    ],
)
def test_wrong_arguments_are_named(words: str, named: str) -> None:
    """A wrong argument ends with 2 and a message that repeats it, before a ledger is looked for."""
    done = invoke(*words.split())
    assert done.exit_code == 2
    assert named in done.stderr
    assert "no ledger" not in done.stderr
    assert done.stdout == ""


def test_nothing_matches_is_said_on_stderr(ledger: Path) -> None:
    """No row is no error: stdout stays empty (an empty array in JSON), stderr says so."""
    for command in ("sessions", "calls", "cost"):
        done = invoke(command, "--user", "nobody")
        assert (done.exit_code, done.stdout) == (0, "")
        assert "matches" in done.stderr
        assert objects(command, "--user", "nobody") == []


def test_no_ledger_yet(tmp_path: Path) -> None:
    """Before the first call the queries answer with nothing, say how to begin, and make no file."""
    for command in ("sessions", "calls", "cost"):
        done = invoke(command, "--json")
        assert (done.exit_code, json.loads(done.stdout)) == (0, [])
        assert str(tmp_path / "ledger.db") in done.stderr
        assert "spantally run" in done.stderr
    assert not (tmp_path / "ledger.db").exists()


def test_named_ledger(ledger: Path, tmp_path: Path) -> None:
    """`--ledger` reads another one; where it leads nowhere the command ends with 2 and names it."""
    fill(tmp_path / "other.db", small("elsewhere", 0))
    done = invoke("--ledger", str(tmp_path / "other.db"), "sessions", "--json")
    assert [one["session_id"] for one in json.loads(done.stdout)] == ["elsewhere"]
    missing = invoke("--ledger", str(tmp_path / "none.db"), "sessions")
    assert missing.exit_code == 2
    assert str(tmp_path / "none.db") in missing.stderr


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


def test_error_says_where_its_path_came_from(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What cannot be opened is answered by how it was named: option, variable, default, argument."""
    bad = tmp_path / "notes.txt"
    bad.write_text("this is not a database, and longer than a header would be" * 20)
    by_option = invoke("--ledger", str(bad), "sessions").stderr
    assert "choose another file with --ledger" in by_option
    assert by_option.endswith("(path from --ledger)\n")
    assert "SPANTALLY_LEDGER" not in by_option
    monkeypatch.setenv("SPANTALLY_LEDGER", str(bad))
    for command in ("sessions", "cost", "audit --fix", "reprice"):
        done = invoke(*command.split())
        assert done.exit_code == 2, command
        assert done.stderr.endswith("(path from SPANTALLY_LEDGER)\n"), command
    (state,) = [one for one in diagnosed() if one["name"] == "state"]
    assert state["advice"].endswith("(path from SPANTALLY_LEDGER)")
    monkeypatch.setenv("SPANTALLY_LEDGER", str(tmp_path / "typo.db"))
    assert "(path from SPANTALLY_LEDGER)" in invoke("sessions").stderr
    merged = invoke("ledger", "merge", str(ledger), str(bad), "-o", str(tmp_path / "whole.db")).stderr
    assert "name another file" in merged
    assert "SPANTALLY_LEDGER" not in merged
    monkeypatch.delenv("SPANTALLY_LEDGER")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    default = tmp_path / "spantally" / "ledger.db"
    default.parent.mkdir()
    default.write_bytes(bad.read_bytes())
    assert "(the default path, by XDG_DATA_HOME)" in invoke("sessions").stderr


@pytest.mark.parametrize("command", ["sessions", "calls", "cost", "show last"])
def test_file_that_is_no_ledger(tmp_path: Path, command: str) -> None:
    """A file that is not SQLite ends each command with 2, its path and a remedy, and doctor with 1."""
    path = tmp_path / "ledger.db"
    path.write_text("this is not a database, and longer than a header would be" * 20)
    done = invoke(*command.split())
    assert done.exit_code == 2
    assert str(path) in done.stderr
    assert done.stdout == ""
    (state,) = [one for one in diagnosed() if one["name"] == "state"]
    assert (state["level"], state["value"]) == ("problem", "not_a_database")


def test_ledger_of_a_newer_schema(ledger: Path) -> None:
    """A ledger that a later version wrote ends with 2 and says to upgrade."""
    db = sqlite3.connect(ledger)
    db.execute("PRAGMA user_version = 999")
    db.close()
    done = invoke("sessions")
    assert done.exit_code == 2
    assert str(ledger) in done.stderr


def test_json_survives_half_a_surrogate(capsys: pytest.CaptureFixture[str]) -> None:
    """Text that UTF-8 cannot carry is escaped, and the array stays readable."""
    print_array([{"name": "\ud800", "user": "Jürgen", "at": T0}])
    assert json.loads(capsys.readouterr().out) == [{"name": "\ud800", "user": "Jürgen", "at": T0}]
