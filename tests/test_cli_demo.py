"""`spantally demo` and `spantally run` end to end: real SDK, real HTTP, a true tally."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spantally.ground.money import usd_text
from spantally.testing.demo import CALLS, COST_NANO_USD, PLANTED

COMMAND = [sys.executable, "-m", "spantally.cli"]


def spantally(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process."""
    environ = {**os.environ, **variables}
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=110, env=environ)


def test_demo_leaves_the_users_ledger_alone(tmp_path: Path) -> None:
    """The demo prints sessions, tree and cost of a temporary ledger, and the sum is that worked by hand."""
    done = spantally("demo")
    assert done.returncode == 0, done.stderr
    assert f"total: ${usd_text(COST_NANO_USD)} known + 1 call unpriced, of {CALLS} calls" in done.stdout
    assert "agent planner" in done.stdout
    assert not (tmp_path / "ledger.db").exists()
    assert not [secret for secret in PLANTED.values() if secret in done.stdout + done.stderr]


def test_demo_into_a_named_ledger(tmp_path: Path) -> None:
    """With `--ledger` the tally stays, for the next command to read."""
    target = str(tmp_path / "demo.db")
    assert spantally("--ledger", target, "demo").returncode == 0
    (found,) = json.loads(spantally("--ledger", target, "sessions", "--json").stdout)
    assert (found["calls"], found["cost_nano_usd"]) == (CALLS, COST_NANO_USD)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "no_such_exporter"},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_PYTHON_CONFIGURATOR": "no_such_configurator"},
    ],
    ids=["plain", "failing configurator", "sdk disabled", "no configurator"],
)
def test_run_tallies_and_sums_up(tmp_path: Path, variables: dict[str, str]) -> None:
    """A run is tallied whole, also where OpenTelemetry's own start fails, and one line sums it up."""
    target = str(tmp_path / "run.db")
    program = [sys.executable, "-m", "spantally.testing.demo"]
    done = spantally("--ledger", target, "run", "--", *program, **variables)
    assert done.returncode == 0, done.stderr
    line = done.stderr.splitlines()[-1]
    for part in (f"{CALLS} calls", f"${usd_text(COST_NANO_USD)} known + 1 call unpriced", "spantally show "):
        assert part in line
    (found,) = json.loads(spantally("--ledger", target, "show", line.rpartition(" ")[2], "--json").stdout)
    assert found["cost_nano_usd"] == COST_NANO_USD


def test_quiet_run_says_nothing(tmp_path: Path) -> None:
    """`--quiet` leaves stderr to the program."""
    done = spantally(
        "--ledger", str(tmp_path / "run.db"), "run", "--quiet", "--", sys.executable, "-c", "pass"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_run_honours_the_users_exporter(tmp_path: Path) -> None:
    """An exporter named in the environment is used: spans come out as under opentelemetry-instrument."""
    program = [sys.executable, "-m", "spantally.testing.demo"]
    target = str(tmp_path / "run.db")
    done = spantally("--ledger", target, "run", "--", *program, OTEL_TRACES_EXPORTER="console")
    assert '"name": "invoke_agent planner"' in done.stdout
    assert not [secret for secret in PLANTED.values() if secret in done.stdout]
