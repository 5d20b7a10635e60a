"""Short forms of long ids: prefixes that stay unique, as `spantally show` takes them."""

from __future__ import annotations

from collections.abc import Iterable

SHORT_ENOUGH = 24
"""Ids up to this length are shown whole."""
_LEAST = 13
"""The time within a UUID of version 7."""


def unique_prefixes(shown: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """The shortest prefix of each id that no other known id has.

    Args:
        shown: the ids wanted.
        known: every id that a prefix could be taken for.

    Returns:
        Prefix by id; the whole id where it is short.
    """
    ordered = sorted({*shown, *known})
    place = {ident: index for index, ident in enumerate(ordered)}
    found: dict[str, str] = {}
    for ident in shown:
        index = place[ident]
        around = ordered[max(index - 1, 0) : index] + ordered[index + 1 : index + 2]
        length = max([_LEAST, *(_shared(ident, other) + 1 for other in around)])
        prefix = ident[:length].rstrip()
        unusable = prefix != ident[:length] or prefix.startswith("-")
        found[ident] = ident if len(ident) <= SHORT_ENOUGH or unusable else prefix
    return found


def _shared(one: str, other: str) -> int:
    """How many characters two ids have in common from the start."""
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))
