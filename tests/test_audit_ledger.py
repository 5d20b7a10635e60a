"""Auditing a ledger: every column, the log beside the file, and what only the bytes still hold."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import spantally
from audit_kit import (
    ANTHROPIC,
    GITHUB,
    PASSWORD,
    SECRETS,
    invoke,
    made,
    quarantined,
    raw_bytes,
    run,
    secretive,
    unspoiled,
)
from cli_ledger import research, small
from ledger_kit import T0, chat, rate, session
from spantally.audit import Findings, audit_ledger, fix_ledger
from spantally.audit.ledger import BLOCK
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.redaction import Redactor
from spantally.testing import ScriptedServer

needs_links = pytest.mark.skipif(os.name == "nt", reason="links are POSIX")


def found(path: Path) -> Findings:
    """What an audit finds."""
    findings = Findings(Redactor())
    audit_ledger(str(path), findings)
    return findings


def test_every_column_that_holds_text_is_read(tmp_path: Path) -> None:
    """A secret is found in each column that has one, JSON by its path, the quarantine included."""
    path = made(tmp_path / "ledger.db", secretive())
    quarantined(path)
    places = {row.place.rpartition(":")[0] for row in found(path).rows}
    assert {
        "call.call_id",
        "call.session_id",
        "call.parent_call_id",
        "call.name",
        "call.tags",
        "call.agent_path",
        "call.content",
        "call.attributes",
        "session.session_id",
        "session.parent_id",
        "session.reason",
        "session.said",
        "session.facts",
        "seen.name",
        "dimension.tags",
        "event.attributes",
        "quarantine.body",
    } <= places
    keys = {row.key for row in found(path).rows}
    assert {"input[0].content", "url.full", "metadata.password", "api_key"} <= keys


def test_no_secret_is_printed(tmp_path: Path) -> None:
    """Table, JSON and talk tell type, place and digits, and nothing of what was found."""
    path = made(tmp_path / f"{GITHUB}.db", secretive())
    for arguments in ((), ("--json",)):
        result = invoke("audit", *arguments, str(path))
        assert result.exit_code == 1
        unspoiled(result.stdout, result.stderr)
        assert "anthropic-key" in result.stdout
    rows = json.loads(invoke("audit", "--json", str(path)).stdout)
    assert set(rows[0]) == {"source", "place", "key", "rule", "digits"}
    assert len(rows) == found(path).total


def test_the_ledger_in_use_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path, --ledger or else SPANTALLY_LEDGER says what is audited."""
    path = made(tmp_path / "ledger.db", secretive())
    assert invoke("--ledger", str(path), "audit").exit_code == 1
    monkeypatch.setenv("SPANTALLY_LEDGER", str(path))
    result = invoke("audit")
    assert result.exit_code == 1
    assert "call.content" in result.stdout


def test_ledger_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is named and missing, switched off or in memory is a clear error with code 2."""
    result = invoke("--ledger", str(tmp_path / "none.db"), "audit")
    assert (result.exit_code, "no ledger at" in result.stderr) == (2, True)
    for value, words in (("false", "switched off"), (":memory:", "ends with its process")):
        monkeypatch.setenv("SPANTALLY_LEDGER", value)
        result = invoke("audit")
        assert (result.exit_code, words in result.stderr) == (2, True)


def test_rows_that_are_in_the_log_only_are_seen(tmp_path: Path) -> None:
    """A ledger is audited while a program writes to it: what it committed to the log counts."""
    path = tmp_path / "ledger.db"
    program = (
        "import sys\n"
        "from audit_kit import secretive, rate, SQLiteStore\n"
        "store = SQLiteStore(sys.argv[1])\n"
        "store.write(secretive(), rate)\n"
        "print('written', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    ) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"written\n"
            assert Path(f"{path}-wal").stat().st_size > 0
            done = run("audit", str(path))
            assert done.returncode == 1
            assert b"call.content" in done.stdout
        finally:
            writer.communicate(b"\n", timeout=30)


def test_what_only_the_bytes_hold_is_found(tmp_path: Path) -> None:
    """A row that was deleted without secure_delete is no row any more, and is found by its bytes."""
    path = made(tmp_path / "ledger.db", [*small("plain", 0)])
    db = sqlite3.connect(path)
    db.execute("PRAGMA secure_delete = OFF")
    db.execute(
        "INSERT INTO quarantine VALUES (?, ?, ?, ?)", (b"x", T0, "TypeError", f"body {ANTHROPIC} " * 400)
    )
    db.commit()
    db.execute("DELETE FROM quarantine")
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    assert ANTHROPIC.encode() in path.read_bytes()
    findings = found(path)
    assert findings.rows
    assert {row.place.split()[0] for row in findings.rows} == {"byte"}
    unspoiled(repr(findings.rows))


def test_bytes_of_a_row_are_told_once(tmp_path: Path) -> None:
    """What a row has shown is not told again from the bytes of that row."""
    path = made(tmp_path / "ledger.db", secretive())
    assert not [row for row in found(path).rows if row.place.startswith("byte")]


def test_ledgers_of_ours_are_clean(tmp_path: Path) -> None:
    """Rows as we write them, with all that their columns hold, give no finding."""
    path = made(tmp_path / "ledger.db", [*research(), *small("s-2", 3), *small("s-3", 9, project="x")])
    assert found(path).rows == []


def test_tags_are_no_hits(tmp_path: Path) -> None:
    """A ledger in which secrets were replaced already is clean."""
    redactor = Redactor()
    content = {"text": redactor.text(f"a {ANTHROPIC} b {GITHUB}"), "password": redactor.text("x", "password")}
    path = made(tmp_path / "ledger.db", [session(), chat(content=content, name=redactor.text(GITHUB))])
    assert "[REDACTED:" in path.read_bytes().decode("latin-1")
    assert found(path).rows == []


def test_ledger_of_real_calls_with_content_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What scripted calls with planted secrets leave in the ledger, all content kept, audits clean."""
    openai = pytest.importorskip("openai")
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("SPANTALLY_LEDGER_CONTENT", "all")
    spantally.instrument(ledger=str(path))
    try:
        with (
            ScriptedServer() as server,
            openai.OpenAI(base_url=server.base_url, api_key=SECRETS[2]) as client,
            spantally.session("audited", user="alice", tags={"k": "v"}),
        ):
            for stream in (False, True):
                answer = client.chat.completions.create(
                    model="gpt-4o-mini",
                    messages=[
                        {"role": "user", "content": f"My key is {ANTHROPIC}, password: hunter2Hunter9"}
                    ],
                    stream=stream,
                )
                if stream:
                    list(answer)
            client.responses.create(model="gpt-4o-mini", input=f"token={GITHUB}")
            client.embeddings.create(model="text-embedding-3-small", input=["some text", "more text"])
        spantally.flush()
    finally:
        spantally.uninstrument()
    assert b"[REDACTED:" in raw_bytes(path)
    done = run("audit", str(path))
    assert (done.returncode, done.stdout) == (0, b""), done.stdout
    assert b"no secret found" in done.stderr


def test_ledger_of_the_demo_is_clean(tmp_path: Path) -> None:
    """The demonstration plants secrets everywhere; its ledger audits clean."""
    pytest.importorskip("openai")
    path = tmp_path / "ledger.db"
    assert run("--ledger", str(path), "demo", SPANTALLY_LEDGER_CONTENT="all").returncode == 0
    done = run("--ledger", str(path), "audit")
    assert (done.returncode, done.stdout) == (0, b""), done.stdout


def test_ledger_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    """A schema that this release does not know is not guessed at."""
    path = made(tmp_path / "ledger.db", small("s", 0))
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    result = invoke("audit", str(path))
    assert (result.exit_code, "upgrade spantally" in result.stderr) == (2, True)


def test_store_may_be_written_again_after_an_audit(tmp_path: Path) -> None:
    """An audit only reads: file and rows are as they were."""
    path = made(tmp_path / "ledger.db", secretive())
    before = path.read_bytes()
    found(path)
    assert path.read_bytes() == before
    assert SQLiteStore(path).session_ids("", 10)


def test_secret_spread_over_strings_is_found(tmp_path: Path) -> None:
    """A value whose name stands in another string of the same JSON is found, and fixed into JSON."""
    content = {"argv": ["--password", PASSWORD], "field": {"name": "api_key", "value": PASSWORD}}
    path = made(tmp_path / "ledger.db", [session(), chat(content=content)])
    assert [row.place.partition(":")[0] for row in found(path).rows] == ["call.content"] * 2
    fix_ledger(str(path), Redactor())
    assert found(path).rows == []
    with spantally.open_ledger(path) as ledger:
        (row,) = ledger.calls()
    assert row.content is not None
    assert row.content["argv"][0] == "--password"
    assert row.content["argv"][1].startswith("[REDACTED:password:")


@pytest.mark.parametrize("linked", [False, pytest.param(True, marks=needs_links)])
def test_bytes_of_the_log_are_read(tmp_path: Path, linked: bool) -> None:
    """What a log in use holds of a row that was overwritten since is found in the bytes of the log."""
    path = named = made(tmp_path / "ledger.db", [session(), chat()])
    if linked:
        named = tmp_path / "link.db"
        named.symlink_to(path)
    program = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for name in (sys.argv[2] * 60, 'plain'):\n"
        "    db.execute('UPDATE call SET name = ?', (name,))\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path), f"key {ANTHROPIC} "],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"open\n"
            done = run("audit", "--json", str(named))
        finally:
            writer.communicate(b"\n", timeout=30)
    assert done.returncode == 1
    rows = json.loads(done.stdout)
    assert {(Path(row["source"]).name, row["place"].split()[0]) for row in rows} == {
        ("ledger.db-wal", "byte")
    }


def test_bytes_are_counted_once_where_blocks_meet(tmp_path: Path) -> None:
    """A file of several blocks gives each place once, at its own offset."""
    path = made(tmp_path / "ledger.db", [session(), chat()])
    db = sqlite3.connect(path)
    db.execute("PRAGMA secure_delete = OFF")
    for number in range(2500):
        body = f"body {ANTHROPIC} " + "x y " * 300
        db.execute(
            "INSERT INTO quarantine VALUES (?, ?, ?, ?)", (str(number).encode(), T0, "TypeError", body)
        )
    db.commit()
    db.execute("DELETE FROM quarantine")
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    data = path.read_bytes()
    assert len(data) > 2 * BLOCK
    findings = found(path)
    offsets = [int(row.place.split()[1]) for row in findings.rows]
    assert len(set(offsets)) == len(offsets)
    assert {data[at : at + 7] for at in offsets} == {b"sk-ant-"}
    assert len(offsets) == data.count(ANTHROPIC.encode())


def test_a_tag_in_a_name_says_nothing_of_the_value(tmp_path: Path) -> None:
    """A name that holds a tag is clean whatever the digits of the tag are, and so is what stands under it."""
    attributes = {f"header.[REDACTED:openai-key:{digits}]": "yes" for digits in ("b9575262", "12345678")}
    path = made(tmp_path / "ledger.db", [session(), chat(attributes=attributes)])
    assert found(path).rows == []


def test_columns_that_touch_make_no_secret(tmp_path: Path) -> None:
    """A name that ends as an assignment does, with the next column behind it in the file, is clean."""
    path = made(tmp_path / "ledger.db", [session(), chat(name="set api_key=", request_model="a1b2c3d4e5f6")])
    assert found(path).rows == []


def test_numbers_of_an_index_are_no_passwords(tmp_path: Path) -> None:
    """Where a session's name begins with ``w1``, the byte before may be a P: no name of a secret."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    # The low byte of the start stands right before the session in the index; 0x50 is P.
    starts = [T0 - T0 % 256 + 256 * number + 0x50 for number in range(400)]
    store.write([session(f"w1-{start // 256 % 1000}", start_ns=start) for start in starts], rate)
    store.write(
        [chat(f"c{n}", f"w1-{start // 256 % 1000}", start_ns=start) for n, start in enumerate(starts)], rate
    )
    store.close()
    assert found(path).rows == []
