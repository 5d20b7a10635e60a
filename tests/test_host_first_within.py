"""What the program does meanwhile: calls within its own rules, another current directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import openai
import pytest

import spantally
from spantally.ground import guard
from spantally.testing import Reply, ScriptedServer

ASKED: Any = [{"role": "user", "content": "hello"}]
MOST = 300
"""Calls after which the rule makes no more, so that a loop without end fails rather than hangs."""


def test_a_rule_that_asks_a_model_comes_to_an_end(tmp_path: Path) -> None:
    """A call of a rule has no row, which the rule would be asked about; other calls keep theirs."""
    asked: list[str] = []
    with (
        ScriptedServer(lambda request: Reply(text="fine")) as server,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-0001", max_retries=0) as client,
    ):

        def rule(key: str | None, value: str, where: str) -> None:
            asked.append(value)
            if len(asked) < MOST:
                client.chat.completions.create(model="gpt-4o-mini", messages=ASKED)

        path = str(tmp_path / "ledger.db")
        spantally.instrument(ledger=path, redact=spantally.Redactor([rule]))
        try:
            for _ in range(2):
                client.chat.completions.create(model="gpt-4o", messages=ASKED)
                assert spantally.flush(30)
            assert len(asked) < MOST
            with spantally.open_ledger(path) as read:
                assert [row.request_model for row in read.calls()] == ["gpt-4o", "gpt-4o"]
        finally:
            spantally.uninstrument()


@pytest.mark.parametrize("by_variable", [True, False], ids=["variable", "argument"])
def test_a_relative_ledger_stays_where_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    """The first record opens it, when the program is in another directory, or in one that is gone."""
    named, later = tmp_path / "named", tmp_path / "later"
    named.mkdir()
    later.mkdir()
    monkeypatch.chdir(named)
    if by_variable:
        monkeypatch.setenv("SPANTALLY_LEDGER", "ledger.db")
        spantally.instrument()
    else:
        spantally.instrument(ledger="ledger.db")
    try:
        with (
            ScriptedServer(Reply(text="fine")) as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-0001", max_retries=0) as client,
        ):
            monkeypatch.chdir(later)
            client.chat.completions.create(model="gpt-4o", messages=ASKED)
            assert spantally.flush(10)
            with spantally.open_ledger() as read:
                assert len(read.calls()) == 1
            spantally.instrument(ledger=named / "ledger.db")  # the same one
            client.chat.completions.create(model="gpt-4o", messages=ASKED)
            assert spantally.flush(10)
    finally:
        monkeypatch.chdir(tmp_path)
        spantally.uninstrument()
    assert not list(later.iterdir())
    with spantally.open_ledger(named / "ledger.db") as read:
        assert len(read.calls()) == 2


@pytest.mark.skipif(os.name != "posix", reason="a current directory cannot be removed on Windows")
def test_a_relative_ledger_in_a_directory_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no place to anchor it to: the program goes on without."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    try:
        spantally.instrument(ledger="ledger.db")
        with (
            ScriptedServer(Reply(text="fine")) as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-0001", max_retries=0) as client,
        ):
            assert client.chat.completions.create(model="gpt-4o", messages=ASKED).choices
            spantally.flush(10)
    finally:
        monkeypatch.chdir(tmp_path)
        spantally.uninstrument()


@pytest.mark.parametrize("clock", [MagicMock(), MagicMock(side_effect=[])], ids=["mock", "exhausted"])
def test_a_session_under_a_mocked_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: MagicMock
) -> None:
    """A test of the program that has put a mock in the place of the clock enters and leaves its sessions."""
    spantally.instrument(ledger=str(tmp_path / "ledger.db"))
    try:
        with (
            ScriptedServer(Reply(text="fine")) as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-0001", max_retries=0) as client,
        ):
            client.models.list()
            with monkeypatch.context() as patch:
                patch.setattr("time.time_ns", clock)
                with spantally.session() as session, spantally.agent("planner"):
                    answer = client.chat.completions.create(model="gpt-4o", messages=ASKED)
                assert answer.choices[0].message.content == "fine"
                assert session.id
    finally:
        spantally.uninstrument()
        guard.reset()
