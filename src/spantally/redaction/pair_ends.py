"""Where a value ends: with its quotes, at the depth of their escaping, or without any."""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import shapes
from spantally.redaction.pair_syntax import MORE
from spantally.redaction.tags import OPENING
from spantally.redaction.values import Site, acceptable, is_call

_ATTRIBUTE: Final = re.compile(r"[a-z]{2,16}(?:-[a-z]{2,16}){0,2}=\Z")
_OPENS: Final = frozenset("\"'\\")
_MOST_PARTS: Final = 64
_REST_OF_UNQUOTED: Final = re.compile(r"""[^\s"'`,;&<>\\(){}\[\]|]*""")
_TO_SPACE: Final = re.compile(r"""[^\s"'`\\<]+""")
_MORE_BASE: Final = re.compile(r"[A-Za-z0-9_\-+/=.~|:]{6,}")
_QUOTED_LIMIT: Final = 4096


def parts_behind(text: str, end: int, *, listed: bool) -> tuple[list[tuple[int, int]], int]:
    """The further texts behind the first, which ends at ``end``, and where the last of them does."""
    parts: list[tuple[int, int]] = []
    while len(parts) < _MOST_PARTS:
        more = MORE.match(text, end)
        if more is None or (more["joined"] is None) != listed:
            break
        start = more.end()
        stop = quoted_end(text, start, more["opening"])
        if stop <= start or " " in text[start:stop] or text.startswith(OPENING, start):
            break
        parts.append((start, stop))
        end = stop
    return parts, end


def plain_end(text: str, start: int, end: int, site: Site) -> tuple[int, bool]:
    """Where a value without quotes ends, and whether it is a secret."""
    value = text[start:end]
    if (
        value[-1:] == "="
        and (text[end : end + 1] in _OPENS or text.startswith("&quot;", end))
        and _ATTRIBUTE.match(value)
    ):
        return end, False  # the next attribute of an element
    if not site.tight or site.how != "operator":
        value = value.rstrip(".:!?")
        end = start + len(value)
    if is_call(text, value, end, site):
        return end, False
    if not acceptable(value, site):
        if text[end : end + 1] != "|" or site.how != "operator":
            return end, False
        more = _MORE_BASE.match(text, end + 1, end + 256)
        if more is None or not shapes.looks_random(more[0], 16):
            return end, False
    return _extended(text, end, site), True


def quoted_end(text: str, start: int, opening: str) -> int:
    """Where the quoted value ends: the same quote at the same depth of escaping; -1 if it does not close."""
    if opening == "<![CDATA[":
        return text.find("]]>", start, start + _QUOTED_LIMIT)
    mark = opening.lstrip("\\")
    depth = len(opening) - len(mark)
    at = start
    while True:
        at = text.find(mark, at, start + _QUOTED_LIMIT)
        if at < 0:
            return -1
        escapes = 0
        while at - escapes > start and text[at - escapes - 1] == "\\" and escapes <= 64:
            escapes += 1
        if escapes <= depth or (depth == 0 and escapes % 2 == 0):
            end = at - min(escapes, depth)
            return end if text.find("\n", start, end) < 0 else -1
        at += len(mark)


def _extended(text: str, end: int, site: Site) -> int:
    """A value may go on behind what ends values elsewhere: ``NAME=a|b&c`` on a line of its own."""
    end = _REST_OF_UNQUOTED.match(text, end).end()  # type: ignore[union-attr]
    if site.how == "operator" and site.line_start and not site.quoted and not site.in_url:
        rest = _TO_SPACE.match(text, end)
        if rest is not None:
            return end + len(rest[0].rstrip(",;)]}&|"))
    elif text[end : end + 1] == "|":
        more = _MORE_BASE.match(text, end + 1)
        if more is not None:
            return more.end()
    return end
