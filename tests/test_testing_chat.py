"""The scripted server as the real SDK sees it: chat completions and completions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletionMessageParam

from spantally.testing import Reply, ScriptedServer, ToolCall, Usage, count_tokens

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is two plus two?"}]


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


def test_echo_counts_what_passed(server: ScriptedServer, client: openai.OpenAI) -> None:
    """Without a script the answer echoes, and its usage is the count of the texts that passed."""
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)
    assert answer.choices[0].message.content == "You said: What is two plus two?"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == count_tokens("What is two plus two?") + 3 == 9
    assert answer.usage.completion_tokens == count_tokens("You said: What is two plus two?") == 9
    assert server.billed == server.reported
    assert server.billed["gpt-4o-mini"][:3] == (1, 9, 9)


def test_same_question_same_answer(client: openai.OpenAI) -> None:
    """The echo is deterministic but for the id."""
    first, second = (client.chat.completions.create(model="gpt-4o", messages=QUESTION) for _ in range(2))
    assert first.choices == second.choices
    assert first.usage == second.usage
    assert first.id != second.id


def test_stream_joined_is_the_text_and_usage_comes_when_asked(client: openai.OpenAI) -> None:
    """A stream's deltas join to the text; usage is in the last chunk, and nowhere else."""
    with client.chat.completions.create(
        model="gpt-4o-mini", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "You said: What is two plus two?"
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 18


def test_stream_without_include_usage_has_none_but_is_billed(
    server: ScriptedServer, client: openai.OpenAI
) -> None:
    """As with the real API: no include_usage, no usage on the wire, and a bill all the same."""
    with client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION, stream=True) as stream:
        assert all(chunk.usage is None for chunk in stream)
    assert server.billed["gpt-4o-mini"].output == 9
    assert server.reported == {}


def test_tool_calls_whole_and_streamed_are_the_same() -> None:
    """Tool calls carry name, id and JSON arguments; the streamed argument deltas join to the same."""
    reply = Reply(tool_calls=[ToolCall("search", {"query": "a b c d e f g"}), ToolCall("fetch", id="call_x")])
    server, client = scripted(reply)
    with server, client:
        whole = client.chat.completions.create(model="gpt-4o", messages=QUESTION).choices[0]
        assert whole.finish_reason == "tool_calls"
        assert whole.message.content is None
        calls = [call for call in whole.message.tool_calls or [] if call.type == "function"]
        assert [(call.function.name, call.function.arguments) for call in calls] == [
            ("search", '{"query": "a b c d e f g"}'),
            ("fetch", "{}"),
        ]
        assert calls[1].id == "call_x"
        with client.chat.completions.stream(model="gpt-4o", messages=QUESTION) as stream:
            final = stream.get_final_completion().choices[0]
        streamed = final.message.tool_calls or []
        assert [(call.function.name, call.function.arguments) for call in streamed] == [
            (call.function.name, call.function.arguments) for call in calls
        ]
        assert final.finish_reason == "tool_calls"


def test_fixed_usage_model_tier_and_headers_reach_the_client() -> None:
    """What a reply fixes is on the wire: usage with its details, model, service tier, headers."""
    reply = Reply(
        text="ok",
        usage=Usage(input=100, output=20, cached=64, reasoning=8),
        model="gpt-4o-2024-08-06",
        service_tier="flex",
        headers={"X-Ratelimit-Remaining-Requests": "7"},
    )
    server, client = scripted(reply)
    with server, client:
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=QUESTION)
        assert raw.headers["x-ratelimit-remaining-requests"] == "7"
        assert raw.headers["x-request-id"] == "req_scripted_1"
        answer = raw.parse()
        assert (answer.model, answer.service_tier) == ("gpt-4o-2024-08-06", "flex")
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        assert answer.usage.prompt_tokens_details.cached_tokens == 64
        assert answer.usage.completion_tokens_details is not None
        assert answer.usage.completion_tokens_details.reasoning_tokens == 8
        assert server.billed == {"gpt-4o-2024-08-06": (1, 100, 20, 64, 8)}


def test_usage_false_is_no_usage_at_all() -> None:
    """An answer can lack usage, as some compatible hosts' do."""
    server, client = scripted(Reply(text="ok", usage=False))
    with server, client:
        assert client.chat.completions.create(model="gpt-4o", messages=QUESTION).usage is None
        assert server.reported == {}


def test_verbatim_usage_is_sent_as_it_is() -> None:
    """A usage object that is none of ours goes out untouched, so that odd ones can be tested."""
    server, client = scripted(Reply(text="ok", usage={"prompt_tokens": 5, "cost": 0.001}))
    with server, client:
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=QUESTION)
        assert raw.http_response.json()["usage"] == {"prompt_tokens": 5, "cost": 0.001}
        assert server.billed["gpt-4o"].input == 5


def test_parse_gives_the_typed_object() -> None:
    """`.parse()` works on a reply whose text is the JSON of the model asked for."""

    class Sum(pydantic.BaseModel):
        value: int

    server, client = scripted(Reply(text='{"value": 4}'))
    with server, client:
        parsed = client.chat.completions.parse(model="gpt-4o", messages=QUESTION, response_format=Sum)
        assert parsed.choices[0].message.parsed == Sum(value=4)


def test_refusal_and_length() -> None:
    """Refusals and finish reasons pass through."""
    server, client = scripted(Reply(refusal="no", finish_reason="content_filter"))
    with server, client:
        choice = client.chat.completions.create(model="gpt-4o", messages=QUESTION).choices[0]
        assert (choice.message.refusal, choice.finish_reason) == ("no", "content_filter")
        assert choice.message.content is None


def test_several_choices(client: openai.OpenAI) -> None:
    """`n` gives so many choices."""
    answer = client.chat.completions.create(model="gpt-4o", messages=QUESTION, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


def test_completions_whole_and_streamed(client: openai.OpenAI) -> None:
    """The legacy endpoint answers and streams as well."""
    whole = client.completions.create(model="davinci-002", prompt="one two")
    assert whole.choices[0].text == "You said: one two"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (2, 5)
    with client.completions.create(model="davinci-002", prompt="one two", stream=True) as stream:
        assert "".join(chunk.choices[0].text for chunk in stream) == "You said: one two"


def test_models(client: openai.OpenAI) -> None:
    """The list of models reads as the SDK's type."""
    assert "gpt-4o-mini" in [model.id for model in client.models.list()]


def test_many_at_once_are_all_answered_and_billed(server: ScriptedServer) -> None:
    """Forty concurrent calls on one client: each gets its own answer, and the bill has them all."""

    async def run() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="unused") as client:

            async def one(number: int) -> str | None:
                answer = await client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": f"number {number}"}]
                )
                return answer.choices[0].message.content

            return await asyncio.gather(*(one(number) for number in range(40)))

    assert asyncio.run(run()) == [f"You said: number {number}" for number in range(40)]
    assert server.billed["gpt-4o"].requests == len(server.requests) == 40


def test_requests_are_kept_as_they_came(server: ScriptedServer, client: openai.OpenAI) -> None:
    """Path, headers, raw bytes and body of each request can be judged."""
    client.chat.completions.create(model="gpt-4o", messages=QUESTION, extra_headers={"X-Trace": "abc"})
    (request,) = server.requests
    assert (request.method, request.path, request.model) == ("POST", "/v1/chat/completions", "gpt-4o")
    assert request.headers["x-trace"] == "abc"
    assert request.headers["authorization"] == "Bearer unused"
    assert request.last_text == "What is two plus two?"
    assert b"two plus two" in request.raw


def test_an_azure_client_is_served(server: ScriptedServer) -> None:
    """Any prefix works, so clients of Azure and of compatible hosts can be pointed at the server."""
    with openai.AzureOpenAI(azure_endpoint=server.url, api_key="unused", api_version="2024-06-01") as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    assert answer.choices[0].message.content
    assert server.requests[0].path.startswith("/openai/deployments/gpt-4o/")
