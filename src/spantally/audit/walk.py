"""The walk over JSON: each string under the name it has, so that a finding can tell where it stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from spantally.audit.hits import Hit, find_hits, rule_of
from spantally.redaction import ERROR_TAG, Redactor
from spantally.redaction.tags import find_tags

DEEPEST: Final = 200
"""Nesting that is walked; what lies deeper is read as the text that it is."""

Tell: TypeAlias = Callable[[str, list[Hit], str], None]
"""Is told what was found: the path within the value, the hits, and the text that they are places of."""

_RAW: Final = "id"
"""The name under which JSON is read as text: one to which the rule of unknown vendors does not apply, since
what it may say of each string has been said under the string's own name."""


class Walk:
    """Takes secrets out of parsed JSON and tells where they were.

    Args:
        redactor: the rules.
        tell: is told of each place with hits.
        keys: names that stand for others, for fields whose own name says too little.
    """

    def __init__(self, redactor: Redactor, tell: Tell, keys: Mapping[str, str] | None = None) -> None:
        self._redactor = redactor
        self._tell = tell
        self._keys = keys or {}

    def value(self, value: Any, key: str | None = None, path: str = "", depth: int = 0) -> Any:
        """``value`` itself where nothing was found, else a copy without.

        Args:
            value: of the types that JSON has.
            key: the name under which it stands.
            path: of it, for the findings.
            depth: how deep it lies.
        """
        kind = type(value)
        if kind is str:
            return self._string(value, key, path)
        if kind is int:
            return self._number(value, key, path)
        if kind is dict:
            return self._object(value, path, depth) if depth < DEEPEST else self._deep(value, key, path)
        if kind is list:
            return self._array(value, key, path, depth) if depth < DEEPEST else self._deep(value, key, path)
        return value

    def _string(self, value: str, key: str | None, path: str) -> str:
        safe, hits = find_hits(self._redactor, value, key)
        if hits:
            self._tell(path, hits, value)
        return safe

    def _number(self, value: int, key: str | None, path: str) -> Any:
        safe = self._redactor.value(value, key)
        if safe is not value and safe != value:
            self._tell(path, [Hit(0, len(str(value)), *rule_of(str(safe)), 0, 1)], str(value))
        return safe

    def _deep(self, value: Any, key: str | None, path: str) -> Any:
        try:
            text = json.dumps(value)
        except RecursionError:
            self._tell(path, [Hit(0, 0, "error", None, 0, 1)], "")
            return ERROR_TAG
        return value if self._string(text, key, path) == text else ERROR_TAG

    def _object(self, value: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        changed = False
        for name, item in value.items():
            safe_name, hits = find_hits(self._redactor, name)
            inner = f"{path}.{safe_name}" if path else safe_name
            if hits:
                self._tell(inner, hits, name)
            safe = self.value(item, self._keys.get(name, bare(name)), inner, depth + 1)
            changed = changed or safe is not item or bool(hits)
            answer[safe_name] = safe
        return answer if changed else value

    def _array(self, value: list[Any], key: str | None, path: str, depth: int) -> list[Any]:
        items = [self.value(item, key, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value


def bare(name: str) -> str:
    """A name without the tags in it: ``...[REDACTED:openai-key:...]`` says nothing of the value beside it."""
    for start, end in reversed(find_tags(name)):
        name = name[:start] + name[end:]
    return name


_STYLES: Final[tuple[dict[str, Any], ...]] = (
    {"separators": (",", ":")},
    {"separators": (",", ":"), "sort_keys": True},
    {"sort_keys": True},
    {},
)


def walk_json(
    text: str, redactor: Redactor, key: str | None, tell: Tell, keys: Mapping[str, str] | None = None
) -> str:
    """JSON text without its secrets, in the form it had; any other text as text.

    What is JSON is read twice: string by string under their names, and then as the text it is, since a
    secret may be spread over several strings.

    Args:
        text: anything.
        redactor: the rules.
        key: the name under which the text stands.
        tell: is told of each place with hits.
        keys: names that stand for others.
    """
    if text[:1] not in ("{", "["):
        return _plain(text, redactor, key, tell)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _plain(text, redactor, key, tell)
    safe = Walk(redactor, tell, keys).value(value, key)
    new = text if safe is value else json.dumps(safe, **_style(text, value))
    last, hits = find_hits(redactor, new, _RAW)
    if not hits:
        return new
    tell("", hits, new)
    try:
        json.loads(last)
    except (ValueError, RecursionError):
        # Better no content than content that nobody can read: the shape stays, the rest goes.
        return json.dumps([ERROR_TAG] if type(value) is list else {"redacted": ERROR_TAG})
    return last


def _plain(text: str, redactor: Redactor, key: str | None, tell: Tell) -> str:
    safe, hits = find_hits(redactor, text, key)
    if hits:
        tell("", hits, text)
    return safe


def _style(text: str, value: Any) -> dict[str, Any]:
    """How the text was written, so that what is compared as text stays comparable."""
    return next((style for style in _STYLES if json.dumps(value, **style) == text), _STYLES[0])
