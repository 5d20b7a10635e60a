"""Run the comparison: every measurement in a process of its own, the sides interleaved, several launches.

``python bench/run.py [--size once|smoke|full] [--only NAME ...] [--out DIR]`` prints a table and writes it as
text and as JSON. README.md beside this file says how to read it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import report
from startup import measure_startup

HERE = Path(__file__).parent
SIDES = ("nothing", "span", "official", "spantally")
SIZES = {"once": (1, 0.25, 1), "smoke": (2, 0.5, 4), "full": (5, 1.5, 12)}
"""Launches of each case, share of its rounds, launches of the start-up."""


class Case(NamedTuple):
    """One line of the table."""

    name: str
    arguments: tuple[str, ...]
    calls: int
    rounds: int
    loopback: bool = False
    unit: str = "call"


CASES = (
    Case("chat, content off, stub", ("chat",), 100, 8),
    Case("chat, content off, loopback", ("chat",), 100, 8, loopback=True),
    Case("chat, content on, stub", ("chat", "--content"), 100, 8),
    Case("chat, content on, loopback", ("chat", "--content"), 100, 8, loopback=True),
    Case("chat, content off, never idle", ("chat",), 1500, 2),
    Case("chat, unsampled, stub", ("chat", "--unsampled"), 100, 8),
    Case("chat, one per 200 ms, stub", ("sparse",), 10, 2),
    Case("chunk, hot loop", ("chunks",), 0, 8, unit="chunk"),
    Case("chunk, whole path", ("stream",), 3, 6, loopback=True, unit="chunk"),
)


@contextmanager
def server() -> Iterator[str]:
    """The loopback server in a process of its own; gives the base URL of its API."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.stdin.close()
        process.wait(10)


def child(side: str, arguments: list[str]) -> dict[str, Any]:
    """One measurement.

    Raises:
        RuntimeError: if the child failed, with what it said.
    """
    command = [sys.executable, str(HERE / "child.py"), side, *arguments]
    with tempfile.TemporaryDirectory(prefix="spantally-bench-home-") as home:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=600, env=report.environment(home), check=False
        )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[2:])} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_case(case: Case, url: str, launches: int, scale: float) -> dict[str, Any]:
    """All launches of one case, the sides interleaved."""
    rounds = max(2, round(case.rounds * scale))
    arguments = [*case.arguments, "--calls", str(case.calls), "--rounds", str(rounds)]
    if case.loopback:
        arguments += ["--url", url]
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(launches):
        for side in SIDES:
            runs[side].append(child(side, arguments))
    return {"name": case.name, "unit": case.unit, "runs": runs, "summary": summary(runs)}


def summary(runs: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Medians over the launches."""
    names = ("base_us", "thread_us", "process_us")
    return {
        side: {name: statistics.median(one[name] for one in found) for name in names}
        for side, found in runs.items()
    }


def run_start(launches: int) -> dict[str, Any]:
    """Importing and switching on, over the SDKs already imported."""
    runs: dict[str, list[dict[str, Any]]] = {"official": [], "spantally": []}
    for _ in range(launches):
        for side, found in runs.items():
            found.append(child(side, ["start"]))
    fastest = {
        side: {name: min(one[name] for one in found) for name in found[0]} for side, found in runs.items()
    }
    return {"name": "import and switch on", "runs": runs, "summary": fastest}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=sorted(SIZES), default="smoke")
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of cases")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    options = parser.parse_args()
    launches, scale, starts = SIZES[options.size]

    def wanted(name: str) -> bool:
        return not options.only or any(part in name for part in options.only)

    results: dict[str, Any] = {"size": options.size, "machine": report.machine(), "cases": []}
    with server() as url:
        for case in CASES:
            if wanted(case.name):
                print(f"measuring {case.name}", file=sys.stderr, flush=True)
                results["cases"].append(run_case(case, url, launches, scale))
    if wanted("start"):
        print("measuring start-up", file=sys.stderr, flush=True)
        results["start"] = run_start(launches)
        results["startup"] = measure_startup(starts)
    text = report.text(results)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.txt").write_text(text + "\n")
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
