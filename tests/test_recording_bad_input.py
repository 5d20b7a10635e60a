"""Wrong arguments to what records by hand: a ValueError that says what is allowed, before any effect."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import spantally
from spantally.ground.worker import worker
from watching import Watched


class Hostile:
    """A value whose text cannot be had."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


class HostileText(str):
    """A text whose representation cannot be had."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise RuntimeError("no text")


class HostileMapping(dict[str, Any]):
    """A mapping that cannot be gone through."""

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no keys")

    def keys(self) -> Any:
        """Raises."""
        raise RuntimeError("no keys")

    def items(self) -> Any:
        """Raises."""
        raise RuntimeError("no items")


def cyclic() -> dict[str, Any]:
    """A mapping that holds itself."""
    made: dict[str, Any] = {}
    made["self"] = made
    return made


def deep() -> dict[str, Any]:
    """A mapping that is nested beyond all measure."""
    made: dict[str, Any] = {}
    for _ in range(50_000):
        made = {"in": made}
    return made


AHEAD = datetime.now(UTC) + timedelta(days=2)
JSON: list[Any] = [
    cyclic(),
    deep(),
    {"a": math.nan},
    {"a": math.inf},
    {"a": object()},
    {"a": Hostile()},
    {"a": "x" * 70_000},
    {"a": "\ud800"},
    {(1, 2): 3},
    HostileMapping(a=1),
    [1],
    "text",
]
NAMES: list[Any] = ["", 5, True, "two\nlines", " outer ", "x" * 2_000, Hostile(), HostileText("a\nb")]
COUNTS: list[Any] = [-1, 1.0, 1.5, True, "3", math.nan, 10**30, Hostile()]
TIMES: list[Any] = [-1, math.nan, math.inf, True, "3", 10**400, 1e13, Hostile()]
MOMENTS: list[Any] = [-1, 0, math.nan, 1_700_000_000_000, 10**40, "yesterday", "", True, AHEAD, Hostile()]
MONEY: list[Any] = [-1, math.nan, math.inf, "much", "1e999999", 10**400, True, [], Hostile()]
ERRORS: list[Any] = [5, "", " ", b"x", [], Hostile()]

MESSAGE: dict[str, list[Any]] = {
    "role": ["bot", "", None, 1, ["user"], Hostile(), HostileText("bot")],
    "status": ["sent", None, 5, Hostile()],
    "content": [cyclic(), deep(), object(), b"x", Hostile(), HostileMapping(a=1), "x" * 9_000_000],
    "tokens": COUNTS,
    "latency_ms": TIMES,
    "metadata": JSON,
    "timestamp": MOMENTS,
    "model": NAMES,
    "id": NAMES,
}
CALL: dict[str, list[Any]] = {
    "model": [None, *NAMES],
    "provider": NAMES,
    "response_model": NAMES,
    "response_id": NAMES,
    "service_tier": NAMES,
    "finish_reason": NAMES,
    "id": NAMES,
    "operation": ["foo", None, [], Hostile()],
    "input_tokens": COUNTS,
    "output_tokens": COUNTS,
    "cost_usd": MONEY,
    "latency_ms": TIMES,
    "timestamp": MOMENTS,
    "error": ERRORS,
    "usage": [5, [], "x", {}, {"a": 1}, {"prompt_tokens": -1}, cyclic(), Hostile(), HostileMapping(a=1)],
}
TOOL: dict[str, list[Any]] = {
    "name": [None, *NAMES],
    "tool_call_id": NAMES,
    "id": NAMES,
    "reasoning": [5, b"x", Hostile()],
    "cost_usd": MONEY,
    "latency_ms": TIMES,
    "timestamp": MOMENTS,
    "error": ERRORS,
}
EVENT: dict[str, list[Any]] = {
    "type": ["", None, 5, "two words", "a\x00", "1a", "spantally.x", "gen_ai.x", "x" * 200, Hostile()],
    "attributes": JSON,
    "timestamp": MOMENTS,
    "id": NAMES,
}
SET: dict[str, list[Any]] = {"metadata": JSON, "title": ["", " ", 5, "x" * 2_000, Hostile()]}

GOOD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "record_message": ({"role": "user", "content": "hello"}, MESSAGE),
    "record_call": ({"model": "own"}, CALL),
    "record_tool": ({"name": "maps"}, TOOL),
    "event": ({"type": "cart.opened"}, EVENT),
    "set": ({}, SET),
}


@pytest.mark.parametrize(
    ("function", "argument"), [(name, one) for name, (_, wrong) in GOOD.items() for one in wrong]
)
def test_a_wrong_argument_is_refused_before_any_effect(function: str, argument: str, tmp_path: Path) -> None:
    """Each says what may be given instead, nothing is recorded, and the next, right one is."""
    good, wrong = GOOD[function]
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        with spantally.session("s1") as session:
            for value in wrong[argument]:
                with pytest.raises(ValueError, match=r"use |has 1 to|at most|not a count|pass the") as raised:
                    getattr(session, function)(**{**good, argument: value})
                assert len(str(raised.value)) < 500
            assert session.totals.calls == 0
        assert worker.flush(10)
        with spantally.open_ledger(path) as ledger:
            assert not ledger.calls(session="s1")
            assert not ledger.events("s1")
            (row,) = ledger.sessions()
        assert (row.metadata, row.title) == ({}, None)
        assert not seen.exporter.spans
    finally:
        seen.close()


def test_content_that_cannot_be_encoded_is_no_reason_to_lose_a_record(tmp_path: Path) -> None:
    """Lone surrogates, cycles and hostile objects as content: the rows and their costs are there."""
    path = tmp_path / "ledger.db"
    seen = Watched(ledger=path)
    try:
        with spantally.session("s1") as session:
            session.record_message("user", "a\ud800b")
            for given in ("a\ud800b", cyclic(), deep(), Hostile(), HostileMapping(a=1)):
                session.record_tool("maps", given, given, cost_usd=1)
                session.record_call(model="own", input=given, output=given, cost_usd=1)
            assert session.totals.cost_nano_usd == 10 * 10**9
        assert worker.flush(10)
        with spantally.open_ledger(path) as ledger:
            (row,) = ledger.sessions()
            assert (row.calls, row.cost_nano_usd) == (5, 10 * 10**9)
            assert len(ledger.events("s1", type="message")) == 1
    finally:
        seen.close()


def test_a_time_without_a_zone_is_local(tmp_path: Path) -> None:
    """A naive datetime, its text and the aware one of the same moment are one moment."""
    path = tmp_path / "ledger.db"
    naive = datetime(2026, 3, 1, 12, 30)  # noqa: DTZ001 - what users give
    seen = Watched(ledger=path)
    try:
        with spantally.session("s1") as session:
            for moment in (naive, naive.isoformat(), naive.astimezone(UTC)):
                session.record_message("user", "hello", timestamp=moment)
        assert worker.flush(10)
        with spantally.open_ledger(path) as ledger:
            times = {event.time_ns for event in ledger.events("s1")}
    finally:
        seen.close()
    assert times == {int(naive.timestamp()) * 10**9}
