"""Our instrumentors, and those of others that patch the same SDKs."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Final

from spantally.cli.checks.finding import Finding, Level
from spantally.cli.checks.probe import SDKS
from spantally.cli.checks.process import yielding
from spantally.cli.checks.versions import installed
from spantally.ground.peers import PEERS
from spantally.ground.settings import from_environment

SECTION: Final = "instrumentors"
_OTHERS: Final = (
    "traceloop-sdk",
    "langfuse",
    "langsmith",
    "ddtrace",
    "agentops",
    "braintrust",
    "weave",
)
"""Further distributions that patch an SDK without an entry point, when the program tells them to."""
_ADVICE: Final = "where it traces a call too, the call is still counted once"


def check() -> list[Finding]:
    """Ours must load; others are named, since two views of one call are worth knowing of."""
    found: list[Finding] = []
    known = {peer.distribution: peer for peer in PEERS}
    advice = yielding(from_environment("coexist"))
    for entry in sorted(entry_points(group="opentelemetry_instrumentor"), key=lambda entry: entry.name):
        if entry.module.startswith("spantally."):
            found.append(_load(entry))
        elif any(sdk in f"{entry.name} {entry.module}" for sdk in SDKS):
            if entry.dist is not None and entry.dist.name in known:
                continue  # told below
            source = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"
            found.append(Finding(SECTION, entry.name, f"{entry.module} ({source})", Level.NOTE, _ADVICE))
    hooks = entry_points(group="opentelemetry_pre_instrument")
    found.extend(_load(entry) for entry in hooks if entry.module.startswith("spantally."))
    if not any(one.value.startswith("spantally.") for one in found):
        remedy = "spantally's entry points are not registered: pip install spantally (again)"
        found.append(Finding(SECTION, "entry points", "missing", Level.PROBLEM, remedy))
    for name, peer in known.items():
        text = installed(name)
        if text is not None:
            found.append(
                Finding(SECTION, name, f"{text} ({peer.name}) traces openai, too", Level.NOTE, advice)
            )
    for name in _OTHERS:
        text = installed(name)
        if text is not None:
            found.append(Finding(SECTION, name, f"{text}, may patch the same SDKs", Level.NOTE, _ADVICE))
    return found


def _load(entry: EntryPoint) -> Finding:
    name = f"{entry.name} ({entry.group.removeprefix('opentelemetry_')})"
    try:
        entry.load()
    except Exception as error:
        advice = f"it does not load ({type(error).__name__}: {error}); install spantally again"
        return Finding(SECTION, name, entry.value, Level.PROBLEM, advice)
    return Finding(SECTION, name, entry.value)
