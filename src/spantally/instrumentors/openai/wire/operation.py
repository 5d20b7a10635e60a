"""Which operation a request is: told by its method and the end of its path.

The end of the path is what all hosts share: Azure puts ``/openai/deployments/NAME`` before it, gateways put
anything. A further endpoint is one line of :data:`ROUTES`.
"""

from __future__ import annotations

import functools
from typing import Any, Final, NamedTuple

from spantally.ground.records import Kind, UsageFormat


class Operation(NamedTuple):
    """What kind of operation an endpoint does."""

    kind: Kind
    name: str
    """``gen_ai.operation.name``."""
    api: str
    """``chat_completions``, ``responses``, ``completions`` or ``embeddings``."""
    usage_format: UsageFormat


CHAT: Final = Operation(Kind.INFERENCE, "chat", "chat_completions", UsageFormat.OPENAI_CHAT)
RESPONSES: Final = Operation(Kind.INFERENCE, "chat", "responses", UsageFormat.OPENAI_RESPONSES)
COMPLETIONS: Final = Operation(Kind.INFERENCE, "text_completion", "completions", UsageFormat.OPENAI_CHAT)
EMBEDDINGS: Final = Operation(Kind.EMBEDDINGS, "embeddings", "embeddings", UsageFormat.OPENAI_CHAT)

ROUTES: Final[tuple[tuple[str, str, Operation], ...]] = (
    ("POST", "chat/completions", CHAT),
    ("POST", "responses", RESPONSES),
    ("POST", "completions", COMPLETIONS),
    ("POST", "embeddings", EMBEDDINGS),
)
"""Method, end of the path (``{}`` stands for any one segment) and operation; the first that fits counts."""

_COMPILED: Final = tuple((method, tuple(end.split("/")), operation) for method, end, operation in ROUTES)


def classify(method: str, path: str, body: Any) -> Operation | None:
    """The operation of a request, or None where the endpoint is none that is known.

    Args:
        method: the HTTP method.
        path: a path or a full URL, with or without a query.
        body: the request's body as the SDK has it; part of the interface for endpoints that need it.
    """
    try:
        return _route(method, path.partition("?")[0])
    except Exception:
        return None  # no text


@functools.lru_cache(maxsize=256)
def _route(method: str, path: str) -> Operation | None:
    method = method.upper()
    rest = path.partition("#")[0].partition("://")
    segments = (rest[2] or rest[0]).strip("/").split("/")
    for wanted, end, operation in _COMPILED:
        if method == wanted and len(segments) >= len(end):
            tail = segments[-len(end) :]
            if all(part in ("{}", segment) for part, segment in zip(end, tail, strict=True)):
                return operation
    return None
