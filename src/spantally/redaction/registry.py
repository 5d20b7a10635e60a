"""The registry of literals: secrets that are known exactly, in every form they may travel in.

An API key that an instrumentor sees, a password in the environment: no rule has to guess these. They are
found as they are and in their base64, URL and JSON forms, wherever they stand. Exact search needs the value
itself, so it is held in memory (where the program holds it anyway) and is never logged, listed or stored.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from spantally.ground.guard import swallowed
from spantally.redaction import names, shapes
from spantally.redaction.spans import LITERAL, Span

SHORTEST: Final = 8
"""Shorter values stand in ordinary text by chance."""
MOST: Final = 4_096
"""Most literals held; of more the one that was told longest ago goes."""
LONGEST: Final = 16_384
FEW: Final = 12
"""As many forms are looked for one by one."""

_SIGNS_WEBHOOKS: Final = "whsec_"
"""Before the secret of Standard Webhooks, which says no more than what it is: the rest alone signs."""

_GRAM: Final = 8
_LONG: Final = 2 * _GRAM - 1
"""A form of this length holds a whole eight of any text that is cut into eights, wherever it begins."""

_lock = threading.Lock()
_values: Final[OrderedDict[str, frozenset[str]]] = OrderedDict()
"""The literals and their forms."""
_users: Final[Counter[str]] = Counter()
"""How many literals have a form."""
_grams: Final[dict[int, tuple[tuple[str, int], ...]]] = {}
"""By the eight bytes of a form: which form, and where in it."""
_forms: tuple[str, ...] = ()
"""Every form, the longest first, while there are few."""
_short: Final[dict[str, None]] = {}
"""Forms that are too short to be found by their eights."""
_followed: dict[Any, Any] | None = None
"""The environment as it was looked at last; None while nobody asked to follow it."""
_look_due = 0.0
LOOK_SECONDS: Final = 1.0
"""After so long all values of the environment are compared, however many there are."""
generation = 0
"""Grows with each new literal, so that caches of results know when they are stale."""


def is_empty() -> bool:
    """Whether no literal is held."""
    return not _values


def register_literal(value: str) -> None:
    """Have ``value`` redacted wherever it appears, also in base64, URL-encoded or JSON-escaped.

    Values shorter than eight or longer than 16,384 characters are ignored, and so are placeholders. The 4,096
    values told last are held.
    """
    global generation, _forms
    value = value.strip()
    if not SHORTEST <= len(value) <= LONGEST or shapes.is_placeholder(value):
        return
    new = frozenset() if value in _values else frozenset(_forms_of(value))
    with _lock:
        if value in _values:
            _values.move_to_end(value)
            return
        if not new:
            return  # it went just now; whoever uses it tells it again
        _values[value] = new
        for form in new:
            _users[form] += 1
            if _users[form] == 1:
                _add(form)
        if len(_values) > MOST:
            _, old = _values.popitem(last=False)
            for form in old:
                _users[form] -= 1
                if not _users[form]:
                    del _users[form]
                    _remove(form)
        _forms = _ordered() if len(_users) <= FEW else ()
        generation += 1


def _ordered() -> tuple[str, ...]:
    # Longest first, so that a literal within a longer one does not cut it.
    return tuple(sorted(_users, key=lambda form: (-len(form), form)))


def _grams_of(form: str) -> list[tuple[int, int]]:
    """Eight eights in a row, each with its place: of the end, since keys have their beginnings in common."""
    raw = form.encode("ascii", "replace")
    first = len(raw) - _LONG
    return [(int.from_bytes(raw[at : at + _GRAM], sys.byteorder), at) for at in range(first, first + _GRAM)]


def _add(form: str) -> None:
    if len(form) < _LONG:
        _short[form] = None
        return
    for gram, at in _grams_of(form):
        _grams[gram] = (*_grams.get(gram, ()), (form, at))


def _remove(form: str) -> None:
    if len(form) < _LONG:
        _short.pop(form, None)
        return
    for gram, _ in _grams_of(form):
        left = tuple(one for one in _grams.get(gram, ()) if one[0] != form)
        if left:
            _grams[gram] = left
        else:
            _grams.pop(gram, None)


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


def follow_environment() -> None:
    """Register the secrets of the environment, and from now on also those that are put there later.

    Programs read their ``.env`` file after they were started under instrumentation.
    """
    global _followed
    _followed = _followed or {}
    _look_at_environment()


def look() -> None:
    """Learn what was put into the environment meanwhile; called before whatever asks what is known.

    A variable more or less is noticed at once, and a value that takes the place of another within a second:
    comparing all of them would cost more than most texts.
    """
    if _followed is not None:
        raw = getattr(os.environ, "_data", os.environ)
        if len(raw) != len(_followed) or time.monotonic() >= _look_due:
            _look_at_environment()


def _look_at_environment() -> None:
    global _followed, _look_due
    try:
        _look_due = time.monotonic() + LOOK_SECONDS
        before, now = _followed or {}, dict(getattr(os.environ, "_data", os.environ))
        _followed = now
        if now != before:
            register_environment(
                {os.fsdecode(name): os.fsdecode(now[name]) for name in now if before.get(name) != now[name]}
            )
    except Exception as error:
        swallowed("redaction.environment", error)


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
    if value.startswith(_SIGNS_WEBHOOKS):
        forms |= _forms_of(value[len(_SIGNS_WEBHOOKS) :])
    return {form for form in forms if len(form) >= SHORTEST}


def holds_literal(text: str) -> bool:
    """True if a form of a registered literal stands in ``text``."""
    few = _forms
    if any(map(text.__contains__, few or tuple(_short))):
        return True
    return not few and bool(_grams) and next(_long_literals(text), None) is not None


def find_literals(text: str, taken: list[Span]) -> None:
    """Append a span to ``taken`` for every form of a registered literal in ``text``."""
    few = _forms
    for form in few or tuple(_short):
        if form in text:
            at = text.find(form)
            while at >= 0:
                taken.append(Span(at, at + len(form), LITERAL, "literal"))
                at = text.find(form, at + len(form))
    if not few and _grams:
        taken.extend(Span(start, end, LITERAL, "literal") for start, end in _long_literals(text))


def _long_literals(text: str) -> Iterator[tuple[int, int]]:
    """Where long forms stand: every eighth place of the text is looked up, however many forms there are."""
    raw = text.encode("ascii", "replace")  # a byte for each character
    eights = memoryview(raw)[: len(raw) // _GRAM * _GRAM].cast("Q").tolist()
    if _grams.keys().isdisjoint(eights):
        return
    for index, eight in enumerate(eights):
        for form, offset in _grams.get(eight, ()):
            start = index * _GRAM - offset
            if start >= 0 and text.startswith(form, start):
                yield start, start + len(form)


def forget_literals() -> None:
    """Empty the registry (for tests)."""
    global generation, _forms
    with _lock:
        for one in (_values, _users, _grams, _short):
            one.clear()
        _forms = ()
        generation += 1


def _after_fork_in_child() -> None:
    """A lock that another thread of the parent held at the fork would be held in the child for ever."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
