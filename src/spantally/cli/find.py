"""Which session a user means: by id, by a beginning that only one has, or the newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spantally.cli.exits import NotFoundError

if TYPE_CHECKING:
    from spantally.queries import Ledger

NEWEST = ("last", "-1")


def find_session(ledger: Ledger, meant: str) -> str:
    """The id of the session meant.

    Args:
        ledger: where to look.
        meant: an id, a unique beginning of one, or one of :data:`NEWEST`.

    Raises:
        NotFoundError: when there is none.
        ArgumentError: (a ValueError) when several ids begin so.
    """
    if meant in NEWEST:
        newest = ledger.sessions(order_by="-started", limit=1)
        if not newest:
            raise NotFoundError("the ledger holds no session yet")
        return newest[0].session_id
    row = ledger.session(meant)
    if row is None:
        raise NotFoundError(f"no session {meant!r} in the ledger; `spantally sessions` lists them")
    return row.session_id
