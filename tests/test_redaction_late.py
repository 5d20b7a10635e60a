"""Secrets that become known late, and redactors of other kinds: what is exported, as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import openai
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

import spantally
from spantally.ground.guard import failures
from spantally.redaction import Redactor, register_literal
from spantally.redaction.registry import forget_literals
from spantally.testing import Reply, ScriptedServer
from watching import BytesExporter, Watched, attributes

PLAIN = "corporate-gateway-word-778899"
KEY = "sk-proj-" + "Zb2C3d4E" * 5
MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
def _no_literals() -> Iterator[None]:
    forget_literals()
    yield
    forget_literals()


def ask(server: ScriptedServer, **given: Any) -> Any:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-0001", max_retries=0) as client:
        return client.chat.completions.create(**{"model": "gpt-4o", "messages": MESSAGES, **given})


def test_a_word_learned_while_a_span_of_ours_is_open(watched: Watched, server: ScriptedServer) -> None:
    """It is hidden in what the span was given at its start: tags, user, request attributes, its name."""
    with spantally.session("s", user=PLAIN, tags={"k": PLAIN}), spantally.agent(f"agent {PLAIN}"):
        with spantally.tool("t"):
            register_literal(PLAIN)
        ask(server, stop=[PLAIN])
    assert len(watched.spans) == 3
    assert PLAIN.encode() not in watched.exported()


def test_a_word_learned_after_the_resource_was_scanned(server: ScriptedServer) -> None:
    """The resource is looked at again; later spans of ours and of others do not have it."""
    exporter = BytesExporter()
    provider = TracerProvider(
        resource=Resource({"process.command_args": ["app", f"--word={PLAIN}"]}), shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    watched = Watched(tracer_provider=provider)
    try:
        provider.get_tracer("db").start_span("first").end()
        register_literal(PLAIN)
        exporter.payloads.clear()
        ask(server)
        provider.get_tracer("db").start_span("later").end()
        assert len(exporter.payloads) == 2
        assert PLAIN.encode() not in b"".join(exporter.payloads)
    finally:
        watched.close()


def test_a_word_learned_after_metrics_had_it(server: ScriptedServer) -> None:
    """New series do not have it."""
    reader = InMemoryMetricReader()
    watched = Watched(meter_provider=MeterProvider(metric_readers=[reader], shutdown_on_exit=False))
    try:
        ask(server, model=PLAIN)
        assert watched.records
        register_literal(PLAIN)
        ask(server, model=PLAIN)
        assert watched.records
        data: Any = reader.get_metrics_data()
        points = [
            dict(point.attributes)
            for scope in data.resource_metrics[0].scope_metrics
            for metric in scope.metrics
            if metric.name.endswith("duration")
            for point in metric.data.data_points
        ]
        assert any("REDACTED" in str(point) for point in points)
    finally:
        watched.close()


@pytest.mark.parametrize("answer", ["chat", "failing"])
def test_uninstrument_in_the_middle_of_a_call(answer: str) -> None:
    """The span that was open is redacted as it was promised."""
    exporter = BytesExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    watched = Watched(tracer_provider=provider, capture_content="span_only")

    def reply(_: Any) -> Any:
        spantally.uninstrument()
        return Reply(status=400, error={"code": KEY, "type": "t", "message": f"no {KEY}"})

    def inside() -> Any:
        spantally.uninstrument()
        raise ValueError(KEY)

    try:
        with ScriptedServer(reply) as server:
            if answer == "failing":
                with pytest.raises(openai.BadRequestError):
                    ask(server)
            else:
                with pytest.raises(ValueError, match="sk-proj"):
                    spantally.tool(name=f"t {KEY}")(inside)()
    finally:
        watched.close()
    assert len(exporter.spans) == 1
    assert KEY.encode() not in b"".join(exporter.payloads)


class _Rules:
    """A redactor of somebody's own."""

    def text(self, text: str, key: str | None = None) -> str:
        return text.replace("gpt", "HIDDEN")

    def value(self, value: Any, key: str | None = None) -> Any:
        return self.text(value) if isinstance(value, str) else value

    def attributes(self, attributes: Any) -> dict[str, Any]:
        return {key: self.value(value) for key, value in attributes.items()}


class _WithRevision(_Rules):
    revision = 7


class _OddRevision(_Rules):
    revision: ClassVar[Any] = []


class _RaisingRevision(_Rules):
    @property
    def revision(self) -> int:
        raise RuntimeError("no")


class _Sub(Redactor):
    def text(self, text: str, key: str | None = None) -> str:
        return text.replace("gpt", "HIDDEN")

    def attributes(self, attributes: Any) -> dict[str, Any]:
        return {
            key: value.replace("chatcmpl", "HIDDEN").replace("gpt", "HIDDEN")
            if isinstance(value, str)
            else value
            for key, value in attributes.items()
        }


@pytest.mark.parametrize("make", [_Rules, _WithRevision, _OddRevision, _RaisingRevision, _Sub])
def test_a_redactor_of_another_kind(make: Callable[[], Any], server: ScriptedServer) -> None:
    """Whatever it promises or not, its answers are in force, and nothing of the span is lost."""
    watched = Watched(redact=make())
    try:
        for _ in range(2):
            ask(server)
        spans = [attributes(span) for span in watched.spans]
        assert not failures
    finally:
        watched.close()
    assert len(spans) == 2
    for told in spans:
        assert told["gen_ai.request.model"] == "HIDDEN-4o"
        assert told["gen_ai.usage.input_tokens"] >= 0
        assert told["gen_ai.response.id"].startswith("HIDDEN" if make is _Sub else "chatcmpl")


def test_half_a_character_in_an_error_costs_no_batch(server: ScriptedServer) -> None:
    """A lone surrogate in a message is replaced: an exporter that cannot encode it loses all of its batch."""
    watched = Watched(capture_content="span_only")
    try:
        with pytest.raises(ValueError, match="boo"), spantally.agent("a"):
            raise ValueError("boo \ud800")
        (span,) = watched.spans
        assert span.status.message == "boo ?"
    finally:
        watched.close()


def test_redaction_that_is_switched_on_later(server: ScriptedServer) -> None:
    """instrument(redact=True) after redact=False hides from then on."""
    watched = Watched(redact=False)
    try:
        ask(server, model=KEY)
        assert KEY.encode() in watched.exported()
        watched.exporter.payloads.clear()
        spantally.instrument(redact=True)
        ask(server, model=KEY)
        assert watched.exporter.payloads
        assert KEY.encode() not in watched.exported()
    finally:
        watched.close()


class _Writing(Sampler):
    """A sampler that writes into what it is given."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        attributes: Any = kwargs.get("attributes") or args[4]
        attributes["rule"] = KEY
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        return "writing"


def test_a_sampler_that_writes_into_the_attributes(server: ScriptedServer) -> None:
    """What it adds is scanned like everybody's."""
    watched = Watched(sampler=_Writing())
    try:
        ask(server)
        assert attributes(watched.spans[0])["rule"].startswith("[REDACTED:")
        assert KEY.encode() not in watched.exported()
    finally:
        watched.close()


def test_a_hidden_request_inside_another(watched: Watched, server: ScriptedServer) -> None:
    """A key provider that asks a model, unseen: its answer is not taken for that of the call around it."""
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-0002") as helper:

        def key() -> str:
            with spantally.paused():
                helper.embeddings.create(model="helper-model", input="x")
            return "sk-made-up-0003"

        provided: Any = key
        with openai.OpenAI(base_url=server.base_url, api_key=provided, max_retries=0) as client:
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    (record,) = watched.records
    assert (record.kind, record.request_model, record.attempts) == ("inference", "gpt-4o", 1)
    assert str(record.response_model).startswith("gpt-4o")
