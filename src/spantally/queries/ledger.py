"""``open_ledger()``: typed questions to the store of this process, or to a file."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from spantally.ground import places
from spantally.ground.errors import ArgumentError, LedgerError, shown
from spantally.ground.places import default_ledger_path
from spantally.ground.records import Kind, SessionStatus, Status
from spantally.ground.settings import from_environment
from spantally.ledger.contract import CallRow, CostRow, Health, SessionRow, Store
from spantally.ledger.grouping import check_groupings, named_zone
from spantally.ledger.opening import open_store
from spantally.ledger.ordering import CALL_ORDERS, SESSION_ORDERS, resolve_order
from spantally.ledger.repricing import Progress, Repricing, check_status
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.queries.arguments import make_filter, names_of, one_of
from spantally.queries.conversations import Conversations
from spantally.queries.of_session import OfSession
from spantally.queries.outcomes import OutcomeRow, check_outcome_groupings, outcome_rows
from spantally.queries.rating import certain_rater
from spantally.queries.times import local_zone

IN_MEMORY: Final = ":memory:"

_active: Store | None = None
_asked: Store | None = None
"""A ledger in memory that was opened for reading before it had its first record."""
_lock = threading.RLock()


def set_active_store(store: Store | None) -> None:
    """Name the store of this process, which :func:`open_ledger` without a path answers from.

    Args:
        store: the store, or None when there is none any more.
    """
    global _active, _asked
    with _lock:
        _active = store
        if store is None:
            _asked = None


def begin_store(target: object, open_: Callable[[], Store]) -> Store:
    """Open the store that this process writes from now on, and name it.

    Args:
        target: what it was told to write; of a ledger in memory whoever has opened it has this one.
        open_: opens it otherwise.
    """
    global _asked
    if target != IN_MEMORY:
        store = open_()
        set_active_store(store)
        return store
    with _lock:
        store, _asked = open_() if _asked is None else _asked, None
        set_active_store(store)
        return store


def forget_asked() -> None:
    """There will be no record in it."""
    global _asked
    with _lock:
        _asked = None


def _asked_early() -> Store:
    """The ledger in memory of this process, which has no record yet."""
    global _asked
    with _lock:
        if _active is not None:
            return _active
        if _asked is None:
            _asked = open_store(IN_MEMORY)
        return _asked


def active_store() -> Store | None:
    """The store of this process, if it has one."""
    return _active


def _after_fork_in_child() -> None:
    """A lock that another thread of the parent held at the fork would be held in the child for ever."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)


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
        target = places.written()  # told, and not opened yet: there was no record
        if target == IN_MEMORY:
            return Ledger(_asked_early(), owned=False)
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
    if store is target:
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


class Ledger(OfSession, Conversations):
    """Typed questions to one ledger; a context manager that closes it.

    Every method that takes filters knows: ``conversation``, ``user``, ``entity`` (``"type:id"`` or
    ``"type"``), ``tags`` (a mapping, or ``"k=v,k=v"``; all must match, or with ``any_tag`` one), ``agent``,
    ``model``, ``project``, ``status``, ``since`` and ``until`` (a datetime, RFC 3339 text, or ``"24h"``,
    ``"7d"``). Wrong values raise :class:`~spantally.ground.errors.ArgumentError`.
    """

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
            metadata=metadata,
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

    def calls(
        self,
        *,
        session: str | None = None,
        kind: str | None = None,
        provider: str | None = None,
        finish_reason: str | None = None,
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
            finish_reason=finish_reason,
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
        """How sessions went, by groups: success rate, each metric that ``finish(metrics=)`` told, and scores.

        Scores are those of evaluations and feedback, as ``evaluation.NAME``, each result for itself.

        Only sessions that the program opened itself: of an implicit one nobody says how it went.

        Args:
            by: groupings, by commas or as a sequence: agent, user, entity, model, name, day, week, month;
                none for all together. A session with several agents or models is in the group of each.
            tz: IANA name of the zone of days, weeks and months; the machine's by default.

        Raises:
            ArgumentError: for a wrong argument.
        """
        names = names_of("by", by)
        groupings = check_outcome_groupings(
            [name for name in names if name] if isinstance(by, str) else names
        )
        place = local_zone() if tz is None else named_zone(tz).key
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
        scores: dict[str, list[tuple[str, float]]] = {}
        read = getattr(self._store, "scores", None)
        for session_id, name, score in () if read is None else read([row.session_id for row in rows]):
            scores.setdefault(session_id, []).append((name, score))
        return outcome_rows(rows, groupings, place, scores)

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
        groupings = check_groupings(names_of("by", by))
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
        place = local_zone() if tz is None else named_zone(tz).key
        return self._settled().cost(groupings, where, place)

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
        if progress is not None and not callable(progress):
            raise ArgumentError(f"progress={shown(progress)} is not allowed; use a function of two numbers")
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
