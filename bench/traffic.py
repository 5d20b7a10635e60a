"""The calls that are measured, and a transport that answers them without a network."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import Any

MODEL = "gpt-4o"
STREAM_CHUNKS = 400

ANSWER: bytes = json.dumps(
    {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hello! How can I assist you today?",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 19,
            "completion_tokens": 10,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_50cad350e4",
    }
).encode()

_PLACE = ANSWER.index(b"chatcmpl-") + len(b"chatcmpl-")


def answer(number: int) -> bytes:
    """A chat completion with an id of its own, as every real one has."""
    digits = b"%029d" % number
    return ANSWER[:_PLACE] + digits + ANSWER[_PLACE + 29 :]


def chunk_bodies(count: int) -> Iterator[dict[str, Any]]:
    """The chunks of a stream with ``count`` pieces of text, a finish reason and usage."""
    base = {
        "id": "chatcmpl-stream",
        "object": "chat.completion.chunk",
        "created": 1741569952,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_50cad350e4",
    }
    for _ in range(count):
        delta = {"index": 0, "delta": {"content": "word "}, "logprobs": None, "finish_reason": None}
        yield {**base, "choices": [delta], "usage": None}
    yield {**base, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]}
    usage = {"prompt_tokens": 19, "completion_tokens": count, "total_tokens": 19 + count}
    yield {**base, "choices": [], "usage": usage}


def stream_body(count: int) -> bytes:
    """The same as server-sent events."""
    events = [b"data: " + json.dumps(body).encode() + b"\n\n" for body in chunk_bodies(count)]
    return b"".join(events) + b"data: [DONE]\n\n"


def request(stream: bool = False) -> dict[str, Any]:
    """The arguments of one call."""
    asked: dict[str, Any] = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant that answers in one short sentence."},
            {"role": "user", "content": "Hello! What can you do for me on this fine day?"},
        ],
        "temperature": 0.5,
        "max_completion_tokens": 256,
    }
    if stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    return asked


def client(base_url: str | None) -> Any:
    """An OpenAI client: over HTTP to ``base_url``, or with a transport that answers in place."""
    import openai

    if base_url is not None:
        return openai.OpenAI(api_key="sk-bench-0123456789", base_url=base_url, max_retries=0)
    kind: Any = openai.DefaultHttpxClient
    library = next(
        importlib.import_module(name)
        for base in kind.__mro__
        if (name := base.__module__.partition(".")[0]).startswith("httpx")
    )

    class Events(library.SyncByteStream):  # type: ignore[name-defined,misc]
        """A body that is still to be read, as one from a network is."""

        def __iter__(self) -> Iterator[bytes]:
            yield from pieces

    body = stream_body(STREAM_CHUNKS)
    pieces = [body[place : place + 16_384] for place in range(0, len(body), 16_384)]

    class Transport(library.BaseTransport):  # type: ignore[name-defined,misc]
        number = 0

        def handle_request(self, sent: Any) -> Any:
            if b'"stream":true' in sent.content or b'"stream": true' in sent.content:
                return library.Response(200, headers={"content-type": "text/event-stream"}, stream=Events())
            Transport.number += 1
            headers = {"content-type": "application/json"}
            return library.Response(200, headers=headers, content=answer(Transport.number))

    return openai.OpenAI(
        api_key="sk-bench-0123456789",
        base_url="http://127.0.0.1:9/v1",
        max_retries=0,
        http_client=kind(transport=Transport()),
    )
