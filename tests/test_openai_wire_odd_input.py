"""Whatever a program sends or a server answers, reading it never raises and never changes it."""

from __future__ import annotations

import copy
import json
from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spantally.instrumentors.openai.wire import content, request, response
from spantally.instrumentors.openai.wire import operation as op
from spantally.instrumentors.openai.wire.stream import StreamFacts, stream_error
from spantally.instrumentors.stainless.wire import errors
from spantally.instrumentors.stainless.wire.fields import field, plain

OPERATIONS = [op.CHAT, op.RESPONSES, op.COMPLETIONS, op.EMBEDDINGS]


class Hostile:
    """Every attribute raises, and so does asking for its class, its truth, its length and its text."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __len__(self) -> int:
        raise RuntimeError("len")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        raise RuntimeError("str")

    __repr__ = __str__

    def __iter__(self) -> Any:
        raise RuntimeError("iter")


class HostileDict(dict[str, Any]):
    """A dict whose own methods raise."""

    def get(self, *args: Any) -> Any:
        raise RuntimeError("get")

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("getitem")

    def items(self) -> Any:
        raise RuntimeError("items")

    def __iter__(self) -> Any:
        raise RuntimeError("iter")


class HostileList(list[Any]):
    """A list that cannot be iterated."""

    def __iter__(self) -> Any:
        raise RuntimeError("iter")

    def __len__(self) -> int:
        raise RuntimeError("len")


@dataclass
class Trap:
    """Where a hostile value will stand; the generator of examples could not handle the value itself."""

    make: Callable[..., Any]
    inner: Any = None


def _armed(value: Any) -> Any:
    if isinstance(value, Trap):
        return value.make() if value.inner is None else value.make(_armed(value.inner))
    if isinstance(value, dict):
        return {name: _armed(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_armed(one) for one in value)
    return value


def _read_everything(body: Any) -> None:
    for operation in OPERATIONS:
        request.request_attributes(operation, body)
        request.newest_message_is_user(operation, body)
        request.tool_results(operation, body)
        request.tool_results(operation, body, latest=True)
        content.input_messages(operation, body)
        content.output_messages(operation, body)
        content.system_instructions(operation, body)
        facts = response.response_facts(operation, body)
        response.usage_attributes(operation, facts.usage)
        response.usage_attributes(operation, body)
        request.varying_attributes(operation, body)
        request.shape_of(operation, body)
        for collect in (False, True):
            stream = StreamFacts(operation, collect=collect)
            for _ in range(5):
                stream.observe(body)
            told = stream.facts()
            json.dumps([told.usage, told.tool_calls, told.finish_reasons])
            json.dumps(stream.content())
    request.request_model(body)
    request.expected_choices(body)
    content.tool_definitions(body, parameters=True)
    stream_error(body)
    errors.error_code(body)


NAMES = [
    "model",
    "messages",
    "input",
    "choices",
    "message",
    "delta",
    "usage",
    "error",
    "output",
    "tools",
    "stop",
    "n",
    "conversation",
    "response",
    "item",
    "type",
    "functions",
    "instructions",
    "prompt",
    "x_groq",
    "id",
    "status",
    "service_tier",
    "reasoning",
    "text",
    "response_format",
    "modalities",
]


@pytest.mark.parametrize("make", [Hostile, HostileDict, HostileList, lambda: [Hostile()], lambda: iter("ab")])
def test_a_hostile_value_harms_in_no_place(make: Callable[[], Any]) -> None:
    """As the body itself, under each key, and one level down."""
    _read_everything(make())
    for outer in NAMES:
        _read_everything({outer: make()})
        _read_everything({outer: [make()]})
        for inner in NAMES:
            _read_everything({outer: {inner: make()}})
            _read_everything({outer: [{inner: make()}]})


KEYS = st.sampled_from(
    [
        "id",
        "model",
        "messages",
        "input",
        "role",
        "content",
        "type",
        "text",
        "choices",
        "index",
        "delta",
        "message",
        "finish_reason",
        "usage",
        "tool_calls",
        "function",
        "custom",
        "name",
        "arguments",
        "call_id",
        "output",
        "status",
        "error",
        "code",
        "response",
        "item",
        "output_index",
        "summary",
        "image_url",
        "url",
        "input_audio",
        "data",
        "format",
        "file",
        "tools",
        "parameters",
        "stop",
        "n",
        "temperature",
        "reasoning",
        "conversation",
        "tool_call_id",
        "prompt_tokens",
        "prompt_tokens_details",
        "audio",
        "x_groq",
        "incomplete_details",
        "reason",
        "refusal",
    ]
)
WORDS = st.sampled_from(
    [
        "user",
        "assistant",
        "tool",
        "system",
        "developer",
        "function_call",
        "function_call_output",
        "message",
        "reasoning",
        "web_search_call",
        "response.created",
        "response.completed",
        "response.failed",
        "response.output_text.delta",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "error",
        "text",
        "image_url",
        "input_audio",
        "file",
        "output_text",
        "custom_tool_call",
        "mcp_call",
        "compaction",
        "namespace",
        "completed",
        "incomplete",
        "data:image/png;base64,AAAA",
    ]
)
LEAVES: st.SearchStrategy[Any] = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.just(object()),
    st.just("x\ud800"),
    st.builds(Trap, st.just(Hostile)),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.builds(Trap, st.sampled_from([HostileList, iter]), st.lists(inner, max_size=3)),
        st.dictionaries(KEYS, inner, max_size=6),
        st.builds(Trap, st.sampled_from([HostileDict, UserDict]), st.dictionaries(KEYS, inner, max_size=3)),
    ),
    max_leaves=25,
)
BODIES = st.one_of(st.dictionaries(KEYS, VALUES, max_size=8), VALUES)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BODIES)
def test_reading_any_body_never_raises(body: Any) -> None:
    """Objects that raise, iterators, numbers beyond any range, wrong types in every place."""
    _read_everything(_armed(body))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BODIES)
def test_reading_many_bodies_never_raises(body: Any) -> None:
    """The same at length."""
    _read_everything(_armed(body))


JSON = st.recursive(
    st.one_of(WORDS, st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, JSON, max_size=8))
def test_reading_changes_nothing(body: dict[str, Any]) -> None:
    """The body after reading equals the body before."""
    before = copy.deepcopy(body)
    _read_everything(body)
    assert body == before


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_a_plain_copy_of_json_equals_it(value: Any) -> None:
    """Nothing is lost that JSON can say."""
    assert plain(value) == value


@pytest.mark.parametrize("make", [list, dict])
def test_a_structure_that_holds_itself_ends(make: Callable[[], Any]) -> None:
    """Circles are cut at a depth, and width times depth at a number of nodes."""
    body: dict[str, Any] = {"messages": [], "model": "m"}
    if make is list:
        body["messages"] += [body["messages"]] * 5
    body["usage"] = body
    body["error"] = body
    body["tools"] = [{"type": "function", "function": {"name": "f", "parameters": [body] * 50}}]
    _read_everything(body)


def test_deeply_nested_arguments_stay_a_text() -> None:
    """What the parser refuses is kept as it was sent."""
    arguments = "[" * 60_000
    body = {
        "messages": [
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": arguments}}],
            }
        ]
    }
    messages = content.input_messages(op.CHAT, body)
    assert messages is not None
    assert messages[0]["parts"][0]["arguments"] == arguments


def test_fields_of_things_without_fields_are_none() -> None:
    """A text has no field called index, although it has a method of that name."""
    for thing in ("text", 5, None, [1], (1,), b"x", 1.5, True):
        assert field(thing, "index") is None
    assert field(Hostile(), "id") is None
    assert field(UserDict({"id": 1}), "id") == 1
