r"""Views: a part of a text as it reads once percent signs, HTML entities and ``\uXXXX`` are decoded.

So are the colours of terminals, which stand between a name and its value and are glued to a key: they go.

A whole payload may stand encoded in a URL, a form, a page or JSON; names, separators and quotes are then none
to the eye of a rule. The part is decoded, read as any text, and what is found is mapped back.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from typing import Final, NamedTuple

MARGIN: Final = 256
"""Characters on either side of an escape that belong to the part."""
DEEPEST: Final = 2
"""Times that a part is decoded: ``%2522`` is a quote, too."""

# Each begins with a fixed text, which is found many times as fast as a choice of three.
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*")
_ENTITY: Final = re.compile(r"&(?:quot|apos|amp|lt|gt|nbsp|#[0-9]{1,6}|#[xX][0-9A-Fa-f]{1,5});")
_UNICODE: Final = re.compile(r"\\{1,16}+u[0-9A-Fa-f]{4}")
"""With more than one backslash in JSON that is a text in JSON, as arguments of tools are."""
_ESCAPE: Final = "\x1b"
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
"""Escaped ones show once they are decoded; to look for all their spellings costs each text too much."""
_FEWEST: Final = 2
"""Escapes of a part: one alone (``%20`` in a URL) hides nothing that the rules do not know."""
_WITHIN: Final = re.compile(
    r"%(?:2[bf]|7e)|&(?:gt|#(?:43|47|x2b|x2f));|\\u0(?:0(?:26|2b|2f|3d|3e|7e|[c-f][0-9a-f])|1[0-7][0-9a-f])",
    re.IGNORECASE,
)
"""But for those in the middle of a key, whose half would stay, and of a word of another language."""


class View(NamedTuple):
    """A decoded part."""

    text: str
    starts: list[int]
    """Where runs of unchanged places begin in the view, in order."""
    origins: list[int]
    """Where each of them begins in the text."""
    hidden: dict[int, int]
    """Where colours were left out: the place in the view, and where the first of them begins in the text."""

    def origin(self, at: int) -> int:
        """The place in the text of a place in the view."""
        run = bisect_right(self.starts, at) - 1
        return self.origins[run] + at - self.starts[run]

    def end(self, at: int) -> int:
        """The same for the end of something, which colours behind it are no part of."""
        hidden = self.hidden.get(at)
        return self.origin(at) if hidden is None else hidden


def may_have_views(text: str) -> bool:
    """Whether any escape can stand in a text."""
    return "%" in text or "&" in text or "\\u" in text or _ESCAPE in text


def views_of(text: str) -> list[View]:
    """The decoded parts of a text, in order."""
    hits: list[re.Match[str]] = []
    for sign, pattern in (("%", _PERCENT), ("&", _ENTITY), ("\\u", _UNICODE)):
        if sign in text:
            hits.extend(pattern.finditer(text))
    if _ESCAPE in text:
        hits.extend(_COLOUR.finditer(text))
    if not hits:
        return []
    hits.sort(key=re.Match.start)
    parts: list[list[re.Match[str]]] = [[hits[0]]]
    for hit in hits[1:]:
        if hit.start() - parts[-1][-1].end() <= 2 * MARGIN:
            parts[-1].append(hit)
        else:
            parts.append([hit])
    return [_decoded(text, part) for part in parts if len(part) >= _FEWEST or _tells_alone(part[0])]


def _decoded(text: str, hits: list[re.Match[str]]) -> View:
    at = max(0, hits[0].start() - MARGIN)
    pieces: list[str] = []
    starts: list[int] = []
    origins: list[int] = []
    size = 0
    hidden: dict[int, int] = {}
    for hit in hits:
        meanings = () if _is_colour(hit) else _meanings(hit)
        for origin, piece in ((at, text[at : hit.start()]), *meanings):
            if piece:
                pieces.append(piece)
                starts.append(size)
                origins.append(origin)
                size += len(piece)
        if not meanings:
            hidden.setdefault(size, hit.start())
        at = hit.end()
    last = text[at : at + MARGIN]
    pieces.append(last)
    starts.append(size)
    origins.append(at)
    return View("".join(pieces), starts, origins, hidden)


def _tells_alone(hit: re.Match[str]) -> bool:
    return _is_colour(hit) or hit[0].count("%") >= _FEWEST or _WITHIN.search(hit[0]) is not None


def _is_colour(hit: re.Match[str]) -> bool:
    return hit.re is _COLOUR


def _meanings(hit: re.Match[str]) -> list[tuple[int, str]]:
    """What an escape stands for, each character with where it begins in the text."""
    at = hit.start()
    sign = hit[0][0]
    if sign != "%":
        if sign == "&":
            return [(at, html.unescape(hit[0])[:1])]
        character = chr(int(hit[0][-4:], 16))
        return [(at, "?" if "\ud800" <= character <= "\udfff" else character)]
    found: list[tuple[int, str]] = []
    for character in bytes.fromhex(hit[0].replace("%", "")).decode("utf-8", "replace"):
        found.append((at, character))
        # What is no UTF-8 gives one mark for one byte or a few: places then drift within the run only.
        at += 3 * (1 if character == "\ufffd" else len(character.encode("utf-8")))
    return found
