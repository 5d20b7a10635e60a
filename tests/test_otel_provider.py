"""Which provider is used, and handing over to the program's own. Global state: each case is a process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider

from otel_kit import Bytes
from spantally.otel.log_processor import LogRecordProcessor
from spantally.otel.provider import (
    OsRandomIds,
    ensure_provider,
    exporter_names,
    install,
    install_log_processor,
)
from spantally.otel.span_processor import SpanProcessor

_HEAD = """
import logging, warnings
warnings.simplefilter("error")
logging.basicConfig(level=logging.WARNING, format="LOG %(message)s")
from opentelemetry import trace, _logs
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import set_tracer_provider
from spantally.otel import provider as P
from spantally.otel import global_providers
from spantally.otel.log_processor import LogRecordProcessor
from spantally.otel.span_processor import SpanProcessor
processor = SpanProcessor(redact=False, sink=lambda record: None)
def theirs():
    exporter = InMemorySpanExporter()
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made, exporter
def mine(provider):
    return [one for one in provider._active_span_processor._span_processors if one is processor]
"""


def _run(body: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _HEAD + textwrap.dedent(body)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("setter", ["trace.set_tracer_provider", "set_tracer_provider"])
def test_a_provider_the_program_sets_later_wins_without_a_warning(setter: str) -> None:
    """Theirs becomes global, our processor moves, and tracers made before write into it."""
    out = _run(f"""
        early = trace.get_tracer("early")
        globals_ = P.install_on_globals(processor, None)
        report = P.ensure_provider(on_handover=globals_.adopt_tracer_provider)
        globals_.adopt_tracer_provider(report.provider)
        assert report.built and report.is_global and trace.get_tracer_provider() is report.provider
        early.start_span("first").end()
        host, exporter = theirs()
        {setter}(host)
        assert trace.get_tracer_provider() is host
        early.start_span("early").end()
        trace.get_tracer("late").start_span("late").end()
        assert [span.name for span in exporter.get_finished_spans()] == ["early", "late"]
        assert len(mine(host)) == 1
        assert host._active_span_processor._span_processors[0] is processor
        globals_.uninstall()
        assert not mine(host)
    """)
    assert "LOG" not in out


def test_a_provider_that_wraps_the_sdks_wins_as_well() -> None:
    """Logfire's has no sampler of its own: that of the one inside counts, and our exporters end."""
    out = _run(
        """
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

        class Wrapping(trace.TracerProvider):
            def __init__(self, inner):
                self.provider = inner
            def get_tracer(self, *args, **kwargs):
                return self.provider.get_tracer(*args, **kwargs)
            def add_span_processor(self, one):
                self.provider.add_span_processor(one)

        early = trace.get_tracer("early")
        report = P.ensure_provider()
        early.start_span("first").end()
        (batch,) = report.provider._active_span_processor._span_processors
        shop = Resource({"service.name": "shop"})
        inner = TracerProvider(shutdown_on_exit=False, sampler=ALWAYS_OFF, resource=shop)
        trace.set_tracer_provider(Wrapping(inner))
        assert not early.start_span("early").is_recording()
        (tracer,) = report.provider._tracers.values()
        assert tracer.resource.attributes["service.name"] == "shop"
        assert batch._batch_processor._shutdown
        """,
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )
    assert "otel.forward" not in out


def test_a_second_provider_of_the_program_is_refused_as_ever() -> None:
    """Once the program has its own, the API's rule holds again."""
    out = _run("""
        P.ensure_provider()
        host, _ = theirs()
        trace.set_tracer_provider(host)
        trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
        assert trace.get_tracer_provider() is host
    """)
    assert out.count("Overriding of current TracerProvider is not allowed") == 1


def test_what_is_refused_is_redacted_all_the_same() -> None:
    """Under a launcher, whose provider is there, Logfire goes on with its own: our processors come in.

    The API refuses and warns as ever; taking back leaves theirs and the API's flag as they were.
    """
    out = _run("""
        first, _ = theirs()
        trace.set_tracer_provider(first)
        _logs.set_logger_provider(LoggerProvider(shutdown_on_exit=False))
        flag = trace._TRACER_PROVIDER_SET_ONCE
        log_processor = LogRecordProcessor(redact=False)
        globals_ = P.install_on_globals(processor, lambda: log_processor)
        second, _ = theirs()
        trace.set_tracer_provider(second)
        assert trace.get_tracer_provider() is first
        assert second._active_span_processor._span_processors[0] is processor
        trace.set_tracer_provider(second)
        assert len(mine(second)) == 1
        trace.set_tracer_provider(trace.NoOpTracerProvider())
        logs = LoggerProvider(shutdown_on_exit=False)
        _logs.set_logger_provider(logs)
        assert logs._multi_log_record_processor._log_record_processors == (log_processor,)
        globals_.uninstall()
        assert not mine(second) and not mine(first)
        assert trace._TRACER_PROVIDER_SET_ONCE is flag and flag._done
        third, _ = theirs()
        trace.set_tracer_provider(third)
        assert not mine(third) and trace.get_tracer_provider() is first
    """)
    assert out.count("Overriding of current TracerProvider is not allowed") == 4
    assert "otel.refused" not in out


def test_a_setter_of_another_shape_is_refused_as_ever() -> None:
    """What is refused cannot be told then; the program notices nothing."""
    _run("""
        from spantally.ground import guard
        seen = []
        once = global_providers.WatchedOnce(None, seen.append, used=True)
        assert once.do_once(lambda: None) is False
        assert (seen, sum(guard.failures.values())) == ([], 1), guard.failures
    """)


def test_a_provider_that_is_set_is_used_and_none_is_built() -> None:
    """Given or global, the program's provider stays what it is."""
    _run("""
        host, _ = theirs()
        trace.set_tracer_provider(host)
        report = P.ensure_provider()
        assert (report.provider, report.built, report.is_global) == (host, False, True)
        given = TracerProvider(shutdown_on_exit=False)
        report = P.ensure_provider(given)
        assert (report.provider, report.built, report.is_global) == (given, False, False)
    """)


def test_the_hook_sets_nothing_and_finds_what_is_set_later() -> None:
    """Tracer and logger provider set afterwards by the program get our processors, in front."""
    out = _run("""
        log_processor = LogRecordProcessor(redact=False)
        globals_ = P.install_on_globals(processor, lambda: log_processor)
        assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        host, _ = theirs()
        trace.set_tracer_provider(host)
        assert host._active_span_processor._span_processors[0] is processor
        logs = LoggerProvider(shutdown_on_exit=False)
        _logs.set_logger_provider(logs)
        assert logs._multi_log_record_processor._log_record_processors == (log_processor,)
        globals_.uninstall()
        assert not mine(host)
        assert logs._multi_log_record_processor._log_record_processors == ()
    """)
    assert "LOG" not in out


def test_giving_back_leaves_the_global_provider_unset() -> None:
    """After uninstrument() the program may set its provider as if we had never been there."""
    out = _run("""
        report = P.ensure_provider()
        report.handover.give_back()
        assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        host, _ = theirs()
        trace.set_tracer_provider(host)
        assert trace.get_tracer_provider() is host
    """)
    assert "LOG" not in out


def test_where_handing_over_cannot_work_nothing_global_is_set() -> None:
    """An API without the once-flag keeps its proxy; the built provider is used by us only, and it is said."""
    out = _run("""
        global_providers.can_watch = lambda signal: False
        report = P.ensure_provider()
        assert report.built and not report.is_global and report.note
        assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        host, _ = theirs()
        trace.set_tracer_provider(host)
        assert trace.get_tracer_provider() is host
    """)
    assert out.count("LOG spantally:") == 1


def test_a_built_provider_has_the_exporters_that_variables_name() -> None:
    """OTEL_TRACES_EXPORTER=console exports at once; without variables nothing is exported."""
    code = 'P.ensure_provider(); trace.get_tracer("x").start_span("seen-on-console").end()'
    assert "seen-on-console" not in _run(code)
    assert "seen-on-console" in _run(code, OTEL_TRACES_EXPORTER="console")


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({}, []),
        ({"OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "console,otlp"}, ["console", "otlp_proto_grpc"]),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            ["otlp_proto_http"],
        ),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, []),
    ],
)
def test_exporters_by_environment(
    env: dict[str, str], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which exporters the standard variables ask for."""
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    assert exporter_names() == names


def _processors(provider: TracerProvider) -> list[object]:
    return list(provider._active_span_processor._span_processors)


def test_install_and_uninstall_leave_the_rest_alone() -> None:
    """Ours goes in front once and out again; the program's processors stay in order."""
    provider, first, second = TracerProvider(shutdown_on_exit=False), Bytes(), Bytes()
    provider.add_span_processor(first)
    provider.add_span_processor(second)
    processor = SpanProcessor(redact=False, sink=lambda record: None)
    made = install(provider, processor)
    assert made is not None
    assert made.in_front
    assert install(provider, processor) is not None
    assert _processors(provider) == [processor, first, second]
    made.uninstall()
    assert _processors(provider) == [first, second]
    logs = LoggerProvider(shutdown_on_exit=False)
    installed = install_log_processor(logs, LogRecordProcessor())
    assert installed is not None
    installed.uninstall()
    assert logs._multi_log_record_processor._log_record_processors == ()


def test_a_provider_that_takes_no_processors_is_left_alone() -> None:
    """The API's own providers and foreign ones without the SDK's methods are no error."""
    from opentelemetry._logs import NoOpLoggerProvider
    from opentelemetry.trace import NoOpTracerProvider

    processor = SpanProcessor(redact=False, sink=lambda record: None)
    assert install(NoOpTracerProvider(), processor) is None
    assert install_log_processor(NoOpLoggerProvider(), LogRecordProcessor()) is None
    assert ensure_provider(given := NoOpTracerProvider()).provider is given


def test_our_ids_leave_the_programs_random_alone() -> None:
    """A program that seeds ``random`` draws the same numbers with and without us."""
    import random

    random.seed(7)
    expected = random.Random(7).random()
    assert OsRandomIds().generate_trace_id() > 0
    assert OsRandomIds().generate_span_id() > 0
    assert random.random() == expected


def test_each_provider_that_comes_after_the_first_is_redacted() -> None:
    """The program's own takes our place; one that the API then refuses is used all the same."""
    source = """
import spantally
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spantally.instrument(ledger=False)
for _ in range(3):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    with provider.get_tracer("x").start_as_current_span("s", attributes={"password": "hunter2hunter2X9"}):
        pass
    (span,) = exporter.get_finished_spans()
    print(span.attributes["password"][:18])
spantally.uninstrument()
print(type(trace._TRACER_PROVIDER_SET_ONCE).__module__)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [*["[REDACTED:password"] * 3, "opentelemetry.util._once"]
