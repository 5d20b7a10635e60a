"""Exporters that a program adds and removes while it runs; see :mod:`spantally.sinks`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from spantally.ground.errors import ArgumentError
from spantally.ground.settings import is_disabled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spantally.api.providers import Providers
    from spantally.sinks.registry import Sinks


_active: list[Providers] = []
"""The providers of the runtime, while one is active: sinks that are added later get its spans."""


def add_exporter(exporter: Any) -> None:
    """Give every finished span to an exporter, too, from now on.

    It runs on a thread of its own, behind a queue of 2,048 spans, after redaction and tally: one that is
    slow, stuck or raises costs neither the program nor another exporter anything. What it sends makes no
    spans.

    Args:
        exporter: an OpenTelemetry ``SpanExporter``; a ``LogRecordExporter``, which gets our events as log
            records; or one of :class:`JsonlExporter`, :class:`CallbackExporter`, :class:`LoggingExporter`
            and :class:`FilterExporter`, which get spans, events and ends of sessions. Before
            ``instrument()`` it waits for that.

    Raises:
        ArgumentError: (a ValueError) it exports no spans, or is in use already.
    """
    from spantally.sinks.registry import sinks

    if is_disabled():
        from spantally.sinks.exporters import check_exporter

        check_exporter("add_exporter", exporter)
        return
    sinks.add(exporter)
    for providers in tuple(_active):
        connect(providers)


def remove_exporter(exporter: Any) -> None:
    """Take an exporter out: it gets what waits for it and is shut down, within two seconds.

    Args:
        exporter: the object that was given to ``add_exporter()`` or ``instrument(exporters=...)``.

    Raises:
        ArgumentError: (a ValueError) it is not in use.
    """
    from spantally.sinks.registry import sinks

    if not is_disabled():
        sinks.remove(exporter)


def parse_exporters(value: object) -> tuple[Any, ...]:
    """The exporters given to ``instrument()``.

    Raises:
        ArgumentError: it is no list of exporters of spans, or one of them is in it twice.
    """
    from spantally.sinks.exporters import check_exporter

    if not isinstance(value, (list, tuple)):
        raise ArgumentError(f"instrument(exporters={type(value).__name__}): use a list of exporters")
    for index, exporter in enumerate(value):
        check_exporter(f"instrument(exporters[{index}])", exporter)
        if any(exporter is other for other in value[:index]):
            raise ArgumentError(
                f"instrument(exporters[{index}]): this {type(exporter).__name__} is in the list twice; "
                "another object of its class may stand beside it"
            )
    return tuple(value)


def use_exporters(exporters: Sequence[Any]) -> None:
    """Put the exporters of ``instrument()`` into use; those that are already stay."""
    from spantally.sinks.registry import sinks

    for exporter in exporters:
        if not sinks.has(exporter):
            sinks.add(exporter)


def in_use() -> Sinks | None:
    """The sinks of this process; None in one that never had any, which does not import what they are."""
    module = sys.modules.get("spantally.sinks.registry")
    found: Sinks | None = None if module is None else getattr(module, "sinks", None)
    return found


def connect(providers: Providers) -> None:
    """Let the sinks, where there are any, get what the processor of these providers has finished."""
    if providers not in _active:
        _active[:] = [providers]
    sinks = in_use()
    if sinks is not None and providers.processor is not None:
        from spantally.api.kept_records import KeptRecords

        sinks.redactor = providers._redactor_now
        sinks.kept = KeptRecords(providers._redactor_now)
        providers.processor.finished = sinks.offer


def flush_sinks(timeout: float) -> bool:
    """Wait until every exporter was given what was handed over so far; True if it was."""
    sinks = in_use()
    return sinks is None or sinks.flush(timeout)


def close_sinks() -> None:
    """Shut all exporters down; bounded, never raises."""
    _active.clear()
    sinks = in_use()
    if sinks is not None:
        sinks.close()
