"""Reading fields of unknown things: JSON, TypedDicts, SDK objects, and objects that misbehave.

Types are asked of ``type(value)``, never of the value, whose ``__class__`` may lie or raise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

AttributeValue: TypeAlias = str | bool | int | float | tuple[str, ...]
"""Value of a span attribute, as far as this package makes them."""

_BARE: Final = frozenset({str, bytes, bool, int, float, list, tuple, type(None)})
"""Types that have no fields."""

_INT64: Final = 1 << 63
_MAX_DEPTH: Final = 16
_MAX_CLASSES: Final = 512
_MAX_NODES: Final = 20_000
_MAX_QUICK: Final = 32


_SCALARS: Final = frozenset({str, bool, int, type(None)})
"""Types whose values are plain as they are."""

_ABSENT: Final = object()

_models: Final[dict[type, bool]] = {}
"""Whether a class is a pydantic model, for the classes met so far; emptied before it grows large."""


def field(thing: Any, name: str) -> Any:
    """The field ``name`` of a mapping or object; None where it has none or reading it raises."""
    kind = type(thing)
    if kind is dict:
        return thing.get(name)
    if kind in _BARE:
        return None
    try:
        model = _models.get(kind)
        if model is None:
            model = _is_model(kind)
        if model:
            # Asking a model for a field that it lacks costs twenty times as much as a look into its dict.
            value = thing.__dict__.get(name, _ABSENT)
            if value is not _ABSENT:
                return value
            extra = thing.__pydantic_extra__
            return None if extra is None else extra.get(name)
        if issubclass(kind, Mapping):
            return thing.get(name)
        return getattr(thing, name, None)
    except Exception:
        return None


def _is_model(kind: type) -> bool:
    if len(_models) >= _MAX_CLASSES:
        _models.clear()
    found = hasattr(kind, "__pydantic_fields__") and not issubclass(kind, Mapping)
    _models[kind] = found
    return found


def text(value: Any) -> str | None:
    """The value as an exact, non-empty ``str`` that can be encoded, or None if it is no text."""
    kind = type(value)
    if kind is not str:
        if not issubclass(kind, str):
            return None
        value = str.__str__(value)  # the characters, whatever a subclass (an enum) prints
    if not value:
        return None
    if not value.isascii():
        # A lone surrogate would make the exporter reject the whole batch.
        value = value.encode("utf-8", "replace").decode("utf-8")
    return value  # type: ignore[no-any-return]


def integer(value: Any) -> int | None:
    """The value as an ``int`` of 64 bits, or None; a bool is none, a float only where it is whole."""
    kind = type(value)
    if kind is not int:
        if issubclass(kind, float):
            value = float.__float__(value)
            if not value.is_integer():
                return None
            value = int(value)
        elif kind is bool or not issubclass(kind, int):
            return None
        else:
            value = int.__int__(value)
    return value if -_INT64 <= value < _INT64 else None


def number(value: Any) -> float | None:
    """The value as a finite ``float``, or None; a bool is none."""
    kind = type(value)
    if issubclass(kind, float):
        value = float.__float__(value)
    elif kind is bool or not issubclass(kind, int):
        return None
    else:
        try:
            value = float(int.__int__(value))
        except OverflowError:
            return None
    return value if math.isfinite(value) else None


def items(value: Any) -> Sequence[Any] | None:
    """The elements of a list or tuple, or None: whatever else can be iterated might be used up by it."""
    kind = type(value)
    if kind is list or kind is tuple:
        return value  # type: ignore[no-any-return]
    if issubclass(kind, list):
        return list.copy(value)
    if issubclass(kind, tuple):
        return tuple.__getitem__(value, slice(None))
    return None


def texts(value: Any) -> tuple[str, ...] | None:
    """One text or a list of texts as a tuple, or None where there is none."""
    single = text(value)
    if single is not None:
        return (single,)
    found = tuple(one for one in map(text, items(value) or ()) if one is not None)
    return found or None


def plain(value: Any) -> Any:
    """A copy in dicts, lists, texts, numbers, booleans and None; what fits none of these becomes None.

    Of an SDK object the fields that were sent are kept, unknown ones included, so that the copy equals the
    JSON it came from.
    """
    return _plain(value, _MAX_DEPTH, [_MAX_NODES])


def plain_mapping(value: Any) -> dict[str, Any] | None:
    """:func:`plain` of a thing with fields; None for everything else and for an empty one."""
    if value is None:
        return None
    copied = _quick(value) if type(value) is dict else None
    if copied is None:
        copied = plain(value)
    return copied if copied and type(copied) is dict else None


def _quick(value: dict[Any, Any]) -> dict[Any, Any] | None:
    """A copy of a small object of plain values, one level of such objects within; None for any other."""
    if len(value) > _MAX_QUICK:
        return None
    copied = value.copy()
    for name, one in value.items():
        if type(name) is not str:
            return None
        if type(one) not in _SCALARS:
            if type(one) is not dict or len(one) > _MAX_QUICK:
                return None
            for inner, leaf in one.items():
                if type(inner) is not str or type(leaf) not in _SCALARS:
                    return None
            copied[name] = one.copy()
    return copied


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    left[0] -= 1
    if depth <= 0 or left[0] <= 0:
        return None
    if issubclass(kind, float):
        value = float.__float__(value)
        return value if math.isfinite(value) else None
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return int.__int__(value)
    sequence = items(value)
    if sequence is not None:
        left[0] -= len(sequence)
        return [one if type(one) in _SCALARS else _plain(one, depth - 1, left) for one in sequence]
    pairs = _pairs(value, kind)
    if pairs is None:
        return None
    left[0] -= len(pairs)
    return {
        str.__str__(name): one if type(one) in _SCALARS else _plain(one, depth - 1, left)
        for name, one in pairs
        if issubclass(type(name), str)
    }


def _pairs(value: Any, kind: type) -> list[tuple[Any, Any]] | None:
    """Names and values of a mapping's or object's fields, or None where it has none."""
    try:
        if issubclass(kind, dict):
            return list(dict.items(value))
        if issubclass(kind, Mapping):
            return [(name, value[name]) for name in list(value)]
        own: dict[str, Any] = value.__dict__
        if type(own) is not dict or issubclass(kind, type) or callable(value):
            return None
        sent = getattr(value, "__pydantic_fields_set__", None)
        if type(sent) is set:
            extra = getattr(value, "__pydantic_extra__", None)
            pairs = [(name, one) for name, one in list(own.items()) if name in sent]
            return pairs + (list(extra.items()) if type(extra) is dict else [])
        return [(name, one) for name, one in list(own.items()) if not name.startswith("_")]
    except Exception:
        return None
