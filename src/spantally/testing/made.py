"""Wire shapes of what is no message: images, speech, transcripts, judgements, counts, a compaction."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from spantally.testing.responses import response_body
from spantally.testing.wire import Answer, sse

Body: TypeAlias = dict[str, Any] | tuple[bytes, str]
"""JSON, or bytes with their content type."""

PIXEL: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""

SOUND: Final = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(256)
"""Bytes that begin like a sound file."""

SECONDS: Final = 3.5
"""Length of every audio file, for models that are billed by time."""


def image_body(answer: Answer) -> Body:
    """The body of ``POST /v1/images/generations`` and ``/edits``; ``dall-e`` models say no usage."""
    body: dict[str, Any] = {
        "created": answer.created,
        "data": [{"b64_json": base64.b64encode(PIXEL).decode()}],
    }
    if reports_usage(answer):
        body["usage"] = answer.reported or _image_usage(answer)
    return body


def image_chunks(answer: Answer) -> Iterator[bytes]:
    """The events of a streamed image."""
    stem = "image_edit" if answer.request.path.endswith("/edits") else "image_generation"
    shown = {
        "b64_json": base64.b64encode(PIXEL).decode(),
        "background": "opaque",
        "created_at": answer.created,
        "output_format": "png",
        "quality": "low",
        "size": "1024x1024",
    }
    partial = {"type": f"{stem}.partial_image", "partial_image_index": 0, **shown}
    yield sse(partial, f"{stem}.partial_image")
    usage = answer.reported or _image_usage(answer)
    yield sse({"type": f"{stem}.completed", **shown, "usage": usage}, f"{stem}.completed")


def _image_usage(answer: Answer) -> dict[str, Any]:
    usage = answer.billed
    return {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "input_tokens_details": {"text_tokens": usage.input, "image_tokens": 0},
    }


def speech_body(answer: Answer) -> Body:
    """The body of ``POST /v1/audio/speech``: sound without a usage, or events with one where asked for."""
    if (answer.request.body or {}).get("stream_format") == "sse":
        return b"".join(_speech_events(answer)), "text/event-stream; charset=utf-8"
    return SOUND, "audio/mpeg"


def _speech_events(answer: Answer) -> Iterator[bytes]:
    yield sse({"type": "speech.audio.delta", "audio": base64.b64encode(SOUND).decode()})
    usage = answer.reported or _counts(answer)
    yield sse({"type": "speech.audio.done", "usage": usage})


def transcript_body(answer: Answer) -> Body:
    """The body of ``POST /v1/audio/transcriptions`` and ``/translations``."""
    text = answer.text or ""
    asked = answer.request.body or {}
    if asked.get("response_format") in ("text", "srt", "vtt"):
        return text.encode(), "text/plain; charset=utf-8"
    if answer.request.path.endswith("/translations"):
        return {"text": text}
    body: dict[str, Any] = {"text": text}
    if not answer.silent:
        body["usage"] = answer.reported or _transcript_usage(answer)
    return body


def transcript_chunks(answer: Answer) -> Iterator[bytes]:
    """The events of a streamed transcript."""
    text = answer.text or ""
    yield sse({"type": "transcript.text.delta", "delta": text})
    usage = answer.reported or _transcript_usage(answer)
    yield sse({"type": "transcript.text.done", "text": text, "usage": usage})


def _transcript_usage(answer: Answer) -> dict[str, Any]:
    if answer.model.startswith("whisper"):
        return {"type": "duration", "seconds": SECONDS}
    details = {"audio_tokens": answer.billed.input, "text_tokens": 0}
    return {"type": "tokens", **_counts(answer), "input_token_details": details}


def _counts(answer: Answer) -> dict[str, Any]:
    usage = answer.billed
    return {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }


def moderation_body(answer: Answer) -> Body:
    """The body of ``POST /v1/moderations``; it is free."""
    names = ("harassment", "hate", "self-harm", "sexual", "violence")
    result = {
        "flagged": False,
        "categories": dict.fromkeys(names, False),
        "category_scores": dict.fromkeys(names, 0.0),
        "category_applied_input_types": {name: ["text"] for name in names},
    }
    return {"id": f"modr-scripted-{answer.number}", "model": answer.model, "results": [result]}


def count_body(answer: Answer) -> Body:
    """The body of ``POST /v1/responses/input_tokens``; counting is free."""
    return {"object": "response.input_tokens", "input_tokens": answer.billed.input}


def compaction_body(answer: Answer) -> Body:
    """The body of ``POST /v1/responses/compact``."""
    item = {"type": "compaction", "id": f"cmp_scripted_{answer.number}", "encrypted_content": "c2NyaXB0"}
    whole = response_body(answer)
    frame: dict[str, Any] = {key: whole[key] for key in ("id", "created_at")}
    return {**frame, "object": "response.compaction", "output": [item], "usage": whole.get("usage")}


def decision_body(answer: Answer) -> Body:
    """The body of ``POST /v1/decisions``."""
    answers = [{"type": "predicate", "name": None, "probability": 0.5}]
    usage = answer.reported or answer.billed.as_responses()
    return {"answers": answers, "model": answer.model, "usage": usage}


def reports_usage(answer: Answer) -> bool:
    """True if the answer carries a usage in tokens."""
    if answer.silent:
        return False
    path, asked = answer.request.path, answer.request.body or {}
    if path.endswith("/audio/speech"):
        return asked.get("stream_format") == "sse"
    if path.endswith("/audio/transcriptions"):
        plain = asked.get("response_format") in ("text", "srt", "vtt")
        return not plain and not answer.model.startswith("whisper")
    if "/images/" in path:
        return not answer.model.startswith("dall-e")
    return not path.endswith("/audio/translations")


def form_fields(raw: bytes, content_type: str) -> dict[str, Any] | None:
    """The fields of a multipart form, files by their sizes; None for another content type.

    Args:
        raw: the body.
        content_type: with the boundary.
    """
    _, found, boundary = content_type.partition("boundary=")
    if not content_type.startswith("multipart/form-data") or not found:
        return None
    fields: dict[str, Any] = {}
    for part in raw.split(b"--" + boundary.strip('"').encode())[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        value = value.removesuffix(b"\r\n")
        _, named, rest = head.partition(b'name="')
        if not named:
            continue
        name = rest.partition(b'"')[0].decode("utf-8", "replace")
        if b"filename=" in head:
            fields[name] = {"bytes": len(value)}
        else:
            fields[name] = _value_of(value.decode("utf-8", "replace"))
    return fields


def _value_of(text: str) -> Any:
    return {"true": True, "false": False}.get(text, text)


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    """Rows as JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
