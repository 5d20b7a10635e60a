"""Exporters of our own: a file of JSON lines, log records, a function, and a filter around another exporter.

Each is an OpenTelemetry ``SpanExporter``, so that it works in any provider's span processor too. Given to
``instrument(exporters=...)`` or ``add_exporter()`` it runs on a thread of its own.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spantally.ground.errors import ArgumentError, shown
from spantally.sinks.items import item_of

_OF_LOGS: Final = frozenset({"LogRecordExporter", "LogExporter"})
_OTHERS: Final = {
    "MetricExporter": "metrics are read from the meter provider that has the instruments: give it to a "
    "PeriodicExportingMetricReader of that",
    **dict.fromkeys(_OF_LOGS, "give it to add_exporter() or instrument(exporters=[...]) itself"),
}


def is_log_exporter(exporter: Any) -> bool:
    """Whether something exports log records."""
    return any(
        kind.__name__ in _OF_LOGS and kind.__module__.startswith("opentelemetry.")
        for kind in type(exporter).__mro__
    )


def check_exporter(what: str, exporter: Any, *, logs: bool = True) -> None:
    """See that something is an exporter of spans, or of log records.

    Args:
        what: the call, for the error.
        exporter: what was given.
        logs: whether one of log records will do.

    Raises:
        ArgumentError: it is not.
    """
    for kind in type(exporter).__mro__:
        if logs and kind.__name__ in _OF_LOGS:
            continue
        if kind.__name__ in _OTHERS and kind.__module__.startswith("opentelemetry."):
            raise ArgumentError(
                f"{what}: {type(exporter).__name__} exports no spans; {_OTHERS[kind.__name__]} "
                "(docs/live-and-sinks.md)"
            )
    if inspect.isclass(exporter):
        raise ArgumentError(f"{what}: {exporter.__name__} is a class; pass an object of it")
    missing = [name for name in ("export", "shutdown") if not callable(getattr(exporter, name, None))]
    if missing:
        raise ArgumentError(
            f"{what}: {_short(exporter)} is no exporter of spans: it has no {' and no '.join(missing)}(); "
            "use an OpenTelemetry SpanExporter, or spantally.CallbackExporter(function)"
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class ItemExporter(SpanExporter):
    """Base of exporters that take spans, events and ends of sessions as plain data.

    Its fields are in ``docs/live-and-sinks.md``.

    Attributes:
        failed: items of the last batch that could not be handed over.
        error: class of the last failure.
    """

    failed = 0
    error: str | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand over each span; one that fails costs no other.

        Args:
            spans: finished and redacted.
        """
        return self._take_all(item_of, spans)

    def export_items(self, items: Sequence[dict[str, Any]]) -> SpanExportResult:
        """Hand over items of events and sessions; one that fails costs no other.

        Args:
            items: plain data, redacted.
        """
        return self._take_all(dict, items)

    def _take_all(self, made: Callable[[Any], dict[str, Any]], given: Sequence[Any]) -> SpanExportResult:
        failed = 0
        for one in given:
            try:
                self.take(made(one))
            except Exception as error:
                failed += 1
                self.error = type(error).__name__
        self.failed = failed
        return SpanExportResult.FAILURE if failed else SpanExportResult.SUCCESS

    def take(self, item: dict[str, Any]) -> None:
        """Take one item; may raise.

        Args:
            item: plain data, to be kept or changed at will.
        """
        raise NotImplementedError

    def shutdown(self) -> None:
        """End; nothing comes any more."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing waits here.

        Args:
            timeout_millis: not needed.
        """
        return True


class CallbackExporter(ItemExporter):
    """Calls a function with each finished span, each event and each end of a session.

    Args:
        fn: takes one dict of plain data (JSON); what it raises is counted and costs nobody else anything.

    Raises:
        ArgumentError: ``fn`` cannot be called, or is a coroutine function.

    Example:
        >>> exporter = CallbackExporter(lambda item: print(item["name"], item["cost_usd"]))
    """

    def __init__(self, fn: Callable[[dict[str, Any]], Any]) -> None:
        given: object = fn
        if not callable(given) or inspect.iscoroutinefunction(fn):
            raise ArgumentError(f"CallbackExporter({_short(fn)}): use a plain function of one argument")
        self.fn = fn

    def take(self, item: dict[str, Any]) -> None:
        """Call the function."""
        self.fn(item)


class JsonlExporter(ItemExporter):
    """Appends each finished span, event and end of a session to a file: one line, one write.

    A new file is readable by its owner only. Several processes may append to one file.

    Args:
        path: of the file; its directory must exist.

    Raises:
        ArgumentError: the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        given: object = path
        if not isinstance(given, (str, os.PathLike)) or not os.fspath(given):
            raise ArgumentError(f"JsonlExporter({shown(path)}): use the path of a file")
        self.path = os.fspath(path)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        try:
            self._file: int | None = os.open(self.path, flags, 0o600)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ArgumentError(
                f"JsonlExporter({self.path!r}): {reason}; use a file that can be written"
            ) from (error)
        self._torn = False

    def take(self, item: dict[str, Any]) -> None:
        """Write the line."""
        if self._file is None:
            raise ValueError("the file is closed")
        text = json.dumps(item, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        line = ("\n" if self._torn else "") + text + "\n"
        data = line.encode("utf-8", "backslashreplace")
        self._torn = True  # until all of it is written: the next line then begins anew
        while data:
            data = data[os.write(self._file, data) :]
        self._torn = False

    def shutdown(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


class LoggingExporter(ItemExporter):
    """Logs each finished span, event and end of a session: a sentence, and the item as ``record.spantally``.

    Args:
        logger: a logger, or its name.
        level: of the records.

    Raises:
        ArgumentError: for arguments of other types.
    """

    def __init__(self, logger: str | logging.Logger = "spantally.events", level: int = logging.INFO) -> None:
        if isinstance(logger, str) and logger:
            logger = logging.getLogger(logger)
        if not isinstance(logger, (logging.Logger, logging.LoggerAdapter)):
            raise ArgumentError(f"LoggingExporter({shown(logger)}): use a logger or its name")
        if isinstance(level, bool) or not isinstance(level, int):
            raise ArgumentError(f"LoggingExporter(level={shown(level)}): use a number, as logging.INFO")
        self.logger = logger
        self.level = level

    def take(self, item: dict[str, Any]) -> None:
        """Log it."""
        if self.logger.isEnabledFor(self.level):
            self.logger.log(self.level, "%s", sentence(item), extra={"spantally": item})


def sentence(item: Mapping[str, Any]) -> str:
    """An item in one line: ``chat gpt-4o ok 823ms session=chat-42 in=120 out=45 cost=$0.0012``."""
    parts = [f"{item['name']} {item['status']}"]
    if item["duration_ms"] is not None:
        parts.append(f"{item['duration_ms']:.0f}ms")
    for word, field in (("session", "session_id"), ("in", "input_tokens"), ("out", "output_tokens")):
        if item[field] is not None:
            parts.append(f"{word}={item[field]}")
    if item["cost_usd"] is not None:
        parts.append(f"cost=${item['cost_usd']}")
    elif item["cost_status"] is not None:
        parts.append(f"cost={item['cost_status']}")
    if item["error_type"] is not None:
        parts.append(f"error={item['error_type']}")
    return " ".join(parts)


class FilterExporter(SpanExporter):
    """Passes on the spans, events and ends of sessions for which a predicate holds.

    Args:
        inner: the exporter that gets them: an OpenTelemetry one, or one of these.
        predicate: takes the same dict as a callback does; a span for which it raises is not passed on, and
            counted as failed.

    Raises:
        ArgumentError: for arguments of other types.

    Example:
        >>> exporter = FilterExporter(JsonlExporter("errors.jsonl"), lambda item: item["status"] == "error")
    """

    def __init__(self, inner: SpanExporter, predicate: Callable[[dict[str, Any]], Any]) -> None:
        check_exporter("FilterExporter(inner)", inner, logs=False)
        given: object = predicate
        if not callable(given) or inspect.iscoroutinefunction(predicate):
            raise ArgumentError(
                f"FilterExporter(predicate={_short(predicate)}): use a function of one argument"
            )
        self.inner = inner
        self.predicate = predicate
        self.failed = 0
        self.error: str | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Ask for each span, and pass on those that may go.

        Args:
            spans: finished and redacted.
        """
        return self._pass_on(spans, item_of, self.inner.export)

    def export_items(self, items: Sequence[dict[str, Any]]) -> SpanExportResult:
        """Pass on items of events and sessions, where the inner exporter takes any.

        Args:
            items: plain data, redacted.
        """
        if not takes_items(self.inner):
            return SpanExportResult.SUCCESS
        inner: Any = self.inner
        return self._pass_on(items, dict, inner.export_items)

    def _pass_on(
        self, given: Sequence[Any], made: Callable[[Any], dict[str, Any]], export: Callable[[Any], Any]
    ) -> SpanExportResult:
        chosen, failed = [], 0
        for one in given:
            try:
                if self.predicate(made(one)):
                    chosen.append(one)
            except Exception as error:
                failed += 1
                self.error = type(error).__name__
        self.failed = failed
        result = SpanExportResult.SUCCESS
        if chosen:
            result = export(chosen)
            if result is SpanExportResult.FAILURE:
                self.failed += failed_of(self.inner, len(chosen))
                self.error = error_of(self.inner)
        return SpanExportResult.FAILURE if failed else result

    def shutdown(self) -> None:
        """Shut the inner exporter down."""
        self.inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the inner exporter.

        Args:
            timeout_millis: to wait at most.
        """
        flush = getattr(self.inner, "force_flush", None)
        return flush is None or flush(timeout_millis) is not False


def takes_items(exporter: Any) -> bool:
    """Whether an exporter takes events and ends of sessions as plain data."""
    if isinstance(exporter, FilterExporter):
        return takes_items(exporter.inner)
    return isinstance(exporter, ItemExporter)


def failed_of(exporter: Any, whole: int) -> int:
    """How many items of a batch that an exporter reported as failed it means: all, where it does not say."""
    if isinstance(exporter, (ItemExporter, FilterExporter)):
        return min(exporter.failed, whole)
    return whole


def error_of(exporter: Any) -> str:
    """What it says of the reason."""
    if isinstance(exporter, (ItemExporter, FilterExporter)) and exporter.error is not None:
        return exporter.error
    return "the result FAILURE"
