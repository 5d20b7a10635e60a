"""Programs that never heard of us, started by ``opentelemetry-instrument`` and by ``spantally run``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from program_kit import Programs, finish, ok
from spantally.testing import OtlpReceiver, Reply, ScriptedServer, Usage

INSTRUMENT = str(Path(sys.executable).with_name("opentelemetry-instrument"))
RUN = (sys.executable, "-m", "spantally.cli", "run", "--")
NONE = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
ASK = 'print(ask(client()))\nassert "spantally" not in globals()\n'

pytestmark = pytest.mark.skipif(
    not Path(INSTRUMENT).exists(), reason="opentelemetry-distro is not installed (extra otlp)"
)


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with ScriptedServer(lambda request: Reply(text="x", usage=Usage(input=11, output=7))) as server:
        yield Programs(tmp_path, server.base_url)


def run(programs: Programs, source: str = ASK, *before: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a zero-code program; its output must be what it is without us."""
    before = before or (INSTRUMENT,)
    done = ok(programs.run(source, *before, instrument=False, env={**NONE, **env}))
    assert done.stdout.startswith("x\n"), done
    return done


def one_call(programs: Programs) -> None:
    (row,) = programs.calls(None)
    assert (row.kind, row.model, row.input_tokens, row.cost_status) == ("inference", "gpt-4o", 11, "priced")
    (session,) = programs.sessions()
    assert (session.name, session.implicit, session.status) == ("app.py", True, "succeeded")


def test_exporters_none(programs: Programs) -> None:
    """No exporter: one call, in a session under the script's name, and nothing on stderr."""
    assert run(programs).stderr == ""
    one_call(programs)
    listed = subprocess.run(
        [sys.executable, "-m", "spantally.cli", "sessions", "--json"],
        env=programs.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (session,) = json.loads(listed.stdout)
    assert (session["name"], session["implicit"], session["calls"]) == ("app.py", True, 1)
    assert session["cost_nano_usd"] == 11 * 2_500 + 7 * 10_000


def test_exporter_otlp(programs: Programs) -> None:
    """OTLP over HTTP: the receiver gets one span of the call, with the session's id; the tally agrees."""
    with OtlpReceiver() as receiver:
        env = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_SERVICE_NAME": "shop",
        }
        run(programs, **env)
        (span,) = [span for span in receiver.spans() if "gen_ai.operation.name" in span.attributes]
        assert receiver.metrics()
    (row,) = programs.calls()
    assert span.attributes["session.id"] == row.session_id
    assert (span.span_id, span.resource["service.name"], row.project) == (row.span_id, "shop", "shop")


@pytest.mark.slow
def test_exporter_console(programs: Programs) -> None:
    """The console exporter prints the one span, on the program's stdout as without us."""
    done = run(programs, OTEL_TRACES_EXPORTER="console")
    printed = json.loads(done.stdout.partition("\n")[2])
    assert printed["name"] == "chat gpt-4o"
    one_call(programs)


def test_declarative_configuration(programs: Programs) -> None:
    """OTEL_CONFIG_FILE: its provider and exporter are used, our processors stand in it, the tally is kept."""
    pytest.importorskip("opentelemetry.configuration", reason="OpenTelemetry before 1.44 reads no such file")
    with OtlpReceiver() as receiver:
        config = programs.folder / "otel.yaml"
        config.write_text(
            f"""
file_format: "1.0"
tracer_provider:
  processors:
    - simple:
        exporter:
          otlp_http:
            endpoint: {receiver.url}/v1/traces
"""
        )
        secret = "sk-" + "proj-Q1w2E3r4T5y6U7i8O9p0A1s2D3f4G5h6"
        source = f"""
        print(ask(client()))
        from opentelemetry import trace
        with trace.get_tracer("app").start_as_current_span("own", attributes={{"key": "{secret}"}}):
            pass
        """
        done = ok(programs.run(source, INSTRUMENT, instrument=False, env={"OTEL_CONFIG_FILE": str(config)}))
        assert done.stdout == "x\n"
        assert {span.name for span in receiver.spans()} == {"chat gpt-4o", "own"}
        assert secret.encode() not in receiver.received()
    one_call(programs)


@pytest.mark.parametrize(
    ("names", "calls"),
    [
        ("spantally_openai", 0),
        pytest.param("openai,requests", 1, marks=pytest.mark.slow),
    ],
)
def test_disabled_instrumentations(programs: Programs, names: str, calls: int) -> None:
    """Our name there turns our instrumentor off, a foreign one does nothing to us."""
    run(programs, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=names)
    assert (len(programs.calls()) if programs.ledger.exists() else 0) == calls


def test_sdk_disabled(programs: Programs) -> None:
    """OTEL_SDK_DISABLED=true: no span anywhere, the tally is complete."""
    run(programs, OTEL_SDK_DISABLED="true")
    one_call(programs)


def test_spantally_disabled_is_silent(programs: Programs) -> None:
    """SPANTALLY_DISABLED=true: no ledger, no output, nothing patched; also for the public functions."""
    source = """
    print(ask(client()))
    import threading
    import spantally
    spantally.instrument()
    with spantally.session("s") as session, spantally.agent("a"), spantally.tool("t"):
        ask(client())
    assert session.id == "s"
    assert session.totals.calls == 0
    assert not hasattr(openai._base_client.SyncAPIClient.request, "__wrapped__")
    assert not hasattr(threading.Thread.start, "__wrapped__")
    assert "spantally-worker" not in {thread.name for thread in threading.enumerate()}
    """
    assert run(programs, source, SPANTALLY_DISABLED="true").stderr == ""
    assert not programs.ledger.exists()


@pytest.mark.parametrize("launcher", [pytest.param("instrument", marks=pytest.mark.slow), "run"])
def test_without_a_distro(programs: Programs, launcher: str) -> None:
    """No distro and no configurator, so no provider: the tally is kept all the same."""
    before = RUN if launcher == "run" else (INSTRUMENT,)
    run(programs, ASK, *before, OTEL_PYTHON_DISTRO="there_is_none", OTEL_PYTHON_CONFIGURATOR="none")
    one_call(programs)


@pytest.mark.slow
def test_run_where_the_configurator_raises(programs: Programs) -> None:
    """`spantally run` starts us even where the distro's configurator fails on its own settings."""
    done = programs.run(
        ASK, *RUN, instrument=False, env={**NONE, "OTEL_TRACES_EXPORTER": "there_is_no_such_exporter"}
    )
    assert ok(done).stdout == "x\n"
    one_call(programs)


def test_run_ends_with_one_line(programs: Programs) -> None:
    """`spantally run` says at the end calls, tokens, cost and the next command, on stderr, in one line."""
    done = ok(programs.run(ASK, *RUN, instrument=False))
    assert done.stdout == "x\n"
    (line,) = done.stderr.splitlines()
    (session,) = programs.sessions()
    assert "1 call" in line
    assert "11 input + 7 output tokens" in line
    assert "$0.0000975" in line
    assert f"spantally show {session.session_id}" in line


def test_named_functions_become_tools(programs: Programs) -> None:
    """SPANTALLY_TOOLS wraps a module's function, a method, and a function of the main script."""
    (programs.folder / "shop.py").write_text(
        "def price(item):\n    return 3\n\nclass Store:\n    def stock(self, item):\n        return 4\n"
    )
    source = """
    from shop import Store, price
    connection = client()
    def own(item):
        return 5
    print(ask(connection))
    assert (price("x"), Store().stock("y"), own("z")) == (3, 4, 5)
    """
    tools = "shop:price,shop:Store.stock,__main__:own,shop:missing,no_such_module:f"
    done = run(programs, source, SPANTALLY_TOOLS=tools)
    assert sorted(row.name or "" for row in programs.calls("tool")) == ["own", "price", "stock"]
    assert len([line for line in done.stderr.splitlines() if "shop:missing" in line]) == 1


def test_code_and_launcher_together_are_once(programs: Programs) -> None:
    """instrument() in the code of a program under opentelemetry-instrument: one span and one row a call."""
    with OtlpReceiver() as receiver:
        source = """
        import spantally
        spantally.instrument(user="code")
        spantally.instrument()
        print(ask(client()))
        """
        env = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        }
        run(programs, source, **env)
        assert [span.name for span in receiver.spans()] == ["chat gpt-4o"]
    one_call(programs)
    assert [row.user_id for row in programs.calls()] == ["code"]


# -- instrument() in code ------------------------------------------------------------------------------


def test_instrument_imports_no_sdk_and_can_be_taken_back(programs: Programs) -> None:
    """instrument() imports no SDK; twice is once; uninstrument() restores every original."""
    source = """
    import json, sys, threading
    from concurrent.futures import ThreadPoolExecutor
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit
    import spantally
    spantally.instrument()
    spantally.instrument()
    sdks = {"openai", "httpx", "httpx2", "anthropic", "genai_prices", "sqlite3"}
    print(json.dumps(sorted(sdks & set(sys.modules))))
    import openai
    from openai import _base_client, _streaming
    assert hasattr(_base_client.SyncAPIClient.request, "__wrapped__")
    assert not hasattr(_base_client.SyncAPIClient.request.__wrapped__, "__wrapped__")
    bound = client().chat.completions.create
    spantally.uninstrument()
    spantally.uninstrument()
    for owner in (_base_client.SyncAPIClient, _base_client.AsyncAPIClient):
        assert not hasattr(owner.request, "__wrapped__"), owner
        assert not hasattr(owner._process_response, "__wrapped__"), owner
    assert not hasattr(_streaming.Stream.__init__, "__wrapped__")
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == (start, submit)
    bound(model="gpt-4o", messages=[{"role": "user", "content": "unseen"}])
    from opentelemetry import trace
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    """
    path = programs.script(source, instrument=False)
    text = path.read_text().replace("\nimport openai\n", "\n", 1)
    path.write_text(text)
    done = subprocess.run(
        [sys.executable, str(path)],
        env=programs.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert not programs.ledger.exists()


def test_under_run_the_programs_own_providers_win(programs: Programs) -> None:
    """Nothing is exported by the environment: no provider of the configurator is in the program's way.

    Its own get what they would get without us, redacted, stamped and tallied, and no warning is said.
    """
    source = """
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    meters, logs = MeterProvider(), LoggerProvider()
    metrics.set_meter_provider(meters)
    _logs.set_logger_provider(logs)
    assert trace.get_tracer_provider() is provider
    assert metrics.get_meter_provider() is meters
    assert _logs.get_logger_provider() is logs
    with trace.get_tracer("app").start_as_current_span("own") as span:
        span.set_attribute("key", "sk-proj-" + "aB3dE5fG7hJ9" * 4)
        print(ask(client()))
    call, own = exporter.get_finished_spans()
    assert (call.name, own.name) == ("chat gpt-4o", "own")
    assert own.attributes["key"].startswith("[REDACTED:"), own.attributes
    """
    done = ok(programs.run(source, *RUN, instrument=False))
    assert done.stdout.startswith("x\n")
    assert [line for line in done.stderr.splitlines() if "1 call" not in line] == []
    one_call(programs)


def test_under_run_spans_of_others_are_tallied_without_an_exporter(programs: Programs) -> None:
    """A provider of ours is lent meanwhile, so that spans which tell of calls that we do not see exist."""
    source = """
    from opentelemetry import trace
    with trace.get_tracer("theirs").start_as_current_span("chat x", kind=trace.SpanKind.CLIENT) as span:
        span.set_attributes({
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 7,
        })
    print("x")
    """
    ok(programs.run(source, *RUN, instrument=False))
    one_call(programs)


def test_later_provider_of_the_program_wins(programs: Programs) -> None:
    """A provider that the program sets after instrument() gets the spans, without a warning of the API."""
    source = """
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    ask(client())
    early = trace.get_tracer("early")
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "theirs"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    assert trace.get_tracer_provider() is provider
    with spantally.session("later"):
        ask(client())
        with early.start_as_current_span("own"):
            pass
    spantally.flush()
    found = [(span.name, span.attributes["session.id"]) for span in exporter.get_finished_spans()]
    assert found == [("chat gpt-4o", "later"), ("own", "later")], found
    """
    done = ok(programs.run(source))
    assert done.stderr == ""
    assert [row.project for row in programs.calls()] == [None, "theirs"]


@pytest.mark.slow
def test_stdin_of_a_program_is_its_own(programs: Programs) -> None:
    """Nothing of ours reads the program's stdin under `spantally run`."""
    path = programs.script("print(sys.stdin.read() + ask(client()))", instrument=False)
    running: Any = subprocess.Popen(
        [*RUN, sys.executable, str(path)],
        env=programs.environment(SPANTALLY_SUMMARY="false"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running.stdin.write("typed ")
    running.stdin.close()
    running.stdin = None
    assert ok(finish(running)).stdout == "typed x\n"
    assert programs.ledger.exists()
