"""The backstop of metrics; see :mod:`spantally.otel.exporters`."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData

from spantally.otel.exporters import Backstop
from spantally.otel.metric_net import MetricNet


class RedactingMetricExporter(Backstop, MetricExporter):
    """Takes secrets out of metrics before another exporter sends them.

    Args:
        inner: the exporter that sends; its results and preferences are handed on as they are.
        redact: False lets metrics pass; an object replaces the default redactor.

    Raises:
        SettingsError: ``redact`` is none of these.
    """

    def export(self, metrics_data: Any, *args: Any, **kwargs: Any) -> Any:
        """Send the metrics without their secrets, by the inner exporter."""
        safe = MetricNet(self._redactor).collected(metrics_data)
        if safe is None and metrics_data is not None:  # nothing of it can be sent
            safe = MetricsData(resource_metrics=[])
        return self.inner.export(safe, *args, **kwargs)
