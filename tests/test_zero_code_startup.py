"""What a program that makes no call pays for: under the zero-code start almost nothing of us is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

INSTRUMENT = str(Path(sys.executable).with_name("opentelemetry-instrument"))
NONE = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}

LATE = (
    "spantally.redaction",
    "spantally.instrumentors.openai.",
    "spantally.instrumentors.stainless.",
    "spantally.pricing",
    "spantally.ledger",
    "spantally.queries",
    "spantally.cli",
    "spantally.conformance",
    "spantally.testing",
    "spantally.api.totals",
    "spantally.api.summary",
    "spantally.calls.work",
    "spantally.otel.net_probe",
    "genai_prices",
    "openai",
    "pydantic",
    "httpx",
    "rich",
    "click",
    "platformdirs",
    "sqlite3",
    "http.client",
    "urllib.request",
    "hashlib",
    "decimal",
)
"""What has to wait until it is needed; a package stands for all in it."""

pytestmark = pytest.mark.skipif(
    not Path(INSTRUMENT).exists(), reason="opentelemetry-distro is not installed (extra otlp)"
)


def modules(source: str, tmp_path: Path, *before: str, **env: str) -> set[str]:
    """The modules that a program has at its end."""
    told = "\nimport json as _json, sys as _sys\nprint(_json.dumps(sorted(_sys.modules)))\n"
    home = {"HOME": str(tmp_path), "PATH": str(Path(sys.executable).parent), **NONE, **env}
    done = subprocess.run(
        [*before, sys.executable, "-c", source + told], capture_output=True, text=True, check=False, env=home
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(json.loads(done.stdout.splitlines()[-1]))


def early(loaded: set[str]) -> list[str]:
    """Of what should wait, what did not."""
    names_alone = {
        "spantally.instrumentors.openai.socket_places",
        "spantally.instrumentors.stainless.instrumentor",
    }
    return sorted(name for name in loaded - names_alone if name.startswith(LATE))


def test_program_without_a_call_imports_no_machinery(tmp_path: Path) -> None:
    """`opentelemetry-instrument python -c pass` has us, and nothing that only a call needs."""
    loaded = modules("pass", tmp_path, INSTRUMENT)
    assert "spantally.api.runtime" in loaded
    assert "spantally.instrumentors.openai" in loaded
    assert early(loaded) == []


def test_run_imports_as_little(tmp_path: Path) -> None:
    """`spantally run -- python -c pass` starts a process that has no more."""
    loaded = modules("pass", tmp_path, sys.executable, "-m", "spantally.cli", "run", "-q", "--")
    assert "spantally.api.runtime" in loaded
    assert early(loaded) == []


def test_instrument_in_a_program_imports_as_little(tmp_path: Path) -> None:
    """`spantally.instrument()` before any SDK is imported has no more either, nor the SDK's logs."""
    loaded = modules("import spantally\nspantally.instrument()", tmp_path)
    assert "spantally.api.runtime" in loaded
    assert early(loaded) == []
    assert "opentelemetry.sdk._logs" not in loaded


def test_import_of_an_sdk_makes_its_first_call_ready(tmp_path: Path) -> None:
    """With the SDK come the taps and the redaction's rules, for no call to wait for; no ledger, no prices."""
    loaded = modules("import openai", tmp_path, INSTRUMENT)
    assert {"spantally.instrumentors.openai.taps", "spantally.redaction.engine"} <= loaded
    assert not loaded & {"spantally.ledger.writer", "spantally.pricing.rate", "genai_prices", "sqlite3"}


def test_first_calls_import_nothing_on_their_thread(tmp_path: Path) -> None:
    """What first calls with their spans still need, the worker imports: their callers wait for none of it."""
    source = """
import sys, threading, openai
from spantally.testing import ScriptedServer
class Watch:
    seen = []
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is threading.main_thread() and name.startswith("spantally"):
            self.seen.append(name)
with ScriptedServer() as server, openai.OpenAI(base_url=server.base_url, api_key="sk-made-up") as client:
    client.responses  # the SDK imports this part of itself now, and ours of its websockets goes with it
    sys.meta_path.insert(0, Watch())
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
    client.chat.completions.create(**asked)
    list(client.chat.completions.create(**asked, stream=True))
    client.responses.create(model="gpt-4o", input="x")
    client.embeddings.create(model="text-embedding-3-small", input="x")
assert Watch.seen == [], Watch.seen
"""
    content = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"}
    modules(source, tmp_path, INSTRUMENT, **content)
