"""A scripted Anthropic Messages endpoint beside the OpenAI-compatible one, for spans of others (no test)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from spantally.testing.loopback import Connection, LoopbackServer

USAGE: Final[Mapping[str, Any]] = {
    "input_tokens": 300,
    "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 200,
    "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 34,
    "service_tier": "standard",
}
"""Cached tokens stand *beside* ``input_tokens`` here: 1500 in all."""
INPUT: Final = 1500
OUTPUT: Final = 34


class MessagesServer(LoopbackServer):
    """Answers ``POST /v1/messages``, streamed where asked."""

    def __init__(
        self, usage: Mapping[str, Any] = USAGE, id_prefix: str = "msg_01Zx9Yw8Vu7Ts6Rq5Po4Nm"
    ) -> None:
        super().__init__()
        self.usage = dict(usage)
        self.prefix = id_prefix
        self.served = 0
        self._numbers = itertools.count(1)

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Answer one request."""
        request = json.loads(body or b"{}")
        if not connection.path.split("?")[0].endswith("/messages"):
            connection.answer_json(
                404, {"type": "error", "error": {"type": "not_found_error", "message": "no"}}
            )
            return
        self.served += 1
        message = self._message(request)
        if request.get("stream"):
            headers = {"content-type": "text/event-stream; charset=utf-8"}
            connection.answer_chunks(200, _events(message), headers)
        else:
            connection.answer_json(200, message, {"request-id": "req_011"})

    def _message(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": f"{self.prefix}{next(self._numbers):02d}",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": [{"type": "text", "text": "four"}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": dict(self.usage),
        }


def _events(message: Mapping[str, Any]) -> Iterator[bytes]:
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    for event in (
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "four"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": usage["output_tokens"]},
        },
        {"type": "message_stop"},
    ):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
