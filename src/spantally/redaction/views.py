r"""Views: a part of a text as it reads once percent signs, HTML entities and ``\uXXXX`` are decoded.

So are the colours of terminals, which stand between a name and its value and are glued to a key: they go.

A whole payload may stand encoded in a URL, a form, a page or JSON; names, separators and quotes are then none
to the eye of a rule. The part is decoded, read as any text, and what is found is mapped back.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

MARGIN: Final = 256
"""Characters on either side of an escape that belong to the part."""
DEEPEST: Final = 2
"""Times that a part is decoded: ``%2522`` is a quote, too."""

# Each begins with a fixed text, which is found many times as fast as a choice of three.
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*")
_ENTITY: Final = re.compile(r"&(?:quot|apos|amp|lt|gt|nbsp|#[0-9]{1,6}|#[xX][0-9A-Fa-f]{1,5});")
_UNICODE_PLAIN: Final = re.compile(r"\\u[0-9A-Fa-f]{4}")
_UNICODE: Final = re.compile(r"\\\\{0,15}+u[0-9A-Fa-f]{4}")
"""With more than one backslash in JSON that is a text in JSON, as arguments of tools are."""
_ESCAPE: Final = "\x1b"
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
"""Escaped ones show once they are decoded; to look for all their spellings costs each text too much."""
_FEWEST: Final = 2
"""Escapes of a part: one alone (``%20`` in a URL) hides nothing that the rules do not know."""
_TELLS: Final = re.compile(
    r"\\u(?!d[89a-f][0-9a-f]{2}|20[0-6][0-9a-f]|2[1-7][0-9a-f]{2}|fe0[0-9a-f]|00[89ab][0-9a-f])",
    re.IGNORECASE,
)
"""An escape of something else than a sign that people see: quotes, dashes, arrows, pictures."""
_MOST_KNOWN: Final = 4_096
_LONGEST_KNOWN: Final = 12
_known: Final[dict[str, str]] = {}
"""What escapes stand for that were met before."""
_WITHIN: Final = re.compile(
    r"%(?:2[bf]|7e)|&(?:gt|#(?:43|47|x2b|x2f));|\\u0(?:0(?:26|2b|2f|3d|3e|7e|[c-f][0-9a-f])|1[0-7][0-9a-f])",
    re.IGNORECASE,
)
"""But for those in the middle of a key, whose half would stay, and of a word of another language."""


class View:
    """A decoded part; where its places are in the text is worked out once it is asked for.

    Args:
        text: what it is a part of.
        hits: the escapes in it, in order.
    """

    __slots__ = ("_hidden", "_hits", "_origins", "_starts", "_whole", "text")

    def __init__(self, text: str, hits: list[re.Match[str]]) -> None:
        self._whole = text
        self._hits = hits
        self._starts: list[int] = []
        """Where runs of unchanged places begin in the view, in order."""
        self._origins: list[int] = []
        """Where each of them begins in the text."""
        self._hidden: dict[int, int] = {}
        """Where colours were left out: the place in the view, and where the first begins in the text."""
        at = max(0, hits[0].start() - MARGIN)
        pieces: list[str] = []
        for hit in hits:
            start, end = hit.span()
            pieces.append(text[at:start])
            escape = text[start:end]
            meaning = _known.get(escape)
            if meaning is None:
                meaning = _meaning(hit)
                if len(escape) <= _LONGEST_KNOWN:
                    if len(_known) >= _MOST_KNOWN:
                        _known.clear()
                    _known[escape] = meaning
            pieces.append(meaning)
            at = end
        pieces.append(text[at : at + MARGIN])
        self.text = "".join(pieces)

    def origin(self, at: int) -> int:
        """The place in the text of a place in the view."""
        if not self._starts:
            self._map()
        run = bisect_right(self._starts, at) - 1
        return self._origins[run] + at - self._starts[run]

    def end(self, at: int) -> int:
        """The same for the end of something, which colours behind it are no part of."""
        if not self._starts:
            self._map()
        hidden = self._hidden.get(at)
        return self.origin(at) if hidden is None else hidden

    def _map(self) -> None:
        at = max(0, self._hits[0].start() - MARGIN)
        size = 0
        for hit in self._hits:
            meanings = () if _is_colour(hit) else _meanings(hit)
            for origin, length in (
                (at, hit.start() - at),
                *((place, len(piece)) for place, piece in meanings),
            ):
                if length:
                    self._starts.append(size)
                    self._origins.append(origin)
                    size += length
            if not meanings:
                self._hidden.setdefault(size, hit.start())
            at = hit.end()
        self._starts.append(size)
        self._origins.append(at)


def may_have_views(text: str) -> bool:
    """Whether any escape can stand in a text."""
    return "%" in text or "&" in text or ("\\" in text and "\\u" in text) or _ESCAPE in text


def escapes_of(text: str) -> list[re.Match[str]]:
    """The escapes of a text, in order."""
    hits: list[re.Match[str]] = []
    at = text.find("%")
    if at >= 0:
        hits.extend(_PERCENT.finditer(text, at))
    at = text.find("&")
    if at >= 0:
        hits.extend(_ENTITY.finditer(text, at))
    if _ESCAPE in text:
        hits.extend(_COLOUR.finditer(text))
    simple = not hits
    at = text.find("\\u") if "\\" in text else -1
    if at >= 0:
        # JSON is full of other escapes: those of one backslash are found by both of their signs.
        found = list(_UNICODE_PLAIN.finditer(text, at))
        if any(text[hit.start() - 1 : hit.start()] == "\\" for hit in found):
            found = list(_UNICODE.finditer(text))
        hits.extend(found)
    if not simple:
        hits.sort(key=re.Match.start)
    return hits


def views_of(text: str, hits: list[re.Match[str]], places: Sequence[int]) -> list[View]:
    """The decoded parts of a text, in order.

    Args:
        text: the text.
        hits: its escapes, in order.
        places: where something stands in it, as it is, by which a rule could begin to read, in order.
    """
    simple = all(hit[0][0] == "\\" for hit in hits)
    parts: list[list[re.Match[str]]] = []
    last = -MARGIN * 3
    for hit in hits:
        start, end = hit.span()
        if start - last <= 2 * MARGIN:
            parts[-1].append(hit)
        else:
            parts.append([hit])
        last = end
    return [
        View(text, part)
        for part in parts
        if (len(part) >= _FEWEST or _tells_alone(part[0]))
        and not (simple and _shows_signs(text, part[0].start(), part[-1].end(), places))
    ]


def _shows_signs(text: str, start: int, end: int, places: Sequence[int]) -> bool:
    """Whether escapes of a part are such as people see, with nothing around that they could stand beside.

    Most escapes of JSON are; a password in curly quotes has its name beside them, and in other scripts the
    name has escapes of another kind.
    """
    if _TELLS.search(text, start, end) is not None:
        return False
    low = max(0, start - MARGIN)
    index = bisect_left(places, low)
    near = index < len(places) and places[index] < end + MARGIN
    return not near and text[low : end + MARGIN].isascii()


def _tells_alone(hit: re.Match[str]) -> bool:
    return _is_colour(hit) or hit[0].count("%") >= _FEWEST or _WITHIN.search(hit[0]) is not None


def _is_colour(hit: re.Match[str]) -> bool:
    return hit.re is _COLOUR


def _meaning(hit: re.Match[str]) -> str:
    """What an escape stands for; of one character, as most are, without a list of places."""
    escape = hit[0]
    if escape[0] == "\\":
        character = chr(int(escape[-4:], 16))
        return "?" if "\ud800" <= character <= "\udfff" else character
    if _is_colour(hit):
        return ""
    return "".join([piece for _, piece in _meanings(hit)])


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
