"""Values of any shape: walked, bounded, never changed in place."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import uuid
from collections import OrderedDict
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pytest

from spantally.redaction import ERROR_TAG, Redactor

KEY = "sk-proj-Zx81mQ4tLw9Bv72KpY3sA"
REDACTOR = Redactor()


class Pair(NamedTuple):
    """A named tuple."""

    a: str
    b: str


@dataclasses.dataclass
class Plain:
    """A dataclass with a secret field."""

    name: str
    api_key: str


@dataclasses.dataclass(slots=True)
class Slotted:
    """The same with slots."""

    name: str
    api_key: str


class Touchy:
    """An object whose own code must not be run."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        raise AssertionError("called")

    __repr__ = __str__


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, ("x", KEY)]},
        {KEY: 1},
        [KEY],
        (KEY,),
        {KEY},
        frozenset({KEY}),
        KEY.encode(),
        bytearray(KEY.encode()),
        [b"\xff " + KEY.encode()],
        OrderedDict(a={"b": {"c": KEY}}),
        Pair("x", KEY),
        Plain("x", "hunter2!"),
        Slotted("x", "hunter2!"),
        Touchy(KEY),
        {"api_keys": ["Zx81mQ4tLw9B", "v72KpY3sAq4t"]},
        {"password": 12345678},
        {b"password": "hunter2!"},
        ValueError(f"bad key {KEY}"),
        PurePosixPath(f"/tmp/{KEY}"),
        {"args": '{"password": "hunter2!"}'},
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_shape_hides_a_secret_and_the_input_is_left_alone(value: Any) -> None:
    """The answer holds no secret, and what was given is what it was."""
    before = copy.copy(value)
    held = str(before.__dict__ if isinstance(value, Touchy) else before)
    answer = REDACTOR.value(value)
    for secret in ("Zx81mQ4tLw9B", "v72KpY3sAq4t", "hunter2!", "12345678"):
        assert secret not in str(answer)
    assert "REDACTED" in str(answer)
    assert str(value.__dict__ if isinstance(value, Touchy) else value) == held


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, ("x", "y")], "b": {"c": {1.5, None}}},
        [],
        "text",
        b"\xff\x00",
        Plain("x", ""),
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        uuid.UUID(int=5),
        PurePosixPath("/tmp/x"),
        ValueError("plain"),
        12,
        None,
        True,
    ],
    ids=lambda value: type(value).__name__,
)
def test_without_a_secret_the_same_object_comes_back(value: Any) -> None:
    """No copy is made where nothing is hidden."""
    assert REDACTOR.value(value) is value


def test_bytes_that_are_no_text_keep_their_other_bytes() -> None:
    """Only the secret changes in bytes."""
    answer = REDACTOR.value(b"\xff\xfe " + KEY.encode() + b" \x80")
    assert answer.startswith(b"\xff\xfe [REDACTED:openai-key:")
    assert answer.endswith(b"] \x80")


def test_a_value_that_holds_itself_ends() -> None:
    """The inner reference is replaced, the rest stays."""
    value: dict[str, Any] = {"a": "b"}
    value["self"] = value
    assert REDACTOR.value(value) == {"a": "b", "self": ERROR_TAG}


def test_what_is_too_deep_or_too_large_is_replaced() -> None:
    """Beyond the bounds nothing passes unseen."""
    deep: Any = KEY
    for _ in range(5_000):
        deep = [deep]
    assert "Zx81" not in str(REDACTOR.value(deep))
    wide = REDACTOR.value([["x"] * 150_000, KEY])
    assert wide[0][0] == "x"
    assert wide[0][-1] == ERROR_TAG
    assert wide[1] == ERROR_TAG


def test_attributes_apply_the_policy_of_keys() -> None:
    """A telling key lets the whole value go; others are scanned; each value on its own."""
    given = {
        "http.request.header.authorization": ("Bearer abc",),
        "db.password": "abc",
        "tool.args.client_secret": "some words",
        "url.full": "https://u:hunter2!@h/",
        "gen_ai.input.messages": f'[{{"content": "use {KEY}"}}]',
        "n": 5,
        "flags": [True, False],
        "raw": KEY.encode(),
        "nested": {"x": {"apiKey": "abcdefgh"}},
        KEY: "in a key",
    }
    before = copy.deepcopy(given)
    answer = REDACTOR.attributes(given)
    assert given == before
    text = str(answer)
    for secret in ("Bearer abc", "some words", "hunter2!", "Zx81", "abcdefgh"):
        assert secret not in text
    assert answer["n"] == 5
    assert answer["flags"] == [True, False]
    assert answer["db.password"].startswith("[REDACTED:password:")
    assert "in a key" in answer.values()


def test_a_key_decides_over_text() -> None:
    """``redact(text, key)`` hides a value that nothing but its key gives away, and only once."""
    once = REDACTOR.text("plain words", "password")
    assert once.startswith("[REDACTED:password:")
    assert REDACTOR.text(once, "password") == once
    half = REDACTOR.text(f"Bearer {KEY}")
    assert REDACTOR.text(half, "authorization") == half


NOISE = "q8Zr2Lm0Pw4Xv6TnB"


@pytest.mark.parametrize(
    "value",
    [
        ["--password", NOISE],
        ("run", "--api-key", NOISE, "--verbose"),
        {"name": "password", "value": NOISE},
        {"value": NOISE, "key": "DB_PASSWORD"},
        [{"header": "X-Api-Key", "default": NOISE}],
        [["Authorization", f"Bearer {NOISE}"]],
    ],
)
def test_a_name_beside_a_value_speaks_for_it(value: object) -> None:
    """As arguments, pairs and objects that name their value have it; in whatever order."""
    assert NOISE not in repr(Redactor().value(value))


@pytest.mark.parametrize(
    "value",
    [
        ["password", "username", "email"],
        ["--max-tokens", "500"],
        {"name": "max_tokens", "value": "500"},
        {"name": "get_token", "content": "it is sunny"},
        {"[REDACTED:openai-key:b9575262]": "sunny", "header.[REDACTED:openai-key:12345678]": "sunny weather"},
    ],
)
def test_a_name_beside_plain_words_says_nothing(value: object) -> None:
    """Lists of names, counts, tools and tags in names."""
    assert Redactor().value(value) is value
