"""The brake of a session: every budget that holds for its calls, asked one after the other.

The budgets are those of the session, of the sessions around it, and of the settings file.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from spantally.budgets.account import Account, Spent, late, told
from spantally.budgets.budget import Amounts, Budget, Remaining, remaining_of
from spantally.budgets.line import Line
from spantally.calls.pipeline import end_late_now
from spantally.ground.brakes import Ask, NotYetError
from spantally.ground.errors import Refusal
from spantally.ground.event_loop import in_event_loop
from spantally.ground.ids import is_given
from spantally.ground.money import CostStatus, Rating
from spantally.ground.records import COUNTED_KINDS, CallRecord, Precedence, Status, UsageFormat
from spantally.ground.scope import Scope
from spantally.ground.session_state import SessionState, known_session
from spantally.pricing import load, loaded, on_loaded
from spantally.pricing.rate import quote, rate_if_loaded

MOST_PENDING: Final = 10_000
"""Ended calls that wait for the prices; the oldest then counts as unpriced."""

MOST_FOREIGN: Final = 3_000
"""Ids of foreign calls that are remembered."""

MOST_CALLS: Final = 100_000
"""Calls with a reservation that are remembered, and response ids of calls that have ended."""


class Who(Protocol):
    """Whose call it is: a scope, or the record of a call."""

    @property
    def user_id(self) -> str | None:
        """``user.id``."""

    @property
    def entity_type(self) -> str | None:
        """Type of the entity."""

    @property
    def entity_id(self) -> str | None:
        """Id of the entity."""

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        """Effective tags."""


class Rules(Protocol):
    """The budgets of the settings file."""

    def lines(self, who: Who, session_id: str) -> Sequence[Line]:
        """Those that hold for a call."""


rules: Rules | None = None
"""The budgets of the settings file in force."""

is_kept: Callable[[str], bool] | None = None
"""Tells whether the ledger in force has a row; None where nobody can."""

_open: Final[dict[str, tuple[Line, ...]]] = {}
"""Calls that have reserved something, and where."""

_pending: Final[deque[tuple[CallRecord, tuple[Line, ...]]]] = deque()
"""Calls that ended before the prices were there."""

_answered: Final[dict[str, None]] = {}
"""Responses, spans and foreign calls whose use was counted: a second view of one adds nothing."""

_foreign: Final[dict[str, tuple[CallRecord, tuple[Line, ...]]]] = {}
"""Foreign calls that count, by each id that a metered call may share with them."""


_Booked = tuple[Line, Amounts, int]
"""Where a call was counted, as what, and whether its cost was unknown."""

_untold: Final[dict[str, tuple[CallRecord, list[_Booked]]]] = {}
"""Metered calls that count and told no usage, or an estimate, by their answer."""


def use_rules(found: Rules | None) -> None:
    """Put the budgets of the settings file into force."""
    global rules
    rules = found


class SessionBrake:
    """What holds for the calls of a session."""

    __slots__ = ("own",)

    def __init__(self, own: tuple[Line, ...] = ()) -> None:
        """Put together what a session and those around it ask for.

        Args:
            own: their budgets, the session's own last.
        """
        self.own = own

    def _lines(self, who: Who, session_id: str) -> tuple[Line, ...]:
        found = rules
        return self.own if found is None else (*self.own, *found.lines(who, session_id))

    # -- before --------------------------------------------------------------------------------------

    def admit(self, scope: Scope, ask: Ask, *, wait: bool, alone: bool = False) -> None:
        """See :class:`spantally.ground.brakes.Brake`."""
        lines = self._lines(scope, root_id(scope))
        if not lines:
            return
        end_late_now()  # what has ended counts as used, not as reserved
        if _pending and loaded():
            _settle_pending()
        strict = any(_must(line.budget, ask) or line.budget.on_unpriced == "refuse" for line in lines)
        amounts, priced = _expected(ask, lines, wait=wait, strict=strict and not alone)
        mine: list[Line] = []
        try:
            for line in lines:
                if not priced and line.budget.limits[0] is not None:
                    line.meet_unpriced(scope, ask)
                must = _must(line.budget, ask)
                if line.account.has(ask.call_id):
                    continue  # the task that does not wait for the worker any more has been here
                verdict = line.account.reserve(ask.call_id, amounts, wait=wait, alone=alone, force=not must)
                if verdict.granted or not must:
                    mine.append(line)
                if not verdict.granted:
                    line.exceeded(scope, verdict.used, verdict.reserved, verdict.unpriced, refuse=must)
        except BaseException as error:
            # A failure of ours stops no call: what was reserved stays so until its end.
            if isinstance(error, (Refusal, NotYetError)) or not isinstance(error, Exception):
                for line in mine:
                    line.account.release(ask.call_id)
            raise
        _open[ask.call_id] = lines
        if len(_open) > MOST_CALLS:
            _open.pop(next(iter(_open)), None)

    def release(self, call_id: str) -> None:
        """See :class:`spantally.ground.brakes.Brake`."""
        for line in _open.pop(call_id, ()):
            line.account.release(call_id)

    def admit_turn(self, scope: Scope) -> None:
        """See :class:`spantally.ground.brakes.Brake`."""
        for line in self._lines(scope, root_id(scope)):
            if line.budget.on_exceed != "soft":
                continue
            account = line.account
            if not account.opened:
                if in_event_loop():
                    told.put(account)
                else:
                    account.tell()
            end_late_now()
            account.look()
            used, reserved = account.standing()
            full = any(
                limit is not None and one + more >= limit
                for limit, one, more in zip(line.budget.limits, used, reserved, strict=True)
            )
            if full:
                line.exceeded(scope, used, reserved, account.unpriced, refuse=True)

    # -- after ---------------------------------------------------------------------------------------

    def ended(self, record: CallRecord) -> None:
        """See :class:`spantally.ground.brakes.Brake`."""
        lines = _open.pop(record.call_id, None)
        if _is_second_view(record) or _is_told_again(record.call_id):
            return
        if lines is None:  # nobody asked before it: another instrumentor's, or one that the server began
            state = known_session(record.session_id)
            lines = self._lines(record, record.session_id if state is None else _root_of(state))
        counted = record.kind in COUNTED_KINDS
        if counted and _foreign and record.precedence >= Precedence.METERED:
            _retract_views(record)
        if lines:
            if counted and record.precedence < Precedence.METERED:
                _note_foreign(record, lines)
            _settle(record, lines)

    def remaining(self) -> Remaining:
        """What is left of the budgets of the session and those around it, the least of each unit."""
        if _pending and loaded():
            _settle_pending()
        least: list[int | None] = [None, None, None]
        for line in self.own:
            account = line.account
            if not account.opened and not in_event_loop():
                account.tell()
            account.look()
            used, reserved = account.standing()
            for index, limit in enumerate(line.budget.limits):
                if limit is not None:
                    left = limit - used[index] - reserved[index]
                    before = least[index]
                    least[index] = left if before is None else min(before, left)
        return remaining_of(least)


def _settle(record: CallRecord, lines: tuple[Line, ...], *, last: bool = False) -> None:
    """Put what a call used in the place of what it reserved, once its price can be told."""
    priced = any(line.budget.limits[0] is not None for line in lines)
    rating = rate_if_loaded(record) if priced else None
    if rating is not None and rating.status == CostStatus.PENDING and not last:
        _pending.append((record, lines))
        on_loaded(_settle_pending)
        if len(_pending) > MOST_PENDING:
            _settle(*_pending.popleft(), last=True)
        return
    used, unpriced = _used(record, rating)
    answer = _answer(record) if record.precedence >= Precedence.METERED else None
    told = record.usage is not None and not record.estimated
    if answer is not None and told:
        _take_back(record, _untold.pop(answer, None))
    booked: list[_Booked] = []
    for line in lines:
        missing = unpriced if line.budget.limits[0] is not None else 0
        booked.append((line, line.account.settle(record.call_id, used, missing), missing))
        line.tell_shares(record)
    if answer is not None and not told:
        _untold[answer] = (record, booked)
        while len(_untold) > MOST_FOREIGN:
            _untold.pop(next(iter(_untold)), None)


def _take_back(record: CallRecord, view: tuple[CallRecord, list[_Booked]] | None) -> None:
    """Take out a call that told no usage, or an estimate: reading its answer again has told it."""
    if view is None or view[0].scope_name == record.scope_name:
        return
    for line, spent, unpriced in view[1]:
        line.account.settle(view[0].call_id, Spent(-spent.usd, -spent.calls, -spent.tokens), -unpriced)


def _settle_pending() -> None:
    """The prices are there: settle what waited for them."""
    for _ in range(len(_pending)):
        try:
            record, lines = _pending.popleft()
        except IndexError:
            return
        _settle(record, lines)


def settle_last() -> None:
    """At the end: calls whose prices do not come any more count as calls without a known cost."""
    if loaded():
        _settle_pending()
    while _pending:
        _settle(*_pending.popleft(), last=True)


def settle_pending() -> None:
    """Settle what waits for the prices; loads them where they are not there. The thread may wait."""
    if _pending:
        load()
        _settle_pending()


def brake_of(around: object, name: str, budget: Budget, account: Account) -> SessionBrake:
    """The brake of a session with a budget of its own.

    Args:
        around: the brake of what is around it.
        name: what the budget is of.
        budget: its own.
        account: where that is counted.
    """
    outer = around.own if isinstance(around, SessionBrake) else ()
    kept = tuple(line for line in outer if line.account is not account)
    return SessionBrake((*kept, Line(name, budget, account)))


def root_id(scope: Scope) -> str:
    """Id of the outermost session around."""
    return _root_of(scope.session)


def _root_of(state: SessionState) -> str:
    while state.parent is not None:
        state = state.parent
    return state.session_id


def _must(budget: Budget, ask: Ask) -> bool:
    """Whether a budget refuses the call where it has no room for it."""
    return budget.on_exceed == "hard" or (budget.on_exceed == "soft" and ask.turn)


def _expected(ask: Ask, lines: Iterable[Line], *, wait: bool, strict: bool) -> tuple[Amounts, bool]:
    """What a call may use at most, and whether a price is known for it; nobody waits where none refuses."""
    tokens = ask.input_tokens + ask.output_tokens
    if all(line.budget.limits[0] is None for line in lines):
        return Amounts(0, 1, tokens), True
    record = CallRecord(
        ask.call_id,
        "",
        ask.kind,
        "",
        time.time_ns(),
        provider=ask.provider,
        request_model=ask.model,
        usage={"uncached_input": max(1, ask.input_tokens), "output": ask.output_tokens},
        usage_format=UsageFormat.PARTS,
        price_context=ask.price_context,
        server_address=ask.server_address,
    )
    rating = quote(record)
    if rating.status == CostStatus.PENDING:
        if not strict:
            return Amounts(0, 1, tokens), True
        if not wait:
            raise NotYetError
        load()
        rating = quote(record)
    # A call that a flat plan covers costs nothing of its own, so no limit in dollars is unsure of it.
    known = rating.nano_usd is not None or rating.status == CostStatus.COVERED
    return Amounts(rating.nano_usd or 0, 1, tokens), known


def _used(record: CallRecord, rating: Rating | None) -> tuple[Spent, int]:
    """What a call or paid tool used, and whether its cost is unknown."""
    if record.kind not in COUNTED_KINDS:
        return Spent((rating or rate_if_loaded(record)).nano_usd or 0, 0, 0), 0
    if record.usage is None and record.status == Status.ERROR and not record.possibly_billed:
        return Spent(0, 1, 0), 0  # refused by the provider, or not sent: it bills nothing
    if rating is None:
        rating = rate_if_loaded(record)
    nano, parts = rating.nano_usd, rating.parts
    if parts is None or rating.status == CostStatus.BAD_USAGE:
        tokens = None
    else:  # a prompt is never empty: of a host that fills in zeros nothing is known
        tokens = (parts.input_total + parts.output_total) or None
    if rating.status == CostStatus.COVERED:
        nano = 0
    unknown = nano is None
    if unknown and tokens is not None and rating.status != CostStatus.PENDING:
        nano = 0  # no rate is known for what it used
    return Spent(nano, 1, tokens), int(unknown)


def _is_told_again(call_id: str) -> bool:
    """Whether what the program names is in the ledger: its use was counted when it came there."""
    asked = is_kept
    return asked is not None and is_given(call_id) and asked(call_id)


def _is_second_view(record: CallRecord) -> bool:
    """Whether what a record tells has been counted: a foreign span of a call that was, or told once more.

    What is one call is as for the totals of a session (see :class:`spantally.api.fold.Fold`).
    """
    foreign = record.precedence < Precedence.METERED
    answer = _answer(record)
    span, parent = (record.span_id, record.parent_span_id) if record.kind in COUNTED_KINDS else (None, None)
    if foreign:
        around = None if span is None else f"around {span}"
        views = (record.call_id, answer, around, span, None if span is None else parent)
        if any(key is not None and key in _answered for key in views):
            return True
        _answered[record.call_id] = None
    for key in (answer, span, None if parent is None else f"around {parent}"):
        if key is not None:
            _answered[key] = None
    if len(_answered) > MOST_CALLS:
        for old in tuple(_answered)[: MOST_CALLS // 2]:
            _answered.pop(old, None)
    return False


def _note_foreign(record: CallRecord, lines: tuple[Line, ...]) -> None:
    """Remember a foreign call that counts: a metered one may tell of the same, and better."""
    view = (record, lines)
    for key in _ids(record):
        _foreign[key] = view
    while len(_foreign) > MOST_FOREIGN:
        _foreign.pop(next(iter(_foreign)), None)


def _retract_views(record: CallRecord) -> None:
    """Take out foreign calls beneath this one, of its span, around it, or of its response."""
    for key in _ids(record):
        view = _foreign.get(key)
        if view is None or (key == record.parent_span_id and view[0].span_id != key):
            continue
        other, lines = view
        for known in _ids(other):
            _foreign.pop(known, None)
        try:
            _pending.remove(view)
            continue  # it had not been counted yet
        except ValueError:
            pass
        used, unpriced = _used(other, None)
        less = Spent(-(used.usd or 0), -used.calls, -(used.tokens or 0))
        for line in lines:
            line.account.settle(other.call_id, less, -unpriced if line.budget.limits[0] is not None else 0)


def _ids(record: CallRecord) -> list[str]:
    """By what a foreign call and a metered one may be known for the same."""
    return [key for key in (record.span_id, _answer(record), record.parent_span_id) if key is not None]


def _answer(record: CallRecord) -> str | None:
    return None if record.response_id is None else f"{record.session_id} {record.response_id}"


# -- accounts by name ------------------------------------------------------------------------------------

_accounts: Final[weakref.WeakValueDictionary[str, Account]] = weakref.WeakValueDictionary()
"""Those in use: a session keeps its own alive, the settings file those of its budgets."""

_accounts_lock = threading.Lock()


def account_of(key: str, make: Callable[[], Account]) -> Account:
    """The account of a name: the one that is in use, or a new one."""
    found = _accounts.get(key)
    if found is None:
        with _accounts_lock:
            found = _accounts.get(key)
            if found is None:
                found = _accounts[key] = make()
    return found


def forget_accounts() -> None:
    """Forget every account of this process (a new ledger, tests)."""
    _accounts.clear()
    late.clear()
    _open.clear()
    _answered.clear()
    _foreign.clear()
    _untold.clear()
    _pending.clear()


def _after_fork_in_child() -> None:
    _pending.clear()  # they are counted by the parent


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
