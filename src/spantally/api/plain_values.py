"""JSON that a program hands over, checked; cheap for every session."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from spantally.ground.errors import ArgumentError, shown

LONGEST_JSON: Final = 65_536
"""Most characters of attributes and metadata as JSON."""


def parse_json(what: str, value: object) -> dict[str, Any] | None:
    """A mapping that is JSON, of at most 65,536 characters; a copy, so that later changes do not show.

    Raises:
        ArgumentError: for anything else, cycles and numbers that are not finite among it.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{what}={shown(value)}: use a mapping of JSON values")
    try:
        text = json.dumps(dict(value), allow_nan=False, ensure_ascii=False)
        text.encode("utf-8")
    except Exception as error:  # also what a mapping of the program's own raises
        raise ArgumentError(
            f"{what} is not JSON ({error}): use texts, numbers, lists and mappings"
        ) from error
    if len(text) > LONGEST_JSON:
        raise ArgumentError(f"{what} has {len(text)} characters as JSON; it has at most {LONGEST_JSON}")
    copied: dict[str, Any] = json.loads(text)
    return copied
