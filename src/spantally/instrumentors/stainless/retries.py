"""Attempts of one call that failed and were made again: events on its span.

The tap is on the SDK's pause before a retry, so a call without one pays nothing. It runs inside the
``except`` block of the failed attempt, where the exception in flight is the one that ended it.
"""

from __future__ import annotations

import sys
from typing import Any

from spantally.ground import semconv
from spantally.ground.billing import refuses
from spantally.ground.records import Kind
from spantally.instrumentors.stainless.wire import errors


def note_failed_attempt(call: Any, retries_taken: int, response: Any) -> bool:
    """Put the event of a failed attempt onto the span of its call.

    Args:
        call: the call.
        retries_taken: how many attempts had failed before this one.
        response: the answer, or None where there was none.

    Returns:
        True if the attempt was sent and nobody knows whether it was billed: a time-out, a lost connection, a
        server error.
    """
    operation = call.operation
    operation.attempts = retries_taken + 2  # this one, and the one that follows
    attributes: dict[str, Any] = {semconv.ATTEMPT: retries_taken + 1}
    billed = False
    if response is not None:
        status = int(response.status_code)
        attributes[semconv.ERROR_TYPE] = str(status)
        attributes[semconv.HTTP_STATUS_CODE] = status
        billed = not refuses(status) and not errors.body_refuses(_body_of(response))
        attributes.update(call.head_facts(response.headers.raw)[1])
    else:
        error = sys.exc_info()[1]
        if error is not None:
            attributes[semconv.ERROR_TYPE] = errors.class_name(type(error))
            billed = errors.was_sent(error)
    billed = billed and call.wire.kind is not Kind.OTHER
    if billed:
        attributes[semconv.ATTEMPT_POSSIBLY_BILLED] = True
    span = operation.span
    if span.is_recording():
        safe = operation.telemetry.redactor.attributes(attributes)
        span.add_event(semconv.EVENT_ATTEMPT_FAILED, safe)
    return billed


def _body_of(response: Any) -> bytes:
    """The body of an answer that was read with it; that of a stream is still on the wire, and stays there."""
    try:
        content = response.content
    except Exception:
        return b""
    return content if type(content) is bytes else b""
