"""The environment of children, the details of the machine, and the table."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "spantally",
    "openai",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation",
    "opentelemetry-instrumentation-genai-openai",
    "wrapt",
    "pydantic",
)


def environment(home: str) -> dict[str, str]:
    """The variables of a child: none that would configure one of the sides, nothing exported anywhere."""
    dropped = ("OTEL_", "SPANTALLY_", "PYTHON", "XDG_", "OPENAI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    exporters = {f"OTEL_{name}_EXPORTER": "none" for name in ("TRACES", "METRICS", "LOGS")}
    return {**kept, **exporters, "HOME": home}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    versions: dict[str, str] = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": [round(one, 2) for one in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "packages": versions,
    }


def text(results: dict[str, Any]) -> str:
    """All results as a table."""
    about = results["machine"]
    lines = [
        f"{about['python']} on {about['system']}",
        f"{about['processor']}, {about['cores']} cores, load at the start {about['load']}",
        ", ".join(f"{name} {version}" for name, version in about["packages"].items()),
        "",
    ]
    if results["cases"]:
        lines += _cases(results["cases"])
    if "start" in results:
        lines += _start(results)
    return "\n".join(lines)


def _cases(cases: list[dict[str, Any]]) -> list[str]:
    lines = [
        "Added CPU time in microseconds: median of the launches [lowest, highest]",
        f"{'':30}{'SDK alone':>10} | {'calling thread':^67} | {'whole process':^67}",
        (
            f"{'':30}{'':>10} | {'nothing':>9}{'a span':>10}{'official':>20}{'spantally':>20}{'ratio':>8}"
            f" | {'nothing':>9}{'a span':>10}{'official':>20}{'spantally':>20}{'ratio':>8}"
        ),
    ]
    for case in cases:
        found = case["summary"]
        cells = [f"{case['name']:30}{found['nothing']['base_us']:10.2f}"]
        for name in ("thread_us", "process_us"):
            official, ours = found["official"][name], found["spantally"][name]
            ratio = f"{ours / official:.2f}" if official > 0 else "-"
            cells.append(
                f"{found['nothing'][name]:9.2f}{found['span'][name]:10.2f}"
                f"{_spread(case, 'official', name):>20}{_spread(case, 'spantally', name):>20}{ratio:>8}"
            )
        lines.append(" | ".join(cells))
    return [*lines, ""]


def _spread(case: dict[str, Any], side: str, name: str) -> str:
    values = [one[name] for one in case["runs"][side]]
    places = 2 if case["unit"] == "chunk" else 0
    middle = case["summary"][side][name]
    return f"{middle:.{places}f} [{min(values):.{places}f}, {max(values):.{places}f}]"


def _start(results: dict[str, Any]) -> list[str]:
    lines = ["Importing and switching on, over the SDKs imported already: fastest of the launches"]
    for side, found in results["start"]["summary"].items():
        lines.append(
            f"  {side:24}{found['wall_ms']:8.0f} ms wall {found['cpu_ms']:8.0f} ms CPU"
            f"{found['memory_kb'] / 1024:8.1f} MB"
        )
    lines.append("opentelemetry-instrument python -c pass: fastest of the launches")
    for name, found in results["startup"]["summary"].items():
        lines.append(
            f"  {name:24}{found['wall_ms']:8.0f} ms wall {found['cpu_ms']:8.0f} ms CPU"
            f"   (median {found['median_wall_ms']:.0f} ms wall)"
        )
    return lines
