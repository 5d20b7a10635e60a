"""JSON of the query commands: one array of objects, with the field names that the reference lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spantally.cli.moments import rfc3339
from spantally.cli.render.output import write
from spantally.ground.cache_use import CacheUse
from spantally.ground.money import usd_text
from spantally.ledger.contract import CallRow, CostRow, OpenRow, SessionRow


def print_array(objects: Sequence[Mapping[str, Any]]) -> None:
    """Write the array to stdout, one field a line."""
    try:
        text = json.dumps(list(objects), indent=2, ensure_ascii=False, allow_nan=False)
    except RecursionError:  # a program that nests deeper than Python's stack
        text = _flat(objects)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, from a program's own text
        text = json.dumps(list(objects), indent=2, allow_nan=False)
    write(text)


def print_stream(objects: Iterable[Mapping[str, Any]]) -> int:
    """Write the array piece by piece, as each object comes; returns how many there were."""
    count = 0
    for count, one in enumerate(objects, 1):
        text = json.dumps(one, indent=2, ensure_ascii=False, allow_nan=False)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:  # half of a surrogate pair, from a program's own text
            text = json.dumps(one, indent=2, allow_nan=False)
        text = "  " + text.replace("\n", "\n  ")
        write(f"[\n{text}" if count == 1 else f",\n{text}", end="")
    write("\n]" if count else "[]")
    return count


def _flat(objects: Sequence[Mapping[str, Any]]) -> str:
    """The same array without recursion: one object a line, nested in their ``children``, the last field."""
    pieces: list[str] = []
    waiting: list[tuple[Mapping[str, Any] | str, bool]] = [("]", False)]
    waiting.extend((one, index > 0) for index, one in reversed(list(enumerate(objects))))
    pieces.append("[")
    while waiting:
        one, follows = waiting.pop()
        if isinstance(one, str):
            pieces.append(one)
            continue
        fields = json.dumps(
            {name: value for name, value in one.items() if name != "children"}, allow_nan=False
        )
        pieces.append(f'{"," if follows else ""}\n{fields[:-1]}, "children": [')
        waiting.append(("]}", False))
        below = one.get("children", ())
        waiting.extend((child, index > 0) for index, child in reversed(list(enumerate(below))))
    return "".join(pieces)


def cache_object(cache: CacheUse) -> dict[str, Any]:
    """Prompt caching of a group of calls; null where no provider of them reports any."""
    told = cache.calls > 0
    return {
        "cache_reported_calls": cache.calls,
        "cache_input_tokens": cache.input_tokens if told else None,
        "cache_read_tokens": cache.read_tokens if told else None,
        "cache_write_tokens": cache.write_tokens if told else None,
        "cache_hit_rate": cache.hit_rate,
        "cache_saving_nano_usd": cache.saving_nano_usd,
        "cache_premium_nano_usd": cache.premium_nano_usd,
    }


def session_object(row: SessionRow) -> dict[str, Any]:
    """A session as the command line gives it."""
    return {
        "session_id": row.session_id,
        "name": row.name,
        "implicit": row.implicit,
        "parent_id": row.parent_id,
        "previous_id": row.previous_id,
        "title": row.title,
        "conversation_id": row.conversation_id,
        "user_id": row.user_id,
        "entity_type": row.entity_type,
        "entity_id": row.entity_id,
        "tags": dict(row.tags),
        "labels": list(row.labels),
        "metadata": dict(row.metadata),
        "project": row.project,
        "status": row.status,
        "reason": row.reason,
        "error_type": row.error_type,
        "agents": list(row.agents),
        "models": list(row.models),
        "calls": row.calls,
        "turn_count": row.turn_count,
        "errors": row.errors,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        **cache_object(row.cache),
        "cost_nano_usd": row.cost_nano_usd,
        "own_cost_nano_usd": row.own_cost_nano_usd,
        "total_cost": usd_text(row.cost_nano_usd),
        "unpriced_calls": row.unpriced_calls,
        "pending_calls": row.pending_calls,
        "possibly_billed_calls": row.possibly_billed_calls,
        "covered_calls": row.covered_calls,
        "list_nano_usd": row.list_nano_usd,
        "started_at": rfc3339(row.started_ns),
        "ended_at": rfc3339(row.ended_ns),
        "duration_ms": row.duration_ms,
        "running": [open_object(one) for one in row.running],
        "metrics": dict(row.metrics),
        "reported": dict(row.reported),
        "input": row.input,
        "output": row.output,
    }


def open_object(row: OpenRow) -> dict[str, Any]:
    """What runs, and for how long."""
    return {
        "call_id": row.call_id,
        "session_id": row.session_id,
        "kind": row.kind,
        "operation": row.operation,
        "name": row.name,
        "model": row.model,
        "process": row.process,
        "started_at": rfc3339(row.started_ns),
        "running_ms": row.running_ms,
    }


_CALL_FIELDS = (
    "call_id",
    "parent_call_id",
    "trace_id",
    "span_id",
    "session_id",
    "agent_path",
    "kind",
    "operation",
    "name",
    "provider",
    "model",
    "request_model",
    "response_model",
    "response_id",
    "status",
    "error_type",
    "abandoned",
    "attempts",
    "possibly_billed",
    "counted",
    "inferred",
    "estimated",
    "turn",
    "run_id",
    "tool",
    "tool_call_id",
    "user_id",
    "entity_type",
    "entity_id",
    "tags",
    "project",
    "server_address",
    "server_port",
    "input_tokens",
    "output_tokens",
    "uncached_input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
    "cache_reported",
    "cache_saving_nano_usd",
    "cache_premium_nano_usd",
    "cost_nano_usd",
    "cost_status",
    "cost_source",
    "price_id",
    "list_nano_usd",
)


def call_object(row: CallRow) -> dict[str, Any]:
    """A row of a call, agent, tool or workflow; its cost is its own."""
    made: dict[str, Any] = {name: getattr(row, name) for name in _CALL_FIELDS}
    made["agent_path"] = list(row.agent_path)
    made["tags"] = dict(row.tags)
    made["started_at"] = rfc3339(row.started_ns)
    made["ended_at"] = rfc3339(row.ended_ns)
    made["duration_ms"] = row.duration_ms
    made["running_ms"] = row.running_ms
    made["process"] = row.process
    made["time_to_first_chunk_ms"] = row.time_to_first_chunk_ms
    made["finish_reasons"] = list(row.finish_reasons)
    return made


def cost_object(row: CostRow, tz: str) -> dict[str, Any]:
    """A group of costs: the groupings are fields, beside the zone that its days are of."""
    return {
        **row.keys,
        "tz": tz,
        "calls": row.calls,
        "errors": row.errors,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        **cache_object(row.cache),
        "cost_nano_usd": row.cost_nano_usd,
        "total_cost": usd_text(row.cost_nano_usd),
        "unpriced_calls": row.unpriced_calls,
        "pending_calls": row.pending_calls,
        "possibly_billed_calls": row.possibly_billed_calls,
        "covered_calls": row.covered_calls,
        "list_nano_usd": row.list_nano_usd,
    }
