"""Answers that come later: background responses, runs, batches. Their usage counts once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest

import spantally
from openai_forms_kit import KEY, async_client_of, client_of, run_async, run_sync, unwatched, watched_run
from spantally.api.summary import SummaryConsumer
from spantally.calls import pipeline
from spantally.ground.records import CallRecord, Kind
from spantally.ground.worker import worker
from spantally.instrumentors.openai import background
from spantally.instrumentors.stainless import batches
from spantally.ledger.contract import Filter
from spantally.testing import Reply, ScriptedServer, Usage
from spantally.testing.server import ScriptedServer as Server
from watching import Watched, attributes

IN, OUT = 11, 7
RUNS: dict[str, Any] = {"sync": run_sync, "async": run_async}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """No test meets the ids of another."""
    background.forget()
    batches.forget()
    yield
    background.forget()
    batches.forget()


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """A server whose every answer has the same usage."""
    with ScriptedServer(Reply(text="the answer", usage=Usage(input=IN, output=OUT))) as server:
        yield server


def totals(records: list[CallRecord], tmp_path: Path) -> tuple[int, int, int]:
    """Counted calls and tokens in and out, as a ledger counts them."""
    path = str(tmp_path / "counted.db")
    from spantally.ledger.opening import open_store
    from spantally.pricing.rate import rate

    store = open_store(path)
    try:
        store.write(records, rate)
        rows = [row for row in store.calls(Filter()) if row.counted]
        return (
            len(rows),
            sum(row.input_tokens or 0 for row in rows),
            sum(row.output_tokens or 0 for row in rows),
        )
    finally:
        store.close()


def _poll(client: openai.OpenAI) -> Any:
    made = client.responses.create(model="gpt-4o", input="think", background=True)
    while made.status in ("queued", "in_progress"):
        made = client.responses.retrieve(made.id)
    return made


async def _poll_async(client: openai.AsyncOpenAI) -> Any:
    made = await client.responses.create(model="gpt-4o", input="think", background=True)
    while made.status in ("queued", "in_progress"):
        made = await client.responses.retrieve(made.id)
    return made


@pytest.mark.parametrize(("profile", "told"), [("latest", ["4", None, None]), ("1.41", [None, None, None])])
def test_a_resumed_stream_says_where(profile: str, told: list[str | None]) -> None:
    """A stored response read as a stream from an event on: the newest conventions have a name for it."""
    watched = Watched(semconv=profile)
    try:
        with Server(Reply(text="thought")) as server, client_of(server) as client:
            made = client.responses.create(model="gpt-4o", input="think", background=True)
            list(client.responses.retrieve(made.id, stream=True, starting_after=4))
            list(client.responses.retrieve(made.id, stream=True))
            client.responses.retrieve(made.id)
        spans = watched.spans[1:]
    finally:
        watched.close()
    assert [attributes(span).get("gen_ai.request.stream_cursor") for span in spans] == told


@pytest.mark.parametrize("mode", RUNS)
def test_polling_completes_the_row_of_the_call(mode: str, tmp_path: Path) -> None:
    """The row that began a background response gets its usage from the poll that sees the end, once."""
    poll = _poll if mode == "sync" else _poll_async
    reply = Reply(text="thought", usage=Usage(input=IN, output=OUT))
    expected = unwatched(poll, reply, RUNS[mode])
    outcome, watched, _ = watched_run(poll, reply, RUNS[mode])
    assert outcome == expected
    spans = watched.spans
    assert [span.name for span in spans] == ["chat gpt-4o", "fetch_response", "fetch_response"]
    for span in spans[1:]:
        told = attributes(span)
        assert told["gen_ai.response.id"] == outcome.result[1]["id"]
        assert "gen_ai.usage.input_tokens" not in told
    assert attributes(spans[2])["gen_ai.response.status"] == "completed"
    bases = [attributes(span).get("spantally.cost.basis", "") for span in spans]
    assert bases[:2] == ["", ""]
    assert json.loads(bases[2])["usage"]["input_tokens"] == IN  # told once, by the span that saw the end
    begun, completed = [record for record in watched.records if record.kind == Kind.INFERENCE]
    assert (begun.status, begun.usage, begun.end_ns) == ("running", None, None)
    assert (completed.status, completed.call_id) == ("ok", begun.call_id)
    assert completed.usage is not None
    assert totals(watched.records, tmp_path) == (1, IN, OUT)


def test_live_totals_hold_a_polled_response(watched: Watched, scripted: ScriptedServer) -> None:
    """The session that began it spent it, also where the poll runs outside."""
    with client_of(scripted) as client:
        with spantally.session("asked") as session:
            made = client.responses.create(model="gpt-4o", input="think", background=True)
        client.responses.retrieve(made.id)
        client.responses.retrieve(made.id)
        client.responses.retrieve(made.id)
    assert (session.totals.calls, session.totals.input_tokens) == (1, IN)


def test_the_summary_counts_a_polled_response_once(watched: Watched, scripted: ScriptedServer) -> None:
    """The row is told when it begins and when it is complete; one that never completes is a call as well."""
    summary = SummaryConsumer()
    pipeline.add_consumer(summary)
    try:
        with client_of(scripted) as client:
            made = client.responses.create(model="gpt-4o", input="think", background=True)
            client.responses.retrieve(made.id)
            client.responses.retrieve(made.id)
            client.responses.create(model="gpt-4o", input="think for long", background=True)
        assert worker.flush(10)
    finally:
        pipeline.remove_consumer(summary)
    assert summary.line(kept=False).startswith(f"spantally: 2 calls, {IN} input + {OUT} output tokens")


def test_a_response_of_another_process_counts_at_its_first_reading(
    watched: Watched, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """Who polls what another process began carries the usage; together they count one call."""
    with client_of(scripted) as client:
        made = client.responses.create(model="gpt-4o", input="think", background=True)
        background.forget()  # as another process
        for _ in range(4):
            client.responses.retrieve(made.id)
    carrying = [record for record in watched.records if record.usage is not None]
    assert len(carrying) == 1
    assert carrying[0].operation == "fetch_response"
    assert carrying[0].kind == Kind.INFERENCE
    assert totals(watched.records, tmp_path) == (1, IN, OUT)
    background.forget()
    with client_of(scripted) as client:
        client.responses.retrieve(made.id)  # and as a third one
    assert totals(watched.records, tmp_path) == (1, IN, OUT)


def test_fetching_a_finished_response_adds_nothing(
    watched: Watched, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """The usage was told with the answer: reading it again, streamed too, counts nothing."""
    with client_of(scripted) as client:
        made = client.responses.create(model="gpt-4o", input="hi")
        client.responses.retrieve(made.id)
        list(client.responses.retrieve(made.id, stream=True))
        client.responses.input_items.list(made.id)
        client.responses.delete(made.id)
    assert [record.operation for record in watched.records] == [
        "chat",
        "fetch_response",
        "fetch_response",
        "list_input_items",
        "delete_response",
    ]
    assert totals(watched.records, tmp_path) == (1, IN, OUT)
    assert all(record.usage is None for record in watched.records[1:])


def test_a_streamed_poll_completes_the_row(
    watched: Watched, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """retrieve(stream=True) sees the end as well."""
    with client_of(scripted) as client:
        made = client.responses.create(model="gpt-4o", input="think", background=True)
        assert list(client.responses.retrieve(made.id, stream=True))
        client.responses.retrieve(made.id)
    assert totals(watched.records, tmp_path) == (1, IN, OUT)


def test_a_background_stream_counts_its_own_usage(
    watched: Watched, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """A background response that is streamed tells its usage itself; fetching it adds nothing."""
    with client_of(scripted) as client:
        events = list(client.responses.create(model="gpt-4o", input="think", background=True, stream=True))
        assert events
    (record,) = watched.records
    assert record.status == "ok"
    assert totals(watched.records, tmp_path) == (1, IN, OUT)


@pytest.mark.parametrize("end", ["lost", "left"])
def test_a_background_stream_that_is_taken_up_again_counts_once(
    watched: Watched, end: str, tmp_path: Path
) -> None:
    """Ledger, live totals and summary have the usage that the second reading told, and one call."""
    summary = SummaryConsumer()
    pipeline.add_consumer(summary)
    reply = Reply(
        text="one two three",
        usage=Usage(input=IN, output=OUT),
        drop_after_chunks=3 if end == "lost" else None,
    )
    whole = Reply(text="one two three", usage=Usage(input=IN, output=OUT))
    try:
        with ScriptedServer([reply, whole]) as server, client_of(server) as client:
            with spantally.session("asked") as session:
                stream = client.responses.create(model="gpt-4o", input="think", background=True, stream=True)
                response_id = next(stream).response.id  # type: ignore[union-attr]
                if end == "lost":
                    with pytest.raises(Exception, match="onnection"):  # of httpx, with openai 2.x
                        list(stream)
                stream.close()
                assert session.totals.possibly_billed_calls == 1
                list(client.responses.retrieve(response_id, stream=True, starting_after=3))
            found = session.totals
        assert worker.flush(10)
    finally:
        pipeline.remove_consumer(summary)
    assert totals(watched.records, tmp_path) == (1, IN, OUT)
    assert (found.calls, found.input_tokens, found.output_tokens) == (1, IN, OUT)
    assert (found.errors, found.possibly_billed_calls, found.unpriced_calls) == (end == "lost", 0, 0)
    assert summary.line(kept=False).startswith(f"spantally: 1 call, {IN} input + {OUT} output tokens, $")


@pytest.mark.parametrize("mode", RUNS)
def test_a_cancelled_response_is_possibly_billed(mode: str) -> None:
    """cancel() ends the row of the call: cancelled, without usage, possibly billed."""

    def cancel(client: openai.OpenAI) -> Any:
        made = client.responses.create(model="gpt-4o", input="think", background=True)
        return client.responses.cancel(made.id).status

    async def cancel_async(client: openai.AsyncOpenAI) -> Any:
        made = await client.responses.create(model="gpt-4o", input="think", background=True)
        return (await client.responses.cancel(made.id)).status

    form: Callable[[Any], Any] = cancel if mode == "sync" else cancel_async
    outcome, watched, _ = watched_run(form, None, RUNS[mode])
    assert outcome.result == "cancelled"
    ended = [record for record in watched.records if record.kind == Kind.INFERENCE][-1]
    assert (ended.status, ended.usage, ended.possibly_billed) == ("cancelled", None, True)
    assert [span.name for span in watched.spans] == ["chat gpt-4o", "cancel_response"]
    assert watched.spans[1].status.code == 0


def _run_and_poll(client: openai.OpenAI) -> Any:
    run = client.beta.threads.runs.create("thread_1", assistant_id="asst_1", model="gpt-4o")
    while run.status in ("queued", "in_progress"):
        run = client.beta.threads.runs.retrieve(run.id, thread_id="thread_1")
    return run


async def _run_and_poll_async(client: openai.AsyncOpenAI) -> Any:
    run = await client.beta.threads.runs.create("thread_1", assistant_id="asst_1", model="gpt-4o")
    while run.status in ("queued", "in_progress"):
        run = await client.beta.threads.runs.retrieve(run.id, thread_id="thread_1")
    return run


@pytest.mark.parametrize("mode", RUNS)
def test_a_run_counts_once_at_its_end(mode: str, tmp_path: Path) -> None:
    """The usage of a run of an assistant comes with the poll that sees it completed."""
    form: Callable[[Any], Any] = _run_and_poll if mode == "sync" else _run_and_poll_async
    reply = Reply(text="done", usage=Usage(input=IN, output=OUT))
    expected = unwatched(form, reply, RUNS[mode])
    outcome, watched, _ = watched_run(form, reply, RUNS[mode])
    assert outcome == expected
    assert [span.name for span in watched.spans] == ["invoke_agent", "fetch_response", "fetch_response"]
    told = attributes(watched.spans[0])
    assert told["gen_ai.agent.id"] == "asst_1"
    assert told["gen_ai.conversation.id"] == "thread_1"
    assert totals(watched.records, tmp_path) == (1, IN, OUT)


# -- batches ---------------------------------------------------------------------------------------------


def lines_of_a_batch() -> bytes:
    """Three requests of three endpoints."""
    asked = [
        ("/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": "a"}]}),
        ("/v1/responses", {"model": "gpt-4o-mini", "input": "b"}),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "c"}),
        ("/v1/moderations", {"input": "d"}),
    ]
    rows = [
        {"custom_id": f"r{number}", "method": "POST", "url": url, "body": body}
        for number, (url, body) in enumerate(asked)
    ]
    return b"\n".join(json.dumps(row).encode() for row in rows)


def _finished_batch(client: openai.OpenAI) -> str:
    file = client.files.create(file=("in.jsonl", lines_of_a_batch()), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch = client.batches.retrieve(batch.id)
    assert batch.status == "completed"
    assert batch.output_file_id is not None
    return batch.output_file_id


def _streamed_download(client: openai.OpenAI, file: str) -> bytes:
    with client.files.with_streaming_response.content(file) as response:
        return b"".join(response.iter_bytes(37))


@pytest.mark.parametrize("streamed", [False, True])
def test_results_of_a_batch_are_rows_of_a_batch(watched: Watched, streamed: bool, tmp_path: Path) -> None:
    """Each line that bills is a row beneath the download, at batch rates; reading it again adds nothing."""
    usage = Usage(input=IN, output=OUT)
    with Server(Reply(text="x", usage=usage)) as server, client_of(server) as client:
        output = _finished_batch(client)
        content = _streamed_download(client, output) if streamed else client.files.content(output).content
        client.files.content(output).read()
        assert content.count(b"\n") == 4
    rows = [record for record in watched.records if (record.price_context or {}).get("batch")]
    assert sorted((row.kind, row.response_model) for row in rows) == [
        ("embeddings", "text-embedding-3-small"),
        ("inference", "gpt-4o"),
        ("inference", "gpt-4o-mini"),
    ]
    download = next(record for record in watched.records if record.operation == "download_file")
    assert {row.parent_call_id for row in rows} == {download.call_id}
    assert {row.status for row in rows} == {"ok"}
    assert totals(watched.records, tmp_path) == (3, 3 * IN, 2 * OUT)
    names = [span.name for span in watched.spans]
    assert names == ["upload_file", "create_batch", "fetch_batch", "download_file", "download_file"]


def test_results_read_by_two_processes_count_once(watched: Watched, tmp_path: Path) -> None:
    """A row's id is the line's: a second reader, who knows nothing of the first, adds nothing."""
    with Server(Reply(text="x", usage=Usage(input=IN, output=OUT))) as server, client_of(server) as client:
        output = _finished_batch(client)
        client.files.content(output)
        assert watched.records
        batches.forget()  # as another process
        client.files.content(output)
    rows = [record for record in watched.records if (record.price_context or {}).get("batch")]
    assert len(rows) == 6
    assert totals(watched.records, tmp_path)[0] == 3


def test_an_asynchronous_download_is_read_too(watched: Watched) -> None:
    """The asynchronous client's download gives the same rows."""
    import asyncio

    with Server(Reply(text="x", usage=Usage(input=IN, output=OUT))) as server:
        with client_of(server) as client:
            output = _finished_batch(client)

        async def read() -> None:
            async with async_client_of(server) as client:
                await client.files.content(output)

        asyncio.run(read())
    assert sum(bool((record.price_context or {}).get("batch")) for record in watched.records) == 3


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"a": 1}\n{"b": 2}\n', b"\x00" * 1000, b'{"custom_id": "x"}\n', b"[1]\n" * 10, b"{\n" * 99],
)
def test_another_file_is_left_alone(watched: Watched, content: bytes) -> None:
    """A file that holds no results gives its one row and reaches the program as it is."""
    with Server() as server, client_of(server) as client:
        made = client.files.create(file=("x.bin", content), purpose="user_data")
        assert client.files.content(made.id).content == content
        assert _streamed_download(client, made.id) == content
    assert [record.operation for record in watched.records] == [
        "upload_file",
        "download_file",
        "download_file",
    ]
    pipeline.end_late_now()
    assert len(watched.records) == 3


# -- streams that were left, and are fetched afterwards --------------------------------------------------

_ANSWER: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-4o",
    "output": [],
}
_BILL = {"input_tokens": IN, "output_tokens": OUT, "total_tokens": IN + OUT}


class Kept(BaseHTTPRequestHandler):
    """Streams one response, and gives it whole to whoever fetches it."""

    protocol_version = "HTTP/1.1"
    background = False

    def do_POST(self) -> None:
        """The stream of it."""
        self.rfile.read(int(self.headers["content-length"]))
        told = [
            {"type": "response.created", "response": self._response("in_progress")},
            {"type": "response.completed", "response": self._response("completed")},
        ]
        pieces = [
            json.dumps({**event, "sequence_number": number}).encode() for number, event in enumerate(told)
        ]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for line in [*(b"data: " + piece + b"\n\n" for piece in pieces), b""]:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))  # each is read by itself

    def do_GET(self) -> None:
        """The whole of it."""
        self._answer("application/json", json.dumps(self._response("completed")).encode())

    def _response(self, status: str) -> dict[str, Any]:
        usage = _BILL if status == "completed" else None
        return {**_ANSWER, "status": status, "background": self.background, "usage": usage}

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Nothing."""


class KeptInBackground(Kept):
    """The same for a background response."""

    background = True


@pytest.fixture(params=[Kept, KeptInBackground])
def keeping(request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    """A client of such a server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), request.param) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with openai.OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key=KEY) as client:
            yield client
        server.shutdown()
        thread.join()


def test_a_response_that_was_left_is_counted_when_it_is_fetched(
    keeping: openai.OpenAI, watched: Watched, tmp_path: Path
) -> None:
    """Its usage comes with the first reading, and takes the place of what was possibly billed."""
    summary = SummaryConsumer()
    pipeline.add_consumer(summary)
    try:
        with spantally.session() as session:
            with keeping.responses.create(model="gpt-4o", input="think", stream=True) as stream:
                next(iter(stream))
            assert worker.flush(10)
            before = session.totals
            for _ in range(2):
                assert keeping.responses.retrieve("resp_1").usage is not None
            told = session.totals
        assert (before.calls, before.possibly_billed_calls, before.input_tokens) == (1, 1, 0)
        assert (told.calls, told.possibly_billed_calls, told.input_tokens) == (1, 0, IN)
        assert totals(watched.records, tmp_path) == (1, IN, OUT)
    finally:
        pipeline.remove_consumer(summary)
    assert summary.line(kept=False).startswith(f"spantally: 1 call, {IN} input + {OUT} output tokens")


def test_a_response_that_was_read_to_its_end_is_not_counted_again(
    keeping: openai.OpenAI, watched: Watched, tmp_path: Path
) -> None:
    """Its usage was there."""
    with spantally.session() as session:
        assert list(keeping.responses.create(model="gpt-4o", input="think", stream=True))
        keeping.responses.retrieve("resp_1")
    assert (session.totals.calls, session.totals.input_tokens) == (1, IN)
    assert totals(watched.records, tmp_path) == (1, IN, OUT)
    assert len(watched.of("inference")) == 1


class KeptChat(Kept):
    """The same for a stored chat completion, whose stream tells no usage."""

    def do_POST(self) -> None:
        """The stream of it."""
        self.rfile.read(int(self.headers["content-length"]))
        head = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o"}
        pieces = [({"role": "assistant", "content": "th"}, None), ({"content": "ought"}, None), ({}, "stop")]
        told = [
            {
                **head,
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
            }
            for delta, reason in pieces
        ]
        data = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in told)
        self._answer("text/event-stream", data + b"data: [DONE]\n\n")

    def do_GET(self) -> None:
        """The whole of it."""
        usage = {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT}
        choice = {"index": 0, "message": {"role": "assistant", "content": "thought"}, "finish_reason": "stop"}
        whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
                 "choices": [choice], "usage": usage}  # fmt: skip
        if not self.path.endswith("chatcmpl-1"):
            whole = {"object": "list", "data": [whole], "has_more": False}
        self._answer("application/json", json.dumps(whole).encode())


@pytest.mark.parametrize("keeping", [KeptChat], indirect=True)
@pytest.mark.parametrize("policy", ["unknown", "estimate"])
@pytest.mark.parametrize("left", [True, False])
def test_a_stored_completion_whose_stream_told_no_usage_is_counted_when_it_is_fetched(
    keeping: openai.OpenAI, policy: str, left: bool, tmp_path: Path
) -> None:
    """Its usage takes the place of none, or of an estimate, once; a list of what is stored counts nothing."""
    watched = Watched(stream_usage=policy)
    try:
        with spantally.session() as session:
            asked: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}], "store": True}
            stream = keeping.chat.completions.create(**asked, stream=True)
            assert len([next(stream)] if left else list(stream)) == (1 if left else 3)
            stream.close()
            for _ in range(2):  # at once: the end of what was left may be in the worker's hands
                assert keeping.chat.completions.retrieve("chatcmpl-1").usage is not None
            assert len(list(keeping.chat.completions.list())) == 1
            told = session.totals
        assert (told.calls, told.possibly_billed_calls, told.input_tokens) == (1, 0, IN)
        assert totals(watched.records, tmp_path) == (1, IN, OUT)
    finally:
        watched.close()


def test_a_stored_completion_that_told_its_usage_is_not_counted_again(
    watched: Watched, scripted: ScriptedServer, tmp_path: Path
) -> None:
    """Nor one of another process: it told its usage there."""
    with client_of(scripted) as client, spantally.session() as session:
        asked: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}], "store": True}
        client.chat.completions.create(**asked)
        with ThreadingHTTPServer(("127.0.0.1", 0), KeptChat) as kept:
            thread = threading.Thread(target=kept.serve_forever, daemon=True)
            thread.start()
            client.with_options(base_url=f"http://127.0.0.1:{kept.server_port}/v1").chat.completions.retrieve(
                "chatcmpl-1"
            )
            kept.shutdown()
            thread.join()
    assert session.totals.calls == totals(watched.records, tmp_path)[0] == 1


class Cancelled(Kept):
    """A background response that is cancelled, and tells afterwards what it had used by then."""

    def do_POST(self) -> None:
        """Its beginning, and its cancellation."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status = "cancelled" if self.path.endswith("cancel") else "queued"
        self._tell(status, None)

    def do_GET(self) -> None:
        """What it used."""
        self._tell("cancelled", _BILL)

    def _tell(self, status: str, usage: Any) -> None:
        told = {**_ANSWER, "status": status, "background": True, "usage": usage}
        self._answer("application/json", json.dumps(told).encode())


@pytest.mark.parametrize("keeping", [Cancelled], indirect=True)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_cancelled_response_that_tells_its_usage_later_is_counted_then(
    keeping: openai.OpenAI, elsewhere: bool, watched: Watched, tmp_path: Path
) -> None:
    """Once, in the place of what was possibly billed, whichever process began it."""
    with spantally.session() as session:
        made = keeping.responses.create(model="gpt-4o", input="think", background=True)
        if elsewhere:
            background.forget()
        keeping.responses.cancel(made.id)
        for _ in range(2):
            keeping.responses.retrieve(made.id)
    assert totals(watched.records, tmp_path) == (1, IN, OUT)
    assert (session.totals.calls, session.totals.input_tokens) == (1, IN)
    assert session.totals.possibly_billed_calls == 0
