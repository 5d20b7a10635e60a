"""Files as the Collector writes them, and what of a ledger must be the same after a way round."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spantally.ledger.sqlite.codec import COLUMNS
from spantally.otlp.read import _identifier

T0 = 1_793_000_000_000_000_000
TRACE = "0af7651916cd43dd8448eb211c80319c"

_IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}


def as_file_json(body: bytes, kind: Any = ExportTraceServiceRequest) -> dict[str, Any]:
    """A protobuf request as the file exporter writes it: ids in hex, enums as numbers."""
    message = kind()
    message.ParseFromString(body)
    found: dict[str, Any] = _hexed(MessageToDict(message, use_integers_for_enums=True))
    return found


def _hexed(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _identifier(value, key, _IDS[key]) if key in _IDS else _hexed(inner)
            for key, inner in value.items()
        }
    return [_hexed(one) for one in value] if isinstance(value, list) else value


def lines(requests: Iterable[Mapping[str, Any]]) -> bytes:
    """Requests, one a line."""
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in requests)


def received(receiver: Any) -> bytes:
    """What an OtlpReceiver got, as the file of a Collector that it would have gone through."""
    kinds: dict[str, Any] = {"/v1/traces": ExportTraceServiceRequest, "/v1/logs": ExportLogsServiceRequest}
    return lines(
        as_file_json(one.body, kinds[one.path]) for one in list(receiver.requests) if one.path in kinds
    )


def attribute(key: str, value: Any) -> dict[str, Any]:
    """One attribute in OTLP JSON."""
    names = {str: "stringValue", bool: "boolValue", float: "doubleValue"}
    if isinstance(value, int) and not isinstance(value, bool):
        return {"key": key, "value": {"intValue": str(value)}}
    if isinstance(value, (list, tuple)):
        return {
            "key": key,
            "value": {"arrayValue": {"values": [attribute("", one)["value"] for one in value]}},
        }
    return {"key": key, "value": {names[type(value)]: value}}


def span(
    number: int, parent: int | None = None, /, *, trace: str = TRACE, name: str = "span", **more: Any
) -> dict[str, Any]:
    """A span in OTLP JSON; ``attributes`` as a plain mapping."""
    attributes = more.pop("attributes", {})
    made = {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(T0 + number * 1000),
        "endTimeUnixNano": str(T0 + number * 1000 + 500),
        "attributes": [attribute(key, value) for key, value in attributes.items()],
        "status": {},
        **more,
    }
    if parent is not None:
        made["parentSpanId"] = f"{parent:016x}"
    return made


def chat(number: int, parent: int | None = None, /, *, attributes: Any = None, **more: Any) -> dict[str, Any]:
    """A model call: 100 tokens in, 10 out of gpt-4o-mini."""
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
        **(attributes or {}),
    }
    return span(number, parent, name="chat gpt-4o-mini", attributes=said, **more)


def agent(number: int, parent: int | None = None, /, *, name: str, **more: Any) -> dict[str, Any]:
    """An agent's span."""
    said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name, **more.pop("attributes", {})}
    return span(number, parent, name=f"invoke_agent {name}", attributes=said, **more)


def request(*spans: Mapping[str, Any], service: str = "shop", scope: str = "lib") -> dict[str, Any]:
    """An export request."""
    resource = {"attributes": [attribute("service.name", service)]}
    return {
        "resourceSpans": [
            {"resource": resource, "scopeSpans": [{"scope": {"name": scope}, "spans": list(spans)}]}
        ]
    }


APART = frozenset({"ranks"})
"""Who said what of a row is not the row."""


def rows(path: str | Path, *, leave: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Every row of a ledger with all its columns, but those to leave out."""
    names = [name for name in COLUMNS if name not in APART and name not in set(leave)]
    with sqlite3.connect(path) as db:
        found = db.execute(f"SELECT {', '.join(names)} FROM call ORDER BY call_id").fetchall()
    db.close()
    return [dict(zip(names, values, strict=True)) for values in found]


def table(path: str | Path, question: str) -> list[Any]:
    """The answer to a question to a ledger's database."""
    db = sqlite3.connect(path)
    try:
        return db.execute(question).fetchall()
    finally:
        db.close()
