"""`spantally export`: what it says and returns, also where a name, a file or a collector is wrong."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from export_kit import command, contents, differences
from otlp_grpc_kit import GrpcCollector
from program_kit import Programs, ok
from spantally.ground.semconv import SCHEMA_URLS
from spantally.testing import OtlpReceiver, ScriptedServer

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v1234"
PROGRAM = f"""
connection = client()

@spantally.agent
def planner(task):
    ask(connection, task)
    spantally.decision("because of {KEY}", choice="wait")

for name in ("one", "two"):
    with spantally.session(name, user="alice"):
        planner("{KEY}")
"""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions of a program that exported nothing."""
    folder = tmp_path_factory.mktemp("export")
    with ScriptedServer() as server:
        programs = Programs(folder, server.base_url)
        ok(programs.run(PROGRAM, env={"OTEL_SDK_DISABLED": "true", "SPANTALLY_LEDGER_CONTENT": "all"}))
    return programs.ledger


def free_port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_session_reaches_a_collector_over_http(ledger: Path) -> None:
    """Spans are nested as they were called, log records carry the event, and no secret is in the bytes."""
    with OtlpReceiver() as receiver:
        said = command(ledger, "export", "one", "--otlp", receiver.url).stderr
        spans = receiver.spans()
        everything, url = receiver.received(), receiver.url
    assert said.rstrip().endswith(f"{url}: 1 session, 2 spans, 1 event")
    named = {span.name: span for span in spans}
    assert set(named) == {"invoke_agent planner", "chat gpt-4o"}
    assert named["chat gpt-4o"].parent_span_id == named["invoke_agent planner"].span_id
    assert {span.attributes["session.id"] for span in spans} == {"one"}
    assert named["chat gpt-4o"].attributes["spantally.cost.nano_usd"] > 0
    assert b"spantally.decision" in everything
    assert b"REDACTED" in everything  # content was kept, so it is there, without the key
    assert KEY.encode() not in everything


def test_a_session_reaches_a_collector_over_grpc(ledger: Path) -> None:
    """``grpc://`` sends over gRPC, and --json tells what went."""
    port = free_port()
    collector = GrpcCollector(port)
    try:
        done = command(ledger, "export", "one", "two", "--otlp", f"grpc://127.0.0.1:{port}", "--json")
    finally:
        collector.close()
    assert sorted(collector.names) == [
        "chat gpt-4o",
        "chat gpt-4o",
        "invoke_agent planner",
        "invoke_agent planner",
    ]
    (told,) = json.loads(done.stdout)
    assert (told["sessions"], told["spans"], told["events"], told["running"]) == (2, 4, 2, 0)


def test_stdout_is_the_export_and_nothing_else(ledger: Path, tmp_path: Path) -> None:
    """``-`` writes JSON lines that ingest reads from stdin, and talks on stderr alone."""
    done = command(ledger, "export", "--all", "--otlp", "-")
    requests = [json.loads(line) for line in done.stdout.splitlines()]
    assert [next(iter(one)) for one in requests] == ["resourceSpans", "resourceLogs"]
    scopes = [scope for group in requests[0]["resourceSpans"] for scope in group["scopeSpans"]]
    assert {scope["schemaUrl"] for scope in scopes} == {SCHEMA_URLS["latest"]}
    copy = tmp_path / "copy.db"
    words = [sys.executable, "-m", "spantally.cli", "--ledger", str(copy), "ingest", "-"]
    back = subprocess.run(words, input=done.stdout, text=True, capture_output=True, timeout=60)
    assert back.returncode == 0, back.stderr
    assert differences(ledger, copy) == []


def test_filters_choose_sessions(ledger: Path, tmp_path: Path) -> None:
    """The filters of `spantally sessions` stand in the place of names."""
    file = tmp_path / "a.jsonl"
    command(
        ledger, "export", "--user", "alice", "--limit", "1", "--otlp", str(file), code=2
    )  # not one of them
    command(ledger, "export", "--user", "alice", "--otlp", str(file))
    assert file.stat().st_mode & 0o077 == 0
    command(tmp_path / "copy.db", "ingest", str(file))
    assert len(contents(tmp_path / "copy.db")["session"]) == 2
    said = command(ledger, "export", "--user", "bob", "--otlp", str(tmp_path / "b.jsonl"), code=1).stderr
    assert "no session matches" in said
    assert not (tmp_path / "b.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--otlp", "x.jsonl"], 2, "nothing is named"),
        (["one", "--all", "--otlp", "x.jsonl"], 2, "SESSION and --all are given"),
        (["one"], 2, "--otlp"),
        (["one", "--json", "--otlp", "-"], 2, "both want stdout"),
        (["nowhere", "--otlp", "x.jsonl"], 1, "nowhere"),
        (["one", "nowhere", "--otlp", "x.jsonl"], 1, "nowhere"),
        (["one", "--otlp", "no/such/folder/x.jsonl"], 2, "cannot be written"),
        (["one", "--otlp", "ftp://127.0.0.1:1"], 2, "ftp://127.0.0.1:1"),
        (["one", "--otlp", "localhost:4318"], 2, "write http://localhost:4318"),
        (["one", "--otlp", "[::1]:4317"], 2, "grpc://[::1]:4317"),
        (["one", "--otlp", "collector:4318/v1/traces"], 2, "./collector:4318/v1/traces"),
    ],
)
def test_a_wrong_word_is_named_and_nothing_is_written(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, says: str
) -> None:
    """Each is refused before any effect, with the value and what to do."""
    monkeypatch.chdir(tmp_path)
    result = command(ledger, "export", *words, code=code)
    assert says in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_collector_that_is_not_there_is_told_at_once(ledger: Path) -> None:
    """Nothing is exported, the message names address and what to check, and the exit code is 1."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    said = command(ledger, "export", "one", "--otlp", endpoint, code=1).stderr
    assert "nothing was exported" in said
    assert endpoint in said
    assert "4318" in said


def test_a_collector_that_refuses_is_told_with_its_reason(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status that no repetition mends ends the export with exit code 1; nothing is lost in the ledger."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    before = contents(ledger)
    with OtlpReceiver(status=413) as receiver:
        said = command(ledger, "export", "one", "--otlp", receiver.url, code=1).stderr
        assert len(receiver.requests) < 10
    assert "413" in said
    assert "same ids" in said
    assert contents(ledger) == before


def test_a_file_that_is_there_stays_until_the_new_one_is_whole(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that fails in the middle leaves the old file as it was, and no half one."""
    file = tmp_path / "a.jsonl"
    file.write_text("the old one\n")

    def full(_batch: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("spantally.exchange.targets.log_line", full)
    said = command(ledger, "export", "one", "--otlp", str(file), code=2).stderr
    assert "No space left on device" in said
    assert file.read_text() == "the old one\n"
    assert [one.name for one in tmp_path.iterdir()] == ["a.jsonl"]


def test_what_still_runs_is_left_out_and_counted(tmp_path: Path, server: ScriptedServer) -> None:
    """A call without an end has its span still to come; the ended ones go."""
    programs = Programs(tmp_path, server.base_url)
    source = """
    import time
    with spantally.session("s"), spantally.agent("a"):
        ask(client())
        time.sleep(1.5)
        os.kill(os.getpid(), 9)
    """
    programs.run(source)
    file = tmp_path / "a.jsonl"
    with OtlpReceiver() as receiver:
        (told,) = json.loads(command(programs.ledger, "export", "s", "--otlp", str(file), "--json").stdout)
        assert receiver.requests == []
    assert (told["spans"], told["running"]) in {(1, 1), (2, 0)}  # the agent: running, or seen as interrupted
