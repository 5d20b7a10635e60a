"""Made-up secrets, a ledger that holds them everywhere, and the commands, for the tests of audit."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from ledger_kit import SECOND, T0, agent, chat, foreign, link, rate, session, tool
from spantally.cli.main import cli
from spantally.ground.records import EventRecord, Record
from spantally.ledger.sqlite.store import SQLiteStore

# Each is cut in two, so that scanners of source code do not take it for a leak.
ANTHROPIC = "sk-ant-" + "api03-Qm7LxV8bRz2wK9tY4nJcH6dFsgA1eU5oKiTrVw0XqPyMhNBvZ3Ld"
GITHUB = "ghp_" + "R7mX2kV9qL4tB8nW3zYc6HdJ5sFgA0pE1uQi"
OPENAI = "sk-proj-" + "Zk3vQ9tYx7LmW2pR8sBn4HcJ6dFgA1eU5oKiTrVw0XqPyMhN"
PASSWORD = "t4K9" + "wRz7Qm2LxV8b"
BODY = "MIIEpAIBAAKCAQEA" + "q7Lm2VtRz9Wk4Bn8Yc3HdJ5sFgA0pE1uQiToKmXvZs"
SECRETS = (ANTHROPIC, GITHUB, OPENAI, PASSWORD)
PEM = "\n".join(
    (
        "-----BEGIN RSA PRIVATE " + "KEY-----",
        *(BODY[: 58 - n] + "AbCd09+/"[: n % 8] for n in range(20)),
        "x7YkQ2mV",
        "-----END RSA PRIVATE " + "KEY-----",
    )
)


def secretive() -> list[Record]:
    """Secrets in content, attributes and their names, tags, names, ids, sessions and events."""
    user = "alice"
    whose: dict[str, Any] = {"user_id": user, "tags": (("api_key", GITHUB), ("feature", "search"))}
    sid = f"chat-{ANTHROPIC}"
    return [
        session("plain", name="quiet", status="succeeded", end_ns=T0 + SECOND),
        chat("p1", "plain", content={"input": [{"role": "user", "content": "Hello there"}]}),
        session(
            sid,
            name="loud",
            title=f"about {OPENAI}",
            metadata={"password": PASSWORD, "nested": [{"note": f"key {GITHUB}"}]},
            end_ns=T0 + 9 * SECOND,
            status="failed",
            reason=f"refused {OPENAI}",
            **whose,
        ),
        session("child", parent_id=sid, name="child"),
        agent("a1", sid, name=f"agent {GITHUB}", agent_path=(f"agent {GITHUB}",), **whose),
        chat(
            "c1",
            sid,
            parent_call_id="a1",
            agent_path=(f"agent {GITHUB}",),
            content={"input": [{"role": "user", "content": f"My key is {ANTHROPIC}\nuse it"}]},
            attributes={"url.full": f"https://bob:{PASSWORD}@db.example/x", f"header.{OPENAI}": "yes"},
            **whose,
        ),
        chat("c2", sid, parent_call_id="a1", agent_path=(f"agent {GITHUB}",), **whose),
        tool("t1", sid, content={"arguments": json.dumps({"password": PASSWORD, "n": 1})}, **whose),
        chat(f"call-{GITHUB}", "child", user_id=user),
        chat("under", "child", parent_call_id=f"call-{GITHUB}"),
        foreign(2, sid, scope_name="other"),
        link(3, 1),
        EventRecord("e1", sid, "spantally.decision", T0, attributes={"why": f"Bearer {ANTHROPIC}"}),
    ]


def made(path: Path, records: list[Record]) -> Path:
    """A ledger file of these records."""
    store = SQLiteStore(path)
    store.write(records, rate)
    store.close()
    return path


def quarantined(path: Path) -> None:
    """Put a record with a secret among those that could not be stored."""
    db = sqlite3.connect(path)
    db.execute(
        "INSERT INTO quarantine VALUES (?, ?, ?, ?)",
        (b"x" * 16, T0, "TypeError", f"CallRecord('{ANTHROPIC}')"),
    )
    db.commit()
    db.close()


def raw_bytes(path: Path) -> bytes:
    """The bytes of a ledger and its side files."""
    return b"".join(
        side.read_bytes() for end in ("", "-wal", "-shm") if (side := Path(f"{path}{end}")).exists()
    )


def invoke(*arguments: str, given: str | bytes | None = None) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, list(arguments), input=given, catch_exceptions=False)


def run(*arguments: str, given: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "spantally.cli", *arguments],
        input=given,
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, **environ},
    )


def unspoiled(*outputs: str | bytes) -> None:
    """No secret was printed."""
    for output in outputs:
        text = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
        assert not [secret for secret in (*SECRETS, BODY) if secret in text or secret[8:24] in text]
