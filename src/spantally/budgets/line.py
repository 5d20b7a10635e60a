"""One budget in force, with its account: when it is told of, and the words of its refusal."""

from __future__ import annotations

import time
from typing import Final

from spantally.budgets.account import Account
from spantally.budgets.budget import UNITS, Amounts, Budget, BudgetNotice, shown
from spantally.budgets.telling import tell
from spantally.calls import pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.ground import ids, semconv
from spantally.ground.brakes import Ask
from spantally.ground.errors import BudgetExceeded
from spantally.ground.guard import say, say_once, swallowed
from spantally.ground.records import CallRecord, EventRecord
from spantally.ground.scope import Scope

EXCEEDED: Final = 1.0


class Line:
    """A budget that holds for somebody."""

    __slots__ = ("account", "budget", "name")

    def __init__(self, name: str, budget: Budget, account: Account) -> None:
        """Bind a budget to its account.

        Args:
            name: what it is of, in words.
            budget: the limits.
            account: where it is counted.
        """
        self.name = name
        self.budget = budget
        self.account = account
        account.limits = budget.limits

    # -- telling -------------------------------------------------------------------------------------

    def tell_shares(self, record: CallRecord) -> None:
        """Tell each share that is reached now and was not before; never raises."""
        try:
            account = self.account
            used = account.used
            for unit, limit, amount in zip(UNITS, self.budget.limits, used, strict=True):
                if limit is None or amount <= 0:
                    continue
                for share in (*self.budget.tell_at, EXCEEDED):
                    if amount >= share * limit and (unit, share, limit) not in account.told_shares:
                        self._tell(unit, share, limit, record.session_id, record.call_id)
        except Exception as error:
            swallowed("budgets.shares", error)

    def _tell(self, unit: str, share: float, limit: int, session_id: str, call_id: str | None) -> None:
        account = self.account
        account.told_shares.add((unit, share, limit))
        index = UNITS.index(unit)
        used, reserved = account.standing()
        notice = BudgetNotice(
            self.name, session_id, share, unit, limit, used[index], reserved[index], account.unpriced
        )
        say(
            "spantally: %d %% of the budget of %s is used: %s of %s%s",
            round(share * 100),
            self.name,
            shown(unit, notice.spent),
            shown(unit, limit),
            _unpriced_text(notice.unpriced),
            level=30 if share >= EXCEEDED else 20,
        )
        _emit(notice, "told", call_id)
        tell(self.budget, notice)

    # -- refusing ------------------------------------------------------------------------------------

    def exceeded(
        self, scope: Scope, used: Amounts, reserved: Amounts, unpriced: int, *, refuse: bool
    ) -> None:
        """There is no room for a call or turn: say so, and where it must be, refuse it.

        Raises:
            BudgetExceeded: where ``refuse`` is True.
        """
        unit, limit, spent, held = self._fullest(used, reserved)
        session_id = scope.session.session_id
        try:
            if spent >= limit and (unit, EXCEEDED, limit) not in self.account.told_shares:
                self._tell(unit, EXCEEDED, limit, session_id, scope.call_id)
            if refuse:
                notice = BudgetNotice(self.name, session_id, EXCEEDED, unit, limit, spent, held, unpriced)
                _emit(notice, "refused", scope.call_id)
        except Exception as error:
            swallowed("budgets.exceeded", error)
        if refuse:
            raise BudgetExceeded(
                f"the budget of {self.name} leaves nothing for this: limit {shown(unit, limit)}, "
                f"spent {shown(unit, spent)}, reserved by calls in flight {shown(unit, held)}"
                f"{_unpriced_text(unpriced)}; nothing was sent",
                budget=self.name,
                unit=unit,
                limit=limit,
                spent=spent,
                reserved=held,
                unpriced=unpriced,
            )

    def _fullest(self, used: Amounts, reserved: Amounts) -> tuple[str, int, int, int]:
        """The unit that is used up, with limit, spent and reserved."""
        found = [
            (spent + held - limit, unit, limit, spent, held)
            for unit, limit, spent, held in zip(UNITS, self.budget.limits, used, reserved, strict=True)
            if limit is not None
        ]
        over = [one for one in found if one[0] >= 0] or found
        return over[0][1:]

    def meet_unpriced(self, scope: Scope, ask: Ask) -> None:
        """A call that no price is known for meets a limit in dollars.

        Raises:
            BudgetExceeded: where the budget refuses such calls.
        """
        policy = self.budget.on_unpriced
        if policy == "tokens":
            return
        model = ask.model or "an unnamed model"
        if policy == "warn":
            say_once(
                f"budgets:unpriced:{model}",
                "spantally: no price is known for %s at %s: its calls are not counted by budgets in dollars",
                model,
                ask.provider or ask.server_address or "its host",
            )
            return
        limit = self.budget.limits[0]
        account = self.account
        used, reserved = account.standing()
        notice = BudgetNotice(
            self.name,
            scope.session.session_id,
            0.0,
            "unpriced",
            limit or 0,
            used.usd,
            reserved.usd,
            account.unpriced,
        )
        try:
            _emit(notice, "refused", scope.call_id)
        except Exception as error:
            swallowed("budgets.exceeded", error)
        raise BudgetExceeded(
            f"the budget of {self.name} refuses calls without a known price, and none is known for {model}: "
            f"limit {shown('usd', limit or 0)}, spent {shown('usd', used.usd)}, reserved by calls in flight "
            f"{shown('usd', reserved.usd)}{_unpriced_text(account.unpriced)}; nothing was sent",
            budget=self.name,
            unit="unpriced",
            limit=limit,
            spent=used.usd,
            reserved=reserved.usd,
            unpriced=account.unpriced,
        )


def _unpriced_text(unpriced: int) -> str:
    return f", {unpriced:,} unpriced" if unpriced else ""


def _emit(notice: BudgetNotice, outcome: str, call_id: str | None) -> None:
    """Keep it as an event of the session in the ledger."""
    name = telemetry_module.active.redactor.text(notice.budget)
    pipeline.emit(
        EventRecord(
            ids.new_call_id(),
            notice.session_id,
            semconv.EVENT_BUDGET,
            time.time_ns(),
            call_id=call_id,
            attributes={
                semconv.BUDGET_NAME: name,
                semconv.BUDGET_OUTCOME: outcome,
                semconv.BUDGET_SHARE: notice.share,
                semconv.BUDGET_UNIT: notice.unit,
                semconv.BUDGET_LIMIT: notice.limit,
                semconv.BUDGET_SPENT: notice.spent,
                semconv.BUDGET_RESERVED: notice.reserved,
                semconv.BUDGET_UNPRICED: notice.unpriced,
            },
        )
    )
