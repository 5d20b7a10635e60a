"""A ledger that cannot be used: the program runs on as without us, and one line says what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import spantally
from program_kit import Programs, ok
from spantally.testing import Reply, ScriptedServer, Usage

posix = pytest.mark.skipif(os.name != "posix", reason="file modes and limits of POSIX")

WORK = """
with spantally.session("s") as session, spantally.agent("planner"):
    print(ask(client()))
assert session.totals.calls == 1
{more}
sys.exit(3)
"""


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with ScriptedServer(lambda request: Reply(text="x", usage=Usage(input=11, output=7))) as server:
        yield Programs(tmp_path, server.base_url)


def without_override() -> tuple[str, ...]:
    """What makes file modes bind also where the tests run as root."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("runs as root, and there is no setpriv to make file modes bind")
    return (setpriv, "--bounding-set=-all", "--inh-caps=-all", "--")


def unaffected(programs: Programs, *before: str, more: str = "", seconds: float = 40) -> str:
    """Run the program; output and exit code are its own, and the one line on stderr is returned."""
    began = time.monotonic()
    done = ok(programs.run(WORK.format(more=more), *before), 3)
    assert time.monotonic() - began < seconds
    assert done.stdout == "x\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    line = lines[0]
    assert "spantally" in line
    assert str(programs.ledger) in line
    return line


def command(programs: Programs, *arguments: str, before: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit code and everything that a command of ours says."""
    return _said(programs, *before, sys.executable, "-m", "spantally.cli", *arguments)


def _said(programs: Programs, *line: str) -> tuple[int, str]:
    done = subprocess.run(
        line, env=programs.environment(COLUMNS="400"), capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


EXAMINED = """
from spantally.cli.checks import ledger
for one in ledger.check(None):
    print(*one)
"""
"""The part of `doctor` that is about ledgers; another part starts a program with every SDK."""


def told(
    programs: Programs, *words: str, before: tuple[str, ...] = (), doctor: tuple[str, ...] = ("-c", EXAMINED)
) -> None:
    """`sessions` ends with 2 and says what to do; `doctor` says the same of the ledger."""
    code, said = command(programs, "sessions", before=before)
    assert code == 2, said
    _, diagnosed = _said(programs, *before, sys.executable, *doctor)
    for text in (said, diagnosed):
        assert str(programs.ledger) in text
        assert [word for word in words if word not in text] == []


@posix
def test_missing_directory(programs: Programs) -> None:
    """A path whose directory is not there: nothing is created, the line and the commands name it."""
    programs.ledger = programs.folder / "not" / "there" / "ledger.db"
    line = unaffected(programs)
    assert "does not exist; create it (mkdir -p" in line
    assert not (programs.folder / "not").exists()
    told(programs, "create it", "SPANTALLY_LEDGER", doctor=("-m", "spantally.cli", "doctor"))


@posix
def test_unwritable_directory(programs: Programs) -> None:
    """A directory that this user may not write."""
    closed = programs.folder / "closed"
    closed.mkdir(mode=0o500)
    programs.ledger = closed / "ledger.db"
    before = without_override()
    line = unaffected(programs, *before)
    assert "cannot be written" in line
    told(programs, "cannot be written", "SPANTALLY_LEDGER", before=before)


@posix
def test_directory_that_may_not_be_searched(programs: Programs) -> None:
    """A directory on the way in which this user may not even look is like one that may not be written."""
    closed = programs.folder / "closed"
    closed.mkdir(mode=0o000)
    programs.ledger = closed / "ledger.db"
    before = without_override()
    try:
        line = unaffected(programs, *before)
        assert "cannot be written" in line
        told(programs, "permission", before=before)
    finally:
        closed.chmod(0o700)


@posix
def test_path_that_cannot_be(programs: Programs) -> None:
    """A name that no file system takes, and a directory that is a file."""
    programs.ledger = programs.folder / ("x" * 300)
    assert "cannot be written" in unaffected(programs)
    told(programs, "too long")
    (programs.folder / "file").write_text("notes")
    programs.ledger = programs.folder / "file" / "ledger.db"
    line = unaffected(programs)
    assert "is a file" in line
    assert "mkdir" not in line


def test_summary_and_exporters_do_not_promise_what_was_not_written(programs: Programs) -> None:
    """The last lines of a program whose ledger took nothing name no session and call nothing complete."""
    programs.ledger = programs.folder / "not" / "there.db"
    run = (sys.executable, "-m", "spantally.cli", "run", "--")
    script = programs.folder / "agent.py"
    script.write_text(
        "import openai, os\n"
        "connection = openai.OpenAI(base_url=os.environ['BASE_URL'], api_key='sk-made-up-0001')\n"
        "connection.chat.completions.create(model='gpt-4o', messages=[{'role': 'user', 'content': 'x'}])\n"
    )

    def lines(**more: str) -> list[str]:
        done = subprocess.run(
            [*run, sys.executable, str(script)],
            env=programs.environment(**more),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr.splitlines()

    summary = lines()[-1]
    assert "1 call, 11 input + 7 output tokens" in summary
    assert "not in the ledger, which could not be written; next: spantally doctor" in summary
    assert "spantally show" not in summary
    exported = "\n".join(
        lines(OTEL_TRACES_EXPORTER="otlp", OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="none")
    )
    assert "traces went nowhere" in exported
    assert "tally is complete," not in exported
    assert lines(SPANTALLY_LEDGER=":memory:")[-1].endswith("; no ledger was kept")


@pytest.mark.parametrize("path", ["a\0b", Path("a\0b")])
def test_path_with_nul_is_refused(path: str | Path) -> None:
    """No file can have such a name: an error that says so, before any effect."""
    with pytest.raises(spantally.SettingsError, match="without NUL"):
        spantally.instrument(ledger=path)


@posix
@pytest.mark.slow
def test_unwritable_file_can_still_be_read(programs: Programs) -> None:
    """A ledger that this user may only read: new calls are not kept, and what is in it is shown."""
    ok(programs.run(WORK.format(more="")), 3)
    folder = programs.folder / "closed"
    folder.mkdir()
    programs.ledger = Path(shutil.copy(programs.ledger, folder / "ledger.db"))
    programs.ledger.chmod(0o400)
    folder.chmod(0o500)
    before = without_override()
    assert "cannot be written" in unaffected(programs, *before)
    code, said = command(programs, "sessions", "--json", before=before)
    assert code == 0, said
    assert '"calls": 1' in said
    _, diagnosed = command(programs, "doctor", before=before)
    assert "writ" in diagnosed


def _newer(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 999")
    db.close()


def _no_database(path: Path) -> None:
    path.write_text("these are somebody's notes, and no database\n" * 50)


def _foreign_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE customers (name TEXT)")
        db.execute("INSERT INTO customers VALUES ('acme')")
    db.close()


def _directory(path: Path) -> None:
    path.mkdir()


@posix
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_newer, ("schema version 999",)),
        (_no_database, ("not a ledger",)),
        pytest.param(_foreign_database, ("not a ledger",), marks=pytest.mark.slow),
        pytest.param(_directory, ("directory",), marks=pytest.mark.slow),
    ],
)
def test_file_that_is_no_ledger_of_ours(
    programs: Programs, make: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    """A newer schema, another database, a text, a directory: refused, not one byte of it changed."""
    if make is _newer:
        ok(programs.run(WORK.format(more="")), 3)
    make(programs.ledger)
    before = programs.ledger.read_bytes() if programs.ledger.is_file() else None
    line = unaffected(programs)
    assert [word for word in words if word not in line] == []
    told(programs, *words)
    assert before == (programs.ledger.read_bytes() if programs.ledger.is_file() else None)


@posix
@pytest.mark.slow
def test_locked_file(programs: Programs) -> None:
    """A process that holds the file: the program ends in time, the commands end with 2 and say so."""
    ok(programs.run(WORK.format(more="")), 3)
    holder = sqlite3.connect(programs.ledger, isolation_level=None)
    try:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("CREATE TABLE held (x)")
        assert "is locked by another program" in unaffected(programs)
        told(programs, "locked")
        holder.execute("ROLLBACK")
    finally:
        holder.close()
    assert len(programs.calls()) == 1


@posix
def test_summary_of_a_locked_ledger_has_every_call(programs: Programs) -> None:
    """The line at the end counts what a ledger that stays locked has not taken, and says that it has not."""
    script = programs.folder / "agent.py"
    script.write_text(
        "import openai, os, sqlite3, time\n"
        "made = openai.OpenAI(base_url=os.environ['BASE_URL'], api_key='sk-made-up-0001').chat.completions\n"
        "ask = lambda: made.create(model='gpt-4o', messages=[{'role': 'user', 'content': 'x'}])\n"
        "ask()\n"
        "time.sleep(1.5)\n"
        "holder = sqlite3.connect(os.environ['SPANTALLY_LEDGER'], isolation_level=None)\n"
        "holder.execute('BEGIN EXCLUSIVE')\n"
        "ask()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "spantally.cli", "run", "--", sys.executable, str(script)],
        env=programs.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("spantally: 2 calls, ")]
    assert len(lines) == 1, done.stderr
    assert "not in the ledger" in lines[0]


@posix
def test_lock_that_ends_costs_nothing(programs: Programs) -> None:
    """While a file is locked rows wait in memory; once it is free all of them are written."""
    more = f"""
import sqlite3, time
holder = sqlite3.connect({str(programs.ledger)!r}, isolation_level=None)
holder.execute("BEGIN IMMEDIATE")
for _ in range(3):
    ask(client())
time.sleep(0.7)
holder.execute("ROLLBACK")
holder.close()
ask(client())
"""
    done = ok(programs.run(WORK.format(more=more)), 3)
    assert done.stderr == ""
    assert len(programs.calls()) == 5


@posix
def test_full_disk_by_file_size_limit(programs: Programs) -> None:
    """No room from the start: the program runs on, the line says that there is no room."""
    line = unaffected(programs, sys.executable, "-c", LIMIT, "8192")
    assert "no room" in line


LIMIT = """
import os, resource, signal, sys
size = int(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
os.execv(sys.argv[2], sys.argv[2:])
"""


@posix
@pytest.mark.slow
def test_full_disk_keeps_what_was_written(programs: Programs) -> None:
    """A file system that fills up: what was kept before is read, the rest is said to be lost."""
    mount = shutil.which("mount")
    disk = programs.folder / "disk"
    disk.mkdir()
    size = f"size={2 * 1024 * 1024}"
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", size, "none", str(disk)]).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        programs.ledger = disk / "ledger.db"
        ok(programs.run(WORK.format(more="")), 3)
        with (disk / "rest").open("wb", buffering=0) as rest:
            try:
                while True:
                    rest.write(b"0" * 4096)
            except OSError:
                pass
        line = unaffected(programs)
        assert "no room" in line
        code, said = command(programs, "sessions", "--json")
        assert code == 0, said
        assert '"calls": 1' in said
        (disk / "rest").unlink()
        assert ok(programs.run(WORK.format(more="")), 3).stderr == ""
        assert len(programs.calls()) == 2
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_settings_that_make_no_sense_cost_one_line_each(programs: Programs) -> None:
    """Wrong values in the environment: a clear line each, the default is used, the program runs on."""
    env = {
        "SPANTALLY_SYNCHRONOUS": "sometimes",
        "SPANTALLY_TAGS": "no-equals-sign",
        "SPANTALLY_LEDGER_CONTENT": "maybe",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "loud",
        "SPANTALLY_USER": " ",
        "SPANTALLY_ENTITY": "nocolon",
        "SPANTALLY_LEDGR": "/nowhere",
        "SPANTALLY_ZZ": "1",
    }
    done = ok(programs.run(WORK.format(more=""), env=env), 3)
    assert done.stdout == "x\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 6
    (line,) = [line for line in lines if "no such setting" in line]
    assert line.endswith("SPANTALLY_LEDGR (did you mean SPANTALLY_LEDGER?), SPANTALLY_ZZ")
    for name in set(env) - {"SPANTALLY_USER", "SPANTALLY_LEDGR", "SPANTALLY_ZZ"}:
        (line,) = [line for line in lines if f"{name}=" in line or f"{name}:" in line]
        assert "using the default" in line
    assert len(programs.calls()) == 1


FULL = """
import resource
keep = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
connection = client()
connection.chat.completions  # what the SDK loads late is there
try:
    while True:
        keep.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
os.close(keep.pop())
with spantally.session("without"):
    print(ask(connection))
print("written", spantally.flush(10))
while keep:
    os.close(keep.pop())
{then}
"""


@posix
def test_no_file_descriptor_is_left_for_the_first_calls(programs: Programs) -> None:
    """What opens the ledger cannot even be imported: its records wait, and are written when it can be."""
    done = ok(programs.run(FULL.format(then="print('written', spantally.flush(10))")))
    assert done.stdout.splitlines() == ["x", "written False", "written True"]
    (row,) = programs.calls()
    assert row.counted
    assert "calls.consumer failed with OSError" in done.stderr
    assert "Traceback" not in done.stderr


@posix
def test_no_file_descriptor_is_left_and_the_program_ends(programs: Programs) -> None:
    """The last try is at its end."""
    ok(programs.run(FULL.format(then="")))
    assert len(programs.calls()) == 1


@posix
def test_what_waits_is_the_parents_to_write(programs: Programs) -> None:
    """A child of a fork has no copy of what waits."""
    source = FULL.replace(
        "while keep:",
        """
from spantally.api import runtime
child = os.fork()
if child == 0:
    os._exit(int(runtime.current.ledger.unwritten() > 0))
print("waits in the child", bool(os.waitpid(child, 0)[1]), flush=True)
print("waits in the parent", runtime.current.ledger.unwritten() > 0, flush=True)
while keep:""",
        1,
    )
    done = ok(programs.run(source.format(then="")))
    assert done.stdout.splitlines()[2:] == ["waits in the child False", "waits in the parent True"]
    assert len(programs.calls()) == 1


def test_flush_says_what_is_not_written(programs: Programs) -> None:
    """False while the records wait in memory; the next one writes them."""
    programs.ledger = programs.folder / "later" / "ledger.db"
    more = f"""
assert not spantally.flush(10)
os.mkdir({str(programs.ledger.parent)!r})
assert spantally.flush(10)
"""
    unaffected(programs, more=more)
    assert [row.kind for row in programs.calls(None)] == ["agent", "inference"]
