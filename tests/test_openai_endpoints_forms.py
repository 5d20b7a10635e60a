"""Every endpoint of the openai SDK over real HTTP: one span, one row, true usage, nothing changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest

from openai_forms_kit import Outcome, client_of, run_async, run_sync, unwatched, watched_run
from spantally.ground.records import COUNTED_KINDS, Kind
from spantally.ground.semconv import OPERATIONS
from spantally.testing import Reply, ScriptedServer, Usage
from spantally.testing.loopback import Connection, LoopbackServer
from watching import Watched, attributes

IN, OUT = 11, 7
MESSAGES: Any = [{"role": "user", "content": "hello there"}]
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
ASKED: dict[str, Any] = {"include_usage": True}
SOUND = ("speech.wav", b"RIFF" + bytes(64), "audio/wav")
PICTURE = ("one.png", b"\x89PNG" + bytes(64), "image/png")
THREAD = "thread_scripted_9"


def script() -> Reply:
    """The same answer to everything, with a usage that cannot come from anywhere else."""
    return Reply(text="the answer", usage=Usage(input=IN, output=OUT))


class Form(NamedTuple):
    """One way to call the SDK."""

    call: Callable[[Any], Any]
    kind: Kind
    operation: str
    usage: tuple[int, int] | None
    """Tokens in and out where the wire tells them."""
    subject: str | None = None
    """What follows the operation in the span's name."""


def _made(call: Callable[[Any], Any], model: str, usage: tuple[int, int] | None = (IN, OUT)) -> Form:
    return Form(call, Kind.INFERENCE, "generate_content", usage, model)


def _other(call: Callable[[Any], Any], operation: str, subject: str | None = None) -> Form:
    return Form(call, Kind.OTHER, operation, None, subject)


FORMS: dict[str, Form] = {
    "completions": Form(
        lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="once"),
        Kind.INFERENCE,
        "text_completion",
        (IN, OUT),
        "gpt-3.5-turbo-instruct",
    ),
    "completions_stream": Form(
        lambda c: c.completions.create(
            model="gpt-3.5-turbo-instruct", prompt="once", stream=True, stream_options=ASKED
        ),
        Kind.INFERENCE,
        "text_completion",
        (IN, OUT),
        "gpt-3.5-turbo-instruct",
    ),
    "completions_raw": Form(
        lambda c: c.completions.with_raw_response.create(model="gpt-3.5-turbo-instruct", prompt="once"),
        Kind.INFERENCE,
        "text_completion",
        (IN, OUT),
        "gpt-3.5-turbo-instruct",
    ),
    "responses_compact": Form(
        lambda c: c.responses.compact(model="gpt-4o", input="a long story"),
        Kind.INFERENCE,
        "chat",
        (IN, OUT),
        "gpt-4o",
    ),
    "responses_input_tokens": _other(
        lambda c: c.responses.input_tokens.count(model="gpt-4o", input="how long"), "count_tokens", "gpt-4o"
    ),
    "images_generate": _made(lambda c: c.images.generate(model="gpt-image-1", prompt="a cat"), "gpt-image-1"),
    "images_generate_raw": _made(
        lambda c: c.images.with_raw_response.generate(model="gpt-image-1", prompt="a cat"), "gpt-image-1"
    ),
    "images_generate_stream": _made(
        lambda c: c.images.generate(model="gpt-image-1", prompt="a cat", stream=True), "gpt-image-1"
    ),
    "images_generate_dalle": _made(
        lambda c: c.images.generate(model="dall-e-3", prompt="a cat"), "dall-e-3", None
    ),
    "images_edit": _made(
        lambda c: c.images.edit(model="gpt-image-1", image=PICTURE, prompt="a hat"), "gpt-image-1"
    ),
    "images_edit_stream": _made(
        lambda c: c.images.edit(model="gpt-image-1", image=PICTURE, prompt="a hat", stream=True),
        "gpt-image-1",
    ),
    "images_variation": _made(
        lambda c: c.images.create_variation(model="dall-e-2", image=PICTURE), "dall-e-2", None
    ),
    "speech": _made(lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="hi"), "tts-1", None),
    "speech_events": _made(
        lambda c: c.audio.speech.create(
            model="gpt-4o-mini-tts", voice="alloy", input="hi", stream_format="sse"
        ),
        "gpt-4o-mini-tts",
    ),
    "transcription": _made(
        lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND), "gpt-4o-transcribe"
    ),
    "transcription_stream": _made(
        lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND, stream=True),
        "gpt-4o-transcribe",
    ),
    "transcription_text": _made(
        lambda c: c.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=SOUND, response_format="text"
        ),
        "gpt-4o-transcribe",
        None,
    ),
    "transcription_by_time": _made(
        lambda c: c.audio.transcriptions.create(model="whisper-1", file=SOUND), "whisper-1", None
    ),
    "translation": _made(
        lambda c: c.audio.translations.create(model="whisper-1", file=SOUND), "whisper-1", None
    ),
    "moderation": _other(
        lambda c: c.moderations.create(model="omni-moderation-latest", input="is it fine"),
        "moderation",
        "omni-moderation-latest",
    ),
    "moderation_default": _other(lambda c: c.moderations.create(input="is it fine"), "moderation"),
    "file_upload": _other(lambda c: c.files.create(file=("a.jsonl", b"{}"), purpose="batch"), "upload_file"),
    "file_list": _other(lambda c: c.files.list(), "list_files"),
    "batch_create": _other(
        lambda c: c.batches.create(
            input_file_id="file_1", endpoint="/v1/chat/completions", completion_window="24h"
        ),
        "create_batch",
    ),
    "batch_list": _other(lambda c: c.batches.list(), "list_batches"),
    "vector_store_search": Form(
        lambda c: c.vector_stores.search("vs_1", query="what", max_num_results=3),
        Kind.RETRIEVAL,
        "retrieval",
        None,
        "vs_1",
    ),
    "conversation_create": _other(lambda c: c.conversations.create(), "create_conversation"),
    "conversation_retrieve": _other(lambda c: c.conversations.retrieve("conv_1"), "fetch_conversation"),
    "conversation_update": _other(
        lambda c: c.conversations.update("conv_1", metadata={}), "update_conversation"
    ),
    "conversation_delete": _other(lambda c: c.conversations.delete("conv_1"), "delete_conversation"),
    "conversation_items": _other(lambda c: c.conversations.items.list("conv_1"), "list_conversation_items"),
    "conversation_add": _other(
        lambda c: c.conversations.items.create("conv_1", items=[{"role": "user", "content": "hi"}]),
        "add_conversation_items",
    ),
    "assistant_create": _other(
        lambda c: c.beta.assistants.create(model="gpt-4o", name="helper"), "create_agent", "helper"
    ),
    "run_stream": Form(
        lambda c: c.beta.threads.runs.create(THREAD, assistant_id="asst_1", model="gpt-4o", stream=True),
        Kind.INFERENCE,
        "invoke_agent",
        (IN, OUT),
    ),
    "thread_run_stream": Form(
        lambda c: c.beta.threads.create_and_run(assistant_id="asst_1", model="gpt-4o", stream=True),
        Kind.INFERENCE,
        "invoke_agent",
        (IN, OUT),
    ),
    "unknown_with_model": _other(
        lambda c: c.post("/rerank", body={"model": "reranker"}, cast_to=object), "rerank", "reranker"
    ),
}
if hasattr(openai.OpenAI, "decisions"):
    FORMS["decisions"] = Form(
        lambda c: c.decisions.create(
            model="gpt-4o", input="x", questions=[{"type": "predicate", "question": "is it?"}]
        ),
        Kind.INFERENCE,
        "generate_content",
        (IN, OUT),
        "gpt-4o",
    )


RUNS: dict[str, Callable[..., Outcome]] = {"sync": run_sync, "async": run_async}


@pytest.mark.parametrize("mode", RUNS)
@pytest.mark.parametrize("name", [name for name in FORMS if name != "unknown_with_model"])
def test_form_is_seen_once_and_unchanged(name: str, mode: str) -> None:
    """A form gives one row and one span with the usage of the wire, and the outcome it has without us."""
    form, run = FORMS[name], RUNS[mode]
    expected = unwatched(form.call, script(), run)
    outcome, watched, server = watched_run(form.call, script(), run)
    assert outcome == expected
    check(form, watched, server)


def check(form: Form, watched: Watched, server: ScriptedServer) -> None:
    """One row and one span that agree with each other and with the bill."""
    (record,) = watched.records
    (span,) = watched.spans
    told = attributes(span)
    assert (record.kind, record.operation, record.status) == (form.kind, form.operation, "ok")
    assert span.name == (f"{form.operation} {form.subject}" if form.subject else form.operation)
    assert span.kind == 3  # CLIENT
    assert told["spantally.call.id"] == record.call_id
    assert told.get("gen_ai.operation.name") == (form.operation if form.operation in OPERATIONS else None)
    if form.operation in OPERATIONS:
        assert told["gen_ai.provider.name"] == "openai"
    else:
        assert not [name for name in told if name.startswith("gen_ai.")]
    assert told["server.address"] == "127.0.0.1"
    tokens = told.get("gen_ai.usage.input_tokens"), told.get("gen_ai.usage.output_tokens")
    assert tokens == (form.usage or (None, None))
    billed = sum(bill.usage.input for bill in server.bills if bill.reported)
    assert billed == (form.usage[0] if form.usage else 0)
    if form.kind not in COUNTED_KINDS:
        assert record.usage is None
        assert not server.bills
    assert not record.possibly_billed


@pytest.mark.parametrize("mode", RUNS)
def test_an_unknown_endpoint_with_a_model_has_a_span(mode: str, watched: Watched) -> None:
    """It is traced by the last word of its path and counts nothing; its error reaches the program."""
    with ScriptedServer() as server, pytest.raises(openai.NotFoundError):
        RUNS[mode](FORMS["unknown_with_model"].call, server)
    (record,) = watched.records
    assert (record.kind, record.operation, record.status) == ("other", "rerank", "error")
    assert not record.possibly_billed
    assert watched.spans[0].name == "rerank reranker"


SECRET = "sk-proj-" + "Zx9" * 16


@pytest.mark.parametrize(
    ("call", "told", "answered"),
    [
        (lambda c: c.images.generate(model="gpt-image-1", prompt=f"a cat with {SECRET}"), "a cat with", None),
        (lambda c: c.audio.speech.create(model="tts-1", voice="a", input=f"say {SECRET}"), "say", None),
        (
            lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND, prompt="names"),
            "names",
            "the answer",
        ),
        (
            lambda c: c.audio.transcriptions.create(model="whisper-1", file=SOUND, response_format="text"),
            None,
            "the answer",
        ),
        (lambda c: c.responses.compact(model="gpt-4o", input=f"long {SECRET}"), "long", "compaction"),
    ],
)
def test_content_is_captured_where_it_is_wanted(
    call: Callable[[Any], Any], told: str | None, answered: str | None
) -> None:
    """Prompts and transcripts go onto the span only where the policy says so, without their secrets."""
    for mode in ("no_content", "span_only"):
        watched = Watched(capture_content=mode)
        try:
            with ScriptedServer(script()) as server:
                run_sync(call, server)
            found = attributes(watched.spans[0])
            exported = watched.exported()
        finally:
            watched.close()
        assert SECRET.encode() not in exported
        for key, text in (("gen_ai.input.messages", told), ("gen_ai.output.messages", answered)):
            if mode == "no_content" or text is None:
                assert key not in found
            else:
                assert text in found[key]


class Unforeseen(LoopbackServer):
    """Answers every path with the same usage."""

    def handle_http(self, connection: Connection, body: bytes) -> None:
        """Answer."""
        usage = {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT}
        connection.answer_json(200, {"model": "reranker-2", "results": [], "usage": usage})


def test_an_unknown_endpoint_that_reports_tokens_counts(watched: Watched) -> None:
    """What an endpoint that nobody foresaw says it used is not lost: its row is of a kind that counts."""
    with (
        Unforeseen() as server,
        openai.OpenAI(base_url=server.url, api_key="sk-made-up", max_retries=0) as client,
    ):
        client.post("/rerank", body={"model": "reranker"}, cast_to=object)
    (record,) = watched.records
    assert record.kind in COUNTED_KINDS
    assert (record.operation, record.response_model) == ("rerank", "reranker-2")
    assert record.usage == {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT}


def test_endpoints_without_a_model_are_not_traced(watched: Watched, server: ScriptedServer) -> None:
    """Listing models, or whatever else names none, gives neither row nor span."""
    with client_of(server) as client:
        client.models.list()
    assert not watched.records
    assert not watched.spans


OPENAI_2 = os.environ.get("OPENAI2_PYTHON")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not OPENAI_2, reason="OPENAI2_PYTHON names no Python with openai 2.x")
def test_the_older_major_of_the_sdk_passes_too() -> None:
    """All tests of endpoints, forms and recordings pass with openai 2.x, whose packages go before our own."""
    assert OPENAI_2 is not None
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    found = subprocess.run([OPENAI_2, "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    env = {name: value for name, value in os.environ.items() if name != "OPENAI2_PYTHON"}
    env["PYTHONPATH"] = found.stdout.strip()
    here = Path(__file__).parent
    kinds = ("endpoints_*", "forms*", "recordings", "stream_ends", "odd_requests")
    tests = sorted(str(path) for kind in kinds for path in here.glob(f"test_openai_{kind}.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
        env=env,
    )
    assert done.returncode == 0, done.stdout[-4000:]
