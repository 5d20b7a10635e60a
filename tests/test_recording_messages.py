"""Sums of recorded messages: by role, exact, and never among the tokens of calls."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

import spantally
from spantally.cli.main import cli
from spantally.ground.worker import worker
from watching import Watched


def test_messages_are_summed_by_role_beside_the_calls(tmp_path: Path) -> None:
    """The API, show and its JSON tell count and tokens by role; the session's tokens are its calls'."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        with spantally.session("s1") as session:
            session.record_message("user", "one", tokens=3)
            session.record_message("user", "two", tokens=4)
            session.record_message("user", "three")
            session.record_message("assistant", "four", tokens=40, id="m-4")
            session.record_message("assistant", "four", tokens=40, id="m-4")
            with spantally.session("below") as inner:
                inner.record_message("tool", "five")
            session.record_call(model="own", input_tokens=7, output_tokens=40, cost_usd=0)
            session.event("other", {"spantally.message.tokens": 9})
            assert (session.totals.input_tokens, session.totals.output_tokens) == (7, 40)
        assert worker.flush(10)
        with spantally.open_ledger(path) as ledger:
            found = ledger.messages("s1")
            nobody = ledger.messages("nobody")
            (row,) = [one for one in ledger.sessions() if one.session_id == "s1"]
        shown = CliRunner().invoke(cli, ["--ledger", str(path), "show", "s1", "--json"])
        drawn = CliRunner().invoke(cli, ["--ledger", str(path), "show", "s1"])
    finally:
        seen.close()
    told = [
        (one.role, one.messages, one.message_tokens, one.untold_messages, one.mean_tokens) for one in found
    ]
    assert told == [("assistant", 1, 40, 0, 40.0), ("tool", 1, 0, 1, None), ("user", 3, 7, 1, 3.5)]
    assert not nobody
    assert (row.input_tokens, row.output_tokens) == (7, 40)
    (whole,) = json.loads(shown.stdout)
    assert (whole["input_tokens"], whole["output_tokens"]) == (7, 40)
    assert whole["messages"][2] == {
        "role": "user",
        "messages": 3,
        "message_tokens": 7,
        "untold_messages": 1,
        "mean_tokens": 3.5,
    }
    assert (
        "1 assistant, 1 tool, 3 user; 47 tokens by their own word, beside those of the calls" in drawn.stdout
    )


def test_without_tokens_none_are_named(tmp_path: Path) -> None:
    """Messages that do not say how many tokens they have are counted, with no 0 beside them."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        with spantally.session("s1") as session:
            session.record_message("user", "one")
        assert worker.flush(10)
        drawn = CliRunner().invoke(cli, ["--ledger", str(path), "show", "s1"])
    finally:
        seen.close()
    assert "1 user" in drawn.stdout
    assert "by their own word" not in drawn.stdout
