"""The live view in programs of their own: one write a line, and a stderr that is closed harms nobody."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import spantally
from sinks_kit import run_program
from spantally.calls import watching
from spantally.console.lines import LINE
from spantally.console.live import _after_fork_in_child, live
from spantally.ground import guard
from test_console_lines import grammar

PROGRAM = """
    import sys, threading, spantally
    spantally.instrument()
    lock = threading.Lock()  # as logging has one: Python joins what threads write at the same moment
    @spantally.tool
    def search(query): return query
    @spantally.agent
    def worker(number):
        for _ in range(10):
            search("x")
            with lock: sys.stderr.write(f"own line {number} {'x' * 200}\\n")
    with spantally.session("of-" + sys.argv[1]), spantally.agent("planner"):
        threads = [threading.Thread(target=worker, args=(number,)) for number in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    print("done")
"""
LINES = 2 + 2 + 4 * (2 + 10 * 2)


class Boom(Exception):
    """What the forced failures raise."""


def fail(*args: Any, **kwargs: Any) -> Any:
    """Raise."""
    raise Boom


def test_three_programs_at_once_write_whole_lines(tmp_path: Path) -> None:
    """They share a stderr that keeps writes apart: each is one line, of the grammar or the program's own."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "SPANTALLY_LEDGER": "false",
        "SPANTALLY_CONSOLE": "full",
    }
    programs = [
        subprocess.Popen(
            [sys.executable, str(path), str(number)], stderr=theirs.fileno(), stdout=subprocess.PIPE, env=env
        )
        for number in range(3)
    ]
    theirs.close()
    writes = []
    ours.settimeout(60)
    while data := ours.recv(1 << 16):
        writes.append(data)
    for program in programs:
        out, _ = program.communicate(timeout=60)
        assert (program.returncode, out) == (0, b"done\n")
    ours.close()
    own = [data for data in writes if data.startswith(b"own line")]
    shown = [data for data in writes if not data.startswith(b"own line")]
    assert len(own) == 3 * 40
    assert len(shown) == 3 * LINES
    for data in writes:
        assert data.endswith(b"\n")
        assert data.count(b"\n") == 1
        assert len(data) < 4096
    matches = [grammar().match(data.decode().rstrip("\n")) for data in shown]
    assert all(matches)
    assert {match["session"] for match in matches if match} == {"of-0", "of-1", "of-2"}


@pytest.mark.parametrize(
    "before",
    [
        "import os; os.close(2)",
        "import sys; sys.stderr.close()",
        "import sys; sys.stderr = None",
        "import os; r, w = os.pipe(); os.dup2(w, 2); os.close(r)",
        "import os, signal as s; s.signal(13, s.SIG_DFL); r, w = os.pipe(); os.dup2(w, 2); os.close(r)",
    ],
    ids=["closed fd", "closed stream", "none", "broken pipe", "deadly broken pipe"],
)
def test_a_stderr_that_is_gone_turns_the_view_off(before: str, tmp_path: Path) -> None:
    """Closed before or with a reader that left: the program goes on as without the view."""
    source = f"""
        {before}
        import spantally
        spantally.instrument(console=True)
        for number in range(3):
            with spantally.session(f"chat-{{number}}"), spantally.agent("planner"): pass
            assert spantally.flush()
        print("done")
    """
    done = run_program(source, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_stderr_that_closes_meanwhile_is_not_written_to(tmp_path: Path) -> None:
    """Its number may be that of a file of the program's by then: nothing of ours goes there."""
    source = """
        import os, sys, spantally
        spantally.instrument(console=True)
        with spantally.session("chat-1"): pass
        spantally.flush()
        os.close(2)
        file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
        assert file == 2
        with spantally.session("chat-2"): pass
        spantally.flush()
        os.write(2, b"mine")
    """
    path = tmp_path / "mine.txt"
    done = run_program(source, tmp_path, str(path))
    assert done.returncode == 0
    assert path.read_bytes() == b"mine"
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["chat-1", "chat-1"]


def test_a_reader_that_does_not_read_holds_nothing_up(tmp_path: Path) -> None:
    """A full pipe: the program's work goes on, lines are left out, and it ends in time."""
    source = """
        import os, sys, time, spantally
        read, write = os.pipe()
        os.dup2(write, 2)
        spantally.instrument(console=True)
        @spantally.agent
        def planner(): pass
        started = time.monotonic()
        for _ in range(20000): planner()
        print(time.monotonic() - started < 30)
    """
    done = run_program(source, tmp_path)
    assert (done.returncode, done.stdout) == (0, "True\n")


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_on_a_terminal_alone(env: dict[str, str], tmp_path: Path) -> None:
    """A terminal is coloured, but for NO_COLOR and a dumb one."""
    source = tmp_path / "program.py"
    source.write_text(
        "import spantally\nspantally.instrument(console='summary')\nwith spantally.agent('a'): pass\n"
    )
    main, terminal = pty.openpty()
    base = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "xterm", "SPANTALLY_LEDGER": "false"}
    subprocess.run(
        [sys.executable, str(source)], stderr=terminal, env={**base, **env}, check=True, timeout=60
    )
    os.close(terminal)
    text = os.read(main, 4096).decode()
    os.close(main)
    assert ("\x1b[" in text) == (not env)
    assert " agent a " in text.replace("\x1b[0m", "")


def test_a_forked_child_shows_its_own(tmp_path: Path) -> None:
    """Lines that wait at a fork are shown once; the child's come from the child."""
    source = """
        import os, spantally
        spantally.instrument(console=True)
        with spantally.session("chat-1"), spantally.agent("planner"):
            child = os.fork()
            if child == 0:
                with spantally.tool("of the child"): pass
                spantally.flush()
                os._exit(0)
            os.waitpid(child, 0)
    """
    done = run_program(source, tmp_path, PYTHONWARNINGS="ignore")
    assert done.returncode == 0
    assert [line.split(" ", 2)[2].split(" took")[0].strip() for line in done.stderr.splitlines()] == [
        "> session chat-1",
        "> agent planner",
        '> tool "of the child"',
        '< tool "of the child"',
        "< agent planner",
        "< session chat-1 status=succeeded",
    ]


def test_zero_code_programs_are_shown(tmp_path: Path) -> None:
    """SPANTALLY_CONSOLE is all that `spantally run` needs."""
    path = tmp_path / "program.py"
    path.write_text("import spantally\nwith spantally.session('chat-1'): pass\n")
    command = [str(Path(sys.executable).with_name("spantally")), "run", "--", sys.executable, str(path)]
    env = {**os.environ, "SPANTALLY_CONSOLE": "summary", "SPANTALLY_LEDGER": "false", "HOME": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert grammar().match(done.stderr.splitlines()[0])


FAULTS = (
    ("spantally.console.live.Live.began", "calls.watch"),
    ("spantally.console.live.Live.record", "calls.tap"),
    ("spantally.console.live.Live.use_for_operation", "calls.shows"),
    ("spantally.console.live.Live.use_for_session", "session.console"),
    ("spantally.console.board.Board.began", "console.line"),
    ("spantally.console.board.Board.record", "console.line"),
    ("spantally.console.board.line", "console.line"),
    ("spantally.console.live._rate", None),
    ("spantally.redaction.Redactor.text", "console.redact"),
    ("spantally.console.live.Live.start", "api.console"),
    ("spantally.console.live.Live.close", "api.console_close"),
    ("spantally.console.live.Live.in_child", "console.after_fork"),
)


@pytest.mark.parametrize(("target", "place"), FAULTS)
def test_failure_of_a_part_stays_ours(
    target: str, place: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever part of the view raises: the program gets its values, and the failure is counted as ours."""
    spantally.uninstrument()
    guard.reset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, fail)
        spantally.instrument(ledger=False, console=True)

        @spantally.agent(verbose=True)
        def planner(number: int) -> int:
            return number

        with spantally.session("chat-42", console=True):
            assert planner(7) == 7
        if place == "console.after_fork":
            _after_fork_in_child()
        spantally.flush(5)
        spantally.uninstrument()
    live.close()
    places = {where for where, kind in guard.failures if kind == "Boom"}
    guard.reset()
    assert place is None or place in places
    assert watching.watchers == ()
    assert LINE


def test_a_broken_stream_of_the_programs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stderr of the program's whose write raises turns the view off, silently."""
    spantally.uninstrument()
    guard.reset()
    monkeypatch.setattr(sys, "stderr", type("Broken", (), {"closed": False, "write": fail})())
    spantally.instrument(ledger=False, console=True)
    with spantally.session("chat-42"), spantally.agent("planner"):
        pass
    assert spantally.flush()
    assert live._writer.off
    spantally.uninstrument()
    assert guard.failures == {}
