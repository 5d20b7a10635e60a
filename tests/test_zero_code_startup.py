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
        [*before, sys.executable, "-c", source + told], capture_output=True, text=True, check=True, env=home
    )
    assert done.stderr == ""
    return set(json.loads(done.stdout.splitlines()[-1]))


def early(loaded: set[str]) -> list[str]:
    """Of what should wait, what did not."""
    return sorted(name for name in loaded if name.startswith(LATE))


def test_program_without_a_call_imports_no_machinery(tmp_path: Path) -> None:
    """`opentelemetry-instrument python -c pass` has us, and nothing that only a call needs."""
    loaded = modules("pass", tmp_path, INSTRUMENT)
    assert "spantally.api.runtime" in loaded
    assert "spantally.instrumentors.openai" in loaded
    assert early(loaded) == []
