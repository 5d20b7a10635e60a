"""Wire shapes of chat completions and of (legacy) completions, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spantally.testing.wire import Answer, error_object, pieces, sse


def chat_body(answer: Answer) -> dict[str, Any]:
    """The body of ``POST /v1/chat/completions``."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text,
        "refusal": answer.reply.refusal,
        "annotations": [],
    }
    if answer.tool_calls:
        message["tool_calls"] = [
            {"id": ident, "type": "function", "function": {"name": call.name, "arguments": call.json}}
            for ident, call in answer.tool_calls
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": answer.finish_reason,
    }
    body = _frame(answer, "chat.completion")
    body["choices"] = [{**choice, "index": index} for index in range(_choices(answer))]
    if not answer.silent:
        body["usage"] = answer.reported or answer.billed.as_chat()
    return body


def chat_chunks(answer: Answer) -> Iterator[bytes]:
    """The events of a streamed chat completion, up to and with ``[DONE]``."""
    frame = _frame(answer, "chat.completion.chunk")
    wants_usage = _wants_usage(answer)

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        # With include_usage every chunk carries the field, null but in the last one.
        return sse({**frame, "choices": [choice], **({"usage": None} if wants_usage else {})})

    yield chunk({"role": "assistant", "content": "" if answer.text is not None else None, "refusal": None})
    if answer.reply.refusal is not None:
        yield chunk({"refusal": answer.reply.refusal})
    for piece in pieces(answer.text) if answer.text else ():
        yield chunk({"content": piece})
    for index, (ident, call) in enumerate(answer.tool_calls):
        head = {"index": index, "id": ident, "type": "function"}
        yield chunk({"tool_calls": [{**head, "function": {"name": call.name, "arguments": ""}}]})
        for piece in pieces(call.json):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    if answer.reply.error is not None:
        yield sse({"error": error_object(answer.reply)})
        return
    yield chunk({}, answer.finish_reason)
    if wants_usage and not answer.silent:
        yield sse({**frame, "choices": [], "usage": answer.reported or answer.billed.as_chat()})
    yield sse("[DONE]")


def completion_body(answer: Answer) -> dict[str, Any]:
    """The body of ``POST /v1/completions``."""
    body = _frame(answer, "text_completion")
    body["choices"] = [
        {"index": 0, "text": answer.text or "", "logprobs": None, "finish_reason": answer.finish_reason}
    ]
    if not answer.silent:
        body["usage"] = answer.reported or answer.billed.as_completion()
    return body


def completion_chunks(answer: Answer) -> Iterator[bytes]:
    """The events of a streamed completion."""
    frame = _frame(answer, "text_completion")
    for piece in pieces(answer.text or ""):
        choice = {"index": 0, "text": piece, "logprobs": None, "finish_reason": None}
        yield sse({**frame, "choices": [choice]})
    if answer.reply.error is not None:
        yield sse({"error": error_object(answer.reply)})
        return
    end = {"index": 0, "text": "", "logprobs": None, "finish_reason": answer.finish_reason}
    yield sse({**frame, "choices": [end]})
    if _wants_usage(answer) and not answer.silent:
        yield sse({**frame, "choices": [], "usage": answer.reported or answer.billed.as_completion()})
    yield sse("[DONE]")


def _frame(answer: Answer, kind: str) -> dict[str, Any]:
    prefix = "cmpl" if kind == "text_completion" else "chatcmpl"
    frame: dict[str, Any] = {
        "id": answer.reply.response_id or f"{prefix}-scripted-{answer.number}",
        "object": kind,
        "created": answer.created,
        "model": answer.model,
        "system_fingerprint": "fp_scripted",
    }
    if kind != "text_completion":
        frame["service_tier"] = answer.reply.service_tier or "default"
    return frame


def _choices(answer: Answer) -> int:
    wanted = (answer.request.body or {}).get("n")
    return wanted if isinstance(wanted, int) and 1 <= wanted <= 128 else 1


def _wants_usage(answer: Answer) -> bool:
    options = (answer.request.body or {}).get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
