"""The key of the digits in tags: one per installation, private, agreed on, and never in the program's way."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spantally.ground import guard
from spantally.ground.places import default_ledger_path
from spantally.redaction import key, tags
from spantally.redaction.tags import tag

WRITE = "from spantally.redaction.tags import tag; print(tag('password', 'hunter2'))"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No tag was made in this process yet."""
    monkeypatch.setattr(tags, "_key", None)
    guard.reset()
    yield
    guard.reset()


def in_another_process(code: str = WRITE, **environ: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environ},
    )
    return done.stdout.strip()


def made(text: str = "11" * key.SIZE, mode: int = 0o600) -> Path:
    """A file of a key as somebody left it."""
    place = key.path()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)
    return place


def test_file_is_private_and_beside_the_ledger() -> None:
    """It is made at the first tag, with mode 0600 in a directory of mode 0700, and nothing else with it."""
    assert key.path().parent == default_ledger_path().parent
    assert not key.path().parent.exists()
    assert tag("password", "hunter2").startswith("[REDACTED:password:")
    assert stat.S_IMODE(key.path().stat().st_mode) == 0o600
    assert stat.S_IMODE(key.path().parent.stat().st_mode) == 0o700
    assert [one.name for one in key.path().parent.iterdir()] == [key.FILE_NAME]
    assert len(bytes.fromhex(key.path().read_text())) == key.SIZE


def test_it_is_not_read_at_import_nor_for_texts_without_secrets() -> None:
    """A program that has nothing to hide makes no file, though its texts are remembered by a digest."""
    code = "import spantally; assert spantally.redact('plain words ' * 100) == 'plain words ' * 100"
    in_another_process(code)
    assert not key.path().exists()


def test_processes_of_one_installation_agree() -> None:
    """The same secret has the same tag in each; with another data directory it has another one."""
    ours = tag("password", "hunter2")
    assert in_another_process() == ours
    assert in_another_process() == ours
    assert in_another_process(XDG_DATA_HOME=str(key.path().parent / "other")) != ours


def test_digits_are_keyed() -> None:
    """No bare hash of the secret: who has the tag alone cannot try words."""
    digits = tag("password", "hunter2")[-9:-1]
    for name in sorted(hashlib.algorithms_guaranteed - {"shake_128", "shake_256"}):
        assert not hashlib.new(name, b"hunter2").hexdigest().startswith(digits)
    assert hashlib.blake2b(b"hunter2", digest_size=4).hexdigest() != digits
    secret = bytes.fromhex(key.path().read_text())
    assert hashlib.blake2b(b"hunter2", digest_size=4, key=secret).hexdigest() == digits


def test_processes_that_start_together_agree() -> None:
    """Many at once make one file, and all have its key."""
    count = 6
    running = [
        subprocess.Popen([sys.executable, "-c", WRITE], stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    said = {process.communicate()[0].strip() for process in running}
    assert len(said) == 1
    assert said == {tag("password", "hunter2")}
    assert [one.name for one in key.path().parent.iterdir()] == [key.FILE_NAME]


def test_threads_that_make_it_together_agree() -> None:
    """Whoever loses the race takes what the winner made, and leaves no part behind."""
    ready = threading.Barrier(8)
    found: list[key.Key] = []

    def make() -> None:
        ready.wait()
        found.append(key.load())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.secret for one in found}) == 1
    assert found[0].source == "file"
    assert [one.name for one in key.path().parent.iterdir()] == [key.FILE_NAME]


def test_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """SPANTALLY_REDACTION_KEY makes hosts comparable, and no file is made; an empty one does not count."""
    monkeypatch.setenv("SPANTALLY_REDACTION_KEY", "between us")
    ours = tag("password", "hunter2")
    assert tags.key_in_use().source == "environment"
    assert not key.path().exists()
    assert in_another_process(XDG_DATA_HOME="/nowhere") == ours
    assert in_another_process(SPANTALLY_REDACTION_KEY=" ") != ours


@pytest.mark.parametrize(
    ("text", "mode", "fault"),
    [
        ("11" * key.SIZE, 0o640, "chmod 600"),
        ("11" * key.SIZE, 0o604, "chmod 600"),
        ("", 0o600, "no whole key"),
        ("11" * (key.SIZE - 1), 0o600, "no whole key"),
        ("11" * 500, 0o600, "holds no"),
        ("zz" * key.SIZE, 0o600, "no key"),
        ("\u00e9" * key.SIZE, 0o600, "no key"),
    ],
)
def test_file_that_is_not_right_is_not_used(
    text: str, mode: int, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The key is random then, one line says why and what to do, and the file stays as it is."""
    place = made(text, mode)
    before = place.read_bytes()
    one, two = tag("password", "hunter2"), tag("password", "hunter2")
    assert one == two
    assert tags.key_in_use().source == "random"
    assert key.load().secret == tags.key_in_use().secret
    said = [line.message for line in caplog.records if "redaction tags" in line.message]
    assert len(said) == 1
    assert fault in said[0]
    assert place.read_bytes() == before
    assert in_another_process() != one


def test_file_of_another_user_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who could write it could try words."""
    made()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert key.load().source == "random"
    assert "another user" in (key.load().fault or "")


@pytest.mark.parametrize("thing", ["pipe", "directory", "link"])
def test_what_is_no_file_is_not_used(thing: str, tmp_path: Path) -> None:
    """A pipe does not hold the program up, and a link is not followed."""
    place = key.path()
    place.parent.mkdir(parents=True)
    if thing == "pipe":
        os.mkfifo(place, 0o600)
    elif thing == "directory":
        place.mkdir()
    else:
        (tmp_path / "elsewhere").write_text("11" * key.SIZE)
        (tmp_path / "elsewhere").chmod(0o600)
        place.symlink_to(tmp_path / "elsewhere")
    assert key.load().source == "random"


def test_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container without a home the key is random, and whoever only asks is told so."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file" / "data"))
    assert tag("password", "hunter2").startswith("[REDACTED:password:")
    assert tags.key_in_use().source == "random"
    assert key.load(create=False).source == "random"


@pytest.mark.parametrize("fails", ["link", "write", "open", "read", "mkdir"])
def test_failure_stays_ours(fails: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system refuses, there is a tag; no part of a file is left."""

    def refuse(*given: Any, **named: Any) -> Any:
        raise OSError(5, "no luck")

    place = key.path().parent
    with monkeypatch.context() as patch:
        patch.setattr(Path if fails == "mkdir" else os, fails, refuse)
        found = key.load()
    assert len(found.secret) >= key.SIZE
    assert found.source == ("file" if fails == "link" else "random"), "a file system may lack links"
    assert [one.name for one in place.glob("*")] in ([], [key.FILE_NAME])


def test_any_other_failure_stays_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that nobody thought of."""

    def broken() -> Path:
        raise ZeroDivisionError

    monkeypatch.setattr(key, "path", broken)
    assert tag("password", "x").startswith("[REDACTED:password:")
    assert guard.failures[("redaction.key", "ZeroDivisionError")]


def test_asking_makes_nothing() -> None:
    """`spantally doctor` leaves no file behind."""
    assert key.load(create=False).source == "file"
    assert tags.key_to_be().place == str(key.path())
    assert not key.path().parent.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("before", [True, False])
def test_child_of_a_fork_has_the_same(before: bool) -> None:
    """Read before the fork or after it, from a file or random: parent and child agree."""
    code = (
        "import os, sys; from spantally.redaction.tags import tag\n"
        f"before = {before}\n"
        "if before: tag('password', 'x')\n"
        "read, write = os.pipe()\n"
        "if os.fork() == 0: os.write(write, tag('password', 'x').encode()); os._exit(0)\n"
        "os.wait(); print(os.read(read, 99).decode() == tag('password', 'x'))"
    )
    for home in (str(key.path().parent), "/dev/null/nowhere"):
        assert in_another_process(code, XDG_DATA_HOME=home) == "True"
