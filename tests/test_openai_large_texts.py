"""Much content of asynchronous calls: scanned beside the event loop, once, and hidden as ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import openai
import pytest

from spantally.calls import beside
from spantally.ground import guard
from spantally.ground.records import Status
from spantally.instrumentors.openai import beginning, taps
from spantally.instrumentors.openai.wire import content
from spantally.redaction import engine
from spantally.redaction.registry import forget_literals
from spantally.testing import Reply, ScriptedServer
from watching import Watched

SECRET = "sk-proj-" + "Zb2C3d4E" * 5
WORDS = "a key to the token of some house, and so on. "
LONG = WORDS * 1_600

Scans = list[tuple[bool, int]]


@pytest.fixture
def active() -> Iterator[Watched]:
    forget_literals()
    made = Watched(capture_content="span_only")
    yield made
    made.close()


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> Scans:
    """Whether each scan of a long text ran on the main thread, and how long the text was."""
    found: Scans = []
    scan = engine.redact

    def noted(text: str, *args: Any, **kwargs: Any) -> str:
        if len(text) > 10_000:
            found.append((threading.current_thread() is threading.main_thread(), len(text)))
        return scan(text, *args, **kwargs)

    monkeypatch.setattr(engine, "redact", noted)
    return found


def run(server: ScriptedServer, act: Callable[[openai.AsyncOpenAI], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="made-up", max_retries=0) as client:
            return await act(client)

    return asyncio.run(main())


def asked(text: str) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}


async def _chat(client: openai.AsyncOpenAI, text: str) -> None:
    await client.chat.completions.create(**asked(text))


async def _chat_stream(client: openai.AsyncOpenAI, text: str) -> None:
    async for _ in await client.chat.completions.create(**asked(text), stream=True):
        pass


async def _respond(client: openai.AsyncOpenAI, text: str) -> None:
    await client.responses.create(model="gpt-4o", input=text, instructions="short")


async def _respond_stream(client: openai.AsyncOpenAI, text: str) -> None:
    async for _ in await client.responses.create(model="gpt-4o", input=text, stream=True):
        pass


@pytest.mark.parametrize("form", [_chat, _chat_stream, _respond, _respond_stream])
def test_nothing_long_is_scanned_on_the_loop(
    form: Callable[[openai.AsyncOpenAI, str], Awaitable[None]], active: Watched, scans: Scans
) -> None:
    """Neither what is asked nor what is answered; and the secrets in both are hidden."""
    with ScriptedServer([Reply(text=f"{SECRET} {LONG[::-1]}")]) as server:
        run(server, lambda client: form(client, f"{SECRET} {LONG}"))
    assert len(scans) >= 2
    assert [size for on_main, size in scans if on_main] == []
    exported = active.exported()
    assert SECRET.encode() not in exported
    assert exported.count(b"[REDACTED:openai-key:") >= 2


def test_a_history_is_scanned_once(active: Watched, scans: Scans, server: ScriptedServer) -> None:
    """What an earlier call has sent costs nothing again, wherever it is scanned."""

    async def act(client: openai.AsyncOpenAI) -> None:
        messages: list[Any] = []
        for number in range(4):
            messages.append({"role": "user", "content": f"{number} {LONG}"})
            await client.chat.completions.create(model="gpt-4o", messages=messages)

    run(server, act)
    assert len({size for _, size in scans}) == len(scans) or len(scans) <= 8
    assert sum(size for _, size in scans) < 10 * len(LONG)


def test_a_call_that_is_given_up_while_it_waits_is_none(
    active: Watched, monkeypatch: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    """The cancellation is the program's, nothing was sent, and nothing is recorded."""
    held = threading.Event()
    monkeypatch.setattr(type(active_redactor()), "text", lambda *args: held.wait(10))

    async def act(client: openai.AsyncOpenAI) -> None:
        call = asyncio.ensure_future(client.chat.completions.create(**asked(LONG)))
        await asyncio.sleep(0.2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    try:
        run(server, act)
    finally:
        held.set()
    assert active.records == []
    assert server.requests == []


def test_a_call_that_is_given_up_with_its_answer_there_is_counted(
    active: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its usage is known, though the program never sees the answer."""
    held = threading.Event()
    text = type(active_redactor()).text

    def slow(redactor: Any, given: str, *args: Any) -> Any:
        if threading.current_thread().name == "spantally-scan":
            held.wait(10)
        return text(redactor, given, *args)

    monkeypatch.setattr(type(active_redactor()), "text", slow)

    async def act(client: openai.AsyncOpenAI) -> None:
        call = asyncio.ensure_future(client.chat.completions.create(**asked("short")))
        for _ in range(200):
            await asyncio.sleep(0.02)
            if any(thread.name == "spantally-scan" for thread in threading.enumerate()):
                break
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    try:
        with ScriptedServer([Reply(text=LONG)]) as server:
            run(server, act)
    finally:
        held.set()
    (record,) = active.records
    assert record.status == Status.CANCELLED
    assert record.usage is not None


@pytest.mark.parametrize(
    ("part", "place"),
    [("texts_of", "calls.beside"), ("in_event_loop", "calls.beside"), ("Redactor.text", "calls.scan")],
)
def test_failing_to_scan_beside_stays_ours(
    part: str, place: str, active: Watched, monkeypatch: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    """The call is made, answered and counted; its content is redacted where it is put."""

    def fail(*args: Any) -> Any:
        raise RuntimeError

    if part == "Redactor.text":
        cls = type(active_redactor())
        text = cls.text

        def failing(redactor: Any, *args: Any) -> Any:
            return fail() if threading.current_thread().name == "spantally-scan" else text(redactor, *args)

        monkeypatch.setattr(cls, "text", failing)
    else:
        monkeypatch.setattr(beside, part, fail)
    run(server, lambda client: _chat(client, f"{SECRET} {LONG}"))
    assert len(active.records) == 1
    assert SECRET.encode() not in active.exported()
    assert place in {where for where, _ in guard.failures}


def test_failing_to_look_for_texts_stays_ours(
    active: Watched, monkeypatch: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    """Keys, bodies and streams that cannot be read change nothing."""

    def fail(*args: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(beginning, "remember_keys", fail)
    monkeypatch.setattr(content, "output_messages", fail)
    run(server, lambda client: _chat_stream(client, "hello"))
    assert len(active.records) == 1

    async def process(client: Any) -> str:
        return "answer"

    assert asyncio.run(taps.TAPS.around_response_async(process)(None)) == "answer"
    met = {where for where, _ in guard.failures}
    assert {"sdk.keys", "sdk.collected", "sdk.response_body"} <= met


def test_little_text_starts_no_thread(active: Watched, server: ScriptedServer) -> None:
    """Ordinary calls are as they were."""
    assert beside.texts_of({"messages": [{"content": "x" * 60_000}]}) == []
    assert (
        beside.texts_of({"image_url": "x" * 100_000, "other": ["data:image/png;base64," + "A" * 99_999]})
        == []
    )
    assert beside.texts_of([WORDS * 10] * 200) == [WORDS * 10] * 200


def active_redactor() -> Any:
    from spantally.calls import telemetry

    return telemetry.active.redactor
