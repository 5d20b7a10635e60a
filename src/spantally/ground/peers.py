"""Other instrumentors of the SDKs that we know: how their spans, modules and distributions are called.

What is true of any instrumentor needs no line here; the table is for what cannot be seen from outside.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple


class Peer(NamedTuple):
    """Another instrumentor of the openai SDK.

    Attributes:
        name: what its users call it.
        distribution: what is installed.
        module: where its ``OpenAIInstrumentor`` lies; None where it has none.
        scopes: names of its instrumentation scopes. A span of theirs around a request is of it.
        late: module whose wrappers begin their span only once the request has returned.
    """

    name: str
    distribution: str
    module: str | None
    scopes: tuple[str, ...]
    late: str | None = None


PEERS: Final = (
    Peer(
        "OpenTelemetry",
        "opentelemetry-instrumentation-genai-openai",
        "opentelemetry.instrumentation.genai.openai",
        ("opentelemetry.instrumentation.genai.openai",),
    ),
    Peer(
        "OpenTelemetry (v2)",
        "opentelemetry-instrumentation-openai-v2",
        "opentelemetry.instrumentation.openai_v2",
        ("opentelemetry.instrumentation.openai_v2",),
    ),
    Peer(
        "OpenInference",
        "openinference-instrumentation-openai",
        "openinference.instrumentation.openai",
        ("openinference.instrumentation.openai",),
    ),
    Peer(
        "OpenLLMetry",
        "opentelemetry-instrumentation-openai",
        "opentelemetry.instrumentation.openai",
        ("opentelemetry.instrumentation.openai", "opentelemetry.instrumentation.openai.v1"),
        late="opentelemetry.instrumentation.openai.v1.responses_wrappers",
    ),
    Peer("Logfire", "logfire", None, ("logfire.openai",)),
    Peer(
        "OpenLIT",
        "openlit",
        "openlit.instrumentation.openai",
        ("openlit.instrumentation.openai", "openlit.instrumentation.openai.async_openai"),
    ),
)

NATIVE_SCOPES: Final = ("com.anthropic.sdk.python",)
"""Scopes of SDKs that trace themselves; clients of clouds put the cloud's name behind."""

LATE_SCOPES: Final = frozenset({"langfuse-sdk"})
"""Scopes whose spans say what they are only once they have begun, but before the request."""

LOGFIRE_SCOPE: Final = "logfire.openai"

_BY_SCOPE: Final = {scope: peer for peer in PEERS for scope in peer.scopes}


@functools.lru_cache(maxsize=256)
def peer_of(scope_name: str) -> Peer | None:
    """Whose instrumentation scope that is, or None.

    Args:
        scope_name: as a span names it; modules beneath a known scope are the same peer's.
    """
    found = _BY_SCOPE.get(scope_name)
    if found is None:
        head, dot, _ = scope_name.rpartition(".")
        found = _BY_SCOPE.get(head) if dot else None
    return found


def is_native(scope_name: str) -> bool:
    """True for the instrumentation scope of an SDK that traces itself.

    Args:
        scope_name: as a span names it.
    """
    return scope_name.startswith(NATIVE_SCOPES)
