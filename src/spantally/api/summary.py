"""The one line at the end of a run: what it spent, and the next command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from spantally.api.kept_records import kept_name
from spantally.api.totals import Totals, totals_of
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.money import known_text
from spantally.ground.records import COUNTED_KINDS, CallRecord, Record, Status, is_paid
from spantally.ground.session_state import SessionState

OWNER = "SPANTALLY_SUMMARY_OWNER"
"""Environment variable with the pid that prints: child processes inherit it and stay silent."""


class SummaryConsumer:
    """Gathers what this process spent, from the records on their way to the ledger."""

    def __init__(self) -> None:
        self.tally = SessionState("summary", start_ns=0)
        self.sessions: dict[str, str | None] = {}
        self._running: dict[str, CallRecord] = {}
        """Answers that come later and have not come yet: a row may be told again when they have."""

    def __call__(self, batch: Sequence[Record]) -> None:
        """Take a batch, on the worker."""
        for record in batch:
            if isinstance(record, CallRecord):
                self.sessions.setdefault(record.session_id, record.session_name)
                if record.kind not in COUNTED_KINDS and not is_paid(record):
                    continue
                if record.status == Status.RUNNING:
                    self._running[record.call_id] = record
                else:
                    self._running.pop(record.call_id, None)
                    self.tally.unfolded.append(record)

    def line(self, kept: bool, unwritten: int = 0) -> str:
        """The summary as one line, without a line end.

        Args:
            kept: whether a ledger keeps it once the process has ended.
            unwritten: records that the ledger has not taken.
        """
        self.tally.unfolded.extend(self._running.values())
        self._running.clear()
        totals = totals_of(self.tally)
        text = f"spantally: {sentence(totals)}"
        if not self.sessions and kept:
            return text + " in this process; those of its children: spantally sessions"
        if not self.sessions or not kept:
            return text + ("" if kept else "; no ledger was kept")
        session_id = next(iter(self.sessions)) if len(self.sessions) == 1 else None
        if session_id:
            session_id = kept_name(session_id, semconv.SESSION_ID)
        text += f"; session {session_id}" if session_id else f"; {len(self.sessions)} sessions"
        if unwritten:
            records = "1 record is" if unwritten == 1 else f"{unwritten} records are"
            return f"{text}; {records} not in the ledger, which could not be written; next: spantally doctor"
        return f"{text}; next: spantally " + (f"show {session_id}" if session_id else "sessions")

    def print_line(self, kept: bool, unwritten: int = 0) -> None:
        """Write the line to stderr.

        Args:
            kept: whether a ledger keeps it once the process has ended.
            unwritten: records that the ledger has not taken.
        """
        print_line(self.line(kept, unwritten))


def sentence(totals: Totals) -> str:
    """Calls, tokens and cost in words; what the cost does not cover is always said."""
    calls = "1 call" if totals.calls == 1 else f"{totals.calls} calls"
    parts = [calls, f"{totals.input_tokens:,} input + {totals.output_tokens:,} output tokens"]
    if totals.calls == 0:
        return f"{calls}, {known_text(totals.cost_nano_usd, totals)}" if totals.cost_nano_usd else calls
    return ", ".join([*parts, known_text(totals.cost_nano_usd, totals)])


def claim() -> bool:
    """True if this process is the one that prints; the first of a process tree claims it."""
    owner = os.environ.get(OWNER)
    if owner is None:
        os.environ[OWNER] = str(os.getpid())
        return True
    return owner == str(os.getpid())


def print_line(text: str) -> None:
    """Write the line to stderr in one piece; a closed stderr is nobody's problem."""
    try:
        stream = sys.stderr
        if stream is not None and not stream.closed:
            stream.write(text + "\n")
            stream.flush()
    except Exception as error:
        swallowed("api.summary", error)
