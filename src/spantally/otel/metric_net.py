"""The fourth redaction net: what the readers of a meter provider collect, whoever recorded it.

Attributes of points, filtered attributes of exemplars, descriptions, scope and resource are replaced between
the SDK's sums and the reader, on the reader's thread: every exporter of the provider gets the same, and
recording costs nothing. It leans on a private name of the SDK's reader; where one lacks it, nothing is done,
and a :class:`~spantally.otel.exporters.RedactingMetricExporter` is what is left.

It fails closed: a metric that cannot be scanned is left out of that collection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from spantally.calls.telemetry import RedactorLike
from spantally.ground.guard import swallowed
from spantally.otel.safe_values import safe_attributes, safe_text
from spantally.otel.shared_parts import safe_resource, safe_scope


def safe_metrics(data: Any, redactor: RedactorLike) -> Any:
    """Collected metrics without secrets; the same object where there are none.

    Args:
        data: the SDK's ``MetricsData``, which stays as it is.
        redactor: what scans.
    """
    groups = [_safe_group(group, redactor) for group in data.resource_metrics]
    return _replaced(data, "resource_metrics", groups)


def _safe_group(group: Any, redactor: RedactorLike) -> Any:
    resource = safe_resource(group.resource, redactor)
    group = _replaced(group, "scope_metrics", [_safe_scoped(one, redactor) for one in group.scope_metrics])
    if resource is group.resource:
        return group
    return replace(group, resource=resource, schema_url=resource.schema_url)


def _safe_scoped(scoped: Any, redactor: RedactorLike) -> Any:
    scope = safe_scope(scoped.scope, redactor)
    kept: list[Any] = []
    for metric in scoped.metrics:
        try:
            kept.append(_safe_metric(metric, redactor))
        except Exception as error:
            swallowed("redaction.metric", error)
    scoped = _replaced(scoped, "metrics", kept)
    if scope is scoped.scope:
        return scoped
    return replace(scoped, scope=scope, schema_url=scope.schema_url)


def _safe_metric(metric: Any, redactor: RedactorLike) -> Any:
    texts = {
        name: safe
        for name in ("name", "description", "unit")
        if (text := getattr(metric, name)) and (safe := safe_text(text, redactor)) is not text
    }
    points = [_safe_point(point, redactor) for point in metric.data.data_points]
    data = _replaced(metric.data, "data_points", points)
    if not texts and data is metric.data:
        return metric
    return replace(metric, data=data, **texts)


def _safe_point(point: Any, redactor: RedactorLike) -> Any:
    point = _with_safe(point, "attributes", redactor)
    if not point.exemplars:
        return point
    exemplars = [_with_safe(one, "filtered_attributes", redactor) for one in point.exemplars]
    return _replaced(point, "exemplars", exemplars)


def _with_safe(thing: Any, name: str, redactor: RedactorLike) -> Any:
    old = getattr(thing, name)
    if not old:
        return thing
    safe = safe_attributes(old, redactor)
    return thing if safe == dict(old) else replace(thing, **{name: safe})


def _replaced(thing: Any, name: str, items: list[Any]) -> Any:
    """``thing`` with other items; itself where each is the one that it has."""
    old: Sequence[Any] = getattr(thing, name)
    if len(old) == len(items) and all(new is item for new, item in zip(items, old, strict=True)):
        return thing
    return replace(thing, **{name: items})


class MetricNet:
    """Stands between the sums of meter providers and their readers.

    Args:
        redactor: asked at each collection; None lets metrics pass as they are.
    """

    def __init__(self, redactor: Callable[[], RedactorLike | None]) -> None:
        self._redactor = redactor

    def collected(self, data: Any) -> Any:
        """What a reader is to get for what was collected."""
        try:
            redactor = self._redactor()
            return data if redactor is None or data is None else safe_metrics(data, redactor)
        except Exception as error:
            swallowed("redaction.metrics", error)
            return None  # the reader takes it for nothing to export


class _Collect:
    """The SDK's function that collects for a reader, and our net behind it."""

    def __init__(self, collect: Callable[..., Any], net: MetricNet) -> None:
        self.collect = collect
        self.net = net

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.net.collected(self.collect(*args, **kwargs))


def place_metric_net(provider: Any, net: MetricNet) -> bool:
    """Let what every reader of an SDK meter provider collects pass the net, also of readers added later.

    Returns:
        False where this SDK does not let it.
    """
    consumer: Any = getattr(provider, "_measurement_consumer", None)
    collect = getattr(consumer, "collect", None)
    if not callable(collect):
        return False
    if not isinstance(collect, _Collect):
        collect = _Collect(collect, net)
        consumer.collect = collect
    placed = True
    for reader in _readers(provider):
        known = getattr(reader, "_collect", None)
        if callable(known) and not isinstance(known, _Collect):
            reader._collect = collect
        placed = placed and isinstance(getattr(reader, "_collect", None), _Collect)
    return placed


def remove_metric_net(provider: Any, net: MetricNet) -> None:
    """Take the net out again."""
    consumer = provider._measurement_consumer
    made: Any = getattr(consumer, "collect", None)
    if not isinstance(made, _Collect) or made.net is not net:
        return
    original = made.collect
    del consumer.collect
    for reader in _readers(provider):
        if getattr(reader, "_collect", None) is made:
            reader._collect = original


def _readers(provider: Any) -> list[Any]:
    """The readers of a provider: by its measurement consumer, which also knows those that came later."""
    storages = getattr(getattr(provider, "_measurement_consumer", None), "_reader_storages", None)
    return list(storages) if storages is not None else []
