"""`spantally ingest`: growing, rotated, packed, framed, damaged and overlong inputs, and stdin."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from otlp_files_kit import chat, lines, request, rows
from spantally.cli.main import cli
from spantally.exchange.inputs import Waiting
from spantally.otlp.source import Input


def line(number: int) -> bytes:
    """A request with one call."""
    return lines([request(chat(number))])


def ingest(ledger: Path, *paths: Path | str, data: bytes | None = None) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["--ledger", str(ledger), "ingest", *map(str, paths)], input=data)


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00"])
def test_half_a_character_loses_no_row(tmp_path: Path, half: str) -> None:
    """Exporters that cut texts by UTF-16 units leave half of a pair behind; whole pairs stay as they are."""
    said = {"gen_ai.agent.name": "é 😀", "user.id": "alice HALF", "gen_ai.response.model": "HALF😀HALF"}
    data = lines([request(chat(1, attributes=said))]).replace(b"HALF", half.encode())
    (tmp_path / "a.jsonl").write_bytes(data)
    result = ingest(tmp_path / "l.db", tmp_path / "a.jsonl")
    assert "set aside" not in result.stderr
    (row,) = rows(tmp_path / "l.db")
    assert (row["user_id"], row["response_model"]) == ("alice ?", "?😀?")


def joined(form: str) -> bytes:
    """Two requests in forms that tools make of them."""
    one, two = request(chat(1)), request(chat(2))
    small = [json.dumps(each).encode() for each in (one, two)]
    large = [json.dumps(each, indent=2).encode() for each in (one, two)]
    return {
        "joined without an end of line": b"".join(small),
        "pretty": b"\n".join(large),
        "pretty, joined without an end of line": b"".join(large),
        "pretty, one of them behind a mark": codecs.BOM_UTF8 + large[0] + large[1],
        "pretty, with something between": large[0] + b"\noops\n" + large[1],
        "lines, with the rest of a torn one": small[0] + b'{"resourceSp\n' + small[1] + b"\n",
        "lines in UTF-16": b"\n".join(small).decode().replace("\n", "\r\n").encode("utf-16"),
        "pretty in UTF-16": codecs.BOM_UTF16_BE + b"\n".join(large).decode().encode("utf-16-be"),
    }[form]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("joined without an end of line", 0),
        ("pretty", 0),
        ("pretty, joined without an end of line", 0),
        ("pretty, one of them behind a mark", 0),
        ("pretty, with something between", 1),
        ("lines, with the rest of a torn one", 1),
        ("lines in UTF-16", 0),
        ("pretty in UTF-16", 0),
    ],
)
def test_what_tools_make_of_requests_is_read(tmp_path: Path, form: str, code: int) -> None:
    """As ``jq .`` and ``cat`` join them, and ``>`` of a shell on Windows writes them; packed, too."""
    data = joined(form)
    (tmp_path / "a.json").write_bytes(data)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(gzip.compress(data)))  # twice, by two rotations
    result = ingest(tmp_path / "l.db", tmp_path / "a.json")
    assert (result.exit_code, "2 spans, 2 rows (2 new" in result.stderr) == (code, True), result.stderr
    assert f"{code} bad" in result.stderr or not code
    again = ingest(tmp_path / "l.db", tmp_path / "a.json.gz")
    assert (again.exit_code, "2 spans, 2 rows (0 new" in again.stderr) == (code, True), again.stderr


def test_scopes_by_their_name_before_2022_are_read(tmp_path: Path) -> None:
    """OTLP before 0.15 called them instrumentation libraries; some writers still do."""
    made = request(chat(1))
    (group,) = made["resourceSpans"]
    (scoped,) = group.pop("scopeSpans")
    scoped["instrumentationLibrary"] = {**scoped.pop("scope", {}), "name": "old.writer"}
    group["instrumentationLibrarySpans"] = [scoped]
    (tmp_path / "a.jsonl").write_bytes(lines([made]))
    result = ingest(tmp_path / "l.db", tmp_path / "a.jsonl")
    assert "1 line, 1 span, 1 row (1 new, 0 changed)" in result.stderr
    (row,) = rows(tmp_path / "l.db")
    assert (row["input_tokens"], row["scope_name"]) == (100, "old.writer")


@pytest.mark.parametrize("seconds", [1e300, -1.0, 4.6e18, float("inf"), float("nan"), 0.25])
def test_a_time_that_is_none_loses_no_row(tmp_path: Path, seconds: float) -> None:
    """A first chunk after more seconds than a row has room for is not told; the call is."""
    data = lines([request(chat(1, attributes={"gen_ai.response.time_to_first_chunk": seconds}))])
    (tmp_path / "a.jsonl").write_bytes(data)
    ingest(tmp_path / "l.db", tmp_path / "a.jsonl")
    (row,) = rows(tmp_path / "l.db")
    assert (row["input_tokens"], row["first_chunk_ns"]) == (100, 250_000_000 if seconds == 0.25 else None)


def test_what_is_written_right_before_a_rotation_is_read(tmp_path: Path) -> None:
    """A line that comes after the last read, and before the file is renamed, is not lost."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1))
    idled: list[int] = []

    def rotate() -> None:
        idled.append(1)
        if len(idled) == 1:
            with path.open("ab") as file:
                file.write(line(2))
            path.rename(tmp_path / "a-old.jsonl")
            path.write_bytes(line(3))

    reader = Waiting(path.open("rb", buffering=0), rotate, str(path))
    found = b"".join(reader.read(1 << 16) or b"" for _ in range(3))
    reader._stream.close()
    assert found == line(1) + line(2) + line(3)


def test_a_file_that_is_gone_between_two_rotations_is_waited_for(tmp_path: Path) -> None:
    """A name that is not there while the next file is opened ends nothing."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1))
    idled: list[int] = []

    class Vanishing(Waiting):
        def _is_replaced(self) -> bool:
            return len(idled) > 0

    def idle() -> None:
        idled.append(1)
        if len(idled) == 1:
            path.rename(tmp_path / "a-old.jsonl")
        else:
            path.write_bytes(line(2))

    reader = Vanishing(path.open("rb", buffering=0), idle, str(path))
    assert reader.read(1 << 16) == line(1)
    assert reader.read(1 << 16) == line(2)
    reader._stream.close()


@pytest.mark.slow
def test_a_followed_file_is_taken_in_as_it_grows_and_is_rotated(tmp_path: Path) -> None:
    """Rows are there soon after their line, across a rotation; SIGTERM ends it with exit code 0."""
    path, ledger = tmp_path / "a.jsonl", tmp_path / "l.db"
    path.write_bytes(line(1))
    command = [
        sys.executable,
        "-m",
        "spantally.cli",
        "--ledger",
        str(ledger),
        "ingest",
        "--follow",
        str(path),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            await_rows(ledger, 1)
            with path.open("ab") as file:
                file.write(line(2)[:30])
                file.flush()
                time.sleep(0.6)
                file.write(line(2)[30:])
            await_rows(ledger, 2)
            path.rename(tmp_path / "a-2026-11-26T10-00-00.000.jsonl")
            path.write_bytes(line(3))
            await_rows(ledger, 3)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert b"3 new" in said
    assert "(0 new, 0 changed)" in ingest(ledger, tmp_path / "*.jsonl").output


def await_rows(ledger: Path, count: int) -> None:
    """Until the ledger has so many rows."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if ledger.exists() and len(rows(ledger)) >= count:
                return
        except Exception:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the ledger never had {count} rows")


def test_stdin_is_read_to_its_end(tmp_path: Path) -> None:
    """A pipe gives its lines, also packed ones."""
    for name, data in (("plain", line(1) + line(2)), ("packed", gzip.compress(line(1) + line(2)))):
        ledger = tmp_path / f"{name}.db"
        command = [sys.executable, "-m", "spantally.cli", "--ledger", str(ledger), "ingest", "-"]
        done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert len(rows(ledger)) == 2


def framed(*messages: bytes) -> bytes:
    """Each behind its length."""
    return b"".join(struct.pack(">I", len(one)) + one for one in messages)


def protobuf(number: int) -> bytes:
    """A request with one call in protobuf."""
    import base64

    from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    made: dict[str, Any] = request(chat(number))
    one = made["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    for key in ("traceId", "spanId"):
        one[key] = base64.b64encode(bytes.fromhex(one[key])).decode()
    data: bytes = ParseDict(made, ExportTraceServiceRequest()).SerializeToString()
    return data


def test_framed_messages_are_read_as_json_and_as_protobuf(tmp_path: Path) -> None:
    """The same calls in either form, and as lines, are the same rows."""
    pytest.importorskip("opentelemetry.proto")
    (tmp_path / "lines.jsonl").write_bytes(line(1) + line(2))
    (tmp_path / "json.data").write_bytes(framed(line(1).strip(), line(2).strip()))
    (tmp_path / "proto.data").write_bytes(framed(protobuf(1), protobuf(2)))
    (tmp_path / "proto.data.gz").write_bytes(gzip.compress(framed(protobuf(1), protobuf(2))))
    assert "2 new" in ingest(tmp_path / "l.db", tmp_path / "lines.jsonl").output
    for name in ("json.data", "proto.data", "proto.data.gz"):
        result = ingest(tmp_path / "l.db", tmp_path / name)
        assert result.exit_code == 0, result.output
        assert "2 rows (0 new, 0 changed)" in result.output


def test_zstd_is_read_whole_and_message_by_message(tmp_path: Path) -> None:
    """A file that is packed as a whole, and framed messages that are each."""
    zstandard = pytest.importorskip("zstandard")
    pack = zstandard.ZstdCompressor().compress
    (tmp_path / "a.jsonl.zst").write_bytes(pack(line(1) + line(2)) + pack(line(3)))
    (tmp_path / "b.data").write_bytes(framed(pack(line(1)), pack(line(2)), pack(line(3))))
    assert "3 rows (3 new" in ingest(tmp_path / "l.db", tmp_path / "a.jsonl.zst").output
    assert "3 rows (0 new, 0 changed)" in ingest(tmp_path / "l.db", tmp_path / "b.data").output


def test_a_bad_message_among_framed_ones_has_its_number(tmp_path: Path) -> None:
    """What is neither JSON nor protobuf is told, and what follows is taken."""
    (tmp_path / "a.data").write_bytes(framed(line(1), b"{nonsense", line(2)))
    result = ingest(tmp_path / "l.db", tmp_path / "a.data")
    assert result.exit_code == 1
    assert "line 2:" in result.output
    assert len(rows(tmp_path / "l.db")) == 2


def noise(count: int) -> bytes:
    """Lines that do not pack to nothing, so that there is a middle to cut or damage."""
    chance = random.Random(1)
    return b"".join(
        lines([request(chat(number, trace=f"{chance.getrandbits(128):032x}"))]) for number in range(1, count)
    )


def test_a_packed_file_that_ends_early_is_unfinished_and_a_damaged_one_is_bad(tmp_path: Path) -> None:
    """The first may still be written (exit code 0), the second is a fault (1); each keeps what it has."""
    packed = gzip.compress(noise(3_000))
    (tmp_path / "short.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    result = ingest(tmp_path / "short.db", tmp_path / "short.jsonl.gz")
    assert result.exit_code == 0
    assert "the input ends early" in result.output
    assert rows(tmp_path / "short.db")
    (tmp_path / "hurt.jsonl.gz").write_bytes(packed[:-8] + b"\0\0\0\0" + packed[-4:])
    result = ingest(tmp_path / "hurt.db", tmp_path / "hurt.jsonl.gz")
    assert result.exit_code == 1
    assert "the input is damaged, nothing after" in result.output
    assert len(rows(tmp_path / "hurt.db")) > 1_000


def test_a_framed_file_says_whether_it_ends_early_or_is_damaged(tmp_path: Path) -> None:
    """A cut message is unfinished; a length that none can have is damage."""
    (tmp_path / "cut.data").write_bytes(framed(line(1), line(2))[:-5])
    result = ingest(tmp_path / "cut.db", tmp_path / "cut.data")
    assert (result.exit_code, len(rows(tmp_path / "cut.db"))) == (0, 1)
    (tmp_path / "hurt.data").write_bytes(framed(line(1)) + struct.pack(">I", 2**31) + line(2))
    result = ingest(tmp_path / "hurt.db", tmp_path / "hurt.data")
    assert (result.exit_code, len(rows(tmp_path / "hurt.db"))) == (1, 1)
    assert "2,147,483,648 bytes long" in result.output


def test_an_overlong_line_is_left_out_and_told(tmp_path: Path) -> None:
    """A line longer than is read has its number and size said; those around it are read."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1) + b'{"resourceSpans":"' + b"x" * 5_000 + b'"}\n' + line(2))
    with path.open("rb") as stream:
        batches = list(Input(stream, longest=2_000).batches())
    (told,) = [piece for batch in batches for piece in batch.unusable]
    assert (told.line, told.unfinished) == (2, False)
    assert told.message == "is 5,021 bytes long; at most 2,000 are read"
    assert sum(len(batch.spans) for batch in batches) == 2


def test_counts_written_as_doubles_are_counts(tmp_path: Path) -> None:
    """Whole doubles are tokens, as of languages that know no other number; a part of a token cannot be."""
    tokens = {"gen_ai.usage.input_tokens": 100.0, "gen_ai.usage.output_tokens": 10.0}
    broken = {"gen_ai.usage.input_tokens": 100.5}
    data = lines([request(chat(1), chat(2, attributes=tokens), chat(3, attributes=broken))])
    (tmp_path / "a.jsonl").write_bytes(data)
    assert ingest(tmp_path / "l.db", tmp_path / "a.jsonl").exit_code == 0
    plain, doubles, half = rows(tmp_path / "l.db")
    assert doubles["cost_nano_usd"] == plain["cost_nano_usd"] == 100 * 150 + 10 * 600
    assert (doubles["input_tokens"], doubles["cost_status"], half["cost_status"]) == (
        100,
        "priced",
        "bad_usage",
    )


def test_ids_of_nothing_but_zeros_are_none(tmp_path: Path) -> None:
    """Two spans without ids are not one call: each is told. A parent of zeros makes a root."""
    data = lines(
        [
            request(chat(0)),
            request(chat(0, trace="0" * 32)),
            request(chat(1, parentSpanId="0" * 16)),
            request(chat(2, parentSpanId="AAAAAAAAAAA=")),
        ]
    )
    (tmp_path / "a.jsonl").write_bytes(data)
    result = ingest(tmp_path / "l.db", tmp_path / "a.jsonl")
    assert result.exit_code == 1
    assert "line 2: span chat gpt-4o-mini cannot be read: it has no trace id or no span id" in result.output
    assert [row["parent_span_id"] for row in rows(tmp_path / "l.db")] == [None, None]


def test_a_clock_that_was_set_back_makes_no_negative_time(tmp_path: Path) -> None:
    """A span that ends before it began took no time."""
    data = lines([request(chat(1, endTimeUnixNano="1700000000000000000"))])
    (tmp_path / "a.jsonl").write_bytes(data)
    assert ingest(tmp_path / "l.db", tmp_path / "a.jsonl").exit_code == 0
    (row,) = rows(tmp_path / "l.db")
    assert row["end_ns"] == row["start_ns"]


def test_rotated_copies_that_overlap_count_each_call_once(tmp_path: Path) -> None:
    """Rotated, packed and current files that share lines, in any order, give each row once."""
    folder = tmp_path / "otel"
    folder.mkdir()
    (folder / "a-2026-11-26T10-00-00.000.jsonl").write_bytes(line(1) + line(2))
    (folder / "a-2026-11-26T11-00-00.000.jsonl.gz").write_bytes(gzip.compress(line(2) + line(3)))
    (folder / "a.jsonl").write_bytes(line(3) + line(4))
    assert "(4 new, 0 changed)" in ingest(tmp_path / "l.db", folder).output
    backwards = sorted(folder.iterdir(), key=os.fspath, reverse=True)
    assert "(4 new, 0 changed)" in ingest(tmp_path / "back.db", *backwards).output
    assert rows(tmp_path / "back.db") == rows(tmp_path / "l.db")
