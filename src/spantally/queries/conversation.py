"""The conversation of a session: its messages in order, each once, whoever handed them over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import Kind
from spantally.ledger.contract import CallRow, EventRow, SessionRow

ROLES: Final = ("user", "assistant", "system", "tool")
_ROLE_OF: Final = {"developer": "system", "model": "assistant", "human": "user", "ai": "assistant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something that was said: by a user, a model, a tool, or the program to the model."""

    session_id: str
    role: str
    """``user``, ``assistant``, ``system``, ``tool``, or what the call named."""
    content: str
    """Its text; calls of tools stand in it as ``name(arguments)``. Redacted."""
    time_ns: int
    """UNIX time in nanoseconds: when it was recorded, sent or answered."""
    agent_path: tuple[str, ...]
    """Names of the agents around it, outermost first."""
    call_id: str | None = None
    """The model call that sent it first or answered so; None of a recorded one."""
    event_id: str | None = None
    """Of a recorded message."""
    message_id: str | None = None
    """The id that the program gave to a recorded message."""
    model: str | None = None
    tokens: int | None = None
    """Of a recorded message as told, of an answer the output tokens of its call; else not known."""
    latency_ms: float | None = None
    status: str | None = None
    """Of a recorded message; of an answer that of its call."""
    cost_nano_usd: int | None = None
    """Of an answer: what its call cost, input included."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parts: Sequence[Mapping[str, Any]] = ()
    """The parts of a message of a call, in the form of the conventions; empty of a recorded one."""


def build_messages(
    session: SessionRow, calls: Iterable[CallRow], events: Iterable[EventRow]
) -> list[Message]:
    """The messages of a session and its child sessions.

    Recorded ones stand as they are. Of model calls those are taken that are not in what was said before: each
    call sends its history anew. What was recorded, and is in a call too, is one message. What the session
    was given and gave is taken where no message says so.

    Args:
        session: the session.
        calls: its rows and those of its child sessions, with what was kept of their content.
        events: likewise.
    """
    recorded = [_recorded(event) for event in events if event.type == semconv.EVENT_MESSAGE]
    known = Counter((one.role, one.content) for one in recorded)
    taken: list[Message] = []
    for message in _said_in_calls(calls):
        key = (message.role, message.content)
        if known[key] > 0:
            known[key] -= 1
        else:
            taken.append(message)
    found = recorded + taken
    texts = {one.content for one in found}
    found = [
        *(one for one in _of_session(session, "user", session.input, session.started_ns, texts)),
        *found,
        *(one for one in _of_session(session, "assistant", session.output, session.last_ns, texts)),
    ]
    return sorted(found, key=lambda one: one.time_ns)  # stable: what a call sent stays in its order


def _of_session(
    session: SessionRow, role: str, value: Any, time_ns: int, texts: set[str]
) -> Iterator[Message]:
    if role == "user" and isinstance(value, Mapping) and len(value) == 1:
        (value,) = value.values()  # the only argument of a decorated function stands for itself
    text = None if value is None else _text(value)
    if text and text not in texts:
        yield Message(session_id=session.session_id, role=role, content=text, time_ns=time_ns, agent_path=())


def _recorded(event: EventRow) -> Message:
    told = event.attributes
    metadata = told.get(semconv.MESSAGE_METADATA)
    return Message(
        session_id=event.session_id,
        role=str(told.get(semconv.MESSAGE_ROLE, "")),
        content=_text(told.get(semconv.MESSAGE_CONTENT, "")),
        time_ns=event.time_ns,
        agent_path=event.agent_path,
        event_id=event.event_id,
        message_id=told.get(semconv.MESSAGE_ID),
        model=told.get(semconv.MESSAGE_MODEL),
        tokens=told.get(semconv.MESSAGE_TOKENS),
        latency_ms=told.get(semconv.MESSAGE_LATENCY),
        status=told.get(semconv.MESSAGE_STATUS),
        metadata=metadata if isinstance(metadata, Mapping) else {},
    )


def _said_in_calls(calls: Iterable[CallRow]) -> Iterator[Message]:
    """What model calls sent and got, without the history that they sent again."""
    told: Counter[tuple[str, str]] = Counter()
    rows = [row for row in calls if row.kind == Kind.INFERENCE and row.content]
    for row in sorted(rows, key=lambda row: (row.started_ns, row.call_id)):
        content = row.content or {}
        sent = [*_messages(row, content, sent=True)]
        newest = _newest(sent)
        within: Counter[tuple[str, str]] = Counter()
        for place, message in enumerate(sent):
            key = (message.role, message.content)
            within[key] += 1
            # Behind the last answer stands what this call brings; before it, what may be known.
            if within[key] > told[key] or (place >= newest and message.role != "system"):
                told[key] = max(told[key] + (place >= newest), within[key])
                yield message
        for message in _messages(row, content, sent=False):
            told[(message.role, message.content)] += 1
            yield message


def _newest(sent: Sequence[Message]) -> int:
    """Place of the first message behind the last answer."""
    answers = [place for place, message in enumerate(sent) if message.role == "assistant"]
    return answers[-1] + 1 if answers else 0


def _messages(row: CallRow, content: Mapping[str, Any], *, sent: bool) -> Iterator[Message]:
    values = _list(content.get("input" if sent else "output"))
    if sent and content.get("system_instructions"):
        values = [{"role": "system", "parts": _list(content["system_instructions"])}, *values]
    ended = row.started_ns if row.ended_ns is None else row.ended_ns
    for value in values:
        parts = _parts(value)
        role = str(value.get("role", "")) if isinstance(value, Mapping) else ""
        role = role or ("user" if sent else "assistant")
        text = "\n".join(filter(None, map(_part_text, parts)))
        if not text:
            continue
        yield Message(
            session_id=row.session_id,
            role=_ROLE_OF.get(role, role),
            content=text,
            time_ns=row.started_ns if sent else ended,
            agent_path=row.agent_path,
            call_id=row.call_id,
            model=None if sent else row.model,
            tokens=None if sent or len(values) > 1 else row.output_tokens,
            latency_ms=None if sent else row.duration_ms,
            status=None if sent else row.status,
            cost_nano_usd=None if sent or len(values) > 1 else row.cost_nano_usd,
            parts=parts,
        )


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _parts(message: Any) -> list[Mapping[str, Any]]:
    """Parts of a message, also of one that is but a text."""
    if isinstance(message, Mapping):
        if "parts" in message:
            return [one for one in _list(message["parts"]) if isinstance(one, Mapping)]
        message = message.get("content", "")
    return [{"type": "text", "content": _text(message)}]


def _part_text(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    if kind == "text":
        return _text(part.get("content", ""))
    if kind == "tool_call":
        return f"{part.get('name')}({_text(part.get('arguments', ''))})"
    if kind == "tool_call_response":
        return _text(part.get("response", part.get("result", "")))
    if kind == "reasoning":
        return ""
    return f"[{part.get('modality') or kind}]"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
