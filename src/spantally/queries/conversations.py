"""Questions to a ledger about what was said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from spantally.ground.errors import ArgumentError, shown
from spantally.ledger.contract import Filter, SessionRow, Store
from spantally.queries.conversation import Message, build_messages
from spantally.queries.matching import checked_words, find_messages


class Reading(Protocol):
    """What the questions need of the ledger that they are asked of."""

    _store: Store

    def session(self, session_id: str) -> SessionRow | None:
        """One session, by its id or the beginning of it."""

    @property
    def sessions(self) -> Callable[..., list[SessionRow]]:
        """Sessions that filters leave."""

    def _settled(self) -> Store:
        """The store, its pending rows rated."""

    def _family(self, store: Store, session: SessionRow) -> list[str]:
        """Ids of a session and of all below it."""


class Conversations:
    """The part of a ledger that reads conversations."""

    def conversation(self: Reading, session_id: str, *, children: bool = True) -> list[Message]:
        """What was said in a session, in order, each message once.

        Those that the program recorded, and those that model calls sent and got, where the ledger keeps
        content.

        Args:
            session_id: the id, or a beginning that only one session has.
            children: with those of its child sessions.

        Returns:
            None of a session that is not there.
        """
        session = self.session(session_id)
        return [] if session is None else _read(self, session, children=children)

    def search(self: Reading, text: str, *, limit: int | None = 20, **filters: Any) -> list[Message]:
        """Messages that hold all words of a text, in any order and in either case, newest session first.

        Args:
            text: what to look for, literally: nothing in it has a meaning of its own.
            limit: at most so many; None for all.
            filters: of the sessions, those of :meth:`sessions`.

        Raises:
            ArgumentError: for a text without words, or a wrong filter.
        """
        words = checked_words(text)
        if limit is not None and (type(limit) is not int or limit < 0):
            raise ArgumentError(f"limit={shown(limit)} is not a number of messages; use 0 or more, or None")
        rows = self.sessions(**filters)
        holding = getattr(self._store, "sessions_holding", None)
        if holding is not None:
            ids = holding(words)
            rows = [row for row in rows if row.session_id in ids]
        return find_messages(rows, words, lambda row: _read(self, row, children=False), limit)


def _read(ledger: Reading, session: SessionRow, *, children: bool) -> list[Message]:
    store = ledger._settled()
    ids = ledger._family(store, session) if children else [session.session_id]
    read = getattr(store, "events", None)
    calls = [row for one in ids for row in store.calls(Filter(session_id=one))]
    events = [] if read is None else [event for one in ids for event in read(one)]
    return build_messages(session, calls, events)
