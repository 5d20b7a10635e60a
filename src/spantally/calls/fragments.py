"""Content that was seen before, redacted and encoded already: chat histories repeat with every call.

A fragment is a message, part or tool as redacted JSON text. It is kept under keyed hashes of what it was made
of, so no raw text stays in memory.

What is kept belongs to one redactor at one revision: a literal learned since makes all of it void.
"""

from __future__ import annotations

from typing import Any, Final

from spantally.calls.json_text import encode, printable
from spantally.calls.marks import fingerprint, mark
from spantally.calls.media import without_data_urls
from spantally.calls.payload import Item
from spantally.calls.shorten import Head, size_of
from spantally.calls.telemetry import Telemetry
from spantally.redaction import ERROR_TAG, Redactor, registry

MOST_ENTRIES: Final = 4_096
MOST_CHARACTERS: Final = 4_000_000
"""Both per generation; two are kept."""
LONGEST_KEPT: Final = 600_000
"""Longest fragment that is kept, in characters."""

_ROLES: Final = frozenset({"system", "user", "assistant", "tool"})


class Kept:
    """Fragments by the hashes of what they were made of, the younger of two generations first.

    Threads may share it: a lost entry costs only its making.
    """

    __slots__ = ("_new", "_old", "_size")

    def __init__(self) -> None:
        self._new: dict[Any, tuple[Item, int]] = {}
        self._old: dict[Any, tuple[Item, int]] = {}
        self._size = 0

    def get(self, key: Any) -> Item | None:
        """The fragment of this key."""
        found = self._new.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                return None
            self.put(key, *found)
        return found[0]

    def put(self, key: Any, item: Item, size: int) -> None:
        """Keep a fragment of this size, and forget the older generation when the younger is full."""
        if size > LONGEST_KEPT:
            return
        if len(self._new) >= MOST_ENTRIES or self._size + size > MOST_CHARACTERS:
            self._old, self._new, self._size = self._new, {}, 0
        self._new[key] = (item, size)
        self._size += size

    def __len__(self) -> int:
        return len(self._new) + len(self._old)


class Fragments:
    """Makes the fragments of one telemetry, and keeps them."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        # One tuple, so that threads see what belongs together.
        self._state: tuple[Any, object, Kept] = (None, None, Kept())

    def maker(self, redactor: Any, longest: int) -> Maker:
        """What makes the fragments of one call.

        Args:
            redactor: takes secrets out.
            longest: from this length on a fragment is not encoded, since no limit has room for it.
        """
        registry.look()
        # First of all: what becomes known from here on makes the maker stale.
        generation = registry.generation
        revision = redactor.revision if type(redactor) is Redactor else None
        if revision is None:
            # Answers of rules of the user may change, and without redaction what was kept would be raw.
            return Maker(redactor, longest, None, generation)
        state = self._state
        # Of a text that no limit had room for only the beginning is kept: a higher limit asks for more.
        if state[0] is not redactor or state[1] != (revision, longest):
            self._state = state = (redactor, (revision, longest), Kept())
        return Maker(redactor, longest, state[2], generation)

    def __len__(self) -> int:
        return len(self._state[2])


def fragments_of(telemetry: Telemetry) -> Fragments:
    """The fragments of a telemetry."""
    made: Fragments | None = telemetry.fragments
    if made is None:
        made = telemetry.fragments = Fragments()
    return made


class Maker:
    """Makes fragments under one revision of one redactor."""

    __slots__ = ("_generation", "_kept", "_longest", "_redactor")

    def __init__(self, redactor: Any, longest: int, kept: Kept | None, generation: int) -> None:
        self._generation = generation
        self._redactor = redactor
        self._longest = longest
        self._kept = kept

    @property
    def is_stale(self) -> bool:
        """Whether a secret became known since it was made."""
        return self._generation != registry.generation

    def spoken(self, role: str, content: str) -> Item:
        """A message of one text.

        Args:
            role: one of the conventions.
            content: raw, not empty.
        """
        kept = self._kept
        if kept is None:
            part = {"type": "text", "content": without_data_urls(content)}
            return self.message({"role": role, "parts": [part]})
        key = (role, mark(content))
        item = kept.get(key)
        if item is not None:
            return item
        safe = printable(self._redactor.text(without_data_urls(content), "content"))
        if len(safe) > self._longest:
            head = Head.of(safe, self._longest)
            made = Item({"role": role, "parts": [{"type": "text", "content": head}]})
            kept.put(key, made, len(head))
        else:
            made = Item(text=f'{{"role":"{role}","parts":[{{"type":"text","content":{encode(safe)}}}]}}')
            kept.put(key, made, len(safe))
        return made

    def message(self, message: dict[str, Any]) -> Item:
        """A message of any shape."""
        if self._kept is not None and len(message) == 2:
            role, parts = message["role"], message["parts"]
            if len(parts) == 1 and role in _ROLES:
                part = parts[0]
                if len(part) == 2 and part.get("type") == "text" and type(part.get("content")) is str:
                    return self.spoken(role, part["content"])
        return self._made("m", message)

    def part(self, part: dict[str, Any]) -> Item:
        """A part that stands alone."""
        return self._made("p", part)

    def tool(self, tool: dict[str, Any]) -> Item:
        """The definition of a tool."""
        return self._made("t", tool)

    def document(self, document: dict[str, Any]) -> Item:
        """A document that was found."""
        return self._made("d", document)

    def _made(self, sort: str, value: dict[str, Any]) -> Item:
        kept = self._kept
        key: Any = None
        if kept is not None:
            try:
                key = (sort, fingerprint(value))
            except TypeError:
                kept = None
            else:
                item = kept.get(key)
                if item is not None:
                    return item
        safe = _SHAPES[sort](self._redactor.value(value))
        if size_of(safe, self._longest) > self._longest:
            made = Item(_heads(safe, self._longest))
            size = size_of(made.value, LONGEST_KEPT)
        else:
            made = Item(text=encode(safe))
            size = len(made.text)
        if kept is not None:
            kept.put(key, made, size)
        return made


def _heads(value: Any, longest: int) -> Any:
    """The value with of each text only what the highest limit may need."""
    kind = type(value)
    if kind is str:
        return printable(value) if len(value) <= longest else Head.of(printable(value), longest)
    if kind is dict:
        return {name: _heads(one, longest) for name, one in value.items()}
    return [_heads(one, longest) for one in value] if kind is list else value


# -- what redaction gave back has the shape of its schema -------------------------------------------------


def as_message(value: Any) -> dict[str, Any]:
    """The message; where redaction failed on more than a text of it, only that it failed."""
    if type(value) is not dict or type(value.get("role")) is not str or type(value.get("parts")) is not list:
        told = value if type(value) is dict else {}
        kept = {name: told[name] for name in ("role", "finish_reason") if type(told.get(name)) is str}
        return {"role": "user", **kept, "parts": [_part(None)]}
    parts = value["parts"]
    if all(map(_is_part, parts)):
        return value
    return {**value, "parts": [part if _is_part(part) else _part(None) for part in parts]}


def _part(value: Any) -> dict[str, Any]:
    return value if _is_part(value) else {"type": "text", "content": ERROR_TAG}


def _is_part(value: Any) -> bool:
    if type(value) is not dict or type(value.get("type")) is not str:
        return False
    name = value["type"]
    return name not in _TYPED or type(value.get(name)) is dict


_TYPED: Final = frozenset({"server_tool_call", "server_tool_call_response"})


def _tool(value: Any) -> dict[str, Any]:
    if type(value) is dict and type(value.get("type")) is str and type(value.get("name")) is str:
        if type(value.get("parameters")) is not str:
            return value
        return {name: one for name, one in value.items() if name != "parameters"}
    return {"type": "function", "name": ERROR_TAG}


def _document(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {"id": ERROR_TAG}


_SHAPES: Final = {"m": as_message, "p": _part, "t": _tool, "d": _document}
