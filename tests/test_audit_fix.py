"""`audit --fix`: secrets out of a ledger in place, rows and bytes, all or nothing, and no number changed."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from audit_kit import (
    ANTHROPIC,
    GITHUB,
    SECRETS,
    invoke,
    made,
    quarantined,
    raw_bytes,
    run,
    secretive,
    unspoiled,
)
from ledger_kit import (
    T0,
    agent,
    chat,
    kept_totals,
    rate,
    recomputed,
    session,
    take_out_version_4,
    without_more_parts,
)
from spantally.audit import Findings, audit_ledger, fix_ledger
from spantally.audit import fix as fix_module
from spantally.ground.errors import LedgerError
from spantally.ground.records import Record
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.ledger.tally import Dimension
from spantally.queries import open_ledger
from spantally.redaction import Redactor


def fixed(path: Path) -> None:
    """Fix a ledger and look that it is clean."""
    redactor = Redactor()
    fix_ledger(str(path), redactor)
    findings = Findings(redactor)
    audit_ledger(str(path), findings)
    assert findings.rows == []


def in_bytes(path: Path) -> list[str]:
    """Secrets in the bytes of a ledger and its side files."""
    data = raw_bytes(path)
    return [secret for secret in SECRETS if secret.encode() in data]


def rows(path: Path, question: str) -> list[tuple[Any, ...]]:
    """Answers of a database."""
    db = sqlite3.connect(path)
    try:
        return db.execute(question).fetchall()
    finally:
        db.close()


def test_secrets_go_from_rows_and_bytes(tmp_path: Path) -> None:
    """Afterwards the audit is clean, and not one byte of a secret is in the file or beside it."""
    path = made(tmp_path / "ledger.db", secretive())
    quarantined(path)
    assert in_bytes(path) == list(SECRETS)
    result = invoke("audit", "--fix", str(path))
    assert result.exit_code == 0, result.stderr
    assert "replaced in" in result.stderr
    assert "no secret found" in result.stderr
    unspoiled(result.stdout, result.stderr)
    assert in_bytes(path) == []
    assert path.stat().st_mode & 0o777 == 0o600
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    ((digest, body),) = rows(path, "SELECT digest, body FROM quarantine")
    assert digest == hashlib.blake2b(body.encode(), digest_size=16).digest()


def test_what_only_the_bytes_held_goes_too(tmp_path: Path) -> None:
    """Deleted rows leave the file, where no row has a secret any more."""
    path = made(tmp_path / "ledger.db", [session(), chat()])
    db = sqlite3.connect(path)
    db.execute("PRAGMA secure_delete = OFF")
    db.execute("INSERT INTO quarantine VALUES (?, ?, ?, ?)", (b"x", T0, "TypeError", f"{ANTHROPIC} " * 400))
    db.commit()
    db.execute("DELETE FROM quarantine")
    db.commit()
    db.close()
    assert in_bytes(path) == [ANTHROPIC]
    fixed(path)
    assert in_bytes(path) == []


def test_no_number_changes_and_totals_agree(tmp_path: Path) -> None:
    """Totals, rollups and names seen are what the rows add up to, as before."""
    path = made(tmp_path / "ledger.db", secretive())
    before = rows(path, "SELECT rows, calls, cost, input_tokens FROM session ORDER BY started_ns, cost")
    costs = rows(path, "SELECT quarter, SUM(cost), SUM(calls) FROM rollup GROUP BY quarter")
    fixed(path)
    assert (
        rows(path, "SELECT rows, calls, cost, input_tokens FROM session ORDER BY started_ns, cost") == before
    )
    assert rows(path, "SELECT quarter, SUM(cost), SUM(calls) FROM rollup GROUP BY quarter") == costs
    db = sqlite3.connect(path)
    try:
        assert kept_totals(db) == recomputed(db)
        names = ", ".join(Dimension._fields)
        for digest, *values in db.execute(f"SELECT digest, {names} FROM dimension"):
            assert digest == Dimension(*values).digest()
    finally:
        db.close()


def test_rows_still_name_each_other(tmp_path: Path) -> None:
    """Ids that held a secret are replaced alike wherever they stand: rows stay joined."""
    path = made(tmp_path / "ledger.db", secretive())
    with open_ledger(path) as ledger:
        before = [(row.calls, row.cost_nano_usd) for row in ledger.sessions()]
        tree_before = len(ledger.calls())
    fixed(path)
    with open_ledger(path) as ledger:
        assert sorted((row.calls, row.cost_nano_usd) for row in ledger.sessions()) == sorted(before)
        assert len(ledger.calls()) == tree_before
    ids = {row[0] for row in rows(path, "SELECT session_id FROM session")}
    assert {row[0] for row in rows(path, "SELECT parent_id FROM session WHERE parent_id IS NOT NULL")} <= ids
    for table in ("call", "seen", "dimension", "event"):
        assert {row[0] for row in rows(path, f"SELECT session_id FROM {table}")} <= ids
    calls = {row[0] for row in rows(path, "SELECT call_id FROM call")}
    parents = {row[0] for row in rows(path, "SELECT parent_call_id FROM call WHERE parent_call_id NOT NULL")}
    assert parents <= calls


def test_a_fixed_ledger_takes_in_more(tmp_path: Path) -> None:
    """Rows written before go on merging afterwards, and the totals stay right."""
    path = made(tmp_path / "ledger.db", secretive())
    fixed(path)
    (sid,) = rows(path, "SELECT session_id FROM call WHERE call_id = 'c1'")[0]
    store = SQLiteStore(path)
    store.write([chat("c9", str(sid), user_id="alice"), session(str(sid), status="succeeded")], rate)
    store.close()
    db = sqlite3.connect(path)
    try:
        assert kept_totals(db) == recomputed(db)
    finally:
        db.close()


def test_ids_never_become_one(tmp_path: Path) -> None:
    """Where the id without its secret is another row's already, it gets a number; its own rows follow."""
    redactor = Redactor()
    taken = redactor.text(f"chat-{ANTHROPIC}")
    records: list[Record] = [
        session(taken, name="tagged"),
        chat("c1", taken),
        session(f"chat-{ANTHROPIC}", name="raw"),
        chat("c2", f"chat-{ANTHROPIC}"),
    ]
    path = made(tmp_path / "ledger.db", records)
    fix_ledger(str(path), redactor)
    assert dict(rows(path, "SELECT name, session_id FROM session")) == {
        "tagged": taken,
        "raw": f"{taken}~2",
    }
    assert dict(rows(path, "SELECT call_id, session_id FROM call")) == {"c1": taken, "c2": f"{taken}~2"}


def test_dimensions_and_names_that_become_one_are_added_up(tmp_path: Path) -> None:
    """An agent that is there with its secret and with its tag is one afterwards, with the sum of both."""
    redactor = Redactor()
    name, safe = f"agent {GITHUB}", redactor.text(f"agent {GITHUB}")
    records: list[Record] = [session()]
    for number, one in enumerate((name, safe)):
        records.append(agent(f"a{number}", name=one, agent_path=(one,)))
        records.append(chat(f"c{number}", parent_call_id=f"a{number}", agent_path=(one,)))
    path = made(tmp_path / "ledger.db", records)
    (cost,) = rows(path, "SELECT SUM(cost) FROM rollup")[0]
    fix_ledger(str(path), redactor)
    assert rows(path, "SELECT COUNT(*) FROM dimension WHERE agent_path IS NOT NULL") == [(1,)]
    assert rows(path, "SELECT SUM(cost) FROM rollup JOIN dimension USING (dimension_id)") == [(cost,)]
    assert rows(path, "SELECT name, n FROM seen WHERE what = 'agent'") == [(safe, 4)]
    db = sqlite3.connect(path)
    try:
        assert kept_totals(db) == recomputed(db)
    finally:
        db.close()


def test_equal_secrets_stay_equal(tmp_path: Path) -> None:
    """Tags of one fix tell equal secrets from others: ten places of one key have the same digits."""
    path = made(tmp_path / "ledger.db", secretive())
    fixed(path)
    assert len({row[0] for row in rows(path, "SELECT tags FROM call WHERE tags IS NOT NULL")}) == 1


@pytest.mark.parametrize("busy", ["idle", "reader", "writer"])
def test_ledger_in_use_is_left_alone(tmp_path: Path, busy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process has it open, the wait is bounded, the error clear and nothing changed."""
    path = made(tmp_path / "ledger.db", secretive())
    before = rows(path, "SELECT * FROM call")
    program = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "begin = {'writer': 'BEGIN IMMEDIATE', 'reader': 'BEGIN', 'idle': 'SELECT 1'}[sys.argv[2]]\n"
        "db.execute(begin).fetchall()\n"
        "cursor = db.execute('SELECT * FROM call')\n"
        "cursor.fetchall() if sys.argv[2] == 'idle' else cursor.fetchone()\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    monkeypatch.setattr(fix_module, "WAIT_SECONDS", 0.3)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path), busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"open\n"
            result = invoke("audit", "--fix", str(path))
        finally:
            other.communicate(b"\n", timeout=30)
    assert result.exit_code == 2
    assert "in use by another process" in result.stderr
    assert "nothing was changed" in result.stderr
    assert rows(path, "SELECT * FROM call") == before
    fixed(path)


def test_a_failure_in_the_middle_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What raises half way takes everything back."""
    path = made(tmp_path / "ledger.db", secretive())
    before = {
        table: rows(path, f"SELECT * FROM {table}") for table in ("call", "session", "seen", "dimension")
    }

    def fail(*_arguments: object) -> None:
        raise sqlite3.OperationalError("no room")

    monkeypatch.setattr(fix_module._Fix, "_dimension", fail)
    with pytest.raises(LedgerError, match="nothing was changed"):
        fix_ledger(str(path), Redactor())
    assert {table: rows(path, f"SELECT * FROM {table}") for table in before} == before


def test_clearing_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean rows in a file that could not be written anew are told, and a second try ends it."""
    path = made(tmp_path / "ledger.db", secretive())

    class Full:
        """A connection on a full disk."""

        def execute(self, _statement: str) -> None:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error

    clear = fix_module._clear
    monkeypatch.setattr(fix_module, "_clear", lambda _db, name: clear(cast("Any", Full()), name))
    result = invoke("audit", "--fix", str(path))
    assert result.exit_code == 2
    assert "free of secrets now" in result.stderr
    assert "there is no room" in result.stderr
    monkeypatch.undo()
    fixed(path)
    assert in_bytes(path) == []


def test_fix_is_for_ledgers_only(tmp_path: Path) -> None:
    """Text, folders, stdin, other databases and what is not there: an error that names what is allowed."""
    text = tmp_path / "a.log"
    text.write_text(f"key {GITHUB}\n")
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE t (x)")
    db.commit()
    db.close()
    good = made(tmp_path / "ledger.db", secretive())
    for path in (str(text), str(tmp_path), "-", str(other), str(tmp_path / "none")):
        result = invoke("audit", "--fix", str(good), path)
        assert result.exit_code == 2
        assert "--fix rewrites ledgers only" in result.stderr
        assert "spantally redact < in > out" in result.stderr
    assert text.read_text() == f"key {GITHUB}\n"
    assert in_bytes(good) == list(SECRETS)


def test_file_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger without write permission is refused with the remedy."""
    path = made(tmp_path / "ledger.db", secretive())
    monkeypatch.setattr(os, "access", lambda *_arguments, **_more: False)  # root may write everything
    result = invoke("audit", "--fix", str(path))
    assert (result.exit_code, "cannot be written" in result.stderr) == (2, True)


def test_clean_ledger_stays_as_it_is(tmp_path: Path) -> None:
    """Without a secret no row is rewritten."""
    path = made(tmp_path / "ledger.db", [session(), chat()])
    before = rows(path, "SELECT * FROM call")
    done = run("audit", "--fix", str(path))
    assert done.returncode == 0
    assert b"0 secrets replaced in 0 rows" in done.stderr
    assert rows(path, "SELECT * FROM call") == before


def test_json_stays_json(tmp_path: Path) -> None:
    """Content that would be no JSON after it is read as text goes whole, and the row can still be read."""
    content = {"password": 123456789, "text": f"{ANTHROPIC}"}
    path = made(tmp_path / "ledger.db", [session(), chat(content=content)])
    fixed(path)
    with open_ledger(path) as ledger:
        (row,) = ledger.calls()
        assert row.content is not None


def test_text_that_is_no_utf_8(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 in a text column are looked through and fixed, and never quoted in an error."""
    path = made(tmp_path / "ledger.db", [session(), chat()])
    db = sqlite3.connect(path)
    db.execute("UPDATE call SET name = CAST(? AS TEXT)", (b"\xff key " + GITHUB.encode(),))
    db.commit()
    db.close()
    result = invoke("audit", str(path))
    assert result.exit_code == 1
    assert "call.name:1" in result.stdout
    unspoiled(result.stdout, result.stderr)
    fixed(path)
    ((name,),) = rows(path, "SELECT name FROM call")
    assert name.startswith("\N{REPLACEMENT CHARACTER} key [REDACTED:github-token:")


def test_ledger_of_an_earlier_release_is_fixed(tmp_path: Path) -> None:
    """A ledger of an older schema is brought up to this one and fixed."""
    path = made(tmp_path / "ledger.db", secretive())
    db = sqlite3.connect(path)
    take_out_version_4(db)
    db.executescript(
        "DROP TABLE budget; DROP TABLE budget_lease; DROP INDEX session_conversation;"
        "ALTER TABLE session DROP COLUMN said; PRAGMA user_version = 2;"
    )
    without_more_parts(db)
    db.close()
    assert invoke("audit", str(path)).exit_code == 1
    fixed(path)
    assert in_bytes(path) == []


def test_killed_between_rows_and_bytes(tmp_path: Path) -> None:
    """A fix that dies before the file is written anew is seen by the next audit and ended by the next fix."""
    path = made(tmp_path / "ledger.db", secretive())
    program = (
        "import os, sys\n"
        "from spantally.audit import fix\n"
        "from spantally.redaction import Redactor\n"
        "fix._clear = lambda db, path: os._exit(9)\n"
        "fix.fix_ledger(sys.argv[1], Redactor())\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == 9
    result = invoke("audit", str(path))
    assert result.exit_code == 1
    assert "byte" in result.stdout
    assert "call." not in result.stdout
    fixed(path)
    assert in_bytes(path) == []
