"""Arguments and results of tools as plain data, redacted, within their limits, on the span and in the row."""

from __future__ import annotations

from typing import Any

from spantally.calls.content import attribute_limit, wants_on_span
from spantally.calls.json_text import encode, printable
from spantally.calls.media import blob_of_bytes, kept_by, without_media
from spantally.calls.operation import Operation
from spantally.calls.payload import shortened
from spantally.calls.shorten import cut, size_of
from spantally.calls.unscanned import for_span

_MAX_ITEMS = 1000
_MAX_DEPTH = 12


def put(operation: Operation, key: str, name: str, value: Any, *, given: bool = False) -> None:
    """Put a value of a tool, or of a call that a program records, where the policy wants it.

    Args:
        operation: the tool's execution.
        key: the attribute.
        name: the name in the ledger's row.
        value: as the program has it.
        given: the program hands it to our API itself, so that the ledger keeps it unless told not to.
    """
    telemetry = operation.telemetry
    with kept_by(telemetry.media_files):
        raw = plain(value)
    shown = for_span(operation, raw)
    safe = telemetry.redactor.value(shown, key)
    _show(operation, key, safe)
    if shown is raw:
        _keep(operation, name, safe, given=given)
    else:
        operation.later += (lambda: _keep(operation, name, telemetry.redactor.value(raw, key), given=given),)


def _show(operation: Operation, key: str, safe: Any) -> None:
    """Put a redacted value onto the span, within its limits."""
    telemetry = operation.telemetry
    if wants_on_span(operation):
        attributes = operation.safe_attributes
        most, whole = telemetry.content_limits
        limit = attribute_limit(operation.span)
        left = whole - sum(map(len, attributes.values()))
        text = _text(safe, max(0, min(most, left) if limit is None else min(most, left, limit)))
        if text is not None:
            operation.safe_attributes = {**attributes, key: text}


def _keep(operation: Operation, name: str, safe: Any, *, given: bool) -> None:
    """Put a redacted value into the row, within its limits."""
    telemetry = operation.telemetry
    if telemetry.keep_content or (given and telemetry.keep_explicit):
        content = dict(operation.content or {})
        most, whole = telemetry.ledger_limits
        left = whole - sum(size_of(one, whole) for one in content.values())
        fitted = shortened(safe, min(most, left))
        if fitted is not None:
            operation.content = {**content, name: fitted}


def _text(safe: Any, room: int) -> str | None:
    """The value as an attribute: a text as it is, anything else as JSON; None where nothing fits."""
    if isinstance(safe, str):
        return cut(printable(safe), room)
    fitted = shortened(safe, room)
    return None if fitted is None else encode(fitted)


def plain(value: Any, depth: int = 0) -> Any:
    """A value as plain JSON data: what is neither a scalar nor a plain container is named by its type.

    Nothing of the program's is called: no ``str``, no ``repr``, no iteration of anything but plain lists,
    tuples, sets and dicts. Media (bytes, base64, data URLs) becomes its size and hash.
    """
    kind = type(value)
    if kind is str:
        return without_media(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return without_media(str.__str__(value))
    if depth >= _MAX_DEPTH:
        return kind.__name__
    if kind is dict:
        return {_name(key): plain(item, depth + 1) for key, item in tuple(value.items())[:_MAX_ITEMS]}
    if kind in (list, tuple, set, frozenset):
        return [plain(item, depth + 1) for item in tuple(value)[:_MAX_ITEMS]]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return blob_of_bytes(bytes(value))
    return kind.__name__


def _name(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    return str(key) if isinstance(key, (int, float)) else type(key).__name__
