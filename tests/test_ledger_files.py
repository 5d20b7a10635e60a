"""The ledger's file: private, created only where it should be, and every fault said with its remedy."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ledger_kit import chat, not_loaded, rate, session, take_out_version_4, without_more_parts
from spantally.ground import guard
from spantally.ground.errors import ArgumentError, LedgerError, SettingsError
from spantally.ledger.contract import Filter
from spantally.ledger.opening import open_store
from spantally.ledger.sqlite import connect, files, schema
from spantally.ledger.sqlite.store import SQLiteStore

ALL = Filter()
needs_modes = pytest.mark.skipif(os.name == "nt", reason="file modes are POSIX")
needs_user = pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")


def written(path: Path) -> Path:
    """A ledger with one call."""
    store = SQLiteStore(path)
    store.write([session(), chat()], rate)
    store.close()
    return path


def slug_of(store: SQLiteStore) -> str:
    """The slug with which writing fails; health must tell the same and not raise."""
    with pytest.raises(LedgerError) as caught:
        store.write([chat("another")], rate)
    assert store.target in str(caught.value)
    health = store.health()
    assert not health.ok or caught.value.slug in ("disk_full", "locked", "not_writable")
    return caught.value.slug


@needs_modes
def test_file_and_log_are_private(tmp_path: Path) -> None:
    """The file and its -wal and -shm can be read by their owner only."""
    store = SQLiteStore(tmp_path / "ledger.db")
    store.write([chat()], rate)
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    store.close()


def test_the_default_directory_is_made_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default path grows its directory (0700); a mistyped path does not."""
    default = tmp_path / "share" / "spantally" / "ledger.db"
    monkeypatch.setattr(files, "default_ledger_path", lambda: default)
    SQLiteStore(default).write([chat()], rate)
    if os.name != "nt":
        assert stat.S_IMODE(default.parent.stat().st_mode) == 0o700
    typo = SQLiteStore(tmp_path / "tpyo" / "ledger.db")
    assert slug_of(typo) == "missing_directory"
    assert not (tmp_path / "tpyo").exists()


def test_pragmas(tmp_path: Path) -> None:
    """WAL, secure_delete and the synchronous mode that was asked for."""
    for mode, number in (("normal", 1), ("full", 2)):
        store = SQLiteStore(tmp_path / f"{mode}.db", synchronous=mode)
        store.write([chat()], rate)
        db = store._writer
        assert db is not None
        assert db.execute("PRAGMA synchronous").fetchone() == (number,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA secure_delete").fetchone() == (1,)
        store.close()
    with pytest.raises(ArgumentError, match="synchronous='off'"):
        SQLiteStore(tmp_path / "x.db", synchronous="off")


def test_not_a_database(tmp_path: Path) -> None:
    """A text file is refused and left as it is."""
    path = tmp_path / "ledger.db"
    path.write_text("dear diary " * 500)
    assert slug_of(SQLiteStore(path)) == "not_a_database"
    assert path.read_text() == "dear diary " * 500


def test_the_database_of_another_program(tmp_path: Path) -> None:
    """Somebody else's SQLite file is refused and left as it is, journal mode included."""
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE users (id)")
    db.close()
    before = path.read_bytes()
    assert slug_of(SQLiteStore(path)) == "not_a_database"
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    """A file of no bytes is a new ledger, for a writer and for a reader."""
    for name, use in (("a.db", "write"), ("b.db", "read")):
        (tmp_path / name).touch()
        store = SQLiteStore(tmp_path / name)
        if use == "write":
            store.write([chat()], rate)
        assert len(store.calls(ALL)) == (use == "write")
        store.close()


def test_a_newer_schema(tmp_path: Path) -> None:
    """A ledger of a later release is refused with the two versions, for writing and reading."""
    path = written(tmp_path / "ledger.db")
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert slug_of(SQLiteStore(path)) == "newer_schema"
    with pytest.raises(LedgerError, match="version 99") as caught:
        SQLiteStore(path, read_only=True).sessions(ALL)
    assert caught.value.slug == "newer_schema"


def test_migrations_run_once_and_in_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older ledger is brought up by its script; one that fails leaves it as it was."""
    path = written(tmp_path / "ledger.db")
    now, after = schema.SCHEMA_VERSION, schema.SCHEMA_VERSION + 1
    monkeypatch.setattr(schema, "SCHEMA_VERSION", after)
    monkeypatch.setattr(schema, "MIGRATIONS", {now: "CREATE TABLE more (x);\nCREATE TABLE more (x);"})
    with pytest.raises(LedgerError):
        SQLiteStore(path).write([chat("c2")], rate)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (now,)
    assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'more'").fetchone()
    monkeypatch.setattr(schema, "MIGRATIONS", {now: "CREATE TABLE more (x);"})
    store = SQLiteStore(path)
    assert len(store.calls(ALL)) == 1
    assert db.execute("PRAGMA user_version").fetchone() == (after,)
    store.write([chat("c2")], rate)
    assert len(store.calls(ALL)) == 2
    store.close()
    db.close()


@pytest.mark.parametrize("where", ["truncated", "garbage"])
def test_a_damaged_file(tmp_path: Path, where: str) -> None:
    """A truncated file, or one with garbage in its pages, is told as corrupt and never crashes."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    store.write([chat(f"c{n}", f"s{n}") for n in range(300)], rate)
    store.close()
    data = bytearray(path.read_bytes())
    if where == "truncated":
        path.write_bytes(bytes(data[: len(data) // 3]))
    else:
        data[4096:] = os.urandom(len(data) - 4096)
        path.write_bytes(bytes(data))
    store = SQLiteStore(path)
    with pytest.raises(LedgerError) as caught:
        store.write([chat("new", f"s{n}") for n in range(300)], rate)
    assert caught.value.slug == "corrupt"
    health = store.health()
    assert not health.ok
    assert "corrupt" in health.detail


def test_a_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another program holds is told as locked; afterwards writing goes on."""
    from spantally.ledger.sqlite import connect

    monkeypatch.setattr(connect, "BUSY_MS", 50)
    path = written(tmp_path / "ledger.db")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store = SQLiteStore(path)
    assert slug_of(store) == "locked"
    assert len(store.calls(ALL)) == 1
    other.execute("ROLLBACK")
    other.close()
    store.write([chat("c2")], rate)
    assert len(store.calls(ALL)) == 2
    store.close()


def test_a_full_disk(tmp_path: Path) -> None:
    """Without room writing fails as disk_full and half of nothing is stored; with room it goes on."""
    store = SQLiteStore(tmp_path / "ledger.db")
    store.write([chat()], rate)
    db = store._writer
    assert db is not None
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")
    many = [chat(f"c{n}", f"s{n}") for n in range(500)]
    with pytest.raises(LedgerError) as caught:
        store.write(many, rate)
    assert caught.value.slug == "disk_full"
    assert len(store.calls(ALL)) == 1
    db.execute("PRAGMA max_page_count = 1000000")
    store.write(many, rate)
    assert len(store.sessions(ALL)) == 500
    assert store.health().ok
    store.close()


@pytest.mark.skipif(os.name == "nt", reason="resource limits are POSIX")
def test_a_real_limit_of_file_size(tmp_path: Path) -> None:
    """When the system lets the file grow no further the ledger says disk_full and keeps what it has."""
    program = """
import resource, signal, sys
sys.path.insert(0, sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from ledger_kit import chat, rate
from spantally.ground.errors import LedgerError
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite.store import SQLiteStore
store = SQLiteStore(sys.argv[2])
store.write([chat()], rate)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
done = 1
try:
    for n in range(1000):
        store.write([chat(f"c{n}-{m}", f"s{n}") for m in range(20)], rate)
        done += 20
except LedgerError as error:
    print(error.slug)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert len(store.calls(Filter())) == done, done
store.write([chat("later")], rate)
assert len(store.calls(Filter())) == done + 1
assert store.health().ok
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path / "ledger.db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "disk_full"


@needs_user
def test_an_unwritable_directory(tmp_path: Path) -> None:
    """A directory without write permission gives not_writable, new file or old."""
    (tmp_path / "d").mkdir()
    written(tmp_path / "d" / "old.db")
    (tmp_path / "d").chmod(0o500)
    try:
        assert slug_of(SQLiteStore(tmp_path / "d" / "new.db")) == "not_writable"
        assert slug_of(SQLiteStore(tmp_path / "d" / "old.db")) == "not_writable"
        reader = SQLiteStore(tmp_path / "d" / "old.db", read_only=True)
        assert len(reader.calls(ALL)) == 1
        reader.close()
    finally:
        (tmp_path / "d").chmod(0o700)


def test_a_directory_is_no_ledger(tmp_path: Path) -> None:
    """The path of a directory is refused with a name to use."""
    assert slug_of(SQLiteStore(tmp_path)) == "not_writable"


def test_read_only_never_writes(tmp_path: Path) -> None:
    """A read-only store answers, refuses to write, and leaves the bytes of the file alone."""
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    store.write([chat()], not_loaded)
    store.close()
    before = path.read_bytes()
    reader = SQLiteStore(path, read_only=True)
    assert len(reader.calls(ALL)) == 1
    with pytest.raises(LedgerError) as caught:
        reader.settle(rate)
    assert caught.value.slug == "not_writable"
    reader.close()
    assert path.read_bytes() == before


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    """A read-only store says whether the file or its directory is missing, and makes neither."""
    for path, slug in (
        (tmp_path / "none.db", "missing_file"),
        (tmp_path / "no" / "ledger.db", "missing_directory"),
    ):
        with pytest.raises(LedgerError) as caught:
            SQLiteStore(path, read_only=True).sessions(ALL)
        assert caught.value.slug == slug
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_file_is_made_again(tmp_path: Path) -> None:
    """When the file is removed under an open store, later calls land in a new file at its place."""
    path = written(tmp_path / "ledger.db")
    store = SQLiteStore(path)
    assert len(store.calls(ALL)) == 1
    for name in tmp_path.iterdir():
        name.unlink()
    store.write([chat("c2")], rate)
    assert [row.call_id for row in store.calls(ALL)] == ["c2"]
    assert path.exists()
    store.close()


def test_network_file_systems_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The file system of the nearest mount decides; a network one is warned of once and in health."""
    mounts = [("/", "ext4"), (os.path.realpath(tmp_path), "nfs4"), (f"{tmp_path}/local", "xfs")]
    assert files._mounted_network(tmp_path / "ledger.db", mounts) == "nfs4"
    assert files._mounted_network(tmp_path / "local" / "ledger.db", mounts) is None
    assert files._mounted_network(Path("/elsewhere/ledger.db"), mounts) is None
    assert files.network_file_system(tmp_path) is None or sys.platform != "linux"
    monkeypatch.setattr(files, "_mounts", lambda: mounts)
    guard.reset()
    store = SQLiteStore(tmp_path / "ledger.db")
    with caplog.at_level(logging.WARNING, "spantally"):
        store.write([chat()], rate)
        store.write([chat("c2")], rate)
    assert caplog.text.count("network file system (nfs4)") == 1
    assert "network file system" in store.health().warnings[0]
    store.close()


def test_opening_by_argument(tmp_path: Path) -> None:
    """None, paths, ':memory:' and store objects give stores; anything else is named."""
    given = SQLiteStore(":memory:")
    assert open_store(given) is given
    assert open_store(":memory:").memory  # type: ignore[attr-defined]
    by_path = open_store(tmp_path / "x.db", synchronous="full")
    assert isinstance(by_path, SQLiteStore)
    assert by_path.target == str(tmp_path / "x.db")
    assert "ledger.db" in open_store(None).target  # type: ignore[attr-defined]
    for wrong in (7, "", False, object()):
        with pytest.raises(SettingsError if wrong is not False else ArgumentError):
            open_store(wrong)


def _of_version_1(path: Path) -> Path:
    written(path)
    with sqlite3.connect(path) as db:
        db.execute("DROP INDEX session_conversation")
        db.execute("ALTER TABLE session DROP COLUMN said")
        db.execute("ALTER TABLE session DROP COLUMN lost")
        db.execute("ALTER TABLE rollup DROP COLUMN lost")
        for table in ("session", "rollup"):
            db.execute(f"ALTER TABLE {table} DROP COLUMN covered")
            db.execute(f"ALTER TABLE {table} DROP COLUMN list_value")
        db.execute("ALTER TABLE call DROP COLUMN list_nano_usd")
        db.execute("DROP TABLE budget")
        db.execute("DROP TABLE budget_lease")
        take_out_version_4(db)
        without_more_parts(db)
        db.execute("PRAGMA user_version = 1")
    db.close()
    return path


def test_a_ledger_of_version_1_is_brought_up(tmp_path: Path) -> None:
    """One that an earlier release wrote is read and written on, with every row it has."""
    store = SQLiteStore(_of_version_1(tmp_path / "ledger.db"))
    assert [row.lost_attempt_calls for row in store.sessions(ALL)] == [0]
    store.write([chat("c2")], rate)
    assert [row.calls for row in store.cost(["session"], ALL, "UTC")] == [2]
    store.close()


def test_a_ledger_of_version_1_that_may_only_be_read(tmp_path: Path) -> None:
    """It is refused with what to do, and not changed."""
    path = _of_version_1(tmp_path / "ledger.db")
    with pytest.raises(LedgerError, match="earlier release") as caught:
        SQLiteStore(path, read_only=True).sessions(ALL)
    assert caught.value.slug == "older_schema"
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    db.close()


@needs_modes
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """A file system takes any bytes for a name, and so does the ledger."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 ?%#.db"))
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system wants names to be UTF-8")
    path.unlink()
    written(path)
    store = SQLiteStore(path)
    assert [row.call_id for row in store.calls(ALL)] == ["c1"]
    assert store.health().ok
    budgets = store.budget_ledger()
    assert budgets is not None
    assert budgets.has("c1")
    budgets.close()
    store.close()


@needs_modes
def test_a_link_to_a_file_that_is_still_to_come(tmp_path: Path) -> None:
    """A ledger on another disk: the file is made where the link points, private; nowhere is said."""
    (tmp_path / "disk").mkdir()
    link = tmp_path / "ledger.db"
    link.symlink_to("disk/real.db")
    store = SQLiteStore(written(link))
    assert [row.call_id for row in store.calls(ALL)] == ["c1"]
    store.close()
    assert stat.S_IMODE((tmp_path / "disk" / "real.db").stat().st_mode) == 0o600
    (tmp_path / "nowhere.db").symlink_to("missing/real.db")
    assert slug_of(SQLiteStore(tmp_path / "nowhere.db")) == "not_writable"
    (tmp_path / "loop.db").symlink_to("loop.db")
    assert slug_of(SQLiteStore(tmp_path / "loop.db")) == "not_writable"


@needs_modes
def test_the_log_of_a_linked_ledger_is_looked_for_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is only in the log is never left out without a word, where the log cannot be read."""
    (tmp_path / "disk").mkdir()
    real, link = tmp_path / "disk" / "real.db", tmp_path / "ledger.db"
    link.symlink_to(real)
    store = SQLiteStore(real)
    store.write([chat()], rate)
    assert Path(files.beside(str(link), "-wal")).samefile(f"{real}-wal")
    plain = connect._read_only

    def no_memory_to_share(uri: str, target: str) -> sqlite3.Connection:
        if "immutable" not in uri:
            raise sqlite3.OperationalError("unable to open database file")
        return plain(uri, target)

    monkeypatch.setattr(connect, "_read_only", no_memory_to_share)
    for path in (real, link):
        with pytest.raises(LedgerError):
            connect.open_reader(str(path))
    store.close()
