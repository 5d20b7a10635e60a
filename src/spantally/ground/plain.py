"""What a dict of dicts is made of, told by compiled code: usage objects come with every call."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, repeat
from operator import is_
from typing import Any, Final

DEEPEST: Final = 4
"""Levels that are looked at; a usage object has two or three."""

_text_always: Final = repeat(str)
_is_dict: Final = dict.__instancecheck__
_values_of: Final = dict.values


def are_texts(values: Iterable[object]) -> bool:
    """Whether all are texts, of no class derived from them."""
    return all(map(is_, map(type, values), _text_always))


def names_within(tree: dict[Any, Any], kinds: frozenset[type]) -> list[str] | None:
    """The names of all fields, those of the dicts within included.

    A level at a time: a loop of ours over the values takes several times as long.

    Args:
        tree: a dict, of no class derived from it; so are the dicts within.
        kinds: the types that all values have, ``dict`` among them.

    Returns:
        None where a name is no text or a value of another type, and where dicts lie deeper than is looked;
        that says no more.
    """
    names, values = [*tree], [*tree.values()]
    try:
        for _ in range(DEEPEST):
            if not kinds.issuperset(map(type, values)):
                return None
            within: list[dict[Any, Any]] = [*filter(_is_dict, values)]
            if not within:
                return names if all(map(is_, map(type, names), _text_always)) else None
            names += chain.from_iterable(within)
            values = [*chain.from_iterable(map(_values_of, within))]
    except Exception:
        pass  # a class of the program's whose hash fails: not one of the kinds
    return None
