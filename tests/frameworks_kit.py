"""What the tests of frameworks share: a server with planted usage, and the tree of what was recorded."""

from __future__ import annotations

from typing import Any

from spantally.ground.records import CallRecord
from spantally.testing import Reply, Request, ScriptedServer, ToolCall, Usage
from watching import Watched

KEY = "sk-made-up-for-tests-0001"
ASKS = Usage(input=110, output=7, cached=40)
ENDS = Usage(input=201, output=15, reasoning=5)


def script(request: Request) -> Reply:
    """A model that looks one word up, and then answers."""
    if "plain" in request.last_text or _has_result(request.body):
        return Reply(text="the answer", usage=ENDS)
    return Reply(tool_calls=(ToolCall("lookup", {"word": "x"}),), usage=ASKS)


def _has_result(body: Any) -> bool:
    told = [*(body.get("messages") or ()), *_listed(body.get("input"))]
    return any(one.get("role") == "tool" or one.get("type") == "function_call_output" for one in told)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def billed(server: ScriptedServer) -> tuple[int, int, int]:
    """Answers of the server, and their tokens in and out."""
    answers = server.billed.values()
    return (
        sum(one.requests for one in answers),
        sum(one.input for one in answers),
        sum(one.output for one in answers),
    )


def counted(watched: Watched) -> tuple[int, int, int]:
    """The same of what was recorded, each call by the reader of prices."""
    from spantally.pricing.usage import normalise

    rows = [record for record in watched.records if record.kind == "inference"]
    parts = [normalise(row.usage or {}, row.usage_format or "", provider=row.provider) for row in rows]
    return len(rows), sum(one.input_total for one in parts), sum(one.output_total for one in parts)


def tree(records: list[CallRecord]) -> list[str]:
    """The rows as paths of ``kind name``, the outermost first, in the order of their start."""
    known = {record.call_id: record for record in records}
    lines = []
    for record in records:
        path = []
        step: CallRecord | None = record
        while step is not None:
            path.append(f"{step.kind} {step.name or step.request_model}")
            step = known.get(step.parent_call_id or "")
        lines.append(" > ".join(reversed(path)))
    return lines
