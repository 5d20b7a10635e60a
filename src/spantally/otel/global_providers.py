"""Watching OpenTelemetry's global providers: who sets one, and letting a later one win.

The API lets a global provider be set once and only warns from then on. The once-flag is a private object of
the API's module: in its place goes one that runs a callback when somebody sets a provider. The feature test
looks whether the API still consults that object; where it does not, nothing is replaced and the caller told.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from opentelemetry.util._once import Once

from spantally.ground.guard import guarded, swallowed

_PLACES: Final = {
    "tracer": (
        "opentelemetry.trace",
        "_TRACER_PROVIDER_SET_ONCE",
        "_TRACER_PROVIDER",
        "_set_tracer_provider",
    ),
    "logger": (
        "opentelemetry._logs._internal",
        "_LOGGER_PROVIDER_SET_ONCE",
        "_LOGGER_PROVIDER",
        "_set_logger_provider",
    ),
    "meter": (
        "opentelemetry.metrics._internal",
        "_METER_PROVIDER_SET_ONCE",
        "_METER_PROVIDER",
        "_set_meter_provider",
    ),
}
"""By signal: module, name of the once-flag, name of the provider, name of the function that sets it."""


class WatchedOnce(Once):
    """A once-flag that tells when it was used, and which providers it refuses from then on."""

    def __init__(
        self,
        on_set: Callable[[], None] | None,
        on_refused: Callable[[Any], None] | None = None,
        *,
        used: bool = False,
    ) -> None:
        super().__init__()
        self._done = used
        self.on_set = on_set
        self.on_refused = on_refused
        self.instead_of: Any = None

    def do_once(self, func: Callable[[], None]) -> bool:
        """Run ``func`` the first time, as the API's own flag does, then tell."""
        did = super().do_once(func)
        try:
            if did and self.on_set is not None:
                self.on_set()
            elif not did and self.on_refused is not None:
                (held,) = func.__closure__ or ()  # of the API's setter: the provider alone
                self.on_refused(held.cell_contents)
        except Exception as error:
            swallowed("otel.handover" if did else "otel.refused", error)
        return did


class Watch:
    """The watch over one signal's global provider, until :meth:`stop`."""

    def __init__(self, signal: str, module: ModuleType, flag: str, mine: WatchedOnce) -> None:
        self.signal = signal
        self._module = module
        self._flag = flag
        self._before: Any = getattr(module, flag)
        self._mine = mine
        mine.instead_of = self._before
        setattr(module, flag, self._mine)

    @guarded("otel.watch_stop")
    def stop(self) -> None:
        """Put the API's own flag back, used up if a provider was set meanwhile."""
        self._mine.on_set = self._mine.on_refused = None
        if getattr(self._module, self._flag) is not self._mine:
            return
        before = self._before
        while isinstance(before, WatchedOnce) and before.on_set is None and before.on_refused is None:
            before = before.instead_of  # of a watch that was stopped before this later one
        before._done = bool(self._mine._done)
        setattr(self._module, self._flag, before)


def can_watch(signal: str) -> bool:
    """The feature test: whether the API consults a once-flag under the name we know.

    Args:
        signal: ``tracer``, ``logger`` or ``meter``.
    """
    try:
        module_name, flag, provider, setter = _PLACES[signal]
        module = importlib.import_module(module_name)
        code = getattr(module, setter).__code__
        names = {
            *code.co_names,
            *(name for const in code.co_consts for name in getattr(const, "co_names", ())),
        }
        once = getattr(module, flag)
        return flag in names and hasattr(module, provider) and isinstance(once._done, bool)
    except Exception as error:
        swallowed("otel.can_watch", error)
        return False


def is_set(signal: str) -> bool:
    """True if somebody has set the global provider of a signal."""
    module_name, _, provider, _ = _PLACES[signal]
    return getattr(importlib.import_module(module_name), provider, None) is not None


def watch(
    signal: str, on_set: Callable[[], None], on_refused: Callable[[Any], None] | None = None
) -> Watch | None:
    """Call ``on_set`` when somebody next sets the global provider of a signal, and let them succeed.

    Args:
        signal: ``tracer``, ``logger`` or ``meter``.
        on_set: runs on the setter's thread, after the provider is in place; what it raises is swallowed.
        on_refused: runs with each provider that comes after it and is refused.

    Returns:
        The watch, or None where this API cannot be watched.
    """
    if not can_watch(signal):
        return None
    module_name, flag, _, _ = _PLACES[signal]
    return Watch(signal, importlib.import_module(module_name), flag, WatchedOnce(on_set, on_refused))


def watch_refused(signal: str, on_refused: Callable[[Any], None]) -> Watch | None:
    """Call ``on_refused`` with each provider that comes too late for the global place, which is taken.

    Who sets one may go on using it all the same, as Logfire does.

    Args:
        signal: ``tracer``, ``logger`` or ``meter``.
        on_refused: runs on the setter's thread; what it raises is swallowed.

    Returns:
        The watch, or None where this API cannot be watched.
    """
    if not can_watch(signal):
        return None
    module_name, flag, _, _ = _PLACES[signal]
    return Watch(signal, importlib.import_module(module_name), flag, WatchedOnce(None, on_refused, used=True))
