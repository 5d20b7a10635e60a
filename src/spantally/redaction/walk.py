"""The walk: values of any shape, leaf by leaf, bounded, without calling code of the objects it meets."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import numbers
import pathlib
import types
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from spantally.redaction import names
from spantally.redaction.tags import ERROR_TAG, tag

DEEPEST: Final = 64
MOST_NODES: Final = 100_000
"""Leaves and containers of one value; what comes after is replaced."""

_PLAIN: Final = (
    type(None), bool, int, float, complex, dt.date, dt.time, dt.timedelta, decimal.Decimal,
    uuid.UUID, enum.Enum, numbers.Number, type,
)  # fmt: skip
_MISSING: Final = object()
_NAMES: Final = ("name", "key", "field", "header", "variable")
_VALUES: Final = frozenset({"value", "val", "default"})
"""Fields of an object that names its own value: ``{"name": "password", "value": ...}``."""
_LONGEST_NAME: Final = 64


def _told_name(items: Mapping[Any, Any]) -> str | None:
    """The name that an object gives its value, where it says that the value is a secret."""
    for field in _NAMES:
        if field in items:
            name = items[field]
            if type(name) is str and len(name) <= _LONGEST_NAME and names.classify(name) in _SECRETS:
                return name
    return None


def _is_telling(name: str) -> bool:
    if not 3 <= len(name) <= _LONGEST_NAME or " " in name:
        return False
    return names.classify(name.strip("-: ")) in _SECRETS


_SECRETS: Final = frozenset({names.PASSWORD, names.SECRET, names.TOKEN, names.AUTH, names.COOKIE})


class BoundError(Exception):
    """A value is deeper or larger than is walked, or holds itself."""


class Walk:
    """One walk over one value.

    Args:
        leaf: redacts one string: ``(text, key) -> text``.
        name: redacts the key of a mapping.
        failed: counts a failure and gives what stands in the place of the value.
    """

    __slots__ = ("_failed", "_leaf", "_name", "_nodes", "_open")

    def __init__(
        self,
        leaf: Callable[[str, str | None], str],
        name: Callable[[str], str],
        failed: Callable[[str, BaseException], str],
    ) -> None:
        self._leaf = leaf
        self._name = name
        self._failed = failed
        self._nodes = 0
        self._open: set[int] = set()

    def value(self, value: Any, key: str | None) -> Any:
        """``value`` itself where it holds no secret, else a plain copy without them."""
        kind = type(value)
        if kind is str:
            return self._string(value, key)
        if value is None or kind is bool or kind is float:
            return value
        if kind is int:
            return self._number(value, key)
        try:
            return self._other(value, key)
        except Exception as error:
            return self._failed("redaction.walk", error)

    def _string(self, value: str, key: str | None) -> str:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            return ERROR_TAG
        try:
            return self._leaf(value, key)
        except Exception as error:
            return self._failed("redaction.leaf", error)

    def _number(self, value: int, key: str | None) -> Any:
        """A number under a password's name is one."""
        if key is not None and abs(value) >= 1000 and names.classify(key) == names.PASSWORD:
            text = str(value)
            answer = self._string(text, key)
            return value if answer == text else answer
        return value

    def _other(self, value: Any, key: str | None) -> Any:
        self._nodes += 1
        if self._nodes > MOST_NODES or len(self._open) >= DEEPEST or id(value) in self._open:
            raise BoundError
        if isinstance(value, str):
            return self._leaf(value, key)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._bytes(value, key)
        self._open.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._mapping(value, value)
            if isinstance(value, (list, tuple, set, frozenset, deque)):
                return self._sequence(value, key)
            if isinstance(value, _PLAIN):
                return value
            return self._object(value, key)
        finally:
            self._open.discard(id(value))

    def _bytes(self, value: bytes | bytearray | memoryview, key: str | None) -> Any:
        raw = bytes(value)
        text = raw.decode("utf-8", "surrogateescape")
        answer = self._leaf(text, key)
        return value if answer is text or answer == text else answer.encode("utf-8", "surrogateescape")

    def _mapping(self, value: Any, items: Mapping[Any, Any]) -> Any:
        answer: dict[Any, Any] = {}
        changed = False
        told = _told_name(items)
        for key, item in items.items():
            name = key if type(key) is str else str(key) if isinstance(key, (str, bytes)) else None
            new_key = self._name(key) if type(key) is str else self.value(key, None)
            new_item = self.value(item, told if told is not None and name in _VALUES else name)
            changed = changed or new_key is not key or new_item is not item
            answer[new_key] = new_item
        return answer if changed else value

    def _sequence(self, value: Any, key: str | None) -> Any:
        items = [self.value(item, key) for item in value]
        if type(value) in (list, tuple) and len(value) > 1:
            self._beside(value, items)
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        if isinstance(value, tuple):
            return tuple(items)
        if isinstance(value, frozenset):
            return frozenset(items)
        return set(items) if isinstance(value, set) else items

    def _beside(self, value: list[Any] | tuple[Any, ...], items: list[Any]) -> None:
        """A text behind one that names a secret, as a command's arguments and pairs of headers have it."""
        before = value[0]
        for place in range(1, len(value)):
            name, before = before, value[place]
            if type(before) is str and type(name) is str and items[place] is before and _is_telling(name):
                together = f'"{name}", "{before}"'
                if self._leaf(together, None) != together:
                    items[place] = tag(names.TYPES[names.classify(name.strip("-: "))], before)

    def _object(self, value: Any, key: str | None) -> Any:
        """Read an object by its plain instance attributes; its own code is not called."""
        if isinstance(value, BaseException):
            return self._exception(value, key)
        if isinstance(value, pathlib.PurePath):
            text = str(value)
            answer = self._leaf(text, key)
            return value if answer == text else answer
        fields = (
            dict(object.__getattribute__(value, "__dict__"))
            if hasattr(type(value), "__dict__") and _has_dict(value)
            else {}
        )
        for name in _slots(type(value)):
            item = _read_slot(value, name)
            if item is not _MISSING and not name.startswith("__pydantic_"):
                fields[name] = item
        extra = _read_slot(value, "__pydantic_extra__")
        if isinstance(extra, dict):
            fields.update(extra)
        if not fields:
            return f"<{type(value).__module__}.{type(value).__qualname__}>"
        return self._mapping(value, fields)

    def _exception(self, value: BaseException, key: str | None) -> Any:
        text = str(value)
        answer = self._leaf(text, key)
        return value if answer == text else f"{type(value).__name__}: {answer}"


def _has_dict(value: Any) -> bool:
    try:
        return isinstance(object.__getattribute__(value, "__dict__"), dict)
    except AttributeError:
        return False


def _slots(kind: type) -> list[str]:
    found: list[str] = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        found.extend([slots] if isinstance(slots, str) else slots)
    return [name for name in found if name not in ("__dict__", "__weakref__")]


def _read_slot(value: Any, name: str) -> Any:
    for base in type(value).__mro__:
        member = base.__dict__.get(name)
        if isinstance(member, types.MemberDescriptorType):
            try:
                return member.__get__(value)
            except AttributeError:
                return _MISSING
    return _MISSING
