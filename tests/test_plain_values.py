"""What compiled code tells of usage objects: never more than a look at each value would."""

from __future__ import annotations

from typing import Any

import pytest

from spantally.ground.plain import DEEPEST, are_texts, names_within

KINDS: frozenset[type] = frozenset({int, type(None), dict})


class Text(str):
    """A text of a program's own."""


class Fields(dict[str, Any]):
    """A dict of a program's own."""


class Unhashable(type):
    """The type of classes that have no hash."""

    __hash__ = None  # type: ignore[assignment]


class Odd(metaclass=Unhashable):
    """A class without a hash."""


def nested(levels: int) -> dict[str, Any]:
    """A dict of so many levels."""
    return {"a": 1} if levels == 1 else {"a": nested(levels - 1)}


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        ({}, []),
        ({"a": 1, "b": None}, ["a", "b"]),
        ({"a": 1, "b": {"c": 2}, "d": {}, "e": {"c": None}}, ["a", "b", "d", "e", "c", "c"]),
        (nested(DEEPEST), ["a"] * DEEPEST),
    ],
)
def test_names_of_all_levels(tree: dict[str, Any], names: list[str]) -> None:
    """A level after the other."""
    assert names_within(tree, KINDS) == names


@pytest.mark.parametrize(
    "tree",
    [
        {"a": True},
        {"a": {"b": 1.5}},
        {"a": Fields(b=1)},
        {"a": [1]},
        {"a": Odd()},
        {1: 1},
        {"a": {Text("b"): 1}},
        nested(DEEPEST + 1),
    ],
)
def test_nothing_is_said_of_other_values(tree: dict[Any, Any]) -> None:
    """Other types and names, and what lies deeper."""
    assert names_within(tree, KINDS) is None


def test_texts_are_no_class_of_the_programs() -> None:
    """Such a class may compare and print as it likes."""
    assert are_texts(())
    assert are_texts(("a", ""))
    assert not are_texts(("a", Text("b")))
    assert not are_texts((Odd(),))
