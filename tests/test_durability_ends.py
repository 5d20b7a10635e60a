"""However a program ends, what it spent is in the ledger."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from program_kit import Programs, finish, ok
from spantally.testing import Reply, ScriptedServer, Usage

posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork")


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Programs over a server whose every answer bills 11 and 7 tokens."""
    with ScriptedServer(lambda request: Reply(text="x", usage=Usage(input=11, output=7))) as server:
        yield Programs(tmp_path, server.base_url)


ENDS = {
    "normal": ("", 0, "succeeded"),
    "sys.exit": ("sys.exit(3)", 3, "succeeded"),
    "exception": ("raise ValueError('the program')", 1, "succeeded"),
    "interrupt": ("import signal; signal.raise_signal(signal.SIGINT)", -signal.SIGINT, "succeeded"),
}


@pytest.mark.parametrize(("lines", "code", "status"), ENDS.values(), ids=ENDS)
def test_end_of_a_program_keeps_everything(programs: Programs, lines: str, code: int, status: str) -> None:
    """Exit code as without us; calls, an open agent and an unread stream are there when the process ends."""
    source = f"""
    connection = client()
    ask(connection)
    with spantally.agent("planner"):
        ask(connection)
        stream = ask(connection, stream=True)
        next(iter(stream))
    {lines}
    """
    done = ok(programs.run(source), code)
    assert "spantally" not in done.stderr.replace(str(programs.folder), "")
    rows = programs.calls(None)
    assert [row.kind for row in rows] == ["inference", "agent", "inference", "inference"]
    assert [row.status for row in rows][:3] == ["ok"] * 3
    assert rows[3].status == "interrupted" or rows[3].abandoned
    assert rows[3].possibly_billed
    (session,) = programs.sessions()
    assert (session.status, session.name, session.implicit) == (status, "app.py", True)


FIRST = {
    "atexit": "import atexit; atexit.register(last)",
    "finalize": "import weakref; kept = Kept(); weakref.finalize(kept, last)",
}


@pytest.mark.parametrize("registered", FIRST.values(), ids=FIRST)
def test_calls_of_exit_handlers_that_were_there_before_us(programs: Programs, registered: str) -> None:
    """They run once ours have run: each call and agent is written where it ends."""
    source = f"""
    class Kept:
        pass

    def last():
        connection = client()
        ask(connection)
        with spantally.agent("planner"):
            "".join(one.choices[0].delta.content or "" for one in ask(connection, stream=True) if one.choices)
        print("last")

    {registered}
    import spantally
    spantally.instrument()
    ask(client())
    """
    done = ok(programs.run(source, instrument=False))
    assert (done.stdout, done.stderr) == ("last\n", "")
    rows = programs.calls(None)
    assert [row.kind for row in rows] == ["inference", "inference", "agent", "inference"]
    assert [row.status for row in rows] == ["ok"] * 4
    (session,) = programs.sessions()
    assert (session.name, session.status) == ("app.py", "succeeded")


@posix
def test_sigterm_drains_and_ends_as_the_sender_expects(programs: Programs) -> None:
    """SIGTERM at its default: exit status -15, and a call that ended a moment before is in the ledger."""
    running = programs.start(
        """
        import time
        connection = client()
        with spantally.session("terminated"), spantally.agent("planner"):
            ask(connection)
            stream = ask(connection, stream=True)
            next(iter(stream))
            print("ready", flush=True)
            while True:
                time.sleep(0.1)  # a signal on the way into a long one might be seen only after it
        """
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGTERM)
    ok(finish(running), -signal.SIGTERM)
    rows = {(row.kind, row.status): row for row in programs.calls(None)}
    assert set(rows) == {("inference", "ok"), ("inference", "interrupted"), ("agent", "interrupted")}
    assert rows["inference", "interrupted"].possibly_billed


@posix
def test_handler_of_the_program_is_untouched(programs: Programs) -> None:
    """A program's own SIGTERM handler, set before or after us, runs alone; its exit code comes out."""
    source = """
    import signal, time
    def own(number, frame):
        sys.exit(77)
    signal.signal(signal.SIGTERM, own)
    {before}
    assert signal.getsignal(signal.SIGTERM) is own
    ask(client())
    print("ready", flush=True)
    while True:
        time.sleep(0.1)
    """
    for number, before in enumerate(("pass", "spantally.instrument()"), 1):
        running = programs.start(source.format(before=before))
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        ok(finish(running), 77)
        assert len(programs.calls()) == number


@posix
@pytest.mark.slow
def test_ignored_sigterm_stays_ignored(programs: Programs) -> None:
    """A disposition that is not the default one is not ours to change."""
    source = """
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    spantally.uninstrument()
    spantally.instrument()
    signal.raise_signal(signal.SIGTERM)
    ask(client())
    """
    ok(programs.run(source))
    assert len(programs.calls()) == 1


@posix
def test_forked_children_keep_their_calls(programs: Programs) -> None:
    """os.fork, fork and spawn of multiprocessing, and a pool: every child's calls are in the ledger."""
    source = """
    import multiprocessing, time, warnings
    warnings.simplefilter("ignore")  # 3.12 warns of forks beside threads: the SDK's, not ours

    def work(text):
        return ask(client(), text)

    if __name__ == "__main__":
        with spantally.session("family"), spantally.agent("parent"):
            ask(client(), "parent")
            child = os.fork()
            if child == 0:
                with spantally.session("forked"):
                    ask(client(), "in a session that ends")
                os._exit(7)
            assert os.waitpid(child, 0)[1] >> 8 == 7
            for method in ("fork", "spawn"):
                process = multiprocessing.get_context(method).Process(target=work, args=(method,))
                process.start()
                process.join()
                assert process.exitcode == 0
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(work, ["a", "b", "c"]) == ["x"] * 3
                pool.close()
                pool.join()
            ask(client(), "parent again")
    """
    ok(programs.run(source))
    rows = programs.calls()
    assert len(rows) == 2 + 1 + 2 + 3
    assert len({row.call_id for row in rows}) == len(rows)
    by_session = [row.session_id for row in rows]
    assert by_session.count("forked") == 1
    assert by_session.count("family") == 2 + 2 + 3
    assert {row.cost_status for row in rows} == {"priced"}
    (agent,) = programs.calls("agent")
    assert (agent.status, agent.name) == ("ok", "parent")  # a child that ends does not end it


@posix
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_that_instrument_themselves_keep_their_calls(programs: Programs, method: str) -> None:
    """An initializer, or the task, does it once the child has begun; the parent does not."""
    source = f"""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    def begin():
        import spantally
        spantally.instrument()

    def work(text):
        return ask(client(), text)

    def begin_and_work(text):
        begin()
        begin()
        return ask(client(), text)

    if __name__ == "__main__":
        context = multiprocessing.get_context({method!r})
        with ProcessPoolExecutor(1, mp_context=context, initializer=begin) as pool:
            assert list(pool.map(work, ["a", "b"])) == ["x"] * 2
        process = context.Process(target=begin_and_work, args=("c",))
        process.start()
        process.join()
        assert process.exitcode == 0
    """
    ok(programs.run(source, instrument=False))
    assert len(programs.calls()) == 3
    assert {session.status for session in programs.sessions()} == {"succeeded"}


@posix
def test_forked_child_that_leaves_by_sys_exit_ends_only_its_own(programs: Programs) -> None:
    """A child unwinds out of its parent's session and agent; both stay the parent's to end."""
    source = """
    with spantally.session("family"), spantally.agent("parent"):
        ask(client())
        child = os.fork()
        if child == 0:
            ask(client())
            sys.exit(4)
        assert os.waitpid(child, 0)[1] >> 8 == 4
        spantally.flush()
        (row,) = spantally.open_ledger().sessions()
        assert row.status == "running", row
        assert [row.status for row in spantally.open_ledger().calls(kind="agent")] in ([], ["running"])
        raise ValueError
    """
    ok(programs.run(source), 1)
    (session,) = programs.sessions()
    assert (session.status, session.calls) == ("failed", 2)
    assert [row.status for row in programs.calls("agent")] == ["error"]


@posix
def test_os_exit_keeps_what_ended_a_second_before(programs: Programs) -> None:
    """os._exit skips every hook there is; what ended more than a second before is durable nevertheless."""
    # A machine that gives the process no time within that second proves nothing: three tries, one must do.
    for _ in range(3):
        done = programs.run("ask(client())\nimport time\ntime.sleep(1.0)\nos._exit(5)")
        ok(done, 5)
        if programs.calls():
            break
    assert len(programs.calls()) == 1


@posix
def test_a_forked_child_that_exits_at_once_keeps_its_calls(programs: Programs) -> None:
    """Also in a grandchild, with the ledger opened there first; the parent's ``os._exit`` is its own."""
    source = """
    real = os._exit
    pid = os.fork()
    if pid == 0:
        assert os._exit is not real
        ask(client())
        if (pid := os.fork()) == 0:
            ask(client())
            os._exit(4)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
        os._exit(status=3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert os._exit is real
    pid = os.fork()
    if pid == 0:
        spantally.uninstrument()
        assert os._exit is real
        real(5)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    """
    ok(programs.run(source))
    assert [row.status for row in programs.calls()] == ["ok", "ok"]


@posix
def test_a_forked_child_exits_whatever_the_ledger_does(programs: Programs) -> None:
    """A wait that fails, and a ledger that another program has locked: the status is the child's own."""
    source = """
    import sqlite3
    from spantally.ground import worker
    ask(client())
    spantally.flush()
    lock = sqlite3.connect(os.environ["SPANTALLY_LEDGER"], isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    for fails in (False, True):
        pid = os.fork()
        if pid == 0:
            ask(client())
            if fails:
                worker.Worker.flush = None
            os._exit(6)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 6
    lock.execute("ROLLBACK")
    """
    done = programs.run(source)
    ok(done)
    assert "api.child_exit failed with TypeError" in done.stderr


def test_threads_that_still_run_at_exit(programs: Programs) -> None:
    """A thread that outlives the main one is waited for and tallied; a daemon's open call is interrupted."""
    source = """
    import threading, time
    connection = client()

    def later():
        time.sleep(0.3)
        ask(connection)

    def hanging():
        stream = ask(connection, stream=True)
        next(iter(stream))
        daemon_ready.set()
        time.sleep(60)

    daemon_ready = threading.Event()
    with spantally.session("threads"):
        threading.Thread(target=later).start()
        threading.Thread(target=hanging, daemon=True).start()
        daemon_ready.wait(10)
    """
    began = time.monotonic()
    ok(programs.run(source))
    assert time.monotonic() - began < 20
    assert sorted(row.status for row in programs.calls()) == ["interrupted", "ok"]
    assert {row.session_id for row in programs.calls()} == {"threads"}


FORKED = """
import time
connection = client()
ask(connection)
pid = os.fork()
if pid == 0:
    ask(client())
    time.sleep(1.5)
    os._exit(0)
os.waitpid(pid, 0)
for _ in range(3):
    ask(connection)
time.sleep(1.5)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_unsampled_calls_around_a_fork(programs: Programs) -> None:
    """The ends of unsampled calls are noted like a finaliser's; after a fork somebody still takes them."""
    done = programs.run(FORKED, env={"OTEL_TRACES_SAMPLER": "always_off"})
    assert done.returncode == -9, done.stderr
    calls = programs.calls()
    assert len(calls) == 5
    assert {call.status for call in calls} == {"ok"}
