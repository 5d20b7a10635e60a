"""Words in the environment that OpenTelemetry rejects when it is imported do not end a program of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spantally.ground import importing

PROGRAM = """
import os
import spantally
before = dict(os.environ)
spantally.instrument()

@spantally.agent
def planner():
    return 7

with spantally.session("one") as s:
    assert planner() == 7
    s.record_call(provider="openai", model="gpt-4o", input_tokens=3, output_tokens=4)
assert dict(os.environ) == before
print(s.totals.calls)
"""


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"}, ["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"]),
        ({"OTEL_PROPAGATORS": "tracecontext,nonsense"}, ["OTEL_PROPAGATORS"]),
        (
            {
                "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "-1",
                "OTEL_PROPAGATORS": "nonsense",
                "OTEL_SERVICE_NAME": "shop",
            },
            ["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_PROPAGATORS"],
        ),
    ],
)
def test_the_program_goes_on_and_a_line_names_the_variable(
    given: dict[str, str], named: list[str], tmp_path: Path
) -> None:
    """The tally is whole, and the environment of the program is as it was."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "SPANTALLY_LEDGER": str(tmp_path / "ledger.db"), **given},
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    line = next(line for line in done.stderr.splitlines() if "OpenTelemetry refuses" in line)
    assert all(name in line for name in named)
    assert "OTEL_SERVICE_NAME" not in line


def test_another_error_of_an_import_is_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what names a variable is taken for one."""
    (tmp_path / "broken_here.py").write_text("raise ValueError('the moon is full')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    with pytest.raises(ValueError, match="the moon is full"):
        importing.imported("broken_here")
    assert os.environ["OTEL_SERVICE_NAME"] == "shop"
