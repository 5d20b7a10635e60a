"""Secrets in what names things: sessions with budgets, types of events, metrics, tools, models, log lines."""

from __future__ import annotations

import http.server
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import spantally
from leak_kit import ledger_bytes
from spantally.api.summary import SummaryConsumer
from spantally.calls import implicit
from spantally.ground import guard
from spantally.ground.records import CallRecord
from spantally.ground.session_state import forget_sessions
from spantally.testing import Reply, ScriptedServer

SECRET = "sk-proj-Zx81mQ4tLw9Bv72KpY3sA"
NEEDLE = SECRET[8:]
OTHER = "sk-proj-9dKq2wXv7Lm4Tz8Rb1Hs3"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    spantally.uninstrument()
    implicit.forget_process_session()
    forget_sessions()
    guard.reset()


@pytest.fixture
def posted() -> Iterator[tuple[str, list[bytes]]]:
    """A webhook's address, and what was posted there."""
    found: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", found
        server.shutdown()
        thread.join()


def ask(url: str, model: str = "gpt-4o") -> None:
    """One call."""
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}])


def test_a_session_named_by_a_secret_with_a_budget(
    tmp_path: Path, posted: tuple[str, list[bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither its account, nor the webhook, nor a line of the log has it; its program's callback does."""
    ledger = tmp_path / "l.db"
    url, bodies = posted
    told: list[str] = []
    with ScriptedServer([Reply(text="x"), Reply(text="x")]) as server, caplog.at_level(logging.DEBUG):
        spantally.instrument(ledger=ledger)
        budget = spantally.Budget(
            usd="0.1", calls=2, webhook=url, on_share=lambda notice: told.append(notice.session_id)
        )
        with spantally.session(SECRET, budget=budget, loop_guard=spantally.LoopGuard(identical=2)):
            ask(server.base_url)
            ask(server.base_url, OTHER)  # no price is known for it
            lookup: Any = spantally.tool(name=OTHER)(lambda: None)
            for _ in range(3):
                lookup()
        assert spantally.flush(10)
        from spantally.budgets.telling import callbacks, webhooks

        assert webhooks.wait(10)
        assert callbacks.wait(10)
    assert bodies
    assert {json.loads(body)["session_id"].split(":")[0] for body in bodies} == {"[REDACTED"}
    assert set(told) == {SECRET}
    said = "\n".join(one.getMessage() for one in caplog.records if one.name.startswith("spantally"))
    assert "the budget of session [REDACTED:" in said
    assert "no price is known for [REDACTED:" in said
    assert "tool [REDACTED:" in said
    for data in (ledger_bytes(ledger), b"".join(bodies), said.encode()):
        assert NEEDLE.encode() not in data
        assert OTHER[8:].encode() not in data


def test_types_of_events_and_names_of_metrics(tmp_path: Path) -> None:
    """They are kept and handed to exporters without the secrets that a program made them of."""
    ledger = tmp_path / "l.db"
    items: list[dict[str, object]] = []
    spantally.instrument(ledger=ledger, exporters=[spantally.CallbackExporter(items.append)])
    with spantally.session("one") as session:
        session.event(f"opened.{SECRET}")
        session.event(SECRET)
        session.set(metrics={f"uses of {SECRET}": 1})
        session.finish(metrics={SECRET: 2, "plain": 3})
    assert spantally.flush(10)
    assert len(items) == 3
    assert NEEDLE not in repr(items)
    assert NEEDLE.encode() not in ledger_bytes(ledger)
    metrics = items[-1]["attributes"]["spantally.session.metrics"]  # type: ignore[index]
    assert sorted(metrics.values()) == [1, 2, 3]


def test_what_a_session_says_of_itself_is_found_by_its_raw_id(tmp_path: Path) -> None:
    """Its rows are under the redacted id: asked by the raw one, summary and graph would be empty."""
    with ScriptedServer([Reply(text="x")]) as server:
        spantally.instrument(ledger=tmp_path / "l.db", redact=spantally.Redactor(pii=["email"]))
        with spantally.session("bob@example.com") as session:
            ask(server.base_url)
        assert session.summary().total.calls == 1
        assert len(session.graph().nodes) == 2


def test_a_budget_goes_on_under_a_redacted_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What user and session used before counts, though the ledger has both under other names."""
    (tmp_path / "spantally.toml").write_text('[[budget]]\nname = "each"\nuser = "*"\ncalls = 3\n')
    with ScriptedServer([Reply(text="x")] * 3) as server:
        for allowed in (True, False):
            if not allowed:
                monkeypatch.setenv("SPANTALLY_CONFIG", str(tmp_path / "spantally.toml"))
            spantally.instrument(ledger=tmp_path / "l.db", redact=spantally.Redactor(pii=["email"]))
            budget = None if allowed else spantally.Budget(calls=3, on_exceed="hard")
            with spantally.session("bob@example.com", user="amy@example.com", budget=budget) as session:
                if allowed:
                    ask(server.base_url)
                    ask(server.base_url)
                else:
                    assert session.remaining.calls == 1
                    ask(server.base_url)
            assert spantally.flush(10)
            spantally.uninstrument()
            forget_sessions()
    data = ledger_bytes(tmp_path / "l.db")
    assert b"bob@example" not in data
    assert b"amy@example" not in data
    import sqlite3

    with sqlite3.connect(tmp_path / "l.db") as db:
        accounts = dict(db.execute("SELECT account, calls FROM budget"))
    assert sorted(accounts.values()) == [3, 3], accounts


def test_the_line_at_the_end_names_the_session_as_the_ledger_does() -> None:
    """So that its next command finds it, and no secret is printed."""
    spantally.instrument(ledger=False)
    summary = SummaryConsumer()
    summary([CallRecord("c", SECRET, "inference", "chat", 0, 1)])
    line = summary.line(kept=True)
    assert NEEDLE not in line
    assert "spantally show [REDACTED:" in line


def test_fields_of_log_lines_are_named_as_in_the_ledger() -> None:
    """A log filter puts session and agents on the program's own lines, without their secrets."""
    spantally.instrument(ledger=False)
    record = logging.LogRecord("app", 20, "x", 1, "hello", (), None)
    with spantally.session(SECRET), spantally.agent(f"for {OTHER}"):
        spantally.LogFilter().filter(record)
    assert record.session_id.startswith("[REDACTED:")  # type: ignore[attr-defined]
    assert record.agent.startswith("for [REDACTED:")  # type: ignore[attr-defined]


def test_lines_before_anything_is_set_up_are_redacted_too(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable with a wrong value is named in the log, where the value may be a key."""
    monkeypatch.setenv("SPANTALLY_ENTITY", SECRET)
    spantally.instrument(ledger=False)
    assert "SPANTALLY_ENTITY" in caplog.text
    assert NEEDLE not in caplog.text


def test_a_line_whose_redaction_fails_says_nothing_of_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers and the words of the line stay."""

    def broken(text: str) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(guard, "clean", broken)
    guard.say_once("test:line", "spantally: %s is %d", SECRET, 7)
    assert caplog.messages == ["spantally: [REDACTED:error] is 7"]
    assert guard.failures == {("guard.say", "redaction"): 1}


def test_names_that_cannot_be_scanned_are_withheld(tmp_path: Path) -> None:
    """A redactor of the program's own that raises costs names, and no call or number."""

    class Broken:
        def text(self, text: str, key: str | None = None) -> str:
            raise ZeroDivisionError

        value = attributes = text

    ledger = tmp_path / "l.db"
    spantally.instrument(ledger=ledger, redact=Broken())
    with spantally.session(SECRET, budget=spantally.Budget(calls=1)) as session:
        session.event(f"opened.{SECRET}")
        session.finish(metrics={SECRET: 2})
    assert spantally.flush(10)
    assert NEEDLE.encode() not in ledger_bytes(ledger)
    assert {"api.kept_name", "session.metrics", "api.event_type"} <= {place for place, _ in guard.failures}
