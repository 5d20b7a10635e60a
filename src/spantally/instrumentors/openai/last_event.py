"""The event at which a stream of the SDK's broke off: the exception that comes of it keeps only a part.

Some hosts (OpenRouter) end a stream that fails half-way with one event that holds both the error and the
usage of what was made until then.
"""

from __future__ import annotations

from typing import Any, Final

_READER: Final = "__stream__"
"""The SDK's generator that turns events into chunks."""


def last_event(error: BaseException) -> dict[str, Any] | None:
    """The event that told of an error, or None where the error was told by no event.

    The SDK hands it nowhere on, so it is taken from the frame that raised. It costs nothing until then.

    Args:
        error: what the iteration of a stream raised.
    """
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_name == _READER and trace.tb_next is None:
            event = frame.f_locals.get("data")
            return event if type(event) is dict and event.get("error") else None
        trace = trace.tb_next
    return None
