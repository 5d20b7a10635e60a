"""The scripted server as the real SDK sees it: the Responses API and embeddings."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pydantic
import pytest
from openai.types.responses import FunctionToolParam

from spantally.testing import Reply, ScriptedServer, ToolCall, Usage

SEARCH: FunctionToolParam = {
    "type": "function",
    "name": "search",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    "strict": True,
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as made:
        yield made


def scripted(reply: Reply) -> tuple[ScriptedServer, openai.OpenAI]:
    server = ScriptedServer(reply).start()
    return server, openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=0)


def test_a_response_reads_whole(client: openai.OpenAI) -> None:
    """Text, status and usage of a plain response."""
    answer = client.responses.create(model="gpt-4o", input="hello there", instructions="be brief")
    assert answer.output_text == "You said: hello there"
    assert answer.status == "completed"
    assert answer.instructions == "be brief"
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (4, 5)


def test_the_events_of_a_stream_come_in_the_real_order(client: openai.OpenAI) -> None:
    """From response.created to response.completed, numbered without a gap, deltas joining to the text."""
    with client.responses.create(model="gpt-4o", input="one two three four", stream=True) as stream:
        events = list(stream)
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 2,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "You said: one two three four"
    assert events[0].type == "response.created"
    assert events[0].response.usage is None
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage is not None
    assert events[-1].response.usage.total_tokens == 4 + 7


def test_function_calls_whole_and_streamed_are_the_same() -> None:
    """Function calls come as output items; the helper rebuilds the same from the argument deltas."""
    server, client = scripted(Reply(tool_calls=[ToolCall("search", {"query": "one two three four five"})]))
    with server, client:
        (whole,) = client.responses.create(model="gpt-4o", input="x", tools=[SEARCH]).output
        assert whole.type == "function_call"
        assert (whole.name, whole.arguments) == ("search", '{"query": "one two three four five"}')
        with client.responses.stream(model="gpt-4o", input="x", tools=[SEARCH]) as stream:
            (final,) = stream.get_final_response().output
        assert final.type == "function_call"
        assert (final.name, final.arguments) == (whole.name, whole.arguments)


def test_fixed_usage_in_the_shape_of_this_api() -> None:
    """A Usage reaches the client under the names of the Responses API, streamed too."""
    server, client = scripted(Reply(text="ok", usage=Usage(input=70, output=9, cached=32, reasoning=4)))
    with server, client:
        for answer in (
            client.responses.create(model="gpt-4o", input="x"),
            client.responses.stream(model="gpt-4o", input="x").__enter__().get_final_response(),
        ):
            assert answer.usage is not None
            assert (answer.usage.input_tokens, answer.usage.output_tokens) == (70, 9)
            assert answer.usage.input_tokens_details.cached_tokens == 32
            assert answer.usage.output_tokens_details.reasoning_tokens == 4
        assert server.billed == server.reported == {"gpt-4o": (2, 140, 18, 64, 8)}


def test_incomplete_and_failed() -> None:
    """A cut answer is incomplete with its reason; an error with status 200 is a failed response."""
    server, client = scripted(Reply(text="half", finish_reason="length"))
    with server, client:
        answer = client.responses.create(model="gpt-4o", input="x")
        assert answer.status == "incomplete"
        assert answer.incomplete_details is not None
        assert answer.incomplete_details.reason == "max_output_tokens"
        with client.responses.create(model="gpt-4o", input="x", stream=True) as stream:
            assert [event.type for event in stream][-1] == "response.incomplete"
    server, client = scripted(Reply(error="it broke"))
    with server, client:
        answer = client.responses.create(model="gpt-4o", input="x")
        assert answer.status == "failed"
        assert answer.error is not None
        assert answer.error.message == "it broke"
        with client.responses.create(model="gpt-4o", input="x", stream=True) as stream:
            assert [event.type for event in stream][-1] == "response.failed"


def test_parse_and_raw() -> None:
    """`.parse()`, raw and streaming responses work against the server."""

    class Sum(pydantic.BaseModel):
        value: int

    server, client = scripted(Reply(text='{"value": 4}'))
    with server, client:
        parsed = client.responses.parse(model="gpt-4o", input="2+2", text_format=Sum)
        assert parsed.output_parsed == Sum(value=4)
        raw = client.responses.with_raw_response.create(model="gpt-4o", input="2+2")
        assert raw.parse().output_text == '{"value": 4}'
        with client.responses.with_streaming_response.create(model="gpt-4o", input="2+2") as streamed:
            assert streamed.parse().output_text == '{"value": 4}'


def test_embeddings_as_floats_and_base64_are_the_same(server: ScriptedServer, client: openai.OpenAI) -> None:
    """Both encodings decode to one vector; the SDK asks for base64 by itself."""
    packed = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], dimensions=40)
    floats = client.embeddings.create(
        model="text-embedding-3-small", input=["one", "two"], dimensions=40, encoding_format="float"
    )
    assert [item.embedding for item in packed.data] == [item.embedding for item in floats.data]
    assert [len(item.embedding) for item in packed.data] == [40, 40]
    assert packed.data[0].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens == packed.usage.total_tokens == 2
    assert server.requests[0].body is not None
    assert server.requests[0].body["encoding_format"] == "base64"
    assert server.billed["text-embedding-3-small"][:3] == (2, 4, 0)
