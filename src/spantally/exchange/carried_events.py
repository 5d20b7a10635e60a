"""What a log record carries of an event of a ledger: agents, and attributes that OTLP would change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv

KEYS: Final = "keys"
"""Names of the attributes in their order; absent of an event without any."""

APART: Final = "attributes"
"""Where attributes stand that the log record cannot carry as they are."""

STAMPS: Final = frozenset(
    {
        semconv.SESSION_ID,
        semconv.USER_ID,
        semconv.ENTITY_TYPE,
        semconv.ENTITY_ID,
        semconv.CONVERSATION_ID,
        semconv.AGENT_PATH,
        semconv.AGENT_NAME,
        semconv.ID_OF_EVENT,
        semconv.CALL_ID,
        semconv.RECORD,
        "event.name",
    }
)
"""What says whose an event is; the ledger has that in columns."""


def is_stamp(key: str) -> bool:
    """Whether an attribute of an event says whose it is."""
    return key in STAMPS or key.startswith(semconv.TAG_PREFIX)


def carried_event(attributes: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any] | None] | None:
    """Agents and attributes of an event of an exported ledger; None of any other.

    Args:
        attributes: of its log record.

    Raises:
        ValueError: what it carries is no event.
    """
    text = attributes.get(semconv.RECORD)
    if not isinstance(text, str):
        return None
    values = json.loads(text)
    if not isinstance(values, dict) or not isinstance(values.get("agent_path"), list):
        raise ValueError(f"{semconv.RECORD} is no event")  # noqa: TRY004 - what it says is wrong
    path = tuple(map(str, values["agent_path"]))
    keys, apart = values.get(KEYS), values.get(APART, {})
    if keys is None:
        return path, None
    if not isinstance(keys, list) or not isinstance(apart, dict):
        raise ValueError(f"{semconv.RECORD} is no event")  # noqa: TRY004 - what it says is wrong
    return path, {
        key: apart[key] if key in apart else attributes[key]
        for key in keys
        if isinstance(key, str) and (key in apart or (key in attributes and not is_stamp(key)))
    }
