"""Hits: what a redactor replaces in a text, told from its answer.

A redactor gives back text with tags. Asking it, and not its rules one by one, means that an audit finds
exactly what redaction would take out, whatever rules are in force. The places are worked out by laying text
and answer side by side; the keyed digits of a tag say where the secret that it stands for ends.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from spantally.redaction import ERROR_TAG, Redactor
from spantally.redaction.tags import OPENING, find_tags, tag

MOST_TRIES: Final = 256
"""Ends that are tried for one secret."""


class Hit(NamedTuple):
    """One replaced part of a text."""

    start: int
    end: int
    rule: str
    digits: str | None
    """None of a scan that failed."""
    safe_start: int
    """Where the tag begins in the answer."""
    safe_end: int


def find_hits(redactor: Redactor, text: str, key: str | None = None) -> tuple[str, list[Hit]]:
    """What ``redactor`` makes of a text, and what it replaced there, in order.

    Args:
        redactor: the rules.
        text: any string; tags that it holds already are no hits.
        key: the name under which it stands.
    """
    safe = redactor.text(text, key)
    if safe is text or safe == text:
        return text, []
    hits = _aligned(text, safe)
    if not hits:
        # A rule of the user answered with something else than a tag.
        hits = [Hit(0, len(text), "rule", None, 0, len(safe))]
    return safe, hits


def rule_of(text: str) -> tuple[str, str | None]:
    """Type and digits of a tag."""
    if text == ERROR_TAG:
        return "error", None
    kind, _, digits = text[len(OPENING) : -1].partition(":")
    return kind, digits


def _aligned(text: str, safe: str) -> list[Hit]:
    hits: list[Hit] = []
    waiting: list[tuple[int, int]] = []
    """Tags whose secrets begin at ``at`` and end nobody knows where yet."""
    at = read = 0
    for start, end in find_tags(safe):
        gap = safe[read:start]
        if waiting and gap:
            close = _end(text, at, gap, safe, waiting)
            _close(hits, safe, waiting, at, close)
            at = close
        at += len(gap)
        read = end
        if not waiting and text.startswith(safe[start:end], at):
            at += end - start  # it was there before
        else:
            waiting.append((start, end))
    if waiting:
        _close(hits, safe, waiting, at, max(at, len(text) - (len(safe) - read)))
    return hits


def _close(hits: list[Hit], safe: str, waiting: list[tuple[int, int]], start: int, end: int) -> None:
    hits.extend(Hit(start, end, *rule_of(safe[first:last]), first, last) for first, last in waiting)
    waiting.clear()


def _end(text: str, at: int, gap: str, safe: str, waiting: list[tuple[int, int]]) -> int:
    """Where the secret that begins at ``at`` ends: before a ``gap``, and its digits must be right."""
    first = place = text.find(gap, at + 1)
    start, end = waiting[0]
    kind, digits = rule_of(safe[start:end])
    if len(waiting) == 1 and digits is not None:
        for _ in range(MOST_TRIES):
            if place < 0:
                break
            if tag(kind, text[at:place]) == safe[start:end]:
                return place
            place = text.find(gap, place + 1)
    return len(text) if first < 0 else first
