"""Content seen before: what is remembered equals what would be made anew, and holds no secret."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantally.calls import fragments, marks
from spantally.calls.fragments import Fragments, Kept
from spantally.calls.json_text import encode
from spantally.calls.payload import MESSAGES, Item, Listed, values_of
from spantally.calls.shorten import note
from spantally.calls.telemetry import PlainRedactor
from spantally.instrumentors.openai.wire import content
from spantally.instrumentors.openai.wire import operation as op
from spantally.redaction import ERROR_TAG, Redactor, register_literal
from spantally.redaction.registry import forget_literals

SECRET = "sk-proj-Zq8Xw3Vt6Ys1Ur4Pn9Mk2Lj7Hg5Fd0Sa"
LONGEST = 100_000

_texts = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from([SECRET, "password=hunter2made up", '"\\\n', "\ud83d", "é€😀", "token ", "Bearer "]),
    ),
    max_size=6,
).map(" ".join)
_messages = st.one_of(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]), "content": _texts}
    ),
    st.fixed_dictionaries(
        {
            "role": st.just("user"),
            "content": st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": _texts})),
        }
    ),
    st.fixed_dictionaries(
        {
            "role": st.just("assistant"),
            "content": st.none(),
            "tool_calls": st.lists(
                st.fixed_dictionaries(
                    {
                        "id": _texts,
                        "type": st.just("function"),
                        "function": st.fixed_dictionaries(
                            {
                                "name": _texts,
                                "arguments": st.one_of(
                                    _texts, st.just('{"password": "hunter2made", "n": [1, true, 1.0]}')
                                ),
                            }
                        ),
                    }
                ),
                max_size=2,
            ),
        }
    ),
    st.fixed_dictionaries({"role": _texts, "content": _texts, "name": _texts}),
)


@pytest.fixture(autouse=True)
def _no_literals() -> Iterator[None]:
    forget_literals()
    yield
    forget_literals()


_kept = Fragments()
_redactor = Redactor()


def _text_of(made: Fragments, redactor: Any, source: Any) -> str:
    """The way of a captured message."""
    maker = made.maker(redactor, LONGEST)
    plain = content.plain_message(op.CHAT, source)
    if plain is not None:
        return maker.spoken(*plain).text
    message = content.input_message(op.CHAT, source)
    assert message is not None
    return maker.message(message).text


@given(history=st.lists(_messages, max_size=5))
@settings(max_examples=150, deadline=None)
def test_what_is_remembered_equals_what_is_made_anew(history: list[dict[str, Any]]) -> None:
    """Once, twice and without any memory: the same JSON as of the redacted structure."""
    plain = content.input_messages(op.CHAT, {"messages": history})
    expected = [encode(_redactor.value(one)) for one in plain or ()]
    for _ in range(2):
        assert [_text_of(_kept, _redactor, one) for one in history] == expected
    assert all(SECRET not in text for text in expected)


@given(one=_messages, other=_messages)
@settings(max_examples=100, deadline=None)
def test_different_messages_have_different_fingerprints(one: Any, other: Any) -> None:
    """Values whose JSON differs are not taken for each other."""
    first, second = content.input_message(op.CHAT, one), content.input_message(op.CHAT, other)
    assert (marks.fingerprint(first) == marks.fingerprint(second)) == (encode(first) == encode(second))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (1, "1"),
        (0.0, -0.0),
        (None, "null"),
        ([], {}),
        (["a"], "a"),
        ({"a": "b"}, ["a", "b"]),
    ],
)
def test_values_that_python_takes_for_equal_stay_apart(one: Any, other: Any) -> None:
    """``1``, ``True`` and ``1.0`` are equal in Python and not in JSON."""
    assert marks.fingerprint({"x": one}) != marks.fingerprint({"x": other})
    assert marks.fingerprint({"x": one}) == marks.fingerprint({"x": one})


def test_a_new_literal_makes_what_was_kept_void() -> None:
    """A secret learned later is hidden in a message that was clean before."""
    made, redactor = Fragments(), Redactor()
    source = {"role": "user", "content": "the word is quokka-wombat-41"}
    assert "quokka" in _text_of(made, redactor, source)
    register_literal("quokka-wombat-41")
    assert "quokka" not in _text_of(made, redactor, source)


def test_a_secret_that_becomes_known_while_a_maker_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the redactor and the making: the maker is stale, so that all is made once more."""
    made, redactor = Fragments(), Redactor()
    source = {"role": "user", "content": "the word is quokka-wombat-42"}
    assert "quokka" in _text_of(made, redactor, source)
    revision = Redactor.revision.fget  # type: ignore[attr-defined]

    def learn_then(self: Redactor) -> Any:
        before = revision(self)
        register_literal("quokka-wombat-42")
        return before

    monkeypatch.setattr(Redactor, "revision", property(learn_then))
    maker = made.maker(redactor, LONGEST)
    monkeypatch.undo()
    assert maker.is_stale
    assert "quokka" not in _text_of(made, redactor, source)


def test_a_higher_limit_gets_more_of_a_text_seen_before() -> None:
    """Of a text that was too long only its beginning is remembered, and no longer so where more is wanted."""
    made, redactor = Fragments(), Redactor()
    text = "words " * 2_000
    short = made.maker(redactor, 1_000).spoken("user", text)
    assert short.size(100_000) < 2_000
    assert len(made.maker(redactor, 50_000).spoken("user", text).text) > len(text)
    assert made.maker(redactor, 1_000).spoken("user", text).size(100_000) < 2_000


def test_another_redactor_has_its_own() -> None:
    """What one redactor let pass is not another one's answer; nothing is kept for rules of the user."""
    made = Fragments()
    source = {"role": "user", "content": "the word is quokka"}
    assert "quokka" in _text_of(made, Redactor(), source)
    calls: list[str] = []

    def rule(key: str | None, value: str, where: str) -> str | None:
        calls.append(value)
        return value.replace("quokka", "x")

    own = Redactor([rule])
    assert "quokka" not in _text_of(made, own, source)
    assert "quokka" not in _text_of(made, own, source)
    assert calls.count("the word is quokka") == 2


def test_no_raw_secret_is_held() -> None:
    """Neither keys nor entries hold the text that was redacted; without redaction nothing is kept at all."""
    made = Fragments()
    password = "hunter2-made-up-bilby"
    sources: list[dict[str, Any]] = [
        {"role": "user", "content": f"password={password}"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "function": {"name": "f", "arguments": f'{{"password": "{password}"}}'}}
            ],
        },
    ]
    for source in sources:
        assert password not in _text_of(made, Redactor(), source)
        assert password in _text_of(made, PlainRedactor(), source)
    reached = _reachable(made)
    assert len(made) == 1
    assert any("REDACTED" in one for one in reached)
    assert all(password not in one for one in reached)


def _reachable(thing: Any) -> list[str]:
    """Every text that an object leads to."""
    seen: set[int] = set()
    found: list[str] = []
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type) or callable(one):
            continue
        seen.add(id(one))
        if isinstance(one, (str, bytes)):
            found.append(str(one))
        waiting.extend(gc.get_referents(one))
    return found


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries and characters have a limit, and what is used lately survives the change of generations."""
    monkeypatch.setattr(fragments, "MOST_ENTRIES", 10)
    monkeypatch.setattr(fragments, "MOST_CHARACTERS", 1_000)
    kept = Kept()
    for number in range(100):
        kept.put(number, Item(text="x" * 30), 30)
        kept.put("hot", Item(text="hot"), 3) if number == 0 else kept.get("hot")
        assert len(kept) <= 22
    assert kept.get("hot") is not None
    assert kept.get(0) is None
    kept.put("large", Item(text=""), fragments.LONGEST_KEPT + 1)
    assert kept.get("large") is None
    for number in range(100):
        kept.put(f"wide {number}", Item(text=""), 400)
        assert len(kept) <= 14


def test_of_a_huge_text_only_what_a_limit_may_need_is_kept() -> None:
    """It is redacted whole, remembered as its beginning, and still says how long it was."""
    made, redactor = Fragments(), Redactor()
    text = "word " * 200_000 + SECRET
    maker = made.maker(redactor, 1_000)
    first = maker.spoken("user", text)
    assert maker.spoken("user", text) is first
    assert sum(map(len, _reachable(made))) < 3_000
    assert redactor.counts.total() == 1
    items = Listed(MESSAGES, [first]).within(1_000)
    assert items is not None
    (message,) = values_of(items)
    cut = message["parts"][0]["content"]
    assert cut.endswith(note(len(redactor.text(text))))
    assert type(cut) is str


def test_threads_may_share_it() -> None:
    """Eight threads ask for the same and for other messages: each gets its own."""
    made, redactor = Fragments(), Redactor()
    wrong: list[str] = []

    def ask(thread: int) -> None:
        for number in range(300):
            text = f"message {number % 20 if number % 2 else number * 10 + thread}"
            if text not in _text_of(made, redactor, {"role": "user", "content": text}):
                wrong.append(text)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_under_a_known_hash_seed_another_hash_stands_for_texts() -> None:
    """Python's own text hash is used only where nobody outside can know its key."""
    code = "from spantally.calls import marks; print(type(marks.mark('x')).__name__)"
    kinds = {}
    for seed in ("0", "42", "random"):
        environ = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
        )
        kinds[seed] = done.stdout.strip()
    assert kinds == {"0": "bytes", "42": "bytes", "random": "tuple"}


def test_where_redaction_fails_the_shape_of_the_schema_stays() -> None:
    """A message, part or tool of which nothing may be shown is still one."""

    class Closed:
        def text(self, text: str, key: str | None = None) -> str:
            return ERROR_TAG

        def value(self, value: Any, key: str | None = None) -> Any:
            return ERROR_TAG

        def attributes(self, attributes: Any) -> dict[str, Any]:
            return {}

    maker = Fragments().maker(Closed(), LONGEST)
    failed = {"type": "text", "content": ERROR_TAG}
    assert maker.spoken("user", "x").value == {"role": "user", "parts": [failed]}
    assert maker.part({"type": "text", "content": "x"}).value == failed
    assert maker.tool({"type": "function", "name": "x"}).value == {"type": "function", "name": ERROR_TAG}
