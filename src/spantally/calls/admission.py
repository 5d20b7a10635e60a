"""Asking the budgets of a session before a call is sent, and the loop guard before a tool runs.

The only exceptions that leave here are those that the program asked for by a budget or loop guard.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from spantally.calls.operation import Operation
from spantally.ground.brakes import Ask, Brake, NotYetError
from spantally.ground.errors import Refusal
from spantally.ground.event_loop import in_event_loop, told
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind, Status
from spantally.ground.worker import worker

WAIT_SECONDS: Final = 1.0
"""How long an event loop's call waits for prices and ledger, while the loop goes on."""


def admit(operation: Operation, ask: Callable[[], Ask]) -> None:
    """Have a call let through or refused, on a thread that may wait for a moment.

    Args:
        operation: the call; it ends here when it is refused.
        ask: tells what it may use.

    Raises:
        BudgetExceeded: it must not be sent.
    """
    try:
        budget = operation.scope.session.budget
        if budget is not None:
            budget.admit(operation.scope, ask(), wait=True)
    except Refusal as refusal:
        _refused(operation, refusal)
        raise
    except Exception as error:
        swallowed("calls.admit", error)
    except BaseException as error:  # Ctrl-C, while the ledger was asked
        _not_sent(operation, error)
        raise


async def admit_async(operation: Operation, ask: Callable[[], Ask]) -> None:
    """The same in an event loop, which goes on meanwhile.

    Raises:
        BudgetExceeded: it must not be sent.
    """
    try:
        budget = operation.scope.session.budget
        if budget is None:
            return
        asked = ask()
        try:
            budget.admit(operation.scope, asked, wait=False)
        except NotYetError:
            await _on_worker(budget, operation, asked)
    except Refusal as refusal:
        _refused(operation, refusal)
        raise
    except Exception as error:
        swallowed("calls.admit", error)
    except BaseException as error:  # the task is cancelled while it waits
        _not_sent(operation, error)
        raise


def admit_turn(operation: Operation) -> None:
    """Have a top-level agent let through or refused.

    Raises:
        BudgetExceeded: it must not begin.
    """
    try:
        budget = operation.scope.session.budget
        if budget is not None and operation.scope.run_id is None:
            budget.admit_turn(operation.scope)
    except Refusal as refusal:
        _refused(operation, refusal)
        raise
    except Exception as error:
        swallowed("calls.admit_turn", error)


def note_tool(operation: Operation, name: str, arguments: Callable[[], Any]) -> None:
    """Have a tool call looked at before it runs.

    Raises:
        LoopDetected: it must not run.
    """
    try:
        watch = operation.scope.session.loop_guard
        if watch is not None:
            watch.note(operation.scope, name, arguments)
    except Refusal as refusal:
        _refused(operation, refusal)
        raise
    except Exception as error:
        swallowed("calls.loop_guard", error)


def _refused(operation: Operation, refusal: Refusal) -> None:
    """End an operation that does not happen. It is no call: nothing of it was sent."""
    try:
        if operation.kind not in (Kind.AGENT, Kind.TOOL):
            operation.kind = Kind.OTHER
        operation.finish(Status.ERROR, error=refusal, error_type=f"spantally.{type(refusal).__name__}")
    except Exception as error:
        swallowed("calls.refused", error)


def _not_sent(operation: Operation, error: BaseException) -> None:
    """End an operation that was given up before it was sent: it is no call, and nobody bills it."""
    try:
        budget = operation.scope.session.budget
        if budget is not None:
            budget.release(operation.call_id)
        operation.kind = Kind.OTHER
        operation.finish(Status.CANCELLED, error=error)
    except Exception as failure:
        swallowed("calls.not_sent", failure)


class _Question:
    """A question to the budgets that the worker asks, for a task that may be cancelled meanwhile."""

    def __init__(
        self, budget: Brake, operation: Operation, ask: Ask, tell: Callable[[BaseException | None], None]
    ) -> None:
        self.budget = budget
        self.operation = operation
        self.ask = ask
        self.tell = tell
        self.late = threading.Event()
        """Set once nobody waits for the answer any more."""
        self.cancelled = threading.Event()
        """Set once the call is not made."""

    def __call__(self) -> None:
        """Ask, and tell the loop."""
        answer: BaseException | None = None
        if self.late.is_set():
            return
        try:
            self.budget.admit(self.operation.scope, self.ask, wait=True)
        except Exception as error:
            answer = error
        # A call that went without this answer may be over: nobody else would take this reservation back.
        if self.cancelled.is_set() or (self.late.is_set() and self.operation.ended):
            self.budget.release(self.ask.call_id)
        elif not self.late.is_set():
            self.tell(answer)


def _put(batch: Any) -> None:
    for question in batch:
        try:
            question()
        except Exception as error:
            swallowed("calls.budget_question", error)


questions: Final = worker.channel("budget_questions", _put)


async def _on_worker(budget: Brake, operation: Operation, ask: Ask) -> None:
    """Have the worker ask; where it does not answer in time, this process's own knowledge decides."""
    if not in_event_loop():
        budget.admit(operation.scope, ask, wait=True)  # a kind of event loop that we do not know
        return
    answers: list[BaseException | None] = []
    made: list[_Question] = []

    def begin(tell: Callable[[], None]) -> None:
        def take(answer: BaseException | None) -> None:
            answers.append(answer)
            tell()

        made.append(_Question(budget, operation, ask, take))
        questions.put(made[0])
        worker.hurry()

    try:
        done = await told(begin, WAIT_SECONDS)
    except BaseException:
        for question in made:
            question.cancelled.set()
            question.late.set()
        budget.release(ask.call_id)
        raise
    (question,) = made
    if not done:
        question.late.set()
        try:
            budget.admit(operation.scope, ask, wait=False, alone=True)
        except BaseException:
            question.cancelled.set()  # what the worker may still reserve is for nobody
            budget.release(ask.call_id)
            raise
        return
    if answers[0] is not None:
        raise answers[0]
