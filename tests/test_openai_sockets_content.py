"""Content of realtime sessions: kept away unless it is asked for, then joined, and without its secrets."""

from __future__ import annotations

import json

import pytest

from otel_kit import SECRET
from sockets_kit import (
    MODES,
    SOUND,
    Both,
    SocketServer,
    answer_of,
    created,
    done,
    item_done,
    on_create,
    pieces,
    session,
    spoken,
    talk,
    tool_item,
    user_says,
)
from test_openai_sockets_realtime import HEARD, one_answer
from watching import Watched, attributes

HELLO = [session()]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Both kinds of client."""
    return str(request.param)


def test_content_stays_away_unless_asked_for(mode: str, watched: Watched) -> None:
    """Without content capture no text, transcript or argument is on span or row, nor is it read."""
    with SocketServer(on_create(*answer_of(text="a spoken word")), HELLO) as server:
        talk(mode, server, one_answer)
    assert b"spoken word" not in watched.exported()
    assert b"hello there" not in watched.exported()
    assert watched.records[0].content is None


def test_captured_content_is_joined_and_without_secrets(mode: str) -> None:
    """Items, instructions, tools, texts and transcripts are messages; a secret leaves in no piece of them."""
    half = len(SECRET) // 2
    given = {"type": "function_call_output", "call_id": "call_0", "output": f"found {SECRET}"}
    greeting = [
        session(
            instructions=f"be brief, never say {SECRET}",
            tools=[{"type": "function", "name": "lookup", "description": "look it up"}],
        ),
        {"type": "input_audio_buffer.committed", "event_id": "e", "item_id": "item_u"},
        HEARD,
    ]
    item = tool_item(arguments=json.dumps({"word": SECRET}))
    answer = [created(), *pieces(text=SECRET[:half] + SECRET[half:]), item_done(item)]
    script = on_create(*answer, done(output=[spoken(f"it is {SECRET}"), item]))

    async def program(connection: Both) -> None:
        await connection.until(HEARD["type"])  # type: ignore[arg-type]
        await connection.send(user_says(f"and {SECRET}"))
        await connection.send({"type": "conversation.item.create", "item": given})
        sound = {"type": "input_audio", "audio": SOUND}
        message = {"type": "message", "role": "user", "content": [sound]}
        await connection.send({"type": "conversation.item.create", "item": message})
        await connection.ask()
        await connection.until("response.done")

    watched = Watched(capture_content="span_only", ledger_content="all")
    try:
        with SocketServer(script, greeting) as server:
            talk(mode, server, program)
        told = attributes(watched.spans[0])
        assert SECRET.encode() not in watched.exported()
        assert SECRET not in str(watched.records)
        assert SOUND[:64].encode() not in watched.exported()
    finally:
        watched.close()
    messages = json.loads(told["gen_ai.input.messages"])
    assert [message["role"] for message in messages] == ["user", "user", "tool", "user"]
    assert messages[0]["parts"][0]["content"].startswith("my key is [REDACTED")
    assert messages[3]["parts"][0]["type"] == "blob"
    (answer_told,) = json.loads(told["gen_ai.output.messages"])
    assert [part["type"] for part in answer_told["parts"]] == ["text", "tool_call"]
    assert "be brief" in told["gen_ai.system_instructions"]
    assert "lookup" in told["gen_ai.tool.definitions"]


def test_pieces_of_a_response_that_broke_off_are_joined_first() -> None:
    """A secret that came in two pieces of an answer that never ended is whole again when it is redacted."""
    events = [created(), *pieces(text=f"it is {SECRET}")]

    async def program(connection: Both) -> None:
        await connection.ask()
        for _ in range(1 + len(events)):
            await connection.recv()

    watched = Watched(capture_content="span_only")
    try:
        with SocketServer(on_create(*events), HELLO) as server:
            talk("sync", server, program)
        told = attributes(watched.spans[0])
        assert "it is [REDACTED" in told["gen_ai.output.messages"]
        assert SECRET[len(SECRET) // 2 :].encode() not in watched.exported()
    finally:
        watched.close()
