"""Nearby: a value that looks like a secret on the same line as a name that promises one.

The last resort for ways of writing that no other rule knows: only names that are clear, only values that
nobody writes by hand, and never ids, hashes, paths or dates.
"""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import names, shapes
from spantally.redaction.spans import PAIR, Span

_TOKEN_AFTER: Final = re.compile(
    r"[^\n]{0,48}?(?<![A-Za-z0-9_+/=.~-])(?P<value>[A-Za-z0-9_+/=.~-]{16,256})(?![A-Za-z0-9])"
)
_PASSWORD_AFTER: Final = re.compile(
    r"""["'`*:,]{0,3}(?:[^\S\n]{1,4}[A-Za-z][A-Za-z/-]{0,14}){0,5}[^\S\n]{0,4}[:=>-]{0,3}[^\S\n]{0,4}["'`(*]{0,2}"""
    r"""(?P<value>[^\s"'`<>,;()\\]{8,64})"""
)
_TOKEN_BEFORE: Final = re.compile(
    r"""(?<![A-Za-z0-9_+/=.~-])(?P<value>[A-Za-z0-9_+/=.~-]{16,256})["'`]?"""
    r"""[ \t]{0,4}[,;)\]}]{0,2}[ \t]{0,16}"""
    r"""(?:\#|//|--|/\*|\(|<!--|<-|=>|->|[:=-])?[ \t]{0,4}(?:[A-Za-z][\w'-]{0,15}[ ]){0,4}\Z"""
)
_BEFORE: Final = 160
_STRONG: Final = frozenset({names.TOKEN, names.SECRET})


def find_after(text: str, name_end: int, kind: int, taken: list[Span]) -> None:
    """Append a span for a value behind a clear name, with whatever between them.

    Args:
        text: what is scanned.
        name_end: where the name ends.
        kind: what the name promises.
        taken: receives the span.
    """
    if kind in _STRONG:
        hit = _TOKEN_AFTER.match(text, name_end)
        good = hit is not None and _is_token(hit["value"])
    elif kind == names.PASSWORD:
        hit = _PASSWORD_AFTER.match(text, name_end)
        good = hit is not None and _is_password(hit["value"].rstrip(".:!?"))
    else:
        return
    if hit is not None and good:
        value = hit["value"].rstrip(".:!?")
        start = hit.start("value")
        taken.append(Span(start, start + len(value), PAIR, names.TYPES[kind]))


def find_before(text: str, name_start: int, kind: int, taken: list[Span]) -> None:
    """Append a span for a token before a clear name: ``"...", # the API key``."""
    if kind not in _STRONG:
        return
    low = max(0, name_start - _BEFORE)
    line = text.rfind("\n", low, name_start) + 1
    hit = _TOKEN_BEFORE.search(text, max(low, line), name_start)
    if hit is not None and _is_token(hit["value"]):
        taken.append(Span(hit.start("value"), hit.end("value"), PAIR, names.TYPES[kind]))


def _is_token(value: str) -> bool:
    value = value.strip(".-=_/")
    if shapes.is_plain_id(value) or shapes.is_provider_id(value) or shapes.is_placeholder(value):
        return False
    if value.count("/") > 1 or value.count(".") > 2 or value.count("_") > 3 or value.count("-") > 4:
        return False
    if value.islower() or value.isupper():
        return len(value) >= 24 and shapes.looks_random(value, 24)
    return shapes.looks_random(value, 16) or (len(value) >= 20 and shapes.case_noise(value))


def _is_password(value: str) -> bool:
    if len(value) < 8 or shapes.is_placeholder(value) or shapes.is_plain_id(value) or "://" in value:
        return False
    if value.count("/") > 1 or value.count(".") > 1 or value[0] in "/~-" or value.endswith(("/", "=")):
        return False
    lower = any(map(str.islower, value))
    upper = any(map(str.isupper, value[1:]))
    digit = any(map(str.isdigit, value))
    symbol = any(one in "!@#$%^&*+=?~" for one in value)
    return digit + symbol + (lower and upper) >= 2 and (lower or upper)
