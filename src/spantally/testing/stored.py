"""What the scripted server keeps: responses, files, batches, conversations, assistants with their runs.

None of it is scripted: what is created is found again. A background response and a run are finished at the
second request that asks for them, a batch at the first.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from spantally.testing.made import json_lines
from spantally.testing.responses import response_body, response_events
from spantally.testing.script import Request
from spantally.testing.wire import Answer, pieces, sse

Work = Callable[[Request], Answer]
"""Makes and bills the answer to a request."""


class Found(NamedTuple):
    """What to send."""

    status: int
    body: Mapping[str, Any] | bytes | Iterator[bytes]
    """JSON, a file, or the events of a stream."""


class Stored:
    """Everything that one server keeps.

    Args:
        work: makes the answers of runs.
        batch_body: makes and bills the body of one request of a batch.
    """

    def __init__(self, work: Work, batch_body: Callable[[Request], dict[str, Any]]) -> None:
        self._work = work
        self._batch_body = batch_body
        self._lock = threading.RLock()
        self._numbers: dict[str, int] = {}
        self._responses: dict[str, tuple[Answer, int]] = {}
        self._files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self._batches: dict[str, dict[str, Any]] = {}
        self._runs: dict[str, tuple[dict[str, Any], Answer, int]] = {}

    def keep_response(self, answer: Answer) -> None:
        """Remember a response, so that it can be asked for."""
        with self._lock:
            self._responses[response_body(answer)["id"]] = (answer, 0)

    def answer(self, request: Request) -> Found | None:
        """What a request is told, or None where it is none of these."""
        parts = [part for part in request.path.split("/") if part]
        for name, serve in (
            ("responses", self._response),
            ("batches", self._batch),
            ("vector_stores", self._vector_store),
            ("conversations", self._conversation),
            ("threads", self._thread),
            ("assistants", self._assistant),
            ("files", self._file),
        ):
            if name in parts:
                with self._lock:
                    return serve(request, parts[parts.index(name) + 1 :])
        return None

    def _new(self, prefix: str) -> str:
        self._numbers[prefix] = self._numbers.get(prefix, 0) + 1
        return f"{prefix}_scripted_{self._numbers[prefix]}"

    # -- responses -----------------------------------------------------------------------------------

    def _response(self, request: Request, rest: list[str]) -> Found | None:
        kept = self._responses.get(rest[0]) if rest else None
        if kept is None:
            return None
        answer, asked = kept
        if request.method == "DELETE":
            del self._responses[rest[0]]
            return Found(200, b"")
        if rest[1:] == ["input_items"]:
            item = {
                "id": f"msg_{rest[0]}",
                "type": "message",
                "role": "user",
                "status": "completed",
                "content": [{"type": "input_text", "text": answer.request.last_text}],
            }
            ends = {"first_id": item["id"], "last_id": item["id"], "has_more": False}
            return Found(200, {"object": "list", "data": [item], **ends})
        if rest[1:] == ["cancel"]:
            unfinished: dict[str, Any] = {"status": "cancelled", "usage": None, "output": []}
            return Found(200, {**response_body(answer), **unfinished})
        if "stream=true" in request.query:
            return Found(200, response_events(answer))
        self._responses[rest[0]] = (answer, asked + 1)
        if is_background(answer.request) and asked == 0:
            return Found(200, unfinished_response(answer, "in_progress"))
        return Found(200, response_body(answer))

    # -- files and batches ---------------------------------------------------------------------------

    def _file(self, request: Request, rest: list[str]) -> Found | None:
        if not rest:
            if request.method == "POST":
                return Found(200, self._add_file(_content_of(request.raw), request.body or {}))
            rows = [file for file, _ in self._files.values()]
            return Found(200, {"object": "list", "data": rows, "has_more": False})
        kept = self._files.get(rest[0])
        if kept is None:
            return None
        if request.method == "DELETE":
            del self._files[rest[0]]
            return Found(200, {"id": rest[0], "object": "file", "deleted": True})
        return Found(200, kept[1] if rest[1:] == ["content"] else kept[0])

    def _add_file(self, content: bytes, asked: Mapping[str, Any]) -> dict[str, Any]:
        made = {
            "id": self._new("file"),
            "object": "file",
            "bytes": len(content),
            "created_at": 1_760_000_000,
            "filename": "lines.jsonl",
            "purpose": asked.get("purpose", "batch"),
            "status": "processed",
        }
        self._files[str(made["id"])] = (made, content)
        return made

    def _batch(self, request: Request, rest: list[str]) -> Found | None:
        if not rest and request.method == "GET":
            rows = list(self._batches.values())
            return Found(200, {"object": "list", "data": rows, "has_more": False})
        if not rest:
            made = {
                "id": self._new("batch"),
                "object": "batch",
                "endpoint": (request.body or {}).get("endpoint"),
                "input_file_id": (request.body or {}).get("input_file_id"),
                "completion_window": "24h",
                "status": "validating",
                "created_at": 1_760_000_000,
            }
            self._batches[str(made["id"])] = made
            return Found(200, made)
        kept = self._batches.get(rest[0])
        if kept is None:
            return None
        if rest[1:] == ["cancel"]:
            kept["status"] = "cancelled"
        elif kept["status"] == "validating":
            self._finish_batch(request, kept)
        return Found(200, kept)

    def _finish_batch(self, request: Request, batch: dict[str, Any]) -> None:
        rows: list[dict[str, Any]] = []
        _, lines = self._files[batch["input_file_id"]]
        for number, line in enumerate(filter(None, lines.split(b"\n")), 1):
            asked = json.loads(line)
            inner = Request(
                number=request.number,
                method="POST",
                path=asked["url"],
                query="",
                headers={},
                raw=line,
                body=asked["body"],
            )
            answered = {"status_code": 200, "request_id": f"req_{number}", "body": self._batch_body(inner)}
            rows.append(
                {
                    "id": f"batch_req_{batch['id']}_{number}",
                    "custom_id": asked["custom_id"],
                    "response": answered,
                    "error": None,
                }
            )
        output = self._add_file(json_lines(rows), {"purpose": "batch_output"})
        batch.update(status="completed", output_file_id=output["id"])

    # -- stores and conversations --------------------------------------------------------------------

    def _vector_store(self, request: Request, rest: list[str]) -> Found | None:
        if rest[1:] != ["search"]:
            return None
        hit = {
            "file_id": "file_scripted_0",
            "filename": "notes.txt",
            "score": 0.9,
            "attributes": {},
            "content": [{"type": "text", "text": "found"}],
        }
        page = {"object": "vector_store.search_results.page", "has_more": False, "next_page": None}
        return Found(200, {**page, "search_query": [request.last_text], "data": [hit]})

    def _conversation(self, request: Request, rest: list[str]) -> Found | None:
        if rest[1:2] == ["items"]:
            ends = {"first_id": "msg_1", "last_id": "msg_1", "has_more": False}
            item = {
                "id": "msg_1",
                "type": "message",
                "role": "user",
                "status": "completed",
                "content": [{"type": "input_text", "text": "kept"}],
            }
            return Found(200, {"object": "list", "data": [item], **ends})
        ident = rest[0] if rest else self._new("conv")
        if request.method == "DELETE":
            return Found(200, {"id": ident, "object": "conversation.deleted", "deleted": True})
        made = {"id": ident, "object": "conversation", "created_at": 1_760_000_000, "metadata": {}}
        return Found(200, made)

    # -- assistants ----------------------------------------------------------------------------------

    def _assistant(self, request: Request, rest: list[str]) -> Found | None:
        asked = request.body or {}
        if rest or request.method != "POST":
            return None
        made: dict[str, Any] = {
            "id": self._new("asst"),
            "object": "assistant",
            "created_at": 1_760_000_000,
            "name": asked.get("name"),
            "description": asked.get("description"),
            "model": asked.get("model"),
            "instructions": asked.get("instructions"),
            "tools": [],
            "metadata": {},
        }
        return Found(200, made)

    def _thread(self, request: Request, rest: list[str]) -> Found | None:
        if not rest:
            return Found(200, self._thread_row(self._new("thread")))
        if rest == ["runs"] and request.method == "POST":
            return self._start_run(request, self._new("thread"))
        if rest[1:] == ["runs"] and request.method == "POST":
            return self._start_run(request, rest[0])
        kept = self._runs.get(rest[2]) if len(rest) > 2 and rest[1] == "runs" else None
        if kept is None:
            return None
        run, answer, asked = kept
        if rest[3:] == ["cancel"]:
            return Found(200, {**run, "status": "cancelled"})
        self._runs[run["id"]] = (run, answer, asked + 1)
        return Found(200, _ended_run(run, answer) if asked else {**run, "status": "in_progress"})

    def _thread_row(self, ident: str) -> dict[str, Any]:
        return {"id": ident, "object": "thread", "created_at": 1_760_000_000, "metadata": {}}

    def _start_run(self, request: Request, thread: str) -> Found:
        asked = request.body or {}
        answer = self._work(request)
        run: dict[str, Any] = {
            "id": self._new("run"),
            "object": "thread.run",
            "created_at": answer.created,
            "assistant_id": asked.get("assistant_id"),
            "thread_id": thread,
            "status": "queued",
            "model": answer.model,
            "instructions": "",
            "tools": [],
            "metadata": {},
            "parallel_tool_calls": True,
            "usage": None,
        }
        self._runs[run["id"]] = (run, answer, 0)
        if request.stream:
            return Found(200, _run_events(run, answer))
        return Found(200, run)


def _ended_run(run: dict[str, Any], answer: Answer) -> dict[str, Any]:
    usage = answer.reported or answer.billed.as_completion()
    return {**run, "status": "completed", "usage": None if answer.silent else usage}


def _run_events(run: dict[str, Any], answer: Answer) -> Iterator[bytes]:
    yield sse(run, "thread.run.created")
    yield sse({**run, "status": "in_progress"}, "thread.run.in_progress")
    for piece in pieces(answer.text or ""):
        delta = {"content": [{"index": 0, "type": "text", "text": {"value": piece}}]}
        message = {"id": "msg_1", "object": "thread.message.delta", "delta": delta}
        yield sse(message, "thread.message.delta")
    yield sse(_ended_run(run, answer), "thread.run.completed")
    yield sse("[DONE]", "done")


def is_background(request: Request) -> bool:
    """True for a response that is asked for in the background."""
    return (request.body or {}).get("background") is True


def unfinished_response(answer: Answer, status: str) -> dict[str, Any]:
    """A response whose work goes on."""
    return {**response_body(answer), "status": status, "output": [], "usage": None}


def _content_of(raw: bytes) -> bytes:
    """The file in a form: the first part with a filename."""
    _, found, rest = raw.partition(b"filename=")
    boundary = raw.partition(b"\r\n")[0]
    return rest.partition(b"\r\n\r\n")[2].partition(b"\r\n" + boundary)[0] if found else b""
