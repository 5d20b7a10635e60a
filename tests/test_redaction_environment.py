"""Secrets that a program puts into its environment after it was instrumented: what is exported, as bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import openai
import pytest

import spantally
from spantally.ground.guard import failures
from spantally.redaction import Redactor, registry
from spantally.testing import Reply, ScriptedServer
from watching import Watched

WORD = "Falcon7 over Dover"  # no rule could guess it
ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(autouse=True)
def _no_literals() -> Iterator[None]:
    registry.follow_environment()  # as it is before the test
    registry.forget_literals()
    yield
    registry.forget_literals()


def _ask(server: ScriptedServer) -> None:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-0001", max_retries=0) as client:
        client.chat.completions.create(**ASK)


@pytest.mark.parametrize("redact", [True, "own"])
def test_a_secret_of_a_file_that_is_read_after_the_start(
    redact: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``load_dotenv()`` in a program that ``spantally run`` started: in spans of ours and of others."""
    watched = Watched(
        capture_content="span_only", redact=Redactor(defaults=False) if redact == "own" else redact
    )
    tracer = watched.provider.get_tracer("db")
    try:
        with ScriptedServer([Reply(text=f"it is {WORD}")] * 2) as server:
            tracer.start_span(f"as {WORD}").end()
            _ask(server)
            assert WORD.encode() in watched.exported(), "nobody could know"
            watched.exporter.payloads.clear()
            open_span = tracer.start_span("open", attributes={"note": f"as {WORD}"})
            monkeypatch.setenv("REPORTING_PASSWORD", WORD)
            open_span.end()
            tracer.start_span(f"as {WORD}").end()
            _ask(server)
            with spantally.agent(f"agent {WORD}"):
                pass
        assert len(watched.exporter.payloads) == 4
        assert WORD.encode() not in watched.exported()
        assert b"[REDACTED:literal:" in watched.exported()
    finally:
        watched.close()


def test_a_value_that_takes_the_place_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many variables as before: they are compared from time to time."""
    monkeypatch.setenv("REPORTING_PASSWORD", "Heron8 under Kent")
    assert "Heron8" not in spantally.redact("it is Heron8 under Kent")
    monkeypatch.setenv("REPORTING_PASSWORD", WORD)
    monkeypatch.setattr(registry, "_look_due", 0.0)  # a second is over
    assert "Falcon7" not in spantally.redact(f"it is {WORD}")
    assert "Heron8" not in spantally.redact("it is Heron8 under Kent")  # it may still be in use


def test_a_program_with_an_environment_of_its_own_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain mapping in its place is followed as well."""
    monkeypatch.setattr(os, "environ", {**os.environ, "REPORTING_PASSWORD": WORD})
    assert "Falcon7" not in spantally.redact(f"it is {WORD}")


def test_an_environment_that_cannot_be_read_stays_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure is counted, the text is scanned."""

    def fail(*given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(registry, "register_environment", fail)
    before = failures[("redaction.environment", "ZeroDivisionError")]
    monkeypatch.setenv("REPORTING_PASSWORD", WORD)
    assert "hunter2" not in spantally.redact("password=hunter2-and-more")
    assert failures[("redaction.environment", "ZeroDivisionError")] == before + 1


@pytest.mark.parametrize("name", ["SPANTALLY_REDACT_PII", "SPANTALLY_REDACTION_STRICT"])
@pytest.mark.parametrize("first", ["", "SPANTALLY_LEDGER_CONTENT"])
def test_a_wrong_setting_of_redaction_hangs_no_program(name: str, first: str) -> None:
    """The line about it is redacted, by the very redactor that is being made."""
    wrong = {one: f"password={WORD.replace(' ', '-')}" for one in (name, first) if one}
    program = (
        "import spantally\n"
        "spantally.instrument(ledger=False)\n"
        "print(spantally.redact('api_key=a1b2c3d4e5f6'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **wrong},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert "api_key=[REDACTED:" in done.stdout
    assert name in done.stderr
    assert "Falcon7" not in done.stderr


@pytest.mark.parametrize("name", ["SPANTALLY_REDACT_PII", "SPANTALLY_REDACTION_STRICT"])
@pytest.mark.parametrize("first", ["", "SPANTALLY_LEDGER_CONTENT"])
def test_the_line_about_a_wrong_setting_of_redaction_can_be_read(name: str, first: str) -> None:
    """It is said once the redactor is there, also where an operation was the first to need one."""
    program = "import spantally\nspantally.instrument(ledger=':memory:')\nwith spantally.session('a'): pass\n"
    done = subprocess.run(
        [sys.executable, "-c", program + "spantally.flush()\n"],
        env={**os.environ, **{one: "mail" for one in (name, first) if one}},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert f"{name}" in done.stderr
    assert done.stderr.count("'mail' is n") == (2 if first else 1), done.stderr
    assert "[REDACTED:error]" not in done.stderr
    assert "using the default (none)" in done.stderr or "using the default (true)" in done.stderr
