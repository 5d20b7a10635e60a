"""A ledger of known rows for the tests of the command line, and how to call a command on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from ledger_kit import SECOND, T0, agent, chat, rate, session, tool, usage
from spantally.cli.main import cli
from spantally.ground.records import Record
from spantally.ledger.sqlite.store import SQLiteStore

MINUTE = 60 * SECOND
LONG = "0198c5a2-1f3b-7abc-8def-0123456789ab"

WHOSE: dict[str, Any] = {
    "user_id": "alice",
    "entity_type": "customer",
    "entity_id": "acme",
    "tags": (("feature", "search"), ("tier", "gold")),
}


def research() -> list[Record]:
    """Session LONG: a planner that calls a model, a researcher and its tool; one call lacks its price.

    Priced are 100 + 10 tokens (130,000 nano-USD) and 10 + 2 tokens (16,000).
    """
    inside = {**WHOSE, "run_id": "plan"}
    return [
        session(LONG, name="research", end_ns=T0 + 5 * SECOND, status="succeeded", project="shop", **WHOSE),
        agent("plan", LONG, end_ns=T0 + 5 * SECOND, turn=True, **inside),
        chat(
            "ask",
            LONG,
            parent_call_id="plan",
            usage=usage(100, 10),
            first_chunk_ns=SECOND // 4,
            finish_reasons=("tool_call",),
            agent_path=("planner",),
            content={"input": [{"role": "user", "content": "Compare\x1b[2J these"}], "output": "I will."},
            **inside,
        ),
        agent(
            "look",
            LONG,
            parent_call_id="plan",
            name="researcher",
            agent_path=("planner", "researcher"),
            start_ns=T0 + SECOND,
            end_ns=T0 + 4 * SECOND,
            **inside,
        ),
        tool(
            "find",
            LONG,
            parent_call_id="look",
            agent_path=("planner", "researcher"),
            start_ns=T0 + SECOND,
            end_ns=T0 + 2 * SECOND,
            status="error",
            error_type="TimeoutError",
            **inside,
        ),
        chat(
            "sum",
            LONG,
            parent_call_id="look",
            agent_path=("planner", "researcher"),
            start_ns=T0 + 2 * SECOND,
            end_ns=T0 + 4 * SECOND,
            **inside,
        ),
        chat(
            "odd",
            LONG,
            parent_call_id="look",
            agent_path=("planner", "researcher"),
            response_model="unknown",
            start_ns=T0 + 2 * SECOND,
            end_ns=T0 + 3 * SECOND,
            **inside,
        ),
    ]


def small(session_id: str, minutes: int, **values: Any) -> list[Record]:
    """A session of one call of 10 + 2 tokens (16,000 nano-USD), some minutes after the first one."""
    begun = T0 + minutes * MINUTE
    whose = {"user_id": "bob", **values}
    return [
        session(session_id, start_ns=begun, end_ns=begun + SECOND, status="succeeded", **whose),
        chat(f"{session_id}-c", session_id, start_ns=begun, end_ns=begun + SECOND, **whose),
    ]


def fill(path: Path, *groups: list[Record]) -> None:
    """Write records into the ledger at a path."""
    store = SQLiteStore(path)
    store.write([record for group in groups for record in group], rate)
    store.close()


def invoke(*arguments: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
