"""Events of the Live API, and how its websockets are opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sockets_kit import RESPONSE_USAGE, Answer, Events, message, response

LIVE_MODEL = "gpt-live-1"
BACKEND = "gpt-4o"


CONNECTS: dict[str, Callable[[Any], Any]] = {
    "live": lambda client: client.live.connect(),
    "forks": lambda client: client.live.forks.connect(session_id="sess_0"),
}
"""Both websockets that a session is started over."""

RESPONSES = {"type": "responses", "responses": {"model": BACKEND, "instructions": "be brief"}}


def start(**fields: Any) -> dict[str, Any]:
    """The event that starts a session."""
    return {"type": "session.start", "session": {"model": LIVE_MODEL, "delegation": RESPONSES, **fields}}


def live_session(**fields: Any) -> dict[str, Any]:
    """The session as the server sees it."""
    made = {"id": "sess_1", "expires_at": 9, "model": LIVE_MODEL, "status": "active"}
    return {**made, "delegation": RESPONSES, **fields}


def started(**fields: Any) -> dict[str, Any]:
    """The session has begun."""
    return {"type": "session.started", "event_id": "event_s", "session": live_session(**fields)}


def used(seconds: Any, **fields: Any) -> dict[str, Any]:
    """What is billed so far."""
    usage = {"seconds": seconds, **fields}
    return {"type": "session.usage.updated", "event_id": "event_u", "usage": usage}


def over(seconds: Any, reason: str = "close_requested") -> dict[str, Any]:
    """The session is closed."""
    usage = None if seconds is None else {"seconds": seconds}
    made = {"type": "session.closed", "event_id": "event_o", "reason": reason, "session": live_session()}
    return made if usage is None else {**made, "usage": usage}


def sound() -> dict[str, Any]:
    """A piece of what the model says, as sound."""
    return {"type": "session.output_audio.delta", "event_id": "event_a", "audio": "AAAA" * 500, "start_ms": 0}


def said(text: str) -> dict[str, Any]:
    """A piece of what the model says, as text."""
    place = {"event_id": "event_t", "start_ms": 0, "end_ms": 1}
    return {"type": "session.output_transcript.delta", "delta": text, **place}


def nested(event: dict[str, Any], delegation: str | None = "del_1") -> dict[str, Any]:
    """An event of a delegated response; its own type comes first, as in sorted keys."""
    return {"delegation_id": delegation, "event": event, "event_id": "event_n", "type": "response.event"}


def delegated(
    response_id: str = "resp_1", delegation: str | None = "del_1", item: Any = None, **fields: Any
) -> list[dict[str, Any]]:
    """A delegated response: snapshots have neither input nor output."""
    delta = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    whole = response(response_id, "completed", usage=RESPONSE_USAGE, **fields)
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response(response_id, **fields)},
        {"type": "response.output_text.delta", "delta": "found", **delta},
        {"type": "response.output_item.done", "output_index": 0, "item": item or message("found")},
        {"type": "response.completed", "response": whole},
    ]
    return [nested({"sequence_number": at, **one}, delegation) for at, one in enumerate(events)]


def on_events(**answers: Events) -> Answer:
    """A script by the type of what a client sends, its dots as underscores."""

    def answer(event: dict[str, Any]) -> Events:
        return answers.get(event["type"].replace(".", "_"), ())

    return answer
