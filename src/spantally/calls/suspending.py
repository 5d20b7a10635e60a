"""A ``with`` block in a generator body, from Python 3.12: out of force while the generator is suspended.

A generator shares the context of whoever drives it. What its body enters would stay there while it rests, so
that the driver's own work would hang beneath the body's agent. The interpreter tells (``sys.monitoring``)
when the one code object concerned yields and goes on: then the driver's Context is put back, and the body's
again. On 3.11 nothing tells; there the scope alone is put right when it is read (:mod:`~.ground.scope`).
"""

from __future__ import annotations

import sys
import threading
from types import CodeType, FrameType
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.ground.guard import swallowed

_FREE_IDS: Final = (4, 3)
"""Tool ids that no kind of tool has a claim on."""

_NAME: Final = "spantally"

_monitoring: Final[Any] = getattr(sys, "monitoring", None)
_lock: Final = threading.RLock()


class Suspension:
    """One generator body, and the Contexts on both sides of its ``yield``."""

    __slots__ = ("blocks", "frame", "inner", "outer", "resting")

    def __init__(self, frame: FrameType, outer: Context) -> None:
        self.frame = frame
        self.outer = outer
        """In force for whoever drives the body, as of its last step."""
        self.inner: Context | None = None
        self.blocks = 0
        """How many ``with`` blocks of ours the body is in."""
        self.resting = False


_bodies: Final[dict[int, Suspension]] = {}
"""By the id of their frame, which each of them keeps alive until its last block is left."""

_codes: Final[dict[CodeType, int]] = {}
_tool: Final[list[int]] = []


def follow(frame: FrameType, before: Context) -> Suspension | None:
    """Watch the generator whose body enters a block; None where the interpreter does not tell.

    Args:
        frame: of the body.
        before: the Context in force before the block.
    """
    if _monitoring is None:
        return None
    try:
        with _lock:
            known = _bodies.get(id(frame))
            if known is None:
                tool = _tool_id()
                if tool is None:
                    return None
                known = _bodies[id(frame)] = Suspension(frame, before)
                code = frame.f_code
                _codes[code] = _codes.get(code, 0) + 1
                if _codes[code] == 1:
                    events = _monitoring.events
                    _monitoring.set_local_events(tool, code, events.PY_YIELD | events.PY_RESUME)
            known.blocks += 1
            return known
    except Exception as error:
        swallowed("calls.follow", error)
        return None


def unfollow(body: Suspension) -> bool:
    """A block is left; True if it was the body's last, whose driver's Context is then :attr:`outer`."""
    try:
        with _lock:
            body.blocks -= 1
            if body.blocks > 0:
                return False
            try:
                _bodies.pop(id(body.frame), None)
            finally:
                _release(body.frame.f_code)
        return True
    except Exception as error:
        swallowed("calls.unfollow", error)
        return False


def _release(code: CodeType) -> None:
    """One body of the code less; after the last one the interpreter need not tell of it any more."""
    left = _codes.pop(code, 1) - 1
    if left > 0:
        _codes[code] = left
    elif _tool:
        _monitoring.set_local_events(_tool[0], code, 0)


def _tool_id() -> int | None:
    """Our id among the tools that monitor, taken at the first use; None where others have all."""
    if _tool:
        return _tool[0]
    for tool in _FREE_IDS:
        if _monitoring.get_tool(tool) is None:
            _monitoring.use_tool_id(tool, _NAME)
            _monitoring.register_callback(tool, _monitoring.events.PY_YIELD, _yielded)
            _monitoring.register_callback(tool, _monitoring.events.PY_RESUME, _resumed)
            _tool.append(tool)
            return tool
    return None


def _yielded(code: CodeType, offset: int, value: object) -> None:
    """The interpreter calls it in the generator's frame; an exception would be the program's."""
    try:
        body = _bodies.get(id(sys._getframe(1)))
        if body is not None and not body.resting:
            body.inner = otel_context.get_current()
            body.resting = True
            otel_context.attach(body.outer)
    except Exception as error:
        swallowed("calls.yielded", error)


def _resumed(code: CodeType, offset: int) -> None:
    try:
        body = _bodies.get(id(sys._getframe(1)))
        if body is not None and body.resting and body.inner is not None:
            body.outer = otel_context.get_current()
            body.resting = False
            otel_context.attach(body.inner)
    except Exception as error:
        swallowed("calls.resumed", error)
