"""Where the live view is asked for; what it is made of is imported only then."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from spantally.ground.guard import swallowed
from spantally.ground.settings import is_disabled

if TYPE_CHECKING:
    from spantally.calls.operation import Operation
    from spantally.console.live import Live


def view() -> Live | None:
    """The view of this process; None where nobody ever asked for it."""
    module = sys.modules.get("spantally.console.live")
    found: Live | None = None if module is None else getattr(module, "live", None)
    return found


def use_console(mode: str) -> None:
    """Show what happens in this process: ``off``, ``summary`` or ``full``."""
    if mode == "off" and view() is None:
        return
    from spantally.console.live import live

    live.use(mode)


def show_session(session_id: str, mode: str) -> None:
    """Show one session, with those beneath it, in a mode of its own. Never raises."""
    try:
        from spantally.console.live import live

        live.use_for_session(session_id, mode)
    except Exception as error:
        swallowed("session.console", error)


def show_operation(operation: Operation) -> None:
    """Show one agent that has begun, with all beneath it."""
    from spantally.console.live import live

    live.use_for_operation(operation)


def load_view() -> None:
    """Import the view where it will be needed, and let it take what happens; never raises."""
    try:
        if not is_disabled():
            from spantally.console.live import live

            live.start()
    except Exception as error:
        swallowed("api.console", error)


def flush_console(timeout: float) -> bool:
    """Wait until what happened so far is shown; True if it is."""
    live = view()
    return live is None or live.flush(timeout)


def close_console() -> None:
    """Show what waits, and end; bounded, never raises."""
    try:
        live: Any = view()
        if live is not None:
            live.close()
    except Exception as error:
        swallowed("api.console_close", error)
