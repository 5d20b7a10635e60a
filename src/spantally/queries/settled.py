"""A store as questions find it: pending rows rated, what a dead process left open interrupted."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from spantally.ground.errors import LedgerError
from spantally.ground.guard import swallowed
from spantally.ledger.contract import Rater, Store
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries.rating import rate_when_read

SETTLE_BATCH: Final = 500

LARGEST_COPY: Final = 512 * 1024 * 1024
"""Bytes of a file that may not be written and is copied to memory to rate its pending rows."""


class Settled:
    """A ledger that is open; a context manager that closes it."""

    def __init__(self, store: Store, *, rate: Rater | None = None, owned: bool = True) -> None:
        """Wrap a store.

        Args:
            store: where the rows are.
            rate: prices rows that are still pending; by default :func:`spantally.pricing.rate`.
            owned: whether :meth:`close` closes the store.
        """
        self._store = store
        self._copy: SQLiteStore | None = None
        self._rate = rate_when_read if rate is None else rate
        self._owned = owned

    @property
    def store(self) -> Store:
        """The store, its pending rows rated as far as prices are known."""
        return self._settled()

    def _settled(self) -> Store:
        """The store, its pending rows rated as far as prices are known: nobody reads "pending" forever.

        What a process that is gone left open is interrupted by then.
        """
        if self._copy is not None:
            return self._copy
        store = self._store
        try:
            if isinstance(store, SQLiteStore) and store.read_only:
                return self._settled_copy(store)
            while store.settle(self._rate, SETTLE_BATCH) == SETTLE_BATCH:
                pass
        except LedgerError:
            pass  # locked or full: the rows can still be read
        except Exception as error:
            swallowed("queries.settle", error)
        return store

    def _settled_copy(self, store: SQLiteStore) -> Store:
        if not store.any_waiting() or Path(store.target).stat().st_size > LARGEST_COPY:
            return store
        copy = store.in_memory_copy()
        while copy.settle(self._rate, SETTLE_BATCH) == SETTLE_BATCH:
            pass
        self._copy = copy
        return copy

    def close(self) -> None:
        """Let go of the ledger."""
        self._copy = None
        if self._owned:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
