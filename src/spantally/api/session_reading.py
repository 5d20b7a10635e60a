"""What a program reads of its session while it runs: totals, what is left of budgets, graph, summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spantally.api.totals import Totals, totals_of

if TYPE_CHECKING:
    from spantally.budgets.budget import Remaining
    from spantally.ground.session_state import SessionState
    from spantally.queries.graph import SessionGraph
    from spantally.queries.summary import Summary


class Reading:
    """The part of a session that is read."""

    id: str | None
    _state: SessionState | None

    @property
    def totals(self) -> Totals:
        """What the session has spent so far, child sessions included: calls, tokens, cost, unpriced calls.

        Live: read from memory. Off an event loop it waits for the price data the first time (under a second);
        inside one it never waits, and ``pending_calls`` says how many calls are not rated yet.
        """
        return totals_of(self._state)

    @property
    def remaining(self) -> Remaining:
        """What is left of the session's budgets and of those around it, calls in flight taken off.

        By unit the least of them; None where nothing limits that unit. Budgets of the settings file are not
        among them.
        """
        from spantally.api.limits import remaining_of

        return remaining_of(self._state)

    @property
    def previous_id(self) -> str | None:
        """The session that this one goes on from, after a silence longer than ``idle_timeout``, or None."""
        return None if self._state is None else self._state.previous_id

    def graph(self) -> SessionGraph:
        """Who called whom so far, child sessions included: agents, tools and models with calls, cost, times.

        Read from the ledger of this process. Inside an event loop it does not wait for what the ledger does
        not hold yet; ``await asyncio.to_thread(session.graph)`` does.

        Raises:
            LedgerError: this process keeps no ledger, or it cannot be read.
        """
        from spantally.api.overview import graph_of

        return graph_of(self.id)

    def summary(self) -> Summary:
        """What was done and spent so far, child sessions included, by agent, run, model and tool.

        Read from the ledger of this process. Inside an event loop it does not wait for what the ledger does
        not hold yet, and ``unwritten_calls`` says how many calls that are; in
        ``await asyncio.to_thread(session.summary)`` it waits.

        Raises:
            LedgerError: this process keeps no ledger, or it cannot be read.
        """
        from spantally.api.overview import summary_of

        return summary_of(self.id, lambda: self.totals)
