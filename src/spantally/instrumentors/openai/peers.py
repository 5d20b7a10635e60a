"""Other instrumentors of the openai SDK in this process: who is at work, and whose span a request has."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, Final

from spantally.calls.joining import AFTERWARDS, AROUND, Join
from spantally.ground.guard import swallowed
from spantally.ground.peers import PEERS, Peer
from spantally.instrumentors import beneath

MAX_FRAMES: Final = 60
"""How far above a request another instrumentor's wrapper is looked for."""

RAW_RESPONSE_HEADER: Final = "X-Stainless-Raw-Response"
"""Header by which the SDK's own methods ask ``request()`` for the response itself."""

_LATE: Final = tuple((peer, peer.late) for peer in PEERS if peer.late is not None)
_KEPT: Final = ("_original_request", "_original_async_request")
"""Attributes in which an instrumentor keeps what it found in the SDK, to put it back."""


def where_spans_are(api: str, options: Any) -> Join:
    """Where another instrumentor's span of this request may be found.

    Args:
        api: of the request's endpoint.
        options: the request's ``FinalRequestOptions``.
    """
    if api == "responses":
        for _, module in _LATE:
            if module in sys.modules:
                try:
                    if _is_around(sys.modules[module].__dict__) and not _streams_raw(options):
                        return AFTERWARDS
                except Exception as error:
                    swallowed("openai.peers", error)
    return AROUND


def _is_around(names: Mapping[str, Any]) -> bool:
    """True if a function of the module with these globals is among the callers (or awaiters) of this one."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(MAX_FRAMES):
        if frame is None:
            return False
        if frame.f_globals is names:
            return True
        frame = frame.f_back
    return False


def _streams_raw(options: Any) -> bool:
    """True where the program reads the stream itself: the one form of which no late span is made."""
    headers = options.headers
    body = options.json_data
    raw = isinstance(headers, Mapping) and RAW_RESPONSE_HEADER in headers
    return raw and isinstance(body, Mapping) and bool(body.get("stream"))


def at_work() -> list[Peer]:
    """The peers that instrument the SDK in this process, as far as they show it."""
    return [peer for peer in PEERS if _is_at_work(peer)]


def _is_at_work(peer: Peer) -> bool:
    try:
        if peer.module is None:
            sdk = sys.modules.get("openai")
            return any(
                vars(getattr(sdk, name, object)).get("_is_instrumented_by_logfire", False)
                for name in ("OpenAI", "AsyncOpenAI")
            )
        instrumentor = _instrumentor_of(peer)
        return bool(getattr(instrumentor, "is_instrumented_by_opentelemetry", False))
    except Exception as error:
        swallowed("openai.peers", error)
        return False


def _instrumentor_of(peer: Peer) -> Any:
    """The peer's one instrumentor, None where it was never made; nothing is imported or made for it."""
    module = None if peer.module is None else sys.modules.get(peer.module)
    kind = vars(module).get("OpenAIInstrumentor") if module is not None else None
    return getattr(kind, "_instance", None)


def _kept_originals() -> Iterator[tuple[Any, str]]:
    for peer in PEERS:
        instrumentor = _instrumentor_of(peer)
        if instrumentor is not None:
            yield from ((instrumentor, name) for name in _KEPT if hasattr(instrumentor, name))


beneath.keepers.append(_kept_originals)
