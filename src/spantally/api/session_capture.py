"""Input and output of a session from the function that it decorates, where the ledger keeps all content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spantally.calls import telemetry as telemetry_module
from spantally.calls.capturing import INPUT, OUTPUT, Yielded, chosen_by
from spantally.calls.telemetry import Telemetry
from spantally.calls.work_content import named
from spantally.ground.guard import swallowed


class SessionCapture:
    """What one run of a function inside its session captures.

    Args:
        capture: ``"auto"``, or a function of the program's.
        arguments: by parameter name.
    """

    def __init__(self, capture: Any, arguments: Mapping[str, Any]) -> None:
        self._capture = capture
        self._arguments = arguments
        self._telemetry = telemetry_module.active
        self._yielded = Yielded(self._telemetry)
        self.item = self._yielded.add
        self._input = _fitted(self._telemetry, INPUT, arguments or None) if capture == "auto" else None

    def fields(self, value: Any, *, left: bool = False) -> dict[str, Any]:
        """Fields of the session's record; never raises.

        Args:
            value: what the function returned, or None.
            left: whether a stream was left early: no function of the program's is called then.
        """
        try:
            joined = self._yielded.value()
            given = value if joined is None else joined
            if self._capture == "auto":
                found = {INPUT: self._input, OUTPUT: _fitted(self._telemetry, OUTPUT, given)}
            elif left:
                found = {}
            else:
                chosen = chosen_by(self._capture, self._arguments, given)
                found = {name: _fitted(self._telemetry, name, chosen.get(name)) for name in (INPUT, OUTPUT)}
            return {name: one for name, one in found.items() if one is not None}
        except Exception as error:
            swallowed("session.capture", error)
            return {}


def capture_of(
    capture: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> SessionCapture | None:
    """Begin to capture one run; None where the ledger does not keep it. Never raises."""
    try:
        if capture is False or not telemetry_module.active.keep_content:
            return None
        return SessionCapture(capture, named(function, args, kwargs))
    except Exception as error:
        swallowed("session.capture", error)
        return None


def _fitted(telemetry: Telemetry, name: str, value: Any) -> Any:
    if value is None:
        return None
    from spantally.calls.payload import shortened
    from spantally.calls.work_values import plain

    room, whole = telemetry.ledger_limits
    return shortened(telemetry.redactor.value(plain(value), name), min(room, whole))
