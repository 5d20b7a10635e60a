"""What is open when everything is taken back: its row is written when it ends, and nothing of us is left."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import anthropic_forms_kit
import openai_forms_kit
import spantally
from spantally.api import stragglers
from spantally.calls import pipeline
from spantally.ground import guard
from spantally.ground.worker import worker
from spantally.testing import Reply, ScriptedServer, Usage

CHAT: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}
ASKED: Any = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
FINE = Reply(text="one two three four", usage=Usage(input=11, output=7))


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A ledger in force."""
    spantally.uninstrument()
    guard.reset()
    made = tmp_path / "ledger.db"
    spantally.instrument(ledger=made, tracer_provider=None)
    yield made
    spantally.uninstrument()
    stragglers.hand_over()


def rows(path: Path) -> list[Any]:
    """The calls that the ledger has; marks of what runs are none."""
    assert worker.flush(10)
    if not path.exists():
        return []
    with spantally.open_ledger(path) as ledger:
        return [row for row in ledger.calls() if row.status != "running"]


def nothing_is_left() -> None:
    """No consumer, and no thread once the worker has come round."""
    assert not pipeline.consumers()
    for _ in range(200):
        if not any(thread.name == worker.name for thread in threading.enumerate()):
            break
        time.sleep(0.05)
    assert not any(thread.name == worker.name for thread in threading.enumerate())
    assert not guard.failures, guard.failures


def _exhaust(stream: Any) -> None:
    assert list(stream)


def _close(stream: Any) -> None:
    stream.close()


def _leave(stream: Any) -> None:
    del stream
    gc.collect()


ENDS: dict[str, Callable[[Any], None]] = {"exhausted": _exhaust, "closed": _close}


@pytest.mark.parametrize("end", ENDS)
def test_a_stream_that_is_open_has_its_row(end: str, path: Path) -> None:
    """The usage of what is read to its end is there; what is left is possibly billed."""
    with ScriptedServer(FINE) as server, openai_forms_kit.client_of(server) as client:
        stream = client.chat.completions.create(**ASKED)
        next(iter(stream))
        spantally.uninstrument()
        assert rows(path) == []
        client.chat.completions.create(**CHAT)  # made since, and none of ours
        ENDS[end](stream)
        (row,) = rows(path)
    assert (row.status, row.possibly_billed) == ("ok", end == "closed")
    assert (row.input_tokens, row.output_tokens) == ((11, 7) if end == "exhausted" else (None, None))
    nothing_is_left()


def test_a_stream_that_is_collected_has_its_row(path: Path) -> None:
    """A finaliser only notes the end, and starts no thread."""
    with ScriptedServer(FINE) as server, openai_forms_kit.client_of(server) as client:
        streams = [client.chat.completions.create(**ASKED)]
        next(iter(streams[0]))
        spantally.uninstrument()
        streams.clear()
        gc.collect()
        (row,) = rows(path)
    assert (row.abandoned, row.possibly_billed) == (True, True)
    nothing_is_left()


def test_several_streams_of_other_kinds(path: Path) -> None:
    """Anthropic's, asynchronous ones, and an agent around: each has its row when it ends."""

    async def run(server: ScriptedServer) -> None:
        async with (
            openai_forms_kit.async_client_of(server) as one,
            anthropic_forms_kit.async_client_of(server) as other,
        ):
            with spantally.agent("planner"):
                first = await one.chat.completions.create(**ASKED)
                second = await other.messages.create(**anthropic_forms_kit.ASK, stream=True)
                await anext(first)
                await anext(second)
                spantally.uninstrument()
                assert [chunk async for chunk in first]
                assert [row.kind for row in rows(path)] == ["inference"]
                assert [event async for event in second]

    with ScriptedServer(FINE) as server:
        asyncio.run(run(server))
    found = rows(path)
    assert sorted(row.kind for row in found) == ["agent", "inference", "inference"]
    assert {(row.input_tokens, row.output_tokens) for row in found if row.kind == "inference"} == {(11, 7)}
    nothing_is_left()


def test_who_starts_again_has_the_row_once(path: Path) -> None:
    """What ends then goes to the ledger in force."""
    with ScriptedServer(FINE) as server, openai_forms_kit.client_of(server) as client:
        stream = client.chat.completions.create(**ASKED)
        next(iter(stream))
        spantally.uninstrument()
        spantally.instrument(ledger=path)
        assert not stragglers.are_left()
        assert list(stream)
        (row,) = rows(path)
    assert (row.input_tokens, row.output_tokens) == (11, 7)
    spantally.uninstrument()
    nothing_is_left()


@pytest.mark.parametrize("part", ["open_work", "interrupt"])
def test_waiting_that_raises_is_nobodys_harm(part: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, and the rest is taken back; also at the exit."""

    class Broken:
        def __call__(self, *_: Any) -> Any:
            raise RuntimeError("broken for the test")

        open_now = __call__

    with ScriptedServer(FINE) as server, openai_forms_kit.client_of(server) as client:
        stream = client.chat.completions.create(**ASKED)
        next(iter(stream))
        if part == "open_work":
            monkeypatch.setattr(stragglers, part, Broken())
        spantally.uninstrument()
        monkeypatch.setattr(stragglers, part, Broken())
        stragglers._at_exit()
        assert list(stream)
    assert dict(guard.failures) == {("api.stragglers", "RuntimeError"): 1}
    stragglers.hand_over()
    assert not pipeline.consumers()


PROGRAM = """
import sys
import openai, spantally
spantally.instrument(ledger=sys.argv[1])
client = openai.OpenAI(base_url=sys.argv[2], api_key="sk-made-up-for-tests-0001", max_retries=0)
kept = client.chat.completions.create(
    model="gpt-4o", messages=[{"role": "user", "content": "hello"}], stream=True
)
next(iter(kept))
spantally.uninstrument()
"""


def test_a_stream_that_never_ends_is_interrupted_by_the_exit(tmp_path: Path) -> None:
    """The end of the process is its end, too."""
    path = tmp_path / "ledger.db"
    with ScriptedServer(FINE) as server:
        # CPython 3.13.0 crashes where a stream of openai 3 is open at its very end, also without spantally.
        subprocess.run([sys.executable, "-c", PROGRAM, str(path), server.base_url], check=False, timeout=120)
    (row,) = rows(path)
    assert (row.status, row.possibly_billed) == ("interrupted", True)
