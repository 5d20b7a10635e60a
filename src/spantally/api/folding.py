"""Sessions that nobody asks after: their tallies are folded on the worker, so that they do not grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spantally.ground.records import CallRecord, Record
from spantally.ground.session_state import known_session

MAX_UNFOLDED: Final = 256
"""Records of a session that wait in memory to be folded into its totals."""


class FoldingConsumer:
    """Folds long tallies on the worker, so that a session nobody asks after does not grow without bound."""

    def __call__(self, batch: Sequence[Record]) -> None:
        """Look at the sessions of a batch."""
        for session_id in {record.session_id for record in batch if isinstance(record, CallRecord)}:
            state = known_session(session_id)
            while state is not None:
                if len(state.unfolded) > MAX_UNFOLDED:
                    # Imported here: folding needs prices, and most programs never come to this.
                    from spantally.api.totals import fold_waiting

                    fold_waiting(state)
                state = state.parent
