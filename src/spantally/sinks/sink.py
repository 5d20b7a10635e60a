"""One exporter with its own thread and queue: whatever it does, neither the program nor another one notices.

The program's thread does one append. What the queue has no room for is counted, not waited for. The thread
runs without instrumentation: what the exporter sends or asks makes no span, so that nothing feeds itself; a
model call that it makes is billed nevertheless, and so it is metered.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import suppress_instrumentation

from spantally.calls import pipeline
from spantally.calls.telemetry import RedactorLike
from spantally.ground.guard import say, say_once, swallowed
from spantally.ground.helper import HelperWorker
from spantally.ground.records import EventRecord
from spantally.otel.exporters import safe_span
from spantally.sinks.exporters import error_of, failed_of, is_log_exporter, takes_items
from spantally.sinks.records import LogBatches, is_told, item_of_record

QUEUE: Final = 2048
"""Spans and records that wait for one exporter at most: as many as the SDK's own queue holds."""

GATHER_SECONDS: Final = 0.2
OVERDUE_SECONDS: Final = 0.25
"""How late its thread may be before callers let it in (``ground/turn.py``): the queue has room for that."""

FORK_SECONDS: Final = 0.25
"""How long a fork waits for a sink; not at all for one that did not come to an end at the last one."""

_CLOSE: Final = object()

threads: Final[set[int]] = set()
"""Threads that run an exporter just now: spans that end on them, and flushes, go to no sink."""


class Sink:
    """An exporter that is in use.

    Attributes:
        exporter: as the user gave it.
        exported: spans and records that arrived.
        failed: spans and records that it did not take.
        takes_records: whether events, and ends of sessions, are for it too.
    """

    def __init__(
        self,
        exporter: Any,
        redactor: Callable[[], RedactorLike | None],
        kept: Callable[[Sequence[Any]], Sequence[Any]] = tuple,
    ) -> None:
        self.exporter = exporter
        self._logs = LogBatches(redactor) if is_log_exporter(exporter) else None
        self.takes_records = self._logs is not None or takes_items(exporter)
        self.takes_spans = self._logs is None
        self._kept = kept
        self.label = type(exporter).__name__
        self.exported = 0
        self.failed = 0
        self.closed = False
        self._redactor = redactor
        self._drops = itertools.count()
        self._full = False
        self._shut = threading.Event()
        self._reported = False
        self._in_hand = 0
        self.worker = HelperWorker(
            f"spantally-sink-{self.label}",
            gather_seconds=GATHER_SECONDS,
            fork_seconds=FORK_SECONDS,
            overdue_seconds=OVERDUE_SECONDS,
        )
        self.channel = self.worker.channel("sink", self._handle)
        self.worker.start()

    # -- the program's threads -----------------------------------------------------------------------

    def offer(self, span: Any) -> None:
        """Take a finished span if there is room for it: one append."""
        if self.closed:
            return
        if len(self.channel) < QUEUE:
            self.channel.put(span)
            return
        next(self._drops)
        if not self._full:
            self._full = True
            pipeline.late.put(self._say_full)

    # -- its own thread ------------------------------------------------------------------------------

    def _handle(self, batch: Sequence[Any]) -> None:
        me = threading.get_ident()
        threads.add(me)
        token = otel_context.attach(otel_context.Context())
        try:
            with suppress_instrumentation():
                given = [one for one in batch if one is not _CLOSE]
                if given and not self._shut.is_set():
                    self._export_all(given)
                if len(given) != len(batch):
                    self._shut_down()
        finally:
            threads.discard(me)
            otel_context.detach(token)

    def _export_all(self, given: Sequence[Any]) -> None:
        """Spans and records in the order in which they came."""
        for told, some in itertools.groupby(given, is_told):
            if told:
                self._export_records(list(some))
            else:
                self._export(list(some))

    def _export_records(self, late: list[Any]) -> None:
        try:
            made = [one if isinstance(one, tuple) else one.exported() for one in late]
            records: Any = self._kept(made)
            if self._logs is not None:
                batch: list[Any] = self._logs([one for one in records if isinstance(one, EventRecord)])
                export = self.exporter.export
            else:
                batch, export = [item_of_record(one) for one in records], self.exporter.export_items
        except Exception as error:
            swallowed("sinks.records", error)
            return
        if batch:
            self._hand_over(batch, export)

    def _export(self, spans: list[Any]) -> None:
        redactor = self._redactor()
        if redactor is not None:
            safe = [safe_span(span, redactor) for span in spans]
            spans = [span for span in safe if span is not None]
        self._hand_over(spans, self.exporter.export)

    def _hand_over(self, spans: list[Any], export: Callable[[Any], Any]) -> None:
        self._in_hand = len(spans)
        failed, why = 0, ""
        try:
            result = export(spans)
            if getattr(result, "name", "") == "FAILURE":
                failed, why = failed_of(self.exporter, len(spans)), error_of(self.exporter)
        except BaseException as error:
            failed, why = len(spans), type(error).__name__
        self._in_hand = 0
        self.worker.fork_seconds = FORK_SECONDS
        self.exported += len(spans) - failed
        self.failed += failed
        if failed:
            say_once(
                f"sink:{id(self)}",
                "spantally: exporter %s failed with %s; the program and other exporters are not affected, "
                "how many spans it did not take is said at the end",
                self.label,
                why,
            )

    def _shut_down(self) -> None:
        if self._shut.is_set():
            return
        try:
            flush = getattr(self.exporter, "force_flush", None)
            if flush is not None:
                flush(1000)
        except BaseException as error:
            swallowed("sinks.flush", error)
        try:
            self.exporter.shutdown()
        except BaseException as error:
            swallowed("sinks.shutdown", error)
        self._shut.set()

    def _say_full(self) -> None:
        say_once(
            f"sink-full:{id(self)}",
            "spantally: exporter %s is too slow or stuck: %d spans wait, and what has no room goes by; "
            "the program and other exporters are not affected",
            self.label,
            QUEUE,
        )

    # -- the end -------------------------------------------------------------------------------------

    def flush(self, timeout: float) -> bool:
        """Wait until it was given what was handed over so far; True if it was.

        Args:
            timeout: seconds to wait at most.
        """
        return self._shut.is_set() or self.worker.flush(timeout)

    def begin_close(self) -> None:
        """Take no more, and shut the exporter down behind what waits."""
        if not self.closed:
            self.closed = True
            self.channel.put(_CLOSE)
            self.worker.hurry()

    def end_close(self, deadline: float) -> None:
        """Wait until it has shut down, and say what did not arrive.

        Args:
            deadline: on the monotonic clock.
        """
        own = threading.current_thread() is self.worker._thread
        if not own:
            self._shut.wait(max(0.0, deadline - time.monotonic()))
            if self._shut.is_set():
                self.worker.stop(0.5)
        self.worker.retire()
        if not own:
            self._report(stuck=not self._shut.is_set())

    def _report(self, *, stuck: bool) -> None:
        dropped = next(self._drops)
        waiting = self._in_hand + max(0, len(self.channel) - 1) if stuck else 0
        if self._reported or not (self.failed or dropped or waiting or stuck):
            return
        self._reported = True
        say(
            "spantally: exporter %s: %d spans arrived, %d failed, %d had no room in its queue, %d still "
            "waited%s",
            self.label,
            self.exported,
            self.failed,
            dropped,
            waiting,
            "; it did not end in time" if stuck else "",
        )

    def in_child(self) -> None:
        """In the child of a fork: what the parent counted is the parent's to say."""
        self.exported = self.failed = 0
        self._drops = itertools.count()
        self._full = False
        self._shut = _copy_of(self._shut)


def _copy_of(event: threading.Event) -> threading.Event:
    made = threading.Event()
    if event.is_set():
        made.set()
    return made
