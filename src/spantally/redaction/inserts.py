"""Inserts: SQL that names its columns in one list and gives their values in another.

``INSERT INTO users (id, api_key) VALUES (1, '...'), (2, '...')``, as a statement, in JSON at any depth of
escaping, and with place holders whose values follow as a tuple.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from spantally.redaction import names
from spantally.redaction.columns import judge_cell
from spantally.redaction.spans import Span

_SPACE: Final = r"(?:\s|\\{1,16}[nrt])"
_MARK: Final = r"""(?:\\{0,16}["'`]|[\[\]])"""
_HEAD: Final = re.compile(
    rf"""(?xi)
    (?:insert|replace) {_SPACE}{{1,8}}
    (?: (?:or|ignore|overwrite|replace|low_priority) {_SPACE}{{1,8}} ){{0,3}}
    into {_SPACE}{{1,8}} (?:table {_SPACE}{{1,8}})? [^\s(]{{1,160}} {_SPACE}{{0,8}}
    \( (?P<columns> [^()]{{1,4096}} ) \) {_SPACE}{{0,8}}
    (?: overriding {_SPACE}{{1,4}} \w{{1,16}} {_SPACE}{{1,4}} value {_SPACE}{{1,8}} )?
    values? {_SPACE}{{0,8}} (?=\()
    """
)
_VERB: Final = re.compile("insert|replace", re.IGNORECASE)
_VALUE: Final = re.compile(
    rf"""(?x)
    {_SPACE}{{0,8}}
    (?: [eEnNbBxXrR](?=\\{{0,16}}') )?
    (?:
      (?P<quote> \\{{0,16}} ["'] ) (?P<quoted> (?: (?!(?P=quote)) . | (?P=quote)(?P=quote) ){{0,4096}}+ )
        (?: (?P=quote) | \Z )  # the end of a text that was cut
    | (?P<call> [A-Za-z_][\w.]{{0,64}} \( [^()]{{0,1024}} \) )
    | (?P<plain> [^,()'"]{{0,256}} )
    )
    (?: :: [\w\[\] ]{{1,40}} )? {_SPACE}{{0,8}}
    """,
    re.DOTALL,
)
_HOLDER: Final = re.compile(r"\?|%s|%\(\w{1,64}\)s|\$\d{1,4}|:\w{1,64}|@\w{1,64}|\{\w{0,64}\}")
_PARAMETERS: Final = re.compile(rf"""(?:{_SPACE}|["'`;,\\]){{1,32}}[\[(]{{1,2}}""")
_BETWEEN: Final = re.compile(rf"{_SPACE}{{0,8}},{_SPACE}{{0,8}}(?=\()")
_CLOSING: Final = frozenset(")]")
_MOST_ROWS: Final = 10_000


def find_inserts(text: str, places: Iterable[int], check: Callable[[], None], taken: list[Span]) -> None:
    """Append a span for each value whose column names a secret.

    Args:
        text: what is scanned.
        places: where ``into`` stands, in order.
        check: raises when the time is over.
        taken: receives the spans.
    """
    cursor = 0
    for at in places:
        if at < cursor:
            continue
        lead = text[max(0, at - 64) : at].lower()
        if "insert" not in lead and "replace" not in lead:
            continue
        check()
        before = list(_VERB.finditer(text, max(0, at - 64), at))
        head = _HEAD.match(text, before[-1].start()) if before else None
        if head is not None and head.end() > at:
            columns = _columns(head["columns"])
            cursor = _rows(text, head.end(), columns, check, taken) if columns else head.end()


def _columns(listed: str) -> dict[int, int]:
    """The columns that name a secret, by their place."""
    found = {}
    for index, cell in enumerate(listed.split(",", 128)):
        kind = names.classify(re.sub(rf"{_MARK}|{_SPACE}", "", cell)[:64])
        if kind in (names.TOKEN, names.SECRET, names.PASSWORD, names.WEAK):
            found[index] = kind
    return found


def _rows(text: str, at: int, columns: dict[int, int], check: Callable[[], None], taken: list[Span]) -> int:
    """Read the lists of values behind a head; where reading may go on."""
    for _ in range(_MOST_ROWS):
        check()
        end, held = _row(text, at + 1, columns, taken)
        if held and (given := _PARAMETERS.match(text, end)) is not None:
            return _row(text, given.end(), columns, taken)[0]
        more = _BETWEEN.match(text, end)
        if more is None:
            return end
        at = more.end()
    return at


def _row(text: str, at: int, columns: dict[int, int], taken: list[Span]) -> tuple[int, bool]:
    """One list of values: where it ends, and whether those of interest are place holders."""
    held = False
    for index in range(128):
        value = _VALUE.match(text, at)
        if value is None:
            return at, False
        kind = columns.get(index)
        if kind is not None:
            group = "quoted" if value["quoted"] is not None else "plain"
            cell = value[group]
            if cell is not None:
                held = held or _HOLDER.fullmatch(cell.strip()) is not None
                judge_cell(value.start(group), cell, kind, taken)
        at = value.end()
        following = text[at : at + 1]
        if following != ",":
            return (at + 1 if following in _CLOSING else at), held
        at += 1
    return at, held
