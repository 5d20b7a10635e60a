"""An account: what is used and reserved under one budget, in this process and, by the ledger, in all of them.

It lives in memory but for the visits to the ledger. These happen when what was set aside there is used up
(see :mod:`spantally.ledger.sqlite.budgets`), and, on the worker, when calls have ended.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from spantally.budgets.budget import NOTHING, Amounts
from spantally.ground.brakes import NotYetError
from spantally.ground.errors import LedgerError
from spantally.ground.event_loop import in_event_loop
from spantally.ground.guard import say_once, swallowed
from spantally.ground.worker import worker

MOST_HOLDS: Final = 100_000
"""Reservations of one account; the oldest is forgotten beyond it (a call that never ends)."""


QUIET_SECONDS: Final = 5.0
"""How long calls go by what this process knows after the ledger could not be asked."""


FRESH_SECONDS: Final = 0.5
"""How old what was heard of other processes may be where somebody asks."""


MOST_PAUSE: Final = 100.0
"""Beyond it the worker no longer stays awake for a ledger that cannot be used."""


TRIES: Final = 3
"""How often what this process used itself is looked at anew, where calls end while an account is opened."""

Use: TypeAlias = tuple[int, int, int, int]
"""Nano-USD, calls, tokens, unpriced calls."""


class Spent(NamedTuple):
    """What a call used, by unit; None where that is not known: then what it had reserved counts."""

    usd: int | None
    calls: int
    tokens: int | None


class Opening(NamedTuple):
    """How an account learns what was used before it was opened."""

    before: Callable[[Use], Use]
    """What was used before, by what this account has counted itself: that is in the ledger, too."""
    write: Callable[[Use], bool] = lambda _: False
    """Brings what this process used into the ledger; False where it did not: then it is not in there."""
    again: bool = False
    """Whether that is asked, too, where the account was opened before: by programs without this budget."""


class Shared(Protocol):
    """The part of a ledger that processes share budgets by."""

    def visit(
        self,
        account: str,
        told: tuple[int, int, int, int],
        held: tuple[int, int, int],
        ask: tuple[int, int, int] | None,
        limits: Sequence[int | None],
        opening: Callable[[], tuple[int, int, int, int]],
        *,
        again: bool = False,
    ) -> Any:
        """See :meth:`spantally.ledger.sqlite.budgets.BudgetLedger.visit`."""

    def standing(self, account: str) -> Any:
        """See :meth:`spantally.ledger.sqlite.budgets.BudgetLedger.standing`."""


class Verdict(NamedTuple):
    """Whether a call is let through, and how the account stood."""

    granted: bool
    used: Amounts
    """By everybody, so far as is known."""
    reserved: Amounts
    """By calls in flight here, and what other processes have set aside."""
    unpriced: int


class Account:
    """One account. Its lock is held for a few lines of arithmetic, never while the ledger is asked."""

    def __init__(
        self,
        key: str,
        shared: Callable[[], Shared | None],
        opening: Opening,
    ) -> None:
        """Name an account.

        Args:
            key: stands for it in the ledger.
            shared: gives the part of the ledger in force, or None where there is none.
            opening: tells what was used before it was opened.
        """
        self.key = key
        self._shared = shared
        self._ask_opening = opening
        self._first: Use | None = None
        self._mine: Use | None = None
        """What this account had counted itself when it was written to the ledger."""
        self.limits: Sequence[int | None] = (None, None, None)
        self._opened = False
        self._refuses = False
        """Whether the last call was one that could be refused: then other processes set aside here, too."""
        self.used = NOTHING
        """By everybody as last told, and by this process since."""
        self.unpriced = 0
        self.told_shares: set[tuple[str, float, int]] = set()
        """Unit, share and limit of what was told."""
        self._fresh()
        _accounts.add(self)

    def _fresh(self) -> None:
        self._lock = threading.RLock()
        self._visiting = threading.Lock()
        self._untold = NOTHING
        self._untold_unpriced = 0
        self._holds: dict[str, Amounts] = {}
        self.held = NOTHING
        self._lease = NOTHING
        self._others = NOTHING
        self._queued = False
        self._quiet_until = 0.0
        self._heard_at = -FRESH_SECONDS

    # -- reserving -----------------------------------------------------------------------------------

    def reserve(self, call_id: str, ask: Amounts, *, wait: bool, alone: bool, force: bool) -> Verdict:
        """Reserve what a call may use.

        Args:
            call_id: of the call.
            ask: what it may use.
            wait: whether this thread may visit the ledger.
            alone: do not visit it.
            force: reserve it whatever the limit says (the budget only warns).

        Raises:
            NotYetError: the ledger has to be visited, and this thread may not wait.
        """
        if call_id in self._holds:
            return self._verdict(True)
        self._refuses = not force
        shared = self._shared()
        if alone:
            self._quiet_until = time.monotonic() + QUIET_SECONDS
        if force and shared is not None:
            return self._note(call_id, ask)
        if shared is not None and time.monotonic() < self._quiet_until:
            shared = None
        if shared is None and not self._opened:
            self.open_alone()
        with self._lock:
            verdict = self._locally(ask, shared)
            if verdict is not None:
                if verdict.granted or force:
                    self._hold(call_id, ask)
                return verdict
        assert shared is not None
        if not wait:
            raise NotYetError
        verdict = self._visit(shared, ask, call_id, force=force)
        return verdict or self.reserve(call_id, ask, wait=wait, alone=True, force=force)

    def _note(self, call_id: str, ask: Amounts) -> Verdict:
        """Reserve for a budget that refuses nothing now: the ledger is told by the worker, nobody waits."""
        if not self._opened and not self._queued:
            self._queued = True
            told.put(self)
        with self._lock:
            verdict = self._verdict(self._has_room())
            self._hold(call_id, ask)
            return verdict

    def _has_room(self) -> bool:
        return all(
            limit is None or used + held + other < limit
            for limit, used, held, other in zip(self.limits, self.used, self.held, self._others, strict=True)
        )

    def _locally(self, ask: Amounts, shared: Shared | None) -> Verdict | None:
        """The answer from memory, or None where the ledger has to be asked. The lock is held."""
        if shared is None:
            return self._verdict(self._has_room())
        fits = self._opened and self._fits(self._untold.plus(self.held).plus(ask))
        return self._verdict(True) if fits else None

    def _verdict(self, granted: bool) -> Verdict:
        return Verdict(granted, self.used, self.held.plus(self._others), self.unpriced)

    def _hold(self, call_id: str, ask: Amounts) -> None:
        # The task that waited in vain for the worker has reserved its call itself.
        self.held = self.held.plus(self._holds.get(call_id, NOTHING), -1).plus(ask)
        self._holds[call_id] = ask
        if len(self._holds) > MOST_HOLDS:
            self.held = self.held.plus(self._holds.pop(next(iter(self._holds))), -1)

    def release(self, call_id: str) -> None:
        """Take a reservation back: another budget has refused the call."""
        with self._lock:
            held = self._holds.pop(call_id, None)
            if held is not None:
                self.held = self.held.plus(held, -1)

    def settle(self, call_id: str, used: Spent, unpriced: int) -> Amounts:
        """Put what a call used in the place of what it reserved.

        Args:
            call_id: of the call.
            used: what it used, so far as that is known.
            unpriced: 1 where its cost is not known.

        Returns:
            What it counts as.
        """
        with self._lock:
            held = self._holds.pop(call_id, NOTHING)
            self.held = self.held.plus(held, -1)
            spent = Amounts(
                held.usd if used.usd is None else used.usd,
                used.calls,
                held.tokens if used.tokens is None else used.tokens,
            )
            self.used = self.used.plus(spent)
            self._untold = self._untold.plus(spent)
            self.unpriced += unpriced
            self._untold_unpriced += unpriced
            # More than the ledger has set aside: until it is told, others take what is left for theirs.
            pressing = self._refuses and not self._fits(self._untold.plus(self.held))
            known, self._queued = self._queued, True
        if known and not pressing:
            return spent
        if self._shared() is None:
            self._queued = False
            return spent
        if not known:
            told.put(self)
        if pressing and time.monotonic() >= self._quiet_until:
            worker.hurry()
        return spent

    def has(self, call_id: str) -> bool:
        """Whether a call has a reservation here."""
        return call_id in self._holds

    # -- the ledger ----------------------------------------------------------------------------------

    def _opening(self) -> tuple[int, int, int, int]:
        """What was used before; asked for once, since later it would hold what was used since.

        An account that is opened and not in the ledger has been told to one that was moved or deleted.
        """
        with self._lock:
            if self._opened:
                known = self.used.plus(self._untold, -1)
                return *known, self.unpriced - self._untold_unpriced
        if self._first is None:
            self._first = self._ask_opening.before(self._mine or (0, 0, 0, 0))
        return self._first

    def _write_mine(self) -> None:
        """Before what was used is asked for: bring what is counted here into the ledger. No lock is held.

        Calls that nobody asked about end whenever they end, also before their account is opened; without
        this the ledger may have them or not, and nobody knows which.
        """
        if self._opened or self._first is not None:
            return
        for _ in range(TRIES):
            mine = (*self.used, self.unpriced)
            self._mine = mine if self._ask_opening.write(mine) else None
            if (*self.used, self.unpriced) == mine:
                return

    def open_alone(self) -> None:
        """Count what was used before, without a ledger to share by."""
        if self._mine is None:
            self._write_mine()
        first = self._opening()
        with self._lock:
            if not self._opened:
                self._opened = True
                self.used = self.used.plus(Amounts(*first[:3]))
                self.unpriced += first[3]

    def _visit(
        self, shared: Shared, ask: Amounts | None, call_id: str = "", *, force: bool = False
    ) -> Verdict | None:
        """Tell the ledger and have some set aside; None where it cannot be used.

        The reservation is made in the same breath: another thread cannot take what was set aside for it.
        """
        self._write_mine()
        with self._visiting:
            with self._lock:
                untold, unpriced, held = self._untold, self._untold_unpriced, self.held
                if ask is not None and self._opened and self._fits(untold.plus(held).plus(ask)):
                    self._hold(call_id, ask)  # another call has been there meanwhile
                    return self._verdict(True)
            try:
                found = shared.visit(
                    self.key,
                    (*untold, unpriced),
                    held,
                    ask,
                    self.limits,
                    self._opening,
                    again=self._ask_opening.again and not self._opened,
                )
            except LedgerError as error:
                self._quiet_until = time.monotonic() + QUIET_SECONDS
                say_once(
                    f"budgets:{error.slug}",
                    "spantally: budgets hold within this process only, since other processes cannot be "
                    "asked: %s",
                    error,
                )
                if not self._opened:
                    self.open_alone()
                return None
            with self._lock:
                self._opened = True
                self._untold = self._untold.plus(untold, -1)
                self._untold_unpriced -= unpriced
                self._hear(found, time.monotonic())
                self._lease = Amounts(*found.lease)
                if ask is not None and (found.granted or force):
                    self._hold(call_id, ask)
                return self._verdict(bool(found.granted))

    def _fits(self, mine: Amounts) -> bool:
        return all(
            limit is None or amount <= lease
            for limit, amount, lease in zip(self.limits, mine, self._lease, strict=True)
        )

    def tell(self) -> bool:
        """Tell the ledger what was used and give back what is not needed, on the worker.

        Returns:
            False where it could not be told: that is to be tried again.
        """
        self._queued = False
        shared = self._shared()
        if shared is None or not (any(self._untold) or any(self._lease) or not self._opened):
            return True
        if self._visit(shared, None) is not None:
            return True
        late[self] = None
        return False

    def look(self) -> None:
        """Hear what other processes have used, unless that was a moment ago; no event loop is held up."""
        shared = self._shared()
        now = time.monotonic()
        if shared is None or not self._opened or now < self._heard_at + FRESH_SECONDS:
            return
        if not self._visiting.acquire(blocking=not in_event_loop()):
            return
        try:
            found = shared.standing(self.key)
            if found is not None:
                with self._lock:
                    self._hear(found, now)
        finally:
            self._visiting.release()

    def _hear(self, found: Any, now: float) -> None:
        """Take over what the ledger says. The lock is held."""
        self._heard_at = now
        self.used = Amounts(*found.used).plus(self._untold)
        self.unpriced = found.unpriced + self._untold_unpriced
        self._others = Amounts(*found.others)

    @property
    def opened(self) -> bool:
        """Whether what was used before is known."""
        return self._opened

    def standing(self) -> tuple[Amounts, Amounts]:
        """What is used, and what is reserved; counts what was used before, too."""
        found: Any = None
        if not self._opened:
            shared = self._shared()
            if shared is None:
                self.open_alone()
            else:
                found = shared.standing(self.key)  # in an event loop the worker opens it, in a moment
        with self._lock:
            if found is None or self._opened:
                return self.used, self.held.plus(self._others)
            return self.used.plus(Amounts(*found.used)), self.held.plus(Amounts(*found.others))


late: Final[dict[Account, None]] = {}
"""Accounts that could not be told of: what they used would be missing in the ledger for good."""

_pause = QUIET_SECONDS
"""How long they wait to be tried again; longer each time."""

_try_at = 0.0


def _tell(batch: Sequence[Account]) -> None:
    global _pause, _try_at
    reached = True
    for account in dict.fromkeys(batch):
        try:
            late.pop(account, None)
            if reached:
                reached = account.tell()
            else:
                late[account] = None  # each would wait as long for the same ledger
        except Exception as error:
            swallowed("budgets.tell", error)
    if reached:
        _pause = QUIET_SECONDS
    else:
        _try_at = time.monotonic() + _pause
        _pause *= 2


def _tell_late() -> float | None:
    """On the worker: tell what could not be told, now and then. Answers when it wants to be asked again."""
    if not late:
        return None
    if time.monotonic() >= _try_at:
        _tell(tuple(late))
    if not late or _pause > MOST_PAUSE:
        return None  # the next call, or the end of the process, has it tried again
    return max(0.0, _try_at - time.monotonic())


def _tell_last() -> None:
    """Before a fork and at exit: a last try for what could not be told."""
    _tell(tuple(late))


def give_up() -> None:
    """Before the ledger is let go of: a last try, and then nothing is left to be told. Never raises."""
    _tell_last()
    late.clear()


told: Final = worker.channel("budgets", _tell, on_stop=_tell_last)
"""Accounts of which the ledger is to be told."""

worker.watch(_tell_late)

_accounts: Final[weakref.WeakSet[Account]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    """What is in flight and set aside is the parent's; what was used stays used."""
    late.clear()
    for account in tuple(_accounts):
        account._fresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
