"""Which pieces of OpenTelemetry an environment asks for, and which of them are not installed.

The configurator, which the distro brings, makes providers and exporters of the OTEL_* variables. Each
exporter is an entry point; packages that several share may be there without any.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final

from spantally.cli.otlp_target import SIGNALS

PROTOCOLS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
DISTRO: Final = "opentelemetry-distro"
INSTALL: Final = "pip install 'spantally[otlp]'"


def protocol_of(signal: str, environ: Mapping[str, str]) -> str:
    """The OTLP protocol of a signal, as the variables say.

    Args:
        signal: TRACES, METRICS or LOGS.
        environ: the environment to read.
    """
    given = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    return (given or "grpc").strip()


def plugins(environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Names of the exporters that the configurator would load, by signal; without its own variable OTLP.

    Args:
        environ: the environment to read.
    """
    found: dict[str, list[str]] = {}
    for signal in SIGNALS:
        names = environ.get(f"OTEL_{signal}_EXPORTER", "").strip() or "otlp"
        asked = [name for part in names.split(",") if (name := part.strip()) and name.lower() != "none"]
        otlp = PROTOCOLS.get(protocol_of(signal, environ), "otlp")
        if asked:
            found[signal] = [otlp if name == "otlp" else name for name in asked]
    return found


def lacking(environ: Mapping[str, str]) -> list[str]:
    """Exporters that the configurator would load and that are not installed.

    Args:
        environ: the environment to read.
    """
    wanted = plugins(environ)
    known = {signal: installed_plugins(signal) for signal in wanted}
    return sorted({name for signal, names in wanted.items() for name in names if name not in known[signal]})


def installed_plugins(signal: str) -> set[str]:
    """Names of the installed exporters of a signal.

    Args:
        signal: TRACES, METRICS or LOGS.
    """
    return {entry.name for entry in entry_points(group=f"opentelemetry_{signal.lower()}_exporter")}


def has_configurator() -> bool:
    """Whether anything makes providers of the OTEL_* variables: the distro of OpenTelemetry, or another."""
    return bool(entry_points(group="opentelemetry_configurator"))
