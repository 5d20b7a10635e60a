"""The event of an exception that ended a client's operation: ``gen_ai.client.operation.exception``.

Its message may quote the prompt, so it goes along only with content capture, as it does into the span's
status (docs/decisions/0004-error-messages.md); type and stack always do. Everything is redacted. Nothing is
made where nobody hears it.
"""

from __future__ import annotations

import traceback
from typing import Any, Final

from spantally.calls.json_text import printable
from spantally.calls.operation import MAX_MESSAGE, Operation, type_name
from spantally.ground import semconv
from spantally.ground.guard import swallowed

MAX_STACK: Final = 16_384
"""Longest stack trace, in characters; its end, where the exception was raised, is kept."""

_MOST_CAUSES: Final = 8


def note_exception(operation: Operation, error: BaseException) -> None:
    """Send the event of an exception; never raises.

    Args:
        operation: the call that it ends.
        error: the program's exception; it is only read.
    """
    try:
        telemetry = operation.telemetry
        emit = telemetry.emit_event
        if emit is None or operation.hidden or isinstance(error, GeneratorExit):
            return
        if not emit.is_heard(semconv.EVENT_EXCEPTION):
            return
        told = telemetry.capture_spans or telemetry.capture_events
        attributes: dict[str, Any] = {semconv.EXCEPTION_TYPE: type_name(error)}
        if told:
            message = _text_of(error)
            if message:
                attributes[semconv.EXCEPTION_MESSAGE] = printable(telemetry.redactor.text(message))[
                    :MAX_MESSAGE
                ]
        stack = printable(telemetry.redactor.text(_stack_of(error, told=told)))
        attributes[semconv.EXCEPTION_STACKTRACE] = stack[-MAX_STACK:]
        emit(semconv.EVENT_EXCEPTION, attributes, operation.inner_context())
    except Exception as failure:
        swallowed("calls.exception_event", failure)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except (Exception, SystemExit, GeneratorExit):
        return ""


def _stack_of(error: BaseException, *, told: bool) -> str:
    """Stack of an exception and of what it was raised from, as Python prints it; messages where told."""
    pieces: list[str] = []
    one: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if one is None:
            break
        text = _text_of(one) if told else ""
        last = f"{type_name(one)}: {text}" if text else type_name(one)
        frames = "".join(traceback.format_tb(one.__traceback__))
        pieces.append(f"Traceback (most recent call last):\n{frames}{last}\n")
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    joint = "\nDuring handling of the above exception, another exception occurred:\n\n"
    return joint.join(reversed(pieces))
