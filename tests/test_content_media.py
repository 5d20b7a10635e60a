"""Media of content: size and hash in its place, and on request the bytes as files beside the ledger."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
import threading
import time
from pathlib import Path
from typing import Any, cast

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spantally
from spantally.calls import media, media_files
from spantally.calls.media import kept_by, without_media
from spantally.calls.media_files import MediaFiles
from spantally.ground import guard
from spantally.ground.worker import worker
from spantally.instrumentors.openai.wire import content
from spantally.instrumentors.openai.wire import operation as op
from spantally.instrumentors.openai.wire.stream_content import ChatContent
from spantally.testing import Reply, ScriptedServer, ToolCall
from watching import Watched, attributes

PIXELS = b"\x89PNG\r\n\x1a\n\0" + bytes(range(256)) * 40
PNG = base64.b64encode(PIXELS).decode()
DIGEST = hashlib.sha256(PIXELS).hexdigest()
IMAGE: Any = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is it?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        ],
    }
]


def ask(server: ScriptedServer, messages: Any = IMAGE) -> None:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-for-tests") as client:
        client.chat.completions.create(model="gpt-4o", messages=messages)


def _files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()} if directory.exists() else {}


# -- in the place of the bytes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        f"data:image/png;base64,{PNG}",
        {"deep": [{"er": f"data:image/png;base64,{PNG}"}]},
        PNG,
        {"raw": PIXELS},
        f"see ![it](data:image/png;base64,{PNG}) here",
        json.dumps({"type": "image", "data": PNG}),
        PNG.replace("+", "-").replace("/", "_"),
    ],
    ids=["url", "nested", "bare", "bytes", "in prose", "in JSON", "URL-safe"],
)
def test_media_anywhere_in_a_value_is_its_hash(value: Any) -> None:
    """Data URLs, bare base64, bytes, and each of them inside a longer text."""
    told = json.dumps(without_media(value))
    assert DIGEST in told
    assert PNG[:60] not in told
    assert str(len(PIXELS)) in told


@pytest.mark.parametrize("text", ["x" * 5_000, "word " * 1_000, "0123456789" * 500, "A" * 3_000 + " b", ""])
def test_text_that_is_no_media_stays(text: str) -> None:
    """Padding, prose and digits within a text are left as they are."""
    assert without_media({"t": f"see {text} there"}) == {"t": f"see {text} there"}


@pytest.mark.parametrize(
    "text",
    [
        "A1b" * 700 + "\n" * 500_000 + "!",
        "data:" * 100_000 + ";base64,",
        "data:a/" + "b" * 500_000 + ";base64,x",
        "data:a/b" + ";c=d" * 100_000 + ";base64,x",
        "A1b" * 200_000 + "!",
    ],
    ids=["newlines", "heads", "a long type", "parameters", "almost base64"],
)
def test_no_text_takes_long_to_look_through(text: str) -> None:
    """The time grows with the length alone, however a text is built."""
    began = time.thread_time()
    without_media(text)
    without_media(f"see {text}")
    assert time.thread_time() - began < 1


def test_a_written_out_data_url_is_measured_as_what_it_says() -> None:
    """Without base64 the bytes are those of the percent-encoded text."""
    (message,) = content.input_messages(
        op.CHAT,
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": "data:image/svg+xml,%3Csvg/%3E"}],
                }
            ]
        },
    ) or [{}]
    (part,) = message["parts"]
    assert (part["size"], part["sha256"]) == (6, hashlib.sha256(b"<svg/>").hexdigest())


def test_an_image_in_a_text_message_leaves_no_base64() -> None:
    """A data URL in the text of a prompt becomes a note, also where the whole message is only that text."""
    watched = Watched(capture_content="span_only")
    try:
        with ScriptedServer([Reply(text="a cat")] * 2) as server:
            for _ in range(2):
                ask(server, [{"role": "user", "content": f"look: data:image/png;base64,{PNG} ok?"}])
        exported = watched.exported()
    finally:
        watched.close()
    assert PNG[:60].encode() not in exported
    assert exported.count(f"look: [image/png, {len(PIXELS)} bytes, sha256 {DIGEST}] ok?".encode()) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "arguments",
    [
        json.dumps({"picture": f"data:image/png;base64,{PNG}"}),
        json.dumps({"files": [{"data": PNG}] * 8}),
        f'{{"picture": "data:image/png;base64,{PNG}',
    ],
    ids=["data URL", "long", "cut off"],
)
def test_media_in_calls_and_definitions_of_tools_leaves_no_base64(arguments: str, stream: bool) -> None:
    """What a model hands to a tool, and what a tool says of itself, is told by size and hash, too."""
    url = f"data:image/png;base64,{PNG}"
    tool: Any = {"name": "show", "description": f"Like {url}"}
    watched = Watched(capture_content="span_only")
    try:
        with (
            ScriptedServer(Reply(tool_calls=[ToolCall("show", arguments)])) as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up-for-tests") as client,
        ):
            made: Any = client.chat.completions.create(
                model="gpt-4o",
                messages=IMAGE,
                tools=[{"type": "function", "function": tool}],
                stream=stream,
            )
            if stream:
                list(made)
        (span,) = watched.spans
    finally:
        watched.close()
    said, offered = (attributes(span)[name] for name in ("gen_ai.output.messages", "gen_ai.tool.definitions"))
    assert PNG[:60] not in said + offered
    assert f"{len(PIXELS)}" in said
    assert DIGEST in offered


# -- as files --------------------------------------------------------------------------------------------


def test_no_file_is_kept_by_default(tmp_path: Path) -> None:
    """Only a setting makes files."""
    watched = Watched(capture_content="span_only", ledger=str(tmp_path / "l.db"))
    try:
        with ScriptedServer() as server:
            ask(server)
        assert DIGEST.encode() in watched.exported()
    finally:
        watched.close()
    assert not (tmp_path / "l.db.media").exists()


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_media_is_kept_once_under_its_hash_and_only_for_its_owner(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of mode 0600 in a directory of mode 0700 beside the ledger, named by its SHA-256."""
    given: dict[str, Any] = {"media_files": True} if how == "argument" else {}
    if how == "variable":
        monkeypatch.setenv("SPANTALLY_MEDIA_FILES", "true")
    ledger = tmp_path / "l.db"
    before = os.umask(0)
    watched = Watched(ledger_content="all", ledger=str(ledger), **given)
    try:
        with ScriptedServer() as server:
            for _ in range(3):
                ask(server)
        (*_, record) = watched.records
    finally:
        watched.close()
        os.umask(before)
    directory = tmp_path / "l.db.media"
    assert _files(directory) == {DIGEST: PIXELS}
    assert stat.S_IMODE((directory / DIGEST).stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert record.content is not None
    assert record.content["input"][0]["parts"][1]["sha256"] == DIGEST


def test_nothing_is_kept_of_calls_whose_content_nobody_takes(tmp_path: Path) -> None:
    """With content off the setting alone keeps nothing, also where usage is estimated from the answer."""
    watched = Watched(ledger=str(tmp_path / "l.db"), media_files=True, stream_usage="estimate")
    try:
        with ScriptedServer() as server:
            ask(server)
        assert watched.records
    finally:
        watched.close()
    assert not (tmp_path / "l.db.media").exists()


def test_arguments_and_results_of_tools_are_kept_too(tmp_path: Path) -> None:
    """Bytes that a tool returns become a file."""
    watched = Watched(ledger_content="all", ledger=str(tmp_path / "l.db"), media_files=True)

    @spantally.tool
    def draw(like: str) -> bytes:
        return PIXELS

    try:
        assert draw(f"data:image/gif;base64,{base64.b64encode(PIXELS[:99]).decode()}") == PIXELS
        assert watched.records
    finally:
        watched.close()
    assert set(_files(tmp_path / "l.db.media").values()) == {PIXELS, PIXELS[:99]}


def test_streamed_sound_is_kept_whole(tmp_path: Path) -> None:
    """The pieces of a spoken answer are one file, and none where nobody keeps media."""
    chunk: Any = {"choices": [{"index": 0, "delta": {"audio": {"data": PNG}}}]}
    files = MediaFiles(tmp_path / "m", 10_000_000)
    digest = hashlib.sha256(PIXELS * 2).hexdigest()
    for keepers in ([], [files]):
        media.keepers.update(keepers)
        try:
            spoken = ChatContent()
            spoken.add(chunk)
            spoken.add(chunk)
            with kept_by(files):
                (message,) = spoken.messages() or []
        finally:
            media.keepers.clear()
        assert message["parts"][0]["sha256"] == digest
        assert worker.flush(5)
        assert set(_files(tmp_path / "m")) == ({digest} if keepers else set())


def test_the_caller_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written by the worker alone."""
    threads: list[str] = []
    write = media_files._write

    def noting(target: Path, raw: bytes) -> None:
        threads.append(threading.current_thread().name)
        write(target, raw)

    monkeypatch.setattr(media_files, "_write", noting)
    watched = Watched(ledger_content="all", ledger=str(tmp_path / "l.db"), media_files=True)
    try:
        with ScriptedServer() as server:
            ask(server)
        assert watched.records
    finally:
        watched.close()
    assert threads == ["spantally-worker"]


def test_files_have_a_bound_together(tmp_path: Path) -> None:
    """What is there counts, what would pass the bound is not kept, and smaller ones still are."""
    directory = tmp_path / "m"
    directory.mkdir(mode=0o700)
    (directory / "old").write_bytes(b"x" * 500)
    files = MediaFiles(directory, 1_000)
    with kept_by(files):
        for size in (400, 300, 80, 2_000):
            media.blob_of_bytes(b"\0" * size)
    assert worker.flush(5)
    assert sorted(map(len, _files(directory).values())) == [80, 400, 500]


def test_what_waits_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of media does not pile up in memory; what is left out then comes at the next need."""
    monkeypatch.setattr(media_files, "MOST_WAITING", 1_000)
    files = MediaFiles(tmp_path / "m", 1_000_000)
    with worker._drain_lock, kept_by(files):
        for number in range(5):
            media.blob_of_bytes(bytes([0, number]) * 300)
        assert files._waiting <= 1_000
    assert worker.flush(5)
    assert len(_files(tmp_path / "m")) == 1
    with kept_by(files):
        media.blob_of_bytes(bytes([0, 4]) * 300)
    assert worker.flush(5)
    assert len(_files(tmp_path / "m")) == 2


TEXT = "Das Passwort für Köln ist hunter2. " * 200


@pytest.mark.parametrize(
    "raw",
    [
        b"the password is hunter2",
        b'{"key": "value"}' * 900,
        "é".encode() * 5_000,
        *(TEXT.encode(name) for name in ("latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32")),
        *(TEXT[:21].encode(name) for name in ("latin-1", "utf-16-le", "utf-32-be")),
        "\ufeff密码是猎人二".encode("utf-16-be"),
    ],
)
def test_what_reads_as_text_is_not_kept(raw: bytes, tmp_path: Path) -> None:
    """Files are not redacted, so nothing that a rule could have read goes there."""
    files = MediaFiles(tmp_path / "m", 1_000_000)
    with kept_by(files):
        media.blob(base64.b64encode(raw).decode(), "text/plain")
    assert worker.flush(5)
    assert _files(tmp_path / "m") == {}


@pytest.mark.parametrize(
    "raw",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 4,
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01" + bytes(range(256)) * 4,
        b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0" + bytes(4_000),
        bytes([0, 1]) * 2_000,
        bytes([0, 65]) * 20 + bytes(range(256)),
        bytes(5_000),
    ],
)
def test_what_is_no_text_is_kept(raw: bytes, tmp_path: Path) -> None:
    """Formats of media are told from wide texts, though they hold zeros, too."""
    files = MediaFiles(tmp_path / "m", 1_000_000)
    with kept_by(files):
        media.blob_of_bytes(raw)
    assert worker.flush(5)
    assert list(_files(tmp_path / "m").values()) == [raw]


def test_few_bytes_of_no_type_tell_no_hash() -> None:
    """It would give a password away to whoever tries words."""
    assert media.blob_of_bytes(b"hunter2") == {
        "type": "blob",
        "modality": "document",
        "content": "",
        "size": 7,
    }
    assert "sha256" in media.blob_of_bytes(b"hunter2", "image/png")
    assert "sha256" in media.blob_of_bytes(b"x" * 64)


def test_a_pdf_is_kept_whatever_its_beginning(tmp_path: Path) -> None:
    """It begins like text and is none."""
    files = MediaFiles(tmp_path / "m", 1_000_000)
    with kept_by(files):
        media.blob_of_bytes(b"%PDF-1.7 all ascii", "application/pdf")
    assert worker.flush(5)
    assert list(_files(tmp_path / "m").values()) == [b"%PDF-1.7 all ascii"]


@pytest.mark.parametrize("trouble", ["a file in its place", "read-only parent", "disk full", "a link"])
def test_a_directory_that_cannot_be_written_costs_nobody_anything(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is answered, metered and exported; the failure is counted; no half file stays."""
    ledger = tmp_path / "l.db"
    directory = tmp_path / "l.db.media"
    elsewhere = tmp_path / "elsewhere"
    if trouble == "a file in its place":
        directory.write_text("mine")
    elif trouble == "a link":
        elsewhere.mkdir()
        directory.symlink_to(elsewhere)
    elif trouble == "read-only parent":
        monkeypatch.setattr(Path, "mkdir", _refuse)
    else:
        monkeypatch.setattr(os, "fdopen", _refuse)
    watched = Watched(capture_content="span_only", ledger=str(ledger), media_files=True)
    try:
        with ScriptedServer([Reply(text="a cat")]) as server:
            ask(server)
        (record,) = watched.records
        (span,) = watched.spans
        counted = [where for where, _ in guard.failures]
    finally:
        watched.close()
    assert record.status == "ok"
    assert DIGEST in attributes(span)["gen_ai.input.messages"]
    assert "calls.media_files" in counted
    if trouble == "a file in its place":
        assert directory.read_text() == "mine"
    elif trouble == "a link":
        assert _files(elsewhere) == {}
    else:
        assert _files(directory) == {}


def _refuse(*_: Any, **__: Any) -> None:
    raise OSError(28, "no space left")


def test_a_ledger_that_is_no_file_keeps_no_media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory there is no place beside it."""
    monkeypatch.chdir(tmp_path)
    for ledger in (":memory:", False):
        watched = Watched(ledger_content="all", ledger=ledger, media_files=True)
        try:
            with ScriptedServer() as server:
                ask(server)
            assert watched.records
        finally:
            watched.close()
    assert list(tmp_path.iterdir()) == []


def test_a_keeper_that_fails_costs_no_content() -> None:
    """The part is there without it."""

    class Failing:
        def offer(self, data: str | bytes, size: int, digest: str) -> None:
            raise RuntimeError("no")

    with kept_by(Failing()):
        assert media.blob_of_bytes(b"\0" * 64)["size"] == 64
    assert ("calls.media_offer", "RuntimeError") in guard.failures
    guard.reset()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Ab1", "aa", "+/9Zz", "0"]),
            st.sampled_from([1, 300, 1021, 1022, 1023, 1024, 1025, 2047, 2048, 2049, 3000]),
            st.sampled_from(["", "=", "==", "===", " ", " =", "\n", "é", ".", " and "]),
        ),
        max_size=6,
    )
)
def test_runs_of_base64_in_prose(parts: list[tuple[str, int, str]]) -> None:
    """Looking at one place in a thousand finds what a search for each run finds."""
    text = "so it says: " + "".join((letters * length)[:length] + end for letters, length, end in parts)

    def told(hit: re.Match[str]) -> str:
        found = hit[0]
        mixed = found.lower() != found != found.upper() and any(map(str.isdigit, found))
        blob = cast("dict[str, Any]", without_media(found)) if mixed else {}
        return f"[base64, {blob['size']} bytes, sha256 {blob['sha256']}]" if mixed else found

    expected = re.sub(r"[A-Za-z0-9+/]{1024,}={0,2}", told, text)
    assert without_media(text) == (expected if len(text) >= 1024 else text)
