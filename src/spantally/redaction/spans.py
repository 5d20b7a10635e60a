"""Spans: which parts of a text go, put in order, joined where they touch and kept off existing tags."""

from __future__ import annotations

from typing import Final, NamedTuple

from spantally.redaction.tags import tag

LITERAL: Final = 0
STRUCTURE: Final = 1
VENDOR: Final = 2
PAIR: Final = 3
GENERIC: Final = 4
"""Ranks: where spans overlap, the type of the lowest rank names the whole."""

SMALLEST_PIECE: Final = 4
"""What a tag leaves over of a span that crosses it goes only from this length on."""


class Span(NamedTuple):
    """One part of a text that goes."""

    start: int
    end: int
    rank: int
    kind: str


def settle(spans: list[Span], tags: list[tuple[int, int]]) -> list[Span]:
    """The spans in order, overlapping ones joined, with every existing tag cut out.

    Args:
        spans: in any order.
        tags: start and end of the tags that the text already holds, in order.
    """
    joined: list[Span] = []
    for span in sorted(spans):
        if span.end <= span.start:
            continue
        if joined and span.start < joined[-1].end:
            last = joined[-1]
            kind = last.kind if last.rank <= span.rank else span.kind
            joined[-1] = Span(last.start, max(last.end, span.end), min(last.rank, span.rank), kind)
        else:
            joined.append(span)
    return _cut(joined, tags) if tags else joined


def _cut(spans: list[Span], tags: list[tuple[int, int]]) -> list[Span]:
    pieces: list[Span] = []
    first = 0
    for span in spans:
        start = span.start
        while first < len(tags) and tags[first][1] <= start:
            first += 1
        index = first
        while index < len(tags) and tags[index][0] < span.end:
            if tags[index][0] - start >= SMALLEST_PIECE:
                pieces.append(span._replace(start=start, end=tags[index][0]))
            start = max(start, tags[index][1])
            index += 1
        if span.end - start >= (SMALLEST_PIECE if start != span.start else 1):
            pieces.append(span._replace(start=start))
    return pieces


def replaced(text: str, spans: list[Span]) -> tuple[str, list[int]]:
    """``text`` with a tag in the place of each of the settled ``spans``, and where the tags begin."""
    parts: list[str] = []
    places: list[int] = []
    at = 0
    size = 0
    for start, end, _, kind in spans:
        parts.append(text[at:start])
        size += start - at
        places.append(size)
        new = tag(kind, text[start:end])
        parts.append(new)
        size += len(new)
        at = end
    parts.append(text[at:])
    return "".join(parts), places
