"""Where the environment sends spans, metrics and logs, and the values there that do not do what they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from spantally.cli.checks import launches
from spantally.cli.checks.finding import Finding, Level
from spantally.cli.checks.versions import installed
from spantally.cli.otlp_pieces import INSTALL, PROTOCOLS, installed_plugins, protocol_of
from spantally.cli.otlp_target import SIGNALS

SECTION: Final = "exporters"
LONGEST_TIMEOUT: Final = 60.0
"""Seconds; above it the value was surely meant in milliseconds, as the specification has it."""


def check(environ: Mapping[str, str]) -> list[Finding]:
    """Exporters, endpoints and time-outs by the environment.

    Args:
        environ: the environment to read.
    """
    found: list[Finding] = []
    switched_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if switched_off:
        found.append(
            Finding(
                SECTION, "OTEL_SDK_DISABLED", "true", Level.NOTE, "nothing is exported; the tally still works"
            )
        )
    files = ("OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE")
    found.extend(_config_file(name, environ[name]) for name in files if environ.get(name))
    for signal in SIGNALS:
        found.extend(_signal(signal, environ))
    if not switched_off:
        found.extend(launches.check(SECTION, environ))
    found.extend(check_timeouts(environ))
    disabled = [part.strip() for part in environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")]
    ours = [name for name in disabled if name == "*" or name.startswith("spantally_")]
    if ours:
        advice = (
            "under opentelemetry-instrument these do not patch: their calls are not metered at the source"
        )
        found.append(
            Finding(SECTION, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", ",".join(ours), Level.NOTE, advice)
        )
    return found


def _config_file(name: str, path: str) -> Finding:
    if not Path(path).is_file():
        return Finding(
            SECTION, name, path, Level.PROBLEM, "no such file; correct the path or unset the variable"
        )
    if installed("opentelemetry-configuration") is None:
        return Finding(
            SECTION, name, path, Level.PROBLEM, f"opentelemetry-configuration is missing: {INSTALL}"
        )
    return Finding(SECTION, name, path)


def _signal(signal: str, environ: Mapping[str, str]) -> list[Finding]:
    """One finding for each exporter that a signal would have under opentelemetry-instrument."""
    variable = f"OTEL_{signal}_EXPORTER"
    label = signal.lower()
    given = [name.strip() for name in environ.get(variable, "").split(",") if name.strip()]
    if not given:
        if installed("opentelemetry-distro") is None:
            return [Finding(SECTION, label, f"none ({variable} is unset, and no distro is installed)")]
        given = ["otlp"]
    return [_exporter(signal, name, environ) for name in given]


def _exporter(signal: str, name: str, environ: Mapping[str, str]) -> Finding:
    label = signal.lower()
    if name.lower() == "none":
        return Finding(SECTION, label, "none")
    plugin, value = name, name
    if name == "otlp":
        protocol = protocol_of(signal, environ)
        if protocol not in PROTOCOLS:
            advice = f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r} is not allowed; use grpc or http/protobuf"
            return Finding(SECTION, label, name, Level.PROBLEM, advice)
        plugin = PROTOCOLS[protocol]
        value = f"otlp {protocol} to {endpoint(signal, protocol, environ)}"
    known = installed_plugins(signal)
    if plugin not in known:
        advice = f"no exporter named {plugin!r} is installed"
        advice += f": {INSTALL}" if plugin.startswith("otlp") else f"; installed: {', '.join(sorted(known))}"
        return Finding(SECTION, label, value, Level.PROBLEM, advice)
    if plugin == "otlp_proto_grpc" and ":4318" in value:
        advice = "4318 is the usual port of http/protobuf; set OTEL_EXPORTER_OTLP_PROTOCOL, or use 4317"
        return Finding(SECTION, label, value, Level.NOTE, advice)
    return Finding(SECTION, label, value)


def endpoint(signal: str, protocol: str, environ: Mapping[str, str]) -> str:
    """The endpoint of a signal without user, password, query and fragment, which may be secret.

    Args:
        signal: TRACES, METRICS or LOGS.
        protocol: grpc or http/protobuf.
        environ: the environment to read.
    """
    given = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not given:
        port = 4317 if protocol == "grpc" else 4318
        return f"http://localhost:{port} (default)"
    try:
        parts = urlsplit(given if "://" in given else f"//{given}")
        scheme = f"{parts.scheme}://" if parts.scheme else ""
        return f"{scheme}{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return "an address that cannot be read"


def check_timeouts(environ: Mapping[str, str]) -> list[Finding]:
    """OTLP time-outs: the specification says milliseconds, Python's exporters read seconds.

    Args:
        environ: the environment to read.
    """
    found = []
    for name in (
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        *(f"OTEL_EXPORTER_OTLP_{signal}_TIMEOUT" for signal in SIGNALS),
    ):
        text = environ.get(name)
        if not text:
            continue
        try:
            seconds = float(text)
        except ValueError:
            found.append(
                Finding(SECTION, name, text, Level.PROBLEM, "not a number; Python's exporters read seconds")
            )
            continue
        if seconds > LONGEST_TIMEOUT:
            advice = (
                f"Python's exporters read seconds: this waits up to {seconds / 60:,.0f} minutes; "
                f"write {seconds / 1000:g} if milliseconds were meant"
            )
            found.append(Finding(SECTION, name, text, Level.PROBLEM, advice))
        else:
            found.append(Finding(SECTION, name, f"{text} s"))
    return found
