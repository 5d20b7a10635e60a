"""The default store: one SQLite file in WAL mode."""

from __future__ import annotations

from spantally.ledger.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
