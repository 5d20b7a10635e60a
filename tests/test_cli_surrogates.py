"""Half of a surrogate pair in what a program told: every command shows it escaped, and none fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import spantally

HALF = "broken \ud83d pair"


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A ledger with such a text in a message, a decision, an event and a tool."""
    path = tmp_path / "half.db"
    spantally.instrument(ledger=str(path))
    with spantally.session("half", title=HALF) as session:
        session.record_message("user", HALF)
        session.record_tool("search", HALF, {"found": HALF})
        session.record_call(model="gpt-4o", input=HALF, output=HALF)
        spantally.decision(HALF, alternatives=[HALF], choice=HALF)
    spantally.flush()
    return path


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_every_command_shows_it(told: Path, errors: str) -> None:
    """Text, Markdown, CSV and lines of JSON carry the escape, with either way of Python's to write UTF-8."""
    for arguments in (
        "show half --content",
        "events half",
        "messages half",
        "messages half --format markdown",
        "messages half --format csv",
        "messages half --format chat",
        "replay half --speed 1000000",
        "search broken",
    ):
        done = subprocess.run(
            [sys.executable, "-m", "spantally.cli", "--ledger", str(told), *arguments.split()],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": f"utf-8:{errors}"},
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, b""), arguments
        assert b"\\ud83d" in done.stdout, arguments
        if arguments.endswith("chat"):
            assert HALF in json.dumps(json.loads(done.stdout), ensure_ascii=False)


@pytest.mark.parametrize(
    "arguments",
    [
        "show HALF",
        "sessions --user HALF",
        "calls --session HALF",
        "cost --entity HALF",
        "messages --label HALF",
        "check HALF --max-calls 1",
        "reprice --model HALF",
        "reprice --dry-run --model HALF",
        "feedback HALF --score 1",
        "diff half HALF",
    ],
)
def test_an_argument_that_is_no_text_is_named(told: Path, arguments: str) -> None:
    """Bytes of a shell that are no UTF-8 are in no ledger: a wrong argument, never a traceback."""
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "spantally.cli", "--ledger", str(told)),
            *(b"caf\xe9" if one == "HALF" else one for one in arguments.split()),
        ],
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"'caf\\udce9' is no text that a ledger can hold; use " in done.stderr
