"""Questions to a ledger about one session: its tree, summary, graph, events, replay, and what differs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime

from spantally.ground import semconv
from spantally.ground.errors import ArgumentError, shown
from spantally.ledger.contract import CallRow, EventRow, Filter, SessionRow, Store, Target
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries.arguments import check_text, is_text, make_filter
from spantally.queries.compare import Comparison, build_comparison
from spantally.queries.events import Wanted, iter_events, types_of
from spantally.queries.graph import SessionGraph, build_graph
from spantally.queries.messages import MessageTotals, message_totals
from spantally.queries.replay import Step, build_replay
from spantally.queries.settled import Settled
from spantally.queries.summary import Summary, build_summary
from spantally.queries.tree import SessionTree, build_tree


class OfSession(Settled):
    """The part of a ledger that answers about one session and its child sessions."""

    def session(self, session_id: str) -> SessionRow | None:
        """One session, by its id or the beginning of it.

        Raises:
            ArgumentError: if several ids begin so.
        """
        if not is_text(session_id):
            raise ArgumentError(f"session={shown(session_id)} is not an id; use the id or its beginning")
        store = self._settled()
        exact = store.sessions(Filter(session_id=session_id))
        if exact:
            return exact[0]
        ids = _beginning(store, session_id)
        if len(ids) > 1:
            raise ArgumentError(
                f"session={session_id!r} is the beginning of {', '.join(ids[:3])}"
                f"{' and others' if len(ids) > 3 else ''}; give more of the id"
            )
        found = store.sessions(Filter(session_id=ids[0])) if ids else []
        return found[0] if found else None

    def tree(self, session_id: str) -> SessionTree | None:
        """The tree of a session and its child sessions; None if there is no such session.

        Args:
            session_id: the id, or a beginning that only one session has.
        """
        session = self.session(session_id)
        return None if session is None else build_tree(session, self._rows(session))

    def graph(self, session_id: str) -> SessionGraph | None:
        """Who called whom in a session and its child sessions; None if there is no such session.

        Args:
            session_id: the id, or a beginning that only one session has.
        """
        tree = self.tree(session_id)
        return None if tree is None else build_graph(tree)

    def summary(self, session_id: str) -> Summary | None:
        """What a session and its child sessions did and cost, by agent, run, model and tool.

        Args:
            session_id: the id, or a beginning that only one session has.

        Returns:
            The summary; None if there is no such session.
        """
        session = self.session(session_id)
        return None if session is None else build_summary(session, self._rows(session))

    def events(
        self,
        session_id: str,
        *,
        type: str | Sequence[str] | None = None,  # noqa: A002 - the name that users type
        agent: str | None = None,
        since: datetime | str | None = None,
        told: bool = False,
        limit: int | None = None,
    ) -> list[EventRow]:
        """What happened in a session and its child sessions, by time.

        That is what the program told (decisions, messages, evaluations, events of its own), and what began
        and ended: agents, tools, calls, workflows, and each step of an agent's loop. The latter is read from
        the rows (``derived``), and stored as these alone; what was interrupted has a start and no end.

        Args:
            session_id: the id, or a beginning that only one session has.
            type: only events of this type, or of these; ``message`` stands for ``spantally.message`` as well.
            agent: only those with this agent around them, or of it.
            since: only those at or after this time.
            told: only what the program told.
            limit: at most so many, the earliest.

        Returns:
            None of a session that is not there.
        """
        most = make_filter(limit=limit).limit
        found = self.iter_events(session_id, type=type, agent=agent, since=since, told=told)
        return list(found if most is None else itertools.islice(found, most))

    def iter_events(
        self,
        session_id: str,
        *,
        type: str | Sequence[str] | None = None,  # noqa: A002 - the name that users type
        agent: str | None = None,
        since: datetime | str | None = None,
        told: bool = False,
    ) -> Iterator[EventRow]:
        """The same, one after the other, however many there are: they are read in pages.

        Args:
            session_id: the id, or a beginning that only one session has.
            type: only events of this type, or of these.
            agent: only those with this agent around them, or of it.
            since: only those at or after this time.
            told: only what the program told.

        Returns:
            An iterator, while the ledger is open.
        """
        wanted = Wanted(
            types=types_of(type),
            agent=agent,
            since_ns=make_filter(agent=agent, since=since).since_ns,
            told=bool(told),
        )
        session = self.session(session_id)
        if session is None:
            return iter(())
        store = self._settled()
        return iter_events(store, self._family(store, session), wanted)

    def messages(self, session_id: str) -> list[MessageTotals]:
        """How many messages a program recorded of a session and those below it, by role, and their tokens.

        What :meth:`~spantally.Session.record_message` was told; no part of the session's ``input_tokens`` and
        ``output_tokens``, which are of its calls alone.

        Args:
            session_id: the id, or a beginning that only one session has.

        Returns:
            One for each role, sorted; none of a session without messages.
        """
        return message_totals(self.iter_events(session_id, type=semconv.EVENT_MESSAGE, told=True))

    def target(self, *, call: str | None = None, response_id: str | None = None) -> Target | None:
        """The row that an evaluation of a call, or of a provider's response, belongs to.

        Args:
            call: id of a call, agent or tool.
            response_id: the provider's id of a response.

        Returns:
            Its ids and agents; None where it is not there, and of a store that cannot look it up.

        Raises:
            ArgumentError: (a ValueError) for an id that is no text.
        """
        check_text("call", call)
        check_text("response_id", response_id)
        find = getattr(self._store, "find_target", None)
        found: Target | None = None if find is None else find(call, response_id)
        return found

    def replay(self, session_id: str) -> list[Step] | None:
        """A session and its child sessions step by step, as `spantally replay` has it.

        Args:
            session_id: the id, or a beginning that only one session has.

        Returns:
            The steps by time, each with its row or event; None if there is no such session.
        """
        tree = self.tree(session_id)
        return None if tree is None else build_replay(tree, self.iter_events(session_id, told=True))

    def diff(self, a: str, b: str) -> Comparison:
        """Two sessions beside each other, as `spantally diff`: rows, models, tokens, costs and statuses.

        Args:
            a: the id of one, or a beginning that only one session has.
            b: of the other.

        Raises:
            ArgumentError: (a ValueError) there is no such session.
        """
        trees = []
        for session_id in (a, b):
            tree = self.tree(session_id)
            if tree is None:
                raise ArgumentError(
                    f"session={shown(session_id)} is not in the ledger; sessions() lists them"
                )
            trees.append(tree)
        return build_comparison(*trees)

    def family(self, session_id: str) -> list[str]:
        """Ids of a session and of all below it; none where there is no such session.

        Args:
            session_id: the id, or a beginning that only one session has.
        """
        session = self.session(session_id)
        return [] if session is None else self._family(self._settled(), session)

    def _rows(self, session: SessionRow) -> list[CallRow]:
        """Rows of a session and of the sessions below it."""
        store = self._settled()
        return [row for one in self._family(store, session) for row in store.calls(Filter(session_id=one))]

    def _family(self, store: Store, session: SessionRow) -> list[str]:
        """Ids of a session and of all below it."""
        return family_of(store, session.session_id)


def _beginning(store: Store, prefix: str) -> list[str]:
    if isinstance(store, SQLiteStore):
        return store.session_ids(prefix)
    return [row.session_id for row in store.sessions(Filter()) if row.session_id.startswith(prefix)]


def family_of(store: Store, session_id: str) -> list[str]:
    """Ids of a session and of all below it."""
    found: list[str] = []
    taken: set[str] = set()
    level = [session_id]
    children = children_of(store)
    while level:
        taken.update(level)
        found.extend(level)
        level = [child for one in level for child in children.get(one, ()) if child not in taken]
    return found


def children_of(store: Store) -> dict[str, list[str]]:
    """Ids of child sessions by parent."""
    if isinstance(store, SQLiteStore):
        return store.child_sessions()
    children: dict[str, list[str]] = {}
    for row in store.sessions(Filter()):
        if row.parent_id is not None:
            children.setdefault(row.parent_id, []).append(row.session_id)
    return children
