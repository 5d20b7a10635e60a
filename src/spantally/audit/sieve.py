"""A sieve for text that comes in pieces and never need end: secrets out, what was replaced told by line.

What a rule sees must not depend on where a piece happens to end, and memory must not grow with the input. So:

- *Context.* The last 4,096 characters that were let through (a rule looks 1,024 to either side) are put in
  front of what is scanned next, as they came: ``"password":`` on one line gives away the value on the next.
  Beyond that only two things reach further, and their beginning is kept in front of the context: the head of
  a table that names a secret, for as long as its rows go on, and the beginning of a secret that was cut.
- *Whole lines.* Only whole lines are let through. While more input is waiting, the last 2,048 characters are
  held back too; where the writer pauses, all lines go, so that a log that is followed appears line by line.
- *Never within a secret.* A cut that would fall into something replaced moves before it, and a PEM block is
  held until it ends.
- *Bounds.* A line longer than 65,536 characters is cut where nothing is replaced; what would have to be held
  beyond 131,072 goes as the tag that stands for it, and so does its continuation.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from spantally.audit.hits import Hit, find_hits
from spantally.redaction import ERROR_TAG, Redactor

PIECE: Final = 65_536
"""Characters that are scanned at a time, and the longest line that is kept whole."""
CONTEXT: Final = 4_096
HOLD: Final = 2_048
MOST_HELD: Final = 131_072
_HEAD: Final = 512
"""Characters of a cut secret that stand for its beginning."""
_BEFORE: Final = 256
"""Characters before it, which may hold the word that gives it away."""

_BREAKS: Final = re.compile(r"""[\s,;"'<>{}\[\]()|]""")
_PEM_TAIL: Final = re.compile(r"[\sA-Za-z0-9+/=_\\\"',-]{0,120}\Z")
_PEM_HEAD: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\sA-Za-z0-9+/=_\\\"',:-]{0,200}\Z"
)
"""A block of which nothing is there yet that could be told from anything else."""
_PEM_BODY: Final = re.compile(r"[\sA-Za-z0-9+/=]*\Z")
_DELIMITERS: Final = ("\\t", "\t", "|", ";", ",")
_PROBE: Final = "xQ7mV2kR9tL4wB8n"
_HEADS_TRIED: Final = 3


class Sifted(NamedTuple):
    """What came through."""

    text: str
    hits: list[tuple[int, Hit]]
    """With the line, from 1, on which each begins."""


class Sieve:
    """Takes pieces of one text and gives back what may pass."""

    def __init__(self, redactor: Redactor) -> None:
        """Start at the beginning of a text.

        Args:
            redactor: the rules.
        """
        self._redactor = redactor
        self._context = ""
        self._pending = ""
        self._line = 1
        self._held = 0
        """Length of a private key that is held, as long as nothing but more of it comes."""
        self._within = False
        """Whether the last cut went through a secret, which was told."""

    def feed(self, text: str, *, more: bool) -> Sifted:
        """Take the next piece.

        Args:
            text: at most :data:`PIECE` characters, or memory grows with it.
            more: whether the next piece is known to be there already.
        """
        self._pending += text
        size = len(self._pending)
        if not size or (more and size < PIECE) or not self._cut(more=more):
            return Sifted("", [])
        if self._held and size < self._held + PIECE // 2 and _PEM_BODY.match(text):
            return Sifted("", [])  # or each line of a long one would be scanned with all before it
        return self._sift(more=more, last=False)

    def finish(self) -> Sifted:
        """The rest, when there is no more."""
        return self._sift(more=False, last=True) if self._pending else Sifted("", [])

    def _sift(self, *, more: bool, last: bool) -> Sifted:
        begin = len(self._context)
        text = self._context + self._pending
        safe, hits = find_hits(self._redactor, text)
        if any(hit.rule == "error" for hit in hits):
            return self._failed(hits)
        cut = len(text) if last else begin + self._cut(more=more)
        opened = not last and any(_is_open_pem(text, hit) for hit in hits)
        for hit in reversed(hits):
            if opened and _is_open_pem(text, hit):
                cut = min(cut, hit.start)
            if hit.start < cut < hit.end:
                cut = hit.start
        head = None if last else _PEM_HEAD.search(text, max(begin, len(text) - 400))
        if head is not None:
            cut = min(cut, head.start())
        cut = max(begin, cut)
        if last or len(text) - cut > MOST_HELD:
            cut = len(text)
        self._held = len(text) - cut if opened else 0
        if cut == begin:
            return Sifted("", [])
        gone = [hit for hit in hits if hit.end > begin and hit.start < cut]
        answer = safe[_place(hits, begin, low=True) : _place(hits, cut, low=False)]
        told = [
            (self._line + text.count("\n", begin, max(begin, hit.start)), hit)
            for hit in gone
            if hit.start >= begin or not self._within
        ]
        self._within = opened or any(hit.start < cut <= hit.end for hit in hits)
        self._line += text.count("\n", begin, cut)
        self._pending = text[cut:]
        self._context = "" if last else _context(self._redactor, text[:cut], hits)
        return Sifted(answer, told)

    def _failed(self, hits: list[Hit]) -> Sifted:
        """The scan failed: nothing of what was waiting passes."""
        lines = self._pending.count("\n")
        answer = ERROR_TAG + ("\n" if lines else "")
        told = [(self._line, next(hit for hit in hits if hit.rule == "error"))]
        self._line += lines
        self._context = self._pending = ""
        return Sifted(answer, told)

    def _cut(self, *, more: bool) -> int:
        """How much of what waits may go, before anything is known of what it holds."""
        pending = self._pending
        limit = len(pending) - HOLD if more else len(pending)
        line = pending.rfind("\n", 0, max(0, limit)) + 1
        if line or len(pending) < PIECE:
            return line
        limit = len(pending) - HOLD
        for back in range(limit, limit - HOLD, -1):
            if _BREAKS.match(pending, back):
                return back
        return limit


def _place(hits: list[Hit], at: int, *, low: bool) -> int:
    """The place in the answer of a place in the text; within a hit, that of its tag."""
    shift = 0
    for hit in hits:
        if hit.start >= at:
            break
        if hit.end > at:
            return hit.safe_start if low else hit.safe_end
        shift = hit.safe_end - hit.end
    return at + shift


def _is_open_pem(text: str, hit: Hit) -> bool:
    """Whether a private key may go on behind what is there of it."""
    return (
        hit.rule == "private-key"
        and text.startswith("-----BEGIN", hit.start)
        and "-----END" not in text[hit.start : hit.end]
        and _PEM_TAIL.match(text, hit.end) is not None
    )


def _context(redactor: Redactor, gone: str, hits: list[Hit]) -> str:
    """What is put in front of the next scan."""
    start = max(0, len(gone) - CONTEXT)
    if start:
        line = gone.find("\n", start - 1, start + CONTEXT // 2)
        start = line + 1 if line >= 0 else start
    tail = gone[start:]
    for hit in hits:
        if hit.start < start and (hit.end >= len(gone) or _is_open_pem(gone, hit)):
            begin = max(0, hit.start - _BEFORE)
            return gone[begin : min(hit.start + _HEAD, start)] + tail
    return (_table_head(redactor, gone, start) if start else "") + tail


def _table_head(redactor: Redactor, gone: str, start: int) -> str:
    """The head of the table that the text ends in, where it names a secret and lies before ``start``."""
    lines = gone.split("\n")
    if lines[-1]:
        return ""  # cut within a line
    lines.pop()
    for delimiter in _DELIMITERS:
        width = lines[-1].count(delimiter) if lines else 0
        if not width:
            continue
        first = len(lines) - 1
        while first and lines[first - 1].count(delimiter) == width:
            first -= 1
        offset = sum(map(len, lines[:first])) + first
        row = delimiter.join([_PROBE] * (width + 1))
        for index in range(first, min(first + _HEADS_TRIED, len(lines))):
            if offset >= start:
                break
            head = f"{lines[index]}\n"
            if redactor.text(head + row) != head + row:
                return head
            offset += len(head)
    return ""
