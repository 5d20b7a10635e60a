"""Giving many values to one data point: what the SDK works out anew for each of them is worked out once.

For every value the SDK cleans a copy of the attributes and makes a key of them, the larger part of what a
record costs. No public way shares that. This one does, with the SDK's own objects below it: the same readers,
views, limits, exemplars and sums. It leans on private names, so it is compared with the public way once, on a
provider of its own, and where that shows any difference nobody takes it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry import context as otel_context

MOST_KEPT: Final = 4096


class Points:
    """Takes values for the points of instruments; for one thread, the worker."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Mapping[str, Any], dict[str, Any], Any]] = {}
        """By identity: attributes as given, cleaned, and their key."""

    def give(self, instrument: Any, values: Sequence[float], attributes: Mapping[str, Any]) -> None:
        """Record values with the same attributes.

        Args:
            instrument: a counter or histogram of any SDK.
            values: in any order.
            attributes: not changed afterwards.

        Raises:
            Exception: what the SDK raises, for the caller to count.
        """
        shared = _way() if type(instrument).__module__ == _INSTRUMENTS else None
        if shared is None or not _is_plain(values):
            _publicly(instrument, values, attributes)
            return
        known = self._kept.get(id(attributes))
        if known is None or known[0] is not attributes:
            cleaned = shared.clean(attributes, None)
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            known = self._kept[id(attributes)] = (attributes, cleaned, shared.key(cleaned))
        try:
            shared.give(instrument, values, known[1], known[2])
        except Exception:
            # How many of these values it took nobody knows: none is given twice, and no more go this way.
            _found[:] = [None]
            raise


_INSTRUMENTS: Final = "opentelemetry.sdk.metrics._internal.instrument"
_INFINITE: Final = float("inf")


def _is_plain(values: Sequence[float]) -> bool:
    """Whether the SDK takes all of them: it refuses negative numbers, and what is no number."""
    return all(0 <= value < _INFINITE for value in values)


def _publicly(instrument: Any, values: Sequence[float], attributes: Mapping[str, Any]) -> None:
    take = getattr(instrument, "record", None) or instrument.add
    for value in values:
        take(value, attributes)


class _Shared:
    """The way through the SDK's private names."""

    def __init__(self) -> None:
        from opentelemetry.attributes import _clean_attribute_value
        from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, TraceBasedExemplarFilter
        from opentelemetry.sdk.metrics._internal._view_instrument_match import _hash_attributes
        from opentelemetry.sdk.metrics._internal.measurement import Measurement

        self.clean: Any = _clean_attribute_value
        self.key: Any = _hash_attributes
        self._measurement: Any = Measurement
        self._heedless: Final = (AlwaysOffExemplarFilter, TraceBasedExemplarFilter)
        """Filters whose answer does not depend on the value."""

    def give(self, instrument: Any, values: Sequence[float], attributes: dict[str, Any], key: Any) -> None:
        if not instrument._is_enabled():
            return
        consumer = instrument._measurement_consumer
        now, context = time.time_ns(), otel_context.get_current()
        wanted = consumer._sdk_config.exemplar_filter
        made: list[tuple[Any, bool]] = []
        sampled: bool | None = None
        heeds = type(wanted) not in self._heedless
        alike = {
            "time_unix_nano": now,
            "instrument": instrument,
            "context": context,
            "attributes": attributes,
        }
        for value in values:
            if heeds or sampled is None:
                sampled = wanted.should_sample(value, now, attributes, context)
            measurement = object.__new__(self._measurement)
            # Its own __init__ would clean the attributes once more.
            measurement.__dict__.update(alike, value=value)
            made.append((measurement, sampled))
        for storage in consumer._reader_storages.values():
            for match in storage._get_or_init_view_instrument_match(instrument):
                if match._view._attribute_keys is not None:
                    for measurement, sampled in made:
                        match.consume_measurement(measurement, sampled)
                elif match._reset_on_collect:
                    # Collecting throws the sums away: nothing may be added to them after that.
                    with match._lock:
                        point = match._get_or_create_aggregation(key, dict(attributes))
                        for measurement, sampled in made:
                            point.aggregate(measurement, sampled)
                else:
                    point = match._attributes_aggregation.get(key)
                    if point is None:
                        with match._lock:
                            point = match._get_or_create_aggregation(key, dict(attributes))
                    for measurement, sampled in made:
                        point.aggregate(measurement, sampled)


_found: list[_Shared | None] = []


def _way() -> _Shared | None:
    """The shared way; None where this SDK has it not, or it says anything else than the public one."""
    if not _found:
        try:
            shared = _Shared()
            _found.append(shared if _told(None) == _told(shared) else None)
        except Exception:
            _found.append(None)  # another SDK than those that we know: the public way serves
    return _found[0]


_SCOPE: Final = "probe"
_PROBE: Final = ({"a": "x", "b": 1, "c": True}, {"a": "x", "b": 1.5}, {"a": "y"})


def _told(shared: _Shared | None) -> list[Any]:
    """What two readers and a view tell of the same values, given in one of the two ways."""
    from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, Counter, Histogram, MeterProvider
    from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
    from opentelemetry.sdk.metrics.view import View
    from opentelemetry.sdk.resources import Resource

    delta: dict[type, Any] = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)
    readers = [InMemoryMetricReader(), InMemoryMetricReader(preferred_temporality=delta)]
    provider = MeterProvider(
        metric_readers=readers,
        resource=Resource({}),
        views=[View(instrument_name="narrow", attribute_keys={"a"})],
        exemplar_filter=AlwaysOffExemplarFilter(),
        shutdown_on_exit=False,
    )
    meter = provider.get_meter(_SCOPE)
    instruments = [
        meter.create_counter("sum"),
        meter.create_counter("narrow"),
        meter.create_histogram("values", explicit_bucket_boundaries_advisory=(1, 2, 4)),
    ]
    told: list[Any] = []
    for _ in range(2):
        for instrument in instruments:
            for attributes in _PROBE:
                if shared is None:
                    _publicly(instrument, (1, 2.5), attributes)
                else:
                    cleaned = shared.clean(attributes, None)
                    shared.give(instrument, (1, 2.5), cleaned, shared.key(cleaned))
        told.extend(_plain(reader.get_metrics_data(), _SCOPE) for reader in readers)
    provider.shutdown()
    return told


def _plain(data: Any, scope_name: str) -> list[Any]:
    """Names and points of a scope without their times; an SDK may measure itself in another."""
    return [
        (metric.name, metric.unit, [_without_times(point) for point in metric.data.data_points])
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        if scope.scope.name == scope_name
        for metric in scope.metrics
    ]


def _without_times(point: Any) -> list[tuple[str, Any]]:
    return sorted(
        (name, dict(value) if name == "attributes" else value)
        for name, value in vars(point).items()
        if not name.endswith("time_unix_nano")
    )
