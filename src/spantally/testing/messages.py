"""Wire shapes of Anthropic's API: messages, counted tokens and legacy completions, whole and streamed."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote

from spantally.testing.script import Reply, Request
from spantally.testing.wire import Answer, pieces, sse

_ERRORS: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_REASONS: Final[Mapping[str, str]] = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
"""Finish reasons of other APIs, for scripts that serve several; Anthropic's own stay as they are."""

_INVOKE: Final = re.compile(r"/model/([^/]+)/(invoke(?:-with-response-stream)?)$")
_PREDICT: Final = re.compile(r"/models/([^/:]+):(rawPredict|streamRawPredict)$")

ENDPOINTS: Final = ("/messages", "/messages/count_tokens", "/complete", "/invoke-with-response-stream")


def as_message_request(request: Request) -> tuple[str, Request] | None:
    """The endpoint that a request of Anthropic's API asks for, on Bedrock and Vertex too; None for others.

    Args:
        request: as it came.

    Returns:
        The endpoint, and the request with model and stream in its body, wherever the cloud had them.
    """
    path, body = request.path, dict(request.body or {})
    for pattern, streamed in ((_INVOKE, "invoke-with-response-stream"), (_PREDICT, "streamRawPredict")):
        found = pattern.search(path)
        if found is not None:
            body |= {"model": unquote(found.group(1)), "stream": found.group(2) == streamed}
            frames = streamed if pattern is _INVOKE and body["stream"] else None
            return f"/{frames}" if frames else "/messages", replace(request, body=body)
    if "/threads/" in path:
        return None
    endpoint = next((end for end in ENDPOINTS[:3] if path.endswith(end)), None)
    return None if endpoint is None else (endpoint, request)


def message_error(reply: Reply) -> dict[str, Any]:
    """The body of an error, which is an event's data, too."""
    error: dict[str, Any] = {
        "type": _ERRORS.get(reply.status, "api_error"),
        "message": f"HTTP {reply.status}",
    }
    if isinstance(reply.error, str):
        error["message"] = reply.error
    elif reply.error is not None:
        error.update(reply.error)
    return {"type": "error", "error": error, "request_id": "req_scripted"}


def message_body(answer: Answer) -> dict[str, Any]:
    """The body of ``POST /v1/messages``."""
    body = _frame(answer)
    body["content"] = _blocks(answer)
    body["stop_reason"] = _stop_reason(answer)
    if not answer.silent:
        body["usage"] = _usage(answer)
    return body


def message_events(answer: Answer) -> Iterator[bytes]:
    """The events of a streamed message; its usage counts up from the first event to the last but one."""
    start = _frame(answer)
    usage = {} if answer.silent else _usage(answer)
    if usage:
        first = {name: value for name, value in usage.items() if name != "output_tokens_details"}
        start["usage"] = {**first, "output_tokens": 1}

    def event(kind: str, **data: Any) -> bytes:
        return sse({"type": kind, **data}, kind)

    yield event("message_start", message=start)
    yield event("ping")
    for index, block in enumerate(_blocks(answer)):
        yield event("content_block_start", index=index, content_block=_begun(block))
        for delta in _deltas(block):
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    if answer.reply.error is not None:
        yield sse(message_error(replace(answer.reply, status=_status_of(answer.reply))), "error")
        return
    delta = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    final = {name: usage[name] for name in _FINAL if name in usage}
    yield event("message_delta", delta=delta, **({"usage": final} if usage else {}))
    yield event("message_stop")


def bedrock_events(answer: Answer) -> Iterator[bytes]:
    """The same events in the frames of AWS, as Bedrock streams them."""
    for one in message_events(answer):
        data = one.partition(b"data: ")[2].strip()
        yield _frame_of({"bytes": base64.b64encode(data).decode()})


def count_body(answer: Answer) -> dict[str, Any]:
    """The body of ``POST /v1/messages/count_tokens``."""
    return {"input_tokens": answer.billed.input}


def complete_body(answer: Answer) -> dict[str, Any]:
    """The body of ``POST /v1/complete``, which reports no usage."""
    return {
        "type": "completion",
        "id": answer.reply.response_id or f"compl_scripted_{answer.number}",
        "completion": answer.text or "",
        "stop_reason": "stop_sequence",
        "stop": None,
        "model": answer.model,
    }


def complete_events(answer: Answer) -> Iterator[bytes]:
    """The events of a streamed completion."""
    whole = complete_body(answer)
    for piece in pieces(answer.text or ""):
        yield sse({**whole, "completion": piece, "stop_reason": None}, "completion")
    yield sse({**whole, "completion": ""}, "completion")


_FINAL: Final = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
    "server_tool_use",
    "iterations",
)
"""Fields of the usage that the last event repeats."""


def _status_of(reply: Reply) -> int:
    return 529 if reply.status == 200 else reply.status


def _frame(answer: Answer) -> dict[str, Any]:
    return {
        "id": answer.reply.response_id or f"msg_scripted_{answer.number}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if answer.text is not None:
        found.append({"type": "text", "text": answer.text})
    for ident, call in answer.tool_calls:
        given = call.arguments
        parsed = json.loads(given) if isinstance(given, str) else dict(given)
        found.append({"type": "tool_use", "id": ident, "name": call.name, "input": parsed})
    return found


def _begun(block: dict[str, Any]) -> dict[str, Any]:
    return {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        for piece in pieces(block["text"]):
            yield {"type": "text_delta", "text": piece}
    else:
        for piece in pieces(json.dumps(block["input"])):
            yield {"type": "input_json_delta", "partial_json": piece}


def _stop_reason(answer: Answer) -> str:
    told = answer.reply.finish_reason
    if told is not None:
        return _REASONS.get(told, told)
    return "tool_use" if answer.tool_calls else "end_turn"


def _usage(answer: Answer) -> dict[str, Any]:
    if answer.reported is not None:
        return dict(answer.reported)
    return {
        **answer.billed.as_messages(),
        "service_tier": answer.reply.service_tier or "standard",
    }


def _frame_of(payload: Mapping[str, Any]) -> bytes:
    """One frame of AWS's event streams: lengths, headers, payload, and a checksum of each half."""
    body = json.dumps(payload).encode()
    headers = b"".join(
        struct.pack("!B", len(name)) + name + b"\x07" + struct.pack("!H", len(value)) + value
        for name, value in (
            (b":event-type", b"chunk"),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    head = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + body
    return head + struct.pack("!I", zlib.crc32(head))
