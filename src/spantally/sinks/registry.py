"""The sinks of this process: added and removed at run time, fed by the span processor."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from spantally.calls import pipeline
from spantally.calls.telemetry import RedactorLike
from spantally.ground.errors import ArgumentError
from spantally.ground.guard import swallowed
from spantally.sinks.exporters import FilterExporter, ItemExporter, check_exporter
from spantally.sinks.items import forget_records, recent, remember_records
from spantally.sinks.records import is_told
from spantally.sinks.sink import Sink, threads

CLOSE_SECONDS: Final = 2.0
"""How long the end of the process, or a removal, waits for all exporters together."""


class Sinks:
    """Exporters in use, each behind a queue and a thread of its own."""

    def __init__(self) -> None:
        self.sinks: tuple[Sink, ...] = ()
        self.redactor: Callable[[], RedactorLike | None] = _nobody
        """What spans pass once more before an exporter sees them."""
        self.kept: Callable[[Sequence[Any]], Sequence[Any]] = tuple
        """What records pass: names and ids in them lose their secrets as on their way into a ledger."""
        self._lock = threading.RLock()

    def add(self, exporter: Any, *, what: str = "add_exporter") -> None:
        """Give finished spans to an exporter from now on.

        Args:
            exporter: an OpenTelemetry ``SpanExporter`` or ``LogRecordExporter``, or one of ours.
            what: the call, for an error.

        Raises:
            ArgumentError: (a ValueError) it is no exporter of spans, or in use already.
        """
        check_exporter(what, exporter)
        with self._lock:
            if self.has(exporter):
                raise ArgumentError(
                    f"{what}: this {type(exporter).__name__} is in use already; remove_exporter() takes it "
                    "out, and another object of its class may be added beside it"
                )
            if isinstance(exporter, (ItemExporter, FilterExporter)):
                remember_records()
            self.sinks = (*self.sinks, Sink(exporter, self._redactor_now, self._kept_now))
            if any(one.takes_records for one in self.sinks):
                pipeline.add_tap(self.offer_record)

    def _kept_now(self, records: Sequence[Any]) -> Sequence[Any]:
        return self.kept(records)

    def _redactor_now(self) -> RedactorLike | None:
        return self.redactor()

    def has(self, exporter: Any) -> bool:
        """Whether this very exporter is in use."""
        return any(one.exporter is exporter for one in self.sinks)

    def remove(self, exporter: Any) -> None:
        """Give it what waits, shut it down, and forget it; waits for :data:`CLOSE_SECONDS` at most.

        Args:
            exporter: that was added.

        Raises:
            ArgumentError: (a ValueError) it is not in use.
        """
        with self._lock:
            found = [one for one in self.sinks if one.exporter is exporter]
            if not found:
                raise ArgumentError(
                    f"remove_exporter: this {type(exporter).__name__} is not in use; pass the object that "
                    "was added"
                )
            self.sinks = tuple(one for one in self.sinks if one.exporter is not exporter)
            if not self.sinks:
                forget_records()
                pipeline.remove_tap(self.offer_record)
        _close(found, CLOSE_SECONDS)

    def offer(self, span: Any) -> None:
        """Hand a finished span over: one append for each sink. Never raises.

        Args:
            span: a ``ReadableSpan``, redacted.
        """
        sinks = self.sinks
        if not sinks or threading.get_ident() in threads:
            return
        try:
            if not span.context.trace_flags.sampled:
                return
            for sink in sinks:
                if sink.takes_spans:
                    sink.offer(span)
        except Exception as error:
            swallowed("sinks.offer", error)

    def offer_record(self, record: Any) -> None:
        """Hand an event, or the end of a session, over: one append for each sink that takes any.

        Args:
            record: any that calls and sessions give to the ledger.
        """
        if not is_told(record) or threading.get_ident() in threads:
            return
        for sink in self.sinks:
            if sink.takes_records:
                sink.offer(record)

    def flush(self, timeout: float) -> bool:
        """Wait until every exporter was given what was handed over so far.

        An exporter that asks for it waits for none: it would wait for itself.

        Args:
            timeout: seconds to wait at most, for all.
        """
        if threading.get_ident() in threads:
            return True
        deadline = time.monotonic() + timeout
        for sink in self.sinks:
            sink.worker.hurry()
        done = True
        for sink in self.sinks:
            done = sink.flush(max(0.0, deadline - time.monotonic())) and done
        return done

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Give all what waits, shut them down and forget them. Never raises.

        Args:
            timeout: seconds to wait at most, for all.
        """
        with self._lock:
            found, self.sinks = self.sinks, ()
            if found:
                forget_records()
                pipeline.remove_tap(self.offer_record)
        try:
            _close(list(found), timeout)
        except Exception as error:
            swallowed("sinks.close", error)

    def in_child(self) -> None:
        """In the child of a fork: locks are new, and counts its own."""
        self._lock = threading.RLock()
        threads.clear()
        recent.forget()
        for sink in self.sinks:
            sink.in_child()


def _nobody() -> RedactorLike | None:
    return None


def _close(found: list[Sink], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    for sink in found:
        sink.begin_close()
    for sink in found:
        sink.end_close(deadline)


sinks: Final = Sinks()
"""Those of this process."""


def _after_fork_in_child() -> None:
    try:
        sinks.in_child()
    except Exception as error:
        swallowed("sinks.after_fork", error)


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
