"""The live view of this process: on as a whole, for sessions or for agents; off where nobody asked."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from spantally.calls import pipeline, watching
from spantally.calls import telemetry as telemetry_module
from spantally.calls.operation import Operation
from spantally.console.board import OFF, Board
from spantally.console.writer import Writer
from spantally.ground.guard import swallowed
from spantally.ground.helper import HelperWorker
from spantally.ground.money import Rating
from spantally.ground.records import (
    CallRecord,
    EventRecord,
    LateEventRecord,
    LateRecord,
    Record,
    SessionRecord,
)

QUEUE: Final = 10_000
"""What waits to be shown at most: where stderr is read slower than the program works, lines are left out."""

GATHER_SECONDS: Final = 0.05
FORK_SECONDS: Final = 0.5
LATE_SECONDS: Final = 0.2
"""How long the line of a session's end waits for ends that another thread has in hand."""

CLOSE_SECONDS: Final = 1.0
"""How long the end of the process waits for the last lines."""

Step = Callable[[], None]


class _Ended:
    """The step that shows the end of a call, or an event whose record is made late; once."""

    __slots__ = ("_board", "_done", "_late")

    def __init__(self, record: CallRecord | LateRecord | LateEventRecord, board: Board) -> None:
        self._late = record
        self._board = board
        self._done = False

    @property
    def _record(self) -> CallRecord | EventRecord:
        return self._late if isinstance(self._late, CallRecord) else self._late.record()

    @property
    def session_id(self) -> str:
        """Whose the call is."""
        return self._record.session_id

    def __call__(self) -> None:
        if not self._done:
            self._done = True
            self._board.record(self._record)


class Live:
    """Takes what happens on the program's threads by one append, and shows it on its own."""

    def __init__(self) -> None:
        self.worker: HelperWorker | None = None
        self._channel: Any = None
        self._writer = Writer()
        self._board = Board(_rate, _redact, self._writer.write)
        self._lock = threading.RLock()
        self._taken: Sequence[Step] = ()

    @property
    def running(self) -> bool:
        """True while it takes what happens."""
        return self.worker is not None

    def start(self) -> None:
        """Take what happens from now on; nothing is shown until a mode says so."""
        if self.worker is not None:
            return
        with self._lock:
            if self.running:  # another thread was first
                return
            self._writer = Writer()
            self._board = Board(_rate, _redact, self._writer.write)
            worker = HelperWorker(
                "spantally-console", gather_seconds=GATHER_SECONDS, fork_seconds=FORK_SECONDS
            )
            self._channel = worker.channel("console", self._show)
            self.worker = worker
            worker.start()
            watching.add_watcher(self.began)
            pipeline.add_tap(self.record)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Show what waits and end.

        Args:
            timeout: seconds to wait at most.
        """
        with self._lock:
            worker, self.worker = self.worker, None
            watching.remove_watcher(self.began)
            pipeline.remove_tap(self.record)
        if worker is not None:
            worker.retire()
            worker.stop(timeout)

    def flush(self, timeout: float) -> bool:
        """Wait until all that happened so far is shown; True if it is.

        Args:
            timeout: seconds to wait at most.
        """
        worker = self.worker
        return worker is None or worker.flush(timeout)

    # -- the program's threads -----------------------------------------------------------------------

    def use(self, mode: str) -> None:
        """Show everything in a mode: ``off``, ``summary`` or ``full``."""
        if mode != OFF:
            self.start()
        if self.worker is not None:
            self._put(lambda: setattr(self._board, "mode", mode))

    def use_for_session(self, session_id: str, mode: str) -> None:
        """Show one session, and those beneath it, in a mode of its own."""
        if mode != OFF:
            self.start()
        if self.worker is not None:
            self._put(lambda: self._board.session_mode(session_id, mode))

    def use_for_operation(self, operation: Operation) -> None:
        """Show all of one operation that has begun."""
        self.start()
        self._put(lambda: self._board.verbose(operation))

    def began(self, operation: Operation, subject: str | None, streamed: bool) -> None:
        """An operation begins."""
        self._put(lambda: self._board.began(operation, subject, streamed))

    def record(self, record: Record | LateRecord | LateEventRecord) -> None:
        """Something has ended or happened."""
        if isinstance(record, SessionRecord) and record.end_ns is not None:
            self._put(lambda: self._end_session(record))
        elif isinstance(record, tuple) and not isinstance(record, CallRecord):
            self._put(lambda: self._board.record(record))
        else:
            self._put(_Ended(record, self._board))

    def _put(self, step: Step) -> None:
        channel = self._channel
        if channel is not None and not self._writer.off and len(channel) < QUEUE:
            channel.put(step)

    # -- its own thread ------------------------------------------------------------------------------

    def _show(self, steps: Sequence[Step]) -> None:
        self._taken = steps
        for step in steps:
            try:
                step()
            except Exception as error:
                swallowed("console.line", error)

    def _end_session(self, record: SessionRecord) -> None:
        """A session's line has its sums: calls whose ends were only noted come before it."""
        pipeline.end_late_now(LATE_SECONDS)
        for step in (*self._taken, *self._channel._items):
            if isinstance(step, _Ended) and step.session_id == record.session_id:
                step()
        self._board.record(record)

    def in_child(self) -> None:
        """In the child of a fork: the thread is another, locks are new."""
        self._lock = threading.RLock()
        self._writer.in_child()


def _rate(record: CallRecord) -> Rating:
    from spantally import pricing

    pricing.ensure_loading()
    return pricing.rate_if_loaded(record)


def _redact(text: str) -> str:
    try:
        return telemetry_module.active.redactor.text(text)
    except Exception as error:
        swallowed("console.redact", error)
        return "[REDACTED:error]"


live: Final = Live()
"""That of this process."""


def _after_fork_in_child() -> None:
    try:
        live.in_child()
    except Exception as error:
        swallowed("console.after_fork", error)


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
