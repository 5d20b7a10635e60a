"""What is billed by the piece: text that is read aloud, the length of a recording, pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from openai_forms_kit import client_of
from spantally.ground import guard
from spantally.instrumentors.openai.call import OpenAICall
from spantally.pricing.rate import rate
from spantally.testing import Reply, ScriptedServer
from watching import Watched, attributes

WAV = ("a.wav", b"RIFF")


def asked(server_reply: Reply, ask: Callable[[openai.OpenAI], Any], watched: Watched) -> Any:
    """The record of one call."""
    with ScriptedServer([server_reply]) as server, client_of(server) as client:
        ask(client)
    (record,) = watched.records
    return record


def told(body: Any) -> Reply:
    """A JSON body as it stands."""
    return Reply(body=json.dumps(body).encode())


def streamed(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="hello wörld"
    ) as response:
        for _ in response.iter_bytes():
            pass


def left(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="hello wörld"
    ):
        pass


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.audio.speech.create(model="tts-1", voice="alloy", input="hello wörld"),
        lambda client: client.audio.speech.with_raw_response.create(
            model="tts-1", voice="alloy", input="hello wörld"
        ),
        streamed,
        left,
    ],
    ids=["whole", "raw", "streamed", "left"],
)
def test_speech_costs_the_characters_it_was_asked_for(watched: Watched, ask: Any) -> None:
    """11 characters at $15 a million; sound itself tells no usage."""
    record = asked(Reply(text="ok"), ask, watched)
    rating = rate(record)
    assert (rating.nano_usd, rating.status) == (11 * 15_000, "priced")
    assert json.loads(attributes(watched.spans[0])["spantally.usage"]) == {"characters": 11}


def test_a_count_that_fails_stays_ours(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sound is the program's, and the call is counted, without usage."""
    monkeypatch.setattr(OpenAICall, "take", lambda *given: 1 / 0)
    record = asked(Reply(text="ok"), streamed, watched)
    assert (record.status, record.usage) == ("ok", None)
    assert guard.failures[("sdk.counted", "ZeroDivisionError")]
    guard.reset()


def test_speech_that_is_billed_by_tokens_has_no_usage(watched: Watched) -> None:
    """gpt-4o-mini-tts tells its tokens with events alone: a count of characters would be no bill."""
    record = asked(
        Reply(text="ok"),
        lambda client: client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="hi"),
        watched,
    )
    assert record.usage is None


def test_speech_that_was_refused_costs_nothing(watched: Watched) -> None:
    """What was asked for is billed only where sound came."""

    def ask(client: openai.OpenAI) -> None:
        with pytest.raises(openai.BadRequestError):
            client.audio.speech.create(model="tts-1", voice="alloy", input="hi")

    assert asked(Reply(status=400), ask, watched).usage is None


@pytest.mark.parametrize("length", [27.5, "27.5"])
def test_a_verbose_transcript_is_billed_by_its_length(watched: Watched, length: Any) -> None:
    """Whisper at $0.36 an hour is $0.0001 a second; some versions of the API write it as a text."""
    record = asked(
        told({"text": "hi", "duration": length, "segments": []}),
        lambda client: client.audio.transcriptions.create(
            model="whisper-1", file=WAV, response_format="verbose_json"
        ),
        watched,
    )
    rating = rate(record)
    assert (rating.nano_usd, rating.status) == (2_750_000, "priced")


def test_a_length_that_is_none_is_no_usage(watched: Watched) -> None:
    """A field of that name with something else in it says nothing."""
    record = asked(
        told({"text": "hi", "duration": "long"}),
        lambda client: client.audio.transcriptions.create(
            model="whisper-1", file=WAV, response_format="verbose_json"
        ),
        watched,
    )
    assert record.usage is None


@pytest.mark.parametrize("size", [8, 400_000], ids=["small", "large"])
def test_pictures_without_tokens_are_counted(watched: Watched, size: int) -> None:
    """A rate of the user's own for a picture holds for each; a large body is not parsed."""
    record = asked(
        told({"created": 1, "data": [{"b64_json": "e" * size, "revised_prompt": '"b64_json"'}] * 2}),
        lambda client: client.images.generate(model="dall-e-3", prompt="a cat", n=2),
        watched,
    )
    assert (record.usage, record.usage_format) == ({"images": 2}, "parts")
    assert json.loads(attributes(watched.spans[0])["spantally.usage"]) == {"images": 2}
