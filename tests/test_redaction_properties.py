"""Properties of the engine on any input: it never raises, settles, stays small and stays fast."""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantally.redaction import ERROR_TAG, Redactor, table
from spantally.redaction.cache import Cache
from spantally.redaction.clock import SECONDS_PER_CHARACTER
from spantally.redaction.redactor import BUDGET_SECONDS

REDACTOR = Redactor()
LONGEST_TAG = 52

PIECES = st.sampled_from(
    [
        "password", "api_key", "token", "key", "Authorization", "Cookie", "secret", "sig", "pass", "=",
        ":", ": ", " ", "\n", '"', '\\"', '\\\\\\"', "'", "\\n", "&", "?", ";", ",", "|", "\t", "://",
        "@", "user", "/", "-----BEGIN ", "PRIVATE KEY-----", "-----END ", "Bearer ", "Basic ", "eyJ",
        "eyJhbGciOiJIUzI1NiJ9.", "a1B2c3D4e5F6g7H8i9J0", "QUJDRDEyMzRlZmdoSUpLTA==", "hunter2!", "sk-",
        "AKIA", "ghp_", "[REDACTED:", "[REDACTED:error]", "[REDACTED:password:01234567]", "]", "%3D",
        "%22", "is", "é", "\ud800", "İ", "\x00", "0", "a", "_", "-", ".", "{", "}", "(", "<",
        table.example(table.ROWS[0]), table.example(table.ROWS[40]), "-u a:b", "code=", "value",
        "api_key,\n1,", "INSERT INTO t (id, token) VALUES (1, '", "'), (2, ", ") VALUES (?, ?)", "', ('a', '",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join))


@settings(max_examples=600, deadline=None)
@given(text=TEXTS, key=st.none() | st.sampled_from(["password", "authorization", "session.id", "x"]))
def test_any_text_settles_without_failure(text: str, key: str | None) -> None:
    """No failure, a second redaction changes nothing, and the growth is bounded."""
    redactor = Redactor()
    once = redactor.text(text, key)
    assert redactor.failures == 0
    assert redactor.text(once, key) == once
    assert len(once) <= LONGEST_TAG * (len(text) / 3 + 1)


@settings(max_examples=150, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=50),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4) | st.tuples(inner, inner)
        ),
        max_leaves=15,
    )
)
def test_any_value_is_walked_without_failure(value: object) -> None:
    """No shape raises or fails."""
    redactor = Redactor()
    redactor.value(value)
    redactor.attributes({"a": value, "b": 1})
    assert redactor.failures == 0


REPEATED = [
    "a", "a_", "a-", " ", "\n", '"', "\\", '\\"', "é", "😀", "eyJ", "eyJ.", "eyJhbGci.", "://", "://a:b",
    "://a:bcd@", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "QUJDREVGR0hJSktMTU5PUFFS", "api_key=",
    "token=", "token: ", "key ", "pass ", "sk-", "sk-a1", "Bearer ", "Basic YTpi ", "authorization: x ",
    "cookie:", "a=b;", 'password="', "api_key,\n", "|key|\n", "[REDACTED:", "[REDACTED:error]",
    "token for a is ", "AKIA", "1-2_a.", "%3a%2f%2fa%3Ab", "code=", "İ", "insert into t (",
    "insert into t (key) values ('a'),", "('',", "into ",
]  # fmt: skip


@pytest.mark.parametrize("piece", REPEATED)
def test_hostile_repetition_is_linear(piece: str) -> None:
    """100 KB of anything are soon read, and four times as much takes four times as long, not sixteen."""
    text = (piece * (100_000 // len(piece) + 1))[:100_000]
    redactor = Redactor(budget_seconds=10)
    before = time.thread_time()
    redactor.text(text)
    spent = time.thread_time() - before
    assert redactor.failures == 0
    assert spent < 0.8
    before = time.thread_time()
    Redactor(budget_seconds=10).text(text * 4)
    assert (
        time.thread_time() - before < 10 * spent + 1.0
    )  # a collection of the whole process may fall into it


@pytest.mark.parametrize("piece", ["API_KEY=sk-abcd1234efgh5678\n", "%password|", "key (", "://a:bcd@"])
def test_the_time_of_a_value_is_bounded(piece: str) -> None:
    """A text that is nothing but work is given up when its time is over, and goes as a whole."""
    text = piece * (4_000_000 // len(piece))
    redactor = Redactor()
    before = time.thread_time()
    answer = redactor.text(text)
    assert time.thread_time() - before < 4 * (BUDGET_SECONDS + len(text) * SECONDS_PER_CHARACTER)
    assert answer == ERROR_TAG or "abcd1234" not in answer


def test_a_long_text_is_read_in_full() -> None:
    """Secrets at the beginning, in the middle and at the end of a long text all go."""
    secret = table.example(table.ROWS[0])
    filler = "some ordinary words of a long document. " * 5_000
    answer = REDACTOR.text(f"{secret} {filler} {secret} {filler} password={secret}")
    assert secret[:20] not in answer
    assert answer.count("[REDACTED:") == 3


def test_lower_case_keeps_every_place() -> None:
    """Characters whose lower case is longer do not shift what follows."""
    text = "İİİ password=Zebra8964! İ"
    assert REDACTOR.text(text).startswith("İİİ password=[REDACTED:password:")


def test_the_cache_holds_no_raw_text() -> None:
    """Nothing that the cache refers to contains the secret, and a repeated text gives the same answer."""
    redactor = Redactor()
    text = "words before the secret " * 10 + "password=Zebra8964!"
    first = redactor.text(text)
    assert redactor.text(text) == first
    held = [str(item) for part in gc.get_referents(redactor._cache) for item in [part]]
    assert held
    assert not any("Zebra" in item for item in held)


def test_the_cache_is_bounded() -> None:
    """Old entries go when there are too many."""
    cache = Cache()
    for number in range(20_000):
        cache.put(str(number).encode(), "x" * 100)
    assert len(cache) <= 4_096
    assert cache.get(b"19999") == (True, "x" * 100)
    assert cache.get(b"0") == (False, None)


def test_a_key_of_the_environment_makes_tags_comparable(tmp_path: Path) -> None:
    """Two processes with the same key write the same tag, with another one a different tag."""
    code = "from spantally.redaction.tags import tag; print(tag('password', 'x'))"

    def run(**environ: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": ":".join(sys.path), "XDG_DATA_HOME": str(tmp_path), **environ},
        )
        return done.stdout

    same = run(SPANTALLY_REDACTION_KEY="k")
    assert same == run(SPANTALLY_REDACTION_KEY="k")
    assert same != run(SPANTALLY_REDACTION_KEY="other")
    assert run() == run() != same
    assert ERROR_TAG not in same


def test_letters_beyond_ascii_after_basic_do_not_fail() -> None:
    """A case-blind pattern lets a dotted capital I through, which base64 refuses."""
    redactor = Redactor()
    assert redactor.text("BASIC 0000000\u0130") == "BASIC 0000000\u0130"
    assert redactor.failures == 0


def test_digits_of_a_tag_say_nothing_of_what_stands_beside_it() -> None:
    """Of some installations' keys they are noise, by which a harmless value was taken for a secret."""
    for number in range(60):
        digits = hashlib.sha256(str(number).encode()).hexdigest()[:8]
        text = f'{{"key": "header.[REDACTED:github-token:{digits}]", "n": 1}}'
        assert Redactor().text(text) == text
