"""Every attribute of the conventions that an API supplies is on the exported span, in type and value."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import openai
import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind

import spantally
from spantally.testing.loopback import Connection, LoopbackServer
from watching import Watched, attributes

CHAT_BODY = {
    "id": "chatcmpl-7",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "flex",
    "system_fingerprint": "fp_7",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "reasoning_content": "let me see",
                "tool_calls": [
                    {
                        "id": "call_7",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"at":1}'},
                    }
                ],
            },
        },
        {"index": 1, "finish_reason": "length", "message": {"role": "assistant", "content": "well"}},
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 8, "audio_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 6},
    },
}
RESPONSE_BODY = {
    "id": "resp_7",
    "object": "response",
    "created_at": 1,
    "model": "o3-2025",
    "status": "completed",
    "service_tier": "default",
    "conversation": {"id": "conv_7"},
    "parallel_tool_calls": True,
    "tools": [],
    "tool_choice": "auto",
    "output": [
        {"id": "ws_1", "type": "web_search_call", "status": "completed"},
        {"id": "ws_2", "type": "web_search_call", "status": "completed"},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "violet", "annotations": []}],
        },
    ],
    "usage": {
        "input_tokens": 90,
        "output_tokens": 30,
        "total_tokens": 120,
        "input_tokens_details": {"cached_tokens": 10},
        "output_tokens_details": {"reasoning_tokens": 12},
    },
}
IMAGE_BODY = {
    "created": 1,
    "data": [{"b64_json": "aGk="}],
    "usage": {
        "input_tokens": 50,
        "output_tokens": 70,
        "total_tokens": 120,
        "input_tokens_details": {"text_tokens": 20, "image_tokens": 30},
    },
}
EMBEDDING_BODY = {
    "object": "list",
    "model": "text-embedding-3-small-1",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5] * 8}],
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}
RUN_BODY = {
    "id": "run_7",
    "object": "thread.run",
    "created_at": 1,
    "thread_id": "thread_7",
    "assistant_id": "asst_7",
    "model": "gpt-4o",
    "status": "completed",
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}
FAILED_BODY = {
    **RESPONSE_BODY,
    "status": "failed",
    "output": [],
    "error": {"code": "server_overloaded", "message": "no"},
}
CHUNK = {"id": "chatcmpl-8", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024"}
CHUNKS = [
    {**CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "vi"}}]},
    {**CHUNK, "choices": [{"index": 0, "delta": {"content": "olet"}, "finish_reason": "stop"}]},
    {**CHUNK, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}},
]
BROKEN_CHUNKS = [CHUNKS[0], {"error": {"message": "no", "code": "model_overloaded", "type": "server_error"}}]


class Canned(LoopbackServer):
    """Answers each path with bodies of our own making."""

    BODIES: ClassVar[dict[str, Any]] = {
        "/chat/completions": CHAT_BODY,
        "/responses": RESPONSE_BODY,
        "/responses/resp_7": RESPONSE_BODY,
        "/images/generations": IMAGE_BODY,
        "/embeddings": EMBEDDING_BODY,
        "/vector_stores/vs_7/search": {
            "object": "vector_store.search_results.page",
            "search_query": ["x"],
            "data": [{"file_id": "f_7", "filename": "a", "score": 0.5, "attributes": {}, "content": []}],
        },
        "/assistants": {
            "id": "asst_7",
            "object": "assistant",
            "created_at": 1,
            "model": "gpt-4o",
            "tools": [],
        },
        "/threads/thread_7/runs": RUN_BODY,
        "/audio/transcriptions": {"text": "hi", "usage": {"type": "duration", "seconds": 9}},
    }

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Answer."""
        path = connection.path.partition("?")[0]
        asked: dict[str, Any] = json.loads(body) if body[:1] == b"{" else {}
        if asked.get("user") == "fails":
            connection.answer_json(400, {"error": {"message": "no", "code": None, "type": "invalid_request"}})
        elif asked.get("user") == "plainly fails":
            connection.answer_json(503, {"detail": "no"})
        elif asked.get("stream"):
            chunks = BROKEN_CHUNKS if asked.get("user") == "breaks" else CHUNKS
            lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
            connection.answer(200, lines.encode(), {"content-type": "text/event-stream"})
        elif path == "/responses" and asked.get("user") == "breaks":
            connection.answer_json(200, FAILED_BODY)
        else:
            connection.answer_json(200, self.BODIES[path])


MESSAGES: Any = [{"role": "user", "content": "what is it"}]


def _chat(c: openai.OpenAI) -> None:
    c.chat.completions.create(
        model="gpt-4o",
        messages=MESSAGES,
        temperature=1,
        top_p=0.5,
        frequency_penalty=0.25,
        presence_penalty=-1,
        max_completion_tokens=99,
        seed=7,
        n=2,
        stop="END",
        service_tier="flex",
        reasoning_effort="high",
        response_format={"type": "json_object"},
        tools=[
            {
                "type": "function",
                "function": {"name": "look", "description": "looks", "parameters": {"type": "object"}},
            }
        ],
        extra_body={"top_k": 4},
    )


def _responses(c: openai.OpenAI) -> None:
    item: Any = {"type": "compaction", "encrypted_content": "c2NyaXB0"}
    asked: Any = {"role": "user", "content": "what is it"}
    c.responses.create(
        model="o3",
        input=[item, asked],
        instructions="be brief",
        previous_response_id="resp_6",
        reasoning={"effort": "low"},
        max_output_tokens=77,
        prompt={"id": "pmpt_7", "version": "3"},
        text={"format": {"type": "text"}},
    )


def _stream(c: openai.OpenAI) -> None:
    list(
        c.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )


def _broken_stream(c: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError):
        list(c.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, user="breaks"))


def _refused(c: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        c.chat.completions.create(model="gpt-4o", messages=MESSAGES, user="fails")


def _down(c: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError):
        c.chat.completions.create(model="gpt-4o", messages=MESSAGES, user="plainly fails")


def _tool_and_agent(c: openai.OpenAI) -> None:
    @spantally.tool
    def look(at: int) -> str:
        """Looks at something."""
        return f"{at} it is"

    with spantally.session("conv-7"), spantally.agent("planner", description="plans"):
        _chat(c)
        look(1)


def _create_agent(c: openai.OpenAI) -> None:
    c.beta.assistants.create(model="gpt-4o", name="helper", description="helps")


def _run(c: openai.OpenAI) -> None:
    c.beta.threads.runs.create("thread_7", assistant_id="asst_7", temperature=0.5)


class Row(NamedTuple):
    """What one span of a scenario is to carry."""

    call: Callable[[openai.OpenAI], Any]
    span: str
    """Its name."""
    told: dict[str, Any]
    absent: Sequence[str] = ()


CLIENT = {"gen_ai.provider.name": "openai", "server.address": "127.0.0.1"}

ROWS: dict[str, Row] = {
    "chat": Row(
        _chat,
        "chat gpt-4o",
        {
            **CLIENT,
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.request.temperature": 1.0,
            "gen_ai.request.top_p": 0.5,
            "gen_ai.request.top_k": 4,
            "gen_ai.request.frequency_penalty": 0.25,
            "gen_ai.request.presence_penalty": -1.0,
            "gen_ai.request.max_tokens": 99,
            "gen_ai.request.seed": 7,
            "gen_ai.request.choice.count": 2,
            "gen_ai.request.stop_sequences": ["END"],
            "gen_ai.request.reasoning.level": "high",
            "gen_ai.output.type": "json",
            "gen_ai.response.id": "chatcmpl-7",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.response.finish_reasons": ["tool_call", "length"],
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 50,
            "gen_ai.usage.cache_read.input_tokens": 40,
            "gen_ai.usage.cache_write.input_tokens": 8,
            "gen_ai.usage.reasoning.output_tokens": 20,
            "gen_ai.usage.audio.input_tokens": 5,
            "gen_ai.usage.audio.output_tokens": 6,
            "openai.api.type": "chat_completions",
            "openai.request.service_tier": "flex",
            "openai.response.service_tier": "flex",
            "openai.response.system_fingerprint": "fp_7",
        },
        ["gen_ai.request.stream", "error.type", "gen_ai.conversation.id", "spantally.usage"],
    ),
    "stream": Row(
        _stream,
        "chat gpt-4o",
        {
            "gen_ai.request.stream": True,
            "gen_ai.response.time_to_first_chunk": float,
            "gen_ai.response.id": "chatcmpl-8",
            "gen_ai.response.model": "gpt-4o-2024",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 2,
        },
    ),
    "responses": Row(
        _responses,
        "chat o3",
        {
            **CLIENT,
            "gen_ai.request.previous_response.id": "resp_6",
            "gen_ai.request.reasoning.level": "low",
            "gen_ai.request.max_tokens": 77,
            "gen_ai.prompt.name": "pmpt_7",
            "gen_ai.prompt.version": "3",
            "gen_ai.conversation.id": "conv_7",
            "gen_ai.conversation.compacted": True,
            "gen_ai.output.type": "text",
            "gen_ai.response.id": "resp_7",
            "gen_ai.response.model": "o3-2025",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 90,
            "gen_ai.usage.output_tokens": 30,
            "gen_ai.usage.cache_read.input_tokens": 10,
            "gen_ai.usage.reasoning.output_tokens": 12,
            "openai.api.type": "responses",
            "openai.response.service_tier": "default",
            "spantally.usage": json.dumps(
                {"uncached_input": 80, "cache_read": 10, "output": 30, "reasoning": 12, "web_searches": 2}
            ),
        },
        ["gen_ai.response.status"],
    ),
    "images": Row(
        lambda c: c.images.generate(model="gpt-image-1", prompt="a cat"),
        "generate_content gpt-image-1",
        {
            "gen_ai.output.type": "image",
            "gen_ai.usage.text.input_tokens": 20,
            "gen_ai.usage.image.input_tokens": 30,
            "gen_ai.usage.image.output_tokens": 70,
            "openai.api.type": "images",
        },
    ),
    "transcription": Row(
        lambda c: c.audio.transcriptions.create(
            model="whisper-1", file=("a.wav", b"RIFF"), response_format="json"
        ),
        "generate_content whisper-1",
        {
            "gen_ai.output.type": "json",
            "openai.api.type": "audio.transcriptions",
            "spantally.usage": json.dumps({"audio_seconds": 9.0}),
            "spantally.usage.audio_seconds": 9.0,
        },
        ["gen_ai.usage.input_tokens"],
    ),
    "embeddings": Row(
        lambda c: c.embeddings.create(model="text-embedding-3-small", input="a", encoding_format="float"),
        "embeddings text-embedding-3-small",
        {
            **CLIENT,
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": "text-embedding-3-small",
            "gen_ai.request.encoding_formats": ["float"],
            "gen_ai.embeddings.dimension.count": 8,
            "gen_ai.response.model": "text-embedding-3-small-1",
            "gen_ai.usage.input_tokens": 3,
        },
        ["gen_ai.usage.output_tokens"],
    ),
    "retrieval": Row(
        lambda c: c.vector_stores.search("vs_7", query="x", max_num_results=3),
        "retrieval vs_7",
        {
            **CLIENT,
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": "vs_7",
            "gen_ai.retrieval.top_k": 3,
        },
        ["gen_ai.request.top_k"],
    ),
    "fetch_response": Row(
        lambda c: c.responses.retrieve("resp_7"),
        "fetch_response",
        {
            **CLIENT,
            "gen_ai.operation.name": "fetch_response",
            "gen_ai.response.id": "resp_7",
            "gen_ai.response.model": "o3-2025",
            "gen_ai.response.status": "completed",
            "gen_ai.response.finish_reasons": ["stop"],
        },
        ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"],
    ),
    "create_agent": Row(
        _create_agent,
        "create_agent helper",
        {
            **CLIENT,
            "gen_ai.operation.name": "create_agent",
            "gen_ai.agent.id": "asst_7",
            "gen_ai.agent.name": "helper",
            "gen_ai.agent.description": "helps",
            "gen_ai.request.model": "gpt-4o",
        },
    ),
    "invoke_agent of a client": Row(
        _run,
        "invoke_agent",
        {
            **CLIENT,
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.id": "asst_7",
            "gen_ai.conversation.id": "thread_7",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 7,
        },
    ),
    "invoke_agent": Row(
        _tool_and_agent,
        "invoke_agent planner",
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "planner",
            "gen_ai.agent.description": "plans",
            "gen_ai.conversation.id": "conv-7",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.finish_reasons": ["tool_call", "length"],
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 50,
        },
        ["gen_ai.provider.name", "gen_ai.agent.id", "gen_ai.usage.cache_read.input_tokens", "server.address"],
    ),
    "execute_tool": Row(
        _tool_and_agent,
        "execute_tool look",
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "look",
            "gen_ai.tool.type": "function",
            "gen_ai.tool.description": "Looks at something.",
            "gen_ai.tool.call.id": "call_7",
            "gen_ai.agent.name": "planner",
            "gen_ai.conversation.id": "conv-7",
        },
        ["gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.provider.name"],
    ),
    "type of a refusal": Row(
        _refused,
        "chat gpt-4o",
        {"error.type": "invalid_request", "gen_ai.response.finish_reasons": ["error"]},
    ),
    "status of a failure": Row(_down, "chat gpt-4o", {"error.type": "503"}),
    "code in a stream": Row(
        _broken_stream,
        "chat gpt-4o",
        {"error.type": "model_overloaded", "gen_ai.response.finish_reasons": ["error"]},
    ),
    "code of a failed response": Row(
        lambda c: c.responses.create(model="o3", input="x", user="breaks"),
        "chat o3",
        {"error.type": "server_overloaded", "gen_ai.response.finish_reasons": ["error"]},
    ),
}


def spans_of(call: Callable[[openai.OpenAI], Any], **settings: Any) -> dict[str, Any]:
    """Exported spans of a scenario by name."""
    watched = Watched(**settings)
    try:
        with (
            Canned() as server,
            openai.OpenAI(base_url=server.url, api_key="sk-made-up", max_retries=0) as client,
        ):
            call(client)
        return {span.name: span for span in watched.spans}
    finally:
        watched.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_attributes_are_there_with_type_and_value(row: Row) -> None:
    """What the conventions ask for and the API supplies is on the span; what does not belong there is not."""
    span = spans_of(row.call)[row.span]
    found = attributes(span)
    for name, expected in row.told.items():
        if isinstance(expected, type):
            assert type(found[name]) is expected, name
        else:
            assert (type(found.get(name)), found.get(name)) == (type(expected), expected), name
    assert not found.keys() & set(row.absent)
    assert (span.status.code == 2) == ("error.type" in found)
    assert span.status.code != 1  # OK is for the application to say
    if "server.address" in found:
        assert type(found["server.port"]) is int


CONTENT: dict[str, tuple[Callable[[openai.OpenAI], Any], str, dict[str, Any]]] = {
    "chat": (
        _chat,
        "chat gpt-4o",
        {
            "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "what is it"}]}],
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [
                        {"type": "reasoning", "content": "let me see"},
                        {"type": "tool_call", "id": "call_7", "name": "look", "arguments": {"at": 1}},
                    ],
                },
                {"role": "assistant", "parts": [{"type": "text", "content": "well"}]},
            ],
            "gen_ai.tool.definitions": [{"type": "function", "name": "look", "description": "looks"}],
        },
    ),
    "responses": (
        _responses,
        "chat o3",
        {"gen_ai.system_instructions": [{"type": "text", "content": "be brief"}]},
    ),
    "retrieval": (
        lambda c: c.vector_stores.search("vs_7", query=["x", "y"]),
        "retrieval vs_7",
        {
            "gen_ai.retrieval.query.text": "x\ny",
            "gen_ai.retrieval.documents": [{"id": "f_7", "score": 0.5}],
        },
    ),
    "execute_tool": (
        _tool_and_agent,
        "execute_tool look",
        {"gen_ai.tool.call.arguments": {"at": 1}, "gen_ai.tool.call.result": "1 it is"},
    ),
}


@pytest.mark.parametrize(("call", "name", "told"), CONTENT.values(), ids=CONTENT.keys())
def test_content_is_there_where_it_is_wanted(
    call: Callable[[openai.OpenAI], Any], name: str, told: dict[str, Any]
) -> None:
    """The opt-in attributes have the shapes of the schemas, and are there only when asked for."""
    wanted = attributes(spans_of(call, capture_content="span_only")[name])
    unwanted = attributes(spans_of(call)[name])
    for key, expected in told.items():
        value = wanted[key]
        assert (value if isinstance(expected, str) else json.loads(value)) == expected, key
    assert not unwanted.keys() & told.keys()


class Asked(Sampler):
    """Notes what it is asked about."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, Any]] = {}

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        """Sample it."""
        self.seen[name] = dict(attributes or {})
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        """Its name."""
        return "asked"


AT_START = {
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "server.address",
    "server.port",
    "gen_ai.agent.name",
    "gen_ai.tool.name",
    "gen_ai.data_source.id",
    "gen_ai.conversation.id",
}
"""What a sampler may want to decide by."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_samplers_see_what_they_may_decide_by(row: Row) -> None:
    """What is known at the start is on the span when the sampler is asked."""
    sampler = Asked()
    spans_of(row.call, sampler=sampler)
    expected = {name: value for name, value in row.told.items() if name in AT_START}
    if row.span == "invoke_agent planner":
        expected.pop("gen_ai.request.model")  # of the calls beneath
    if row.call is _responses:
        expected.pop("gen_ai.conversation.id")  # only the answer names it
    assert expected.items() <= sampler.seen[row.span].items()
