"""How much redaction took out, and how often it failed, as metrics: read when metrics are collected.

The sums are kept by the redaction itself, of which a program may not have loaded anything yet; a call pays
nothing for them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.metrics import CallbackOptions, Observation

from spantally.ground import semconv
from spantally.ground.guard import swallowed


def observe_redaction(meter: Any) -> None:
    """Make the two counters.

    Args:
        meter: makes them.
    """
    meter.create_observable_counter(
        semconv.METRIC_REDACTED,
        [_redacted],
        "{redaction}",
        "What redaction took out in this process, by type. A text that goes to several places may count for "
        "each.",
    )
    meter.create_observable_counter(
        semconv.METRIC_REDACTION_FAILURES,
        [_failures],
        "{failure}",
        "Scans and rules of redaction that failed in this process, by `error.type`.",
    )


def _redacted(options: CallbackOptions) -> Iterable[Observation]:
    return _observed("redacted", semconv.REDACTION_TYPE)


def _failures(options: CallbackOptions) -> Iterable[Observation]:
    return _observed("failures", semconv.ERROR_TYPE)


def _observed(name: str, key: str) -> list[Observation]:
    try:
        counting = sys.modules.get("spantally.redaction.counting")
        sums: Mapping[str, int] = getattr(counting, name, {})
        return [Observation(count, {key: kind}) for kind, count in list(sums.items())]
    except Exception as error:
        swallowed("otel.redaction_metrics", error)
        return []
