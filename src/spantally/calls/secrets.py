"""Secrets that an instrumentor happens to see, handed to the redaction as exact values to hide."""

from __future__ import annotations

from typing import Any, Final

from spantally.ground.guard import swallowed

_MOST: Final = 8_192
"""Values that are known to be registered; then all are told again."""

known_secrets: Final[set[int]] = set()
"""Hashes of values that are registered already, and of headers that were looked at."""


def remember_secret(value: Any) -> bool:
    """Hide this value wherever it turns up, from now on; False where that failed.

    Args:
        value: a client's API key; anything but a text of some length is ignored.
    """
    if not isinstance(value, str):
        return True
    mark = hash(value)
    if mark in known_secrets:
        return True
    try:
        from spantally.redaction import register_literal

        register_literal(value)
        note_known(mark)
    except Exception as error:
        swallowed("calls.secrets", error)
        return False
    return True


def note_known(mark: int) -> None:
    """Note that what has this hash was looked at."""
    if len(known_secrets) >= _MOST:
        known_secrets.clear()
    known_secrets.add(mark)


def opens(name: str, value: str, *, has_scheme: bool) -> bool:
    """Whether a header or a parameter of a query that no standard knows opens something, as of gateways.

    Args:
        name: in lower case.
        value: without its scheme.
        has_scheme: whether ``Bearer`` or the like stood before it.
    """
    from spantally.redaction import names, shapes

    kind = names.classify(name)
    if kind in (names.NONE, names.COOKIE, names.SIGNATURE):
        return has_scheme and shapes.is_mixed(value)
    if kind == names.WEAK and not has_scheme:
        return shapes.looks_random(value, 16) and not shapes.is_plain_id(value)
    return shapes.is_mixed(value)
