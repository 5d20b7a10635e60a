"""What runs is in the ledger within a second, and what a killed program never ended is interrupted there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from program_kit import Programs, finish, ok
from spantally.ledger.contract import CallRow
from spantally.testing import Reply, Request, ScriptedServer, Usage

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

PATIENCE = 20.0
"""Seconds that a busy machine may take for what takes one."""


def _answer(request: Request) -> Reply:
    text = str(request.body)
    slow = 60.0 if "hang" in text else 1.6 if "slow" in text else 0.0
    streams = "chunks" in text
    return Reply(
        text="x y z",
        usage=Usage(input=11, output=7),
        delay=0.0 if streams else slow,
        chunk_delay=slow if streams else 0.0,
    )


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Programs over a server that answers at once, slowly or not at all, as the prompt says."""
    with ScriptedServer(_answer) as server:
        yield Programs(tmp_path, server.base_url)


def until(programs: Programs, wanted: Callable[[dict[str, CallRow]], bool]) -> dict[str, CallRow]:
    """Read the ledger until its rows, by what they are, are as wanted."""
    deadline = time.monotonic() + PATIENCE
    rows: dict[str, CallRow] = {}
    while time.monotonic() < deadline:
        if programs.ledger.exists():
            rows = {row.name or row.kind: row for row in programs.calls(None)}
            if wanted(rows):
                return rows
        time.sleep(0.05)
    raise AssertionError({name: row.status for name, row in rows.items()})


def killed(running: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    running.send_signal(number)
    assert running.wait(20) == -number
    for stream in (running.stdout, running.stderr):
        if stream is not None:
            stream.close()


PLACES = {
    "an HTTP call in an agent": (
        """
        with spantally.session("s1"), spantally.agent("planner"):
            ask(client(), "quick")
            ask(client(), "hang")
        """,
        {"planner", "inference"},
    ),
    "a tool": (
        """
        import time
        @spantally.tool
        def search(query):
            time.sleep(60)
        with spantally.session("s1"):
            ask(client(), "quick")
            search("x")
        """,
        {"search"},
    ),
    "a stream": (
        """
        with spantally.session("s1"):
            ask(client(), "quick")
            for chunk in ask(client(), "hang in chunks", stream=True):
                pass
        """,
        {"inference"},
    ),
    "tasks of asyncio": (
        """
        import asyncio
        async def main():
            made = openai.AsyncOpenAI(base_url=os.environ["BASE_URL"], api_key="sk-made-up-0001")
            with spantally.session("s1"), spantally.agent("planner"):
                ask(client(), "quick")
                await asyncio.gather(*(made.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "hang"}]) for _ in range(3)))
        asyncio.run(main())
        """,
        {"planner", "inference"},
    ),
}


@pytest.mark.parametrize(("source", "names"), PLACES.values(), ids=PLACES)
def test_killed_work_is_interrupted_and_what_ended_is_complete(
    programs: Programs, source: str, names: set[str]
) -> None:
    """Seen running with its age while it does; after a kill -9 interrupted, possibly billed."""
    running = programs.start(source, limit=60)
    open_now = until(
        programs, lambda rows: names <= {name for name in rows if rows[name].status == "running"}
    )
    for name in names:
        row = open_now[name]
        assert row.running_ms is not None
        assert 0 < row.running_ms < PATIENCE * 1000
        assert (row.counted, row.cost_status, row.ended_ns) == (False, None, None)
        assert row.process is not None
        assert row.process.split(":")[1] == str(running.pid)
    (session,) = programs.sessions()
    assert (session.status, session.calls, session.input_tokens) == ("running", 1, 11)
    assert (session.unpriced_calls, session.possibly_billed_calls) == (0, 0)
    assert {one.name or one.kind for one in session.running} == names
    killed(running)
    rows = programs.calls(None)
    done = [row for row in rows if row.status == "ok"]
    lost = [row for row in rows if row.status == "interrupted"]
    assert len(done) + len(lost) == len(rows)
    assert [(row.kind, row.input_tokens, row.cost_status) for row in done] == [("inference", 11, "priced")]
    assert {row.name or row.kind for row in lost} == names
    models = sum(row.kind == "inference" for row in lost)
    assert [row.possibly_billed for row in lost].count(True) == models
    (session,) = programs.sessions()
    assert (session.status, session.running) == ("abandoned", ())
    assert (session.calls, session.possibly_billed_calls, session.unpriced_calls) == (
        1 + models,
        models,
        models,
    )
    assert session.cost_nano_usd == done[0].cost_nano_usd


def test_sigterm_ends_what_was_marked(programs: Programs) -> None:
    """A program that is asked to end says itself what was interrupted, and when: one row for each."""
    running = programs.start(PLACES["a stream"][0], limit=60)
    until(programs, lambda rows: rows.get("inference") is not None and len(rows) > 0)
    until(programs, lambda rows: any(row.status == "running" for row in rows.values()))
    running.send_signal(signal.SIGTERM)
    ok(finish(running), -signal.SIGTERM)
    rows = programs.calls(None)
    assert sorted(row.status for row in rows) == ["interrupted", "ok"]
    assert all(row.process is None and row.ended_ns is not None for row in rows)
    (session,) = programs.sessions()
    assert (session.calls, session.possibly_billed_calls) == (2, 1)


def test_long_work_that_ends_leaves_no_trace_of_its_mark(programs: Programs) -> None:
    """Calls, tools and agents that outlive their marks are one complete row each."""
    done = programs.run(
        """
        @spantally.tool
        def search(query):
            return ask(client(), "slow")
        with spantally.session("s1"), spantally.agent("planner"):
            search("x")
            for chunk in ask(client(), "slow chunks", stream=True):
                pass
            spantally.flush()
            seen = spantally.open_ledger().calls(status="running")
            print(sorted(row.name or row.kind for row in seen))
        """,
        limit=60,
    )
    assert ok(done).stdout == "['planner']\n"
    rows = programs.calls(None)
    assert sorted(row.kind for row in rows) == ["agent", "inference", "inference", "tool"]
    assert {row.status for row in rows} == {"ok"}
    assert all(row.process is None and row.duration_ms is not None for row in rows)
    (session,) = programs.sessions()
    assert (session.status, session.calls, session.turn_count, session.running) == ("succeeded", 2, 1, ())


def test_one_of_two_programs_is_killed(programs: Programs) -> None:
    """In one ledger, the work of the dead program is interrupted and that of the living one runs on."""
    source = """
    with spantally.session("{0}"), spantally.agent("{0}"):
        ask(client(), "hang")
    """
    first, second = (
        programs.start(source.format(name), name=f"{name}.py", limit=60) for name in ("one", "two")
    )
    until(programs, lambda rows: {"one", "two"} <= rows.keys() and len(programs.calls()) == 2)
    killed(first)
    found = {row.session_id: row for row in programs.sessions()}
    assert (found["one"].status, found["one"].possibly_billed_calls) == ("abandoned", 1)
    assert (found["two"].status, found["two"].calls, len(found["two"].running)) == ("running", 0, 2)
    killed(second)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_does_not_mark_what_its_parent_runs(programs: Programs) -> None:
    """What was open at a fork has its parent's process in its mark; a child that is gone interrupts none."""
    running = programs.start(
        """
        import time
        with spantally.session("s1"), spantally.agent("parent"):
            child = os.fork()
            if child == 0:
                with spantally.agent("child"):
                    time.sleep(1.5)
                    os._exit(0)
            os.waitpid(child, 0)
            print("waited", flush=True)
            time.sleep(60)
        """,
        limit=80,
    )
    rows = until(programs, lambda rows: {"parent", "child"} <= rows.keys())
    assert rows["parent"].process is not None
    assert rows["parent"].process.split(":")[1] == str(running.pid)
    assert running.stdout is not None
    assert running.stdout.readline() == "waited\n"
    rows = until(programs, lambda rows: rows["child"].status == "interrupted")
    assert rows["parent"].status == "running"
    killed(running)
