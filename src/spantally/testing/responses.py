"""Wire shapes of the Responses API, whole and as the event sequence of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from spantally.testing.wire import Answer, error_object, pieces, sse

_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response_body(answer: Answer) -> dict[str, Any]:
    """The body of ``POST /v1/responses``."""
    asked = answer.request.body or {}
    reason = _INCOMPLETE.get(answer.reply.finish_reason or "")
    status = "failed" if answer.reply.error is not None else "incomplete" if reason else "completed"
    body: dict[str, Any] = {
        **_frame(answer, status),
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "metadata": asked.get("metadata") or {},
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": asked.get("previous_response_id"),
        "store": asked.get("store", True),
        "temperature": asked.get("temperature", 1.0),
        "text": asked.get("text") or {"format": {"type": "text"}},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": [{"strict": True, **tool} for tool in asked.get("tools") or []],
        "top_p": asked.get("top_p", 1.0),
        "truncation": asked.get("truncation", "disabled"),
        "output": [] if status == "failed" else _output(answer),
        "usage": None,
    }
    if answer.reply.error is not None:
        error = error_object(answer.reply)
        body["error"] = {"code": error.get("code") or "server_error", "message": error["message"]}
    if isinstance(asked.get("conversation"), str):
        body["conversation"] = {"id": asked["conversation"]}
    if not answer.silent:
        body["usage"] = answer.reported or answer.billed.as_responses()
    return body


def response_events(answer: Answer) -> Iterator[bytes]:
    """The events of a streamed response: ``response.created`` to ``response.completed``."""
    final = response_body(answer)
    begun = {**final, "status": "in_progress", "output": [], "usage": None, "error": None}
    begun["incomplete_details"] = None
    sequence = iter(range(1_000_000))

    def event(kind: str, **fields: Any) -> bytes:
        return sse({"type": kind, "sequence_number": next(sequence), **fields}, kind)

    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for index, item in enumerate(final["output"]):
        emptied: dict[str, Any] = {"content": []} if item["type"] == "message" else {"arguments": ""}
        opened = {**item, **emptied, "status": "in_progress"}
        yield event("response.output_item.added", output_index=index, item=opened)
        place = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            for kind, fields in _message_events(item):
                yield event(kind, **place, content_index=0, **fields)
        else:
            for piece in pieces(item["arguments"]):
                yield event("response.function_call_arguments.delta", **place, delta=piece)
            yield event(
                "response.function_call_arguments.done",
                **place,
                name=item["name"],
                arguments=item["arguments"],
            )
        yield event("response.output_item.done", output_index=index, item=item)
    yield event(f"response.{final['status']}", response=final)


def _message_events(item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    part = item["content"][0]
    name = "text" if part["type"] == "output_text" else "refusal"
    stem = "response.output_text" if name == "text" else "response.refusal"
    extra: dict[str, Any] = {"logprobs": []} if name == "text" else {}
    yield "response.content_part.added", {"part": {**part, name: ""}}
    for piece in pieces(part[name]):
        yield f"{stem}.delta", {"delta": piece, **extra}
    yield f"{stem}.done", {name: part[name], **extra}
    yield "response.content_part.done", {"part": part}


def _frame(answer: Answer, status: str) -> dict[str, Any]:
    return {
        "id": answer.reply.response_id or f"resp_scripted_{answer.number}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": (answer.request.body or {}).get("background") is True,
        "error": None,
        "model": answer.model,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": answer.reply.service_tier or "default",
        "user": None,
    }


def _output(answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.text is not None or answer.reply.refusal is not None:
        part: dict[str, Any] = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        if answer.reply.refusal is not None:
            part = {"type": "refusal", "refusal": answer.reply.refusal}
        items.append(
            {
                "id": f"msg_scripted_{answer.number}",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    for index, (ident, call) in enumerate(answer.tool_calls, 1):
        items.append(
            {
                "id": f"fc_scripted_{answer.number}_{index}",
                "type": "function_call",
                "status": "completed",
                "call_id": ident,
                "name": call.name,
                "arguments": call.json,
            }
        )
    return items
