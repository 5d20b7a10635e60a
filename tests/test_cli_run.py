"""`spantally run`: the command keeps its exit code, signals, stdin, terminal and start-up hooks."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from spantally.cli import otlp_pieces
from spantally.cli import run as run_module
from spantally.cli.main import cli

SPANTALLY = [sys.executable, "-m", "spantally.cli", "run", "--quiet", "--"]
posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command under `spantally run --quiet`."""
    return subprocess.run([*SPANTALLY, *command], capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


def environment(**values: str) -> dict[str, str]:
    """This process's environment with some values more."""
    return {**os.environ, **values}


@pytest.mark.parametrize("code", [0, 3, 255])
def test_exit_code_is_the_commands(code: int) -> None:
    """The exit code of a program comes out as it went in."""
    assert run(sys.executable, "-S", "-c", f"raise SystemExit({code})").returncode == code


def test_stdin_and_stdout_pass_through() -> None:
    """What goes into stdin reaches the program, and stdout holds its output alone."""
    done = run("cat", input="line one\nline two\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "line one\nline two\n", "")


@posix
def test_program_takes_this_process() -> None:
    """The command runs under the very process id that was started, so signals need no forwarding."""
    child = subprocess.Popen([*SPANTALLY, "sh", "-c", "echo $$"], stdout=subprocess.PIPE, text=True)
    output, _ = child.communicate(timeout=60)
    assert int(output) == child.pid


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_reaches_the_program(number: signal.Signals) -> None:
    """A signal is handled by the program's own handler, whose exit code comes out."""
    program = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *a: sys.exit(40 + {int(number)}))\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(0.1)\n"
    )
    child = subprocess.Popen([*SPANTALLY, sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(number)
    child.communicate(timeout=30)
    assert child.returncode == 40 + number


@posix
def test_death_by_signal_is_seen_as_such() -> None:
    """A command that a signal ends looks to the caller as if it had been started without us."""
    assert run("sh", "-c", "kill -9 $$").returncode == -signal.SIGKILL


@posix
def test_terminal_passes_through() -> None:
    """A program on a terminal sees a terminal on all three streams and can read from it."""
    import pty

    program = "import sys; print([f.isatty() for f in (sys.stdin, sys.stdout, sys.stderr)], input())"
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [*SPANTALLY, sys.executable, "-c", program])
    os.write(terminal, b"typed\n")
    seen = b""
    end = time.monotonic() + 60
    while time.monotonic() < end and b"True, True, True] typed" not in seen:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 4096)
            except OSError:
                break
    os.close(terminal)
    os.waitpid(child, 0)
    assert b"[True, True, True] typed" in seen


def test_command_not_found() -> None:
    """A command that does not exist ends with 127 and its name."""
    done = run("no-such-command-here")
    assert done.returncode == 127
    assert done.stderr.rstrip().endswith("no-such-command-here: command not found")


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        (["--otlp", "http://127.0.0.1:9"], {}, True),
        ([], {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, True),
        ([], {"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ([], {"OTEL_TRACES_EXPORTER": "console"}, False),
        ([], {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, False),
        ([], {}, False),
    ],
)
def test_who_asks_for_otlp_without_an_exporter_is_told(
    monkeypatch: pytest.MonkeyPatch, options: list[str], variables: dict[str, str], said: bool
) -> None:
    """Spans that an option or a variable sends, and that no installed package can send, are no secret."""

    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(otlp_pieces, "installed_plugins", lambda _signal: {"console"})
    monkeypatch.setattr(run_module, "_execute", lambda command, environ: None)
    done = CliRunner().invoke(cli, ["run", *options, "--", "true"])
    assert done.exit_code == 0, done.output
    assert ("pip install 'spantally[otlp]'" in done.stderr) is said


def test_a_script_is_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the command is a Python file that cannot be executed, the error tells how it is run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my agent.py").write_text("print(1)\n")
    for command, code in (("my agent.py", 127), ("./my agent.py", 126)):
        done = run(command)
        assert done.returncode == code
        assert f"spantally run -- python '{command}'" in done.stderr


def test_command_not_executable(tmp_path: Path) -> None:
    """A file without the permission to execute ends with 126, a directory too."""
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o644)
    for target in (script, tmp_path):
        done = run(str(target))
        assert done.returncode == 126
        assert str(target) in done.stderr


@posix
def test_script_without_interpreter_line(tmp_path: Path) -> None:
    """A file the system cannot execute ends with 126 and the system's reason."""
    script = tmp_path / "script"
    script.write_text("echo never\n")
    script.chmod(0o755)
    done = run(str(script))
    assert done.returncode == 126
    assert "format" in done.stderr.lower()


def test_own_options_stop_at_the_command() -> None:
    """Options after the command are the command's, with or without a double dash."""
    command = [sys.executable, "-m", "spantally.cli", "run", "echo", "--quiet", "--help", "-x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "--quiet --help -x\n")


def test_no_command_is_a_usage_error() -> None:
    """`spantally run` alone says what is missing and ends with 2."""
    done = CliRunner().invoke(cli, ["run"])
    assert done.exit_code == 2
    assert "COMMAND" in done.output


def test_exporters_are_off_unless_asked_for() -> None:
    """Without any exporter in the environment all three signals are set to none."""
    made = run_module.environment({"PATH": "/bin"}, ledger=None, quiet=False)
    assert {made[f"OTEL_{signal}_EXPORTER"] for signal in ("TRACES", "METRICS", "LOGS")} == {"none"}
    assert made["SPANTALLY_SUMMARY"] == "true"


@pytest.mark.parametrize(
    ("given", "quieted"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, []),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4317"}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, []),
        ({"OTEL_CONFIG_FILE": "otel.yaml"}, []),
        ({"OTEL_TRACES_EXPORTER": "console"}, ["OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, list(run_module._SIGNALS)),
    ],
)
def test_exporters_of_the_user_stay(given: dict[str, str], quieted: list[str]) -> None:
    """What the user configured stays; only signals left open, with no OTLP target named, are quieted."""
    assert run_module.quiet_exporters(given) == quieted


def test_pythonpath_of_the_user_stays_behind_ours() -> None:
    """Our directory comes first, once, and the user's entries keep their order."""
    ours = run_module.bootstrap_directory()
    given = os.pathsep.join(["/a", ours, "/b"])
    made = run_module.environment({"PYTHONPATH": given}, ledger="/x/ledger.db", quiet=True)
    assert made["PYTHONPATH"].split(os.pathsep) == [ours, "/a", "/b"]
    assert made["SPANTALLY_LEDGER"] == "/x/ledger.db"
    assert made["SPANTALLY_SUMMARY"] == "false"


def test_ledger_option_reaches_the_program_as_absolute_path(tmp_path: Path) -> None:
    """`--ledger` sets the ledger of the command, wherever the command then changes to."""
    command = [sys.executable, "-m", "spantally.cli", "--ledger", "mine.db", "run", "-q", "--", "printenv"]
    done = subprocess.run(
        [*command, "SPANTALLY_LEDGER"], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.stdout == f"{tmp_path / 'mine.db'}\n"


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (["python", "-I", "x.py"], "-I"),
        (["/usr/bin/python3.12", "-u", "-Es", "x.py"], "-Es"),
        (["python", "x.py", "-I"], None),
        (["python", "-m", "tool", "-E"], None),
        (["python", "-c", "pass", "-S"], None),
        (["python"], None),
        (["ls", "-I"], None),
    ],
)
def test_isolating_flags_are_told(command: list[str], flag: str | None) -> None:
    """A `python` flag that keeps the hook out is found, and only where it is the interpreter's."""
    assert run_module.isolating_flag(command) == flag


def test_isolated_python_says_that_nothing_is_tallied() -> None:
    """Such a run is announced: an empty tally must not look like a free program."""
    done = run(sys.executable, "-I", "-c", "pass")
    assert done.returncode == 0
    assert "nothing can be tallied" in done.stderr
