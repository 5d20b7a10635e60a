"""The hook under ``opentelemetry-instrument``, in every way it can be configured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from cli_ledger import invoke
from spantally.ground import guard
from spantally.testing import OtlpReceiver

BIN = Path(sys.executable).parent
SECRET = "sk-proj-Zq8Xw3Vt6Ys1Ur4Pn9Mk2Lj7Hg5Fd0Sa"

PROGRAM = f"""
import sys
from opentelemetry import trace
if "own" in sys.argv:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    trace.set_tracer_provider(provider)
chat = {{"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4, "note": "{SECRET}"}}
trace.get_tracer("app").start_span("chat", attributes=chat).end()
print("result 42")
"""


def _run(tmp_path: Path, *words: str, **env: str) -> tuple[subprocess.CompletedProcess[str], list[Any]]:
    """Run the program under the hook; what it wrote, and the tally's calls."""
    script = tmp_path / "app.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", **env}
    done = subprocess.run(
        [str(BIN / "opentelemetry-instrument"), sys.executable, str(script), *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "result 42" in done.stdout
    listed = invoke("calls", "--json")
    return done, json.loads(listed.stdout) if listed.exit_code == 0 and listed.stdout else []


@pytest.mark.parametrize("disabled", ["", "*", "spantally_openai,requests"])
def test_without_exporters_the_tally_has_the_call(tmp_path: Path, disabled: str) -> None:
    """OTEL_TRACES_EXPORTER=none, also with instrumentations disabled by name or altogether."""
    done, calls = _run(tmp_path, OTEL_TRACES_EXPORTER="none", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled)
    assert [(call["model"], call["input_tokens"]) for call in calls] == [("gpt-4o-mini", 3)]
    assert done.stderr == ""


def test_console_output_is_stamped_and_redacted(tmp_path: Path) -> None:
    """The exporter that the configurator added before ours gets redacted spans that name the session."""
    done, calls = _run(tmp_path, OTEL_TRACES_EXPORTER="console")
    assert SECRET not in done.stdout
    assert "[REDACTED:" in done.stdout
    assert calls[0]["session_id"] in done.stdout


def test_otlp_bytes_are_redacted(tmp_path: Path) -> None:
    """What arrives at a receiver holds the session and no secret."""
    with OtlpReceiver() as receiver:
        _, calls = _run(
            tmp_path,
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        )
        (span,) = receiver.spans()
        assert all(SECRET.encode() not in request.body for request in receiver.requests)
    assert span.attributes["session.id"] == calls[0]["session_id"]


def test_a_declarative_configuration_file(tmp_path: Path) -> None:
    """OTEL_CONFIG_FILE builds the provider; we are in it."""
    pytest.importorskip("opentelemetry.configuration")
    config = tmp_path / "otel.yaml"
    config.write_text(
        'file_format: "1.0"\ntracer_provider:\n  processors:\n'
        "    - simple:\n        exporter:\n          console: {}\n"
    )
    done, calls = _run(tmp_path, OTEL_CONFIG_FILE=str(config))
    assert len(calls) == 1
    assert SECRET not in done.stdout
    assert '"name": "chat"' in done.stdout


def test_without_a_configurator_the_programs_own_provider_gets_us(tmp_path: Path) -> None:
    """No distro: nothing global is set by the hook, and the provider set in code is redacted and tallied."""
    done, calls = _run(tmp_path, "own", OTEL_PYTHON_CONFIGURATOR="none")
    assert "Overriding" not in done.stderr
    assert '"name": "chat"' in done.stdout
    assert SECRET not in done.stdout
    assert len(calls) == 1


def test_with_the_sdk_disabled_the_program_runs_as_ever(tmp_path: Path) -> None:
    """OTEL_SDK_DISABLED=true makes no span, and no noise."""
    done, _ = _run(tmp_path, OTEL_SDK_DISABLED="true")
    assert done.stderr == ""


def test_a_hook_that_breaks_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception inside the hook does not reach the launcher, which would end all instrumentation."""
    from spantally.api import runtime

    def broken() -> None:
        raise RuntimeError("forced")

    guard.reset()
    monkeypatch.setattr(runtime, "activate_from_hook", broken)
    (entry,) = entry_points(group="opentelemetry_pre_instrument", name="spantally")
    entry.load()()
    assert ("otel.pre_instrument", "RuntimeError") in guard.failures
