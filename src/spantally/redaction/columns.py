r"""Columns: a table whose head names a secret, as comma, tab, semicolon or bar separated lines.

Line breaks may be real or written as ``\\n``, as they are inside JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from spantally.redaction import names, shapes
from spantally.redaction.spans import PAIR, Span

HEAD_END: Final = re.compile(
    r"[A-Za-z0-9_-]*+(?:\\{0,16}[\"'`*]){0,2}[ ]{0,40}(?:[,;|\t]|\\+t|\r?\n|\\+r?\\*n)(?![ ]?[\"']?[A-Za-z0-9_]+[\"']?[ ]?[=:(])"  # noqa: E501 - one pattern
)
"""What may follow the name of a column."""
_TITLE: Final = re.compile(r"[\s\"'`*\\]*[A-Za-z_#][\w .#/-]{0,40}[\s\"'`*\\]*\Z|\s*\Z")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*(?:\(|=(?!=|$))")
_BREAK: Final = re.compile(r"\r?\n|\\{1,16}r?\\{0,16}n")
_LONGEST_LINE: Final = 4096
_MOST_COLUMNS: Final = 128
_MOST_BARREN: Final = 250_000
"""Characters of tables without a secret after which no further table of a text is read."""
_MOST_ROWS: Final = 10_000
_FIRST_WORD: Final = re.compile(r" *[^ ]*")
_RULE: Final = re.compile(r"[ |:+-]*")
_RULE_SIGNS: Final = frozenset(" |:+-")
_DELIMITERS: Final = ("\\\\t", "\\t", "\t", "|", ";", ",")


def find_columns(text: str, heads: list[int], check: Callable[[], None], taken: list[Span]) -> None:
    """Append a span for each cell below a head that names a secret, where the cell looks like one.

    Args:
        text: what is scanned.
        heads: where :data:`HEAD_END` matched behind a telling name, in order.
        check: raises when the time is over.
        taken: receives the spans.
    """
    cursor = 0
    barren = _MOST_BARREN
    for seen, at in enumerate(heads):
        if at < cursor:
            continue
        if barren < 0:
            break
        if not seen & 31:
            check()
        before = len(taken)
        cursor = _table(text, at, check, taken)
        if len(taken) == before:
            barren -= cursor - at


def _table(text: str, at: int, check: Callable[[], None], taken: list[Span]) -> int:
    """Read the table whose head is around ``at``; where reading may go on."""
    brk = _break_behind(text, at)
    if brk is None:
        return min(len(text), at + _LONGEST_LINE)
    mark = brk[0]
    begin = text.rfind(mark, max(0, at - _LONGEST_LINE), at)
    begin = begin + len(mark) if begin >= 0 else max(0, at - _LONGEST_LINE)
    head = text[begin : brk.start()]
    delimiter = _delimiter(head, at - begin)
    if not delimiter or not _goes_on(text, brk.end(), mark, delimiter):
        return brk.end()
    cells = head.split(delimiter)
    if len(cells) > _MOST_COLUMNS:
        return brk.end()
    # Something may stand before the first cell of a head: a log's prefix, the fields of an object.
    first = len(cells)
    while first > 0 and _TITLE.match(cells[first - 1]):
        first -= 1
    cells = cells[max(0, first - 1) :]
    if len(cells) < 2 or (delimiter != "|" and sum(map(bool, map(str.strip, cells))) < 2):
        return brk.end()  # a list of words with a comma behind each is no table
    columns = {}
    for index, cell in enumerate(cells):
        title = cell.strip(" \"'`*{}[]()\\")
        if len(title) <= 48 and title.count(" ") <= 3:
            kind = names.classify(title.replace(".", "_"))
            if kind in (names.TOKEN, names.SECRET, names.PASSWORD, names.WEAK):
                columns[index] = kind
    if not columns:
        return brk.end()
    return _rows(text, brk.end(), mark, delimiter, len(cells), columns, check, taken)


def _break_behind(text: str, at: int) -> re.Match[str] | None:
    """The next line break, real or escaped; a text without a backslash is not gone through by a pattern."""
    end = at + _LONGEST_LINE
    real = text.find("\n", at, end)
    if text.find("\\", at, real if real >= 0 else end) >= 0:
        return _BREAK.search(text, at, end)
    if real < 0:
        return None
    return _BREAK.match(text, real - 1 if real > at and text[real - 1] == "\r" else real)


def _goes_on(text: str, start: int, mark: str, delimiter: str) -> bool:
    """Whether the line at ``start`` may be a row, or the rule below a head: seen before a head is read."""
    if text[start : start + 1] in _RULE_SIGNS:
        return True
    stop = text.find(mark, start, start + _LONGEST_LINE)
    return text.find(delimiter, start, stop if stop >= 0 else start + _LONGEST_LINE) >= 0


def _delimiter(head: str, at: int) -> str:
    """What stands next behind the name at ``at``, or else before it: a sentence may go before a table."""
    behind = [(place, d) for d in _DELIMITERS if (place := head.find(d, at)) >= 0]
    if behind:
        return min(behind, key=lambda found: found[0])[1]
    place, before = max((head.rfind(d, 0, at), d) for d in reversed(_DELIMITERS))
    return before if place >= 0 else ""


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
        if row < 2 and stop > start and _RULE.fullmatch(text, start, stop):
            start = stop + len(mark)
            continue
        cells = text[start:stop].split(delimiter, _MOST_COLUMNS)
        if len(cells) != width and not (last and len(cells) > 1):
            break
        if last and len(cells) >= width:
            # What follows the table on the same line is none of its last cell.
            word = _FIRST_WORD.match(cells[width - 1])
            cells[width - 1] = cells[width - 1] if word is None else word[0]
        at = start
        for index, cell in enumerate(cells):
            if index in columns:
                judge_cell(at, cell, columns[index], taken)
            at += len(cell) + len(delimiter)
        start = stop + len(mark)
        if last:
            break
    return start


def judge_cell(at: int, cell: str, kind: int, taken: list[Span]) -> None:
    """Append a span if a cell looks like the secret that its head promises.

    Args:
        at: where the cell begins.
        cell: its text.
        kind: what the head says of it.
        taken: receives the span.
    """
    value = cell.strip(" \"'`*\\}]")
    if (
        len(value) < 6
        or " " in value
        or _RULE.fullmatch(value)
        or _ASSIGNMENT.match(value)
        or shapes.is_placeholder(value)
    ):
        return
    if kind == names.WEAK:
        good = (
            shapes.looks_random(value, 14)
            and not shapes.is_plain_id(value)
            and not shapes.is_provider_id(value)
        )
    elif kind == names.PASSWORD:
        good = shapes.is_mixed(value) or shapes.joined_words(value) >= 3 or shapes.case_noise(value)
    else:
        noise = shapes.has_digit(value) or shapes.case_noise(value) or shapes.is_gibberish(value)
        good = len(value) >= 8 and noise and "://" not in value and not value.isdigit()
    if good:
        start = at + cell.find(value)
        taken.append(Span(start, start + len(value), PAIR, names.TYPES[kind]))
