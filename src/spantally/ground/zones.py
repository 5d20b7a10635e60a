"""Time zones that have no name: those of a POSIX rule (``EST5EDT,M3.2.0,M11.1.0``, ``<+03>-3``) or a file."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

_NAME: Final = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)"
_OFFSET: Final = r"[+-]?[0-9]{1,2}(?::[0-9]{1,2}){0,2}"
_RULE: Final = re.compile(f"{_NAME}{_OFFSET}(?P<summer>{_NAME}(?:{_OFFSET})?(?P<dates>,.*)?)?", re.ASCII)
_USUAL: Final = (",M3.2.0", ",M11.1.0")
"""The days that the C library takes where a rule names a summer time and not when it is: those of the USA."""

_HEADER: Final = struct.pack(">4sc15x6L", b"TZif", b"2", 0, 0, 0, 0, 1, 1)
_BLOCK: Final = struct.pack(">lBBc", 0, 0, 0, b"\0")


@lru_cache(maxsize=8)
def zone_of_rule(rule: str) -> ZoneInfo | None:
    """The zone of a rule; None for what is none.

    The standard library reads rules only at the end of a zone's file, so this is a file of nothing else.
    """
    found = _RULE.fullmatch(rule)
    if found is None:
        return None
    whole = rule.removesuffix(",")
    if found["summer"]:
        whole += "".join(_USUAL[whole.count(",") :])
    body = (_HEADER + _BLOCK) * 2 + f"\n{whole}\n".encode("ascii", "replace")
    try:
        return ZoneInfo.from_file(BytesIO(body), key=rule)
    except Exception:
        return None


def zone_of_file(path: str) -> ZoneInfo | None:
    """The zone that a file describes; None where there is none or it is no such file."""
    try:
        with Path(path).open("rb") as file:
            return ZoneInfo.from_file(file, key=path)
    except Exception:
        return None
