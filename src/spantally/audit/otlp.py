"""Looking through OTLP JSON: every string under its attribute's name, told by the ids of its span."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from spantally.audit.findings import Findings
from spantally.audit.hits import Hit, find_hits
from spantally.audit.walk import DEEPEST, Walk, bare

MARKS: Final = tuple(
    f'"{name}"'.encode()
    for name in (
        "resourceSpans",
        "resourceLogs",
        "resourceMetrics",
        "resource_spans",
        "resource_logs",
        "resource_metrics",
    )
)
"""What tells OTLP JSON from other JSON."""

_TRACE: Final = ("traceId", "trace_id")
_SPAN: Final = ("spanId", "span_id")
_IDS: Final = frozenset({*_TRACE, *_SPAN, "parentSpanId", "parent_span_id"})
_LISTS: Final = frozenset({"attributes", "filteredAttributes", "filtered_attributes", "values"})
_VALUES: Final = frozenset(
    f"{name}{end}"
    for name in ("string", "int", "double", "bool", "array", "kvlist", "bytes")
    for end in ("Value", "_value")
)


def audit_document(document: Any, text: str, source: str, place: str, findings: Findings) -> None:
    """Look through one parsed export request, or several.

    Args:
        document: what the text says.
        text: as it was read.
        source: of it.
        place: of it in the source, such as a line.
        findings: receives what is found.
    """
    walk = _Walk(source, place, findings)
    safe = walk.value(document)
    # Once more as text: a secret may be spread over several strings.
    _, hits = find_hits(findings.redactor, text if safe is document else json.dumps(safe), "id")
    findings.add(source, place, None, hits)


class _Walk(Walk):
    """The walk over JSON, in which attributes have the name that their ``key`` says."""

    def __init__(self, source: str, place: str, findings: Findings) -> None:
        super().__init__(findings.redactor, self._found)
        self._source = source
        self._base = place
        self._place = place
        self._findings = findings

    def _found(self, path: str, hits: list[Hit], _text: str) -> None:
        self._findings.add(self._source, self._place, path or None, hits)

    def value(self, value: Any, key: str | None = None, path: str = "", depth: int = 0) -> Any:
        """See :meth:`Walk.value`."""
        if type(value) is dict and depth < DEEPEST:
            if len(value) == 1 and not _VALUES.isdisjoint(value):
                ((name, inner),) = value.items()
                safe = self._any_value(name, inner, key, path, depth + 1)
                return value if safe is inner else {name: safe}
            if type(value.get("key")) is str and value.keys() <= {"key", "value"}:
                return self._attribute(value, path, depth + 1)
            span = self._identity(value)
            if span:
                before, self._place = self._place, f"{self._base} span {span}"
                try:
                    return super().value(value, key, "", depth)
                finally:
                    self._place = before
        return super().value(value, key, path, depth)

    def _array(self, value: list[Any], key: str | None, path: str, depth: int) -> list[Any]:
        name = path.rpartition(".")[2]
        if name not in _LISTS:
            return super()._array(value, key, path, depth)
        inner = path[: -len(name)].rstrip(".")
        items = [self.value(item, key, inner, depth + 1) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value

    def _attribute(self, pair: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        name = pair["key"]
        safe_name, hits = find_hits(self._redactor, name)
        inner = f"{path}.{safe_name}" if path else safe_name
        if hits:
            self._tell(inner, hits, name)
        value = pair.get("value")
        safe = self.value(value, bare(name), inner, depth)
        return pair if safe is value and not hits else {"key": safe_name, "value": safe}

    def _any_value(self, name: str, value: Any, key: str | None, path: str, depth: int) -> Any:
        if name.startswith("int") and type(value) is str and value.lstrip("-").isdigit() and len(value) < 20:
            safe = self._number(int(value), key, path)
            return safe if type(safe) is str else value
        if name.startswith("bytes") and type(value) is str:
            try:
                text = base64.b64decode(value).decode("latin-1")
            except (ValueError, binascii.Error):
                return self._string(value, key, path)
            return value if self._string(text, key, path) == text else ""
        if type(value) is dict and type(value.get("values")) is list:
            items = value["values"]
            safe_items = [self.value(item, key, path, depth) for item in items]
            changed = any(new is not old for new, old in zip(safe_items, items, strict=True))
            return {"values": safe_items} if changed else value
        return self.value(value, key, path, depth)

    def _identity(self, value: dict[str, Any]) -> str:
        """The ids of a span, log record, link or exemplar, made safe."""
        trace = next((value[name] for name in _TRACE if type(value.get(name)) is str), "")
        span = next((value[name] for name in _SPAN if type(value.get(name)) is str), "")
        return self._redactor.text(f"{trace[:64]}/{span[:64]}", "id") if trace and span else ""
