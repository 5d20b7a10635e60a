"""Usage that a wire words in its own way, asked-for and estimated usage, and usage of large answers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from pydantic import BaseModel

from openai_forms_kit import async_client_of, client_of
from spantally.ground.errors import SettingsError
from spantally.ground.records import UsageFormat
from spantally.pricing.usage import normalise
from spantally.testing import Reply, ScriptedServer, Usage
from watching import Watched, attributes

IN, OUT = 11, 7
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """A server whose every answer has the same usage."""
    with ScriptedServer(Reply(text="one two three four", usage=Usage(input=IN, output=OUT))) as server:
        yield server


def watching(policy: str) -> Iterator[Watched]:
    """spantally active under a policy."""
    made = Watched(stream_usage=policy)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def asking() -> Iterator[Watched]:
    """The policy ``request``."""
    yield from watching("request")


@pytest.fixture
def estimating() -> Iterator[Watched]:
    """The policy ``estimate``."""
    yield from watching("estimate")


# -- the wire's own words --------------------------------------------------------------------------------


_ANSWER: dict[str, Any] = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
}  # fmt: skip
_RESPONSE: dict[str, Any] = {
    "id": "r1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o", "output": []
}  # fmt: skip
_AS_CHAT = {"prompt_tokens": IN, "completion_tokens": OUT, "prompt_tokens_details": {"cached_tokens": 4}}
_AS_RESPONSE = {"input_tokens": IN, "output_tokens": OUT, "input_tokens_details": {"cached_tokens": 4}}


@pytest.mark.parametrize("recording", [True, False])
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    "usage", [_AS_CHAT, _AS_RESPONSE, {**_AS_CHAT, "input_tokens": 0, "output_tokens": 0}]
)
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_usage_in_the_words_of_the_other_api_is_read(
    api: str, usage: dict[str, Any], streamed: bool, recording: bool
) -> None:
    """Gateways that translate one API into the other leave it as it was."""
    if api == "responses" and usage.get("input_tokens") == 0:
        usage = {**_AS_RESPONSE, "prompt_tokens": 0, "completion_tokens": 0}
    body = {**(_ANSWER if api == "chat" else _RESPONSE), "usage": usage}
    reply = Reply(body=json.dumps(body).encode())
    if streamed:
        event = {**body, "choices": []} if api == "chat" else {"type": "response.completed", "response": body}
        events = {"content-type": "text/event-stream"}
        reply = Reply(body=b"data: " + json.dumps(event).encode() + b"\n\n", headers=events)
    watched = Watched(sampler=ALWAYS_ON if recording else ALWAYS_OFF)
    try:
        with ScriptedServer(reply) as server, client_of(server) as client:
            made: Any = (
                client.chat.completions.create(**CHAT, stream=streamed)
                if api == "chat"
                else client.responses.create(model="gpt-4o", input="x", stream=streamed)
            )
            if streamed:
                list(made)
        (record,) = watched.records
        told = attributes(watched.spans[0]) if recording else None
    finally:
        watched.close()
    assert record.usage is not None
    parts = normalise(record.usage, record.usage_format or "")
    assert (parts.input_total, parts.output_total, parts.cache_read) == (IN, OUT, 4)
    if told is not None:
        assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (IN, OUT)
        assert told["gen_ai.usage.cache_read.input_tokens"] == 4


def test_the_output_of_an_image_is_image_tokens(watched: Watched, scripted: ScriptedServer) -> None:
    """It is billed as such, although the usage does not say so."""
    with client_of(scripted) as client:
        client.images.generate(model="gpt-image-1", prompt="a cat")
    (record,) = watched.records
    assert record.usage is not None
    parts = normalise(record.usage, record.usage_format or "")
    assert (parts.uncached_input, parts.image_output, parts.output) == (IN, OUT, 0)
    assert attributes(watched.spans[0])["gen_ai.usage.image.output_tokens"] == OUT


def test_the_input_of_a_transcript_is_audio_tokens(watched: Watched, scripted: ScriptedServer) -> None:
    """``input_token_details`` of audio endpoints are read as the details they are."""
    with client_of(scripted) as client:
        client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"RIFF"))
    (record,) = watched.records
    assert record.usage is not None
    parts = normalise(record.usage, record.usage_format or "")
    assert (parts.audio_input, parts.uncached_input, parts.output) == (IN, 0, OUT)


def test_speech_that_tells_its_usage_is_audio_tokens(watched: Watched, scripted: ScriptedServer) -> None:
    """Events of speech end with their usage; its output is audio."""
    with client_of(scripted) as client:
        client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="hi", stream_format="sse")
    (record,) = watched.records
    assert record.usage is not None
    assert normalise(record.usage, record.usage_format or "").audio_output == OUT


def test_audio_that_is_billed_by_time_tells_its_seconds(watched: Watched, scripted: ScriptedServer) -> None:
    """The row keeps the usage as it came; without tokens there is no cost, and it is not free."""
    with client_of(scripted) as client:
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"))
    (record,) = watched.records
    assert record.usage == {"type": "duration", "seconds": 3.5}
    assert attributes(watched.spans[0])["spantally.usage.audio_seconds"] == 3.5


@pytest.mark.parametrize("raw", [False, True])
def test_the_usage_of_a_large_image_is_found(watched: Watched, raw: bool) -> None:
    """A megabyte of base64 is not parsed again, and the usage after it is read nevertheless."""
    picture = base64.b64encode(bytes(1_500_000)).decode()
    usage = {"input_tokens": IN, "output_tokens": OUT, "total_tokens": IN + OUT}
    body = json.dumps({"created": 1, "data": [{"b64_json": picture}], "usage": usage}).encode()
    with ScriptedServer([Reply(body=body)]) as server, client_of(server) as client:
        images: Any = client.images.with_raw_response if raw else client.images
        images.generate(model="gpt-image-1", prompt="a cat")
    assert attributes(watched.spans[0])["gen_ai.usage.output_tokens"] == OUT


def test_sound_passes_untouched_and_is_never_gathered(watched: Watched, scripted: ScriptedServer) -> None:
    """Streamed sound reaches the program byte for byte; the call ends with it."""
    with client_of(scripted) as client:
        whole = client.audio.speech.create(model="tts-1", voice="alloy", input="hi").content
        with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input="hi"
        ) as response:
            assert b"".join(response.iter_bytes(16)) == whole
    assert [record.status for record in watched.records] == ["ok", "ok"]
    assert [record.usage for record in watched.records] == [{"characters": 2}, {"characters": 2}]


# -- asked for -------------------------------------------------------------------------------------------


def _dumped(chunks: list[Any]) -> list[Any]:
    return [
        {name: value for name, value in chunk.to_dict().items() if name not in ("id", "created")}
        for chunk in chunks
    ]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_asked_for_usage_is_metered_and_hidden(mode: str, scripted: ScriptedServer) -> None:
    """The request asks for it, the row has it, the program sees the chunks it sees without us."""

    def run() -> list[Any]:
        if mode == "sync":
            with client_of(scripted) as client:
                return list(client.chat.completions.create(**CHAT, stream=True))

        async def read() -> list[Any]:
            async with async_client_of(scripted) as client:
                return [chunk async for chunk in await client.chat.completions.create(**CHAT, stream=True)]

        return asyncio.run(read())

    expected = run()
    watched = Watched(stream_usage="request")
    try:
        seen = run()
        (record,) = watched.records
    finally:
        watched.close()
    assert _dumped(seen) == _dumped(expected)
    assert [type(chunk) for chunk in seen] == [type(chunk) for chunk in expected]
    assert record.usage is not None
    assert record.usage["prompt_tokens"] == IN
    assert (scripted.requests[-1].body or {})["stream_options"] == {"include_usage": True}


def test_the_stream_helper_works_on_an_asked_for_stream(asking: Watched, scripted: ScriptedServer) -> None:
    """chat.completions.stream() reads through the same Stream object."""
    with client_of(scripted) as client, client.chat.completions.stream(**CHAT) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "one two three four"
    assert final.usage is None
    assert asking.records[0].usage is not None


@pytest.mark.parametrize(
    "options",
    [
        {"stream": True, "stream_options": {"include_usage": False}},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "extra_body": {"stream_options": {"include_obfuscation": False}}},
        {"stream": False},
    ],
)
def test_what_the_program_set_itself_stands(
    asking: Watched, scripted: ScriptedServer, options: dict[str, Any]
) -> None:
    """Neither the request nor what is seen of its answer is changed."""
    with client_of(scripted) as client:
        made = client.chat.completions.create(**CHAT, **options)
        chunks = list(made) if options["stream"] else []
    body = scripted.requests[0].body or {}
    wanted = options.get("stream_options") or (options.get("extra_body") or {}).get("stream_options")
    assert body.get("stream_options") == wanted
    asked = (options.get("stream_options") or {}).get("include_usage")
    assert any(chunk.usage for chunk in chunks) == bool(asked)


def test_other_stream_options_are_kept(asking: Watched, scripted: ScriptedServer) -> None:
    """What the program said besides is sent along."""
    options: Any = {"include_obfuscation": False}
    with client_of(scripted) as client:
        list(client.chat.completions.create(**CHAT, stream=True, stream_options=options))
    assert (scripted.requests[0].body or {})["stream_options"] == {
        "include_obfuscation": False,
        "include_usage": True,
    }
    assert options == {"include_obfuscation": False}


@pytest.mark.parametrize("kind", ["raw", "streaming", "responses"])
def test_who_could_see_the_chunk_is_not_asked_for(
    asking: Watched, scripted: ScriptedServer, kind: str
) -> None:
    """Raw readers see every byte, and the Responses API tells its usage anyway: their requests stay."""
    with client_of(scripted) as client:
        if kind == "raw":
            list(client.chat.completions.with_raw_response.create(**CHAT, stream=True).parse())
        elif kind == "streaming":
            with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as response:
                response.read()
        else:
            list(client.responses.create(model="gpt-4o", input="hi", stream=True))
    assert "stream_options" not in (scripted.requests[0].body or {})
    assert len(asking.records) == 1


def test_nothing_is_asked_for_by_default(watched: Watched, scripted: ScriptedServer) -> None:
    """The request is the program's own, and the usage of its stream is unknown."""
    with client_of(scripted) as client:
        list(client.chat.completions.create(**CHAT, stream=True))
    assert "stream_options" not in (scripted.requests[0].body or {})
    assert watched.records[0].usage is None
    assert not watched.records[0].estimated


# -- estimated -------------------------------------------------------------------------------------------


def test_a_stream_without_usage_is_estimated(estimating: Watched, scripted: ScriptedServer) -> None:
    """A token for every four bytes and three for a message; the row says that it is an estimate."""
    with client_of(scripted) as client:
        list(client.chat.completions.create(**CHAT, stream=True))
    (record,) = estimating.records
    # "hello there" has 11 bytes, "one two three four" has 18.
    assert record.usage == {"uncached_input": 3 + 3, "output": 5}
    assert record.usage_format == UsageFormat.PARTS
    assert record.estimated
    told = attributes(estimating.spans[0])
    assert "gen_ai.usage.input_tokens" not in told
    assert json.loads(told["spantally.usage"]) == {"uncached_input": 6, "output": 5}


def test_what_arrived_of_an_abandoned_stream_is_estimated(estimating: Watched) -> None:
    """The input, and the output up to where the program left."""
    with ScriptedServer(Reply(text="word " * 300)) as server, client_of(server) as client:
        stream = client.chat.completions.create(**CHAT, stream=True)
        for _ in range(3):
            next(stream)
        stream.close()
    (record,) = estimating.records
    assert record.abandoned
    assert record.estimated
    assert record.usage is not None
    assert 0 < record.usage["output"] < 100


def test_a_whole_answer_without_usage_is_estimated(estimating: Watched) -> None:
    """Some local servers report none at all."""
    with ScriptedServer(Reply(text="four", usage=False)) as server, client_of(server) as client:
        client.chat.completions.create(**CHAT)
    (record,) = estimating.records
    assert record.usage == {"uncached_input": 6, "output": 1}
    assert record.estimated


@pytest.mark.parametrize("stream", [False, True])
def test_a_reported_usage_is_never_estimated(
    estimating: Watched, scripted: ScriptedServer, stream: bool
) -> None:
    """What the provider says stands."""
    options: Any = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    with client_of(scripted) as client:
        made = client.chat.completions.create(**CHAT, **options)
        if stream:
            list(made)
    (record,) = estimating.records
    assert record.usage is not None
    assert record.usage["prompt_tokens"] == IN
    assert not record.estimated


def test_a_refused_call_is_not_estimated(estimating: Watched) -> None:
    """A rejection bills nothing, so there is nothing to estimate."""
    refused = pytest.raises(openai.BadRequestError)
    with ScriptedServer([Reply(status=400)]) as server, client_of(server) as client, refused:
        client.chat.completions.create(**CHAT)
    (record,) = estimating.records
    assert record.usage is None
    assert not record.estimated


def test_a_wrong_policy_is_told() -> None:
    """The error names value and allowed ones."""
    with pytest.raises(SettingsError, match=r"stream_usage='guess'.*unknown, request, estimate"):
        Watched(stream_usage="guess")


def test_the_environment_sets_the_policy(monkeypatch: pytest.MonkeyPatch, scripted: ScriptedServer) -> None:
    """SPANTALLY_STREAM_USAGE is read where no argument is given."""
    monkeypatch.setenv("SPANTALLY_STREAM_USAGE", "request")
    watched = Watched()
    try:
        with client_of(scripted) as client:
            list(client.chat.completions.create(**CHAT, stream=True))
        assert watched.records[0].usage is not None
    finally:
        watched.close()


def test_no_chunk_of_a_posted_stream_is_one_too_many(scripted: ScriptedServer) -> None:
    """Who posts by itself may have the chunks as plain objects: the asked-for usage is hidden there, too."""

    def run() -> list[Any]:
        with client_of(scripted) as client:
            stream = client.post(
                "/chat/completions",
                body={**CHAT, "stream": True},
                cast_to=object,
                stream=True,
                stream_cls=openai.Stream[object],
            )
            return list(stream)

    expected = run()
    watched = Watched(stream_usage="request")
    try:
        seen = run()
        assert watched.records[0].usage is not None
    finally:
        watched.close()
    assert [chunk["choices"] for chunk in seen] == [chunk["choices"] for chunk in expected]
    assert [sorted(chunk) for chunk in seen] == [sorted(chunk) for chunk in expected]


# -- what is expected, and not there ---------------------------------------------------------------------


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("choices", [None, [], [{"index": 0, "finish_reason": "stop", "message": {}}]])
def test_a_choice_that_did_not_come_has_the_reason_error(watched: Watched, choices: Any, raw: bool) -> None:
    """One reason for each choice that was asked for."""
    body = json.dumps({"id": "c", "model": "gpt-4o", "choices": choices}).encode()
    answer = Reply(body=body, headers={"content-type": "application/json"})
    with ScriptedServer([answer]) as server, client_of(server) as client:
        if raw:
            with client.chat.completions.with_streaming_response.create(**CHAT, n=2) as response:
                response.read()
        else:
            client.chat.completions.create(**CHAT, n=2)
    (span,) = watched.spans
    came = [] if not choices else ["stop"]
    assert attributes(span)["gen_ai.response.finish_reasons"] == [*came, "error", "error"][:2]


def test_sound_that_is_read_to_its_end_has_stopped(watched: Watched, scripted: ScriptedServer) -> None:
    """Piece by piece as in one."""
    asked: Any = {"model": "tts-1", "voice": "alloy", "input": "hi"}
    with client_of(scripted) as client:
        client.audio.speech.create(**asked)
        with client.audio.speech.with_streaming_response.create(**asked) as response:
            b"".join(response.iter_bytes())
    told = [attributes(span)["gen_ai.response.finish_reasons"] for span in watched.spans]
    assert told == [["stop"], ["stop"]]


# -- bodies whose type is told oddly, or not -------------------------------------------------------------

EVENT: Any = {
    "id": "c",
    "model": "gpt-4o",
    "choices": [],
    "usage": {"prompt_tokens": IN, "completion_tokens": OUT},
}


@pytest.mark.parametrize("form", ["raw", "read", "parsed", "lines"])
@pytest.mark.parametrize("told", ["as it is", "in capitals", "text/plain", "application/octet-stream"])
def test_usage_is_read_whatever_a_server_calls_its_body(watched: Watched, told: str, form: str) -> None:
    """Gateways and local servers do not always say what they send."""
    events = form == "lines"
    kind = "text/event-stream" if events else "application/json"
    kind = {"as it is": kind, "in capitals": kind.upper() + "; charset=UTF-8"}.get(told, told)
    sent = json.dumps(EVENT).encode()
    body = b"data: " + sent + b"\n\ndata: [DONE]\n\n" if events else sent
    with (
        ScriptedServer([Reply(body=body, headers={"content-type": kind})]) as server,
        client_of(server) as client,
    ):
        chats = client.chat.completions
        if form == "raw":
            assert chats.with_raw_response.create(**CHAT).content == body
        else:
            with chats.with_streaming_response.create(**CHAT, stream=events) as response:
                if form == "read":
                    assert response.read() == body
                elif form == "lines":
                    assert "data: [DONE]" in list(response.iter_lines())
                else:
                    response.parse()
    (record,) = watched.records
    assert (record.status, record.usage) == ("ok", EVENT["usage"])


class _Number(BaseModel):
    number: int


def _read(client: Any) -> None:
    with client.chat.completions.with_streaming_response.create(**CHAT) as response:
        response.read()


UNREPORTED: dict[str, Any] = {
    "whole": lambda client: client.chat.completions.create(**CHAT),
    "raw": lambda client: client.chat.completions.with_raw_response.create(**CHAT),
    "read by the program": _read,
    "parsed in vain": lambda client: client.chat.completions.parse(**CHAT, response_format=_Number),
    "instead of a stream": lambda client: list(client.chat.completions.create(**CHAT, stream=True)),
}


@pytest.mark.parametrize("form", UNREPORTED)
def test_every_form_of_an_answer_without_usage_is_estimated_alike(form: str, estimating: Watched) -> None:
    """The answer counts by its text, however the program reads it; a raw one had counted as empty."""
    message = {"role": "assistant", "content": "word " * 40}
    body = {**_ANSWER, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    server = ScriptedServer(Reply(body=json.dumps(body).encode()))
    with server, client_of(server) as client, contextlib.suppress(ValueError):
        UNREPORTED[form](client)
    (record,) = estimating.records
    assert record.estimated
    assert record.usage is not None
    assert record.usage["output"] == 50
    assert record.usage["uncached_input"] > 0
