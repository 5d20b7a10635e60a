"""What a request says, as attributes in the types of the conventions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessage

from spantally.calls.tool_results import ToolResult
from spantally.instrumentors.openai.wire import operation as op
from spantally.instrumentors.openai.wire import request
from spantally.instrumentors.openai.wire.request import (
    expected_choices,
    may_be_kept,
    newest_message_is_user,
    newest_of,
    quick_shape,
    request_attributes,
    request_model,
    shape_of,
    tool_results,
    varying_attributes,
)


def test_a_full_chat_request_gives_every_attribute_in_its_type() -> None:
    """Doubles stay doubles, integers integers, one stop text becomes a list."""
    body = {
        "model": "gpt-4o",
        "messages": [],
        "stream": True,
        "max_tokens": 5,
        "max_completion_tokens": 7,
        "temperature": 1,
        "top_p": 0.5,
        "top_k": 40.0,
        "frequency_penalty": 0,
        "presence_penalty": -1,
        "seed": 42,
        "stop": "END",
        "n": 2,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {}},
        "service_tier": "flex",
        "unknown": object(),
    }
    found = request_attributes(op.CHAT, body)
    assert found == {
        "openai.api.type": "chat_completions",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 7,
        "gen_ai.request.temperature": 1.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.frequency_penalty": 0.0,
        "gen_ai.request.presence_penalty": -1.0,
        "gen_ai.request.seed": 42,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.output.type": "json",
        "openai.request.service_tier": "flex",
    }
    assert type(found["gen_ai.request.temperature"]) is float
    assert type(found["gen_ai.request.top_k"]) is int


@pytest.mark.parametrize("first", ["max_tokens", "max_completion_tokens"])
def test_the_newer_token_limit_wins_in_any_order(first: str) -> None:
    """Both may be sent; the order of keys decides nothing."""
    second = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[first]
    limits = {"max_tokens": 5, "max_completion_tokens": 7}
    found = request_attributes(op.CHAT, {first: limits[first], second: limits[second]})
    assert found["gen_ai.request.max_tokens"] == 7


def test_defaults_are_not_reported() -> None:
    """stream=False, n=1 and the automatic tier say nothing."""
    found = request_attributes(op.CHAT, {"stream": False, "n": 1, "service_tier": "auto", "stop": None})
    assert found == {"openai.api.type": "chat_completions"}


def test_a_responses_request_has_its_own_keys() -> None:
    """Reasoning, format, previous response and conversation are nested there."""
    body = {
        "model": "gpt-5",
        "input": "hi",
        "max_output_tokens": 9,
        "reasoning": {"effort": "high"},
        "text": {"format": {"type": "json_object"}},
        "previous_response_id": "resp_0",
        "conversation": {"id": "conv_1"},
    }
    assert request_attributes(op.RESPONSES, body) == {
        "openai.api.type": "responses",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.reasoning.level": "high",
        "gen_ai.output.type": "json",
        "gen_ai.request.previous_response.id": "resp_0",
        "gen_ai.conversation.id": "conv_1",
    }
    assert varying_attributes(op.RESPONSES, body) == {
        "gen_ai.request.previous_response.id": "resp_0",
        "gen_ai.conversation.id": "conv_1",
    }
    assert varying_attributes(op.RESPONSES, {"conversation": "conv_2"}) == {
        "gen_ai.conversation.id": "conv_2"
    }
    assert varying_attributes(op.RESPONSES, {"conversation": 3}) == {}


def test_audio_output_is_speech_and_plain_format_is_text() -> None:
    """The output type follows modalities before the format."""
    both = {"modalities": ["text", "audio"], "response_format": {"type": "text"}}
    assert request_attributes(op.CHAT, both)["gen_ai.output.type"] == "speech"
    assert request_attributes(op.CHAT, {"response_format": {"type": "text"}})["gen_ai.output.type"] == "text"


def test_an_embeddings_request_has_only_attributes_of_its_table() -> None:
    """Dimensions and encoding, and nothing of inference."""
    body = {"model": "e", "input": "x", "dimensions": 256, "encoding_format": "base64", "temperature": 1}
    assert request_attributes(op.EMBEDDINGS, body) == {
        "gen_ai.request.model": "e",
        "gen_ai.embeddings.dimension.count": 256,
        "gen_ai.request.encoding_formats": ("base64",),
    }


def test_odd_values_are_left_out() -> None:
    """A wrong type, a number that no exporter can encode, or a lone surrogate harms nothing."""
    body = {
        "model": ["x"],
        "temperature": "hot",
        "top_p": float("nan"),
        "seed": 1 << 70,
        "max_tokens": True,
        "top_k": 1.5,
        "stop": [1, "a", None],
        "n": "2",
        3: 4,
    }
    assert request_attributes(op.CHAT, body) == {
        "openai.api.type": "chat_completions",
        "gen_ai.request.stop_sequences": ("a",),
    }
    assert request_model({"model": "m\ud800"}) == "m?"


def test_a_body_that_is_an_object_is_read_by_its_fields() -> None:
    """Not every program passes a dict."""
    body = SimpleNamespace(model="m", temperature=0.5)
    assert request_attributes(op.CHAT, body)["gen_ai.request.temperature"] == 0.5
    assert request_attributes(op.CHAT, None) == {"openai.api.type": "chat_completions"}
    assert request_model(body) == "m"


def test_expected_choices_is_at_least_one_and_bounded() -> None:
    """A stream of n choices owes n finish reasons; a mad n allocates nothing."""
    assert expected_choices({"n": 3}) == 3
    assert expected_choices({}) == 1
    assert expected_choices({"n": -4}) == 1
    assert expected_choices({"n": 10**9}) == 1024


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        (op.CHAT, {"messages": [{"role": "user", "content": "x"}]}, True),
        (op.CHAT, {"messages": ({"role": "system"}, {"role": "user"})}, True),
        (op.CHAT, {"messages": [{"role": "user"}, {"role": "tool"}]}, False),
        (op.CHAT, {"messages": []}, False),
        (op.CHAT, {}, False),
        (op.RESPONSES, {"input": "x"}, True),
        (op.RESPONSES, {"input": [{"role": "user", "content": "x"}]}, True),
        (op.RESPONSES, {"input": [{"role": "user"}, {"type": "function_call_output"}]}, False),
        (op.COMPLETIONS, {"prompt": "x"}, True),
        (op.EMBEDDINGS, {"input": "x"}, False),
    ],
)
def test_a_turn_is_told_by_the_newest_message(operation: op.Operation, body: Any, expected: bool) -> None:
    """Only the last message counts."""
    assert newest_message_is_user(operation, body) is expected


_ROLES = st.sampled_from(["user", "assistant", "tool", "system", "developer", "", None, 7])
_MESSAGES = st.lists(
    st.one_of(
        st.builds(lambda role: {"role": role, "content": "x", "tool_call_id": "call_1"}, _ROLES),
        st.builds(lambda role: SimpleNamespace(role=role, content="x", tool_call_id="call_1"), _ROLES),
        st.just({"content": "no role"}),
        st.just("no message"),
    ),
    max_size=6,
)


@given(_MESSAGES, st.sampled_from([list, tuple]), st.sampled_from([op.CHAT, op.COMPLETIONS, op.RESPONSES]))
def test_the_one_look_at_the_messages_says_what_two_careful_ones_say(
    messages: list[Any], kind: Any, operation: op.Operation
) -> None:
    """Of the newest message exactly; of tools it may say that some ran where none did, never the reverse."""
    body = {"messages": kind(messages), "input": kind(messages)}
    is_users, tools_may_have_run = newest_of(operation, body)
    assert is_users is newest_message_is_user(operation, body)
    if not tools_may_have_run:
        assert tool_results(operation, body, latest=True) == []


def test_an_iterator_of_messages_is_not_touched() -> None:
    """Reading it would leave nothing for the request."""
    source = iter([{"role": "user", "content": "x"}])
    body = {"messages": source, "stop": iter("ab"), "tools": iter(())}
    request_attributes(op.CHAT, body)
    assert newest_message_is_user(op.CHAT, body) is False
    assert tool_results(op.CHAT, body) == []
    assert list(source) == [{"role": "user", "content": "x"}]
    assert list(body["stop"]) == ["a", "b"]


def _history() -> list[Any]:
    answer = ChatCompletionMessage.model_validate(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "search", "arguments": "{}"}},
                {"id": "c2", "type": "custom", "custom": {"name": "grep", "input": "x"}},
            ],
        }
    )
    return [
        {"role": "user", "content": "x"},
        answer,
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "y"}]},
        {"role": "tool", "tool_call_id": "c9", "content": "lost"},
        {"role": "tool", "content": "no id"},
    ]


def test_chat_tool_results_get_the_names_of_their_calls() -> None:
    """The assistant's message, here the SDK's own object, knows the names."""
    assert tool_results(op.CHAT, {"messages": _history()}) == [
        ToolResult("c1", "search", "found"),
        ToolResult("c2", "grep", [{"type": "text", "text": "y"}]),
        ToolResult("c9", None, "lost"),
    ]


def test_only_the_latest_tool_results_on_request() -> None:
    """Results before the model's newest message belong to earlier calls."""
    messages = [*_history(), {"role": "assistant", "content": "so"}, {"role": "user", "content": "?"}]
    assert len(tool_results(op.CHAT, {"messages": messages})) == 3
    assert tool_results(op.CHAT, {"messages": messages}, latest=True) == []
    assert len(tool_results(op.CHAT, {"messages": _history()}, latest=True)) == 3


def test_responses_tool_results_are_found_by_call_id() -> None:
    """Functions, custom tools and shells answer with items that end in _call_output."""
    items = [
        {"type": "function_call", "call_id": "f1", "name": "search", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "f1", "output": "found"},
        {"role": "assistant", "content": "hm"},
        {"type": "custom_tool_call", "call_id": "f2", "name": "grep", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "f2", "output": "y"},
        {"type": "function_call_output", "call_id": "f3", "output": "z"},
    ]
    assert tool_results(op.RESPONSES, {"input": items}) == [
        ToolResult("f1", "search", "found"),
        ToolResult("f2", "grep", "y"),
        ToolResult("f3", None, "z"),
    ]
    latest = tool_results(op.RESPONSES, {"input": items}, latest=True)
    assert [one.tool_call_id for one in latest] == ["f2", "f3"]


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([0.0, 1.0, 0.5, -0.0, float("nan")]),
    st.sampled_from(["", "low", "auto", "END", "1"]),
    st.lists(st.sampled_from(["a", "b", 1]), max_size=2),
    st.sampled_from([{"type": "json_schema"}, {"type": "text"}, {"effort": "low"}, {}]),
)
BODIES = st.dictionaries(
    st.sampled_from(
        [
            "model",
            "stream",
            "temperature",
            "seed",
            "n",
            "stop",
            "max_tokens",
            "max_completion_tokens",
            "reasoning_effort",
            "reasoning",
            "response_format",
            "modalities",
            "service_tier",
            "top_k",
            "tools",
        ]
    ),
    _VALUES,
    max_size=6,
)


def _shape_and_attributes(body: dict[str, Any]) -> tuple[Any, Any]:
    return shape_of(op.CHAT, body), request_attributes(op.CHAT, body, varying=False)


@given(left=BODIES, right=BODIES)
def test_requests_of_one_shape_say_the_same(left: dict[str, Any], right: dict[str, Any]) -> None:
    """Whenever two bodies have one shape, their attributes are equal in value and type."""
    (shape, said), (other, others) = _shape_and_attributes(left), _shape_and_attributes(right)
    if shape is not None and shape == other:
        assert said == others
        assert {key: type(value) for key, value in said.items()} == {
            key: type(value) for key, value in others.items()
        }
    quick = quick_shape(op.CHAT, left)
    if quick is not None and quick == quick_shape(op.CHAT, right):
        assert said == others
        assert shape == other
    repeated = _shape_and_attributes(dict(left))
    assert (shape, said) == repeated or shape != shape


def test_shape_holds_no_content() -> None:
    """Nothing of what a program says to the model stands in a shape, only settings."""
    secret = "sk-live-0123456789"
    bodies: tuple[tuple[op.Operation, dict[str, Any]], ...] = (
        (op.CHAT, {"model": "m", "messages": [{"role": "user", "content": secret}]}),
        (op.IMAGES, {"model": "m", "prompt": secret}),
        (op.SPEECH, {"model": "m", "input": secret}),
        (op.COMPLETIONS, {"model": "m", "prompt": secret}),
    )
    for operation, body in bodies:
        assert secret not in repr(shape_of(operation, body))
        assert secret not in repr(quick_shape(operation, body))


def test_settings_that_are_texts_are_not_kept() -> None:
    """What stands where a setting is expected may be anything: only what is short is kept."""
    usual = quick_shape(op.CHAT, {"model": "gpt-4o", "temperature": 0.5})
    assert usual is not None
    assert may_be_kept(usual)
    long = quick_shape(op.CHAT, {"model": "m" * 500})
    assert long is not None
    assert not may_be_kept(long)
    assert quick_shape(op.RESPONSES, {"model": "m", "prompt": {"id": "p"}}) is None
    assert quick_shape(op.CHAT, {"model": ["m"]}) is None
    assert quick_shape(op.CHAT, ("model", "m")) is None
    for _ in range(2):
        assert quick_shape(op.CHAT._replace(api="stored"), {"model": "m"}) is None


def test_keys_of_ever_other_requests_are_not_kept() -> None:
    """A program that sends other keys each time fills no memory."""
    for number in range(1000):
        assert quick_shape(op.CHAT, {"model": "m", f"key-{number}": 1}) is not None
    assert quick_shape(op.CHAT, {"model": "m", "k" * 5000: 1, 7: 8}) is not None
    assert len(request._asked) <= request._MOST_ASKED
    assert all(len(repr(keys)) < 3000 for keys in request._asked)
