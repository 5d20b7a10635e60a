"""Messages of both APIs as structured messages of the conventions, with media replaced."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from spantally.calls.media import measure, without_media
from spantally.instrumentors.openai.wire import operation as op
from spantally.instrumentors.openai.wire.content import (
    input_messages,
    output_messages,
    plain_answers,
    system_instructions,
    tool_definitions,
)
from spantally.instrumentors.openai.wire.response import response_facts
from spantally.instrumentors.openai.wire.stream_content import ChatContent

PIXELS = bytes(range(256)) * 8
PNG = base64.b64encode(PIXELS).decode()
DIGEST = hashlib.sha256(PIXELS).hexdigest()


def _parts(body: dict[str, Any], operation: op.Operation = op.CHAT) -> list[dict[str, Any]]:
    messages = input_messages(operation, body)
    assert messages is not None
    return [part for message in messages for part in message["parts"]]


def test_a_chat_history_becomes_messages_with_parts() -> None:
    """Roles in the conventions' words, calls parsed, results with their ids."""
    body = {
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "hi"}]},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                    {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{broken"}},
                    {"id": "c3", "type": "custom", "custom": {"name": "h", "input": "raw"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
            {"role": "assistant", "content": None, "refusal": "no"},
        ]
    }
    before = copy.deepcopy(body)
    assert input_messages(op.CHAT, body) == [
        {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
        {"role": "user", "parts": [{"type": "text", "content": "hi"}], "name": "ann"},
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "name": "f", "id": "c1", "arguments": {"a": 1}},
                {"type": "tool_call", "name": "g", "id": "c2", "arguments": "{broken"},
                {"type": "tool_call", "name": "h", "id": "c3", "arguments": "raw"},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "one", "id": "c1"}]},
        {
            "role": "tool",
            "parts": [
                {"type": "tool_call_response", "response": [{"type": "text", "content": "two"}], "id": "c2"}
            ],
        },
        {"role": "assistant", "parts": [{"type": "text", "content": "no"}]},
    ]
    assert body == before


@pytest.mark.parametrize(
    ("part", "modality", "mime"),
    [
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}, "image", "image/png"),
        ({"type": "image_url", "image_url": f"data:;base64,{PNG}"}, "image", None),
        ({"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}, "audio", "audio/wav"),
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}"}},
            "document",
            "application/pdf",
        ),
        ({"type": "file", "file": {"file_data": PNG}}, "document", None),
        ({"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{PNG}"}}, "video", "video/mp4"),
    ],
)
def test_inline_media_becomes_type_size_and_hash(
    part: dict[str, Any], modality: str, mime: str | None
) -> None:
    """A blob of the schema with empty content, and no base64 anywhere."""
    (found,) = _parts({"messages": [{"role": "user", "content": [part]}]})
    assert found["type"] == "blob"
    assert found["modality"] == modality
    assert found.get("mime_type") == mime
    assert (found["content"], found["size"], found["sha256"]) == ("", len(PIXELS), DIGEST)
    assert PNG[:40] not in json.dumps(found)


def test_linked_and_uploaded_media_keep_their_reference() -> None:
    """A URL is a uri part, a file id a file part."""
    content = [
        {"type": "image_url", "image_url": {"url": "https://h.example/a.png"}},
        {"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}},
    ]
    assert _parts({"messages": [{"role": "user", "content": content}]}) == [
        {"type": "uri", "modality": "image", "uri": "https://h.example/a.png"},
        {"type": "file", "modality": "document", "file_id": "file-1", "filename": "a.pdf"},
    ]


def test_a_responses_input_becomes_messages() -> None:
    """Items of every sort, with and without a type."""
    items = [
        {"role": "user", "content": "hi"},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "t"}]},
        {
            "type": "reasoning",
            "id": "r",
            "summary": [{"type": "summary_text", "text": "s"}],
            "encrypted_content": "XX",
        },
        {"type": "function_call", "call_id": "f1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "f1", "output": "done"},
        {
            "type": "web_search_call",
            "id": "w",
            "status": "completed",
            "action": {"type": "search", "query": "q"},
        },
        {"type": "mcp_call", "id": "m", "name": "t", "server_label": "s", "arguments": "{}", "output": "o"},
        {"type": "item_reference", "id": "i"},
        {"type": "compaction", "id": "cmp", "encrypted_content": "XX"},
    ]
    messages = input_messages(op.RESPONSES, {"input": items})
    assert messages == [
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
        {"role": "system", "parts": [{"type": "text", "content": "t"}]},
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "s"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "name": "f", "id": "f1", "arguments": {"a": 1}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "done", "id": "f1"}]},
        {
            "role": "assistant",
            "parts": [
                {
                    "type": "server_tool_call",
                    "name": "web_search",
                    "server_tool_call": {"type": "web_search", "action": {"type": "search", "query": "q"}},
                    "id": "w",
                }
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {
                    "type": "server_tool_call",
                    "name": "t",
                    "server_tool_call": {"type": "mcp", "server_label": "s", "arguments": {}},
                    "id": "m",
                },
                {
                    "type": "server_tool_call_response",
                    "server_tool_call_response": {"type": "mcp", "output": "o"},
                    "id": "m",
                },
            ],
        },
        {"role": "assistant", "parts": [{"type": "item_reference", "id": "i"}]},
        {"role": "assistant", "parts": [{"type": "compaction", "id": "cmp"}]},
    ]
    assert input_messages(op.RESPONSES, {"input": "hi"}) == [messages[0]]


def test_instructions_are_apart_from_messages_in_the_responses_api_only() -> None:
    """The system message of a chat stays in its place in the history."""
    assert system_instructions(op.RESPONSES, {"instructions": "be"}) == [{"type": "text", "content": "be"}]
    assert system_instructions(op.RESPONSES, {}) is None
    assert system_instructions(op.CHAT, {"instructions": "be"}) is None


@pytest.mark.parametrize("form", ["json", "sdk"])
def test_a_chat_completion_gives_one_message_a_choice(form: str) -> None:
    """From JSON and from the SDK's object."""
    body: Any = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}},
            {
                "index": 1,
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": None,
                    "audio": {"id": "au", "data": PNG, "expires_at": 1, "transcript": "hey"},
                },
            },
        ],
    }
    if form == "sdk":
        body = ChatCompletion.model_validate(body)
    assert output_messages(op.CHAT, body) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "a"}]},
        {
            "role": "assistant",
            "parts": [
                {
                    "type": "blob",
                    "modality": "audio",
                    "content": "",
                    "size": len(PIXELS),
                    "sha256": DIGEST,
                    "transcript": "hey",
                }
            ],
        },
    ]


@pytest.mark.parametrize("extra", [{}, {"refusal": "no"}], ids=["plain", "more"])
@pytest.mark.parametrize("form", ["json", "sdk"])
def test_choices_are_told_by_their_index(form: str, extra: dict[str, Any]) -> None:
    """As their finish reasons are, in whatever order they came."""
    said_b = {"role": "assistant", "content": "b"}
    body: Any = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 1, "finish_reason": "length", "message": {**said_b, **extra}},
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}},
        ],
    }
    if form == "sdk":
        body = ChatCompletion.model_validate(body)
    assert response_facts(op.CHAT, body).finish_reasons == ("stop", "length")
    said = output_messages(op.CHAT, body)
    assert said is not None
    assert [message["parts"][0]["content"] for message in said] == ["a", "b"]
    assert plain_answers(op.CHAT, body) == (["a", "b"] if form == "json" and not extra else None)
    texts = {"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}]}
    said = output_messages(op.COMPLETIONS, texts)
    assert said is not None
    assert [message["parts"][0]["content"] for message in said] == ["a", "b"]


def test_images_beside_an_answer_are_parts_of_it() -> None:
    """As OpenRouter sends what a model drew, whole and streamed."""
    drawn = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]
    expected = {
        "type": "blob",
        "modality": "image",
        "content": "",
        "mime_type": "image/png",
        "size": len(PIXELS),
        "sha256": DIGEST,
    }
    message = {"role": "assistant", "content": "look", "images": drawn}
    whole = output_messages(op.CHAT, {"choices": [{"index": 0, "message": message}]})
    streamed = ChatContent()
    streamed.add({"choices": [{"index": 0, "delta": message}]})
    for said in (whole, streamed.messages()):
        assert said == [{"role": "assistant", "parts": [{"type": "text", "content": "look"}, expected]}]


@pytest.mark.parametrize("form", ["json", "sdk"])
def test_a_response_gives_one_message_with_all_its_parts(form: str) -> None:
    """A generated image is a blob, too."""
    body: Any = {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "output": [
            {
                "type": "message",
                "id": "m",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {"type": "output_text", "text": "a", "annotations": []},
                    {"type": "refusal", "refusal": "b"},
                ],
            },
            {"type": "image_generation_call", "id": "ig", "status": "completed", "result": PNG},
            {"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "i"},
        ],
    }
    if form == "sdk":
        body = Response.model_validate(body)
    messages = output_messages(op.RESPONSES, body)
    assert messages is not None
    (message,) = messages
    assert message["role"] == "assistant"
    text, refusal, call, image, custom = message["parts"]
    assert (text["content"], refusal["content"]) == ("a", "b")
    assert call["type"] == "server_tool_call"
    result = image["server_tool_call_response"]["result"]
    assert (result["mime_type"], result["sha256"]) == ("image/png", DIGEST)
    assert custom == {"type": "tool_call", "name": "n", "id": "c", "arguments": "i"}
    assert PNG[:40] not in json.dumps(messages)


def test_completions_have_prompts_and_texts() -> None:
    """Each prompt is a message; token lists cannot be told."""
    assert input_messages(op.COMPLETIONS, {"prompt": ["a", "b"]}) == [
        {"role": "user", "parts": [{"type": "text", "content": "a"}]},
        {"role": "user", "parts": [{"type": "text", "content": "b"}]},
    ]
    assert input_messages(op.COMPLETIONS, {"prompt": [1, 2]}) is None
    assert output_messages(op.COMPLETIONS, {"choices": [{"text": "x"}]}) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "x"}]}
    ]
    assert input_messages(op.EMBEDDINGS, {"input": "x"}) is None
    assert output_messages(op.EMBEDDINGS, {"data": []}) is None


def test_tool_definitions_carry_schemas_only_on_request() -> None:
    """Functions of both APIs, custom tools, the provider's own, and namespaces."""
    schema = {"type": "object", "properties": {}}
    body = {
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}},
            {"type": "function", "name": "g", "parameters": schema},
            {"type": "custom", "custom": {"name": "h"}},
            {"type": "web_search"},
            {"type": "mcp", "server_label": "wiki", "authorization": "secret"},
            {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "inner"}]},
            {"type": "function"},
            None,
        ],
        "functions": [{"name": "old"}],
    }
    lean = tool_definitions(body)
    assert lean == [
        {"type": "function", "name": "f", "description": "d"},
        {"type": "function", "name": "g"},
        {"type": "custom", "name": "h"},
        {"type": "web_search", "name": "web_search"},
        {"type": "mcp", "name": "wiki"},
        {"type": "function", "name": "inner"},
        {"type": "function", "name": "old"},
    ]
    full = tool_definitions(body, parameters=True)
    assert full is not None
    assert full[0]["parameters"] == schema
    assert full[0]["parameters"] is not schema
    assert tool_definitions({}) is None


def test_an_iterator_is_never_read() -> None:
    """Neither as messages nor inside one."""
    messages, parts, tools = iter([{"role": "user"}]), iter(["a"]), iter([{"type": "function"}])
    assert input_messages(op.CHAT, {"messages": messages}) is None
    assert input_messages(op.CHAT, {"messages": [{"role": "user", "content": parts}]}) == [
        {"role": "user", "parts": []}
    ]
    assert tool_definitions({"tools": tools}) is None
    assert [len(list(one)) for one in (messages, parts, tools)] == [1, 1, 1]


def test_media_in_unknown_places_is_replaced_and_prose_is_not() -> None:
    """Data URLs and long runs of base64, at any depth."""
    prose = "word " * 1000
    found = without_media({"a": [f"data:image/png;base64,{PNG}", PNG], "b": prose, "c": "short"})
    assert [part["sha256"] for part in found["a"]] == [DIGEST, DIGEST]
    assert found["b"] == prose
    assert found["c"] == "short"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 196_607, 196_608, 500_001])
def test_media_is_measured_slice_by_slice(size: int) -> None:
    """Also unpadded, URL-safe and broken into lines."""
    data = (PIXELS * (size // len(PIXELS) + 1))[:size]
    expected = (size, hashlib.sha256(data).hexdigest())
    assert measure(base64.b64encode(data).decode()) == expected
    assert measure(base64.b64encode(data).decode().rstrip("=")) == expected
    assert measure(base64.urlsafe_b64encode(data).decode()) == expected
    assert measure(base64.encodebytes(data).decode()) == expected


def test_what_is_no_base64_is_measured_as_it_is() -> None:
    """A wrong field makes no exception."""
    assert measure("ab☃") == (5, hashlib.sha256("ab☃".encode()).hexdigest())
    assert measure("a") == (1, hashlib.sha256(b"a").hexdigest())
