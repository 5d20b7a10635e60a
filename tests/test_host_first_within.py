"""Calls that the program makes within what it has given us: rules, handlers of our log lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai

import spantally
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
