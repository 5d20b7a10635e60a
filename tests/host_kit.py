"""Every way a program meets our hooks, with the outcome of each as plain values to compare."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

import spantally
from spantally.testing import Reply, Request, ScriptedServer, ToolCall, Usage

KEY = "sk-made-up-for-tests-0001"
MESSAGES: Any = [{"role": "user", "content": "hello there"}]
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
USAGE: dict[str, Any] = {"include_usage": True}

INPUT, OUTPUT = 11, 7
"""Tokens that each scripted answer bills."""


def script(request: Request) -> Reply:
    """The same answer at every run: nothing in it depends on how often the server was asked."""
    text = request.last_text
    usage = Usage(input=INPUT, output=0 if request.path.endswith("/embeddings") else OUTPUT)
    if "refuse" in text:
        return Reply(status=400, error="the scripted refusal")
    if "drop" in text:
        return Reply(text="a b c d e f g", drop_after_chunks=3, response_id="resp-drop")
    if "tool please" in text:
        call = ToolCall("lookup", {"word": "x"}, id="call_fixed")
        return Reply(tool_calls=(call,), usage=usage, response_id="resp-tool")
    return Reply(text="the answer", usage=usage, response_id="resp-fixed")


def plain(value: Any) -> Any:
    """A result of the SDK as plain values, without its clock."""
    if hasattr(value, "model_dump"):
        made = value.model_dump()
        for name in ("created", "created_at", "completed_at", "id", "_request_id"):
            made.pop(name, None)
        return type(value).__name__, str(made.get("output", made.get("choices", made.get("data"))))
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return type(value).__name__, value


class Program:
    """A program that makes calls in every form; what it gets does not depend on us."""

    def __init__(self, server: ScriptedServer, loop: asyncio.Runner) -> None:
        self.client: Any = openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)
        self.loop = loop
        self.async_client: Any = openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)

    def close(self) -> None:
        """Let go of connections."""
        self.client.close()
        self.run_async(self.async_client.close())

    def run_async(self, coroutine: Any) -> Any:
        """Run a coroutine on the program's loop, in the Context of here."""
        return self.loop.run(coroutine, context=contextvars.copy_context())

    def run(self, names: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Run every form (or some); the outcome of each is what it returned or raised."""
        outcomes: dict[str, Any] = {}
        for name, form in FORMS.items():
            if names is not None and name not in names:
                continue
            try:
                outcomes[name] = ("returned", plain(form(self)))
            except Exception as error:
                outcomes[name] = ("raised", type(error).__name__, str(error))
        return outcomes

    def ask(self, text: str = "hello there") -> str | None:
        """One plain call."""
        made = self.client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": text}]
        )
        content: str | None = made.choices[0].message.content
        return content

    async def ask_async(self) -> str | None:
        """One plain asynchronous call."""
        made = await self.async_client.chat.completions.create(**CHAT)
        content: str | None = made.choices[0].message.content
        return content


def _stream(program: Program) -> Any:
    with program.client.chat.completions.create(**CHAT, stream=True, stream_options=USAGE) as stream:
        assert isinstance(stream, openai.Stream)
        return [chunk.choices[0].delta.content if chunk.choices else "usage" for chunk in stream]


def _broken_off(program: Program) -> Any:
    stream = program.client.chat.completions.create(**CHAT, stream=True)
    for chunk in stream:
        stream.close()
        return chunk.choices[0].delta.role
    return None


def _dropped(program: Program) -> Any:
    stream = program.client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "drop"}], stream=True
    )
    seen: list[Any] = []
    try:
        seen.extend(chunk.choices[0].delta.content for chunk in stream)
    except Exception as error:
        return seen, type(error).__name__
    return seen


def _raw_stream(program: Program) -> Any:
    with program.client.chat.completions.with_streaming_response.create(
        **CHAT, stream=True, stream_options=USAGE
    ) as raw:
        return len([line for line in raw.iter_lines() if line])


def _streaming_body(program: Program) -> Any:
    with program.client.chat.completions.with_streaming_response.create(**CHAT) as raw:
        return raw.parse()


def _raw(program: Program) -> Any:
    raw = program.client.chat.completions.with_raw_response.create(**CHAT)
    return raw.status_code, raw.parse()


def _refused(program: Program) -> Any:
    return program.ask("refuse")


def _embeddings(program: Program) -> Any:
    made = program.client.embeddings.create(model="text-embedding-3-small", input="hello")
    return len(made.data[0].embedding)


def _responses(program: Program) -> Any:
    first = program.client.responses.create(model="gpt-4o", input="hi", previous_response_id="resp_0")
    return first.output_text


def _tool_turn(program: Program) -> Any:
    asked = program.client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "tool please"}]
    )
    calls = asked.choices[0].message.tool_calls or []
    done: Any = [
        {"role": "user", "content": "go on"},
        {"role": "assistant", "tool_calls": [call.model_dump() for call in calls]},
        {"role": "tool", "tool_call_id": "call_elsewhere", "content": "found"},
    ]
    told = program.client.chat.completions.create(model="gpt-4o", messages=done)
    return told.choices[0].message.content, _lookup("x")


def _async_chat(program: Program) -> Any:
    return program.run_async(program.ask_async())


def _async_stream(program: Program) -> Any:
    async def read() -> Any:
        stream = await program.async_client.chat.completions.create(**CHAT, stream=True, stream_options=USAGE)
        assert isinstance(stream, openai.AsyncStream)
        return [chunk.choices[0].delta.content if chunk.choices else "usage" async for chunk in stream]

    return program.run_async(read())


def _async_raw_stream(program: Program) -> Any:
    async def read() -> Any:
        async with program.async_client.chat.completions.with_streaming_response.create(
            **CHAT, stream=True, stream_options=USAGE
        ) as raw:
            return len([line async for line in raw.iter_lines() if line])

    return program.run_async(read())


# -- agents and tools: made once, as a program makes them at import ----------------------------------


@spantally.tool
def _lookup(word: str) -> dict[str, str]:
    """Look a word up."""
    return {"word": word}


@spantally.agent
def _agent(program: Program) -> Any:
    return program.ask(), _lookup("x")


@spantally.agent(name="careful", description="raises")
def _failing_agent() -> None:
    message = "the program's own"
    raise ValueError(message)


@spantally.agent
async def _async_agent(program: Program) -> Any:
    return await program.ask_async()


@spantally.tool
def _counting() -> Generator[int, int | None, None]:
    given = yield 1
    yield 2 if given is None else given


@spantally.tool
async def _counting_async() -> AsyncIterator[int]:
    yield 1
    yield 2


def _generator(program: Program) -> Any:
    running: Any = _counting()
    return [next(running), running.send(5)], list(_counting())


def _left_generator(program: Program) -> Any:
    running: Any = _counting()
    first = next(running)
    running.close()
    return first


def _async_generator(program: Program) -> Any:
    async def read() -> list[int]:
        return [item async for item in _counting_async()]

    return program.run_async(read())


def _with_agent(program: Program) -> Any:
    with spantally.agent("planner") as entered, spantally.tool("inner"):
        return type(entered).__name__, program.ask()


async def _with_async(program: Program) -> Any:
    async with spantally.session("async-session"), spantally.agent("planner"), spantally.paused():
        return await program.ask_async()


def _with_session(program: Program) -> Any:
    with spantally.session("kit-session", user="u", tags={"a": "1"}) as outer, spantally.session():
        answer = program.ask()
    return answer, outer.id


def _session_raises(program: Program) -> Any:
    with spantally.session("kit-session-2"):
        return _failing_agent()


@spantally.session(name="kind")
def _in_session(program: Program) -> Any:
    return program.ask()


@spantally.session
def _session_generator() -> Iterator[int]:
    yield 1
    yield 2


def _begin_finish(program: Program) -> Any:
    made = spantally.session(user="u").begin()
    answer = program.ask()
    made.finish(success=False, reason="tired")
    return answer


def _paused(program: Program) -> Any:
    with spantally.paused():
        return program.ask()


def _threads(program: Program) -> Any:
    answers: list[Any] = []
    with spantally.session("threads"):
        thread = threading.Thread(target=lambda: answers.append(program.ask()))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(2) as pool:
            answers += pool.map(lambda _: program.ask(), range(2))
    return answers


FORMS: dict[str, Callable[[Program], Any]] = {
    "chat": lambda program: program.client.chat.completions.create(**CHAT),
    "stream": _stream,
    "broken off": _broken_off,
    "dropped": _dropped,
    "raw stream": _raw_stream,
    "streaming body": _streaming_body,
    "raw": _raw,
    "refused": _refused,
    "embeddings": _embeddings,
    "responses": _responses,
    "tool turn": _tool_turn,
    "async chat": _async_chat,
    "async stream": _async_stream,
    "async raw stream": _async_raw_stream,
    "agent": _agent,
    "failing agent": lambda program: _failing_agent(),
    "async agent": lambda program: program.run_async(_async_agent(program)),
    "generator": _generator,
    "left generator": _left_generator,
    "async generator": _async_generator,
    "with agent": _with_agent,
    "with async": lambda program: program.run_async(_with_async(program)),
    "with session": _with_session,
    "session raises": _session_raises,
    "in session": _in_session,
    "session generator": lambda program: list(_session_generator()),
    "begin finish": _begin_finish,
    "paused": _paused,
    "threads": _threads,
}
