"""The grammar of the live view's lines, and how one is made: under 4 KB, and printable text alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

LINE: Final = (
    r"^(?P<time>\d\d:\d\d:\d\d\.\d{3}) "
    r"(?P<session>[\w.:@~+-]{1,16})(?:/(?P<agent>[0-9a-f]{4}))? "
    r"(?P<indent>(?:  ){0,12})(?P<sign>[><!*]) (?P<what>[a-z_.]{1,40}) "
    r"(?P<name>[^\s\"=]+|\"(?:[^\"\\]|\\.)*\")"
    r"(?P<facts>(?: [a-z_]+=(?:[^\s\"=]+|\"(?:[^\"\\]|\\.)*\"))*)$"
)
"""What each line matches, colours aside: ``>`` begins, ``<`` ends well, ``!`` otherwise, ``*`` happens."""

MOST_BYTES: Final = 4000
"""A line is shorter than what a pipe takes in one piece."""

LONGEST_NAME: Final = 80
LONGEST_TEXT: Final = 120
DEEPEST: Final = 12

_BARE: Final = re.compile(r'[^\s"=]+')
_NOT_MARK: Final = re.compile(r"[^\w.:@~+-]")
_NOT_WORD: Final = re.compile(r"[^a-z_.]")

Fact = tuple[str, Any]


def line(
    ns: int,
    session_id: str,
    agent: str | None,
    depth: int,
    sign: str,
    what: str,
    name: str | None,
    facts: Iterable[Fact] = (),
) -> str:
    """One line, without its end.

    Args:
        ns: when, UNIX nanoseconds; shown in the machine's zone.
        session_id: of the session, redacted.
        agent: call id of the innermost agent around, or of the agent itself; None outside any.
        depth: how many stand around.
        sign: ``>``, ``<``, ``!`` or ``*``.
        what: kind of work.
        name: whose; redacted.
        facts: names and values, redacted; None is left out.
    """
    head = f"{clock(ns)} {mark_of(session_id)}"
    if agent:
        head += f"/{agent[-4:]}"
    word = _NOT_WORD.sub("_", what.lower())[:40] or "work"
    head = f"{head} {'  ' * min(depth, DEEPEST)}{sign} {word} {shown(name or '-', LONGEST_NAME)}"
    parts = [head]
    size = len(head.encode("utf-8", "replace"))
    for key, value in facts:
        if value is None:
            continue
        part = f"{key}={shown(value, LONGEST_TEXT)}"
        size += len(part.encode("utf-8", "replace")) + 1
        if size > MOST_BYTES:
            break
        parts.append(part)
    return " ".join(parts)


def clock(ns: int) -> str:
    """The time of day in the machine's zone, to the millisecond."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds):%H:%M:%S}.{rest // 1_000_000:03d}"  # noqa: DTZ006 - a clock on the wall


def mark_of(session_id: str) -> str:
    """A session's id in 16 characters at most: ids of our own differ in their last ones."""
    text = _NOT_MARK.sub("_", session_id) or "_"
    if len(text) == 36 and text.count("-") == 4:  # a UUID
        return text[-6:]
    return text if len(text) <= 16 else f"{text[:7]}~{text[-8:]}"


def shown(value: Any, most: int) -> str:
    """A value as one word, or as a JSON text where it is none."""
    text = str(value)
    if len(text) > most:
        text = f"{text[: most - 3]}..."
    text = "".join(one if one.isprintable() else " " if one.isspace() else "?" for one in text)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def took(ns: int | None) -> str | None:
    """A length of time, short: ``340ms``, ``2.31s``, ``4m12s``."""
    if ns is None:
        return None
    milliseconds = max(0, ns) / 1e6
    if milliseconds < 1000:
        return f"{milliseconds:.0f}ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.2f}s" if seconds < 9.995 else f"{seconds:.1f}s"
    return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"
