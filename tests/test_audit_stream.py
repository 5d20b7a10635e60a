"""`spantally redact`: everything passes but secrets, however the input is cut, and without end."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit_kit import ANTHROPIC, BODY, GITHUB, OPENAI, PASSWORD, PEM, invoke, run, unspoiled
from spantally.audit import Findings, Sieve, redact_stream
from spantally.audit import sieve as sieve_module
from spantally.audit.hits import find_hits
from spantally.redaction import ERROR_TAG, Redactor

REDACTOR = Redactor(budget_seconds=5)
"""Nine thousand secrets in one text take half of the usual time on an idle machine; this is about cuts."""


def letters(count: int, seed: int) -> str:
    """Random letters and digits, the same for the same seed."""
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
    return "".join(random.Random(seed).choices(alphabet, k=count))


TABLE = "name,password,note\n" + "".join(f"u{row},{letters(14, row)},fine\n" for row in range(6000))
TEXT = (
    "an ordinary line of a log\n" * 40
    + f"{PEM}\nafter the key\n"
    + f'{{\n  "password":\n    "{PASSWORD}",\n  "user": "bob"\n}}\n'
    + f"Authorization: Bearer\n {letters(40, 1)}\n"
    + "ok\n" * 20
    + TABLE
    + f"the table ended\n{ANTHROPIC}\nplain\n"
    + f"x={GITHUB} " * 3000
    + f"\n{OPENAI} at the end"
)


def sifted(text: str, sizes: list[int], *, more: bool) -> str:
    """A text through a sieve in pieces of these sizes, over and over."""
    sieve = Sieve(REDACTOR)
    answer: list[str] = []
    at = turn = 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        answer.append(sieve.feed(text[at : at + size], more=more).text)
        at += size
        turn += 1
    answer.append(sieve.finish().text)
    return "".join(answer)


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("sizes", [[65_536], [1000, 1, 30_000, 7], [4096]])
def test_cuts_do_not_matter(sizes: list[int], more: bool) -> None:
    """However a text is cut into pieces, what comes out is what the whole gives."""
    assert sifted(TEXT, sizes, more=more) == REDACTOR.text(TEXT)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=8), st.booleans(), st.integers(0, 30))
def test_any_cut_of_a_dense_text(sizes: list[int], more: bool, shift: int) -> None:
    """A short text full of secrets that span lines comes out alike whatever the pieces are."""
    text = (
        "x" * shift
        + f'\n{PEM}\n{{"api_key":\n "{letters(24, 2)}"}}\n'
        + f"id,secret\n1,{letters(20, 3)}\n2,{letters(20, 4)}\n\nend"
    )
    assert sifted(text, sizes, more=more) == REDACTOR.text(text)


def test_line_that_never_ends_is_cut_where_nothing_is() -> None:
    """A line longer than a piece loses no secret at the cuts."""
    text = "".join(f"{letters(5, n)} {GITHUB if n % 97 == 0 else 'word'} " for n in range(60_000))
    answer = sifted(text, [65_536], more=True)
    assert GITHUB[8:20] not in answer
    assert answer.count("github-token") == text.count(GITHUB)


def test_secret_larger_than_what_is_held() -> None:
    """Of a secret of any size nothing passes, and memory stays bounded."""
    sieve = Sieve(REDACTOR)
    answer = [sieve.feed("a line\nkey sk-ant-" + "api03-" + letters(1000, 5), more=True).text]
    held = 0
    for seed in range(40):
        answer.append(sieve.feed(letters(20_000, seed), more=True).text)
        held = max(held, len(sieve._pending) + len(sieve._context))
    answer.append(sieve.feed("\nthe next line\n", more=True).text)
    answer.append(sieve.finish().text)
    text = "".join(answer)
    assert held < 300_000
    assert text.startswith("a line\nkey [REDACTED:")
    assert text.endswith("\nthe next line\n")
    rest = text.replace("a line\nkey ", "").replace("\nthe next line\n", "")
    assert len(rest) < 2000
    assert all(letters(20_000, seed)[500:530] not in text for seed in range(40))


def test_private_key_without_end() -> None:
    """A PEM block that never ends is hidden as far as it goes, and held only up to a bound."""
    sieve = Sieve(REDACTOR)
    lines = [letters(64, seed) for seed in range(8000)]
    answer = [sieve.feed("-----BEGIN PRIVATE " + "KEY-----\n", more=False).text]
    held = 0
    for line in lines:
        answer.append(sieve.feed(line + "\n", more=True).text)
        held = max(held, len(sieve._pending))
    answer.append(sieve.feed("that was all, really: the end.\n", more=False).text)
    answer.append(sieve.finish().text)
    text = "".join(answer)
    assert held < 300_000
    assert [line for line in lines if line in text] == []
    assert text.endswith("that was all, really: the end.\n")


def test_a_scan_that_fails_lets_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a rule raises, the text that was waiting goes whole; what follows is scanned anew."""

    def rule(_key: str | None, text: str, _where: str) -> str | None:
        if "boom" in text:
            raise ValueError(text)
        return None

    sieve = Sieve(Redactor([rule]))
    first = sieve.feed(f"fine {GITHUB}\nboom\n", more=False)
    second = sieve.feed("fine again\n", more=False)
    assert first.text == f"{ERROR_TAG}\n"
    assert [hit.rule for _, hit in first.hits] == ["error"]
    assert second.text == "fine again\n"


def test_places_of_hits() -> None:
    """Beginning and end of each replaced part, told from the answer alone, are exact."""
    text = f"a {GITHUB}\n{PEM}\nb [REDACTED:error] {ANTHROPIC}{PASSWORD} password={PASSWORD}\n"
    safe, hits = find_hits(REDACTOR, text)
    rebuilt, at = "", 0
    for hit in hits:
        rebuilt += text[at : hit.start] + safe[hit.safe_start : hit.safe_end]
        at = hit.end
    assert rebuilt + text[at:] == safe
    assert text[hits[0].start : hits[0].end] == GITHUB
    assert text[hits[1].start : hits[1].end] == PEM
    assert "error" not in {hit.rule for hit in hits}


def test_end_of_a_hit_is_told_by_its_digits() -> None:
    """Where what follows a secret also stands within it, the digits of its tag say which one is the end."""
    text = f"{PEM}\n{GITHUB}\n"
    _, hits = find_hits(REDACTOR, text)
    assert [text[hit.start : hit.end] for hit in hits] == [PEM, GITHUB]


# -- the command --------------------------------------------------------------------------------------


def test_filter() -> None:
    """Secrets become tags, all else passes byte for byte, and the exit code is 0."""
    clean = "Grüße\r\n".encode() + bytes(range(1, 256)) + b"\n\n\0 no end"
    done = run("redact", given=clean)
    assert (done.returncode, done.stdout, done.stderr) == (0, clean, b"")
    done = run("redact", given=clean + f" {GITHUB} password={PASSWORD}\n{PEM}\nend".encode())
    assert done.returncode == 0
    assert done.stdout.startswith(clean + b" [REDACTED:github-token:")
    assert done.stdout.endswith(b"]\nend")
    unspoiled(done.stdout)


def test_utf_16_is_filtered_too() -> None:
    """Text in UTF-16 comes out in UTF-16, with its mark."""
    done = run("redact", given=f"Grüße {GITHUB}\r\n".encode("utf-16"))
    text = done.stdout.decode("utf-16")
    assert text.startswith("Grüße [REDACTED:github-token:")
    assert text.endswith("]\r\n")
    assert done.stdout.startswith(b"\xff\xfe")


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_a_mark_that_is_none_hides_nothing(mark: bytes, tmp_path: Path) -> None:
    """Bytes that begin like UTF-16 and are not are read as what they are, and the rest passes as it came."""
    given = mark + b"\x01 raw " + f"{GITHUB} and password={PASSWORD} ".encode() + b"\xff\n"
    done = run("redact", given=given)
    assert done.stdout.startswith(mark + b"\x01 raw [REDACTED:github-token:")
    assert done.stdout.endswith(b" \xff\n")
    unspoiled(done.stdout)
    log = tmp_path / "odd.log"
    log.write_bytes(given)
    assert run("audit", str(log)).returncode == 1


def test_chinese_in_utf_16_stays_utf_16() -> None:
    """A character of which both bytes are letters is no sign of anything."""
    given = ("慢慢来。比较快。" * 2_000 + f"\n{GITHUB}\n").encode("utf-16")
    text = run("redact", given=given).stdout.decode("utf-16")
    assert text.startswith("慢慢来。比较快。" * 2_000 + "\n[REDACTED:github-token:")


def test_a_private_key_in_the_lines_of_a_log_line_by_line() -> None:
    """Each line comes by itself, behind the name of its container."""
    sieve = Sieve(Redactor())
    lines = [f"web_1  | {line}\n" for line in ("starting", *PEM.splitlines(), "started")]
    passed = "".join(sieve.feed(line, more=False).text for line in lines) + sieve.finish().text
    assert passed.startswith("web_1  | starting\n")
    assert passed.endswith("web_1  | started\n")
    assert all(line[:20] not in passed for line in PEM.splitlines()[1:-1])


def test_check_tells_by_the_exit_code() -> None:
    """--check ends with 1 if something was replaced; a tag that was there is nothing."""
    assert run("redact", "--check", given=b"clean\n").returncode == 0
    done = run("redact", "--check", given=f"key {GITHUB}\n".encode())
    assert done.returncode == 1
    assert run("redact", "--check", given=done.stdout).returncode == 0


def test_empty_input() -> None:
    """Nothing in, nothing out."""
    done = run("redact", "--check")
    assert (done.returncode, done.stdout) == (0, b"")


def test_lines_pass_as_they_come() -> None:
    """A log that is followed appears line by line, and a private key in it once it is whole."""
    with subprocess.Popen(
        [sys.executable, "-m", "spantally.cli", "redact"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as filter_:
        assert filter_.stdin is not None
        assert filter_.stdout is not None
        for line in (b"one\n", b"two\n"):
            filter_.stdin.write(line)
            filter_.stdin.flush()
            assert filter_.stdout.readline() == line
        half = len(PEM) // 2
        filter_.stdin.write(f"before\n{PEM[:half]}".encode())
        filter_.stdin.flush()
        assert filter_.stdout.readline() == b"before\n"
        filter_.stdin.write(f"{PEM[half:]}\nafter\n".encode())
        filter_.stdin.flush()
        assert filter_.stdout.readline().startswith(b"[REDACTED:private-key:")
        assert filter_.stdout.readline() == b"after\n"
        filter_.stdin.close()
        assert filter_.stdout.read() == b""
    assert filter_.returncode == 0


def test_reader_that_leaves_ends_it_quietly() -> None:
    """A pipe that breaks (| head) ends the filter without a word."""
    with subprocess.Popen(
        [sys.executable, "-m", "spantally.cli", "redact"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as filter_:
        assert filter_.stdin is not None
        assert filter_.stdout is not None
        assert filter_.stderr is not None
        filter_.stdin.write(b"one\n")
        filter_.stdin.flush()
        assert filter_.stdout.readline() == b"one\n"
        filter_.stdout.close()
        try:
            for _ in range(1000):
                filter_.stdin.write(b"more\n" * 1000)
                filter_.stdin.flush()
        except BrokenPipeError:
            pass
        try:
            filter_.stdin.close()
        except BrokenPipeError:
            pass
        assert filter_.stderr.read() == b""
    assert filter_.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_full_disk_is_told_in_a_line() -> None:
    """What cannot be written ends the filter with a message, not with a traceback."""
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "spantally.cli", "redact"],
            input=f"x {OPENAI}\n".encode(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert ended.returncode == 2
    assert (
        ended.stderr.decode().strip() == "spantally redact: No space left on device; the text is not complete"
    )


def test_memory_does_not_grow_with_the_input() -> None:
    """A stream much larger than what is held passes in bounded memory."""
    import tracemalloc

    read, write = os.pipe()
    block = (f"a line with {GITHUB} in it\n" + "and forty more without any of that\n" * 40).encode()
    findings = Findings(REDACTOR)
    passed = 0

    def count(data: bytes) -> None:
        nonlocal passed
        passed += len(data)

    import threading

    def fill() -> None:
        with os.fdopen(write, "wb") as sink:
            for _ in range(4000):
                sink.write(block)

    writer = threading.Thread(target=fill)
    writer.start()
    tracemalloc.start()
    try:
        redact_stream(read, count, findings)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        writer.join()
        os.close(read)
    assert findings.rules == {"github-token": 4000}
    assert passed > 4000 * (len(block) - 60)
    assert most < 8_000_000


def test_nothing_to_read_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the command says how it is used instead of waiting."""
    import io

    class Terminal(io.StringIO):
        """A terminal."""

        def isatty(self) -> bool:
            """It is."""
            return True

    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True, raising=False)
    result = invoke("redact")
    assert result.exit_code == 2
    assert "spantally redact < in > out" in result.stderr


def test_bounds_are_those_that_are_told() -> None:
    """The context covers what a rule may look at, and what is held more than a piece."""
    from spantally.redaction import engine

    assert sieve_module.CONTEXT >= 2 * engine.WINDOW
    assert sieve_module.HOLD >= engine.WINDOW
    assert sieve_module.MOST_HELD > sieve_module.PIECE


def test_speed_and_secret_free_errors(tmp_path: Path) -> None:
    """A megabyte of log passes within seconds even on a busy machine."""
    text = ("2026-11-26 12:00:00 INFO shop.tools handled request 4711 in 12 ms\n" * 16_000).encode()
    begun = time.monotonic()
    done = run("redact", given=text)
    assert done.stdout == text
    assert time.monotonic() - begun < 20
    assert BODY.encode() not in done.stderr
