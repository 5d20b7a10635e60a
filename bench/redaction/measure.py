"""All measurements, the sides taking turns."""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from .adversarial import inputs
from .sides import NAMES

BENCH = Path(__file__).resolve().parents[1]
CAP_SECONDS = 6.0


class Plan(NamedTuple):
    """How much is measured."""

    rows: int
    benign: int
    rounds: int
    sizes: dict[int, int]
    adversarial: int
    messages: int
    imports: int


PLANS = {
    "once": Plan(200, 40_000, 1, {1_000: 5, 10_000: 1, 100_000: 1}, 12, 5, 1),
    "smoke": Plan(500, 120_000, 2, {1_000: 20, 10_000: 4, 100_000: 1}, 12, 20, 3),
    "full": Plan(2_500, 1_200_000, 7, {1_000: 200, 10_000: 20, 100_000: 3, 1_000_000: 1}, 10_000, 100, 10),
}


class SilentError(RuntimeError):
    """A side did not answer in time; its process is gone."""


class Side:
    """A worker and the talk with it."""

    def __init__(self, name: str, gitleaks: str) -> None:
        self.name = name
        self._gitleaks = gitleaks
        self._process: subprocess.Popen[bytes] | None = None
        self.unavailable = ""
        self._start()

    def _start(self) -> None:
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SPANTALLY_"))
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "redaction.worker", self.name, self._gitleaks],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=BENCH,
            env={**kept, "PYTHONPATH": str(BENCH)},
        )
        self.unavailable = self._answer(120).get("unavailable", "")

    def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        if not ready:
            self.close()
            raise SilentError(self.name)
        line = self._process.stdout.readline()
        if not line:
            self.close()
            return {"unavailable": "its process ended", "failed": "its process ended"}
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, job: str, seconds: float = 600, **arguments: Any) -> dict[str, Any]:
        """What the side answers.

        Raises:
            SilentError: if it does not.
        """
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"job": job, **arguments}).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer(seconds)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


def say(text: str) -> None:
    """Progress, beside the table."""
    print(text, file=sys.stderr, flush=True)


def start(names: tuple[str, ...], gitleaks: str) -> tuple[list[Side], dict[str, str]]:
    """The sides that are there, and why the others are not."""
    sides = [Side(name, gitleaks) for name in names if name in NAMES]
    missing = {side.name: side.unavailable for side in sides if side.unavailable}
    return [side for side in sides if not side.unavailable], missing


def _try(side: Side, job: str, seconds: float, **arguments: Any) -> dict[str, Any]:
    try:
        return side.ask(job, seconds, **arguments)
    except SilentError:
        return {"failed": f"no answer within {seconds:.0f} s"}


def found(
    sides: list[Side], path: str, seed: int, plan: Plan, out: Path, *, every: bool = False
) -> dict[str, Any]:
    """Recall and false alarms of each side on a corpus."""
    label = Path(path).name.split(".")[0] if path else "generated"
    results = {}
    for side in sides:
        say(f"scoring {side.name} on {label}")
        misses = str(out / f"wrong-{label}-{side.name}.jsonl")
        results[side.name] = _try(
            side, "corpus", 600, path=path, seed=seed, rows=plan.rows, misses=misses, every=every
        )
    return results


def real_text(sides: list[Side], seed: int, plan: Plan, out: Path) -> dict[str, Any]:
    """What each side takes out of text without secrets."""
    results = {}
    for side in sides:
        say(f"reading real text with {side.name}")
        misses = str(out / f"removed-{side.name}.jsonl")
        results[side.name] = _try(side, "benign", 600, seed=seed, size=plan.benign, misses=misses)
    return results


def speed(sides: list[Side], seed: int, plan: Plan, *, real: bool) -> dict[str, Any]:
    """Megabytes per second by size: each round asks every side in turn for new text, the same for all.

    Args:
        sides: who is asked.
        seed: of the texts.
        plan: sizes, texts of each, and rounds.
        real: text that people wrote, with no secret in it; else made up, full of names that promise one.
    """
    label = "real text" if real else "dense text"
    rates: dict[str, dict[int, list[float]]] = {
        side.name: {size: [] for size in plan.sizes} for side in sides
    }
    for number in range(plan.rounds):
        for size, count in plan.sizes.items():
            say(f"speed on {label}, round {number + 1} of {plan.rounds}, {size} characters")
            for side in sides:
                had = rates[side.name][size]
                if had and size * count / 1e6 / had[0] > 2:
                    continue  # A side that takes seconds is not asked again: its figure needs no median.
                few = max(1, count // 10) if side.name in ("gitleaks", "detect-secrets") else count
                answer = _try(side, "speed", 120, size=size, count=few, seed=f"{seed}-{number}", real=real)
                if "seconds" in answer:
                    had.append(answer["characters"] / 1e6 / max(answer["seconds"], 1e-9))
    return {
        name: {
            size: {"median": statistics.median(all_), "rounds": all_} for size, all_ in sizes.items() if all_
        }
        for name, sizes in rates.items()
    }


def worst(sides: list[Side], seed: int, plan: Plan) -> dict[str, Any]:
    """Seconds of ours on every adversarial input; a slow one is tried again, since machines are busy."""
    names = list(inputs(seed))[: plan.adversarial]
    results: dict[str, Any] = {}
    for side in sides:
        say(f"adversarial inputs with {side.name}")
        results[side.name] = {}
        for name in names:
            answers = [_try(side, "adversarial", CAP_SECONDS * 2, name=name, seed=seed)]
            if answers[0].get("seconds", 9.0) > 0.4:
                answers += [
                    _try(side, "adversarial", CAP_SECONDS * 2, name=name, seed=seed) for _ in range(2)
                ]
            timed = [one for one in answers if "seconds" in one]
            results[side.name][name] = min(timed, key=lambda one: one["seconds"]) if timed else answers[0]
    return results


def history(sides: list[Side], seed: int, plan: Plan) -> dict[str, Any]:
    """How much faster a conversation is that was seen before."""
    results = {}
    for side in sides:
        runs = [
            _try(side, "history", 120, messages=plan.messages, size=2_000, seed=f"{seed}-{number}")
            for number in range(plan.rounds)
        ]
        runs = [one for one in runs if "new" in one]
        if runs:
            results[side.name] = {
                "ratio": statistics.median(one["new"] / max(one["again"], 1e-9) for one in runs),
                "runs": runs,
            }
    return results


_IMPORT = (
    "import time; wall = time.perf_counter(); start = time.process_time(); import spantally; "
    "middle = time.process_time(); import spantally.redaction; "
    "print(time.process_time() - start, middle - start, time.perf_counter() - wall)"
)


def imports(plan: Plan) -> dict[str, float]:
    """Milliseconds of `import spantally.redaction` in a fresh process: all, and the package alone."""
    runs = []
    for _ in range(plan.imports + 1):
        done = subprocess.run(
            [sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True, timeout=60
        )
        runs.append([float(one) * 1000 for one in done.stdout.split()])
    runs = runs[1:]  # The first one may have to compile.
    middle = [statistics.median(values) for values in zip(*runs, strict=True)]
    return {
        **dict(zip(("median", "package", "wall"), middle, strict=True)),
        "fastest_wall": min(one[2] for one in runs),
    }
