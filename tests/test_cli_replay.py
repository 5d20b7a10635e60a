"""`spantally replay` walks through a session, `spantally diff` compares two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli_ledger import LONG, fill, invoke, research, small
from ledger_kit import SECOND, T0, agent, chat, session, tool, usage
from spantally.ground.records import EventRecord, Record


def talk(session_id: str, *, model: str = "gpt-5-2026", extra: bool = False, start: int = T0) -> list[Record]:
    """An agent with a tool and two calls, ids of its own."""
    inside = {"parent_call_id": f"{session_id}-a", "agent_path": ("planner",), "run_id": f"{session_id}-a"}
    made: list[Record] = [
        session(session_id, start_ns=start, end_ns=start + 4 * SECOND, status="succeeded"),
        agent(f"{session_id}-a", session_id, start_ns=start, end_ns=start + 4 * SECOND, turn=True),
        chat(f"{session_id}-c1", session_id, start_ns=start, end_ns=start + SECOND, **inside),
        chat(
            f"{session_id}-c2",
            session_id,
            start_ns=start + 2 * SECOND,
            end_ns=start + 3 * SECOND,
            response_model=model,
            usage=usage(20 if extra else 10, 2),
            **inside,
        ),
    ]
    if extra:
        made.append(
            tool(f"{session_id}-t", session_id, start_ns=start + SECOND, end_ns=start + 2 * SECOND, **inside)
        )
    return made


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path) -> Path:
    """The default ledger with sessions in it."""
    path = tmp_path / "ledger.db"
    decision = EventRecord(
        "e1", LONG, "spantally.decision", T0 + SECOND, "look", ("planner",), None, None, {"choice": "a"}
    )
    twin = talk("two", start=T0 + 100 * SECOND)
    fill(path, research(), small("chat-one", 1), [decision], talk("one"), twin, talk("three", extra=True))
    return path


def test_steps_are_in_order_of_time_and_nested() -> None:
    """What encloses begins first and ends last; a start tells the input that was kept, an end the output."""
    steps = [json.loads(line) for line in invoke("replay", LONG, "--json").stdout.splitlines()]
    assert [step["offset_ms"] for step in steps] == sorted(step["offset_ms"] for step in steps)
    told = [(step["what"], step.get("call_id") or step.get("event_id"), step["depth"]) for step in steps]
    assert told[:2] == [("start", "plan", 0), ("start", "ask", 1)]
    assert told[-1] == ("end", "plan", 0)
    assert told.index(("end", "ask", 1)) < told.index(("start", "look", 1))
    by_step = {(step["what"], step.get("call_id")): step for step in steps if step["what"] != "event"}
    assert by_step["start", "ask"]["content"].keys() == {"input"}
    assert by_step["end", "ask"]["content"] == {"output": "I will."}
    assert by_step["end", "ask"]["cost_nano_usd"] == 130_000
    assert by_step["end", "find"]["error_type"] == "TimeoutError"
    (event,) = [step for step in steps if step["what"] == "event"]
    assert (event["type"], event["attributes"], event["depth"]) == ("spantally.decision", {"choice": "a"}, 2)
    assert len(steps) == len(by_step) + 1


def test_text_says_what_was_not_kept_and_shows_no_control_characters() -> None:
    """One line a step with its offset, content beneath, escapes visible; what was not kept is said."""
    text = invoke("replay", LONG).stdout
    lines = text.splitlines()
    assert lines[0].split() == ["+0ms", ">", "agent", "planner"]
    assert "output: I will." in text
    assert "\x1b" not in text
    (find,) = [line for line in lines if "< tool search" in line]
    assert "(output not kept)" in find
    assert "error (TimeoutError)" in find
    assert any("* spantally.decision" in line for line in lines)


def test_speed_divides_the_time_between_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits add up to the session's length divided by N."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    assert invoke("replay", "one", "--speed", "10").exit_code == 0
    assert sum(waits) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--speed", "0"), "above 0"),
        (("--speed", "nan"), "above 0"),
        (("--speed", "2", "--step"), "not both"),
        (("--step",), "no terminal"),
    ],
)
def test_wrong_use_is_refused(arguments: tuple[str, ...], said: str) -> None:
    """A speed that is none, two ways of waiting, or steps without a terminal: exit code 2 and why."""
    done = invoke("replay", "one", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="terminals")
def test_step_waits_for_enter_on_a_terminal(ledger: Path) -> None:
    """Each line of the terminal lets one more step out; q ends it."""
    import pty

    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, b"\n\nq\n")
        done = subprocess.run(
            [sys.executable, "-m", "spantally.cli", "--ledger", str(ledger), "replay", "one", "--step"],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert (done.returncode, len([line for line in done.stdout.splitlines() if "+" in line])) == (0, 3)
    assert "Enter: next" in done.stderr


def test_equal_sessions_differ_in_nothing() -> None:
    """Sessions of the same work at another time are equal: exit code 0, nothing on stdout."""
    done = invoke("diff", "one", "two")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no difference" in done.stderr
    (found,) = json.loads(invoke("diff", "one", "two", "--json").stdout)
    assert (found["equal"], found["differs"], found["rows"], found["same_rows"]) == (True, {}, [], 3)


def test_what_differs_is_named_on_both_sides() -> None:
    """A further tool and other tokens: rows by what changed, sums of the sessions, exit code 1."""
    done = invoke("diff", "one", "three", "--json")
    assert done.exit_code == 1
    (found,) = json.loads(done.stdout)
    assert found["differs"]["input_tokens"] == {"a": 20, "b": 30}
    assert found["differs"]["cost_nano_usd"] == {"a": 32_000, "b": 42_000}
    changes = {row["change"]: row for row in found["rows"]}
    assert set(changes) == {"changed", "added"}
    assert changes["changed"]["differs"] == ["input_tokens", "cost_nano_usd"]
    assert (changes["changed"]["a"]["input_tokens"], changes["changed"]["b"]["input_tokens"]) == (10, 20)
    assert (changes["added"]["name"], changes["added"]["a"]) == ("search", None)
    turned = json.loads(invoke("diff", "three", "one", "--json").stdout)[0]
    assert {row["change"] for row in turned["rows"]} == {"changed", "removed"}


def test_differences_are_drawn() -> None:
    """One line a row with both values, and the sums beneath."""
    done = invoke("diff", "one", "three")
    assert done.exit_code == 1
    assert "10 -> 20" in done.stdout
    assert any(line.startswith("+") and "tool search" in line for line in done.stdout.splitlines())
    assert "cost: $0.000032 -> $0.000042" in done.stdout


def test_a_session_that_is_not_there_is_no_difference() -> None:
    """Exit code 2, as of diff, for what cannot be compared; 1 of replay, as of show."""
    done = invoke("diff", "one", "nowhere")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "nowhere" in done.stderr
    assert invoke("replay", "nowhere").exit_code == 1
