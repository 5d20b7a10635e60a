"""Messages of agents, workflows and recorded calls: redacted, of the shape of their schema, and limited."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from spantally.calls.content import attribute_limit, wants_on_span
from spantally.calls.fragments import as_message
from spantally.calls.json_text import encode
from spantally.calls.limits import Limits
from spantally.calls.media import kept_by
from spantally.calls.operation import Operation
from spantally.calls.payload import MESSAGES, Item, Listed, governed, texts, values_of
from spantally.calls.shorten import size_of
from spantally.calls.unscanned import for_span
from spantally.calls.work_values import plain

MOST_MESSAGES: Final = 1_000
"""Messages of a recorded history that are looked at: the newest."""

_WORDS: Final = frozenset({"text", "reasoning"})
"""Types of parts whose content is a text."""


def put_message(operation: Operation, key: str, name: str, value: Any) -> None:
    """Put what an agent or workflow was given, or gave, where the policy wants it: as one message.

    Args:
        operation: the agent's or workflow's run.
        key: the attribute, of messages by the conventions.
        name: ``input`` or ``output``, the name in the ledger's row as well.
        value: as the program has it: a text, or anything else; a sole argument that is a text stands for all.
    """
    if name == "input" and isinstance(value, Mapping) and len(value) == 1:
        sole = next(iter(value.values()))
        value = sole if isinstance(sole, str) else value
    telemetry = operation.telemetry
    with kept_by(telemetry.media_files):
        raw = plain(value)

    def made(value: Any) -> list[dict[str, Any]]:
        safe = telemetry.redactor.value(value, key)
        text = safe if isinstance(safe, str) else encode(safe)
        message: dict[str, Any] = {
            "role": "user" if name == "input" else "assistant",
            "parts": [{"type": "text", "content": text}],
        }
        return [_finished(operation, name, message, None)]

    _place(operation, key, name, raw, made, 0)


def put_messages(
    operation: Operation,
    key: str,
    name: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    finish_reason: str | None = None,
) -> None:
    """Put messages that a program hands to our API, so that the ledger keeps them unless told not to.

    Args:
        operation: the recorded call.
        key: the attribute, of messages by the conventions.
        name: ``input`` or ``output``, the name in the ledger's row as well.
        messages: with role and parts, of any values.
        finish_reason: why the model stopped, where that is known.
    """
    telemetry = operation.telemetry
    dropped = max(0, len(messages) - MOST_MESSAGES)
    with kept_by(telemetry.media_files):
        raw = plain(list(messages[dropped:]))

    def made(value: Any) -> list[dict[str, Any]]:
        safe = telemetry.redactor.value(value, key)
        if type(safe) is not list:
            safe = [safe]  # redaction failed on all of it
        return [_finished(operation, name, _spelled(as_message(one)), finish_reason) for one in safe]

    _place(operation, key, name, raw, made, dropped, given=True)


def _finished(
    operation: Operation, name: str, message: dict[str, Any], finish_reason: str | None
) -> dict[str, Any]:
    """An output message as its profile wants it: before the newest each said why the model stopped."""
    if name != "output" or not operation.telemetry.renames or "finish_reason" in message:
        return message
    return {**message, "finish_reason": finish_reason or "stop"}


def _spelled(message: dict[str, Any]) -> dict[str, Any]:
    """The message with texts for the content of parts that have one."""
    parts = message["parts"]
    if all(type(part.get("content")) is str for part in parts if part["type"] in _WORDS):
        return message
    return {**message, "parts": [_worded(part) for part in parts]}


def _worded(part: dict[str, Any]) -> dict[str, Any]:
    content = part.get("content")
    if part["type"] not in _WORDS or type(content) is str:
        return part
    if type(content) is dict and content.get("type") == "blob":
        return content  # a text that was nothing but media
    return {**part, "content": "" if content is None else encode(content)}


def _place(
    operation: Operation,
    key: str,
    name: str,
    raw: Any,
    made: Callable[[Any], list[dict[str, Any]]],
    dropped: int,
    *,
    given: bool = False,
) -> None:
    """Put messages onto the span and into the row, redacted and within their limits.

    Args:
        operation: that they are of.
        key: the attribute.
        name: the name in the row.
        raw: plain data.
        made: redacted messages of it, or of what its span may have.
        dropped: messages that are not among them.
        given: as in :func:`~spantally.calls.work_values.put`.
    """
    shown = for_span(operation, raw)
    listed = _listed(key, made(shown), dropped)
    _show(operation, listed)
    if shown is raw:
        _keep(operation, name, listed, given=given)
    else:
        operation.later += (lambda: _keep(operation, name, _listed(key, made(raw), dropped), given=given),)


def _listed(key: str, messages: list[dict[str, Any]], dropped: int) -> dict[str, Listed]:
    return {key: Listed(MESSAGES, [Item(one) for one in messages], dropped)}


def _show(operation: Operation, listed: dict[str, Listed]) -> None:
    telemetry = operation.telemetry
    if wants_on_span(operation):
        attributes = operation.safe_attributes
        most, whole = telemetry.content_limits
        limit = attribute_limit(operation.span)
        left = max(0, whole - sum(map(len, attributes.values())))
        room = most if limit is None else min(most, limit)
        operation.safe_attributes = {**attributes, **texts(listed, Limits(room, left))}


def _keep(operation: Operation, name: str, listed: dict[str, Listed], *, given: bool) -> None:
    telemetry = operation.telemetry
    if telemetry.keep_content or (given and telemetry.keep_explicit):
        content = dict(operation.content or {})
        most, whole = telemetry.ledger_limits
        left = max(0, whole - sum(size_of(one, whole) for one in content.values()))
        for items in governed(listed, Limits(most, left)).values():
            operation.content = {**content, name: values_of(items)}
