"""GenAI metrics, recorded from the call records on the worker: the caller's thread pays nothing for them.

Names, units, attributes and bucket boundaries follow the GenAI metrics conventions of November 2026. Token
counters are summed per batch. Only calls metered at the source are recorded: other instrumentors record
their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from opentelemetry import metrics

from spantally.calls.telemetry import SCOPE_NAME, Telemetry
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import COUNTED_KINDS, CallRecord, Kind, Precedence, Record

if TYPE_CHECKING:
    from spantally.ground.money import UsageParts

_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_AGENT_SECONDS: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)

PartsOf: TypeAlias = "Callable[[CallRecord], UsageParts | None]"

Point = tuple[tuple[str, Any], ...]
"""Attributes of a data point, in a form that can be counted."""

ATTRIBUTES_LIMIT: Final = 2048
"""Sets of attributes whose redacted form is kept."""


class MetricsConsumer:
    """Records metrics from batches of call records.

    Args:
        provider: a meter provider; None for the global one.
        telemetry: gives the redactor.
        parts_of: reads a record's usage.
    """

    def __init__(self, provider: Any, telemetry: Telemetry, parts_of: PartsOf) -> None:
        meter = metrics.get_meter(
            SCOPE_NAME, meter_provider=provider, schema_url=semconv.SCHEMA_URLS[telemetry.profile]
        )
        self._telemetry = telemetry
        self._parts_of = parts_of
        self._safe: dict[Point, dict[str, Any]] = {}
        histogram = meter.create_histogram
        self._durations = {
            Kind.INFERENCE: histogram(
                "gen_ai.client.inference.duration",
                "s",
                "Duration of a GenAI inference, retries included.",
                explicit_bucket_boundaries_advisory=_SECONDS,
            ),
            Kind.EMBEDDINGS: histogram(
                "gen_ai.client.embeddings.duration",
                "s",
                "Duration of an embeddings call, retries included.",
                explicit_bucket_boundaries_advisory=_SECONDS,
            ),
            Kind.TOOL: histogram(
                "gen_ai.execute_tool.duration",
                "s",
                "Duration of a tool execution.",
                explicit_bucket_boundaries_advisory=_SECONDS,
            ),
            Kind.AGENT: histogram(
                "gen_ai.invoke_agent.duration",
                "s",
                "Duration of an agent invocation.",
                explicit_bucket_boundaries_advisory=_AGENT_SECONDS,
            ),
        }
        self._first_chunk = histogram(
            "gen_ai.client.inference.time_to_first_chunk",
            "s",
            "From the request to the first chunk of a streamed answer.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        usage = "gen_ai.client.inference.usage."
        self._tokens = {
            name: meter.create_counter(usage + name, "{token}", f"Tokens used: {name}.")
            for name in (
                "input_tokens",
                "output_tokens",
                "cache_read.input_tokens",
                "cache_write.input_tokens",
                "reasoning.output_tokens",
            )
        }

    def __call__(self, batch: Sequence[Record]) -> None:
        """Record a batch, on the worker."""
        sums: Counter[tuple[str, Point]] = Counter()
        for record in batch:
            if not isinstance(record, CallRecord) or record.precedence != Precedence.METERED:
                continue
            try:
                self._record(record, sums)
            except Exception as error:
                swallowed("otel.metrics", error)
        for (name, point), count in sums.items():
            try:
                self._tokens[name].add(count, self._attributes(point))
            except Exception as error:
                swallowed("otel.metrics", error)

    def _record(self, record: CallRecord, sums: Counter[tuple[str, Point]]) -> None:
        if record.end_ns is None or record.status == "running":
            return
        duration = self._durations.get(Kind(record.kind))
        point = _point(record)
        if duration is not None:
            failed = point if record.error_type is None else (*point, (semconv.ERROR_TYPE, record.error_type))
            duration.record((record.end_ns - record.start_ns) / 1e9, self._attributes(failed))
        if record.kind not in COUNTED_KINDS:
            return
        if record.first_chunk_ns is not None:
            self._first_chunk.record(record.first_chunk_ns / 1e9, self._attributes(point))
        if record.kind == Kind.INFERENCE:
            self._count(record, point, sums)

    def _count(self, record: CallRecord, point: Point, sums: Counter[tuple[str, Point]]) -> None:
        """Token counts by modality; a call without usage counts 0 of an unknown one."""
        parts = self._parts_of(record) if record.usage is not None else None
        if parts is None:
            unknown = (*point, (semconv.TOKEN_MODALITY, "unknown"))
            for name in ("input_tokens", "output_tokens"):
                sums[(name, unknown)] += 0
            return
        text = (*point, (semconv.TOKEN_MODALITY, "text"))
        audio = (*point, (semconv.TOKEN_MODALITY, "audio"))
        image = (*point, (semconv.TOKEN_MODALITY, "image"))
        write = parts.cache_write_5m + parts.cache_write_1h
        sums[("input_tokens", text)] += parts.uncached_input + parts.cache_read + write
        sums[("output_tokens", text)] += parts.output
        for name, of, count in (
            ("input_tokens", audio, parts.audio_input + parts.cache_audio_read),
            ("output_tokens", audio, parts.audio_output),
            ("input_tokens", image, parts.image_input),
            ("output_tokens", image, parts.image_output),
            ("cache_read.input_tokens", text, parts.cache_read),
            ("cache_read.input_tokens", audio, parts.cache_audio_read),
            ("cache_write.input_tokens", text, write),
            ("reasoning.output_tokens", text, parts.reasoning),
        ):
            if count:
                sums[(name, of)] += count

    def _attributes(self, point: Point) -> dict[str, Any]:
        """The redacted attributes of a point; a model's or tool's name may hold what it should not."""
        found = self._safe.get(point)
        if found is None:
            found = self._telemetry.redactor.attributes(dict(point))
            if len(self._safe) >= ATTRIBUTES_LIMIT:
                self._safe.clear()
            self._safe[point] = found
        return found


def _point(record: CallRecord) -> Point:
    """The attributes of a record's data points, but for what only one metric has."""
    if record.kind == Kind.TOOL:
        pairs: tuple[tuple[str, Any], ...] = (
            (semconv.TOOL_NAME, record.name),
            (semconv.TOOL_TYPE, "function"),
            (semconv.AGENT_NAME, record.agent_path[-1] if record.agent_path else None),
        )
    elif record.kind in (Kind.AGENT, Kind.WORKFLOW):
        pairs = ((semconv.AGENT_NAME, record.name),)
    else:
        pairs = (
            (semconv.OPERATION_NAME, record.operation),
            (semconv.PROVIDER_NAME, record.provider),
            (semconv.REQUEST_MODEL, record.request_model),
            (semconv.RESPONSE_MODEL, record.response_model),
            (semconv.SERVER_ADDRESS, record.server_address),
            (semconv.SERVER_PORT, record.server_port),
        )
    return tuple((key, value) for key, value in pairs if value is not None)
