"""`spantally graph`, `summary` and `ledger merge`: forms, exit codes, stdout and stderr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_ledger import LONG, fill, invoke, research, small


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path) -> Path:
    """The default ledger with two sessions in it."""
    path = tmp_path / "ledger.db"
    fill(path, research(), small("chat-one", 1))
    return path


def test_graph_object() -> None:
    """One object with session, nodes and edges; money exact, unknown costs null."""
    done = invoke("graph", LONG, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    (found,) = json.loads(done.stdout)
    assert found["session_id"] == LONG
    nodes = {node["id"]: node for node in found["nodes"]}
    assert nodes["session"]["total_cost"] == "0.000146"
    researcher = nodes["agent:researcher"]
    assert (researcher["calls"], researcher["own_calls"], researcher["errors"]) == (2, 2, 1)
    assert (researcher["tools"], researcher["models"]) == (["search"], ["gpt-5-2026", "unknown"])
    assert nodes["inference:openai/unknown"]["cost_nano_usd"] is None
    assert nodes["inference:openai/unknown"]["unpriced_calls"] == 1
    edge = next(one for one in found["edges"] if one["target"] == "tool:search")
    assert (edge["source"], edge["count"], edge["failed"]) == ("agent:researcher", 1, 1)
    assert (edge["p50_ms"], edge["p95_ms"]) == (1000.0, 1000.0)


def test_graph_drawings() -> None:
    """Mermaid by default and by name, Graphviz by name; only the drawing is on stdout."""
    plain, named, dot = (invoke("graph", LONG, *form) for form in ((), ("--mermaid",), ("--dot",)))
    assert plain.stdout == named.stdout
    assert plain.stdout.startswith("flowchart LR\n    n0([")
    assert dot.stdout.startswith("digraph session {\n")
    assert dot.stdout.endswith("}\n")
    assert 'label="agent researcher\\n1 time\\n' in dot.stdout
    assert {done.stderr for done in (plain, named, dot)} == {""}


def test_summary_object() -> None:
    """One object with the session, the total, and lists that add up to it."""
    (found,) = json.loads(invoke("summary", "0198", "--json").stdout)
    assert found["session"]["session_id"] == LONG
    assert found["total"]["total_cost"] == "0.000146"
    for name in ("by_agent", "by_run", "by_model", "by_tool"):
        assert sum(row["cost_nano_usd"] or 0 for row in found[name]) == 146_000
        assert sum(row["calls"] for row in found[name]) == found["total"]["calls"] == 3
    assert [(row["key"], row["name"]) for row in found["by_run"]] == [("plan", "planner")]


def test_summary_is_printed() -> None:
    """Facts of the session, the total, and a table for each list that has a row with a name."""
    output = invoke("summary", LONG).stdout
    lines = output.splitlines()
    assert lines[0].split() == ["session", LONG]
    assert "total: $0.000146 known + 1 call unpriced, of 3 calls, p50 1.00s, p95 2.00s" in lines
    heads = [line.split()[0] for line in lines if " CALLS " in line]
    assert heads == ["AGENT", "RUN", "MODEL", "TOOL"]
    planner = next(line for line in lines if line.startswith("planner "))
    assert planner.split() == ["planner", "1", "1", "0", "100", "10", "5.00s", "5.00s", "$0.00013"]
    plain = invoke("summary", "chat-one").stdout
    assert "MODEL" in plain
    assert "AGENT" not in plain


@pytest.mark.parametrize("command", ["graph", "summary"])
def test_which_session(command: str) -> None:
    """The newest by `last`, `-1` or `--last`; what is not there ends with 1, wrong words with 2."""
    newest = [invoke(command, word, "--json").stdout for word in ("last", "-1", "--last", "chat-one")]
    assert len(set(newest)) == 1
    assert "chat-one" in newest[0]
    for words, code in (
        (["nothing"], 1),
        ([], 2),
        (["last", "--last"], 2),
        (["last", "--no-such-option"], 2),
    ):
        done = invoke(command, *words)
        assert (done.exit_code, done.stdout) == (code, ""), words


def test_one_form_at_a_time() -> None:
    """Two forms of a drawing are a wrong argument."""
    done = invoke("graph", "last", "--dot", "--json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--mermaid" in done.stderr


def test_merge(tmp_path: Path) -> None:
    """The result is a ledger; what happened is said on stderr, and stdout stays empty."""
    other = tmp_path / "other.db"
    fill(other, small("chat-one", 1), small("chat-two", 2))
    target = tmp_path / "both.db"
    done = invoke("ledger", "merge", str(tmp_path / "ledger.db"), str(other), "-o", str(target))
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"{other}: 2 rows" in done.stderr
    assert done.stderr.endswith(f"{target}: 5 calls in 3 sessions, 1 row that stood in more than one\n")
    found = json.loads(invoke("--ledger", str(target), "sessions", "--json").stdout)
    assert {one["session_id"] for one in found} == {LONG, "chat-one", "chat-two"}
    assert sum(one["cost_nano_usd"] for one in found) == 178_000


def test_merge_refusals(tmp_path: Path) -> None:
    """An output that exists, one ledger alone, a missing one: exit code 2, the cause, nothing made."""
    one = str(tmp_path / "ledger.db")
    target = str(tmp_path / "c.db")
    for words, cause in (
        ([one, one, "-o", one], "never overwritten"),
        ([one, "-o", target], "two or more"),
        ([one, str(tmp_path / "none.db"), "-o", target], "no ledger at"),
        ([one, one, "-o", str(tmp_path / "no" / "c.db")], "does not exist"),
        ([one, one], "--output"),
    ):
        done = invoke("ledger", "merge", *words)
        assert (done.exit_code, done.stdout) == (2, "")
        assert cause in done.stderr
    assert not (tmp_path / "c.db").exists()
