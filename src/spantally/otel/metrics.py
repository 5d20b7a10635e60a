"""GenAI metrics, recorded from the call records on the worker: the caller's thread pays nothing for them.

Names, units, attributes and bucket boundaries follow the GenAI metrics conventions, in the profile that is
set. Token counters are summed per batch; histograms of tokens are recorded call by call and therefore opt-in.
Only calls metered at the source are recorded: other instrumentors record their own. What is not recorded, and
why, is told in docs/decisions/0008-metrics.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from opentelemetry import metrics

from spantally.calls.telemetry import SCOPE_NAME, Telemetry
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import COUNTED_KINDS, CallRecord, Kind, Precedence, Record, Status
from spantally.otel.agent_calls import AgentCalls
from spantally.otel.instruments import Instruments
from spantally.otel.modality import remainders

if TYPE_CHECKING:
    from spantally.ground.money import UsageParts

PartsOf: TypeAlias = "Callable[[CallRecord], UsageParts | None]"

Point = tuple[tuple[str, Any], ...]
"""Attributes of a data point, in a form that can be counted."""

ATTRIBUTES_LIMIT: Final = 2048
"""Sets of attributes whose redacted form is kept."""

_WITHOUT_TOKENS: Final = "fetch_response"
"""The operation whose tokens belong to the call that it reads."""

_OTHER_CLIENT: Final = frozenset({"create_agent", "fetch_response", "invoke_agent", "retrieval"})
"""Operations of a client that have no duration metric of their own."""


class MetricsConsumer:
    """Records metrics from batches of call records.

    Args:
        provider: a meter provider; None for the global one.
        telemetry: gives redactor, profile, and whether token histograms are wanted.
        parts_of: reads a record's usage.
    """

    def __init__(self, provider: Any, telemetry: Telemetry, parts_of: PartsOf) -> None:
        meter = metrics.get_meter(
            SCOPE_NAME, meter_provider=provider, schema_url=semconv.SCHEMA_URLS[telemetry.profile]
        )
        self._telemetry = telemetry
        self._parts_of = parts_of
        self._safe: dict[Point, dict[str, Any]] = {}
        self._agents = AgentCalls()
        self._made = Instruments(
            meter, semconv.PROFILE_METRICS[telemetry.profile], per_call=telemetry.token_histograms
        )

    def __call__(self, batch: Sequence[Record]) -> None:
        """Record a batch, on the worker."""
        sums: Counter[tuple[str, Point]] = Counter()
        for record in batch:
            if not isinstance(record, CallRecord):
                continue
            try:
                if record.precedence == Precedence.METERED:
                    self._record(record, sums)
                elif record.precedence == Precedence.INFERRED:
                    self._agents.note(record)
            except Exception as error:
                swallowed("otel.metrics", error)
        for (name, point), count in sums.items():
            try:
                self._made.add(name, count, self._attributes(point))
            except Exception as error:
                swallowed("otel.metrics", error)

    def _record(self, record: CallRecord, sums: Counter[tuple[str, Point]]) -> None:
        called = self._agents.note(record)
        if record.end_ns is None or record.status == Status.RUNNING:
            return
        point = _point(record)
        failed = point if record.error_type is None else (*point, (semconv.ERROR_TYPE, record.error_type))
        name = _duration_of(record)
        if record.operation in semconv.LATER_OPERATIONS and self._telemetry.renames:
            name = None  # in this profile it is no operation
        if name is not None and self._made.has(name):
            seconds = (record.end_ns - record.start_ns) / 1e9
            self._made.record(name, seconds, self._attributes(failed))
        if called is not None and self._made.has(semconv.METRIC_AGENT_INFERENCE_CALLS):
            attributes = self._attributes(point)
            self._made.record(semconv.METRIC_AGENT_INFERENCE_CALLS, called.inferences, attributes)
            self._made.record(semconv.METRIC_AGENT_TOOL_CALLS, called.tools, attributes)
        if record.kind not in COUNTED_KINDS or record.operation == _WITHOUT_TOKENS:
            return
        if record.first_chunk_ns is not None:
            self._made.record(
                semconv.METRIC_FIRST_CHUNK, record.first_chunk_ns / 1e9, self._attributes(point)
            )
        parts = self._parts_of(record) if record.usage is not None else None
        if record.kind == Kind.INFERENCE and self._made.has(semconv.METRIC_INPUT_TOKENS):
            _count(record, parts, point, sums)
        self._distribute(record, parts, point, failed)

    def _distribute(self, record: CallRecord, parts: UsageParts | None, point: Point, failed: Point) -> None:
        """Tokens of each call as histograms, where they are wanted or the profile has no other form."""
        made = self._made
        inference = record.kind == Kind.INFERENCE
        if made.has(semconv.METRIC_TOKEN_USAGE):
            if parts is not None:
                sides = (("input", parts.input_total), ("output", parts.output_total))
                for side, count in sides if inference else sides[:1]:
                    typed = (*point, (semconv.TOKEN_TYPE, side))
                    made.record(semconv.METRIC_TOKEN_USAGE, count, self._attributes(typed))
            return
        first = semconv.METRIC_CALL_INPUT_TOKENS if inference else semconv.METRIC_EMBEDDINGS_INPUT_TOKENS
        if not made.has(first):
            return
        attributes = self._attributes(failed)
        made.record(first, 0 if parts is None else parts.input_total, attributes)
        if inference:
            count = 0 if parts is None else parts.output_total
            made.record(semconv.METRIC_CALL_OUTPUT_TOKENS, count, attributes)

    def _attributes(self, point: Point) -> Mapping[str, Any]:
        """The redacted attributes of a point; a model's or tool's name may hold what it should not."""
        found = self._safe.get(point)
        if found is None:
            found = self._telemetry.redactor.attributes(dict(point))
            if len(self._safe) >= ATTRIBUTES_LIMIT:
                self._safe.clear()
            self._safe[point] = found
        return found


def _duration_of(record: CallRecord) -> str | None:
    """The metric of a record's duration; None for what the conventions measure nowhere."""
    if record.operation in _OTHER_CLIENT and record.kind != Kind.AGENT:
        return semconv.METRIC_OPERATION_DURATION
    return _DURATIONS.get(Kind(record.kind))


_DURATIONS: Final = {
    Kind.INFERENCE: semconv.METRIC_INFERENCE_DURATION,
    Kind.EMBEDDINGS: semconv.METRIC_EMBEDDINGS_DURATION,
    Kind.TOOL: semconv.METRIC_TOOL_DURATION,
    Kind.AGENT: semconv.METRIC_AGENT_DURATION,
    Kind.WORKFLOW: semconv.METRIC_WORKFLOW_DURATION,
}


def _count(
    record: CallRecord, parts: UsageParts | None, point: Point, sums: Counter[tuple[str, Point]]
) -> None:
    """Add a call's tokens by modality; a call without usage counts 0 of an unknown one."""
    if parts is None:
        unknown = (*point, (semconv.TOKEN_MODALITY, "unknown"))
        for name in _COUNTERS:
            sums[(name, unknown)] += 0
        return
    base_in, base_out = remainders(record)
    rest_in = (*point, (semconv.TOKEN_MODALITY, base_in))
    rest_out = rest_in if base_in == base_out else (*point, (semconv.TOKEN_MODALITY, base_out))
    write = parts.cache_write_5m + parts.cache_write_1h
    sums[(semconv.METRIC_INPUT_TOKENS, rest_in)] += parts.uncached_input + parts.cache_read + write
    sums[(semconv.METRIC_OUTPUT_TOKENS, rest_out)] += parts.output
    sums[(semconv.METRIC_CACHE_READ_TOKENS, rest_in)] += parts.cache_read
    sums[(semconv.METRIC_CACHE_WRITE_TOKENS, rest_in)] += write
    sums[(semconv.METRIC_REASONING_TOKENS, rest_out)] += parts.reasoning
    for name, modality, count in (
        (semconv.METRIC_INPUT_TOKENS, "audio", parts.audio_input + parts.cache_audio_read),
        (semconv.METRIC_OUTPUT_TOKENS, "audio", parts.audio_output),
        (semconv.METRIC_INPUT_TOKENS, "image", parts.image_input),
        (semconv.METRIC_OUTPUT_TOKENS, "image", parts.image_output),
        (semconv.METRIC_CACHE_READ_TOKENS, "audio", parts.cache_audio_read),
    ):
        if count:
            sums[(name, (*point, (semconv.TOKEN_MODALITY, modality)))] += count


_COUNTERS: Final = (
    semconv.METRIC_INPUT_TOKENS,
    semconv.METRIC_OUTPUT_TOKENS,
    semconv.METRIC_CACHE_READ_TOKENS,
    semconv.METRIC_CACHE_WRITE_TOKENS,
    semconv.METRIC_REASONING_TOKENS,
)


def _point(record: CallRecord) -> Point:
    """The attributes of a record's data points, but for what only one metric has."""
    if record.kind == Kind.TOOL:
        pairs: tuple[tuple[str, Any], ...] = (
            (semconv.TOOL_NAME, record.name),
            (semconv.TOOL_TYPE, "function"),
            (semconv.AGENT_NAME, record.agent_path[-1] if record.agent_path else None),
        )
    elif record.kind == Kind.AGENT:
        pairs = ((semconv.AGENT_NAME, record.name),)
    elif record.kind == Kind.WORKFLOW:
        pairs = ((semconv.WORKFLOW_NAME, record.name),)
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
