"""What each way of starting a program would send, and what is missing for it.

Measured with OpenTelemetry 1.45: without the distro `opentelemetry-instrument` and `spantally run` send
nothing and tally; with it, and without the exporter that is asked for, `opentelemetry-instrument` starts no
instrumentor at all, ours neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from spantally.cli.checks.finding import Finding, Level
from spantally.cli.otlp_pieces import DISTRO, INSTALL, has_configurator, installed_plugins, lacking, plugins
from spantally.cli.run import CONFIG_FILES, quiet_exporters
from spantally.otel.provider import exporter_names

_NOTHING: Final = "nothing: no OTEL_* variable names an exporter or endpoint"
_NO_DISTRO: Final = f"{DISTRO} is missing: {INSTALL}; calls are tallied without"


def check(section: str, environ: Mapping[str, str]) -> list[Finding]:
    """One finding for each way.

    Args:
        section: of the findings.
        environ: the environment to read.
    """
    return [_launcher(section, environ), _run(section, environ), _instrument(section, environ)]


def _launcher(section: str, environ: Mapping[str, str]) -> Finding:
    name = "with opentelemetry-instrument"
    if not has_configurator():
        return Finding(section, name, "sends nothing", Level.NOTE, _NO_DISTRO)
    missing = [] if _by_file(environ) else lacking(environ)
    if missing:
        advice = f"{_are_missing(missing)}, and so nothing of a program is watched: {_remedy(missing)}"
        return Finding(section, name, "starts no instrumentor", Level.NOTE, advice)
    return Finding(section, name, _sent(environ))


def _run(section: str, environ: Mapping[str, str]) -> Finding:
    name = "with spantally run"
    made = {**environ, **dict.fromkeys(quiet_exporters(environ), "none")}
    if not _by_file(made) and not plugins(made):
        return Finding(section, name, _NOTHING)
    if not has_configurator():
        return Finding(section, name, "sends nothing", Level.NOTE, _NO_DISTRO)
    missing = [] if _by_file(made) else lacking(made)
    if missing:
        advice = f"{_are_missing(missing)}: {_remedy(missing)}; calls are tallied without"
        return Finding(section, name, "sends nothing", Level.NOTE, advice)
    return Finding(section, name, _sent(made))


def _instrument(section: str, environ: Mapping[str, str]) -> Finding:
    name = "with instrument() alone"
    asked = exporter_names(environ)
    if not asked:
        return Finding(section, name, _NOTHING)
    missing = sorted(set(asked) - installed_plugins("TRACES"))
    if missing:
        advice = f"{_are_missing(missing)}: {_remedy(missing)}; calls are tallied without"
        return Finding(section, name, "sends nothing", Level.PROBLEM, advice)
    advice = "metrics and logs go by providers that the program sets"
    return Finding(section, name, f"traces by {', '.join(asked)}; {advice}")


def _by_file(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) for name in CONFIG_FILES)


def _sent(environ: Mapping[str, str]) -> str:
    if _by_file(environ):
        return "what the file of OTEL_CONFIG_FILE says"
    sent = [f"{signal.lower()} by {', '.join(names)}" for signal, names in plugins(environ).items()]
    return "; ".join(sent) or "nothing: all OTEL_*_EXPORTER are none"


def _are_missing(names: Sequence[str]) -> str:
    return f"exporter {' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing"


def _remedy(names: Sequence[str]) -> str:
    return INSTALL if any(name.startswith("otlp") for name in names) else "install it, or name another"
