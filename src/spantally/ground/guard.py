"""The guard: whatever spantally does unasked never raises into the host program, and logs once.

Every hook into someone else's code runs its telemetry part inside :class:`guard` or hands the
exception to :func:`swallowed`. The text of a foreign exception may quote a secret, so the log line
names the place and the exception's type, never its message; ``spantally doctor`` lists the counts.

One thing passes: what a signal handler of the program raises while our code happens to run (a deadline by
``SIGALRM``, a soft time limit of a task queue) is meant for the program. So is ``quit`` in a debugger.
"""

from __future__ import annotations

import functools
import sys
from _thread import get_ident
from collections import Counter
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from logging import Logger

_P = ParamSpec("_P")
_R = TypeVar("_R")

failures: Final[Counter[tuple[str, str]]] = Counter()
"""How often each (place, exception type) was swallowed in this process."""

_said: set[str] = set()

_postponed: Final[dict[int, list[tuple[str, tuple[object, ...], int]]]] = {}
"""By thread: what it has to say, and must not yet."""

clean: Callable[[str], str] | None = None
"""Takes secrets out of what a log line names (a model, a session, a path); set by whoever has a redactor."""

_WARNING: Final = 30  # logging.WARNING


def logger() -> Logger:
    """The logger of this package, fetched when there is something to say: it is a fifth of what we import."""
    from logging import getLogger

    return getLogger("spantally")


def say(message: str, *args: object, level: int = _WARNING) -> None:
    """Log ``message``; what it names loses its secrets, as all that leaves.

    Args:
        message: a ``%``-format, free of secrets.
        args: the values of the format: any texts.
        level: the logging level.
    """
    waiting = _postponed.get(get_ident())
    if waiting is not None:
        waiting.append((message, args, level))
        return
    logger().log(level, message, *[one if isinstance(one, (int, float)) else _cleaned(one) for one in args])


def postpone() -> None:
    """Keep what this thread says until :func:`say_postponed`: what takes the secrets out is being made."""
    _postponed.setdefault(get_ident(), [])


def say_postponed() -> None:
    """Say what was kept."""
    for message, args, level in _postponed.pop(get_ident(), ()):
        try:
            say(message, *args, level=level)
        except Exception:
            failures[("guard.say_postponed", "logging")] += 1


def _cleaned(value: object) -> str:
    text = str(value)
    if clean is None:
        return text
    try:
        return clean(text)
    except Exception:
        failures[("guard.say", "redaction")] += 1
        return "[REDACTED:error]"


def say_once(key: str, message: str, *args: object, level: int = _WARNING) -> None:
    """Say ``message`` the first time ``key`` is met in this process, and never again.

    Args:
        key: what makes two messages the same.
        message: a ``%``-format, free of secrets.
        args: the values of the format.
        level: the logging level.
    """
    try:
        if key in _said:
            return
        _said.add(key)
        say(message, *args, level=level)
    except Exception:
        failures[("guard.say_once", "logging")] += 1


def swallowed(where: str, error: BaseException) -> None:
    """Count an exception of ours that was kept from the host program, and log it once.

    Args:
        where: the hook or part that failed, in dotted form.
        error: what was raised; only its type is logged.

    Raises:
        BaseException: the error itself, where it is the program's own interruption.
    """
    if is_interruption(error):
        raise error
    try:
        kind = type(error).__name__
        failures[(where, kind)] += 1
        key = f"swallowed:{where}:{kind}"
        if key in _said:
            return
        _said.add(key)
        # Names of ours and of a class: perhaps it is redaction that has failed.
        logger().log(
            _WARNING,
            "spantally: %s failed with %s; the program is not affected (spantally doctor lists these)",
            where,
            kind,
        )
    except Exception:
        pass


def is_interruption(error: BaseException) -> bool:
    """Whether a signal handler of the program, or a debugger that is left, raised it at a line of ours.

    Args:
        error: what was raised.
    """
    try:
        debugger = sys.modules.get("bdb")
        if debugger is not None and isinstance(error, debugger.BdbQuit):
            return True
        signal = sys.modules.get("signal")
        trace = error.__traceback__
        if signal is None or trace is None or trace.tb_next is None:
            return False
        handlers = _handlers(signal)
        if not handlers:
            return False
        while trace is not None:
            if trace.tb_frame.f_code in handlers:
                return True
            trace = trace.tb_next
    except Exception:
        failures[("guard.interruption", "signal")] += 1
    return False


def _handlers(signal: ModuleType) -> set[object]:
    """The code of the functions that handle signals now, but for those of Python itself."""
    found: set[object] = set()
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if handler is not None and not isinstance(handler, int):
            handler = getattr(handler, "__func__", getattr(handler, "func", handler))
            code = getattr(handler, "__code__", None) or getattr(type(handler).__call__, "__code__", None)
            if code is not None:
                found.add(code)
    return found


def counted(where: str, error: BaseException) -> None:
    """Count a swallowed exception without a log line: for finalisers, which may run inside any lock.

    Args:
        where: the part that failed, in dotted form.
        error: what was raised.
    """
    try:
        failures[(where, type(error).__name__)] += 1
    except Exception:
        pass


class guard:  # noqa: N801 - reads as a statement: `with guard("where"):`
    """Context manager that keeps every ``Exception`` of its body from the caller."""

    __slots__ = ("where",)

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        if isinstance(error, Exception) and not is_interruption(error):
            swallowed(self.where, error)
            return True
        return False


def guarded(where: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R | None]]:
    """Decorator form of :class:`guard`: the function returns ``None`` where it would have raised."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R | None]:
        @functools.wraps(function)
        def run(*args: _P.args, **kwargs: _P.kwargs) -> _R | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                swallowed(where, error)
                return None

        return run

    return decorate


def reset() -> None:
    """Forget what was counted and said (for tests, and for the child of a fork)."""
    failures.clear()
    _said.clear()
