"""Columns: a table whose head names a secret, as comma, tab, semicolon or bar separated lines.

Line breaks may be real or written as ``\\n``, as they are inside JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from spantally.redaction import names, shapes
from spantally.redaction.spans import PAIR, Span

_HEAD: Final = re.compile(
    r"(?i)(?:pass|pw|secret|token|key|cred)[A-Za-z0-9_ -]{0,24}[\"'`*]{0,2}[ ]{0,40}(?:[,;|\t]|\\+t|\r?\n|\\+r?\\*n)"
)
_BREAK: Final = re.compile(r"\r?\n|\\{1,16}r?\\{0,16}n")
_LONGEST_LINE: Final = 4096
_MOST_COLUMNS: Final = 128
_MOST_ROWS: Final = 10_000
_RULE: Final = re.compile(r"[ |:+-]*\Z")
_DELIMITERS: Final = ("\t", "|", ";", ",")


def find_columns(text: str, check: Callable[[], None], taken: list[Span]) -> None:
    """Append a span for each cell below a head that names a secret, where the cell looks like one."""
    cursor = 0
    seen = 0
    for hit in _HEAD.finditer(text):
        at = hit.start()
        if at < cursor:
            continue
        seen += 1
        if not seen & 31:
            check()
        cursor = _table(text, at, check, taken)


def _table(text: str, at: int, check: Callable[[], None], taken: list[Span]) -> int:
    """Read the table whose head is around ``at``; where reading may go on."""
    brk = _BREAK.search(text, at, at + _LONGEST_LINE)
    if brk is None:
        return min(len(text), at + _LONGEST_LINE)
    mark = brk[0]
    begin = text.rfind(mark, max(0, at - _LONGEST_LINE), at)
    begin = begin + len(mark) if begin >= 0 else max(0, at - _LONGEST_LINE)
    head = text[begin : brk.start()]
    delimiter = next((d for d in _DELIMITERS if d in head), "")
    if not delimiter:
        return brk.end()
    cells = head.split(delimiter)
    if len(cells) > _MOST_COLUMNS:
        return brk.end()
    columns = {}
    for index, cell in enumerate(cells):
        title = cell.strip(" \"'`*{}[]()")
        if len(title) <= 48 and title.count(" ") <= 3:
            kind = names.judge(names.words_of(title.replace(".", "_")))
            if kind in (names.TOKEN, names.SECRET, names.PASSWORD, names.WEAK):
                columns[index] = kind
    if not columns:
        return brk.end()
    return _rows(text, brk.end(), mark, delimiter, len(cells), columns, check, taken)


def _rows(
    text: str,
    start: int,
    mark: str,
    delimiter: str,
    width: int,
    columns: dict[int, int],
    check: Callable[[], None],
    taken: list[Span],
) -> int:
    size = len(text)
    for row in range(_MOST_ROWS):
        if start >= size:
            break
        if not row & 31:
            check()
        stop = text.find(mark, start, start + _LONGEST_LINE)
        last = stop < 0
        stop = min(size, start + _LONGEST_LINE) if last else stop
        cells = text[start:stop].split(delimiter, _MOST_COLUMNS)
        if len(cells) != width and not (last and len(cells) > 1):
            break
        at = start
        for index, cell in enumerate(cells):
            if index in columns:
                _cell(at, cell, columns[index], taken)
            at += len(cell) + len(delimiter)
        start = stop + len(mark)
        if last:
            break
    return start


def _cell(at: int, cell: str, kind: int, taken: list[Span]) -> None:
    value = cell.strip(" \"'`*\\")
    if len(value) < 6 or " " in value or _RULE.match(value) or shapes.is_placeholder(value):
        return
    if kind == names.WEAK:
        good = (
            shapes.looks_random(value, 14)
            and not shapes.is_plain_id(value)
            and not shapes.is_provider_id(value)
        )
    elif kind == names.PASSWORD:
        good = shapes.is_mixed(value)
    else:
        good = len(value) >= 8 and shapes.is_mixed(value) and shapes.has_digit(value) and "://" not in value
    if good:
        start = at + cell.find(value)
        taken.append(Span(start, start + len(value), PAIR, names.TYPES[kind]))
