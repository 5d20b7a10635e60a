"""The in-memory state of a session: identity and what is needed to tell its totals live."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Final

from spantally.ground.brakes import Brake, LoopWatch
from spantally.ground.guard import swallowed
from spantally.ground.records import CallRecord, LateRecord, SessionRecord, SessionStatus, made

_registry: Final[weakref.WeakValueDictionary[str, SessionState]] = weakref.WeakValueDictionary()


class SessionState:
    """One session in this process. Ended calls wait here, unpriced, until somebody folds them.

    Appending is lock-free; folding (reading totals) happens under :attr:`lock`, never in a finaliser.
    """

    __slots__ = (
        "__weakref__",
        "budget",
        "claimed_tools",
        "conversation_id",
        "ended",
        "entries",
        "expected_tools",
        "fold",
        "implicit",
        "lock",
        "loop_guard",
        "name",
        "parent",
        "previous_id",
        "recorded",
        "said",
        "session_id",
        "settled_tools",
        "start_ns",
        "unfolded",
    )

    def __init__(
        self,
        session_id: str,
        *,
        start_ns: int,
        name: str | None = None,
        implicit: bool = False,
        parent: SessionState | None = None,
        conversation_id: str | None = None,
    ) -> None:
        self.session_id = session_id
        self.start_ns = start_ns
        self.name = name
        self.implicit = implicit
        self.parent = parent
        self.conversation_id = conversation_id
        self.previous_id: str | None = None
        """The session of the same conversation that this one goes on from."""
        self.said: dict[str, Any] | None = None
        """What the program said of it, redacted, by the fields of its record."""
        self.recorded = False
        """True once the ledger was told of the session."""
        self.ended = False
        self.entries = 0
        """How many ``with`` blocks and begins hold the session open."""
        self.unfolded: list[CallRecord | LateRecord] = []
        """Ended model calls of this session and of its children that no total holds yet."""
        self.fold: object = None
        """The totals so far; belongs to the face that reads them."""
        # Re-entrant: a signal handler of the program may read totals while the line it interrupted does.
        self.lock = threading.RLock()
        self.expected_tools: dict[str, tuple[str, str | None]] = {}
        """Tool calls a model asked for that no traced run has taken: id to (tool name, who asked)."""
        self.claimed_tools: dict[str, tuple[str, str | None]] = {}
        """Those that a traced run has taken, until a request tells their result."""
        self.settled_tools: set[str] = set()
        """Ids of tool calls that have a row."""
        self.budget: Brake | None = common_budget if parent is None else parent.budget
        """The budgets that hold for its calls; to be set by :func:`put_brake`."""
        self.loop_guard: LoopWatch | None = None if parent is None else parent.loop_guard
        if self.budget is not None:
            self.__class__ = _Braked

    def add(self, record: CallRecord | LateRecord) -> None:
        """Take an ended model call into the tally of this session and of those above it."""
        state: SessionState | None = self
        while state is not None:
            state.unfolded.append(record)
            state = state.parent

    def began(self, **values: Any) -> SessionRecord:
        """The record that tells the ledger of this session's start."""
        return SessionRecord(
            session_id=self.session_id,
            start_ns=self.start_ns,
            status=SessionStatus.RUNNING,
            name=self.name,
            implicit=self.implicit,
            parent_id=None if self.parent is None else self.parent.session_id,
            previous_id=self.previous_id,
            conversation_id=self.conversation_id,
            **(self.said or {}),
        )._replace(**values)


class _Braked(SessionState):
    """A session with a budget: whatever its tally takes counts against that, too.

    A class of its own, so that a call of a session without a budget does not even ask.
    """

    __slots__ = ()

    def add(self, record: CallRecord | LateRecord) -> None:
        """Take an ended call into the tally and out of what is reserved."""
        super().add(record)
        try:
            if self.budget is not None:
                self.budget.ended(made(record))
        except Exception as error:
            swallowed("session.budget", error)


common_budget: Brake | None = None
"""The budgets of the settings file: they hold for every session."""


def put_brake(state: SessionState, budget: Brake | None) -> None:
    """Put budgets into force for a session, and for those that are made beneath it from now on."""
    state.budget = budget
    state.__class__ = SessionState if budget is None else _Braked


def use_common_budget(budget: Brake | None) -> bool:
    """Put the budgets of the settings file into force, for sessions that exist as well.

    Args:
        budget: those budgets; None takes them back.

    Returns:
        Whether some were in force before.
    """
    global common_budget
    before, common_budget = common_budget, budget
    for state in tuple(_registry.values()):
        if state.budget is before:
            put_brake(state, budget)
    return before is not None


def known_session(session_id: str) -> SessionState | None:
    """The live state of a session of this process, if it is still in use."""
    return _registry.get(session_id)


def remember_session(state: SessionState) -> SessionState:
    """Register a session so that entering its id again finds it; the first one registered wins."""
    return _registry.setdefault(state.session_id, state)


def forget_sessions() -> None:
    """Drop the registry (tests)."""
    _registry.clear()


def _after_fork_in_child() -> None:
    """A lock that another thread of the parent held at the fork would be held in the child for ever."""
    for state in tuple(_registry.values()):
        state.lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
