"""Which sessions may hold some words in what was kept of their content: a look before anything is decoded."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import Final

# ruff: noqa: S608 - only names that stand here are put into SQL; values are bound.

_PLACES = (("call", "content"), ("event", "attributes"), ("session", "said"))

_PLAIN: Final = re.compile(r"[A-Za-z0-9 .,:_-]+")
_FOLDED: Final = re.compile(r"s[st]+|f[fil]+|[ks]", re.IGNORECASE)
"""What one letter beyond ASCII is in the other case: ``ß``, ligatures, the long s, the sign of Kelvin."""


def sessions_holding(db: sqlite3.Connection, words: Sequence[str]) -> set[str]:
    """Ids of sessions of which one kept text holds all of the words, and of some more.

    The texts are ASCII JSON, so the longest run of plain ASCII of each word is looked for, in either case. A
    word without one is met by every text.

    Args:
        db: the ledger.
        words: what to look for.
    """
    runs = [max(_PLAIN.findall(_FOLDED.sub("/", word)), key=len, default="") for word in words]
    patterns = [f"%{run.replace('_', '~_')}%" for run in runs if run]
    found: set[str] = set()
    for table, column in _PLACES:
        conditions = "".join(f" AND {column} LIKE ? ESCAPE '~'" for _ in patterns)
        found.update(
            session_id
            for (session_id,) in db.execute(
                f"SELECT DISTINCT session_id FROM {table} WHERE {column} IS NOT NULL{conditions}", patterns
            )
        )
    return found
