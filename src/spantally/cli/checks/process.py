"""What a program started here would get: patches and who else patches, missing taps, the redaction net."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from spantally.cli.checks import redaction
from spantally.cli.checks.finding import Finding, Level

SECTION: Final = "in a program"
_SECONDS: Final = 60
_LACKS: Final = "this version of the SDK lacks it, so what passes there is not seen; see the tested versions"


def check(environ: Mapping[str, str]) -> list[Finding]:
    """Start a small program as `spantally run` would, and read its report.

    Args:
        environ: the environment of the program; it exports nothing and keeps no tally.
    """
    from spantally.cli.run import environment

    made = environment(environ, ledger="false", quiet=True)
    made.pop("SPANTALLY_RUN_PID", None)
    for name in [name for name in made if name.startswith("OTEL_") and "EXPORTER" in name]:
        del made[name]
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"):
        made[name] = "none"
    made.pop("OTEL_CONFIG_FILE", None)
    command = [sys.executable, "-m", "spantally.cli.checks.probe"]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, env=made, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        told = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired) as error:
        return [
            Finding(SECTION, "start", "failed", Level.PROBLEM, f"{type(error).__name__} in a small program")
        ]
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return [Finding(SECTION, "start", "failed", Level.PROBLEM, last)]
    return findings(told["report"], told["errors"], disabled=bool(environ.get("SPANTALLY_DISABLED")))


def findings(
    report: Mapping[str, Any], errors: Mapping[str, str], *, disabled: bool = False
) -> list[Finding]:
    """The report of a process as findings.

    Args:
        report: of :func:`spantally.api.report.report`.
        errors: SDKs that could not be imported, with the reason.
        disabled: SPANTALLY_DISABLED was set.
    """
    if not report.get("active"):
        if disabled:
            advice = "SPANTALLY_DISABLED switches everything off"
            return [Finding(SECTION, "spantally", "not active", Level.NOTE, advice)]
        return [Finding(SECTION, "spantally", "not active", Level.PROBLEM, "it did not start; see above")]
    found = [Finding(SECTION, "spantally", "active")]
    found.extend(
        Finding(SECTION, name, "cannot be imported", Level.PROBLEM, reason) for name, reason in errors.items()
    )
    patches = report.get("patches", [])
    for name in sorted({patch["instrumentor"] for patch in patches}):
        found.extend(_patched(name, [patch for patch in patches if patch["instrumentor"] == name]))
    found.extend(_coexist(report.get("coexist") or {}))
    found.extend(redaction.findings(SECTION, report.get("redaction") or {}))
    found.extend(
        Finding(
            SECTION,
            failure["where"],
            f"{failure['error']}, {failure['count']} times",
            Level.PROBLEM,
            "a part of spantally failed at start; the program is not affected",
        )
        for failure in report.get("failures", [])
    )
    return found


def _patched(name: str, patches: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """What one instrumentor patches, what it misses, and who else patches the same places."""
    if not any(patch["enabled"] for patch in patches):
        advice = "switched off (OTEL_PYTHON_DISABLED_INSTRUMENTATIONS?)"
        return [Finding(SECTION, name, "not enabled", Level.NOTE, advice)]
    applied = [patch for patch in patches if patch["applied"]]
    found = [Finding(SECTION, name, f"patches {patch['target']}") for patch in applied if patch["required"]]
    found += [
        Finding(SECTION, name, f"patches {count} places of {module}")
        for module, count in _optional(applied).items()
    ]
    found += [
        Finding(SECTION, name, f"patches {count} places of {module}, once it is imported")
        for module, count in _by_module([patch for patch in patches if patch.get("awaited")]).items()
    ]
    found = found or [Finding(SECTION, name, "patches nothing that is imported here")]
    missing = [patch for patch in patches if patch["missing"]]
    found.extend(
        Finding(SECTION, f"{name} tap", f"{patch['target']} is missing", Level.PROBLEM, _LACKS)
        for patch in missing
        if patch["required"]
    )
    found.extend(
        Finding(SECTION, f"{name} tap", f"{count} places of {module} are missing", Level.NOTE, _LACKS)
        for module, count in _optional(missing).items()
    )
    found.extend(
        Finding(
            SECTION,
            f"{name} shares",
            f"{patch['target']} with {', '.join(patch['others'])}",
            Level.NOTE,
            "both see the call; it is counted once, and SPANTALLY_COEXIST says whose span it gets",
        )
        for patch in patches
        if patch["others"]
    )
    return found


def _optional(patches: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """How many places of each module a version of the SDK may lack."""
    return _by_module([patch for patch in patches if not patch["required"]])


def _by_module(patches: Sequence[Mapping[str, Any]]) -> Counter[str]:
    return Counter(patch["target"].partition(":")[0] for patch in patches)


def _coexist(told: Mapping[str, Any]) -> list[Finding]:
    """Other instrumentors that are at work in such a program, and who yields."""
    return [
        Finding(
            SECTION,
            "beside",
            f"{peer['name']} ({peer['distribution']}) traces openai, too",
            Level.NOTE,
            yielding(str(told.get("setting"))),
        )
        for peer in told.get("peers", [])
    ]


def yielding(setting: str) -> str:
    """What becomes of a call that another instrumentor traces, too.

    Args:
        setting: of SPANTALLY_COEXIST.
    """
    if setting == "own":
        return "its span stays and ours stands beside it (SPANTALLY_COEXIST=own); the call is counted once"
    return "ours yields: the call is metered and joined to its span (SPANTALLY_COEXIST=yield), counted once"
