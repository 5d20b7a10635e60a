"""What a user of Sentrial's handler for LangChain did."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("langchain_openai")

from migration_kit import Migration, gpt_4o_mini
from spantally.testing import ScriptedServer


def test_the_handler_has_the_totals_of_the_session(tmp_path: Path, server: ScriptedServer) -> None:
    """Cost, tokens and calls that the program prints are those of the ledger and of the bill."""
    programs = Migration("from_sentrial", tmp_path, tmp_path / "ledger.db", server)
    printed = programs.run("langchain_totals").stdout.splitlines()
    found = programs.one("sessions")
    assert (found["session_id"], found["calls"]) == ("ticket-17", 2)
    assert (found["input_tokens"], found["output_tokens"]) == programs.billed
    assert found["cost_nano_usd"] == gpt_4o_mini(*programs.billed)
    assert printed == [
        f"Cost: ${found['total_cost']}",
        f"Tokens: {sum(programs.billed)}",
        "LLM calls: 2",
    ]
