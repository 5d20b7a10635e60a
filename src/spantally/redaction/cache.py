"""The cache: chat histories repeat, so a text that was seen before is not scanned again.

Keys are keyed hashes and entries hold redacted text or nothing, so no raw text is kept. Two generations
stand in for a list of uses: no lock is needed, and a lost entry only costs a scan.
"""

from __future__ import annotations

from typing import Final

SHORTEST: Final = 200
"""Characters; scanning a shorter text costs less than looking it up."""
LONGEST_KEPT: Final = 1_000_000
"""Longest redacted text that is kept; of a text without secrets only the fact is."""
MOST_ENTRIES: Final = 2_048
MOST_CHARACTERS: Final = 4_000_000
"""Both per generation."""


class Cache:
    """Redacted text, or None for a text without secrets, by the keyed hash of what was scanned."""

    __slots__ = ("_new", "_old", "_size")

    def __init__(self) -> None:
        self._new: dict[bytes, str | None] = {}
        self._old: dict[bytes, str | None] = {}
        self._size = 0

    def get(self, key: bytes) -> tuple[bool, str | None]:
        """Whether ``key`` is known, and its entry."""
        if key in self._new:
            return True, self._new.get(key)
        if key in self._old:
            entry = self._old.get(key)
            self.put(key, entry)
            return True, entry
        return False, None

    def put(self, key: bytes, entry: str | None) -> None:
        """Keep ``entry`` under ``key``, and drop the older generation when the newer is full."""
        size = 0
        if entry is not None:
            size = len(entry)
            if size > LONGEST_KEPT:
                return
        new = self._new
        if len(new) >= MOST_ENTRIES or self._size + size > MOST_CHARACTERS:
            self._old, new, self._size = new, {}, 0
            self._new = new
        new[key] = entry
        if size:
            self._size += size

    def __len__(self) -> int:
        return len(self._new) + len(self._old)
