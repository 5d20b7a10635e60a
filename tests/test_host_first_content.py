"""By default nothing of what was said leaves or is kept; with everything on, secrets are still gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import spantally
from spantally.calls import implicit
from spantally.ground.session_state import forget_sessions
from spantally.testing import OtlpReceiver, Reply, Request, ScriptedServer, ToolCall

PLANTED = {
    "system prompt": "marker-system-quokka",
    "prompt": "marker-prompt-wombat",
    "answer": "marker-answer-numbat",
    "streamed answer": "marker-stream-bilby",
    "tool arguments": "marker-arguments-dingo",
    "tool result": "marker-result-possum",
    "tool definition": "marker-definition-emu",
    "embedding input": "marker-embedding-koala",
    "error text": "marker-error-cassowary",
    "agent's exception": "marker-exception-echidna",
    "decorated argument": "marker-decorated-potoroo",
    "decorated result": "marker-returned-bandicoot",
    "log": "marker-log-kookaburra",
}
"""A word for each way that content may take; none of them is a secret by its shape."""

AWS_KEY = "AKIA" + "QX7MADEUPFAKE34Z"
SK_KEY = "sk-" + "proj-Q1w2E3r4T5y6U7i8O9p0A1s2D3f4G5h6"
PASSWORD = "hunter" + "2-made-up-pass"
SECRETS = (AWS_KEY, SK_KEY, PASSWORD, "sk-" + "client-key-made-up-000111222")


def _script(request: Request) -> Reply:
    text = request.last_text
    if "fail" in text:
        return Reply(status=400, error=f"bad: {PLANTED['error text']} key {SK_KEY}")
    if "use a tool" in text:
        arguments = {"q": PLANTED["tool arguments"], "password": PASSWORD}
        return Reply(tool_calls=[ToolCall("search", arguments, id="call_1")])
    word = PLANTED["streamed answer" if request.stream else "answer"]
    return Reply(text=f"{word} and {AWS_KEY}")


@spantally.tool
def search(q: str, password: str) -> str:
    """Search."""
    assert password == PASSWORD
    return f"{PLANTED['decorated result']} {SK_KEY} {q}"


@spantally.agent
def failing() -> None:
    message = f"{PLANTED['agent' + chr(39) + 's exception']} {SK_KEY}"
    raise RuntimeError(message)


def _program(base_url: str) -> None:
    client: Any = openai.OpenAI(base_url=base_url, api_key=SECRETS[3], max_retries=0)

    def ask(*messages: Any, **given: Any) -> Any:
        system = {"role": "system", "content": f"{PLANTED['system prompt']} {AWS_KEY}"}
        return client.chat.completions.create(model="gpt-4o", messages=[system, *messages], **given)

    tools = [
        {
            "type": "function",
            "function": {
                "name": "search",
                "description": PLANTED["tool definition"],
                "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
            },
        }
    ]
    with spantally.session("content"), spantally.agent("planner"):
        ask({"role": "user", "content": f"{PLANTED['prompt']} password={PASSWORD}"})
        asked = ask({"role": "user", "content": "use a tool"}, tools=tools)
        search(PLANTED["decorated argument"], PASSWORD)
        result = {"role": "tool", "tool_call_id": "call_1", "content": f"{PLANTED['tool result']} {AWS_KEY}"}
        ask({"role": "user", "content": "go"}, asked.choices[0].message.model_dump(), result)
        for _ in ask({"role": "user", "content": "stream"}, stream=True):
            pass
        client.responses.create(
            model="gpt-4o", input=PLANTED["prompt"], instructions=PLANTED["system prompt"]
        )
        client.embeddings.create(model="text-embedding-3-small", input=PLANTED["embedding input"])
        with pytest.raises(openai.BadRequestError):
            ask({"role": "user", "content": "fail"})
        with pytest.raises(RuntimeError):
            failing()


class Exported:
    """Three providers that export to a receiver, with a processor added before and one added after ours."""

    def __init__(self, receiver: OtlpReceiver, ledger: Path, **given: Any) -> None:
        def exporter() -> OTLPSpanExporter:
            return OTLPSpanExporter(endpoint=f"{receiver.url}/v1/traces")

        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(exporter()))
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(endpoint=f"{receiver.url}/v1/metrics"), export_interval_millis=60_000
        )
        self.meters = MeterProvider([reader], shutdown_on_exit=False)
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        logs = SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{receiver.url}/v1/logs"))
        self.loggers.add_log_record_processor(logs)
        spantally.instrument(
            tracer_provider=self.tracers,
            meter_provider=self.meters,
            logger_provider=self.loggers,
            ledger=ledger,
            **given,
        )
        self.tracers.add_span_processor(SimpleSpanProcessor(exporter()))
        self.receiver, self.ledger = receiver, ledger

    def finish(self) -> tuple[bytes, bytes]:
        """What was exported, and what the ledger's files hold."""
        assert spantally.flush(10)
        kept = b"".join(
            path.read_bytes() for path in (self.ledger, Path(f"{self.ledger}-wal")) if path.exists()
        )
        self.tracers.shutdown()
        self.meters.shutdown()
        self.loggers.shutdown()
        spantally.uninstrument()
        kept += self.ledger.read_bytes()
        return self.receiver.received(), kept


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    spantally.uninstrument()
    forget_sessions()
    implicit.forget_process_session()
    yield
    spantally.uninstrument()
    implicit.forget_process_session()


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


@pytest.fixture
def provider() -> Iterator[ScriptedServer]:
    with ScriptedServer(_script) as running:
        yield running


def test_defaults_export_and_keep_no_content(
    receiver: OtlpReceiver, provider: ScriptedServer, tmp_path: Path
) -> None:
    """Not one planted word or secret is in the exported bytes or in the ledger's files, -wal included."""
    exported = Exported(receiver, tmp_path / "content.db")
    _program(provider.base_url)
    left, kept = exported.finish()
    spans = receiver.spans()
    assert len({span.span_id for span in spans}) * 2 == len(spans) == 20  # both exporters saw every span
    assert receiver.metrics()
    for what in (left, kept):
        assert b"gpt-4o" in what
        assert [name for name, word in PLANTED.items() if word.encode() in what] == []
        assert [secret for secret in SECRETS if secret.encode() in what] == []
    errors = [span for span in spans if span.status == "ERROR"]
    assert {span.attributes["error.type"] for span in errors} == {"invalid_request_error", "RuntimeError"}


def test_everything_on_keeps_content_and_no_secret(
    receiver: OtlpReceiver, provider: ScriptedServer, tmp_path: Path
) -> None:
    """Content on spans, events and in the ledger holds the planted words; every secret in it is redacted."""
    exported = Exported(
        receiver, tmp_path / "content.db", capture_content="span_and_event", ledger_content="all"
    )
    _program(provider.base_url)
    left, kept = exported.finish()
    logs = receiver.received("/v1/logs")
    for what in (left, kept, logs):
        assert [secret for secret in SECRETS if secret.encode() in what] == []
        assert b"[REDACTED:" in what
    never = {"log", "embedding input"}
    on_spans = {name for name, word in PLANTED.items() if word.encode() in receiver.received("/v1/traces")}
    assert on_spans == set(PLANTED) - never
    with spantally.open_ledger(tmp_path / "content.db") as ledger:
        text = repr([row.content for row in ledger.calls()])
    errors = {"error text", "agent's exception"} | never
    assert {name for name, word in PLANTED.items() if word in text} == set(PLANTED) - errors
    assert {name for name, word in PLANTED.items() if word.encode() in logs} >= {"prompt", "answer"}


def test_other_spans_and_logs_lose_their_secrets_but_stay(
    receiver: OtlpReceiver, provider: ScriptedServer, tmp_path: Path
) -> None:
    """A program's own span and log record leave without secrets, in all of their parts."""
    exported = Exported(receiver, tmp_path / "content.db")
    tracer = trace.get_tracer("program", tracer_provider=exported.tracers)
    with (
        spantally.session("other"),
        tracer.start_as_current_span(
            f"GET https://user:{PASSWORD}@host/",
            attributes={"url.full": f"https://user:{PASSWORD}@host/?k=1"},
        ) as span,
    ):
        span.add_event("happened", {"text": f"token {SK_KEY}"})
        span.record_exception(RuntimeError(f"with {AWS_KEY}"))
        span.set_status(trace.StatusCode.ERROR, f"because {SK_KEY}")
    logger = exported.loggers.get_logger("program")
    from opentelemetry._logs import LogRecord

    logger.emit(LogRecord(body=f"{PLANTED['log']} {AWS_KEY}", attributes={"key": SK_KEY}))
    left, _ = exported.finish()
    assert [secret for secret in SECRETS if secret.encode() in left] == []
    assert PLANTED["log"].encode() in left
    assert {span.attributes["session.id"] for span in receiver.spans()} == {"other"}
