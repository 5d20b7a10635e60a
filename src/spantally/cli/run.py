"""`spantally run -- CMD`: the user's command with spantally started in every Python process of it.

On POSIX the command replaces this process, so that exit code, signals, stdin and terminal are the
command's own; on Windows, where that does not exist, it is a child and its exit code is passed on.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import NoReturn

import click

from spantally.cli import exits
from spantally.cli.otlp_target import SIGNALS, parse_target, with_target
from spantally.ground.errors import ArgumentError

_SIGNALS = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", *(f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT" for name in SIGNALS))
CONFIG_FILES = ("OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE")
_ISOLATING = frozenset("IES")
"""Interpreter flags that keep PYTHONPATH, or the start-up hook, from a Python process."""


def bootstrap_directory() -> str:
    """The directory with our start-up hook, as it is put on PYTHONPATH."""
    return str(Path(__file__).resolve().parent / "bootstrap")


def environment(base: Mapping[str, str], *, ledger: str | None, quiet: bool) -> dict[str, str]:
    """The environment of the user's command.

    Args:
        base: environment to start from.
        ledger: an absolute path to write to, or None for the one in force.
        quiet: no summary line.
    """
    made = dict(base)
    bootstrap = bootstrap_directory()
    rest = [entry for entry in made.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != bootstrap]
    made["PYTHONPATH"] = os.pathsep.join([bootstrap, *rest])
    made["SPANTALLY_RUN_PID"] = str(os.getpid())
    made.pop("SPANTALLY_SUMMARY_OWNER", None)
    made["SPANTALLY_SUMMARY"] = "false" if quiet else "true"
    if ledger is not None:
        made["SPANTALLY_LEDGER"] = ledger
    for name in quiet_exporters(base):
        made[name] = "none"
    return made


def quiet_exporters(base: Mapping[str, str]) -> list[str]:
    """The exporter variables to set to ``none``: those the user left open while naming no OTLP target.

    Without this the distro's default tries to reach a collector on this machine that is seldom there.
    """
    configured = any(value for name, value in base.items() if name.startswith("OTEL_EXPORTER_"))
    configured = configured or any(base.get(name) for name in CONFIG_FILES)
    configured = configured or any("otlp" in base.get(name, "") for name in _SIGNALS)
    return [] if configured else [name for name in _SIGNALS if not base.get(name)]


def isolating_flag(command: Sequence[str]) -> str | None:
    """The flag of a `python` command line that keeps our start-up hook out, if there is one."""
    if not Path(command[0]).name.lower().startswith(("python", "pypy")):
        return None
    for argument in command[1:]:
        if not argument.startswith("-") or argument.startswith(("--", "-c", "-m")) or argument == "-":
            return None
        if _ISOLATING.intersection(argument[1:]) and argument[1] not in "XW":
            return argument
    return None


def _locate(command: str, search: str | None) -> str:
    """The file to execute; ends the process with 127 or 126 where there is none."""
    found = which(command, path=search)
    if found is not None:
        return found
    script = command.endswith(".py") and os.path.isfile(command)  # noqa: PTH113 - a text from the user
    hint = f"; to run the file: spantally run -- python {shlex.quote(command)}" if script else ""
    if os.path.dirname(command) and os.path.exists(command):  # noqa: PTH110, PTH120 - a text from the user
        what = "is a directory" if os.path.isdir(command) else "is not executable (chmod +x?)"  # noqa: PTH112
        exits.say(f"spantally run: {command}: {what}{hint}")
        sys.exit(exits.NOT_EXECUTABLE)
    exits.say(f"spantally run: {command}: command not found{hint}")
    sys.exit(exits.NOT_FOUND)


def _execute(command: Sequence[str], environ: dict[str, str]) -> NoReturn:
    executable = _locate(command[0], environ.get("PATH"))
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if os.name == "posix":
            os.execve(executable, list(command), environ)  # noqa: S606 - running the command is the point
        child = subprocess.Popen([executable, *command[1:]], env=environ)  # noqa: S603 - the same
    except OSError as error:
        exits.say(f"spantally run: {command[0]}: {error.strerror or error}")
        sys.exit(exits.NOT_FOUND if isinstance(error, FileNotFoundError) else exits.NOT_EXECUTABLE)
    while True:
        try:
            sys.exit(child.wait())
        except KeyboardInterrupt:  # the child got it too and decides what it means
            continue


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--quiet", "-q", is_flag=True, help="No summary line at the end.")
@click.option(
    "--otlp",
    metavar="ENDPOINT",
    help="Send spans, metrics and events to a collector or Jaeger: http://HOST:4318 or grpc://HOST:4317.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def run(explicit: str | None, /, quiet: bool, otlp: str | None, command: tuple[str, ...]) -> None:
    """Run a command and tally its LLM calls.

    Every Python process that COMMAND becomes or starts is tallied.

    \b
    spantally run -- python agent.py
    spantally run -- pytest tests
    spantally run --otlp http://localhost:4318 -- python agent.py

    Nothing needs to listen anywhere: without an exporter in the environment none is used. OTEL_* variables
    are honoured as opentelemetry-instrument honours them. Exit code, signals, stdin and terminal are those
    of COMMAND. At the end one line on stderr says calls, tokens, cost and session (not with --quiet).
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    ledger = None
    if explicit is not None:
        from spantally.cli.access import ledger_in_force

        ledger = ledger_in_force(explicit)
    flag = isolating_flag(command)
    if flag is not None:
        exits.say(
            f"spantally run: {command[0]} {flag} starts without PYTHONPATH or start-up hooks, so nothing "
            "can be tallied; leave the flag out, or call spantally.instrument() in the program"
        )
    base: Mapping[str, str] = os.environ if otlp is None else _sending_to(otlp)
    if _asks_for_otlp(base) and (missing := _missing(base)):
        exits.say(
            f"spantally run: {missing} is not installed here, so that a program of this environment sends "
            "nothing; pip install 'spantally[otlp]'"
        )
    _execute(command, environment(base, ledger=ledger, quiet=quiet))


def _sending_to(address: str) -> Mapping[str, str]:
    """The environment with a collector's address; ends the process with 2 where that cannot be."""
    named = next((name for name in CONFIG_FILES if os.environ.get(name)), None)
    if named is not None:
        raise click.UsageError(
            f"--otlp has no effect beside {named}, which alone says where spans go; unset it, or name the "
            "endpoint there"
        )
    try:
        target = parse_target(address)
    except ArgumentError as error:
        raise click.UsageError(str(error)) from error
    from spantally.cli.otlp_probe import mismatch

    wrong = mismatch(target)
    if wrong is not None:
        exits.say(f"spantally run: {wrong}; the program runs and is tallied, its spans will not arrive")
    return with_target(os.environ, target)


def _asks_for_otlp(base: Mapping[str, str]) -> bool:
    """Whether an environment sends anything by OTLP: it names an endpoint or the exporter."""
    if base.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    chosen = [base.get(name, "") for name in _SIGNALS]
    if any("otlp" in name for name in chosen):
        return True
    return not all(chosen) and any(base.get(name) for name in _ENDPOINTS)


def _missing(base: Mapping[str, str]) -> str | None:
    """What is not there of what sends by OTLP, in words."""
    from spantally.cli.otlp_pieces import DISTRO, has_configurator, lacking  # late: it looks up metadata

    if any(base.get(name) for name in CONFIG_FILES):
        return None  # the file says what is needed
    missing = [name for name in lacking(base) if name.startswith("otlp")]
    if missing:
        return f"the exporter {' or '.join(missing)}"
    return None if has_configurator() else f"{DISTRO}, which makes exporters of OTEL_* variables,"
