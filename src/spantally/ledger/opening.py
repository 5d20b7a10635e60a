"""From a ledger argument to a store."""

from __future__ import annotations

import os
from typing import cast

from spantally.ground.errors import ArgumentError
from spantally.ground.places import default_ledger_path
from spantally.ground.setting_values import parse_ledger
from spantally.ledger.contract import Store
from spantally.ledger.sqlite.store import SQLiteStore

_METHODS = ("write", "settle", "sessions", "calls", "cost", "health", "close")


def open_store(target: object | None, *, synchronous: str = "normal", read_only: bool = False) -> Store:
    """The store that a ledger argument names; a file is opened with its first use.

    Args:
        target: None for the user's own ledger, a path, ``":memory:"``, or an object that meets
            :class:`~spantally.ledger.contract.Store`, which is returned as it is.
        synchronous: ``normal`` or ``full``; for files.
        read_only: never write; for files.

    Raises:
        SettingsError: for anything else; the text names the value and what is allowed.
    """
    if target is None:
        return SQLiteStore(default_ledger_path(), synchronous=synchronous, read_only=read_only)
    parsed = parse_ledger("ledger", target)
    if parsed is False:
        raise ArgumentError(
            f"ledger={target!r} means that no tally is kept; use a path, ':memory:' or a store"
        )
    if isinstance(parsed, (str, os.PathLike)):
        return SQLiteStore(parsed, synchronous=synchronous, read_only=read_only)
    missing = [name for name in _METHODS if not callable(getattr(parsed, name, None))]
    if missing:
        raise ArgumentError(
            f"ledger={type(parsed).__name__} object lacks {', '.join(missing)}; "
            "pass a path, ':memory:' or an object of spantally.ledger.Store"
        )
    return cast("Store", parsed)
