"""Start-up: ``opentelemetry-instrument python -c pass`` with the bare distro and with each instrumentor.

Entry points make the difference, so each side gets an environment of its own: a fresh one whose packages are
links to those of this environment, without the metadata of the sides that must not be seen.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import report

_RUN = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
_HIDDEN = {
    "bare": ("spantally", "opentelemetry_instrumentation_genai_openai"),
    "official": ("spantally",),
    "spantally": ("opentelemetry_instrumentation_genai_openai",),
}


def _view(place: Path, hidden: tuple[str, ...]) -> Path:
    """An environment with all packages of this one but the metadata of some; returns its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    target = next(place.glob("lib/python*/site-packages"))
    source = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    for entry in source.iterdir():
        is_metadata = entry.suffix == ".dist-info" and entry.name.startswith(hidden)
        if not is_metadata and not (target / entry.name).exists():
            (target / entry.name).symlink_to(entry)
    return place / "bin" / "python"


def _launch(python: Path, home: str, *, instrumented: bool) -> tuple[float, float]:
    """Milliseconds of wall clock and of CPU."""
    command = [str(python), "-c", "pass"]
    if instrumented:
        command = [str(python), "-c", _RUN, *command]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True, env=report.environment(home), capture_output=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1e3, cpu * 1e3


def measure_startup(launches: int) -> dict[str, Any]:
    """All sides, interleaved; the first launch of each fills the caches and is not counted."""
    with tempfile.TemporaryDirectory(prefix="spantally-bench-start-") as scratch:
        pythons = {name: _view(Path(scratch) / name, hidden) for name, hidden in _HIDDEN.items()}
        runs: dict[str, list[tuple[float, float]]] = {"python -c pass": []}
        runs |= {name: [] for name in pythons}
        for number in range(launches + 1):
            for name, found in runs.items():
                python = pythons.get(name, pythons["bare"])
                took = _launch(python, scratch, instrumented=name in pythons)
                if number:
                    found.append(took)
    fastest = {
        name: {
            "wall_ms": min(wall for wall, _ in found),
            "cpu_ms": min(cpu for _, cpu in found),
            "median_wall_ms": statistics.median(wall for wall, _ in found),
        }
        for name, found in runs.items()
    }
    return {"runs": runs, "summary": fastest}
