"""What every endpoint's answer is made from: one answer's facts, pieces of text, and SSE framing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from spantally.testing.script import Reply, Request, ToolCall
from spantally.testing.usage import Usage, count_tokens

PIECE: Final = 3
"""Words in one delta of a stream."""

_ERRORS: Final[Mapping[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Not allowed."),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you have no access to it.",
    ),
    408: ("server_error", None, "The request took too long."),
    409: ("invalid_request_error", None, "The resource was changed at the same time."),
    413: ("invalid_request_error", None, "The request is too large."),
    422: ("invalid_request_error", None, "The request could not be processed."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", None, "The engine is currently overloaded."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The facts of one answer, from which each endpoint builds its own shape."""

    reply: Reply
    request: Request
    number: int
    """Counts the answers of the server; ids and times are derived from it."""
    model: str
    text: str | None
    tool_calls: tuple[tuple[str, ToolCall], ...]
    """Call id and call."""
    billed: Usage
    """What the answer is billed for, whatever it reports."""
    reported: Mapping[str, Any] | None
    """The usage that a script fixed for the wire; None: derive it from :attr:`billed`."""

    @property
    def silent(self) -> bool:
        """True if the answer carries no usage at all."""
        return self.reply.usage is False

    @property
    def finish_reason(self) -> str:
        """The finish reason of chat completions."""
        return self.reply.finish_reason or ("tool_calls" if self.tool_calls else "stop")

    @property
    def created(self) -> int:
        """A fixed time (UNIX seconds) that grows by one with each answer."""
        return 1_760_000_000 + self.number


def answer_for(request: Request, reply: Reply, number: int) -> Answer:
    """Work out an answer: echo what was asked where the reply gives no text, count what is not fixed."""
    calls = tuple(
        (call.id or f"call_{number}_{index}", call) for index, call in enumerate(reply.tool_calls, 1)
    )
    text = reply.text
    if text is None and not calls and reply.refusal is None:
        text = f"You said: {request.last_text}"
    reported: Mapping[str, Any] | None = None
    if isinstance(reply.usage, Usage):
        billed = reply.usage
    elif isinstance(reply.usage, Mapping):
        reported, billed = reply.usage, Usage.of(reply.usage)
    else:
        spoken = (text or "") + " " + (reply.refusal or "")
        said = count_tokens(spoken) + sum(count_tokens(call.name + " " + call.json) for _, call in calls)
        billed = Usage(request.input_tokens(), 0 if request.path.endswith("/embeddings") else said)
    return Answer(
        reply=reply,
        request=request,
        number=number,
        model=reply.model or request.model or "scripted",
        text=text,
        tool_calls=calls,
        billed=billed,
        reported=reported,
    )


def pieces(text: str) -> Iterator[str]:
    """Cut a text into the deltas of a stream; joined, they are the text again."""
    words = text.split(" ")
    for start in range(0, len(words), PIECE):
        part = " ".join(words[start : start + PIECE])
        yield part if start + PIECE >= len(words) else part + " "


def sse(data: object, event: str | None = None) -> bytes:
    """Frame one server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data)
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {text}\n\n".encode()


def error_object(reply: Reply) -> dict[str, Any]:
    """The ``error`` object of an error body, completed from the status where the reply lacks parts of it."""
    kind, code, message = _ERRORS.get(reply.status, ("server_error", None, f"HTTP {reply.status}"))
    error: dict[str, Any] = {"message": message, "type": kind, "param": None, "code": code}
    if isinstance(reply.error, str):
        error["message"] = reply.error
    elif reply.error is not None:
        error.update(reply.error)
    return error
