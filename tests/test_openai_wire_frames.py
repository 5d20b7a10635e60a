"""Frames of a websocket: the type is told without parsing, and never a wrong one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spantally.instrumentors.openai.wire import frames

SOUND = "A" * 5000


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_audio.delta", "event_id": "e", "delta": SOUND},
        {"event_id": "e", "type": "response.output_audio.delta", "delta": SOUND},
        {"delta": SOUND, "event_id": "e", "type": "response.output_audio.delta"},
        {"item": {"type": "message", "content": [{"type": "text"}]}, "type": "response.output_audio.delta"},
        {"type": "response.output_audio.delta", "delta": '"type": "response.done"'},
        {"delta": '\\"type": "response.done"', "type": "response.output_audio.delta"},
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_type_is_found_wherever_it_stands(event: dict[str, Any], separators: tuple[str, str]) -> None:
    """First, after an id, last, and beside items that have types too."""
    frame = json.dumps(event, separators=separators).encode()
    assert frames.event_type(frame) == b"response.output_audio.delta"


@pytest.mark.parametrize(
    "event",
    [
        {"item": {"type": "message"}, "more": SOUND},
        {"delta": SOUND, "type": "response.created", "more": SOUND},
        {"types": "response.created"},
        {},
    ],
)
def test_what_is_not_told_is_left_to_parsing(event: dict[str, Any]) -> None:
    """A type in the middle of a large frame, or none at all, is nothing that is guessed."""
    assert frames.event_type(json.dumps(event).encode()) is None


_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=20) | st.just('"type":"response.done"'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(
    before=st.dictionaries(st.text(max_size=6).filter(lambda key: key != "type"), _JSON, max_size=3),
    after=st.dictionaries(st.text(max_size=6).filter(lambda key: key != "type"), _JSON, max_size=3),
)
def test_texts_that_look_like_a_type_are_none(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Whatever strings and keys surround it, what is told is the event's own type or nothing."""
    event = {**before, "type": "session.updated", **{k: v for k, v in after.items() if k not in before}}
    assert frames.event_type(json.dumps(event).encode()) in (b"session.updated", None)


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    """A frame of nonsense raises nothing."""
    frames.event_type(data)
    frames.response_id(data)
    frames.lane(data)


def test_ids_of_pieces() -> None:
    """Response and lane of a piece are found before or behind its payload."""
    head = {"type": "x.delta", "response_id": "resp_1", "stream_id": "lane-1", "delta": SOUND}
    tail = {"delta": SOUND, "type": "x.delta", "response_id": "resp_1", "stream_id": "lane-1"}
    for event in (head, tail):
        frame = json.dumps(event).encode()
        assert (frames.response_id(frame), frames.lane(frame)) == ("resp_1", "lane-1")
    assert frames.response_id(b'{"type":"x.delta"}') is None


@pytest.mark.parametrize("frame", ['{"a": 1}', b'{"a": 1}', bytearray(b'{"a": 1}'), memoryview(b'{"a": 1}')])
def test_frames_of_every_kind_have_bytes(frame: Any) -> None:
    """Text and every form of bytes."""
    assert frames.raw(frame) == b'{"a": 1}'
    assert frames.raw(17) is None


def test_fields_of_an_event_consume_nothing() -> None:
    """Iterators within an event are handed on as they are."""
    tools = iter([1, 2])
    assert frames.fields_of({"tools": tools})["tools"] is tools
    assert list(tools) == [1, 2]
    assert frames.fields_of(17) == {}
