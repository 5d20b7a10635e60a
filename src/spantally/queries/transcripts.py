"""Conversations written down: as text, Markdown, a table, or examples to train a model with."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from spantally.ground.money import usd_text
from spantally.ledger.contract import SessionRow
from spantally.queries.conversation import Message

COLUMNS: Final = (
    "session_id",
    "at",
    "role",
    "content",
    "agent",
    "model",
    "tokens",
    "latency_ms",
    "cost_usd",
    "status",
    "message_id",
    "metadata",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def moment_text(time_ns: int) -> str:
    """RFC 3339 in UTC, with microseconds."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06}Z"


def plain_text(messages: Iterable[Message]) -> str:
    """One line a message: time, role, and the text, its line breaks escaped as in a literal of Python."""
    lines = (
        f"{moment_text(one.time_ns)} {one.role}: {one.content}".replace("\\", "\\\\").replace("\n", "\\n")
        for one in messages
    )
    return "\n".join(line.replace("\r", "\\r") for line in lines)


def markdown(session: SessionRow, messages: Sequence[Message]) -> str:
    """A conversation to be read: what is known of the session, and each message under a heading."""
    facts = {
        "session": session.session_id,
        "user": session.user_id,
        "started": moment_text(session.started_ns),
        "status": session.status,
        "calls": session.calls,
        "cost": None if session.total_cost is None else f"${session.total_cost}",
        "labels": ", ".join(session.labels),
        "metadata": json.dumps(dict(session.metadata), ensure_ascii=False) if session.metadata else None,
    }
    lines = [f"# {_one_line(session.title or session.session_id)}", ""]
    lines += [
        f"- {name}: {_one_line(str(value))}" for name, value in facts.items() if value not in (None, "")
    ]
    for one in messages:
        more = [moment_text(one.time_ns), *one.agent_path[-1:], *([one.model] if one.model else [])]
        if one.tokens is not None:
            more.append(f"{one.tokens} tokens")
        lines += [
            "",
            f"## {_one_line(one.role)}",
            "",
            f"*{_one_line(' · '.join(more))}*",
            "",
            _fenced(one.content),
        ]
    return "\n".join(lines)


def table(messages: Iterable[Message]) -> str:
    """CSV with a heading. A text that a spreadsheet would take for a formula has a ``'`` before it."""
    lines = [_csv_line(COLUMNS)]
    for one in messages:
        values: tuple[Any, ...] = (
            one.session_id,
            moment_text(one.time_ns),
            one.role,
            one.content,
            " > ".join(one.agent_path),
            one.model,
            one.tokens,
            one.latency_ms,
            usd_text(one.cost_nano_usd),
            one.status,
            one.message_id,
            json.dumps(dict(one.metadata), ensure_ascii=False) if one.metadata else None,
        )
        lines.append(_csv_line([_cell(value) for value in values]))
    return "\n".join(lines)


def _csv_line(values: Sequence[Any]) -> str:
    out = io.StringIO()
    # Before Python 3.13 only the signs that end a line are quoted, and a reader takes either for its end.
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return out.getvalue()[:-2]


def chats(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """``{"messages": [...]}`` as chat models are trained with, one for each session and path of agents."""
    found: dict[tuple[str, tuple[str, ...]], list[dict[str, Any]]] = {}
    for one in messages:
        found.setdefault((one.session_id, one.agent_path), []).extend(_chat_messages(one))
    return [{"messages": said} for said in found.values() if said]


def _chat_messages(message: Message) -> list[dict[str, Any]]:
    calls = [part for part in message.parts if part.get("type") == "tool_call"]
    answers = [part for part in message.parts if part.get("type") == "tool_call_response"]
    if answers:
        return [
            {"role": "tool", "tool_call_id": part.get("id"), "content": _as_text(part.get("response", ""))}
            for part in answers
        ]
    if not calls:
        return [{"role": message.role, "content": message.content}]
    texts = [str(part.get("content", "")) for part in message.parts if part.get("type") == "text"]
    asked = [
        {
            "id": part.get("id"),
            "type": "function",
            "function": {"name": part.get("name"), "arguments": _as_text(part.get("arguments", {}))},
        }
        for part in calls
    ]
    return [{"role": message.role, "content": "\n".join(texts) or None, "tool_calls": asked}]


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping) or not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return value


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _fenced(text: str) -> str:
    """A block in which nothing is markup, with a fence longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
