"""Which redactor a processor uses, by its ``redact`` argument."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.telemetry import PlainRedactor, RedactorLike
from spantally.ground import greenlets
from spantally.ground.errors import SettingsError
from spantally.ground.guard import postpone, say_once, say_postponed, swallowed
from spantally.ground.settings import from_environment

_NEEDED: Final = ("text", "value", "attributes")


class ClosedRedactor:
    """Stands in where the redactor cannot be made: no text passes, numbers do."""

    def text(self, text: str, key: str | None = None) -> str:
        """Nothing of the text."""
        return "[REDACTED:error]"

    def value(self, value: Any, key: str | None = None) -> Any:
        """A number as it is, nothing of anything else."""
        return value if isinstance(value, (bool, int, float, type(None))) else "[REDACTED:error]"

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes' keys and numbers."""
        return {key: self.value(value, key) for key, value in attributes.items()}


class LateRedactor:
    """The default redactor before it is needed: its rules take longer to compile than all else at start-up.

    At the first text it *becomes* the default redactor, as a lazy module becomes the module: whoever holds it
    pays nothing for that later on. A text that comes while this very thread imports the rules (from a
    finaliser that ends a span) is withheld; where they cannot be had at all, it becomes a
    :class:`ClosedRedactor`.
    """

    @property
    def revision(self) -> int | None:
        """That of the rules; None where they withhold everything."""
        return getattr(self._become(), "revision", None)

    def text(self, text: str, key: str | None = None) -> str:
        """The text without its secrets."""
        return self._become().text(text, key)

    def value(self, value: Any, key: str | None = None) -> Any:
        """The value without its secrets."""
        return self._become().value(value, key)

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes without their secrets."""
        return self._become().attributes(attributes)

    def _become(self) -> RedactorLike:
        # No lock of ours is held over the import, which has its own: two threads may both come here.
        this = threading.get_ident()
        if this in _loading:
            return ClosedRedactor()
        _loading.add(this)
        postpone()  # a line about a wrong setting would be withheld, as any text of this thread
        try:
            made = _default_or_closed()
            if type(self) is LateRedactor:
                # The state before the class: a thread that meets the one without the other comes here.
                self.__dict__ = made.__dict__
                self.__class__ = type(made)  # type: ignore[assignment]
            return made
        finally:
            _loading.discard(this)
            say_postponed()


_loading: Final[set[int]] = set()
"""Threads that import the rules."""

FORK_SECONDS: Final = 2.0
"""How long a fork waits for a thread that imports the rules."""


def _before_fork() -> None:
    """Wait for it: the child would wait for ever on the lock of a module that a thread it lacks imports."""
    try:
        others = _loading - {threading.get_ident()}
        deadline = time.monotonic() + FORK_SECONDS
        while others & _loading and not greenlets.are_threads() and time.monotonic() < deadline:
            time.sleep(0.001)
    except Exception as error:
        swallowed("otel.before_fork", error)


def _after_fork_in_child() -> None:
    try:
        _loading.intersection_update({threading.get_ident()})
    except Exception as error:
        swallowed("otel.after_fork", error)


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)

_environment: dict[str, str] = {}
"""The environment at activation: what the program takes out of its own meanwhile is hidden all the same."""

_late: RedactorLike | None = None
"""The default redactor of all processors and telemetries, before and after it is there."""


def _default_or_closed() -> RedactorLike:
    global _environment
    try:
        from spantally.redaction import default_redactor, register_environment

        try:
            register_environment(_environment)
            _environment = {}
        except Exception as error:
            swallowed("otel.environment", error)
        made: RedactorLike = default_redactor()
        return made
    except Exception as error:
        swallowed("otel.default_redactor", error)
        say_once("redactor:closed", "spantally: the redactor failed to start; texts on spans are withheld")
        return ClosedRedactor()


def _default() -> RedactorLike:
    global _environment, _late
    if _late is None or isinstance(_late, ClosedRedactor):
        _environment = dict(os.environ)
        _late = LateRedactor()
    return _late


def _register_environment() -> None:
    """Let a redactor of the user's own know the secrets of the environment, as the default one does."""
    redaction = sys.modules.get("spantally.redaction")
    if redaction is None:
        return  # no redactor of ours
    try:
        redaction.follow_environment()
    except Exception as error:
        swallowed("otel.environment", error)


def redactor_of(redact: object) -> RedactorLike | None:
    """The redactor that an argument means, or None for ``redact=False``.

    Args:
        redact: True, False, a redactor, or None: as SPANTALLY_REDACT says.

    Raises:
        SettingsError: for anything else.
    """
    if redact is None:
        redact = from_environment("redact")
    if redact is False or isinstance(redact, PlainRedactor):
        return None
    if redact is True:
        return _default()
    if not isinstance(redact, type) and all(callable(getattr(redact, name, None)) for name in _NEEDED):
        _register_environment()
        return redact  # type: ignore[return-value]
    raise SettingsError(
        f"redact={redact!r} is not allowed; use True, False or a redactor, as in "
        "redact=spantally.Redactor([re.compile(...)])"
    )
