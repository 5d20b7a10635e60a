"""What a user adds to a redactor: patterns, callables, personal data and what is allowed to stay."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from spantally.ground.errors import ArgumentError
from spantally.ground.setting_values import PII_KINDS
from spantally.redaction.spans import LITERAL, STRUCTURE, Span
from spantally.redaction.tags import know_types

# Always, since a text may have been redacted elsewhere.
know_types(frozenset({*PII_KINDS, "pii"}))

_COROUTINE: Final = 0x80 | 0x200
"""Flags of the code of coroutine functions and asynchronous generators."""


class Finders:
    """What finds more than the built-in rules do in a text, and what of all that stays.

    It is true where there is any of it.

    Args:
        rules: compiled patterns, whose matches go.
        pii: kinds of personal data.
        allow: texts and patterns of what stays.
    """

    __slots__ = ("_allowed", "_allowed_patterns", "patterns", "pii")

    def __init__(
        self,
        rules: Iterable[re.Pattern[str]] = (),
        pii: tuple[str, ...] = (),
        allow: Iterable[str | re.Pattern[str]] = (),
    ) -> None:
        self.patterns = tuple((rule, _checked(rule)) for rule in rules)
        self.pii = pii
        entries = tuple(allow)
        self._allowed = frozenset(entry for entry in entries if isinstance(entry, str))
        self._allowed_patterns = tuple(entry for entry in entries if isinstance(entry, re.Pattern))
        if pii:
            import spantally.redaction.pii  # noqa: F401 - now, in the user's own call, and not at a text

    def __bool__(self) -> bool:
        return bool(self.patterns or self.pii or self._allowed or self._allowed_patterns)

    @property
    def allows(self) -> int:
        """How many texts and patterns are allowed to stay."""
        return len(self._allowed) + len(self._allowed_patterns)

    def allowing(self) -> Finders:
        """What may stay, and nothing that finds more."""
        made = Finders()
        made._allowed, made._allowed_patterns = self._allowed, self._allowed_patterns
        return made

    def without_patterns(self) -> Finders:
        """The same without the patterns, for a text on which they fail."""
        made = Finders()
        made.pii, made._allowed, made._allowed_patterns = self.pii, self._allowed, self._allowed_patterns
        return made

    def find(self, text: str, check: Callable[[], None], taken: list[Span]) -> None:
        """Append a span to ``taken`` for all that goes.

        Args:
            text: what is scanned.
            check: raises when the time is over.
            taken: the spans so far.
        """

        def hit(start: int, end: int) -> None:
            taken.append(Span(start, end, STRUCTURE, "rule"))

        if self.patterns:
            from spantally.redaction.patterns import find

            for pattern, windowed in self.patterns:
                find(pattern, text, hit, check, windowed=windowed)
        if self.pii:
            from spantally.redaction.pii import find_pii

            find_pii(text, self.pii, check, taken)

    def spared(self, text: str, spans: list[Span]) -> list[Span]:
        """The settled ``spans`` of ``text`` without those that are allowed to stay."""
        if not self.allows:
            return spans
        return [span for span in spans if not self.is_allowed(text[span.start : span.end], rank=span.rank)]

    def is_allowed(self, secret: str, *, rank: int = STRUCTURE) -> bool:
        """Whether a found secret may stay: it equals an entry, or an entry's pattern matches the whole of it.

        Args:
            secret: the text.
            rank: of its span; a literal of the environment or of a client stays only by its very text.
        """
        if secret in self._allowed:
            return True
        return rank != LITERAL and any(entry.fullmatch(secret) for entry in self._allowed_patterns)


def _checked(pattern: re.Pattern[str]) -> bool:
    # Imported here: a program without patterns does not pay for what judges them.
    from spantally.redaction.patterns import check

    return check(pattern)


def sorted_rules(rules: object) -> tuple[list[re.Pattern[str]], list[Callable[..., Any]]]:
    """The patterns and the callables among the rules of a user.

    Raises:
        ArgumentError: for what is neither, and for a callable that cannot be called as a rule.
    """
    found: list[re.Pattern[str]] = []
    callables: list[Callable[..., Any]] = []
    for rule in _entries("rules", rules):
        if isinstance(rule, re.Pattern):
            if not isinstance(rule.pattern, str):
                raise ArgumentError(
                    f"the redaction rule {rule.pattern!r} is a pattern of bytes; compile it from text"
                )
            found.append(rule)
        elif callable(rule):
            _check_callable(rule)
            callables.append(rule)
        else:
            hint = "; did you mean re.compile(...)?" if isinstance(rule, str) else ""
            raise ArgumentError(
                f"the redaction rule {rule!r} is not allowed; use a compiled pattern or a callable "
                f"(key, value, where), not {type(rule).__name__}{hint}"
            )
    return found, callables


def allowed_entries(allow: object) -> list[str | re.Pattern[str]]:
    """The entries of an allow-list.

    Raises:
        ArgumentError: for what is neither a text nor a compiled pattern, for one that is empty or dangerous.
    """
    found: list[str | re.Pattern[str]] = []
    for entry in _entries("allow", allow):
        if isinstance(entry, re.Pattern) and isinstance(entry.pattern, str):
            _checked(entry)
        elif not isinstance(entry, str) or not entry:
            raise ArgumentError(
                f"allow: {entry!r} is not allowed; use the text that may stay, or a compiled pattern of it"
            )
        found.append(entry)
    return found


def _entries(name: str, value: object) -> list[Any]:
    if isinstance(value, (str, bytes, re.Pattern)) or not isinstance(value, Iterable):
        raise ArgumentError(f"{name}={value!r} is not allowed; use a list, as in {name}=[re.compile(...)]")
    return list(value)


def _check_callable(rule: Callable[..., Any]) -> None:
    import inspect

    called = rule if hasattr(rule, "__code__") else type(rule).__dict__.get("__call__")
    if getattr(getattr(called, "__code__", None), "co_flags", 0) & _COROUTINE:
        raise ArgumentError(f"the redaction rule {rule!r} is asynchronous; use a plain function")
    try:
        signature = inspect.signature(rule)
    except (TypeError, ValueError):
        return  # nobody can tell
    try:
        signature.bind(None, "", "text")
    except TypeError as error:
        raise ArgumentError(
            f"the redaction rule {rule!r} cannot be called as rule(key, value, where): {error}"
        ) from None


def check_arguments(defaults: object, strict: object, budget_seconds: object) -> None:
    """Check the plain arguments of a redactor.

    Raises:
        ArgumentError: naming the value and what is allowed.
    """
    if not isinstance(defaults, bool):
        raise ArgumentError(f"Redactor(defaults={defaults!r}) is not allowed; use True or False")
    if strict is not None and not isinstance(strict, bool):
        raise ArgumentError(f"Redactor(strict={strict!r}) is not allowed; use True or False")
    if isinstance(budget_seconds, bool) or not (
        isinstance(budget_seconds, (int, float)) and 0 <= budget_seconds < float("inf")
    ):
        raise ArgumentError(
            f"Redactor(budget_seconds={budget_seconds!r}) is not allowed; use seconds, 0 or more"
        )
