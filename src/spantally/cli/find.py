"""Which session a user means: by id, by a beginning that only one has, or the newest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from spantally.cli.exits import NotFoundError

if TYPE_CHECKING:
    from spantally.queries import Ledger

_T = TypeVar("_T")

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


def one_session(explicit: str | None, meant: str, question: Callable[[Ledger, str], _T | None]) -> _T:
    """Ask the ledger in force about one session.

    Args:
        explicit: value of ``--ledger``, or None.
        meant: as in :func:`find_session`.
        question: takes ledger and id; answers None where the session is gone meanwhile.

    Raises:
        NotFoundError: when there is no such session.
    """
    from spantally.cli.access import reading

    with reading(explicit) as ledger:
        if ledger is None:
            raise NotFoundError(f"no session {meant!r}: there is no ledger yet")
        answer = question(ledger, find_session(ledger, meant))
    if answer is None:
        raise NotFoundError(f"no session {meant!r} in the ledger any more")
    return answer
