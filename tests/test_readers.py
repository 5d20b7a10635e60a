"""Outside readers of our OTLP stream, Phoenix and MLflow: what they make of it is what the ledger says."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

import spantally
from spantally.ground.money import usd
from spantally.ledger.contract import CallRow

HERE = Path(__file__).parent
ENVIRONMENTS = Path(os.environ.get("PEER_ENVIRONMENTS") or HERE.parent)
PLACES: Final = Decimal(10) ** -12

pytestmark = [pytest.mark.peers, pytest.mark.timeout(400)]


class Told(NamedTuple):
    """What a reader, or the ledger, says of one thing."""

    input: int
    output: int
    dollars: Decimal


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def ask(url: str, body: Any = None) -> Any:
    """The JSON answer to a request."""
    request = urllib.request.Request(
        url,
        None if body is None else json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def clean_environment(**values: str) -> dict[str, str]:
    """This process's environment without anybody's telemetry settings."""
    prefixes = ("OTEL_", "SPANTALLY_", "PYTEST", "PHOENIX_", "MLFLOW_")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)} | values


@contextmanager
def serving(reader: str, folder: Path, words: list[str], health: str, **values: str) -> Iterator[None]:
    """A reader's server, until it is no longer needed."""
    python = ENVIRONMENTS / f".venv-reader-{reader}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: make readers")
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [str(python), *words],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=clean_environment(**values),
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 240
            while True:
                assert server.poll() is None, (folder / "server.log").read_text()[-3000:]
                assert time.monotonic() < deadline, "the server does not answer"
                try:
                    urllib.request.urlopen(health, timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.5)
            yield
        finally:
            os.killpg(server.pid, 15)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, 9)
                server.wait(30)


def send(url: str, ledger: Path, *headers: str) -> list[CallRow]:
    """Run the program, and read its ledger's model calls."""
    done = subprocess.run(
        [sys.executable, str(HERE / "reader_program.py"), url, str(ledger), *headers],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=clean_environment(PYTHONPATH=str(HERE)),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with spantally.open_ledger(ledger) as book:
        return [row for row in book.calls() if row.counted]


def cost(row: CallRow) -> Decimal:
    """What the ledger says that a call cost, in dollars."""
    known = usd(row.cost_nano_usd)
    assert known is not None
    return known


def told(rows: list[CallRow]) -> Told:
    """The ledger's sum of some calls, all of them priced."""
    return Told(
        sum(row.input_tokens or 0 for row in rows),
        sum(row.output_tokens or 0 for row in rows),
        sum(map(cost, rows), Decimal(0)),
    )


def by_session(rows: list[CallRow]) -> dict[str, list[CallRow]]:
    """The calls of each session."""
    found: dict[str, list[CallRow]] = {}
    for row in rows:
        found.setdefault(row.session_id, []).append(row)
    return found


def dollars(value: Any) -> Decimal:
    """A sum of a reader's, without the noise of its floating numbers."""
    return Decimal(repr(float(value or 0))).quantize(PLACES)


def flex_discount(rows: list[CallRow]) -> Decimal:
    """What a reader that sees no tier asks too much: half of the flex calls' list price was billed."""
    return sum((cost(row) for row in rows if row.model == "gpt-5"), Decimal(0))


def embeddings(rows: list[CallRow]) -> Told:
    """The part of the embeddings."""
    return told([row for row in rows if row.kind == "embeddings"])


PHOENIX_QUERY: Final = """{ projects { edges { node {
  spans(first: 50) { edges { node { spanId tokenCountPrompt tokenCountCompletion
    costSummary { total { cost } } } } }
  sessions(first: 10) { edges { node { sessionId tokenUsage { prompt completion }
    costSummary { total { cost } } } } }
} } } }"""


def nodes(answer: Any, name: str) -> list[Any]:
    """The nodes of a connection of GraphQL."""
    return [edge["node"] for edge in answer[name]["edges"]]


def test_phoenix_reads_the_ledgers_figures(tmp_path: Path) -> None:
    """Tokens and costs of each chat and session agree.

    Two differences are explained to the token: Phoenix neither counts nor prices embeddings, and it knows no
    service tier.
    """
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    settings = {
        "PHOENIX_WORKING_DIR": str(tmp_path),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    words = ["-m", "phoenix.server.main", "serve"]
    with serving("phoenix", tmp_path, words, f"{base}/healthz", **settings):
        rows = send(f"{base}/v1/traces", tmp_path / "ledger.db")
        chats = {row.span_id: row for row in rows if row.kind == "inference"}
        deadline = time.monotonic() + 60
        while True:
            answer = ask(f"{base}/graphql", {"query": PHOENIX_QUERY})
            (project,) = nodes(answer["data"], "projects")
            spans = {span["spanId"]: span for span in nodes(project, "spans") if span["costSummary"]}
            if len(spans) == len(chats) or time.monotonic() > deadline:
                break
            time.sleep(0.5)  # it prices what has come after a while
    assert set(spans) == set(chats)
    for span_id, row in chats.items():
        span = spans[span_id]
        assert (span["tokenCountPrompt"], span["tokenCountCompletion"]) == (
            row.input_tokens,
            row.output_tokens,
        )
        assert dollars(span["costSummary"]["total"]["cost"]) == cost(row) + flex_discount([row])
    sessions = {session["sessionId"]: session for session in nodes(project, "sessions")}
    for session_id, mine in by_session(rows).items():
        all_of_it, left_out = told(mine), embeddings(mine)
        usage = sessions.pop(session_id)
        assert usage["tokenUsage"]["prompt"] == all_of_it.input - left_out.input
        assert usage["tokenUsage"]["completion"] == all_of_it.output - left_out.output
        expected = all_of_it.dollars - left_out.dollars + flex_discount(mine)
        assert dollars(usage["costSummary"]["total"]["cost"]) == expected
    assert not sessions


def test_mlflow_reads_the_ledgers_figures(tmp_path: Path) -> None:
    """Tokens, costs and users of each trace's session agree; MLflow does not know the service tier either."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    words = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    words += ["--default-artifact-root", str(tmp_path / "artifacts")]
    with serving("mlflow", tmp_path, words, f"{base}/health", MLFLOW_DISABLE_TELEMETRY="true"):
        rows = send(f"{base}/v1/traces", tmp_path / "ledger.db", "x-mlflow-experiment-id=0")
        where = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
        answer = ask(f"{base}/api/3.0/mlflow/traces/search", {"locations": [where], "max_results": 50})
    found: dict[str, list[dict[str, Any]]] = {}
    for trace in answer["traces"]:
        about = trace["trace_metadata"]
        found.setdefault(about["mlflow.trace.session"], []).append(about)
    assert {name: {one["mlflow.trace.user"] for one in told} for name, told in found.items()} == {
        "chat-1": {"alice"},
        "chat-2": {"bob"},
    }
    for session_id, mine in by_session(rows).items():
        usages = [json.loads(one["mlflow.trace.tokenUsage"]) for one in found[session_id]]
        costs = [json.loads(one["mlflow.trace.cost"]) for one in found[session_id]]
        ours = told(mine)
        assert sum(one["input_tokens"] for one in usages) == ours.input
        assert sum(one["output_tokens"] for one in usages) == ours.output
        theirs = sum((dollars(one["total_cost"]) for one in costs), Decimal(0))
        assert theirs == ours.dollars + flex_discount(mine)
