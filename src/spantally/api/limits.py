"""Budgets and loop guards put into force: for a session, and by the settings file for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from spantally.api.kept_records import kept_name
from spantally.api.store import LedgerConsumer
from spantally.api.totals import known_spending, totals_of
from spantally.budgets import brake, file
from spantally.budgets.account import Account, Opening, Shared, Use, told
from spantally.budgets.budget import Budget, Remaining
from spantally.budgets.loops import LoopGuard, Watch
from spantally.calls import pipeline
from spantally.ground import semconv
from spantally.ground.errors import ArgumentError, LedgerError, shown
from spantally.ground.event_loop import in_event_loop
from spantally.ground.guard import guard, say_once, swallowed
from spantally.ground.places import config_path
from spantally.ground.session_state import SessionState, put_brake, use_common_budget
from spantally.ground.settings import from_environment
from spantally.ground.worker import worker
from spantally.ledger.contract import Filter
from spantally.pricing import ensure_loading, load

WRITE_SECONDS: Final = 1.0
"""How long opening a budget waits at most for the ledger to have what this process used before."""

_MISSING: Final = object()
_shared: tuple[Any, Any] = (_MISSING, None)
"""The ledger in force, and the part of it that processes share budgets by."""


def check(budget: object, loop_guard: object) -> None:
    """Check the arguments of ``session()``.

    Raises:
        ArgumentError: for other types.
    """
    if budget is not None and not isinstance(budget, Budget):
        raise ArgumentError(f"session(budget={shown(budget)}): use spantally.Budget(usd=..., ...)")
    if loop_guard is not None and not isinstance(loop_guard, LoopGuard):
        raise ArgumentError(f"session(loop_guard={shown(loop_guard)}): use spantally.LoopGuard(...)")


def arm(state: SessionState, budget: Any, loop_guard: Any) -> None:
    """Put a session's own budget and loop guard into force.

    Args:
        state: the session.
        budget: a :class:`Budget`, or None.
        loop_guard: a :class:`LoopGuard`, or None.
    """
    if loop_guard is not None:
        state.loop_guard = Watch(loop_guard, state, known_spending)
    if budget is None:
        return
    if not pipeline.consumers():
        say_once(
            "budgets:inactive",
            "spantally: a budget is set, but nothing is watched: call spantally.instrument()",
        )
    session_id = kept_name(state.session_id, semconv.SESSION_ID)
    key = f"session:{session_id}"
    here = _used_here(state)
    opening = _opening(session_id, here)
    account = brake.account_of(key, lambda: Account(key, shared, opening))
    around = state.budget
    put_brake(state, brake.brake_of(around, f"session {state.session_id}", budget, account))
    if budget.usd is not None:
        ensure_loading()
    with guard("api.budget_open"):
        if not account.opened:
            if shared() is None:
                account.open_alone()
            elif in_event_loop():
                told.put(account)
            else:
                account.tell()


def remaining_of(state: SessionState | None) -> Remaining:
    """What is left of a session's budgets. Never raises."""
    try:
        held = None if state is None else state.budget
        if isinstance(held, brake.SessionBrake):
            return held.remaining()
    except Exception as error:
        swallowed("api.remaining", error)
    return Remaining(None, None, None)


# -- the ledger ------------------------------------------------------------------------------------------


def _consumer() -> LedgerConsumer | None:
    """What feeds the ledger in force."""
    for one in pipeline.consumers():
        if isinstance(one, LedgerConsumer):
            return one
    return None


def shared() -> Shared | None:
    """The part of the ledger in force that processes share budgets by; None where there is none."""
    global _shared
    consumer = _consumer()
    if _shared[0] is consumer:
        found: Shared | None = _shared[1]
        return found
    made: Any = None
    try:
        if consumer is not None:
            share = getattr(consumer.open().store, "budget_ledger", None)
            made = None if share is None else share()
    except Exception as error:
        swallowed("api.budget_ledger", error)
    if made is None:
        say_once(
            "budgets:alone",
            "spantally: budgets hold within this process only: there is no ledger file to share them by",
        )
    if _shared[0] is not _MISSING:
        _let_go()
        brake.forget_accounts()  # what was counted under another ledger
    _shared = (consumer, made)
    return _shared[1]  # type: ignore[no-any-return]


def is_kept(call_id: str) -> bool:
    """Whether the ledger in force has a row. Never raises."""
    try:
        known = getattr(shared(), "has", None)
        return known is not None and bool(known(call_id))
    except Exception as error:
        swallowed("api.budget_kept", error)
        return False


brake.is_kept = is_kept


def _rows(question: Callable[[Any], Sequence[Any]]) -> Sequence[Any]:
    """Rows of the ledger in force; none where there is no ledger, or it cannot be read."""
    consumer = _consumer()
    if consumer is None:
        return ()
    try:
        store = consumer.open().store
        waiting = getattr(store, "any_pending", None)
        if waiting is not None and not in_event_loop() and waiting():
            load()  # rows of a process that ended before it had the prices
            consumer.settle()
        return question(store)
    except LedgerError:
        return ()  # that it cannot be used is told where budgets are shared by it


def _used_here(state: SessionState) -> Use:
    """What this process knows of what a session has used."""
    totals = totals_of(state)
    return (
        totals.cost_nano_usd or 0,
        totals.calls,
        totals.input_tokens + totals.output_tokens,
        totals.unpriced_calls,
    )


def _opening(session_id: str, here: Use) -> Opening:
    """Tells what a session had used before its budget: by the ledger, and at least what is known here."""

    def before(mine: Use) -> Use:
        kept = _sums(_rows(lambda store: store.sessions(Filter(session_id=session_id))))
        return _most(here, _less(kept, mine))

    return Opening(before, lambda mine: _written() if any(here) or any(mine) else False, again=True)


def _written() -> bool:
    """Bring what this process used into the ledger, if this thread may wait. Never raises."""
    try:
        if in_event_loop() or _consumer() is None:
            return False
        brake.settle_pending()
        if not worker.is_here():
            return worker.flush(WRITE_SECONDS)
        while batch := pipeline.records.take(64):
            pipeline.records.run(batch)
    except Exception as error:
        swallowed("api.budget_written", error)
        return False
    return True


def _less(one: Use, other: Use) -> Use:
    return one[0] - other[0], one[1] - other[1], one[2] - other[2], one[3] - other[3]


def _most(one: Use, other: Use) -> Use:
    return max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _sums(rows: Sequence[Any]) -> Use:
    return (
        sum(row.cost_nano_usd or 0 for row in rows),
        sum(row.calls for row in rows),
        sum(row.input_tokens + row.output_tokens for row in rows),
        sum(row.unpriced_calls for row in rows),
    )


def _let_go(batch: Sequence[object] = ()) -> None:
    """Before a fork and at exit: no connection is carried across."""
    held = _shared[1]
    if held is not None:
        held.close()


worker.channel("budget_ledger", _let_go, on_stop=_let_go)


# -- the settings file -----------------------------------------------------------------------------------


def use_file() -> None:
    """Put the budgets of the settings file into force, if there is one."""
    path = config_path()
    if not path.is_file():
        if from_environment("config") is not None:
            say_once(f"config:{path}", "spantally: there is no settings file %s (SPANTALLY_CONFIG)", path)
        return
    rules, wrong = file.read_rules(path)
    file.say_wrong(wrong)
    if rules:
        brake.use_rules(file.FileRules(rules, _file_account))
        use_common_budget(brake.SessionBrake())
        if any(rule.budget.usd is not None for rule in rules):
            ensure_loading()


def drop_file() -> None:
    """Take the budgets of the settings file back."""
    brake.use_rules(None)
    use_common_budget(None)


def _file_account(key: str, selection: file.Selection) -> Account:
    selection, key = _as_kept(selection, key)

    def before(mine: Use) -> Use:
        return _most((0, 0, 0, 0), _less(_used_before(selection), mine))

    return Account(key, shared, Opening(before, lambda mine: any(mine) and _written()))


def _as_kept(selection: file.Selection, key: str) -> tuple[file.Selection, str]:
    """A selection, and the name of its account, as the ledger has users, entities, tags and sessions."""
    user, entity, tag, session_id = selection[:4]
    kept_user = None if user is None else kept_name(user, semconv.USER_ID)
    kept_entity = None if entity is None else (entity[0], kept_name(entity[1], semconv.ENTITY_ID))
    kept_tag = None if tag is None else (tag[0], kept_name(tag[1], semconv.TAG_PREFIX + tag[0]))
    kept_session = None if session_id is None else kept_name(session_id, semconv.SESSION_ID)
    made = file.Selection(kept_user, kept_entity, kept_tag, kept_session, selection.since_ns)
    if made == selection:
        return selection, key
    raw = (user, entity and entity[1], tag and tag[1], session_id)
    kept = (kept_user, kept_entity and kept_entity[1], kept_tag and kept_tag[1], kept_session)
    for old, new in zip(raw, kept, strict=True):
        if old and new and old != new:
            key = key.replace(old, new)
    return made, key


def _used_before(selection: file.Selection) -> Use:
    """What the calls of a selection have used, as the ledger has it."""
    session_id = selection.session_id
    if session_id is not None and not (selection.user or selection.entity or selection.tag):
        return _sums(_rows(lambda store: store.sessions(Filter(session_id=session_id))))
    kind, ident = selection.entity or (None, None)
    where = Filter(
        user=selection.user,
        entity_type=kind,
        entity_id=ident,
        tags=() if selection.tag is None else (selection.tag,),
        since_ns=selection.since_ns,
        until_ns=time.time_ns(),
    )

    def rows(store: Any) -> list[Any]:
        from spantally.queries.of_session import family_of  # only where a budget is of a part of a session

        # Whom a call is for changes within a session: it is asked of the calls, and of those beneath it, too.
        within = (None,) if session_id is None else family_of(store, session_id)
        each = (replace(where, session_id=one) for one in within)
        return [row for one in each for row in store.cost(("project",), one, "UTC")]

    return _sums(_rows(rows))
