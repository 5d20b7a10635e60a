"""Nothing delivered must not mean a slow exit, nor a noisy one.

The usual OTLP exporters retry for ten seconds each when nothing listens, and so does the shutdown of the
providers at the end of a program. This guard finds the exporters of the providers in use, and

* where the endpoint is the default one and nothing listens there, a batch is kept (within bounds) instead of
  retried, and goes out as soon as a collector answers;
* at exit it asks each endpoint once, in bounded time, whether anything listens. Where nothing does, it
  ends the exporters before the providers' own shutdown can retry, and one line says what happened.

It runs before the shutdown of the providers since ``atexit`` runs the newest first: :meth:`ExitGuard.watch`
registers it anew whenever it meets a provider.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from spantally.calls import pipeline
from spantally.ground.guard import guard, guarded, swallowed
from spantally.otel.reach import Target, target_of
from spantally.otel.redaction_net import multi_processor

KEPT_SPANS: Final = 2048
"""Spans kept for a collector that is not up yet: as many as the SDK's own queue holds."""

RESEND: Final = 512
"""Spans sent at once when it answers."""

JOIN_SECONDS: Final = 0.3
"""How long a thread of an exporter without a receiver may take to end."""

_OTLP: Final = "opentelemetry.exporter.otlp."
_NOISY: Final = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk.metrics._internal",
    "opentelemetry.sdk.metrics._internal.export",
)


class WatchedExporter:
    """One OTLP exporter of a provider, with what became of its batches.

    Attributes:
        exporter: the exporter.
        holder: the batch processor or metric reader that drives it, or None.
        signal: ``traces``, ``metrics`` or ``logs``.
        target: where it sends to; None where that cannot be asked.
        delivered: items that arrived.
        lost: items given up.
    """

    def __init__(self, exporter: Any, holder: Any, signal: str) -> None:
        self.exporter = exporter
        self.holder = holder
        self.signal = signal
        self.target: Target | None = target_of(exporter, signal)
        self.delivered = 0
        self.lost = 0
        self.last_ok: bool | None = None
        self._in_flight = 0
        self.on_delivered: Callable[[], None] | None = None
        self._kept: deque[Any] = deque()
        self._resending = threading.Lock()
        self._export: Callable[..., Any] = exporter.export
        if self.target is not None:
            self.target.prepare()
        exporter.export = self.export

    def export(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        """Stand in for the exporter's ``export``: the same result, without retries where nobody listens."""
        target = self.target
        by_default = target is not None and not target.explicit and not self.last_ok
        if by_default and target is not None and not target.listening():
            self._note(batch, ok=False)
            return self._failure(batch, args, kwargs)
        count = self._in_flight = _size(batch)
        try:
            result = self._export(batch, *args, **kwargs)
        finally:
            self._in_flight -= count
        ok = getattr(result, "name", "") == "SUCCESS"
        self._note(batch, ok=ok)
        if ok and self.on_delivered is not None:
            self.on_delivered()
        return result

    def _failure(self, batch: Any, args: Any, kwargs: Any) -> Any:
        kinds = {
            "traces": "SpanExportResult",
            "metrics": "MetricExportResult",
            "logs": "LogRecordExportResult",
        }
        from opentelemetry.sdk._logs import export as logs
        from opentelemetry.sdk.metrics import export as metrics
        from opentelemetry.sdk.trace import export as spans

        module: Any = {"traces": spans, "metrics": metrics, "logs": logs}[self.signal]
        kind = getattr(module, kinds[self.signal], None)
        return self._export(batch, *args, **kwargs) if kind is None else kind.FAILURE

    def _note(self, batch: Any, *, ok: bool) -> None:
        self.last_ok = ok
        count = _size(batch)
        if ok:
            self.delivered += count
        elif self.signal == "traces" and isinstance(batch, Sequence):
            self._kept.extend(batch)
            while len(self._kept) > KEPT_SPANS:
                self._kept.popleft()
                self.lost += 1
        else:
            self.lost += count

    def resend(self) -> None:
        """Send what was kept, oldest first, until one batch fails."""
        if not self._kept or not self._resending.acquire(blocking=False):
            return
        try:
            while self._kept:
                batch = [self._kept.popleft() for _ in range(min(RESEND, len(self._kept)))]
                result = self._export(batch)
                if getattr(result, "name", "") != "SUCCESS":
                    self._kept.extendleft(reversed(batch))
                    return
                self.delivered += len(batch)
        except Exception as error:
            swallowed("otel.resend", error)
        finally:
            self._resending.release()

    @property
    def waiting(self) -> int:
        """Items that have not arrived anywhere."""
        queue = getattr(getattr(self.holder, "_batch_processor", None), "_queue", ())
        return len(self._kept) + self.lost + self._in_flight + len(queue)

    @guarded("otel.give_up")
    def give_up(self) -> None:
        """End the exporter and the thread that drives it, without another try and without a word."""
        for kind in type(self.exporter).__mro__:
            if kind.__module__.startswith("opentelemetry."):
                logging.getLogger(kind.__module__).disabled = True
        for name in _NOISY:
            logging.getLogger(name).disabled = True
        if self.signal == "logs":
            _leave_log_handlers_alone()
        self.exporter.shutdown()
        batches = getattr(self.holder, "_batch_processor", None)
        if batches is not None:
            # Marked as shut down, the processor's own shutdown does not wait for its thread again.
            batches._shutdown = batches._shutdown_timeout_exceeded = True
            batches._worker_awaken.set()
            batches._worker_thread.join(JOIN_SECONDS)
            return
        event = getattr(self.holder, "_shutdown_event", None)
        thread = getattr(self.holder, "_daemon_thread", None)
        if event is not None and thread is not None:
            event.set()
            thread.join(JOIN_SECONDS)
            if thread.is_alive():
                self.holder._shutdown_once.do_once(lambda: None)

    def restore(self) -> None:
        """Give the exporter its own ``export`` back."""
        if self.exporter.__dict__.get("export") == self.export:
            del self.exporter.export


def _leave_log_handlers_alone() -> None:
    """Let ``logging``'s own shutdown not flush into a provider that cannot deliver.

    The SDK's handler starts a thread to flush, which from Python 3.12 on raises at that time.
    """
    for handler in logging.getLogger().handlers:
        if type(handler).__module__.startswith("opentelemetry."):
            handler.flush = _nothing  # type: ignore[method-assign]


def _nothing() -> None:
    return None


def _size(batch: Any) -> int:
    return len(batch) if isinstance(batch, Sequence) else 1


class ExitGuard:
    """Watches the OTLP exporters of the providers in use, from now until the program ends."""

    def __init__(self) -> None:
        self.exit_work: Callable[[], object] | None = None
        """Runs first at exit: what still ends calls, or writes the tally."""
        self._tally_kept: bool | None = None
        self._watched: list[WatchedExporter] = []
        self._providers: list[Any] = []
        self._owner = os.getpid()
        self._done = False

    @guarded("otel.exit_guard")
    def watch(self, *providers: Any) -> None:
        """Watch the exporters of tracer, meter or logger providers; meeting one again does nothing new."""
        for provider in providers:
            if provider is not None and not any(one is provider for one in self._providers):
                self._providers.append(provider)
        self._scan()
        atexit.unregister(self.at_exit)
        atexit.register(self.at_exit)

    def _scan(self) -> None:
        for provider in self._providers:
            for signal, exporter, holder in exporters_of(provider):
                if any(one.exporter is exporter for one in self._watched):
                    continue
                made = WatchedExporter(exporter, holder, signal)
                made.on_delivered = self._resend_all
                self._watched.append(made)

    def _resend_all(self) -> None:
        for one in self._watched:
            one.resend()

    def stop(self) -> None:
        """Leave the exporters as they were."""
        atexit.unregister(self.at_exit)
        for one in self._watched:
            try:
                one.restore()
            except Exception as error:
                swallowed("otel.exit_restore", error)
        self._watched.clear()
        self._providers.clear()
        self.exit_work = None

    @guarded("otel.at_exit")
    def at_exit(self) -> None:
        """What ``atexit`` runs, before the providers it has met shut down."""
        work, self.exit_work = self.exit_work, None
        if work is not None:
            with guard("otel.exit_work"):
                work()
        self.run()

    @guarded("otel.exit_run")
    def run(self, *, tally_kept: bool | None = None, unwritten: int = 0) -> None:
        """End what cannot deliver, send what was kept, say one line. Once a process.

        Args:
            tally_kept: whether a ledger has the program's calls; by default, whether anybody takes records.
            unwritten: records that it has not taken.
        """
        if self._done:
            return
        self._done = True
        self._scan()
        answers: dict[tuple[str, int], bool] = {}
        dead: list[WatchedExporter] = []
        for one in self._watched:
            target = one.target
            if target is None or (target.explicit and one.last_ok):
                continue
            key = (target.host, target.port)
            if key not in answers:
                answers[key] = target.listening()
            if answers[key]:
                one.resend()
            else:
                dead.append(one)
        tally = bool(pipeline.consumers()) if tally_kept is None else tally_kept
        line = _line(dead, tally=tally, unwritten=unwritten)
        for one in dead:
            one.give_up()
        if line and os.getpid() == self._owner:
            _say(line)

    def forget(self) -> None:
        """In the child of a fork: its exit is its own, but the line is its parent's to say."""
        self._done = False


exit_guard: Final = ExitGuard()
"""The guard of this process."""


def watch_exporters(*providers: Any) -> None:
    """Watch the OTLP exporters of these providers from now on; see :class:`ExitGuard`."""
    exit_guard.watch(*providers)


def before_exit(providers: Sequence[Any], *, tally_kept: bool, unwritten: int = 0) -> None:
    """Let nothing that cannot be delivered hold up the end of the process.

    Args:
        providers: whose exporters are meant, beside those watched already.
        tally_kept: whether the ledger has the program's calls, for the line that is said.
        unwritten: records that it has not taken.
    """
    exit_guard.watch(*providers)
    exit_guard.run(tally_kept=tally_kept, unwritten=unwritten)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=exit_guard.forget)


def _line(dead: list[WatchedExporter], *, tally: bool, unwritten: int = 0) -> str:
    """What a user should know, or nothing where no span was lost."""
    traces = [one for one in dead if one.signal == "traces" and one.waiting]
    if not traces:
        return ""
    target = traces[0].target
    assert target is not None
    spans = sum(one.waiting for one in traces)
    where = f"nothing listens at {target.text}"
    if target.explicit:
        where = f"the endpoint {target.text} does not answer"
    some = any(one.delivered for one in traces)
    what = f"the last {spans} spans went nowhere" if some else "traces went nowhere"
    rest = "the tally is complete, see it with: spantally sessions" if tally else "the tally is off"
    if tally and unwritten:
        rest = "nor is the tally complete, for the ledger could not be written; see: spantally doctor"
    return f"spantally: {what} ({where}); {rest}"


def _say(line: str) -> None:
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except Exception as error:
        swallowed("otel.exit_line", error)


def exporters_of(provider: Any) -> Iterator[tuple[str, Any, Any]]:
    """Signal, exporter and holder of each OTLP exporter of a tracer, meter or logger provider."""
    for signal, holder in holders_of(provider):
        for owner in (getattr(holder, "_batch_processor", None), holder):
            exporter = getattr(owner, "_exporter", None) or getattr(owner, "span_exporter", None)
            if exporter is not None:
                exporter = getattr(exporter, "inner", exporter)  # behind our backstop
                if any(kind.__module__.startswith(_OTLP) for kind in type(exporter).__mro__):
                    yield signal, exporter, holder
                break


def holders_of(provider: Any) -> list[tuple[str, Any]]:
    """Signal and holder (a processor or a reader) of all that a tracer, meter or logger provider feeds."""
    spans = multi_processor(provider)
    logs = getattr(provider, "_multi_log_record_processor", None)
    readers: Any = getattr(provider, "_metric_readers", None)
    if readers is None:
        readers = getattr(getattr(provider, "_sdk_config", None), "metric_readers", ())
    return [
        *(("traces", one) for one in getattr(spans, "_span_processors", ())),
        *(("logs", one) for one in getattr(logs, "_log_record_processors", ())),
        *(("metrics", one) for one in readers),
    ]
