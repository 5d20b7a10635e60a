"""Content within its limits: valid JSON of its schema, redaction tags whole, and told what is missing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spantally.calls.json_text import encode
from spantally.calls.limits import Limits
from spantally.calls.payload import (
    DOCUMENTS,
    MESSAGES,
    PARTS,
    TOOLS,
    Item,
    Kind,
    Listed,
    governed,
    shortened,
    text_of,
    values_of,
)
from spantally.calls.shorten import (
    DROPPED,
    LONGEST_TAG,
    OPENING,
    NoRoomError,
    before_tag,
    cut,
    cut_leaves,
    fit,
    note,
)
from spantally.conformance import PROFILES
from spantally.conformance.rules import shapes
from spantally.redaction import tags

TAG = "[REDACTED:bearer:0123abcd]"
TAGGED = re.compile(r"\[REDACTED:(?:error|[a-z][a-z0-9-]*:[0-9a-f]{8})\]")
NOTE = re.compile(r"…\[cut from (\d+) characters\]")
PROFILE = PROFILES["latest"]

_texts = st.lists(
    st.one_of(st.text(max_size=30), st.just(TAG), st.sampled_from(['"\\\n\x01', "é€😀", "word " * 40])),
    max_size=12,
).map("".join)
_json: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        _texts,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=12,
)
_parts = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "content": _texts}),
    st.fixed_dictionaries({"type": st.just("reasoning"), "content": _texts}),
    st.fixed_dictionaries({"type": st.just("tool_call"), "name": _texts, "id": _texts, "arguments": _json}),
    st.fixed_dictionaries({"type": st.just("tool_call_response"), "id": _texts, "response": _json}),
    st.fixed_dictionaries(
        {
            "type": st.just("server_tool_call"),
            "name": _texts,
            "server_tool_call": st.fixed_dictionaries({"type": _texts, "query": _json}),
        }
    ),
    st.fixed_dictionaries(
        {"type": st.just("blob"), "modality": st.just("image"), "content": st.just(""), "sha256": _texts}
    ),
    st.fixed_dictionaries({"type": st.just("uri"), "modality": st.just("image"), "uri": _texts}),
    st.fixed_dictionaries({"type": _texts.filter(lambda kind: kind not in shapes.PARTS), "more": _json}),
)
_messages = st.one_of(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool"]), "parts": st.lists(_parts, max_size=4)}
    ),
    st.fixed_dictionaries({"role": _texts, "parts": st.lists(_parts, max_size=2), "name": _texts}),
)
_tools = st.fixed_dictionaries(
    {"type": st.just("function"), "name": _texts, "description": _texts},
    optional={"parameters": st.dictionaries(st.text(max_size=5), _json, max_size=3)},
)
_rooms = st.integers(0, 900)


def _leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    return [leaf for one in value for leaf in _leaves(one)] if isinstance(value, list) else []


def _assert_honest(before: Any, after: Any) -> None:
    """Every text is one that was there, or the beginning of one with its true length, tags whole."""
    whole = _leaves(before)
    for leaf in _leaves(after):
        assert "[REDACTED:" not in TAGGED.sub("", leaf)
        if leaf in whole or leaf == DROPPED or re.fullmatch(r"\d+ tools", leaf):
            continue
        found = NOTE.search(leaf)
        assert found is not None, leaf
        assert found.end() == len(leaf)
        length = int(found[1])
        assert any(len(one) == length and one.startswith(leaf[: found.start()]) for one in whole), leaf


def _count(after: list[Any], what: str) -> int:
    """How many are said to be dropped, at the beginning of a list of messages or parts."""
    first: Any = after[0] if after else {}
    if what == "messages":
        first = (first.get("parts") or [{}])[0]
    count: int = first.get(what, 0) if first.get("type") == DROPPED else 0
    return count


def _parts_schema(value: Any, profile: Any) -> Iterator[str]:
    """What is wrong with parts of any type."""
    if all(isinstance(part, dict) and part["type"] not in shapes.PARTS.keys() - {"text"} for part in value):
        yield from shapes.system_instructions(value, profile)
    yield from shapes.input_messages([{"role": "user", "parts": value}], profile)


LISTS: list[tuple[str, Kind, st.SearchStrategy[Any], Callable[..., Any]]] = [
    ("messages", MESSAGES, _messages, shapes.input_messages),
    ("parts", PARTS, _parts, _parts_schema),
    ("tools", TOOLS, _tools, shapes.tool_definitions),
]


@given(scores=st.lists(st.floats(0, 1), max_size=8), title=_texts, room=_rooms)
@settings(max_examples=60, deadline=None)
def test_of_documents_the_best_stay(scores: list[float], title: str, room: int) -> None:
    """They come best first: what does not fit goes from the end, where its number stands."""
    values = [{"id": f"f_{n}", "score": score, "title": title} for n, score in enumerate(scores)]
    items = Listed(DOCUMENTS, [Item(value) for value in values]).within(room)
    if items is None:
        assert room < 2
        return
    text = text_of(items)
    assert len(text) <= room
    after = json.loads(text)
    assert list(shapes.retrieval_documents(after, PROFILE)) == []
    if len(encode(values)) <= room:
        assert after == values
    elif after:
        dropped = len(values) - (len(after) - 1)
        assert after == [*values[: len(after) - 1], {"type": DROPPED, "documents": dropped}]


@pytest.mark.parametrize(("what", "kind", "one", "schema"), LISTS, ids=[row[0] for row in LISTS])
@given(data=st.data(), room=_rooms)
@settings(max_examples=60, deadline=None)
def test_a_list_within_any_room_is_valid_and_honest(
    what: str,
    kind: Kind,
    one: st.SearchStrategy[Any],
    schema: Callable[..., Any],
    data: st.DataObject,
    room: int,
) -> None:
    """It fits, is JSON of its schema, cuts no tag, notes lengths, and counts what it dropped."""
    values = data.draw(st.lists(one, max_size=6))
    unseen = data.draw(st.integers(0, 3)) if values else 0
    listed = Listed(kind, [Item(value) for value in values], unseen)
    items = listed.within(room)
    if items is None:
        assert room < 2
        return
    text = text_of(items)
    assert len(text) <= room
    after = json.loads(text)
    assert after == values_of(items)
    assert list(schema(after, PROFILE)) == []
    _assert_honest(values, after)
    if len(encode(values)) <= room and not unseen:
        assert after == values
    elif after and what == "messages":
        assert _count(after, "messages") == len(values) + unseen - len(after)
        assert after[-1]["role"] == values[-1]["role"]


@given(value=_json, room=_rooms)
@settings(max_examples=100, deadline=None)
def test_a_value_within_any_room_keeps_its_kind(value: Any, room: int) -> None:
    """Arguments and results: valid JSON of the same kind that fits, or nothing."""
    after = shortened(value, room)
    if after is None:
        return
    assert type(after) is type(value)
    assert len(encode(after)) <= room
    assert json.loads(encode(after)) == after
    _assert_honest(value, after)


@given(text=_texts, room=_rooms)
def test_a_text_is_cut_before_a_tag_and_notes_its_length(text: str, room: int) -> None:
    """A plain text within any room keeps its tags whole and says how long it was."""
    after = cut(text, room)
    assert len(after) <= room
    assert "[REDACTED:" not in TAGGED.sub("", after)
    if len(text) > room >= len(note(len(text))):
        assert after.endswith(note(len(text)))


@given(place=st.integers(0, 60))
def test_no_place_within_a_tag_is_cut(place: int) -> None:
    """A cut inside a tag moves to its beginning; one at either end stays."""
    text = f"{'x' * 20}{TAG}{'y' * 20}"
    inside = 20 < place < 20 + len(TAG)
    assert before_tag(text, place) == (20 if inside else place)


def test_the_tag_that_is_looked_for_is_the_one_of_the_redaction() -> None:
    """The beginning of a tag is said twice in the sources, and is the same."""
    assert tags.OPENING == OPENING
    assert len(tags.tag("a" * 32, "secret")) <= LONGEST_TAG


def test_the_oldest_messages_go_first_and_the_newest_says_how_many() -> None:
    """A history over its limit keeps its end, led by the count."""
    history = [
        {"role": "user", "parts": [{"type": "text", "content": f"{n} " + "x" * 100}]} for n in range(9)
    ]
    items = Listed(MESSAGES, [Item(one) for one in history], 2).within(500)
    assert items is not None
    after = json.loads(text_of(items))
    assert [one["parts"][-1] for one in after] == [one["parts"][0] for one in history[-len(after) :]]
    assert after[0]["parts"][0] == {"type": DROPPED, "messages": 11 - len(after)}
    assert len(after) >= 2


def test_of_the_last_message_the_oldest_parts_go_before_a_text_is_cut() -> None:
    """Parts are dropped and counted; only the last one is cut, and it notes its length."""
    parts = [{"type": "text", "content": letter * 300} for letter in "abc"]
    items = Listed(MESSAGES, [Item({"role": "user", "parts": parts})]).within(300)
    assert items is not None
    (message,) = values_of(items)
    first, last = message["parts"]
    assert first == {"type": DROPPED, "parts": 2}
    assert last["content"].startswith("ccc")
    assert last["content"].endswith(note(300))


@pytest.mark.parametrize("value", [{}, [], {"a": 1}, ["x"], "xx", 12345])
def test_there_may_be_no_room_at_all(value: Any) -> None:
    """In one character nothing fits but a digit."""
    assert shortened(value, 1) is None
    assert shortened(value, 0) is None


def test_attributes_share_what_a_span_may_take() -> None:
    """A short attribute leaves its share to the long ones, and together they fit."""

    def listed(size: int) -> Listed:
        return Listed(PARTS, [Item({"type": "text", "content": "x" * size})])

    content = {"a": listed(100), "b": listed(5_000), "c": listed(5_000)}
    made = {key: text_of(items) for key, items in governed(content, Limits(4_000, 6_000)).items()}
    assert len(made["a"]) == 100 + len('[{"type":"text","content":""}]')
    assert 2_900 < len(made["b"]) == len(made["c"]) <= 3_000
    assert sum(map(len, made.values())) <= 6_000
    alone = governed({"b": listed(5_000)}, Limits(4_000, 6_000))
    assert 3_900 < len(text_of(alone["b"])) <= 4_000


def test_what_is_too_long_is_not_encoded_first() -> None:
    """A text of megabytes is cut before it is made into JSON, and costs no more than a short one."""
    text = "x" * 5_000_000
    made = fit({"type": "text", "content": text}, 1_000)
    assert made["content"].endswith(note(len(text)))
    assert Item({"type": "text", "content": text}).size(1_000) > 1_000


def test_hopeless_values_end_soon() -> None:
    """Nesting that fits nowhere is given up after a bounded number of steps."""
    value: Any = "x" * 50
    for _ in range(15):
        value = (
            {f"key {n}": value for n in range(3)} if isinstance(value, str) else {"a": value, "b": [value]}
        )
    began = time.thread_time()
    assert fit([value], 10) == []
    with pytest.raises(NoRoomError):
        fit({"content": value}, 20)
    assert shortened(value, 200) is not None
    assert time.thread_time() - began < 2


@given(value=_json, room=st.integers(1, 60))
def test_leaves_are_cut_one_by_one_for_structured_content(value: Any, room: int) -> None:
    """What an SDK would cut of each text is cut before, tags whole; what fits is the same object."""
    after = cut_leaves(value, room)
    assert all(len(leaf) <= room for leaf in _leaves(after))
    assert all("[REDACTED:" not in TAGGED.sub("", leaf) for leaf in _leaves(after))
    if all(len(leaf) <= room for leaf in _leaves(value)):
        assert after is value


@given(value=_json)
def test_encoded_values_are_json_that_can_be_carried(value: Any) -> None:
    """Whatever it holds, the text can be encoded as UTF-8 and read back."""
    assert json.loads(encode(value)) == value
    encode(value).encode("utf-8")


@pytest.mark.parametrize("engine", ["pydantic", "standard"])
def test_encoding_replaces_what_json_lacks(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lone surrogates, NaN and unknown objects have a form with either encoder."""
    if engine == "standard":
        monkeypatch.setitem(__import__("sys").modules, "pydantic_core", None)
    assert json.loads(encode({"a": "\ud83d", "b": [float("nan"), float("-inf")], "c": 2**80})) == {
        "a": "?",
        "b": [None, None],
        "c": 2**80,
    }
    assert json.loads(encode({"o": object})) == {"o": "type"}
