"""Jars: cookies that stand as objects, as browsers and what drives them keep them.

``add_cookie({"name": "sid", "value": "..."})``, ``"cookies": [{"name": ..., "httpOnly": true}]``.
"""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import shapes
from spantally.redaction.spans import STRUCTURE, Span

SESSION: Final = re.compile(
    r"(?i)sess|sid(?!e)|auth|token|jwt|csrf|xsrf|secret|login|logged|remember|access|refresh|key"
)
"""In the names of cookies that open something."""
_QUOTE: Final = r"""\\{0,16}["'`]"""
_GAP: Final = r"(?:\s|\\{1,16}[nrt]){0,40}+"
_LONGEST: Final = 6_000
"""Characters of one object."""
_MOST: Final = 64
_NAME: Final = re.compile(
    rf"""(?<![\w.])(?:{_QUOTE})?name(?:{_QUOTE})?\s{{0,4}}[:=]\s{{0,4}}{_QUOTE}(?P<name>[^"'`\\\s]{{1,128}})"""
)
_VALUE: Final = re.compile(
    rf"""(?<![\w.])(?:{_QUOTE})?value(?:{_QUOTE})?\s{{0,4}}[:=]\s{{0,4}}{_QUOTE}(?P<value>[^"'`\\\s]{{6,4096}})"""
)
_OPENING: Final = re.compile(rf"""(?i)cookies?(?:{_QUOTE})?\s{{0,4}}[=:(]{_GAP}(?:\[{_GAP})?(?=\{{)""")
_NEXT: Final = re.compile(rf",{_GAP}(?=\{{)")


_TAB: Final = r"(?:\t|\\{1,16}t)"
_ROW: Final = re.compile(
    rf"""{_TAB}(?:TRUE|FALSE){_TAB}/[^\t\n\\]{{0,256}}{_TAB}(?:TRUE|FALSE){_TAB}[0-9.]{{1,16}}{_TAB}"""
    rf"""(?P<name>[^\t\n\\]{{1,128}}){_TAB}"?(?P<value>[^\s"\\]{{1,4096}})"""
)
_COUNTED: Final = re.compile(r"(?:G[AS][0-9]|fb)\.[0-9]\.[0-9.]+")
"""A visitor's number, of Google's or Facebook's statistics."""


def is_secret(name: str, value: str) -> bool:
    """Whether a cookie opens something: its name says so, or its value is noise."""
    if len(value) < 6 or shapes.is_placeholder(value) or _COUNTED.fullmatch(value):
        return False
    return SESSION.search(name) is not None or (shapes.is_mixed(value) and shapes.looks_random(value, 12))


def listed(text: str, at: int, taken: list[Span]) -> int:
    """The objects behind ``cookies`` or in brackets behind ``add_cookie``; where reading may go on."""
    opening = _OPENING.match(text, at)
    if opening is None:
        return at
    begin = opening.end()
    there = False
    for _ in range(_MOST):
        end, is_cookie = _object(text, begin, taken)
        there = there or is_cookie
        following = _NEXT.match(text, end)
        if following is None:
            break
        begin = following.end()
    return end if there else at


def row(text: str, at: int, taken: list[Span]) -> None:
    """One cookie of a jar of Netscape's, as curl keeps them, from behind its domain on."""
    hit = _ROW.match(text, at)
    if hit is not None and is_secret(hit["name"], hit["value"]):
        taken.append(Span(*hit.span("value"), STRUCTURE, "cookie"))


def marked(text: str, at: int, taken: list[Span]) -> int:
    """The object around ``httpOnly``; where reading may go on."""
    begin = text.rfind("{", max(0, at - _LONGEST), at)
    return at if begin < 0 else max(at, _object(text, begin, taken)[0])


def _object(text: str, begin: int, taken: list[Span]) -> tuple[int, bool]:
    """Where an object ends, and whether it is a cookie."""
    end = text.find("}", begin, begin + _LONGEST)
    end = min(len(text), begin + _LONGEST) if end < 0 else end + 1
    name = _NAME.search(text, begin, end)
    value = None if name is None else _VALUE.search(text, begin, end)
    if name is not None and value is not None and is_secret(name["name"], value["value"]):
        taken.append(Span(*value.span("value"), STRUCTURE, "cookie"))
    return end, value is not None
