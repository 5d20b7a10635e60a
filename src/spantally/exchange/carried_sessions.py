"""What an event carries of a session of a ledger: all that was said of it, and by whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from spantally.exchange.content import Content
from spantally.ground import semconv
from spantally.ground.records import SessionStatus
from spantally.ground.setting_values import parse_id

_TEXT: Final[Mapping[str, str]] = {
    "name": "session.name",
    "parent_id": semconv.SESSION_ID,
    "previous_id": semconv.SESSION_ID,
    "conversation_id": semconv.CONVERSATION_ID,
    "user_id": semconv.USER_ID,
    "project": semconv.SERVICE_NAME,
    "process": "process",
    "title": "title",
}
"""Facts that are texts, and the key under which each is redacted."""


class CarriedSession(NamedTuple):
    """A session as an event brings it."""

    session_id: str
    facts: str
    """As a ledger stores them."""


def packed_session(facts: str) -> str:
    """The facts of a session, as a ledger stores them, as JSON for an event's record."""
    return json.dumps({"facts": json.loads(facts)}, separators=(",", ":"), sort_keys=True)


def unpacked_session(attributes: Mapping[str, Any], content: Content) -> CarriedSession:
    """The session that an event of an exported ledger tells of, without secrets.

    Args:
        attributes: of the event.
        content: gives the redaction.

    Raises:
        ValueError: it is no session.
    """
    text, session_id = attributes.get(semconv.RECORD), attributes.get(semconv.SESSION_ID)
    values = json.loads(text, parse_constant=_no_number) if isinstance(text, str) else None
    if not isinstance(values, dict) or not isinstance(values.get("facts"), dict):
        raise ValueError(f"it lacks {semconv.RECORD}")  # noqa: TRY004 - what it says is wrong
    ident = parse_id(semconv.SESSION_ID, session_id)
    if not ident:
        raise ValueError(f"it lacks {semconv.SESSION_ID}")
    loaded = values["facts"]
    start, last, facts = loaded.get("start"), loaded.get("last"), loaded.get("facts")
    if not _is_moment(start) or not _is_moment(last) or not isinstance(facts, dict):
        raise ValueError(f"{semconv.RECORD} holds no session")
    safe = {name: _fact(name, fact, content) for name, fact in facts.items() if name in _KINDS}
    made = {"facts": safe, "start": start, "last": last}
    ident = content.safe({semconv.SESSION_ID: ident})[semconv.SESSION_ID]
    return CarriedSession(ident, json.dumps(made, sort_keys=True, separators=(",", ":")))


def _no_number(text: str) -> None:
    """What stands for NaN and infinities, which are no JSON: no query could read the session's others."""


def _is_moment(value: Any) -> bool:
    return value is None or (type(value) is int and -(2**63) <= value < 2**63)


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_state(value: Any) -> bool:
    if type(value) is not list or len(value) != 4 or value[0] not in frozenset(SessionStatus):
        return False
    return _is_moment(value[1]) and all(one is None or type(one) is str for one in value[2:])


def _is_entity(value: Any) -> bool:
    if type(value) is not list or len(value) != 2 or type(value[0]) is not str:
        return False
    return value[1] is None or type(value[1]) is str


def _is_texts(value: Any) -> bool:
    return type(value) is list and all(type(one) is str for one in value)


def _is_tags(value: Any) -> bool:
    return type(value) is dict and all(type(one) is str for one in value.values())


def _is_object(value: Any) -> bool:
    return type(value) is dict


def _is_numbers(value: Any) -> bool:
    return type(value) is dict and all(type(one) in (int, float) for one in value.values())


def _is_anything(_value: Any) -> bool:
    return True


def _is_flag(value: Any) -> bool:
    return type(value) is bool


_KINDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(_TEXT, _is_text),
    "implicit": _is_flag,
    "state": _is_state,
    "entity": _is_entity,
    "tags": _is_tags,
    "labels": _is_texts,
    "metadata": _is_object,
    "metrics": _is_numbers,
    "reported": _is_numbers,
    "input": _is_anything,
    "output": _is_anything,
    "told_at": _is_moment,
}
"""What the value of each fact has to be."""


def _fact(name: str, fact: Any, content: Content) -> list[Any]:
    if type(fact) is not list or len(fact) != 3:
        raise ValueError(f"{semconv.RECORD} has a {name} that is none")
    level, key, value = fact
    if level not in (0, 1) or type(level) is not int or type(key) is not int or not _KINDS[name](value):
        raise ValueError(f"{semconv.RECORD} has a {name} that is none")
    return [level, key, _safe(name, value, content)]


def _safe(name: str, value: Any, content: Content) -> Any:
    """A value without its secrets, each part under the key under which the ledger itself redacts it."""
    if name in ("implicit", "told_at"):
        return value
    if name in _TEXT:
        return content.safe({_TEXT[name]: value})[_TEXT[name]]
    if name == "state":
        found = content.safe({"reason": value[2], semconv.ERROR_TYPE: value[3]})
        return [value[0], value[1], found["reason"], found[semconv.ERROR_TYPE]]
    if name == "entity":
        found = content.safe({semconv.ENTITY_TYPE: value[0], semconv.ENTITY_ID: value[1]})
        return [found[semconv.ENTITY_TYPE], found[semconv.ENTITY_ID]]
    if name == "tags":
        found = content.safe({semconv.TAG_PREFIX + tag: text for tag, text in value.items()})
        return {tag.removeprefix(semconv.TAG_PREFIX): str(text) for tag, text in found.items()}
    return content.safe({name: value}).get(name)
