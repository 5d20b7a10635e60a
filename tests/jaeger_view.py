"""How the pages of Jaeger (UI 2.20) take a span: its icon, its pills, the sections of its GenAI tab.

An independent reading of rules that stand in that UI, over the JSON of the query API, so that a test can tell
what somebody sees without a browser.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

LLM, TOOL, AGENT, RETRIEVAL, UNKNOWN = "LLM call", "tool call", "agent", "retrieval", "unknown GenAI"

_KIND_OF_OPERATION: Final = {
    "chat": LLM,
    "text_completion": LLM,
    "generate_content": LLM,
    "embeddings": LLM,
    "execute_tool": TOOL,
    "invoke_agent": AGENT,
    "create_agent": AGENT,
    "invoke_workflow": AGENT,
    "retrieval": RETRIEVAL,
}
_ICON_OF_NAMESPACE: Final = ("db", "http", "messaging", "rpc")
"""The first of them that a span has wins."""

_PILLS: Final = (
    ("http.status_code", "http.response.status_code"),
    ("http.method", "http.request.method"),
    ("db.system.name", "db.system"),
    ("rpc.system.name", "rpc.system"),
    ("gen_ai.request.model",),
)
_SECTIONS: Final = {
    "agent": ("gen_ai.agent.id", "gen_ai.agent.name", "gen_ai.agent.version", "gen_ai.agent.description"),
    "meta": ("gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model"),
    "tokens": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
    ),
    "conversation": ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"),
    "toolCall": (
        "gen_ai.tool.call.id",
        "gen_ai.tool.name",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
    ),
}
SECTIONED: Final = frozenset(name for names in _SECTIONS.values() for name in names)
"""Attributes that have a section of the tab; every other ``gen_ai.*`` one is listed under "other"."""

OLDER: Final = {
    "gen_ai.system": "gen_ai.provider.name",
    "gen_ai.prompt": "gen_ai.input.messages",
    "gen_ai.completion": "gen_ai.output.messages",
}
"""Attributes that stand in for a newer one that a span lacks."""


def kind(tags: Mapping[str, Any]) -> str | None:
    """What a span is taken for; None for one that is no GenAI span."""
    operation = tags.get("gen_ai.operation.name")
    if isinstance(operation, str) and operation in _KIND_OF_OPERATION:
        return _KIND_OF_OPERATION[operation]
    if "gen_ai.tool.name" in tags:
        return TOOL
    if any(key.startswith("gen_ai.") and key != "gen_ai.tool.call.id" for key in tags):
        return UNKNOWN
    return None


def icon(tags: Mapping[str, Any]) -> str | None:
    """The icon before a span's name: its GenAI kind's, else that of its namespace."""
    found = kind(tags)
    if found is not None:
        return found
    spaces = {key.partition(".")[0] for key in tags if "." in key}
    return next((space for space in _ICON_OF_NAMESPACE if space in spaces), None)


def pills(tags: Mapping[str, Any]) -> list[str]:
    """The values beside a span's name."""
    found = []
    for names in _PILLS:
        value = next((str(tags[name]).strip() for name in names if tags.get(name) is not None), "")
        if value:
            found.append(value)
    return found


def sections(tags: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The sections of a span's GenAI tab in their order, ``other`` last, each with its attributes."""
    taken: dict[str, str] = {}
    for key in tags:
        newer = OLDER.get(key)
        if key in SECTIONED or (newer is not None and newer not in tags):
            taken[key] = newer or key
    made = {}
    for section, names in _SECTIONS.items():
        values = {name: tags[key] for key, name in taken.items() if name in names}
        if values:
            made[section] = values
    other = {key: value for key, value in tags.items() if key.startswith("gen_ai.") and key not in taken}
    return {**made, "other": other} if other else made


def model(tags: Mapping[str, Any]) -> str | None:
    """The model as the tab names it."""
    asked, answered = tags.get("gen_ai.request.model"), tags.get("gen_ai.response.model")
    if asked and answered and asked != answered:
        return f"{answered} (requested: {asked})"
    return answered or asked


def conversation(tags: Mapping[str, Any]) -> list[tuple[str | None, str]]:
    """Roles and texts as the tab shows them, the system instructions first."""
    found: list[tuple[str | None, str]] = []
    instructions = tags.get("gen_ai.system_instructions")
    if instructions is not None:
        found.append(("instructions", "\n\n".join(part["content"] for part in json.loads(instructions))))
    for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
        found += [
            (message["role"], "\n\n".join(_part(part) for part in message["parts"]))
            for message in json.loads(tags.get(name, "[]"))
        ]
    return found


def _part(part: Mapping[str, Any]) -> str:
    match part["type"]:
        case "text" | "reasoning":
            return str(part["content"])
        case "tool_call":
            return f"→ {part['name']}({_compact(part['arguments'])})"
        case "tool_call_response":
            return f"← {_compact(part['response'])}"
        case "blob" | "file" | "uri":
            return f"[{part.get('modality', 'file')} attached]"
    return json.dumps(part)


def _compact(value: Any) -> str:
    if isinstance(value, str):
        try:
            return json.dumps(json.loads(value)) if value.lstrip()[:1] in ("[", "{") else value
        except ValueError:
            return value
    return json.dumps(value)
