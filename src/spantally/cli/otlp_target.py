"""Where `spantally run --otlp` sends spans, metrics and events, in OpenTelemetry's own variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from spantally.ground.errors import ArgumentError

SIGNALS: Final = ("TRACES", "METRICS", "LOGS")
GRPC_PORT: Final = 4317
"""Where collectors take OTLP over gRPC (opentelemetry.io/docs/specs/otlp)."""

_SCHEMES: Final[Mapping[str, tuple[str, str | None]]] = {
    "http": ("http", None),
    "https": ("https", None),
    "grpc": ("http", "grpc"),
    "grpcs": ("https", "grpc"),
}
"""What the exporters are told for each scheme; without a protocol the port decides."""

_BARE: Final = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}(?:/.*)?", re.DOTALL)
"""``localhost:4318``, ``[::1]:4317``, ``collector:4318/v1/traces``."""


def bare_address(text: str) -> bool:
    """Whether a text is a host with a port, and so an address that lacks its scheme rather than a file."""
    return _BARE.fullmatch(text.strip()) is not None


def parse_target(text: str) -> tuple[str, str]:
    """The endpoint and the protocol that an address stands for.

    Args:
        text: ``http://host:4318``, ``https://host/path``, ``grpc://host:4317``, ``grpcs://host``. Port 4317
            is gRPC whatever the scheme.

    Raises:
        ArgumentError: it is none of these.
    """
    problem = ArgumentError(
        f"--otlp {text!r} is no address of a collector; write http://HOST:4318 (or https://), "
        "or grpc://HOST:4317 (grpcs:// with TLS)"
    )
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise problem from None
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.query or parts.fragment:
        raise problem
    scheme, protocol = _SCHEMES[parts.scheme]
    protocol = protocol or ("grpc" if port == GRPC_PORT else "http/protobuf")
    if protocol == "grpc" and parts.path not in ("", "/"):
        raise problem
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}", protocol


def with_target(base: Mapping[str, str], target: tuple[str, str]) -> dict[str, str]:
    """An environment whose programs send everything there.

    An exporter that the user named for one signal (``OTEL_METRICS_EXPORTER=none``) stays; an endpoint or
    protocol of the environment does not, since the option was given for this run. Headers, certificates,
    compression and time-outs stay.

    Args:
        base: the environment so far.
        target: of :func:`parse_target`.
    """
    made = dict(base)
    for signal in SIGNALS:
        made.setdefault(f"OTEL_{signal}_EXPORTER", "otlp")
        for what in ("ENDPOINT", "PROTOCOL"):
            made.pop(f"OTEL_EXPORTER_OTLP_{signal}_{what}", None)
    made["OTEL_EXPORTER_OTLP_ENDPOINT"], made["OTEL_EXPORTER_OTLP_PROTOCOL"] = target
    return made
