"""Which session a user means: by id, by a unique prefix of it, or the newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from spantally.cli.exits import NotFoundError

if TYPE_CHECKING:
    from spantally.queries import Ledger

NEWEST = ("last", "-1")
_MOST_NAMED = 5


def find_session(ledger: Ledger, meant: str) -> str:
    """The id of the session meant.

    Args:
        ledger: where to look.
        meant: an id, a unique prefix of one, or one of :data:`NEWEST`.

    Raises:
        NotFoundError: when there is none.
        click.UsageError: when the prefix fits several.
    """
    if ledger.session(meant) is not None:
        return meant
    if meant in NEWEST:
        newest = ledger.sessions(order_by="-started_ns", limit=1)
        if not newest:
            raise NotFoundError("the ledger holds no session yet")
        return newest[0].session_id
    fitting = [row.session_id for row in ledger.sessions(limit=None) if row.session_id.startswith(meant)]
    if not meant or not fitting:
        raise NotFoundError(f"no session {meant!r} in the ledger; `spantally sessions` lists them")
    if len(fitting) > 1:
        named = ", ".join(fitting[:_MOST_NAMED]) + (", ..." if len(fitting) > _MOST_NAMED else "")
        raise click.UsageError(f"{meant!r} fits {len(fitting)} sessions ({named}); give more of the id")
    return fitting[0]
