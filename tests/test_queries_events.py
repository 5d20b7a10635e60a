"""Events of a session in one order of time: what was told, and what rows say began and ended."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import spantally
from ledger_kit import SECOND, T0, agent, chat, rate, session, tool, usage
from spantally.cli.main import cli
from spantally.ground import semconv
from spantally.ground.records import EventRecord, Record
from spantally.ledger.contract import EventRow, Filter
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries import Ledger
from spantally.queries import events as events_module
from spantally.queries.events import Wanted, iter_events


def at(tenths: int) -> int:
    """A moment of the test's session."""
    return T0 + tenths * SECOND // 10


def span(start: int, end: int) -> dict[str, int]:
    """When something began and ended."""
    return {"start_ns": at(start), "end_ns": at(end)}


def told(event_id: str, session_id: str, tenths: int, **more: Any) -> EventRecord:
    """A decision."""
    more.setdefault("type", "spantally.decision")
    return EventRecord(event_id=event_id, session_id=session_id, time_ns=at(tenths), **more)


def work() -> list[Record]:
    """An agent that calls a model twice, a tool between, with a model call of its own within; one fails."""
    inner = {"agent_path": ("planner",), "run_id": "plan"}
    return [
        session("s1", end_ns=at(99), status="succeeded"),
        agent("plan", "s1", name="planner", agent_path=("planner",), start_ns=at(0), end_ns=at(90)),
        chat("ask", "s1", parent_call_id="plan", **span(10, 20), usage=usage(100, 10), **inner),
        told("why", "s1", 20, agent_path=("planner",)),
        tool(
            "find",
            "s1",
            parent_call_id="plan",
            start_ns=at(20),
            end_ns=at(50),
            content={"arguments": {"q": "x"}, "result": [1, 2]},
            **inner,
        ),
        chat("within", "s1", parent_call_id="find", **span(30, 40), usage=usage(1, 1), **inner),
        tool(
            "break", "s1", parent_call_id="plan", start_ns=at(50), end_ns=at(50), status="error",
            error_type="ValueError", **inner,
        ),
        session("s2", parent_id="s1", end_ns=at(80), status="succeeded"),
        chat("more", "s2", parent_call_id="plan", start_ns=at(60), end_ns=at(70), usage=usage(1, 1), **inner),
        told("end", "s2", 75),
    ]  # fmt: skip


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger in memory with :func:`work`."""
    store = SQLiteStore(":memory:")
    store.write(work(), rate)
    with Ledger(store, rate=rate) as opened:
        yield opened


def brief(events: list[EventRow]) -> list[str]:
    """Type and what each event is of."""
    return [f"{event.type.removeprefix('spantally.')} {event.call_id or event.event_id}" for event in events]


ALL = [
    "agent.start plan",
    "loop.step ask",
    "call.start ask",
    "call.finish ask",
    "tool.call find",
    "decision why",
    "call.start within",
    "call.finish within",
    "tool.result find",
    "tool.call break",
    "tool.error break",
    "loop.step more",
    "call.start more",
    "call.finish more",
    "decision end",
    "agent.finish plan",
]


def test_all_in_one_order(ledger: Ledger) -> None:
    """Starts, steps, ends and what was told, child sessions too; what ends comes before what begins then."""
    assert brief(ledger.events("s1")) == ALL
    assert brief(ledger.events("s1", limit=3)) == ALL[:3]
    assert brief(ledger.events("s1", told=True)) == ["decision why", "decision end"]


def test_pages_change_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read one row at a time, and from a store without pages, it is the same."""
    monkeypatch.setattr(events_module, "PAGE", 1)
    monkeypatch.setattr(events_module, "SMALLEST_PAGE", 1)
    assert brief(ledger.events("s1")) == ALL

    class Plain:
        def calls(self, where: Filter) -> Any:
            return ledger.calls(session=where.session_id)

    found = list(iter_events(Plain(), ["s1", "s2"], Wanted()))  # type: ignore[arg-type]
    assert brief(found) == [one for one in ALL if not one.startswith("decision")]


def test_each_event_has_its_place(ledger: Ledger) -> None:
    """Session, call, agents, and what is known: number of a step, arguments and result, tokens, cost."""
    found = {event.event_id: event for event in ledger.events("s1")}
    assert found["ask:step"].attributes[semconv.LOOP_TURN] == 1
    assert found["more:step"].attributes[semconv.LOOP_TURN] == 2
    assert (found["more:step"].session_id, found["more:step"].agent_path) == ("s2", ("planner",))
    assert found["find:start"].attributes["gen_ai.tool.call.arguments"] == {"q": "x"}
    assert found["find:end"].attributes["gen_ai.tool.call.result"] == [1, 2]
    assert found["break:end"].attributes["error.type"] == "ValueError"
    done = found["ask:end"].attributes
    assert (done["gen_ai.usage.input_tokens"], done["spantally.call.status"]) == (100, "ok")
    assert done["spantally.cost.nano_usd"] > 0
    assert found["ask:start"].attributes.get("gen_ai.usage.input_tokens") is None
    assert [event.derived for event in (found["ask:end"], found["why"])] == [True, False]


def test_they_are_chosen(ledger: Ledger) -> None:
    """By one type or several, with or without our prefix, by agent and by time."""
    assert brief(ledger.events("s1", type="loop.step")) == ["loop.step ask", "loop.step more"]
    assert brief(ledger.events("s1", type=["spantally.tool.error", "decision"], agent="planner")) == [
        "decision why",
        "tool.error break",
    ]
    since = datetime.fromtimestamp(at(60) / 1e9, UTC)
    assert brief(ledger.events("s1", since=since)) == ALL[-5:]
    assert (
        ledger.events("s1", type="evaluation") == ledger.events("s1", type="gen_ai.evaluation.result") == []
    )
    assert ledger.events("s1", agent="nobody") == []
    assert ledger.events("nothing") == []
    for wrong in ("", [], 7, ["a", ""]):
        with pytest.raises(ValueError, match="is not a type of events"):
            ledger.events("s1", type=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="limit=-1"):
        ledger.events("s1", limit=-1)


def test_what_never_ended_has_a_start_alone() -> None:
    """Running and interrupted work begins, and no end is made up for it."""
    store = SQLiteStore(":memory:")
    store.write(
        [
            session("s1"),
            agent("plan", "s1", name="planner", start_ns=at(0), end_ns=None, status="interrupted"),
            chat("ask", "s1", parent_call_id="plan", start_ns=at(1), end_ns=None, status="running"),
        ],
        rate,
    )
    with Ledger(store, rate=rate) as opened:
        assert brief(opened.events("s1")) == ["agent.start plan", "loop.step ask", "call.start ask"]
        store.write(
            [chat("ask", "s1", parent_call_id="plan", start_ns=at(1), end_ns=at(3), usage=usage(1, 1))], rate
        )
        assert brief(opened.events("s1"))[2:] == ["call.start ask", "call.finish ask"]


def test_a_long_session_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """12,000 events of 4,000 calls are read one after the other; what is held does not grow with them."""
    store = SQLiteStore(str(tmp_path / "ledger.db"))
    text = "x" * 1_000
    for start in range(0, 4_000, 1_000):
        store.write(
            [
                chat(f"c{place:05}", "s1", start_ns=at(place), end_ns=at(place + 5), content={"input": text})
                for place in range(start, start + 1_000)
            ]
            + [told(f"e{place:05}", "s1", place) for place in range(start, start + 1_000)],
            rate,
        )
    with Ledger(store, rate=rate) as opened:
        events = opened.iter_events("s1")
        next(events)
        tracemalloc.start()
        try:
            assert sum(1 for _ in events) == 11_999
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 6_000_000  # all of them are 9


def test_replay_and_diff(ledger: Ledger) -> None:
    """The ledger answers what the commands of these names print."""
    steps = ledger.replay("s1")
    assert steps is not None
    assert [step.what for step in steps].count("event") == 2
    assert ledger.replay("nothing") is None
    assert ledger.diff("s1", "s1").equal
    assert not ledger.diff("s1", "s2").equal
    with pytest.raises(ValueError, match="'nothing' is not in the ledger"):
        ledger.diff("s1", "nothing")


def test_the_command_chooses_too(tmp_path: Path) -> None:
    """`spantally events` takes several types, `--told` and `--limit`; nothing found is an empty array."""
    store = SQLiteStore(str(tmp_path / "ledger.db"))
    store.write(work(), rate)
    store.close()

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["--ledger", str(tmp_path / "ledger.db"), "events", "s1", *arguments])
        return done.exit_code, done.stdout

    def told_by(*arguments: str) -> list[str]:
        code, text = run(*arguments, "--json")
        assert code == 0
        return [one["type"].removeprefix("spantally.") for one in json.loads(text)]

    assert told_by() == [one.split()[0] for one in ALL]
    assert told_by("--type", "tool.error", "--type", "decision") == ["decision", "tool.error", "decision"]
    assert told_by("--limit", "2") == ["agent.start", "loop.step"]
    assert told_by("--type", "none") == []
    code, text = run("--told")
    assert (code, text.count("\n")) == (0, 2)
    assert run("--follow", "--limit", "3")[0] == 2


def test_show_has_a_bound(tmp_path: Path) -> None:
    """Beneath a tree are the first events, how many more there are, and the command that lists them."""
    store = SQLiteStore(str(tmp_path / "ledger.db"))
    store.write([session("s 1"), *(told(f"e{place}", "s 1", place) for place in range(2_000))], rate)
    store.close()
    command = ["--ledger", str(tmp_path / "ledger.db"), "show", "s 1"]
    text = CliRunner().invoke(cli, command).stdout
    assert text.count("spantally.decision") == 50
    assert text.splitlines()[-1] == "... and 1,950 more: spantally events --told 's 1'"
    (found,) = json.loads(CliRunner().invoke(cli, [*command, "--json"]).stdout)
    assert len(found["events"]) == 2_000


def test_rows_that_were_read_are_not_stored(tmp_path: Path) -> None:
    """What a row says is read from it: the ledger holds no event of it."""
    from watching import Watched

    seen = Watched(ledger=tmp_path / "ledger.db")
    try:
        with spantally.session("s1"), spantally.agent("planner"):
            pass
        assert spantally.flush(10)
    finally:
        seen.close()
    with spantally.open_ledger(tmp_path / "ledger.db") as opened:
        assert [one.type for one in opened.events("s1")] == [
            semconv.EVENT_AGENT_START,
            semconv.EVENT_AGENT_FINISH,
        ]
    assert SQLiteStore(str(tmp_path / "ledger.db")).events("s1") == []
