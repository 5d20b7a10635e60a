"""The instruments of the GenAI metrics, by their newest name, made in the spelling of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.otel.points import Points

_SECONDS: Final = tuple(0.01 * 2**step for step in range(14))
_AGENT_SECONDS: Final = tuple(round(0.1 * 2**step, 1) for step in range(13))
_WORKFLOW_SECONDS: Final = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_TOKENS: Final = tuple(4**step for step in range(14))
_CALLS: Final = tuple(2**step for step in range(8))


class _Metric(NamedTuple):
    unit: str
    text: str
    buckets: tuple[float, ...] | None = None
    """None makes it a counter."""
    per_call: bool = False
    """Recorded call by call; made only where the user asks for it."""


_METRICS: Final[Mapping[str, _Metric]] = {
    semconv.METRIC_INFERENCE_DURATION: _Metric(
        "s", "Duration of a GenAI inference, retries included.", _SECONDS
    ),
    semconv.METRIC_EMBEDDINGS_DURATION: _Metric(
        "s", "Duration of an embeddings call, retries included.", _SECONDS
    ),
    semconv.METRIC_OPERATION_DURATION: _Metric(
        "s", "Duration of another GenAI operation of a client, retries included.", _SECONDS
    ),
    semconv.METRIC_FIRST_CHUNK: _Metric(
        "s", "From the request to the first chunk of a streamed answer.", _SECONDS
    ),
    semconv.METRIC_TOOL_DURATION: _Metric("s", "Duration of a tool execution.", _SECONDS),
    semconv.METRIC_AGENT_DURATION: _Metric("s", "Duration of an agent invocation.", _AGENT_SECONDS),
    semconv.METRIC_WORKFLOW_DURATION: _Metric("s", "Duration of a workflow.", _WORKFLOW_SECONDS),
    semconv.METRIC_AGENT_INFERENCE_CALLS: _Metric(
        "{inference_call}", "Model calls of one agent invocation, other agents' left out.", _CALLS
    ),
    semconv.METRIC_AGENT_TOOL_CALLS: _Metric(
        "{tool_call}", "Tool executions of one agent invocation, other agents' left out.", _CALLS
    ),
    semconv.METRIC_INPUT_TOKENS: _Metric("{token}", "Input tokens, cached ones included."),
    semconv.METRIC_OUTPUT_TOKENS: _Metric("{token}", "Output tokens, reasoning included."),
    semconv.METRIC_CACHE_READ_TOKENS: _Metric("{token}", "Input tokens read from the provider's cache."),
    semconv.METRIC_CACHE_WRITE_TOKENS: _Metric("{token}", "Input tokens written to the provider's cache."),
    semconv.METRIC_REASONING_TOKENS: _Metric("{token}", "Output tokens used for reasoning."),
    semconv.METRIC_COST: _Metric("USD", "Cost of calls as far as it is known, by `spantally.cost.status`."),
    semconv.METRIC_UNPRICED_CALLS: _Metric(
        "{call}", "Calls that the cost does not cover, by `spantally.cost.status`."
    ),
    semconv.METRIC_CALL_INPUT_TOKENS: _Metric(
        "{token}", "Input tokens of each inference.", _TOKENS, per_call=True
    ),
    semconv.METRIC_CALL_OUTPUT_TOKENS: _Metric(
        "{token}", "Output tokens of each inference.", _TOKENS, per_call=True
    ),
    semconv.METRIC_EMBEDDINGS_INPUT_TOKENS: _Metric(
        "{token}", "Input tokens of each embeddings call.", _TOKENS, per_call=True
    ),
    semconv.METRIC_TOKEN_USAGE: _Metric("{token}", "Tokens of each call, by type.", _TOKENS),
}


class Instruments:
    """The instruments that a profile has.

    Args:
        meter: makes them.
        names: the profile's, from :data:`spantally.ground.semconv.PROFILE_METRICS`.
        per_call: whether those that are recorded call by call are wanted.
    """

    def __init__(self, meter: Any, names: Mapping[str, str | None], *, per_call: bool) -> None:
        made: dict[str, Any] = {}
        self._by_name: dict[str, Any] = {}
        self._points = Points()
        self._noted: dict[tuple[str, int], tuple[Mapping[str, Any], list[float]]] = {}
        """By metric and the identity of the attributes, which are kept beside their values meanwhile."""
        for newest, metric in _METRICS.items():
            name = names.get(newest, newest)
            if name is None or (metric.per_call and not per_call):
                continue
            if name not in made:
                made[name] = _make(meter, name, metric)
            self._by_name[newest] = made[name]

    def has(self, name: str) -> bool:
        """True if the profile has a metric and it is wanted."""
        return name in self._by_name

    def record(self, name: str, value: float, attributes: Mapping[str, Any]) -> None:
        """Record into a histogram, with the next :meth:`flush`: values of one point go together."""
        key = (name, id(attributes))
        noted = self._noted.get(key)
        if noted is None:
            self._noted[key] = (attributes, [value])
        else:
            noted[1].append(value)

    def add(self, name: str, value: float, attributes: Mapping[str, Any]) -> None:
        """Add to a counter."""
        self._points.give(self._by_name[name], (value,), attributes)

    def flush(self) -> None:
        """Give what was recorded to the histograms."""
        noted, self._noted = self._noted, {}
        for (name, _), (attributes, values) in noted.items():
            try:
                self._points.give(self._by_name[name], values, attributes)
            except Exception as error:
                swallowed("otel.metrics", error)


def _make(meter: Any, name: str, metric: _Metric) -> Any:
    if metric.buckets is None:
        return meter.create_counter(name, metric.unit, metric.text)
    return meter.create_histogram(
        name, metric.unit, metric.text, explicit_bucket_boundaries_advisory=metric.buckets
    )
