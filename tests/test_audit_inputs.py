"""Auditing files, folders and stdin: text, OTLP JSON, gzip; places, bad input and exit codes."""

from __future__ import annotations

import base64
import gzip
import json
import os
import sqlite3
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from audit_kit import ANTHROPIC, GITHUB, OPENAI, PASSWORD, PEM, invoke, made, run, secretive, unspoiled
from ledger_kit import chat, session
from spantally.audit import Findings, InputError, audit_path
from spantally.redaction import Redactor

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def found(path: Path) -> Findings:
    """What an audit of a path finds."""
    findings = Findings(Redactor())
    audit_path(str(path), findings)
    return findings


def places(path: Path) -> list[tuple[str, str | None, str]]:
    """Place, key and rule of each finding."""
    return [(row.place, row.key, row.rule) for row in found(path).rows]


def request(**changes: Any) -> dict[str, Any]:
    """An export request with one span."""
    span: dict[str, Any] = {
        "traceId": TRACE,
        "spanId": SPAN,
        "parentSpanId": "00f067aa0ba902b7",
        "name": "chat gpt-4o",
        "startTimeUnixNano": "1793000000000000000",
        "attributes": [
            pair("gen_ai.request.model", "gpt-4o"),
            pair("gen_ai.response.id", "chatcmpl-9aB3xYz"),
        ],
        "status": {"code": 1},
        **changes,
    }
    resource = {"attributes": [pair("service.name", "shop")]}
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "x"}, "spans": [span]}]}]
    }


def pair(key: str, value: Any) -> dict[str, Any]:
    """An attribute; a text, or a value in OTLP's form."""
    return {"key": key, "value": {"stringValue": value} if isinstance(value, str) else value}


# -- text ---------------------------------------------------------------------------------------------


def test_text_is_told_by_line(tmp_path: Path) -> None:
    """File, line and type, the line that a secret begins on, also of one over several lines."""
    path = tmp_path / "app.log"
    path.write_text(f"start\nkey {GITHUB} used\n\nloading {PEM}\nok\nsecond {ANTHROPIC}\n")
    last = 4 + PEM.count("\n") + 2
    assert places(path) == [
        ("line 2", None, "github-token"),
        ("line 4", None, "private-key"),
        (f"line {last}", None, "anthropic-key"),
    ]
    result = invoke("audit", str(path))
    assert result.exit_code == 1
    assert f"{path}:2 " in result.stdout
    assert "3 secrets found" in result.stderr
    unspoiled(result.stdout, result.stderr)


def test_clean_text_ends_with_0(tmp_path: Path) -> None:
    """Nothing on stdout, and what was read on stderr."""
    path = tmp_path / "app.log"
    path.write_text("all is well\n" * 100)
    result = invoke("audit", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 file read: no secret found" in result.stderr
    assert json.loads(invoke("audit", "--json", str(path)).stdout) == []


def test_lines_without_end_need_no_memory(tmp_path: Path) -> None:
    """A line of twenty megabytes is read in pieces, and a secret far within is found."""
    path = tmp_path / "one-line.txt"
    with path.open("w") as file:
        for _ in range(200):
            file.write("lorem ipsum dolor sit amet " * 4000)
        file.write(f" and {GITHUB} ")
        file.write("consectetur adipisici elit " * 400)
    tracemalloc.start()
    try:
        findings = found(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [row.rule for row in findings.rows] == ["github-token"]
    assert most < 8_000_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    """UTF-8, UTF-16 with its mark, and bytes that are neither are read."""
    path = tmp_path / "app.log"
    path.write_bytes(f"Grüße\nkey {GITHUB}\n".encode(encoding))
    assert places(path) == [("line 2", None, "github-token")]


def test_gzip_is_unpacked_by_its_bytes(tmp_path: Path) -> None:
    """Packed text is read whatever its name is; a file that ends early is an error."""
    path = tmp_path / "app.log.1"
    packed = gzip.compress(f"a\nkey {GITHUB}\n{os.urandom(50_000).hex()}\n".encode())
    path.write_bytes(packed)
    assert places(path) == [("line 2", None, "github-token")]
    path.write_bytes(packed[:-2000])
    result = invoke("audit", str(path))
    assert result.exit_code == 2
    assert "ends early or is damaged" in result.stderr


def test_what_was_packed_twice_is_unpacked_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by logrotate over files that were packed already; what never ends is named, not read."""
    path = tmp_path / "app.log.1.gz"
    text = f"a\nkey {GITHUB}\n".encode()
    packed = gzip.compress(gzip.compress(text))
    path.write_bytes(packed)
    assert places(path) == [("line 2", None, "github-token")]
    done = subprocess.run(
        [sys.executable, "-m", "spantally", "audit", "-"], input=packed, capture_output=True, check=False
    )
    assert (done.returncode, b"github-token" in done.stdout) == (1, True), done.stderr
    noise = "".join(f"line {number} {os.urandom(20).hex()}\n" for number in range(3000)).encode()
    path.write_bytes(gzip.compress(gzip.compress(text + noise)[:-2000]))
    result = invoke("audit", str(path))
    assert (result.exit_code, "github-token" in result.stdout) == (2, True)
    assert "ends early or is damaged" in result.stderr
    monkeypatch.setattr("spantally.audit.inputs.MOST_WITHIN", 1 << 16)
    path.write_bytes(gzip.compress(gzip.compress(text + noise)))
    result = invoke("audit", str(path))
    assert (result.exit_code, "github-token" in result.stdout) == (2, True)
    assert "unpack it" in result.stderr
    path.write_bytes(packed)
    for _ in range(4):
        path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match="packed more than 4 times"):
        found(path)


def test_a_packed_ledger_is_told_as_one(tmp_path: Path) -> None:
    """A ledger is read as a file of its own only; what is said of a packed one says so."""
    made(tmp_path / "ledger.db", secretive())
    path = tmp_path / "ledger.db.gz"
    path.write_bytes(gzip.compress((tmp_path / "ledger.db").read_bytes()))
    with pytest.raises(InputError, match="is a packed database; if it is a ledger, unpack it"):
        found(path)


def test_tags_in_text_are_no_hits(tmp_path: Path) -> None:
    """What was redacted before is clean."""
    path = tmp_path / "app.log"
    path.write_text(Redactor().text(f"key {GITHUB}\npassword={PASSWORD}\n{PEM}\n"))
    assert "[REDACTED:" in path.read_text()
    assert places(path) == []


# -- folders ------------------------------------------------------------------------------------------


def test_folder_is_read_whole(tmp_path: Path) -> None:
    """Beneath a folder logs, packed logs, spans and ledgers are read; binary files are named as skipped."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a.log").write_text(f"key {GITHUB}\n")
    (tmp_path / "deep" / "b.log.gz").write_bytes(gzip.compress(f"\nkey {ANTHROPIC}\n".encode()))
    (tmp_path / "deep" / "er" / "spans.jsonl").write_text(json.dumps(request(name=f"GET {OPENAI}")) + "\n")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + os.urandom(64))
    made(tmp_path / "ledger.db", secretive())
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (x)")
    other.commit()
    other.close()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    result = invoke("audit", "--json", str(tmp_path))
    assert result.exit_code == 1
    rows = json.loads(result.stdout)
    sources = {Path(row["source"]).name for row in rows}
    assert sources == {"a.log", "b.log.gz", "spans.jsonl", "ledger.db"}
    for name, why in (
        ("image.png", "is binary"),
        ("other.db", "is a database"),
        ("pipe", "is no regular file"),
    ):
        assert f"{tmp_path / name} {why}" in result.stderr
    assert "4 files read" in result.stderr


def test_a_file_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    """The rest of a folder is read, the file is named, and the exit code is 2."""
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(os.urandom(5000))[:-100])
    (tmp_path / "b.log").write_text(f"key {GITHUB}\n")
    result = invoke("audit", str(tmp_path))
    assert result.exit_code == 2
    assert f"{tmp_path / 'a.log.gz'}: ends early or is damaged" in result.stderr
    assert "github-token" in result.stdout


def test_a_gzip_that_ends_early_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """A log that is being written has no end yet: what is in it counts, and so does that it is not whole."""
    path = tmp_path / "a.log.gz"
    lines = [f"line {number} {os.urandom(20).hex()}\n" for number in range(5000)]
    path.write_bytes(gzip.compress(f"key {GITHUB}\n{''.join(lines)}".encode())[:-1000])
    result = invoke("audit", str(path))
    assert result.exit_code == 2
    assert "ends early or is damaged" in result.stderr
    assert "github-token" in result.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="of POSIX shells")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("redact <&-", "nothing to read"),
        ("redact </dev/null >&-", "stdout is closed"),
        ("redact </etc/hostname >/dev/full", "No space left on device"),
        ("path >/dev/full", "No space left on device"),
        ("audit - <&-", "stdin is closed"),
    ],
)
def test_streams_that_are_closed_or_full_end_in_one_line(command: str, said: str) -> None:
    if "/dev/full" in command and not Path("/dev/full").exists():
        pytest.skip("no full device here")
    shell = f'exec "{sys.executable}" -m spantally.cli {command}'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_names_of_files_hold_secrets_too(tmp_path: Path) -> None:
    """A secret in the name of a file is found, and not printed."""
    (tmp_path / f"dump-{GITHUB}.log").write_text(f"key {ANTHROPIC}\n")
    result = invoke("audit", str(tmp_path))
    assert result.exit_code == 1
    assert "file name" in result.stdout
    unspoiled(result.stdout, result.stderr)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"\x7fELF\0\0\0\0", "is binary"),
        (b"\x1f\x8bnonsense", "ends early or is damaged"),
        (b"SQLite format 3\0" + b"\0" * 84, "is a database, and no ledger"),
    ],
)
def test_bad_input_is_said_and_ends_with_2(tmp_path: Path, content: bytes | None, words: str) -> None:
    """What is missing, binary, damaged or another's is named with its cause."""
    path = tmp_path / "input"
    if content is not None:
        path.write_bytes(content)
    result = invoke("audit", str(path))
    assert result.exit_code == 2
    assert str(path) in result.stderr
    assert words in result.stderr
    with pytest.raises(InputError, match=words):
        found(path)


# -- OTLP JSON ----------------------------------------------------------------------------------------


def test_spans_are_told_by_id_and_key(tmp_path: Path) -> None:
    """Every place of a span, by line, trace, span and attribute."""
    span = request(
        name=f"GET https://bob:{PASSWORD}@db/x",
        traceState=f"k={OPENAI}",
        attributes=[
            pair("api_key", "Zq8Lw2Xk9Vt4"),
            pair("prompt", f"My key: {ANTHROPIC}"),
            pair(f"header.{GITHUB}", "x"),
            pair("list", {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": GITHUB}]}}),
            pair(
                "map", {"kvlistValue": {"values": [pair("password", PASSWORD), pair("n", {"intValue": "7"})]}}
            ),
            pair("raw", {"bytesValue": base64.b64encode(f"key {ANTHROPIC}".encode()).decode()}),
            pair("password", {"intValue": "82736455"}),
        ],
        events=[{"name": "exception", "attributes": [pair("exception.message", f"bad {OPENAI}")]}],
        links=[{"traceId": TRACE, "spanId": "00f067aa0ba902b7", "attributes": [pair("why", GITHUB)]}],
        status={"code": 2, "message": f"bad {OPENAI}"},
    )
    span["resourceSpans"][0]["resource"]["attributes"].append(pair("process.command", f"x --token {GITHUB}"))
    path = tmp_path / "spans.jsonl"
    path.write_text(json.dumps(request()) + "\n" + json.dumps(span) + "\n")
    got = places(path)
    here = f"line 2 span {TRACE}/{SPAN}"
    keys = {key for place, key, _ in got if place == here}
    tag = next(key for key in keys if key and key.startswith("header."))
    assert keys == {
        "name",
        "traceState",
        "api_key",
        "prompt",
        tag,
        "list",
        "map.password",
        "raw",
        "password",
        "events[0].exception.message",
        "status.message",
    }
    assert tag.startswith("header.[REDACTED:github-token:")
    assert {(place, key) for place, key, _ in got if place != here} == {
        ("line 2", "resourceSpans[0].resource.process.command"),
        (f"line 2 span {TRACE}/00f067aa0ba902b7", "why"),
    }
    result = invoke("audit", str(path))
    assert f"{path}:2 span {TRACE}/{SPAN}" in result.stdout
    unspoiled(result.stdout, result.stderr)


def test_a_document_of_many_lines(tmp_path: Path) -> None:
    """OTLP JSON that is one indented document, packed, is read as one."""
    path = tmp_path / "spans.json.gz"
    document = json.dumps(request(attributes=[pair("password", PASSWORD)]), indent=2)
    path.write_bytes(gzip.compress(document.encode()))
    assert places(path) == [(f"line 1 span {TRACE}/{SPAN}", "password", "password")]


def test_logs_and_metrics(tmp_path: Path) -> None:
    """Bodies of log records and attributes of data points are walked as well, in snake case too."""
    logs = {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {"logRecords": [{"body": {"stringValue": f"k {GITHUB}"}, "traceId": "", "spanId": ""}]}
                ]
            }
        ]
    }
    point = {"attributes": [pair("user.password", PASSWORD)], "asInt": "1"}
    metrics = {"resource_metrics": [{"scope_metrics": [{"metrics": [{"sum": {"data_points": [point]}}]}]}]}
    path = tmp_path / "all.jsonl"
    path.write_text(json.dumps(logs) + "\n" + json.dumps(metrics) + "\n")
    assert [(place, rule) for place, _, rule in places(path)] == [
        ("line 1", "github-token"),
        ("line 2", "password"),
    ]


def test_what_is_no_json_is_read_as_text(tmp_path: Path) -> None:
    """A broken line, a line that was cut, and a broken document are text; their lines are told."""
    good = json.dumps(request())
    bad = json.dumps(request(name=f"x {GITHUB}"))
    path = tmp_path / "spans.jsonl"
    path.write_text(f"{good}\n{bad[:-3]}\n{good}\n{bad[:-1]}")
    assert [place for place, _, _ in places(path)] == ["line 2", "line 4"]
    path.write_text(json.dumps(request(name=f"x {GITHUB}"), indent=1)[:-2])
    ((place, _, rule),) = places(path)
    assert rule == "github-token"
    assert int(place.removeprefix("line ")) > 10


def test_clean_spans_with_ids_are_clean(tmp_path: Path) -> None:
    """Ids of traces, spans, responses and calls, and tags, are no secrets."""
    attributes = [
        pair("gen_ai.response.id", "chatcmpl-CZ3nVb8x7LmW2pR8sBn4HcJ6dFgA1"),
        pair("gen_ai.tool.call.id", "call_9aB3xYzQ7LmW2pR8sBn4HcJ6"),
        pair("spantally.call.id", "0198c5a2-1f3b-7abc-8def-0123456789ab"),
        pair("gen_ai.input.messages", Redactor().text(f"key {GITHUB}")),
        pair("gen_ai.usage.input_tokens", {"intValue": "1200"}),
    ]
    path = tmp_path / "spans.jsonl"
    path.write_text(json.dumps(request(attributes=attributes)) + "\n")
    assert places(path) == []


def test_secret_spread_over_strings_is_found(tmp_path: Path) -> None:
    """A value whose name stands in another string of the line is found by reading the line as text."""
    values = {"arrayValue": {"values": [{"stringValue": "--password"}, {"stringValue": PASSWORD}]}}
    listed = pair("argv", json.dumps(["--password", PASSWORD]))
    path = tmp_path / "spans.jsonl"
    path.write_text(json.dumps(request(attributes=[listed])) + "\n")
    assert [(key, rule) for _, key, rule in places(path)] == [("argv", "password")]
    path.write_text(
        json.dumps({**request(attributes=[pair("argv", values)]), "argv": ["--password", PASSWORD]})
    )
    assert ("line 1", None, "password") in places(path)


def test_nested_without_end(tmp_path: Path) -> None:
    """Values nested deeper than is walked are read as text."""
    value: Any = {"stringValue": GITHUB}
    for _ in range(150):
        value = {"arrayValue": {"values": [value]}}
    path = tmp_path / "spans.jsonl"
    path.write_text(json.dumps(request(attributes=[pair("deep", value)])) + "\n")
    assert {rule for _, _, rule in places(path)} == {"github-token"}


# -- stdin and the rest of the command -----------------------------------------------------------------


def test_stdin(tmp_path: Path) -> None:
    """Text, spans and packed text come through a pipe; nothing else does."""
    done = run("audit", "-", given=f"a\nkey {GITHUB}\n".encode())
    assert done.returncode == 1
    assert b"-:2" in done.stdout
    unspoiled(done.stdout, done.stderr)
    spans = json.dumps(request(attributes=[pair("password", PASSWORD)])).encode()
    for data in (spans, gzip.compress(spans)):
        done = run("audit", "--json", "-", given=data)
        assert (done.returncode, json.loads(done.stdout)[0]["key"]) == (1, "password")
    done = run("audit", "-", given=b"\x7fELF\0\0")
    assert (done.returncode, b"what comes from stdin is binary" in done.stderr) == (2, True)
    assert run("audit", "-", given=b"").returncode == 0


def test_limit_lists_fewer_and_counts_all(tmp_path: Path) -> None:
    """--limit shortens the list, not the counts; equal findings of one place are one row of the table."""
    path = tmp_path / "a.log"
    path.write_text(f"{GITHUB} {GITHUB}\n" + f"k {ANTHROPIC}\n" * 5)
    result = invoke("audit", "--limit", "2", str(path))
    assert "7 secrets found (5 anthropic-key, 2 github-token)" in result.stderr
    assert "5 more are not listed" in result.stderr
    assert len(result.stdout.splitlines()) == 2
    assert len(json.loads(invoke("audit", "--json", "--limit", "0", str(path)).stdout)) == 7


def test_several_paths(tmp_path: Path) -> None:
    """Each path is read; a bad one among them makes the code 2 and hides nothing."""
    path = tmp_path / "a.log"
    path.write_text(f"key {GITHUB}\n")
    ledger = made(tmp_path / "ledger.db", [session(), chat()])
    result = invoke("audit", str(ledger), str(path), str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "github-token" in result.stdout
    assert "2 files read" in result.stderr


def test_known_literals_are_found(tmp_path: Path) -> None:
    """A value of the environment whose name says that it is a secret is found, in other forms as well."""
    secret = "Vq8-Lw2 Xk9" + "!Vt4zz7Bn"
    path = tmp_path / "a.log"
    path.write_text(f"x {base64.b64encode(secret.encode()).decode()} y\n")
    assert run("audit", str(path)).returncode == 0
    done = run("audit", str(path), SHOP_API_KEY=secret)
    assert (done.returncode, b"literal" in done.stdout) == (1, True)


def test_output_is_plain_on_a_pipe(tmp_path: Path) -> None:
    """No escape sequence and no progress where nobody looks."""
    path = tmp_path / "a.log"
    path.write_text(f"key {GITHUB}\n" * 50)
    done = run("audit", str(path))
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stderr


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal one line of stderr tells how far it is, and is wiped at the end; NO_COLOR is kept to."""
    import pty
    import subprocess
    import sys

    path = tmp_path / "a.log"
    path.write_text(("a line of no interest\n" * 200_000) + f"key {GITHUB}\n")
    outer, inner = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "spantally.cli", "audit", str(path)],
        stdout=inner,
        stderr=inner,
        env={**os.environ, "NO_COLOR": "1", "TERM": "xterm"},
    )
    os.close(inner)
    seen = b""
    while True:
        try:
            part = os.read(outer, 65_536)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(outer)
    assert child.wait(timeout=60) == 1
    assert b" %)" in seen
    assert b"\r" in seen
    assert b"\x1b" not in seen
    assert b"github-token" in seen
