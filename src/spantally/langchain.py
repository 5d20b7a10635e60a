"""``CallbackHandler``: what LangChain and LangGraph do, in the tally, and what it cost.

Needs langchain-core: ``pip install 'spantally[langchain]'``.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from opentelemetry.context import Context

from spantally.api.fold import Totals
from spantally.api.hosting import SessionHost
from spantally.api.session import Session
from spantally.api.totals import fold_waiting, totals_of
from spantally.calls.claims import Listener
from spantally.calls.pipeline import late
from spantally.ground import ids
from spantally.ground.guard import swallowed
from spantally.ground.records import CallRecord, LateRecord
from spantally.ground.session_state import SessionState
from spantally.instrumentors.langchain.places import CONTEXT_PATCHES
from spantally.instrumentors.langchain.runs import Run

try:
    from spantally.instrumentors.langchain.handler import Handler
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "langchain_core":
        raise
    raise ModuleNotFoundError(
        "spantally.langchain needs langchain-core: pip install 'spantally[langchain]'", name=error.name
    ) from error

__all__ = ["CallbackHandler"]

MAX_UNFOLDED: Final = 256
"""Records that wait in memory to be folded into a handler's totals."""


class CallbackHandler(Handler):
    """A callback handler of LangChain that sees agents, tools, retrievers and model calls, and sums them up.

    Pass it in ``callbacks``: ``chain.invoke(..., config={"callbacks": [CallbackHandler()]})``. One handler
    serves any number of runs, at once and from any thread; :attr:`total_cost`, :attr:`total_tokens` and
    :attr:`llm_calls` sum up the model calls of all of them, exactly once each: as the SDK beneath reports
    them where spantally watches it, else as LangChain does. An answer from LangChain's cache is no call.

    It works without ``spantally.instrument()``, too; then the totals are all that is kept.
    """

    def __init__(self, session: str | Session | None = None) -> None:
        """Make a handler.

        Args:
            session: whose the runs are: the id of a session, or what ``spantally.session()`` returns; by
                default they belong to the session in force where they begin.

        Raises:
            SettingsError: (a ValueError) for an id that is not allowed.
            ArgumentError: likewise, for anything else.
        """
        super().__init__()
        self._host = None if session is None else SessionHost(session)
        self._tally = SessionState(ids.new_session_id(), start_ns=0, implicit=True)
        # Budgets of the settings file hold for sessions; these records reach theirs besides.
        self._tally.budget = None
        self._tally.__class__ = SessionState
        try:
            CONTEXT_PATCHES.enable()
        except Exception as error:
            swallowed("langchain.instrument", error)

    @property
    def totals(self) -> Totals:
        """What the model calls so far have spent, as of a session: calls, tokens, cost, unpriced calls."""
        return totals_of(self._tally)

    @property
    def total_cost(self) -> Decimal | None:
        """The known cost of the model calls so far in US dollars, exact; None where none of them has one."""
        return self.totals.cost_usd

    @property
    def total_tokens(self) -> int:
        """Tokens of the model calls so far, in and out, cached and reasoning ones included."""
        totals = self.totals
        return totals.input_tokens + totals.output_tokens

    @property
    def llm_calls(self) -> int:
        """How many model calls there were so far."""
        return self.totals.calls

    def listener(self) -> Listener | None:
        """What adds a model call to the totals."""
        return self._add

    def _add(self, record: CallRecord | LateRecord) -> None:
        self._tally.add(record)
        if len(self._tally.unfolded) > MAX_UNFOLDED:
            late.put(self._fold)

    def _fold(self) -> None:
        if len(self._tally.unfolded) > MAX_UNFOLDED:
            fold_waiting(self._tally)

    def outermost(self, run: Callable[..., Run]) -> Run:
        """Put an outermost run into the handler's session, if it has one."""
        if self._host is None:
            return run()
        inside: Context | None = None
        try:
            inside, end = self._host.enter()
        except Exception as error:
            swallowed("langchain.session", error)
            return run()
        made = run(base=inside)
        if end is not None:
            made.on_end.append(end)
        return made
