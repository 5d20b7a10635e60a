"""``open_ledger()``: typed questions to the store of this process, or to a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from spantally.ground.errors import ArgumentError, LedgerError
from spantally.ground.event_loop import in_event_loop
from spantally.ground.guard import swallowed
from spantally.ground.money import Rating
from spantally.ground.records import CallRecord, Kind, SessionStatus, Status
from spantally.ground.settings import default_ledger_path, from_environment
from spantally.ledger.contract import CallRow, CostRow, EventRow, Filter, Health, Rater, SessionRow, Store
from spantally.ledger.grouping import check_groupings, zone
from spantally.ledger.opening import open_store
from spantally.ledger.ordering import CALL_ORDERS, SESSION_ORDERS, resolve_order
from spantally.ledger.repricing import Progress, Repricing, check_status
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries.arguments import is_text, make_filter, one_of
from spantally.queries.conversations import Conversations
from spantally.queries.graph import SessionGraph, build_graph
from spantally.queries.outcomes import OutcomeRow, check_outcome_groupings, outcome_rows
from spantally.queries.summary import Summary, build_summary
from spantally.queries.times import local_zone
from spantally.queries.tree import SessionTree, build_tree

SETTLE_BATCH: Final = 500

LARGEST_COPY: Final = 512 * 1024 * 1024
"""Bytes of a file that may not be written and is copied to memory to rate its pending rows."""

_active: Store | None = None


def set_active_store(store: Store | None) -> None:
    """Name the store of this process, which :func:`open_ledger` without a path answers from.

    Args:
        store: the store, or None when there is none any more.
    """
    global _active
    _active = store


def active_store() -> Store | None:
    """The store of this process, if it has one."""
    return _active


def certain_rater(rate: Rater) -> Rater:
    """A rater whose rates are there.

    Args:
        rate: the rater of a ledger.

    Raises:
        LedgerError: the rates cannot be loaded.
    """
    if rate is not _rate:
        return rate
    from spantally.pricing import load
    from spantally.pricing.rate import rate as certain

    if load() is None:
        raise LedgerError(
            "the price data cannot be loaded, so nothing was rated anew; reinstall it "
            "(pip install --force-reinstall genai-prices) and see `spantally doctor`",
            slug="no_rates",
        )
    return certain


def _rate(record: CallRecord) -> Rating:
    """Price a record, loading the price data at the first one; never waits inside a running event loop."""
    from spantally.pricing.rate import rate, rate_if_loaded

    if not in_event_loop():
        return rate(record)
    from spantally.pricing import ensure_loading

    ensure_loading()
    return rate_if_loaded(record)


def open_ledger(path: str | os.PathLike[str] | Store | None = None) -> Ledger:
    """Open a ledger for reading.

    Args:
        path: of a ledger file, or a store; None means the ledger that this process writes, else the one of
            SPANTALLY_LEDGER, else the user's own.

    Raises:
        LedgerError: there is none, or it cannot be read; the text says what to do.
    """
    if path is None and _active is not None:
        return Ledger(_active, owned=False)
    target: Any = path
    if target is None:
        target = from_environment("ledger")
        if target is False:
            raise LedgerError(
                "the ledger is switched off (SPANTALLY_LEDGER=false), so there is nothing to read; "
                "name a file: open_ledger('ledger.db')",
                slug="switched_off",
            )
        if target is None:
            target = default_ledger_path()
    store = open_store(target)
    if store is path:
        return Ledger(store, owned=False)
    if isinstance(store, SQLiteStore) and not store.memory:
        store = _readable(store)
    return Ledger(store)


def _readable(store: SQLiteStore) -> SQLiteStore:
    """The store, or a read-only one where the file must not or cannot be written."""
    if not Path(store.target).exists():
        # Asking must not create a ledger; a read-only store says which part of the path is missing.
        SQLiteStore(store.target, read_only=True).session_ids("", 1)
    writable = os.access(store.target, os.W_OK) and os.access(Path(store.target).parent, os.W_OK)
    if writable:
        try:
            store.session_ids("", 1)
            return store
        except LedgerError as error:
            store.close()
            if error.slug not in ("not_writable", "disk_full", "locked"):
                raise
    reader = SQLiteStore(store.target, read_only=True)
    reader.session_ids("", 1)
    return reader


class Ledger(Conversations):
    """Typed questions to one ledger; a context manager that closes it.

    Every method that takes filters knows: ``conversation``, ``user``, ``entity`` (``"type:id"`` or
    ``"type"``), ``tags`` (a mapping, or ``"k=v,k=v"``; all must match, or with ``any_tag`` one), ``agent``,
    ``model``, ``project``, ``status``, ``since`` and ``until`` (a datetime, RFC 3339 text, or ``"24h"``,
    ``"7d"``). Wrong values raise :class:`~spantally.ground.errors.ArgumentError`.
    """

    def __init__(self, store: Store, *, rate: Rater | None = None, owned: bool = True) -> None:
        """Wrap a store.

        Args:
            store: where the rows are.
            rate: prices rows that are still pending; by default :func:`spantally.pricing.rate`.
            owned: whether :meth:`close` closes the store.
        """
        self._store = store
        self._copy: SQLiteStore | None = None
        self._rate = _rate if rate is None else rate
        self._owned = owned

    # -- questions ----------------------------------------------------------------------------------

    def sessions(
        self,
        *,
        conversation: str | None = None,
        user: str | None = None,
        entity: str | tuple[str, str] | None = None,
        tags: Any = None,
        any_tag: bool = False,
        labels: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        agent: str | None = None,
        model: str | None = None,
        project: str | None = None,
        provider: str | None = None,
        status: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[SessionRow]:
        """Sessions with their totals, newest first by default."""
        where = make_filter(
            conversation=conversation,
            user=user,
            entity=entity,
            tags=tags,
            any_tag=any_tag,
            labels=labels,
            metadata=None if metadata is None else dict(metadata),
            agent=agent,
            model=model,
            project=project,
            provider=provider,
            status=one_of("status", status, SessionStatus),
            since=since,
            until=until,
            order_by=order_by,
            limit=limit,
            offset=offset,
        )
        resolve_order(order_by, SESSION_ORDERS, "-started")
        return self._settled().sessions(where)

    def session(self, session_id: str) -> SessionRow | None:
        """One session, by its id or the beginning of it.

        Raises:
            ArgumentError: if several ids begin so.
        """
        if not is_text(session_id):
            raise ArgumentError(f"session={session_id!r} is not an id; use the id or its beginning")
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

    def calls(
        self,
        *,
        session: str | None = None,
        kind: str | None = None,
        provider: str | None = None,
        conversation: str | None = None,
        user: str | None = None,
        entity: str | tuple[str, str] | None = None,
        tags: Any = None,
        any_tag: bool = False,
        agent: str | None = None,
        model: str | None = None,
        project: str | None = None,
        status: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[CallRow]:
        """Rows of calls, agents, tools and workflows, oldest first by default."""
        where = make_filter(
            session=session,
            kind=one_of("kind", kind, Kind),
            provider=provider,
            conversation=conversation,
            user=user,
            entity=entity,
            tags=tags,
            any_tag=any_tag,
            agent=agent,
            model=model,
            project=project,
            status=one_of("status", status, Status),
            since=since,
            until=until,
            order_by=order_by,
            limit=limit,
            offset=offset,
        )
        resolve_order(order_by, CALL_ORDERS, "started")
        return self._settled().calls(where)

    def outcomes(  # noqa: D417 - the filters are told once, with the class
        self,
        by: str | Sequence[str] = (),
        *,
        tz: str | None = None,
        user: str | None = None,
        entity: str | tuple[str, str] | None = None,
        tags: Any = None,
        any_tag: bool = False,
        labels: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        conversation: str | None = None,
        agent: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        project: str | None = None,
        status: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> list[OutcomeRow]:
        """How sessions went, by groups: success rate, and each metric that ``finish(metrics=)`` told.

        Only sessions that the program opened itself: of an implicit one nobody says how it went.

        Args:
            by: groupings, by commas or as a sequence: agent, user, entity, model, name, day, week, month;
                none for all together. A session with several agents or models is in the group of each.
            tz: IANA name of the zone of days, weeks and months; the machine's by default.

        Raises:
            ArgumentError: for a wrong argument.
        """
        names = [name for name in by.split(",") if name.strip()] if isinstance(by, str) else by
        groupings = check_outcome_groupings([str(name).strip() for name in names])
        rows = self.sessions(
            user=user,
            entity=entity,
            tags=tags,
            any_tag=any_tag,
            labels=labels,
            metadata=metadata,
            conversation=conversation,
            agent=agent,
            model=model,
            provider=provider,
            project=project,
            status=status,
            since=since,
            until=until,
        )
        return outcome_rows(rows, groupings, tz or local_zone())

    def cost(  # noqa: D417 - the filters are told once, with the class
        self,
        by: str | Sequence[str] = "model",
        *,
        tz: str | None = None,
        session: str | None = None,
        kind: str | None = None,
        provider: str | None = None,
        conversation: str | None = None,
        user: str | None = None,
        entity: str | tuple[str, str] | None = None,
        tags: Any = None,
        any_tag: bool = False,
        agent: str | None = None,
        model: str | None = None,
        project: str | None = None,
        status: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> list[CostRow]:
        """Own cost in disjoint groups, highest first, or by time where a time is among them.

        Args:
            by: groupings, by commas or as a sequence: session, run, agent, model, provider, user, entity,
                ``tag:K``, tool, project, trace, day, week, month.
            tz: IANA name of the zone of days, weeks and months; the machine's by default.
        """
        names = by.split(",") if isinstance(by, str) else by
        groupings = check_groupings([str(name).strip() for name in names])
        where = make_filter(
            session=session,
            kind=one_of("kind", kind, Kind),
            provider=provider,
            conversation=conversation,
            user=user,
            entity=entity,
            tags=tags,
            any_tag=any_tag,
            agent=agent,
            model=model,
            project=project,
            status=one_of("status", status, Status),
            since=since,
            until=until,
            limit=limit,
        )
        place = local_zone() if tz is None else tz
        zone(place)
        return self._settled().cost(groupings, where, place)

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
        type: str | None = None,  # noqa: A002 - the name that users type
        agent: str | None = None,
        since: datetime | str | None = None,
    ) -> list[EventRow]:
        """What a program told of a session and its child sessions, by time: decisions, messages, events.

        Args:
            session_id: the id, or a beginning that only one session has.
            type: only events of this type; ``message`` stands for ``spantally.message`` as well.
            agent: only those with this agent around them.
            since: only those at or after this time.

        Returns:
            None of a session that is not there, and of a store that keeps no events.
        """
        since_ns = make_filter(agent=agent, since=since).since_ns
        if type is not None and not is_text(type):
            raise ArgumentError(f"type={type!r} is not a type of events; use a text such as message")
        types = None if type is None else {type, f"spantally.{type}"}
        session = self.session(session_id)
        store = self._settled()
        read = getattr(store, "events", None)
        if session is None or read is None:
            return []
        return sorted(
            (
                event
                for one in self._family(store, session)
                for event in read(one)
                if (types is None or event.type in types)
                and (agent is None or agent in event.agent_path)
                and (since_ns is None or event.time_ns >= since_ns)
            ),
            key=lambda event: (event.time_ns, event.event_id),
        )

    def _rows(self, session: SessionRow) -> list[CallRow]:
        """Rows of a session and of the sessions below it."""
        store = self._settled()
        return [row for one in self._family(store, session) for row in store.calls(Filter(session_id=one))]

    def _family(self, store: Store, session: SessionRow) -> list[str]:
        """Ids of a session and of all below it."""
        found: list[str] = []
        taken: set[str] = set()
        level = [session.session_id]
        children = children_of(store)
        while level:
            taken.update(level)
            found.extend(level)
            level = [child for one in level for child in children.get(one, ()) if child not in taken]
        return found

    def reprice(
        self,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        model: str | None = None,
        provider: str | None = None,
        status: str | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Repricing:
        """Rate calls anew from their stored usage, by the rates that are in force now for their time.

        All of it happens in one transaction: rows, sums and the history of earlier figures, or nothing. What
        a provider itself reported as the cost is never changed, and what budgets have counted stays.

        Args:
            since: only calls that began at or after this time.
            until: ... and before this one.
            model: only calls of this model, asked for or answering.
            provider: only calls of this provider.
            status: only calls whose cost has this status (``pending``, ``unknown_model``, ``partial``, ...).
            dry_run: only tell what would change.
            progress: is told how many rows were looked at, and of how many.

        Returns:
            What changed, by provider and model.

        Raises:
            ArgumentError: (a ValueError) for a wrong argument; nothing is done.
            LedgerError: the rates cannot be loaded, or the ledger cannot be written; nothing is changed.
        """
        where = make_filter(model=model, provider=provider, since=since, until=until)
        check_status(status)
        again = getattr(self._store, "reprice", None)
        if again is None:
            raise LedgerError(
                f"a {type(self._store).__name__} cannot rate its calls anew", slug="not_supported"
            )
        found: Repricing = again(
            certain_rater(self._rate), where, status=status, dry_run=dry_run, progress=progress
        )
        self._copy = None
        return found

    def health(self) -> Health:
        """How the store is."""
        return self._store.health()

    # -- the rest -----------------------------------------------------------------------------------

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


def _beginning(store: Store, prefix: str) -> list[str]:
    if isinstance(store, SQLiteStore):
        return store.session_ids(prefix)
    return [row.session_id for row in store.sessions(Filter()) if row.session_id.startswith(prefix)]


def children_of(store: Store) -> dict[str, list[str]]:
    """Ids of child sessions by parent."""
    if isinstance(store, SQLiteStore):
        return store.child_sessions()
    children: dict[str, list[str]] = {}
    for row in store.sessions(Filter()):
        if row.parent_id is not None:
            children.setdefault(row.parent_id, []).append(row.session_id)
    return children
