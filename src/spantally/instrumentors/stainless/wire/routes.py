"""Which operation a request is, by its method and the end of its path, from a table of routes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from spantally.ground.records import Kind, UsageFormat


class Operation(NamedTuple):
    """What kind of operation an endpoint does."""

    kind: Kind
    """Kinds that bill are counted; whatever only reads, stores or lists is ``OTHER``."""
    name: str
    """The conventions' operation where they have one, else a verb and a noun: its span is a plain one."""
    api: str
    """Which shapes request and response have: ``chat_completions``, ``responses``, ``images``, ..."""
    usage_format: UsageFormat
    ids: tuple[str, ...] = ()
    """Attributes of the ids in the path, one for each ``{}`` of the route; empty where it tells nothing."""
    rereads: bool = False
    """Reads what an earlier call made: its usage counts only where that call had none yet."""


class Routes:
    """A table of routes: method, end of the path (``{}`` stands for any one segment) and operation."""

    def __init__(self, rows: Sequence[tuple[str, str, Operation | None]]) -> None:
        """Make the table.

        Args:
            rows: the first that fits counts; an operation of None is known and not traced.
        """
        self._compiled = tuple((method, tuple(end.split("/")), operation) for method, end, operation in rows)
        self.find = functools.lru_cache(maxsize=256)(self._find)
        """Whether a route fits, its operation, and the ids in the path: names and values."""

    def _find(self, method: str, path: str) -> tuple[bool, Operation | None, tuple[tuple[str, str], ...]]:
        method = method.upper()
        segments = segments_of(path)
        for wanted, end, operation in self._compiled:
            if method == wanted and len(segments) >= len(end):
                tail = segments[-len(end) :]
                if all(part in ("{}", segment) for part, segment in zip(end, tail, strict=True)):
                    found = [segment for part, segment in zip(end, tail, strict=True) if part == "{}"]
                    names = () if operation is None else operation.ids
                    return True, operation, tuple(zip(names, found, strict=False))
        return False, None, ()


def segments_of(path: str) -> list[str]:
    """The segments of a path or a full URL."""
    rest = path.partition("#")[0].partition("://")
    return (rest[2] or rest[0]).strip("/").split("/")
