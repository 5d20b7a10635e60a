"""The command line on a terminal, on a pipe and under NO_COLOR, as processes of its own."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from cli_ledger import LONG, fill, invoke, research, small
from doctor_kit import empty_sdks

COMMAND = [sys.executable, "-m", "spantally.cli"]


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path) -> Path:
    """The default ledger with a few sessions in it."""
    path = tmp_path / "ledger.db"
    fill(path, research(), small("0198c5a2-1f3b-7abc-9def-0123456789ab", 1))
    return path


def on_terminal(*arguments: str, columns: int, **variables: str) -> str:
    """What a command writes to a terminal of some width, with line ends as on a pipe."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environ = {
        "TERM": "xterm-256color",
        **{k: v for k, v in os.environ.items() if k != "COLUMNS"},
        **variables,
    }
    environ.pop("NO_COLOR", None) if "NO_COLOR" not in variables else None
    child = subprocess.Popen(
        [*COMMAND, *arguments], stdin=inner, stdout=inner, stderr=subprocess.PIPE, env=environ
    )
    os.close(inner)
    seen = b""
    while True:
        try:
            part = os.read(outer, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    child.communicate(timeout=30)
    os.close(outer)
    assert child.returncode == 0
    return seen.decode().replace("\r\n", "\n")


def test_terminal_has_colour_and_short_ids() -> None:
    """On a wide terminal headings are bold and ids are cut to what `show` still takes."""
    seen = on_terminal("sessions", columns=220)
    assert "\x1b[1m" in seen
    assert LONG not in seen
    short = LONG[: LONG.index("8def") + 1]
    assert short in seen
    assert invoke("show", short).exit_code == 0


def test_short_ids_stay_unique_among_those_not_shown() -> None:
    """Filters hide sessions from the table, not from `show`: the id is then cut less, or not at all."""
    seen = on_terminal("sessions", "--user", "alice", columns=220)
    assert LONG in seen


def test_no_color_leaves_no_escape_sequence() -> None:
    """NO_COLOR gives plain text on a terminal too."""
    assert "\x1b" not in on_terminal("sessions", columns=220, NO_COLOR="1")


@pytest.mark.parametrize("command", ["sessions", "show last", "calls"])
def test_narrow_terminal_is_not_overrun(command: str) -> None:
    """At 80 columns no line is longer than the terminal and costs are whole."""
    seen = on_terminal(*command.split(), columns=80, NO_COLOR="1")
    assert max(map(len, seen.splitlines())) <= 80
    assert "$0.000016" in seen


def test_pipe_is_plain_even_where_colour_is_forced_elsewhere() -> None:
    """On a pipe there is no escape sequence, whatever TERM says."""
    environ = {**os.environ, "TERM": "xterm-256color"}
    done = subprocess.run([*COMMAND, "sessions"], capture_output=True, text=True, env=environ, timeout=60)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert LONG in done.stdout


@pytest.mark.parametrize("command", ["sessions", "sessions --json", "show last", "--help", "path"])
def test_broken_pipe_is_quiet(command: str) -> None:
    """A reader that has left gets no traceback in its way, whatever the command."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COMMAND, *command.split()], stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode != 0


@pytest.mark.parametrize("command", ["sessions", "show last", "doctor", "--help", "path --json"])
def test_closed_stdout_is_no_error(command: str, tmp_path: Path) -> None:
    """`spantally ... >&-`: nobody reads it, which is no reason for a traceback."""
    environ = {**os.environ, **empty_sdks(tmp_path)}
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, *command.split()]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=60, env=environ)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["sessions", "calls --json", "show last", "doctor", "--help"])
def test_full_disk_behind_stdout_is_one_line(command: str, tmp_path: Path) -> None:
    """What was asked for could not be written: one line and exit code 2, never success."""
    environ = {**os.environ, **empty_sdks(tmp_path)}
    for unbuffered in ("", "1"):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*COMMAND, *command.split()],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env={**environ, "PYTHONUNBUFFERED": unbuffered},
                timeout=60,
            )
        assert "Traceback" not in done.stderr
        assert "the output cannot be written: No space left on device" in done.stderr
        assert done.returncode == 2


def test_output_without_unicode() -> None:
    """Where stdout cannot carry line drawing the tree is drawn with ASCII, and nothing raises."""
    environ = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for arguments in (["show", LONG], ["show", LONG, "--timeline"]):
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, env=environ, timeout=60)
        assert done.returncode == 0
        done.stdout.decode("ascii")
        assert b"`- agent planner" in done.stdout


def test_path_prints_the_path_alone(ledger: Path) -> None:
    """`spantally path` gives one line, which a shell can use."""
    assert invoke("path").stdout == f"{ledger}\n"
    assert invoke("--ledger", "/x/y.db", "path").stdout == "/x/y.db\n"
    assert json.loads(invoke("path", "--json").stdout) == [{"path": str(ledger)}]


def test_path_of_no_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ledger is off there is no path: exit code 1 and nothing on stdout."""
    monkeypatch.setenv("SPANTALLY_LEDGER", "false")
    done = invoke("path")
    assert (done.exit_code, done.stdout) == (1, "")


def test_help_documents_the_exit_codes() -> None:
    """`--help` names every exit code, and each command has help of its own."""
    text = " ".join(invoke("--help").stdout.split())
    for part in ("0 success", "1 nothing of that name", "2 wrong arguments", "127", "126"):
        assert part in text
    for command in ("sessions", "show", "cost", "calls", "run", "doctor", "demo", "path"):
        assert invoke(command, "--help").exit_code == 0
        assert command in text


def test_help_starts_without_rich_or_sdk() -> None:
    """`--help` draws nothing and prices nothing: it imports neither rich nor price data nor an SDK."""
    program = (
        "import sys; from spantally.cli.main import cli; cli.main(['--help'], standalone_mode=False); "
        "print([name for name in ('rich', 'genai_prices', 'openai', 'sqlite3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_package_itself_runs_as_the_command() -> None:
    """``python -m spantally``, where the script is not on the path."""
    answers = [
        subprocess.run(
            [sys.executable, "-m", module, "calls", "--json"], capture_output=True, check=True
        ).stdout
        for module in ("spantally", "spantally.cli")
    ]
    assert answers[0] == answers[1]
    assert json.loads(answers[0])
