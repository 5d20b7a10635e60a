"""Message batches of Anthropic's API: made, finished at once, and their results read line by line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from spantally.testing.messages import message_body, message_error
from spantally.testing.script import Request
from spantally.testing.stored import Found
from spantally.testing.wire import Answer

_MARK: Final = "/messages/batches"


class MessageBatches:
    """The batches of one server."""

    def __init__(self, work: Callable[[Request], Answer]) -> None:
        """Make an empty store.

        Args:
            work: makes and bills the answer to one request of a batch.
        """
        self._work = work
        self._kept: dict[str, tuple[dict[str, Any], bytes]] = {}
        self._lock = threading.Lock()

    def answer(self, request: Request, url: str) -> Found | None:
        """What is answered to a request; None where it is about no batch of messages.

        Args:
            request: as it came.
            url: of the server, for the address of the results.
        """
        _, mark, rest = request.path.partition(_MARK)
        if not mark:
            return None
        parts = rest.strip("/").split("/") if rest.strip("/") else []
        with self._lock:
            if not parts:
                return self._make(request, url) if request.method == "POST" else self._listed()
            return self._one(request.method, parts)

    def _make(self, request: Request, url: str) -> Found:
        ident = f"msgbatch_scripted_{len(self._kept) + 1}"
        lines = []
        for number, asked in enumerate((request.body or {}).get("requests", ()), 1):
            inner = replace(
                request,
                path=request.path.removesuffix("/batches"),
                body=asked["params"],
                raw=json.dumps(asked["params"]).encode(),
            )
            answer = self._work(inner)
            if answer.reply.error is not None:
                result: dict[str, Any] = {"type": "errored", "error": message_error(answer.reply)}
            else:
                body = message_body(answer)
                if "usage" in body:
                    body["usage"] = {**body["usage"], "service_tier": "batch"}
                result = {"type": "succeeded", "message": body}
            lines.append({"custom_id": asked.get("custom_id", f"request-{number}"), "result": result})
        moment = "2026-01-02T03:04:05Z"
        made = {
            "id": ident,
            "type": "message_batch",
            "processing_status": "ended",
            "request_counts": {
                "processing": 0,
                "succeeded": sum(line["result"]["type"] == "succeeded" for line in lines),
                "errored": sum(line["result"]["type"] == "errored" for line in lines),
                "canceled": 0,
                "expired": 0,
            },
            "created_at": moment,
            "ended_at": moment,
            "expires_at": moment,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{url}/v1/messages/batches/{ident}/results",
        }
        self._kept[ident] = made, b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        return Found(200, made)

    def _listed(self) -> Found:
        rows = [made for made, _ in self._kept.values()]
        ends = {"first_id": rows[0]["id"] if rows else None, "last_id": rows[-1]["id"] if rows else None}
        return Found(200, {"data": rows, "has_more": False, **ends})

    def _one(self, method: str, parts: list[str]) -> Found | None:
        kept = self._kept.get(parts[0])
        if kept is None:
            return None
        if method == "DELETE":
            del self._kept[parts[0]]
            return Found(200, {"id": parts[0], "type": "message_batch_deleted"})
        if parts[1:] == ["results"]:
            return Found(200, kept[1])
        return Found(200, kept[0])
