"""Keyed hashes that stand for texts and plain values, so that what was seen is known again and not kept.

They are those of Python's own text hash where its key is random (a text that is sent again then costs
nothing, since it remembers its hash), else of BLAKE2b with a key of our own.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

DEEPEST: Final = 24

_key: Final = os.urandom(32)


def _has_secret_hash(environ: Mapping[str, str]) -> bool:
    """Whether nobody outside can know how this process hashes texts."""
    info = sys.hash_info
    return (
        info.algorithm.startswith("siphash")
        and info.hash_bits >= 64
        and sys.flags.hash_randomization == 1
        and environ.get("PYTHONHASHSEED", "random") in ("", "random")
    )


def _quick_mark(text: str) -> Any:
    return (hash(text), len(text))


def _sure_mark(text: str) -> Any:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=_key).digest()


mark: Final = _quick_mark if _has_secret_hash(os.environ) else _sure_mark
"""A keyed hash that stands for a text."""


def fingerprint(value: Any, depth: int = DEEPEST) -> Any:
    """Keyed hashes that stand for a plain value, different for values whose JSON differs.

    Raises:
        TypeError: the value is not plain, or nested too deep.
    """
    kind = type(value)
    if kind is str:
        return mark(value)
    if value is None or kind is bool:
        return value
    if depth <= 0:
        raise TypeError
    if kind is dict:
        made = ["d"]
        for name, one in value.items():
            made.append(mark(name))
            made.append(fingerprint(one, depth - 1))
        return tuple(made)
    if kind is list:
        return ("l", *[fingerprint(one, depth - 1) for one in value])
    if kind is int or kind is float:
        return ("n", mark(repr(value)))
    raise TypeError
