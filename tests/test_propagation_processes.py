"""Processes: what a child is told, what it makes of it, and that its calls are kept and counted."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

import spantally
from boundary_probe import probe
from program_kit import Programs, finish, ok
from spantally.calls import carrier
from spantally.ground.scope import current_scope
from spantally.instrumentors.processes import InCarried
from spantally.testing import ScriptedServer
from watching import Watched

PRINT = "import json, os; print(json.dumps(dict(os.environ)))"


def variables(**arguments: Any) -> dict[str, str]:
    """The environment that a child gets."""
    out = subprocess.check_output([sys.executable, "-c", PRINT], **arguments)
    found: dict[str, str] = json.loads(out)
    return found


def test_program_gets_standard_variables(watched: Watched) -> None:
    """A child finds TRACEPARENT and BAGGAGE; outside a session its environment is what it was."""
    before = variables()
    with spantally.session("s", user="u"), spantally.agent("a"):
        span = trace.get_current_span().get_span_context()
        inside = variables()
        given = variables(env={"ONLY": "this", "PATH": os.environ["PATH"], "BAGGAGE": "old=1"})
    assert set(inside) - set(before) == {"TRACEPARENT", "BAGGAGE", carrier.VARIABLE}
    assert inside["TRACEPARENT"].split("-")[2] == f"{span.span_id:016x}"
    assert inside["BAGGAGE"].split(",")[:1] == ["session.id=s"]
    assert given["ONLY"] == "this"
    assert given["BAGGAGE"] == inside["BAGGAGE"]
    assert variables() == before
    assert carrier.VARIABLE not in os.environ


def test_environment_of_the_program_is_not_changed(watched: Watched) -> None:
    """The mapping that a program passes is its own, bytes in it too, in whatever place it is passed."""
    mine: dict[bytes, bytes] = {os.fsencode(k): os.fsencode(v) for k, v in os.environ.items()}
    kept = dict(mine)
    with spantally.session("s"):
        assert "BAGGAGE" in variables(env=mine)
        places: list[Any] = [[sys.executable, "-c", PRINT], -1, None, None, subprocess.PIPE]
        places += [None, None, True, False, None, mine]
        with subprocess.Popen(*places) as child:
            out, _ = child.communicate()
    assert mine == kept
    assert "BAGGAGE" in json.loads(out)


@pytest.mark.parametrize(
    ("baggage", "own", "session", "path"),
    [
        ("session.id=s", None, "s", ()),
        ("session.id=s,user.id=u", "same", "s", ("planner",)),
        ("session.id=other", "same", "other", ()),
        ("session.id=s", "{broken", "s", ()),
        ("session.id=s", json.dumps({"sessions": []}), "s", ()),
        ("session.id=s", "x" * 20_000, "s", ()),
        ("nothing=of+ours", "same", None, ()),
        ("session.id=" + "x" * 300, None, None, ()),
    ],
)
def test_child_goes_on_where_its_parent_stands(
    watched: Watched, baggage: str, own: str | None, session: str | None, path: tuple[str, ...]
) -> None:
    """Baggage names the session, our own variable the agents; a broken or foreign one counts for nothing."""
    environ = {"BAGGAGE": baggage}
    if own == "same":
        with spantally.session("s"), spantally.agent("planner"):
            environ[carrier.VARIABLE] = carrier.to_environment(otel_context.get_current())[carrier.VARIABLE]
    elif own is not None:
        environ[carrier.VARIABLE] = quote(own)
    context = carrier.from_environment_carrier(environ)
    scope = None if context is None else current_scope(context)
    assert (None if scope is None else scope.session.session_id) == session
    assert (() if scope is None else scope.agent_path) == path


@pytest.mark.parametrize("trust", ["true", "false"])
def test_environment_is_trusted_as_baggage_is(trust: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SPANTALLY_TRUST_BAGGAGE=false ignores what stands in the environment; uninstrument() leaves it."""
    monkeypatch.setenv("BAGGAGE", "session.id=parent")
    monkeypatch.setenv("SPANTALLY_TRUST_BAGGAGE", trust)
    watched = Watched()
    try:
        assert probe().session == ("parent" if trust == "true" else watched.sessions[-1].session_id)
        assert (current_scope() is not None) is (trust == "true")
    finally:
        watched.close()
    assert current_scope() is None


def test_task_that_cannot_be_pickled_fails_as_without_us(watched: Watched) -> None:
    """A task of a process pool that is a lambda raises what the pool raises."""
    errors = []
    for session in (None, "s"):
        with ProcessPoolExecutor(1) as pool:
            if session is None:
                future = pool.submit(lambda: 1)
            else:
                with spantally.session(session):
                    future = pool.submit(lambda: 1)
            errors.append(type(future.exception(60)))
    assert errors[0] is errors[1]
    assert errors[0] in (pickle.PicklingError, AttributeError)


def test_task_is_itself_outside_any_session(watched: Watched) -> None:
    """Outside a session a pool is handed the program's own function."""
    from spantally.instrumentors.processes import carried

    assert carried(probe) is probe
    with spantally.session("s"):
        made = carried(probe)
    assert isinstance(made, InCarried)


MAIN = """
import multiprocessing, subprocess, sys
from concurrent.futures import ProcessPoolExecutor

def work(text):
    with client() as connection, spantally.agent("worker"):
        return ask(connection, text)

def main():
    method = os.environ["METHOD"]
    context = multiprocessing.get_context(method)
    with spantally.session("s", user="alice"), spantally.agent("planner"):
        child = context.Process(target=work, args=("a",))
        child.start()
        child.join()
        assert child.exitcode == 0
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            pool.submit(work, "b").result()
            list(pool.map(work, ["c", "d"]))
        with context.Pool(1) as pool:
            pool.map(work, ["e"])
            pool.close()
            pool.join()
        subprocess.run([sys.executable, __file__, "child"], check=True)

if __name__ == "__main__":
    if "child" in sys.argv:
        work("f")
    else:
        main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_calls_of_children_are_in_the_session(method: str, tmp_path: Path, server: ScriptedServer) -> None:
    """Children, pools and programs: every call in one session, beneath the agent that began it."""
    programs = Programs(tmp_path, server.base_url)
    ok(finish(programs.start(MAIN, env={"METHOD": method}, limit=100), 105))
    billed = server.billed["gpt-4o"]
    with spantally.open_ledger(programs.ledger) as ledger:
        (session,) = ledger.sessions()
        rows = [row for row in ledger.calls(session="s") if row.kind == "inference"]
        agents = {row.call_id: row for row in ledger.calls(session="s") if row.kind == "agent"}
    assert (session.session_id, session.calls, session.user_id) == ("s", 6, "alice")
    assert session.cost_nano_usd == billed.input * 2500 + billed.output * 10_000
    assert session.status == "succeeded"
    assert {row.agent_path for row in rows} == {("planner", "worker")}
    (planner,) = (row for row in agents.values() if row.name == "planner")
    for row in rows:
        assert row.parent_call_id is not None
        assert agents[row.parent_call_id].parent_call_id == planner.call_id
    assert {row.trace_id for row in rows} == {planner.trace_id}
