"""The registry of literals: secrets that are known exactly, in every form they may travel in.

An API key that an instrumentor sees, a password in the environment: no rule has to guess these. They are
found as they are and in their base64, URL and JSON forms, wherever they stand. Exact search needs the value
itself, so it is held in memory (where the program holds it anyway) and is never logged, listed or stored.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Final

from spantally.redaction import names, shapes
from spantally.redaction.spans import LITERAL, Span

SHORTEST: Final = 8
"""Shorter values stand in ordinary text by chance."""
MOST: Final = 512
"""Most literals held; the ones that came first stay."""
LONGEST: Final = 16_384

_lock = threading.Lock()
_values: Final[set[str]] = set()
forms: tuple[str, ...] = ()
"""Every form of every literal, the longest first."""
generation = 0
"""Grows with each new literal, so that caches of results know when they are stale."""


def register_literal(value: str) -> None:
    """Have ``value`` redacted wherever it appears, also in base64, URL-encoded or JSON-escaped.

    Values shorter than eight or longer than 16,384 characters are ignored, and so are placeholders.
    """
    global forms, generation
    if value in _values:
        return
    value = value.strip()
    if not SHORTEST <= len(value) <= LONGEST or shapes.is_placeholder(value) or value in _values:
        return
    new = _forms_of(value)
    with _lock:
        if value in _values or len(_values) >= MOST:
            return
        _values.add(value)
        # Longest first, so that a literal within a longer one does not cut it.
        forms = tuple(sorted({*forms, *new}, key=lambda form: (-len(form), form)))
        generation += 1


def register_environment(environ: Mapping[str, str]) -> None:
    """Register the values of variables whose names say that they hold a secret, and passwords in their URLs.

    Args:
        environ: such as ``os.environ``.
    """
    for name, value in environ.items():
        if "://" in value and len(value) <= LONGEST:
            _register_url(value)
        kind = names.classify(name)
        telling = kind in (names.TOKEN, names.SECRET, names.PASSWORD) or (
            kind == names.WEAK and shapes.looks_random(value, 16) and not shapes.is_plain_id(value)
        )
        if telling and _worth_it(value):
            register_literal(value)


def _register_url(value: str) -> None:
    from urllib.parse import unquote, urlsplit

    try:
        password = urlsplit(value).password
    except ValueError:
        return
    if password and _worth_it(password):
        register_literal(password)
        register_literal(unquote(password))


def _worth_it(value: str) -> bool:
    """A value that would not also hide words, numbers or paths of ordinary text."""
    return (
        shapes.is_mixed(value)
        and not value.startswith(("/", "~", "./"))
        and "://" not in value
        and not value.isdigit()
        and "/" not in value[:8]
    )


def _forms_of(value: str) -> set[str]:
    import base64
    import json
    from urllib.parse import quote, quote_plus

    forms = {
        value,
        quote(value, safe="", errors="surrogatepass"),
        quote_plus(value, errors="surrogatepass"),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(value))[3:-3],
    }
    raw = value.encode("utf-8", "surrogatepass")
    for before in (0, 1, 2):
        # Base64 of something that holds the value: its digits depend on where in a group of three it begins.
        encoded = base64.b64encode(b"\0" * before + raw).decode("ascii")
        core = encoded[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]
        if len(core) >= SHORTEST:
            forms.update((core, core.replace("+", "-").replace("/", "_")))
    return {form for form in forms if len(form) >= SHORTEST}


def holds_literal(text: str) -> bool:
    """True if a form of a registered literal stands in ``text``."""
    for form in forms:  # noqa: SIM110 - a generator costs more than the looks themselves
        if form in text:
            return True
    return False


def find_literals(text: str, taken: list[Span]) -> None:
    """Append a span to ``taken`` for every form of a registered literal in ``text``."""
    for form in forms:
        if form in text:
            at = text.find(form)
            while at >= 0:
                taken.append(Span(at, at + len(form), LITERAL, "literal"))
                at = text.find(form, at + len(form))


def forget_literals() -> None:
    """Empty the registry (for tests)."""
    global forms, generation
    with _lock:
        _values.clear()
        forms = ()
        generation += 1


def _after_fork_in_child() -> None:
    """A lock that another thread of the parent held at the fork would be held in the child for ever."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
