"""Which operation a request is: told by its method and the end of its path.

The end of the path is what all hosts share: Azure puts ``/openai/deployments/NAME`` before it, gateways put
anything. A further endpoint is one line of :data:`ROUTES`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import Kind, UsageFormat
from spantally.instrumentors.stainless.wire.fields import field, text
from spantally.instrumentors.stainless.wire.routes import Operation, Routes, segments_of

__all__ = ["AGENT_SESSIONS", "AGENT_TURN", "ROUTES", "Operation", "classify", "path_attributes"]

_CHAT: Final = UsageFormat.OPENAI_CHAT
_RESPONSES: Final = UsageFormat.OPENAI_RESPONSES
_RESPONSE_ID: Final = (semconv.RESPONSE_ID,)
_CONVERSATION_ID: Final = (semconv.CONVERSATION_ID,)
_RUN_IDS: Final = (semconv.CONVERSATION_ID, semconv.RESPONSE_ID)


def _other(name: str, api: str = "stored", ids: tuple[str, ...] = ()) -> Operation:
    return Operation(Kind.OTHER, name, api, _RESPONSES, ids)


CHAT: Final = Operation(Kind.INFERENCE, "chat", "chat_completions", _CHAT)
RESPONSES: Final = Operation(Kind.INFERENCE, "chat", "responses", _RESPONSES)
COMPACT: Final = Operation(Kind.INFERENCE, "chat", "compact", _RESPONSES)
COMPLETIONS: Final = Operation(Kind.INFERENCE, "text_completion", "completions", _CHAT)
REALTIME: Final = Operation(Kind.INFERENCE, "chat", "realtime", _RESPONSES)
LIVE: Final = Operation(Kind.INFERENCE, "chat", "live", _RESPONSES)
EMBEDDINGS: Final = Operation(Kind.EMBEDDINGS, "embeddings", "embeddings", _CHAT)
IMAGES: Final = Operation(Kind.INFERENCE, "generate_content", "images", _RESPONSES)
SPEECH: Final = Operation(Kind.INFERENCE, "generate_content", "speech", _RESPONSES)
TRANSCRIPTIONS: Final = Operation(Kind.INFERENCE, "generate_content", "transcriptions", _RESPONSES)
VIDEOS: Final = Operation(Kind.INFERENCE, "generate_content", "videos", _RESPONSES)
DECISIONS: Final = Operation(Kind.INFERENCE, "generate_content", "decisions", _RESPONSES)
RETRIEVAL: Final = Operation(Kind.RETRIEVAL, "retrieval", "retrieval", _RESPONSES, (semconv.DATA_SOURCE_ID,))
RUN: Final = Operation(Kind.INFERENCE, "invoke_agent", "runs", _CHAT, _CONVERSATION_ID)
FETCH: Final = Operation(Kind.OTHER, "fetch_response", "responses", _RESPONSES, _RESPONSE_ID, rereads=True)
CANCEL: Final = FETCH._replace(name="cancel_response")
FETCH_CHAT: Final = FETCH._replace(api="chat_completions", usage_format=_CHAT)
FETCH_RUN: Final = Operation(Kind.OTHER, "fetch_response", "runs", _CHAT, _RUN_IDS, rereads=True)
FILE_CONTENT: Final = _other("download_file", "file_content")
AGENT_TURN: Final = Operation(Kind.INFERENCE, "invoke_agent", "agent_turn", _RESPONSES)
AGENT_SESSIONS: Final = "agent_sessions"
"""The API of agents that the provider runs: what they use is told by their turns."""


def _agents(name: str) -> Operation:
    return _other(name, AGENT_SESSIONS, _CONVERSATION_ID)


ROUTES: Final[tuple[tuple[str, str, Operation | None], ...]] = (
    ("POST", "chat/completions", CHAT),
    # Events over a websocket that ask for a response, or start a session.
    ("WEBSOCKET", "responses", RESPONSES),
    ("WEBSOCKET", "realtime", REALTIME),
    ("WEBSOCKET", "live", LIVE),
    ("POST", "responses", RESPONSES),
    ("POST", "completions", COMPLETIONS),
    ("POST", "embeddings", EMBEDDINGS),
    ("GET", "responses/{}", FETCH),
    ("GET", "threads/{}/runs/{}", FETCH_RUN),
    ("POST", "responses/compact", COMPACT),
    ("POST", "responses/input_tokens", _other("count_tokens", "model")),
    ("POST", "responses/{}/cancel", CANCEL),
    ("GET", "responses/{}/input_items", _other("list_input_items", ids=_RESPONSE_ID)),
    ("DELETE", "responses/{}", _other("delete_response", ids=_RESPONSE_ID)),
    ("GET", "chat/completions/{}", FETCH_CHAT),
    ("POST", "images/generations", IMAGES),
    ("POST", "images/edits", IMAGES),
    ("POST", "images/variations", IMAGES),
    ("POST", "audio/speech", SPEECH),
    ("POST", "audio/transcriptions", TRANSCRIPTIONS),
    ("POST", "audio/translations", TRANSCRIPTIONS),
    ("POST", "videos", VIDEOS),
    ("POST", "videos/edits", VIDEOS),
    ("POST", "videos/extensions", VIDEOS),
    ("POST", "videos/{}/remix", VIDEOS),
    ("POST", "moderations", _other("moderation", "model")),
    ("POST", "decisions", DECISIONS),
    ("POST", "batches", _other("create_batch")),
    ("GET", "batches", _other("list_batches")),
    ("GET", "batches/{}", _other("fetch_batch")),
    ("POST", "batches/{}/cancel", _other("cancel_batch")),
    # Files of a vector store, container or environment are none of those that results are read from.
    ("GET", "vector_stores/{}/files", None),
    ("GET", "vector_stores/{}/files/{}", None),
    ("DELETE", "vector_stores/{}/files/{}", None),
    ("GET", "vector_stores/{}/files/{}/content", None),
    ("GET", "vector_stores/{}/file_batches/{}/files", None),
    ("POST", "vector_stores/{}/files", None),
    ("GET", "containers/{}/files", None),
    ("GET", "containers/{}/files/{}", None),
    ("DELETE", "containers/{}/files/{}", None),
    ("GET", "containers/{}/files/{}/content", None),
    ("POST", "containers/{}/files", None),
    ("GET", "environments/{}/files", None),
    ("POST", "environments/{}/files", None),
    ("POST", "files", _other("upload_file")),
    ("GET", "files", _other("list_files")),
    ("GET", "files/{}", _other("fetch_file")),
    ("GET", "files/{}/content", FILE_CONTENT),
    ("DELETE", "files/{}", _other("delete_file")),
    ("POST", "vector_stores/{}/search", RETRIEVAL),
    ("POST", "conversations", _other("create_conversation", "conversations")),
    ("GET", "conversations/{}", _other("fetch_conversation", ids=_CONVERSATION_ID)),
    ("POST", "conversations/{}", _other("update_conversation", ids=_CONVERSATION_ID)),
    ("DELETE", "conversations/{}", _other("delete_conversation", ids=_CONVERSATION_ID)),
    ("POST", "conversations/{}/items", _other("add_conversation_items", ids=_CONVERSATION_ID)),
    ("GET", "conversations/{}/items", _other("list_conversation_items", ids=_CONVERSATION_ID)),
    ("POST", "agents", _other("create_agent", "assistants")),
    ("POST", "agents/sessions", _agents("create_agent_session")._replace(ids=())),
    ("GET", "agents/sessions", _agents("list_agent_sessions")._replace(ids=())),
    ("GET", "agents/sessions/{}", _agents("fetch_agent_session")),
    ("POST", "agents/sessions/{}", _agents("update_agent_session")),
    ("POST", "agents/sessions/{}/events", _agents("send_agent_events")),
    ("GET", "agents/sessions/{}/events", _agents("read_agent_events")),
    ("GET", "agents/sessions/{}/turns", _agents("list_agent_turns")),
    ("GET", "agents/sessions/{}/turns/{}", _agents("fetch_agent_turn")),
    ("GET", "agents/sessions/{}/subagents/{}/turns", _agents("list_agent_turns")),
    ("GET", "agents/sessions/{}/subagents/{}/turns/{}", _agents("fetch_agent_turn")),
    ("POST", "assistants", _other("create_agent", "assistants")),
    ("POST", "threads/runs", RUN._replace(ids=())),
    ("POST", "threads/{}/runs", RUN),
    ("POST", "threads/{}/runs/{}/submit_tool_outputs", FETCH_RUN._replace(name="submit_tool_outputs")),
    ("POST", "threads/{}/runs/{}/cancel", FETCH_RUN._replace(name="cancel_response")),
)
"""Method, end of the path (``{}`` stands for any one segment) and operation; the first that fits counts.

None: an endpoint that is known and not traced.
"""

_route: Final = Routes(ROUTES).find
_WORD: Final = re.compile(r"[a-z][a-z_-]{0,31}")
"""What a path's last segment looks like where it names an action and no thing."""


def classify(method: str, path: str, body: Any) -> Operation | None:
    """The operation of a request, or None where it is none that is traced.

    An endpoint that no route names is an operation of its own if the body carries a model; it counts only
    where its answer reports a usage.

    Args:
        method: the HTTP method.
        path: a path or a full URL, with or without a query.
        body: the request's body as the SDK has it.
    """
    try:
        known, operation, _ = _route(method, path.partition("?")[0])
        if not known and body is not None and text(field(body, "model")) is not None:
            return _unknown(path)
        return operation
    except Exception:
        return None  # no text


def path_attributes(method: str, path: str) -> tuple[tuple[str, str], ...]:
    """The ids in a path as span attributes: pairs of name and value."""
    try:
        return _route(method, path.partition("?")[0])[2]
    except Exception:
        return ()


def _unknown(path: str) -> Operation:
    last = segments_of(path.partition("?")[0])[-1]
    return Operation(Kind.OTHER, last if _WORD.fullmatch(last) else "request", "unknown", _CHAT)
