"""GenAI metrics, recorded from the call records on the worker: the caller's thread pays nothing for them.

Names, units, attributes and bucket boundaries follow the GenAI metrics conventions, in the profile that is
set. Token counters are summed per batch; histograms of tokens are recorded call by call and therefore opt-in.
Only calls metered at the source are recorded: other instrumentors record their own. What is not recorded, and
why, is told in docs/decisions/0008-metrics.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from opentelemetry import metrics

from spantally.calls.own_spans import revision_of
from spantally.calls.telemetry import SCOPE_NAME, Telemetry, own_version
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import COUNTED_KINDS, CallRecord, Kind, Precedence, Record, Status
from spantally.otel.agent_calls import AgentCalls
from spantally.otel.cardinality import Cardinality
from spantally.otel.cost_metrics import CostMetrics, OnReady, Point, Rate
from spantally.otel.instruments import Instruments
from spantally.otel.modality import remainders
from spantally.otel.redaction_metrics import observe_redaction

if TYPE_CHECKING:
    from spantally.ground.money import UsageParts

ATTRIBUTES_LIMIT: Final = 2048
"""Sets of attributes whose redacted form is kept."""

_WITHOUT_TOKENS: Final = "fetch_response"
"""The operation whose tokens belong to the call that it reads."""

_OTHER_CLIENT: Final = frozenset({"create_agent", "fetch_response", "invoke_agent", "retrieval"})
"""Operations of a client that have no duration metric of their own."""


_NOT_TOLD: Final = ("unknown", "unknown")
"""A call without usage counts 0 of these."""

# Members of an enum cost a look-up each.
_METERED: Final = Precedence.METERED
_INFERRED: Final = Precedence.INFERRED
_RUNNING: Final = Status.RUNNING
_INFERENCE: Final = Kind.INFERENCE
_TOOL: Final = Kind.TOOL

_told_of: Final = itemgetter(
    *map(
        CallRecord._fields.index,
        (
            "kind",
            "operation",
            "provider",
            "request_model",
            "response_model",
            "server_address",
            "server_port",
            "name",
            "error_type",
        ),
    )
)
"""What the attributes of a record's data points are made of."""


class MetricsConsumer:
    """Records metrics from batches of call records.

    Args:
        provider: a meter provider; None for the global one.
        telemetry: gives redactor, profile, and whether token histograms are wanted.
        rate: reads a record's usage, and prices it without waiting.
        on_ready: takes a callback that is to run once prices can be told.
    """

    def __init__(
        self, provider: Any, telemetry: Telemetry, rate: Rate, on_ready: OnReady | None = None
    ) -> None:
        meter = metrics.get_meter(
            SCOPE_NAME,
            own_version(),
            meter_provider=provider,
            schema_url=semconv.SCHEMA_URLS[telemetry.profile],
        )
        self._telemetry = telemetry
        self._rate = rate
        self._safe: dict[Point, dict[str, Any]] = {}
        self._revision: tuple[Any, int | None] | None = None
        """The redactor and its revision, which gave all of the attributes that are kept."""
        self._agents = AgentCalls()
        self._cardinality = Cardinality()
        self._made = Instruments(
            meter, semconv.PROFILE_METRICS[telemetry.profile], per_call=telemetry.token_histograms
        )
        try:
            observe_redaction(meter)
        except Exception as error:
            swallowed("otel.redaction_metrics", error)
        self._costs = CostMetrics(self._made.add, self._attributes, rate, on_ready)
        self._series: dict[tuple[Any, ...], _Series] = {}
        self._counts = self._made.has(semconv.METRIC_INPUT_TOKENS)
        self._counts_agents = self._made.has(semconv.METRIC_AGENT_INFERENCE_CALLS)
        self._distributes = any(
            self._made.has(name)
            for name in (
                semconv.METRIC_TOKEN_USAGE,
                semconv.METRIC_CALL_INPUT_TOKENS,
                semconv.METRIC_EMBEDDINGS_INPUT_TOKENS,
            )
        )

    def __call__(self, batch: Sequence[Record]) -> None:
        """Record a batch, on the worker."""
        revision = revision_of(self._telemetry.redactor)
        if revision is None or self._revision != (self._telemetry.redactor, revision):
            # A secret became known since, or the redactor promises nothing.
            self._revision = (self._telemetry.redactor, revision)
            self._series.clear()
            self._safe.clear()
        used: _Used = {}
        for record in batch:
            if not isinstance(record, CallRecord):
                continue
            try:
                if record.precedence == _METERED:
                    self._record(record, used)
                elif record.precedence == _INFERRED:
                    self._agents.note(record)
            except Exception as error:
                swallowed("otel.metrics", error)
        self._made.flush()
        for cell in self._counted(used):
            for name, count in cell.sums.items():
                try:
                    self._made.add(name, count, cell.attributes)
                except Exception as error:
                    swallowed("otel.metrics", error)
            cell.sums.clear()
        try:
            self._costs.flush()
        except Exception as error:
            swallowed("otel.metrics", error)

    def _record(self, record: CallRecord, used: _Used) -> None:
        called = self._agents.note(record)
        if record.end_ns is None or record.status == _RUNNING:
            return
        series = self._series_of(record, None if called is None else called.model)
        if series.duration is not None:
            seconds = (record.end_ns - record.start_ns) / 1e9
            self._made.record(series.duration, seconds, series.failed)
        if called is not None and self._counts_agents:
            named = series.attributes
            if called.model is not None:
                named = {key: value for key, value in named.items() if key != semconv.REQUEST_MODEL}
            self._made.record(semconv.METRIC_AGENT_INFERENCE_CALLS, called.inferences, named)
            self._made.record(semconv.METRIC_AGENT_TOOL_CALLS, called.tools, named)
        if record.kind not in COUNTED_KINDS or record.operation == _WITHOUT_TOKENS:
            return
        if record.first_chunk_ns is not None:
            self._made.record(semconv.METRIC_FIRST_CHUNK, record.first_chunk_ns / 1e9, series.attributes)
        rating = self._rate(record)
        self._costs.note(record, rating, series.point)
        parts = rating.parts if record.usage is not None else None
        if self._counts and record.kind == _INFERENCE:
            key = (series, _NOT_TOLD if parts is None else remainders(record))
            noted = used.get(key)
            if noted is None:
                noted = used[key] = []
            if parts is not None:
                noted.append(parts)
        if self._distributes:
            self._distribute(record, parts, series)

    def _series_of(self, record: CallRecord, asked: str | None) -> _Series:
        """What all records of one model, host and outcome share, found by plain values.

        Args:
            record: of a call that has ended.
            asked: of an agent, the only model that was asked beneath it.
        """
        key = (
            _told_of(record),
            record.agent_path[-1] if record.kind == _TOOL and record.agent_path else None,
            asked,
        )
        found = self._series.get(key)
        if found is None:
            point = self._cardinality.bounded(_point(record, asked))
            failed = point
            if record.error_type is not None:
                failed = (*point, *self._cardinality.bounded(((semconv.ERROR_TYPE, record.error_type),)))
            duration = _duration_of(record)
            if record.operation in semconv.LATER_OPERATIONS and self._telemetry.renames:
                duration = None  # in this profile it is no operation
            if duration is not None and not self._made.has(duration):
                duration = None
            found = _Series(duration, point, self._attributes(point), self._attributes(failed))
            if len(self._series) >= ATTRIBUTES_LIMIT:
                self._series.clear()
            self._series[key] = found
        return found

    def _counted(self, used: _Used) -> Iterable[_Cell]:
        """The cells of what the calls of a batch used."""
        from spantally.ground.money import UsageParts  # loaded with the first call, not with the program

        sums: dict[_Cell, None] = {}
        for (series, bases), parts in used.items():
            try:
                self._count(series, bases, UsageParts(*map(sum, zip(*parts, strict=True))), sums)
            except Exception as error:
                swallowed("otel.metrics", error)
        return sums

    def _count(
        self, series: _Series, bases: tuple[str, str], parts: UsageParts, sums: dict[_Cell, None]
    ) -> None:
        """Add the tokens of like calls by modality; the bases are those of what is not told apart."""
        base_in, base_out = bases
        rest_in, rest_out = self._cell_of(series, base_in, sums), self._cell_of(series, base_out, sums)
        write = parts.cache_write_5m + parts.cache_write_1h
        for cell, name, count in (
            (rest_in, semconv.METRIC_INPUT_TOKENS, parts.uncached_input + parts.cache_read + write),
            (rest_out, semconv.METRIC_OUTPUT_TOKENS, parts.output),
            (rest_in, semconv.METRIC_CACHE_READ_TOKENS, parts.cache_read),
            (rest_in, semconv.METRIC_CACHE_WRITE_TOKENS, write),
            (rest_out, semconv.METRIC_REASONING_TOKENS, parts.reasoning),
        ):
            cell[name] = cell.get(name, 0) + count
        audio_in = parts.audio_input + parts.cache_audio_read
        image_in = parts.image_input + parts.cache_image_read
        video_in = parts.video_input + parts.cache_video_read
        if not (
            audio_in or parts.audio_output or image_in or parts.image_output or video_in or parts.video_output
        ):
            return
        for name, modality, count in (
            (semconv.METRIC_INPUT_TOKENS, "audio", audio_in),
            (semconv.METRIC_OUTPUT_TOKENS, "audio", parts.audio_output),
            (semconv.METRIC_INPUT_TOKENS, "image", image_in),
            (semconv.METRIC_OUTPUT_TOKENS, "image", parts.image_output),
            (semconv.METRIC_CACHE_READ_TOKENS, "audio", parts.cache_audio_read),
            (semconv.METRIC_CACHE_READ_TOKENS, "image", parts.cache_image_read),
            (semconv.METRIC_INPUT_TOKENS, "video", video_in),
            (semconv.METRIC_OUTPUT_TOKENS, "video", parts.video_output),
            (semconv.METRIC_CACHE_READ_TOKENS, "video", parts.cache_video_read),
        ):
            if count:
                cell = self._cell_of(series, modality, sums)
                cell[name] = cell.get(name, 0) + count

    def _cell_of(self, series: _Series, modality: str, sums: dict[_Cell, None]) -> dict[str, int]:
        """The sums of one modality, noted as having some."""
        found = series.cells.get(modality)
        if found is None:
            found = _Cell(self._attributes((*series.point, (semconv.TOKEN_MODALITY, modality))))
            series.cells[modality] = found
        sums[found] = None
        return found.sums

    def _distribute(self, record: CallRecord, parts: UsageParts | None, series: _Series) -> None:
        """Tokens of each call as histograms, where they are wanted or the profile has no other form."""
        made = self._made
        inference = record.kind == Kind.INFERENCE
        if made.has(semconv.METRIC_TOKEN_USAGE):
            if parts is not None:
                sides = (("input", parts.input_total), ("output", parts.output_total))
                for side, count in sides if inference else sides[:1]:
                    typed = (*series.point, (semconv.TOKEN_TYPE, side))
                    made.record(semconv.METRIC_TOKEN_USAGE, count, self._attributes(typed))
            return
        first = semconv.METRIC_CALL_INPUT_TOKENS if inference else semconv.METRIC_EMBEDDINGS_INPUT_TOKENS
        if not made.has(first):
            return
        made.record(first, 0 if parts is None else parts.input_total, series.failed)
        if inference:
            count = 0 if parts is None else parts.output_total
            made.record(semconv.METRIC_CALL_OUTPUT_TOKENS, count, series.failed)

    def _attributes(self, point: Point) -> Mapping[str, Any]:
        """The redacted attributes of a point; a model's or tool's name may hold what it should not."""
        found = self._safe.get(point)
        if found is None:
            found = self._telemetry.redactor.attributes(dict(point))
            if len(self._safe) >= ATTRIBUTES_LIMIT:
                self._safe.clear()
            self._safe[point] = found
        return found


_Used: TypeAlias = "dict[tuple[_Series, tuple[str, str]], list[UsageParts]]"
"""What the calls of a batch used, by series and the modalities of what is not told apart; calls without usage
are there, and add nothing. Compiled code sums it up at the end of the batch."""


class _Cell:
    """Token counts of one set of attributes, summed over a batch."""

    __slots__ = ("attributes", "sums")

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.attributes = attributes
        self.sums: dict[str, int] = {}


class _Series:
    """What the data points of like records have in common."""

    __slots__ = ("attributes", "cells", "duration", "failed", "point")

    def __init__(
        self, duration: str | None, point: Point, attributes: Mapping[str, Any], failed: Mapping[str, Any]
    ) -> None:
        self.duration = duration
        """The metric of the duration, if it has one."""
        self.point = point
        self.attributes = attributes
        self.failed = failed
        """The same with the type of the error, if there was one."""
        self.cells: dict[str, _Cell] = {}
        """By modality."""


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


def _point(record: CallRecord, asked: str | None) -> Point:
    """The attributes of a record's data points, but for what only one metric has."""
    if record.kind == Kind.TOOL:
        pairs: tuple[tuple[str, Any], ...] = (
            (semconv.TOOL_NAME, record.name),
            (semconv.TOOL_TYPE, "function"),
            (semconv.AGENT_NAME, record.agent_path[-1] if record.agent_path else None),
        )
    elif record.kind == Kind.AGENT:
        pairs = ((semconv.AGENT_NAME, record.name), (semconv.REQUEST_MODEL, record.request_model or asked))
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
