"""`check`: recorded sessions against limits, and an exit code that a CI job can trust."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli_ledger import LONG, fill, invoke, research, small
from ledger_kit import SECOND, T0, chat, session
from spantally.ground.records import Record


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The default ledger: LONG (3 calls, one of them unpriced, one tool failed), and two small sessions."""
    path = tmp_path / "ledger.db"
    fill(path, research(), small("chat-one", 1), small("chat-two", 2, tags=(("tier", "free"),)))
    return path


def verdicts(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """What `check` says as JSON, which must end with this code."""
    done = invoke("check", *arguments, "--json")
    assert done.exit_code == code, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def odd(session_id: str, **values: Any) -> list[Record]:
    """A session of one call with something odd about it."""
    made = {"start_ns": T0, "end_ns": T0 + SECOND, **values}
    return [session(session_id, end_ns=T0 + SECOND, status="succeeded"), chat("odd-call", session_id, **made)]


def test_limits_that_hold(ledger: Path) -> None:
    """Limits that hold give exit code 0 and each figure exactly."""
    found = verdicts(
        "--user", "bob", "--max-usd", "0.000032", "--max-calls", "2", "--max-tokens", "24",
        "--max-errors", "0", "--min-success", "100%", "--no-unpriced", "--max-latency", "p95=1s",
    )  # fmt: skip
    assert [(one["rule"], one["figure"], one["limit"], one["unit"]) for one in found] == [
        ("max_usd", "0.000032", "0.000032", "usd"),
        ("max_calls", 2, 2, "calls"),
        ("max_tokens", 24, 24, "tokens"),
        ("max_errors", 0, 0, "errors"),
        ("min_success", 1.0, 1.0, "share"),
        ("no_unpriced", 0, 0, "calls"),
        ("max_latency p95", 1000.0, 1000.0, "ms"),
    ]
    assert all(one["passed"] and one["reason"] is None and one["session_id"] is None for one in found)


@pytest.mark.parametrize(
    ("option", "value", "figure"),
    [
        ("--max-usd", "0.000031", "0.000032"),
        ("--max-calls", "1", 2),
        ("--max-tokens", "23", 24),
        ("--max-latency", "p50=999ms", 1000.0),
    ],
)
def test_a_limit_that_is_exceeded(ledger: Path, option: str, value: str, figure: object) -> None:
    """One unit less than what was spent fails, with exit code 1."""
    (found,) = verdicts("--user", "bob", option, value, code=1)
    assert (found["passed"], found["figure"], found["reason"]) == (False, figure, None)


def test_errors_and_success(ledger: Path) -> None:
    """A failed tool counts as an error; a failed session lowers the share of success."""
    assert not verdicts("--max-errors", "0", code=1)[0]["passed"]
    fill(ledger, [session("bad", start_ns=T0, end_ns=T0 + SECOND, status="failed")])
    assert verdicts("--min-success", "0.75")[0]["figure"] == 0.75
    assert not verdicts("--min-success", "76%", code=1)[0]["passed"]


def test_unknown_cost_is_not_under_the_limit(ledger: Path) -> None:
    """A call without a price makes a dollar limit fail, with its model as the reason, unless allowed."""
    (found,) = verdicts("--max-usd", "100", code=1)
    assert found["figure"] == "0.000178"
    assert found["unknown_calls"] == 1
    assert found["reason"] == "the cost of 1 call is not known: 1 unknown_model (unknown)"
    (allowed,) = verdicts("--max-usd", "100", "--allow-unpriced")
    assert (allowed["passed"], allowed["unknown_calls"]) == (True, 1)
    (said,) = verdicts("--no-unpriced", code=1)
    assert (said["figure"], said["reason"]) == (1, found["reason"])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"usage": None}, "no_usage"),
        ({"usage": None, "possibly_billed": True, "status": "error"}, "possibly billed"),
        ({"usage": None, "possibly_billed": True, "status": "cancelled"}, "possibly billed"),
    ],
)
def test_what_may_have_been_billed_is_unknown(tmp_path: Path, values: dict[str, Any], reason: str) -> None:
    """A call without usage, and one that was cut off, leave a limit on money or tokens undecided."""
    fill(tmp_path / "ledger.db", odd("strange", **values))
    cost, tokens = verdicts("--max-usd", "1", "--max-tokens", "100", code=1)
    assert reason in cost["reason"]
    assert tokens["reason"].startswith("the tokens of 1 call are not known")


def test_a_refused_call_costs_nothing(tmp_path: Path) -> None:
    """A call that the provider answered with an error was not billed: it decides no limit on money."""
    refused = odd("refused", usage=None, status="error", error_type="401")
    fill(tmp_path / "ledger.db", refused, small("fine", 1))
    found = verdicts("--max-usd", "0.000016", "--max-tokens", "12", "--no-unpriced")
    assert [one["figure"] for one in found] == ["0.000016", 12, 0]
    assert not verdicts("--max-errors", "0", code=1)[0]["passed"]


def test_each_session_by_itself(ledger: Path) -> None:
    """With --each every session is held against the limit, and the one that breaks it is named."""
    found = verdicts("--each", "--max-calls", "2", code=1)
    assert {one["session_id"]: one["passed"] for one in found} == {
        LONG: False,
        "chat-one": True,
        "chat-two": True,
    }
    text = invoke("check", "--each", "--max-usd", "1").stdout
    assert f"max_usd of {LONG}: the cost of 1 call is not known" in text
    assert "3 sessions: 1 of 3 limits broken" in text


def test_a_child_counts_once(tmp_path: Path) -> None:
    """What a child session spent is in its parent's figure, and in the sum of both but once."""
    top = session("top", end_ns=T0 + SECOND, status="succeeded")
    below = session("child", start_ns=T0, end_ns=T0 + SECOND, status="succeeded", parent_id="top")
    fill(tmp_path / "ledger.db", [top, below, chat("c", "child")])
    assert verdicts("top", "--max-calls", "1")[0]["figure"] == 1
    assert verdicts("top", "child", "--max-calls", "1")[0]["figure"] == 1


def test_sessions_by_name(ledger: Path) -> None:
    """Sessions are named by id, by a unique beginning or as the last; one that is not there is code 1."""
    assert verdicts("chat-o", "--max-calls", "9")[0]["figure"] == 1
    assert verdicts("last", "chat-two", "--max-calls", "9")[0]["figure"] == 1
    done = invoke("check", "nobody", "--max-calls", "9")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no session 'nobody'" in done.stderr


@pytest.mark.parametrize("known", [True, False])
def test_no_session_is_a_failure(tmp_path: Path, known: bool) -> None:
    """Where nothing was recorded the gate is shut, in a ledger without a match and without any ledger."""
    if known:
        fill(tmp_path / "ledger.db", small("chat-one", 1))
    assert verdicts("--user", "nobody", "--max-usd", "1", code=1) == []
    assert "no session matches" in invoke("check", "--user", "nobody", "--max-usd", "1").stderr
    assert verdicts("--user", "nobody", "--max-usd", "1", "--allow-empty") == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "nothing to check; give a limit"),
        (("--max-usd", "-1"), "use dollars from 0 up"),
        (("--max-usd", "nan"), "use dollars from 0 up"),
        (("--max-calls", "-1"), "-1 is not in the range"),
        (("--min-success", "95"), "use a share such as 0.95 or 95%"),
        (("--max-latency", "p95"), "use a percentile and a time"),
        (("--max-latency", "p0=1s"), "use a percentile and a time"),
        (("--no-unpriced", "--allow-unpriced"), "contradict each other"),
        (("last", "--user", "bob", "--max-calls", "1"), "give either SESSION or filters, not both"),
    ],
)
def test_wrong_arguments(ledger: Path, arguments: tuple[str, ...], text: str) -> None:
    """Wrong arguments are exit code 2, say what is allowed, and print no data."""
    done = invoke("check", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert text in done.stderr


def test_an_unreadable_ledger(tmp_path: Path) -> None:
    """A ledger that is none, and one that is not where it is said to be, are exit code 2."""
    junk = tmp_path / "junk.db"
    junk.write_text("no database " * 100)
    assert invoke("--ledger", str(junk), "check", "--max-usd", "1").exit_code == 2
    assert invoke("--ledger", str(tmp_path / "none.db"), "check", "--max-usd", "1").exit_code == 2


def test_limits_of_the_settings_file(ledger: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The table [check] gives limits; an option wins over its key; a mistake in the table is exit code 2."""
    settings = tmp_path / "spantally.toml"
    monkeypatch.setenv("SPANTALLY_CONFIG", str(settings))
    settings.write_text('[check]\nmax_calls = 1\nmin_success = "90%"\nmax_latency = { p95 = "2s" }\n')
    found = verdicts("--user", "bob", code=1)
    assert [(one["rule"], one["passed"]) for one in found] == [
        ("max_calls", False),
        ("min_success", True),
        ("max_latency p95", True),
    ]
    assert verdicts("--user", "bob", "--max-calls", "2")[0]["passed"]
    for text, said in (
        ("max_call = 1", "[check] knows no max_call; its keys are"),
        ("max_usd = true", "use dollars from 0 up"),
        ('max_latency = "2s"', "use a table such as"),
        ("max_calls = ", "cannot be read"),
    ):
        settings.write_text(f"[check]\n{text}\n")
        done = invoke("check", "--user", "bob", "--max-calls", "9")
        assert (done.exit_code, done.stdout) == (2, ""), text
        assert said in " ".join(done.stderr.split()), text


def test_success_is_of_sessions_that_somebody_opened(tmp_path: Path) -> None:
    """An implicit session ends as succeeded whatever happened in it, and raises no share."""
    ended: dict[str, Any] = {"end_ns": T0 + SECOND, "implicit": True, "status": "succeeded"}
    implicit = [session("run-1", **ended), session("run-2", **ended)]
    opened = session("opened", end_ns=T0 + SECOND, status="failed")
    fill(tmp_path / "ledger.db", [*implicit, opened, chat("a", "run-1"), chat("b", "opened")])
    [one] = verdicts("--min-success", "50%", code=1)
    assert (one["figure"], one["passed"], one["reason"]) == (0.0, False, None)
    each = verdicts("--min-success", "50%", "--each", code=1)
    assert {one["session_id"]: (one["figure"], one["passed"]) for one in each} == {
        "opened": (0.0, False),
        "run-1": (None, True),
        "run-2": (None, True),
    }
    [alone] = verdicts("run-1", "--min-success", "50%", code=1)
    assert (alone["figure"], alone["passed"]) == (None, False)
    assert "opened no session" in alone["reason"]


def test_the_table(ledger: Path) -> None:
    """Without --json a table tells every limit, and a line beneath it why one cannot be decided."""
    done = invoke("check", "--max-usd", "1", "--max-calls", "5", "--min-success", "0.5")
    assert done.exit_code == 1
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines == [
        "CHECK RULE FIGURE LIMIT",
        "FAILED max_usd $0.000178 known $1.00",
        "ok max_calls 5 calls 5 calls",
        "ok min_success 100 % 50 %",
        "max_usd: the cost of 1 call is not known: 1 unknown_model (unknown)",
        "",
        "3 sessions: 1 of 3 limits broken",
    ]
