"""Which operation a request is: told by its method and the end of its path.

Bedrock and Vertex are met twice: by the path of the API, as the SDK's own methods ask for it, and by the path
of the cloud, which has the model in it, where a program posts there by itself.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

from spantally.ground.records import Kind, UsageFormat
from spantally.instrumentors.stainless.wire.fields import field, text
from spantally.instrumentors.stainless.wire.routes import Operation, Routes

__all__ = ["AGENT_SESSIONS", "BATCH_RESULTS", "COMPLETE", "MESSAGES", "Operation", "classify", "model_of"]

_FORMAT: Final = UsageFormat.ANTHROPIC


def _other(name: str, api: str = "batches") -> Operation:
    return Operation(Kind.OTHER, name, api, _FORMAT)


MESSAGES: Final = Operation(Kind.INFERENCE, "chat", "messages", _FORMAT)
COMPLETE: Final = Operation(Kind.INFERENCE, "text_completion", "complete", _FORMAT)
COUNT: Final = _other("count_tokens", "count_tokens")
BATCH_RESULTS: Final = _other("fetch_batch_results", "batch_results")
AGENT_SESSIONS: Final = "agent_sessions"
"""The API of agents that the provider runs: what they ask a model is told by the events of their sessions."""


def _agents(name: str) -> Operation:
    return _other(name, AGENT_SESSIONS)


ROUTES: Final[tuple[tuple[str, str, Operation | None], ...]] = (
    ("POST", "messages", MESSAGES),
    ("POST", "messages/count_tokens", COUNT),
    ("POST", "messages/batches", _other("create_batch")),
    ("GET", "messages/batches", _other("list_batches")),
    ("GET", "messages/batches/{}", _other("fetch_batch")),
    ("GET", "messages/batches/{}/results", BATCH_RESULTS),
    ("POST", "messages/batches/{}/cancel", _other("cancel_batch")),
    ("DELETE", "messages/batches/{}", _other("delete_batch")),
    ("POST", "sessions", _agents("create_agent_session")),
    ("GET", "sessions", _agents("list_agent_sessions")),
    ("GET", "sessions/{}", _agents("fetch_agent_session")),
    ("POST", "sessions/{}", _agents("update_agent_session")),
    ("POST", "sessions/{}/events", _agents("send_agent_events")),
    ("GET", "sessions/{}/events", _agents("list_agent_events")),
    ("GET", "sessions/{}/events/stream", _agents("read_agent_events")),
    ("GET", "sessions/{}/threads", _agents("list_agent_threads")),
    ("GET", "sessions/{}/threads/{}", _agents("fetch_agent_thread")),
    ("GET", "sessions/{}/threads/{}/events", _agents("list_agent_events")),
    ("GET", "sessions/{}/threads/{}/stream", _agents("read_agent_events")),
    ("POST", "complete", COMPLETE),
    ("POST", "model/{}/invoke", MESSAGES),
    ("POST", "model/{}/invoke-with-response-stream", MESSAGES),
)
"""Method, end of the path and operation; the first that fits counts. Nothing else bills by the token."""

_route: Final = Routes(ROUTES).find

_BEDROCK: Final = re.compile(r"/model/([^/?]+)/invoke(?:-with-response-stream)?(?:\?|$)")
_VERTEX: Final = re.compile(r"/models/([^/?:]+):(rawPredict|streamRawPredict)(?:\?|$)")
_COUNTS: Final = "count-tokens"
"""What stands for a model where Vertex counts the tokens of a request."""


def classify(method: str, path: str, body: Any) -> Operation | None:
    """The operation of a request, or None where it is none that is traced.

    Args:
        method: the HTTP method.
        path: a path or a full URL, with or without a query.
        body: the request's body as the SDK has it.
    """
    try:
        operation = _route(method, path.partition("?")[0])[1]
        if operation is not None or ":" not in path:
            return operation
        found = _VERTEX.search(path)
        if found is None:
            return None
        return COUNT if found.group(1) == _COUNTS else MESSAGES
    except Exception:
        return None  # no text


def model_of(path: str, body: Any) -> str | None:
    """The model that is asked for: the body names it, else the path."""
    named = text(field(body, "model"))
    if named is not None:
        return named
    try:
        found = _BEDROCK.search(path) or _VERTEX.search(path)
        return None if found is None else text(unquote(found.group(1)))
    except Exception:
        return None
