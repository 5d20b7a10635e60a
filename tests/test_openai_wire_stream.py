"""The facts of streams, from the SDK's chunks, from JSON, and from streams that were cut off."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from openai._models import construct_type
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

from spantally.instrumentors.openai.wire import operation as op
from spantally.instrumentors.openai.wire.content import output_messages
from spantally.instrumentors.openai.wire.stream import StreamFacts, stream_error

BASE = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost": 0.5}


def _delta(index: int = 0, reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {**BASE, "choices": [{"index": index, "delta": delta, "finish_reason": reason}]}


def _call(index: int, arguments: str, call_id: str | None = None, name: str | None = None) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": arguments}
    call: dict[str, Any] = {"index": index, "function": function}
    if call_id is not None:
        call |= {"id": call_id, "type": "function"}
        function["name"] = name
    return call


CHUNKS: list[dict[str, Any]] = [
    {**BASE, "id": "", "model": "", "choices": [], "prompt_filter_results": []},
    _delta(role="assistant", content=""),
    _delta(content="Hel"),
    _delta(content="lo"),
    _delta(tool_calls=[_call(0, "", "c1", "search")]),
    _delta(tool_calls=[_call(0, '{"q":')]),
    _delta(tool_calls=[_call(0, ' "x"}')]),
    _delta(tool_calls=[_call(1, "{}", "c2", "grep"), _call(2, "", "c3", "find")]),
    {**_delta(reason="tool_calls"), "service_tier": "flex", "system_fingerprint": "fp"},
    {**BASE, "choices": [], "usage": USAGE},
]


def _feed(
    facts: StreamFacts, chunks: list[dict[str, Any]], form: str, kind: Any = ChatCompletionChunk
) -> None:
    for chunk in chunks:
        facts.observe(construct_type(type_=kind, value=chunk) if form == "sdk" else chunk)


@pytest.mark.parametrize("collect", [False, True])
@pytest.mark.parametrize("form", ["sdk", "json"])
def test_a_chat_stream_gives_the_facts_of_a_whole_response(form: str, collect: bool) -> None:
    """Identity from the first chunk that has it, calls by their first piece, usage from the last."""
    stream = StreamFacts(op.CHAT, collect=collect)
    _feed(stream, CHUNKS, form)
    facts = stream.facts()
    assert facts.response_id == "chatcmpl-1"
    assert facts.model == "gpt-4o"
    assert facts.finish_reasons == ("tool_call",)
    assert facts.usage == USAGE
    assert facts.service_tier == "flex"
    assert facts.system_fingerprint == "fp"
    assert facts.tool_calls == (("c1", "search"), ("c2", "grep"), ("c3", "find"))
    assert facts.error_type is None


@pytest.mark.parametrize("form", ["sdk", "json"])
def test_a_collecting_stream_joins_text_and_arguments(form: str) -> None:
    """The pieces become one text part and one part for each call, arguments parsed."""
    stream = StreamFacts(op.CHAT, collect=True)
    _feed(stream, CHUNKS, form)
    assert output_messages(op.CHAT, stream) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Hello"},
                {"type": "tool_call", "name": "search", "id": "c1", "arguments": {"q": "x"}},
                {"type": "tool_call", "name": "grep", "id": "c2", "arguments": {}},
                {"type": "tool_call", "name": "find", "id": "c3"},
            ],
        }
    ]


def _piece(arguments: Any, **more: Any) -> dict[str, Any]:
    name = more.pop("name", None)
    return {"function": {"arguments": arguments} | ({"name": name} if name else {}), **more}


ODD_CALLS: dict[str, list[list[dict[str, Any]]]] = {
    "no index": [
        [_piece('{"a":', id="c1", name="f")],
        [_piece("1}")],
        [_piece('{"b":2}', id="c2", name="g")],
    ],
    "no index, in one chunk": [[_piece('{"a":1}', id="c1", name="f"), _piece('{"b":2}', id="c2", name="g")]],
    "always the same index": [
        [_piece('{"a":1}', index=0, id="c1", name="f")],
        [_piece('{"b":2}', index=0, id="c2", name="g")],
    ],
    "an id for each piece": [
        [_piece("", index=0, id="c1", name="f")],
        [_piece('{"a":1}', index=0, id="made-up")],
        [_piece("", index=1, id="c2", name="g")],
        [_piece('{"b":2}', index=1, id="made-up-too")],
    ],
    "id and name in every piece": [
        [_piece('{"a"', index=0, id="c1", name="f")],
        [_piece(":1}", index=0, id="c1", name="f")],
        [_piece('{"b":2}', index=1, id="c2", name="g")],
    ],
    "empty ids and names": [
        [_piece('{"a"', index=0, id="c1", name="f")],
        [{"index": 0, "id": "", "function": {"name": "", "arguments": ":1}"}}],
        [_piece('{"b":2}', index=1, id="c2", name="g")],
    ],
    "arguments that are parsed": [
        [_piece({"a": 1}, index=0, id="c1", name="f")],
        [_piece({"b": 2}, index=1, id="c2", name="g")],
    ],
}


@pytest.mark.parametrize("form", ["sdk", "json"])
@pytest.mark.parametrize("case", ODD_CALLS)
def test_calls_are_told_apart_however_a_host_numbers_them(case: str, form: str) -> None:
    """Gemini numbers all of them 0, others none, and some make up an id for every piece."""
    stream = StreamFacts(op.CHAT, collect=True)
    _feed(stream, [*CHUNKS[:4], *(_delta(tool_calls=calls) for calls in ODD_CALLS[case])], form)
    content = stream.content()
    assert content is not None
    assert content[0]["parts"][1:] == [
        {"type": "tool_call", "name": "f", "id": "c1", "arguments": {"a": 1}},
        {"type": "tool_call", "name": "g", "id": "c2", "arguments": {"b": 2}},
    ]


@pytest.mark.parametrize("form", ["sdk", "json"])
def test_content_that_streams_in_parts_is_collected(form: str) -> None:
    """Mistral's models that think send lists until they have thought, and texts from then on."""
    stream = StreamFacts(op.CHAT, collect=True)
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    said = [{"type": "text", "text": "A"}]
    _feed(stream, [*CHUNKS[:2], _delta(content=thought), _delta(content=said), _delta(content="B")], form)
    content = stream.content()
    assert content is not None
    assert content[0]["parts"] == [
        {"type": "reasoning", "content": "hm"},
        {"type": "text", "content": "AB"},
    ]


def test_a_stream_that_does_not_collect_has_no_content() -> None:
    """Nothing is built that nobody wants."""
    stream = StreamFacts(op.CHAT)
    _feed(stream, CHUNKS, "sdk")
    assert stream.content() is None


@pytest.mark.parametrize("form", ["sdk", "json"])
def test_a_cut_off_stream_owes_an_error_for_each_choice(form: str) -> None:
    """A choice that was asked for and did not finish is reported, usage stays unknown."""
    stream = StreamFacts(op.CHAT, choices=3)
    _feed(stream, [_delta(content="a"), _delta(index=1, content="b"), _delta(index=1, reason="stop")], form)
    facts = stream.facts()
    assert facts.finish_reasons == ("error", "stop", "error")
    assert facts.usage is None
    assert StreamFacts(op.CHAT).facts().finish_reasons == ("error",)


def test_usage_that_grows_with_each_chunk_is_the_newest() -> None:
    """Some providers repeat it; what an early end leaves is what came last."""
    stream = StreamFacts(op.CHAT)
    for count in range(1, 8):
        _feed(stream, [{**_delta(content="x"), "usage": {**USAGE, "completion_tokens": count}}], "sdk")
    usage = stream.facts().usage
    assert usage is not None
    assert usage["completion_tokens"] == 7


def test_usage_one_level_down_is_found() -> None:
    """Groq's last chunk carries it under x_groq."""
    stream = StreamFacts(op.CHAT)
    _feed(stream, [*CHUNKS[:4], {**_delta(reason="stop"), "x_groq": {"id": "r", "usage": USAGE}}], "sdk")
    assert stream.facts().usage == USAGE


def test_without_tools_their_calls_are_not_searched_for_but_the_rest_is() -> None:
    """The request told that there can be none."""
    stream = StreamFacts(op.CHAT, tools=False)
    _feed(stream, [*CHUNKS[:4], _delta(reason="stop"), CHUNKS[-1]], "sdk")
    assert stream.facts().finish_reasons == ("stop",)
    assert stream.facts().usage == USAGE


def test_reasoning_and_refusal_are_collected_beside_plain_text() -> None:
    """Extras of compatible providers do not take the short way."""
    stream = StreamFacts(op.CHAT, collect=True)
    chunks = [_delta(content="a")] * 4 + [
        _delta(reasoning_content="hm "),
        _delta(content="b", reasoning_content="so"),
        _delta(content="c", refusal="no"),
        _delta(index=1, content="second"),
        _delta(index=1, content=" choice"),
    ]
    _feed(stream, chunks, "sdk")
    assert stream.content() == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm so"},
                {"type": "text", "content": "aaaabc"},
                {"type": "text", "content": "no"},
            ],
        },
        {"role": "assistant", "parts": [{"type": "text", "content": "second choice"}]},
    ]


def test_spoken_audio_becomes_size_hash_and_transcript() -> None:
    """No base64 is kept."""
    stream = StreamFacts(op.CHAT, collect=True)
    _feed(stream, [_delta(audio={"id": "a", "transcript": "he"}), _delta(audio={"data": "AAAA"})], "json")
    content = stream.content()
    assert content is not None
    (part,) = content[0]["parts"]
    assert part["type"] == "blob"
    assert part["modality"] == "audio"
    assert (part["content"], part["size"], part["transcript"]) == ("", 3, "he")
    assert part["sha256"] == "709e80c88487a2411e1ee4dfb9f22a861492d20c4765150c0c794abd70f8147c"


def test_no_chunk_is_kept() -> None:
    """A stream's facts hold no reference to what passed."""
    stream = StreamFacts(op.CHAT, collect=True)
    chunk = construct_type(type_=ChatCompletionChunk, value=_delta(content="x"))
    watched = weakref.ref(chunk)
    for _ in range(5):
        stream.observe(chunk)
    del chunk
    gc.collect()
    assert watched() is None


def test_text_completions_stream_too() -> None:
    """Their chunks have a text and no delta."""
    stream = StreamFacts(op.COMPLETIONS, collect=True)
    for piece, reason in (("a", None), ("b", "length")):
        stream.observe(
            {"id": "cmpl", "model": "m", "choices": [{"index": 0, "text": piece, "finish_reason": reason}]}
        )
    assert stream.facts().finish_reasons == ("length",)
    assert stream.content() == [{"role": "assistant", "parts": [{"type": "text", "content": "ab"}]}]


def test_an_error_chunk_of_chat_is_noted() -> None:
    """Gateways report a failure in the middle of a stream."""
    stream = StreamFacts(op.CHAT)
    _feed(stream, CHUNKS[:4], "json")
    stream.observe({"error": {"code": "overloaded", "message": "m"}})
    assert stream.error_type == "overloaded"
    assert stream.facts().error_type == "overloaded"


# -- Responses API ---------------------------------------------------------------------------------------

RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-5",
    "status": "in_progress",
    "output": [],
    "conversation": {"id": "conv_1"},
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
CALL_ITEM = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "f1",
    "name": "search",
    "arguments": '{"q": 1}',
}
RESPONSES_USAGE = {
    "input_tokens": 1,
    "output_tokens": 2,
    "total_tokens": 3,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}


def _event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "sequence_number": 1, **fields}


def _text(delta: str) -> dict[str, Any]:
    return _event(
        "response.output_text.delta", delta=delta, item_id="m", output_index=0, content_index=0, logprobs=[]
    )


EVENTS = [
    _event("response.created", response=RESPONSE),
    _text("Hel"),
    _text("lo"),
    _event("response.output_item.added", output_index=1, item={**CALL_ITEM, "arguments": ""}),
    _event("response.function_call_arguments.delta", delta='{"q":', item_id="fc_1", output_index=1),
]
END = [
    _event("response.output_item.done", output_index=1, item=CALL_ITEM),
    _event(
        "response.completed",
        response={**RESPONSE, "status": "completed", "output": [CALL_ITEM], "usage": RESPONSES_USAGE},
    ),
]


@pytest.mark.parametrize("form", ["sdk", "json"])
def test_a_responses_stream_ends_with_the_whole_response(form: str) -> None:
    """The last event carries usage, status and output."""
    stream = StreamFacts(op.RESPONSES)
    _feed(stream, EVENTS + END, form, ResponseStreamEvent)
    facts = stream.facts()
    assert facts.response_id == "resp_1"
    assert facts.model == "gpt-5"
    assert facts.finish_reasons == ("tool_call",)
    assert facts.usage == RESPONSES_USAGE
    assert facts.tool_calls == (("f1", "search"),)
    assert facts.conversation_id == "conv_1"
    assert facts.status == "completed"


@pytest.mark.parametrize("form", ["sdk", "json"])
def test_a_cut_off_responses_stream_keeps_what_it_told(form: str) -> None:
    """Identity and content pieces survive; the reason is an error."""
    stream = StreamFacts(op.RESPONSES, collect=True)
    _feed(stream, EVENTS, form, ResponseStreamEvent)
    facts = stream.facts()
    assert (facts.response_id, facts.model, facts.usage) == ("resp_1", "gpt-5", None)
    assert facts.finish_reasons == ("error",)
    assert facts.conversation_id == "conv_1"
    assert output_messages(op.RESPONSES, stream) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Hello"},
                {"type": "tool_call", "name": "search", "id": "f1", "arguments": '{"q":'},
            ],
        }
    ]


def test_the_whole_response_wins_over_its_pieces() -> None:
    """Nothing is told twice."""
    stream = StreamFacts(op.RESPONSES, collect=True)
    _feed(stream, EVENTS + END, "json")
    assert stream.content() == [
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "name": "search", "id": "f1", "arguments": {"q": 1}}],
        }
    ]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (_event("error", code="rate_limit_exceeded", message="m", param=None), "rate_limit_exceeded"),
        (_event("error", code=None, message="m", param=None), "_OTHER"),
        (
            _event(
                "response.failed",
                response={**RESPONSE, "status": "failed", "error": {"code": "server_error", "message": "m"}},
            ),
            "server_error",
        ),
        (_event("response.failed", response={**RESPONSE, "status": "failed"}), "_OTHER"),
    ],
)
@pytest.mark.parametrize("form", ["sdk", "json"])
def test_a_failed_responses_stream_has_an_error_type(event: dict[str, Any], error: str, form: str) -> None:
    """Both an error event and a failed response say so."""
    stream = StreamFacts(op.RESPONSES)
    _feed(stream, [EVENTS[0], event], form, ResponseStreamEvent)
    assert stream.error_type == error
    assert stream.facts().error_type == error
    assert stream.facts().finish_reasons == ("error",)
    assert stream_error(event) == error


def test_a_plain_chunk_is_no_error() -> None:
    """Neither a delta nor an event reports one."""
    assert stream_error(CHUNKS[2]) is None
    assert stream_error(EVENTS[1]) is None
    assert stream_error(None) is None
