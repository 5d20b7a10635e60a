"""`spantally show`: the tree with own and inclusive figures, bars, and kept content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_ledger import LONG, fill, invoke, research, small
from ledger_kit import SECOND, T0, agent, chat, session
from spantally.cli.jsonout import _flat
from spantally.ground.records import EventRecord


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path) -> Path:
    """The default ledger with two sessions in it."""
    path = tmp_path / "ledger.db"
    fill(path, research(), small("chat-one", 1))
    return path


def test_tree_object_nests_its_children() -> None:
    """One session with nested children, each with what it cost alone and with all beneath."""
    (found,) = json.loads(invoke("show", LONG, "--json").stdout)
    assert (found["session_id"], found["cost_nano_usd"]) == (LONG, 146_000)
    (plan,) = found["children"]
    assert (plan["call_id"], plan["kind"], plan["name"]) == ("plan", "agent", "planner")
    assert (plan["cost_nano_usd"], plan["own_cost_nano_usd"], plan["unpriced_calls"]) == (146_000, None, 1)
    ask, look = plan["children"]
    assert (ask["cost_nano_usd"], ask["own_cost_nano_usd"], ask["total_cost"]) == (
        130_000,
        130_000,
        "0.00013",
    )
    assert [child["call_id"] for child in look["children"]] == ["find", "odd", "sum"]
    assert look["children"][0]["error_type"] == "TimeoutError"
    assert look["children"][1]["cost_nano_usd"] is None
    assert look["children"][1]["cost_status"] == "unknown_model"
    assert "content" not in ask


def test_tree_is_drawn_with_its_guides() -> None:
    """Each row stands beneath its parent with own and inclusive cost, latency and status."""
    lines = invoke("show", LONG).stdout.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("WHAT"))
    drawn = lines[start + 1 :]
    assert drawn[0].startswith("└─ agent planner ")
    assert drawn[1].startswith("   ├─ chat gpt-5-2026 ")
    assert drawn[0].split()[3:] == ["-", "$0.000146", "+", "1", "unpriced", "120", "14", "5.00s", "-", "ok"]
    assert drawn[1].split()[3:] == ["$0.00013", "$0.00013", "100", "10", "1.00s", "250ms", "ok"]
    assert drawn[2].lstrip().startswith("└─ agent researcher")
    assert "├─ tool search" in drawn[3]
    assert drawn[3].rstrip().endswith("error (TimeoutError)")
    assert "unknown_model" in drawn[4]


def test_header_tells_whose_it_was() -> None:
    """Before the tree stand name, user, entity, tags, status, totals and what the cost lacks."""
    output = invoke("show", LONG).stdout
    for text in ("research", "alice", "customer:acme", "feature=search, tier=gold", "succeeded"):
        assert text in output
    assert "3 in 1 turn, 1 error" in output
    assert "$0.000146 + 1 unpriced" in output


@pytest.mark.parametrize("meant", ["last", "--last", "-1", "chat-one", "chat"])
def test_session_by_name_beginning_or_newest(meant: str) -> None:
    """A session is found by id, by a beginning that only one has, and as the newest."""
    (found,) = json.loads(invoke("show", meant, "--json").stdout)
    assert found["session_id"] == "chat-one"


def test_unknown_session_ends_with_1() -> None:
    """An id that the ledger does not hold is named, with where to look."""
    done = invoke("show", "no-such")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "'no-such'" in done.stderr
    assert "spantally sessions" in done.stderr


def test_session_is_needed_once() -> None:
    """No session at all, or two ways of naming one, is a usage error."""
    assert invoke("show").exit_code == 2
    assert invoke("show", "chat-one", "--last").exit_code == 2


def test_show_before_the_first_call(ledger: Path) -> None:
    """Without a ledger there is nothing to show: exit code 1."""
    ledger.unlink()
    assert invoke("show", "last").exit_code == 1


def test_timeline_draws_bars() -> None:
    """`--timeline` draws each row against the time of the whole."""
    lines = invoke("show", LONG, "--timeline").stdout.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("WHAT"))
    assert "0 to 5.00s" in lines[start]
    assert lines[start + 1].count("━") == 60
    assert lines[start + 2].count("━") == 12
    assert (lines[start + 4].index("━") - lines[start + 1].index("━"), lines[start + 4].count("━")) == (
        12,
        12,
    )


def test_content_is_printed_harmlessly() -> None:
    """`--content` prints what was kept of each row, its escape sequences shown and not obeyed."""
    output = invoke("show", LONG, "--content").stdout
    assert "I will." in output
    assert "Compare\\u001b[2J these" in output
    assert "\x1b" not in output


def test_content_in_json() -> None:
    """`--content --json` adds what was kept to each row."""
    (found,) = json.loads(invoke("show", LONG, "--content", "--json").stdout)
    ask = found["children"][0]["children"][0]
    assert ask["content"]["output"] == "I will."
    assert found["children"][0]["content"] is None


def test_events_are_shown(ledger: Path) -> None:
    """Decisions stand beneath the tree, their texts with `--content`; in JSON they are whole."""
    attributes = {"spantally.decision.by": "human", "spantally.decision.reasoning": "too\x1b[2J dear"}
    said = EventRecord("e1", "chat-one", "spantally.decision", T0, "c", ("planner",), attributes=attributes)
    fill(ledger, [said])
    brief, full = invoke("show", "chat-one").stdout, invoke("show", "chat-one", "--content").stdout
    assert "spantally.decision  in planner  by=human\n" in brief
    assert "by=human, reasoning=too\\x1b[2J dear\n" in full
    (found,) = json.loads(invoke("show", "chat-one", "--json").stdout)
    (event,) = found["events"]
    assert (event["type"], event["at"], event["attributes"]) == (
        "spantally.decision",
        "2026-10-26T07:33:20.000000Z",
        attributes,
    )


def test_content_that_was_not_kept() -> None:
    """Without content one line says which variable and value keep it."""
    done = invoke("show", "chat-one", "--content")
    assert done.exit_code == 0
    assert "SPANTALLY_LEDGER_CONTENT=all" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_deep_tree_is_shown(tmp_path: Path) -> None:
    """A program that nests deeper than Python's own stack is drawn, and given as JSON."""
    depth = 1100
    rows = [session("deep", start_ns=T0 + 500 * SECOND)]
    chain = [chat("leaf", "deep", parent_call_id=f"a{depth - 1:04d}", start_ns=T0 + depth)]
    for level in range(depth):
        parent = f"a{level - 1:04d}" if level else None
        chain.append(agent(f"a{level:04d}", "deep", parent_call_id=parent, start_ns=T0 + level))
    fill(tmp_path / "ledger.db", [*rows, *chain])
    drawn = invoke("show", "deep")
    assert drawn.exit_code == 0
    assert drawn.stdout.count("agent planner") == depth
    written = invoke("show", "deep", "--json")
    assert written.exit_code == 0
    assert written.stdout.count('"call_id"') == depth + 1
    assert written.stdout.count("[") == written.stdout.count("]")


def test_flat_array_is_the_same_array() -> None:
    """The form without recursion reads back as what it was made of."""
    leaf: dict[str, object] = {"n": 3, "children": []}
    tree = [{"n": 1, "children": [{"n": 2, "children": [leaf, leaf]}, leaf]}, {"n": 4, "children": []}]
    assert json.loads(_flat(tree)) == tree
