"""The payload governor: what the content of one span, event or row may take, and what is left of it then.

Content comes as lists of items (messages, parts, tools), each known as a value or as JSON text or both, so
that text is joined from what is there already. The oldest items go first, and the newest left says how many
went; an item that alone is too long loses its oldest parts, then the end of its texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from spantally.calls.json_text import encode
from spantally.calls.limits import Limits
from spantally.calls.shorten import DROPPED, NoRoomError, cut, fit, level, marker, size_of


class Item:
    """A message, part or tool: redacted, and made into text or read back only when that is needed."""

    __slots__ = ("_text", "_value")

    def __init__(self, value: dict[str, Any] | None = None, text: str | None = None) -> None:
        self._value = value
        self._text = text

    @property
    def text(self) -> str:
        """Its JSON."""
        if self._text is None:
            self._text = encode(self._value)
        return self._text

    @property
    def value(self) -> dict[str, Any]:
        """As plain data; not to be changed."""
        if self._value is None:
            self._value = json.loads(self._text or "{}")
        return self._value

    def size(self, enough: int) -> int:
        """Length of its JSON; where it is longer than ``enough``, some number above that."""
        return len(self._text) if self._text is not None else size_of(self._value, enough)


class Kind(NamedTuple):
    """How a list of items is shortened.

    Attributes:
        mark: puts the number of dropped items into those that are kept.
        shrink: one item in less room, with the number of dropped ones beside it.
        best_first: True where the first items count most, not the newest: the last go, and the mark is last.
    """

    mark: Callable[[list[Item], int], list[Item]]
    shrink: Callable[[dict[str, Any], int, int], list[Item]]
    best_first: bool = False


class Listed(NamedTuple):
    """The items of one attribute.

    Attributes:
        kind: what they are.
        items: oldest first; not to be changed.
        dropped: how many came before them and were not even looked at, since no limit has room for them.
    """

    kind: Kind
    items: Sequence[Item]
    dropped: int = 0

    def size(self, enough: int) -> int:
        """Length of all as JSON; where it is longer than ``enough``, some number above that."""
        total = 1 if self.items else 2
        for item in self.items:
            total += item.size(enough) + 1
            if total > enough:
                break
        return total if not self.dropped else max(total, enough + 1)

    def within(self, room: int) -> list[Item] | None:
        """The items that ``room`` has space for; None where it has not even space for an empty list."""
        if self.size(room) <= room:
            return list(self.items)
        if room < 2:
            return None
        kept = self._newest(room)
        if kept is not None:
            return kept
        try:
            last = self.items[0 if self.kind.best_first else -1]
            return self.kind.shrink(last.value, self.dropped + len(self.items) - 1, room - 2)
        except (NoRoomError, IndexError):
            return []

    def _newest(self, room: int) -> list[Item] | None:
        """The items that fit with the number of those that go; None where none does."""
        best_first = self.kind.best_first
        left = room - 2
        kept: list[Item] = []
        for item in self.items if best_first else reversed(self.items):
            size = item.size(left) + 1
            if size > left + 1:
                break
            kept.append(item)
            left -= size
        if not best_first:
            kept.reverse()
        while kept:
            made = self.kind.mark(kept, self.dropped + len(self.items) - len(kept))
            if _size(made, room) <= room:
                return made
            kept = kept[:-1] if best_first else kept[1:]  # the number itself takes room too
        return None


def _size(items: Sequence[Item], enough: int) -> int:
    return 1 + sum(item.size(enough) + 1 for item in items) if items else 2


# -- what lists hold -------------------------------------------------------------------------------------


def _mark_message(kept: list[Item], count: int) -> list[Item]:
    if not count:
        return kept
    first = kept[0].value
    return [Item({**first, "parts": [marker("messages", count), *first["parts"]]}), *kept[1:]]


def _shrink_message(message: dict[str, Any], before: int, room: int) -> list[Item]:
    """One message with the newest of its parts, and the end of the last one cut where need be."""
    head = [marker("messages", before)] if before else []
    names = ("role", "finish_reason")
    needed: dict[str, Any] = {name: message[name] for name in names if name in message}
    frames = [{**message, "parts": head}, {**needed, "parts": head}]
    frame = next((one for one in frames if size_of(one, room) < room), None)
    if frame is None:
        raise NoRoomError
    parts = [Item(part) for part in message["parts"]]
    # The list of parts is there already: its brackets are not to be counted again.
    left = room - len(encode(frame)) + (1 if head else 2)
    kept = Listed(PARTS, parts).within(left)
    return [Item({**frame, "parts": head + [item.value for item in kept or ()]})]


def _mark_part(kept: list[Item], count: int) -> list[Item]:
    return [Item(marker("parts", count)), *kept] if count else kept


def _shrink_part(part: dict[str, Any], before: int, room: int) -> list[Item]:
    """One part, shortened; where that is impossible only the number of parts that were there."""
    if before:
        head = Item(marker("parts", before))
        try:
            return [head, Item(fit(part, room - len(head.text) - 1))]
        except NoRoomError:
            pass
    else:
        try:
            return [Item(fit(part, room))]
        except NoRoomError:
            pass
    return _alone(marker("parts", before + 1), room)


def _mark_tool(kept: list[Item], count: int) -> list[Item]:
    return [Item(_tools(count)), *kept] if count else kept


def _shrink_tool(tool: dict[str, Any], before: int, room: int) -> list[Item]:
    head = [Item(_tools(before))] if before else []
    try:
        return [*head, Item(fit(tool, room - sum(len(one.text) + 1 for one in head)))]
    except NoRoomError:
        return _alone(_tools(before + 1), room)


def _mark_document(kept: list[Item], count: int) -> list[Item]:
    return [*kept, Item(marker("documents", count))] if count else kept


def _shrink_document(document: dict[str, Any], others: int, room: int) -> list[Item]:
    return _alone(marker("documents", others + 1), room)


def _tools(count: int) -> dict[str, Any]:
    return {"type": DROPPED, "name": f"{count} tools"}


def _alone(value: dict[str, Any], room: int) -> list[Item]:
    item = Item(value)
    if len(item.text) > room:
        raise NoRoomError
    return [item]


MESSAGES: Final = Kind(_mark_message, _shrink_message)
PARTS: Final = Kind(_mark_part, _shrink_part)
TOOLS: Final = Kind(_mark_tool, _shrink_tool)
DOCUMENTS: Final = Kind(_mark_document, _shrink_document, best_first=True)


# -- all content of one span, event or row ----------------------------------------------------------------


def governed(content: Mapping[str, Listed], limits: Limits) -> dict[str, list[Item]]:
    """The items of each attribute that the limits have room for; an attribute without any is left out."""
    room, whole = limits
    sizes = {key: listed.size(room) for key, listed in content.items()}
    most = [min(size, room) for size in sizes.values()]
    if sum(most) > whole:
        room = level(most, whole)  # short ones leave their share of the span to long ones
    made: dict[str, list[Item]] = {}
    for key, listed in content.items():
        items = list(listed.items) if sizes[key] <= room else listed.within(room)
        if items is not None:
            made[key] = items
    return made


def texts(content: Mapping[str, Listed], limits: Limits) -> dict[str, str]:
    """The JSON text of each attribute, within the limits."""
    room, left = limits
    for _, items, dropped in content.values():
        size = len(items) + 1
        for item in items:
            # The usual case: all of it was encoded before, and fits.
            if item._text is None:
                size = room + 1
                break
            size += len(item._text)
        left -= size
        if dropped or size > room or left < 0:
            return {key: text_of(kept) for key, kept in governed(content, limits).items()}
    return {key: text_of(listed.items) for key, listed in content.items()}


def text_of(items: Sequence[Item]) -> str:
    """The items as the JSON text of an attribute."""
    return f"[{','.join([item.text for item in items])}]"


def values_of(items: Sequence[Item]) -> list[dict[str, Any]]:
    """The items as the structured value of an attribute."""
    return [item.value for item in items]


def shortened(value: Any, room: int) -> Any | None:
    """A single value, as arguments and results of tools are; None where there is no room for anything."""
    try:
        return fit(value, room)
    except NoRoomError:
        if room < 2 or type(value) not in (dict, list):
            return None
        return type(value)()


def others(content: Mapping[str, Any], room: int) -> dict[str, Any]:
    """Content of somebody else's span within ``room`` characters together; what fits is left as it is.

    Args:
        content: by name, each mostly a text, which may be JSON.
        room: for all of it.
    """
    sizes = {name: size_of(one, room) for name, one in content.items()}
    most = room if sum(sizes.values()) <= room else level(list(sizes.values()), room)
    made = {name: one if sizes[name] <= most else _other(one, most) for name, one in content.items()}
    return {name: one for name, one in made.items() if one is not None}


def _other(value: Any, room: int) -> Any | None:
    if type(value) is not str:
        return shortened(value, room)
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = value
    if type(parsed) is list and parsed and all(map(_is_message, parsed)):
        items = Listed(MESSAGES, [Item(one) for one in parsed]).within(room)
        return None if items is None else text_of(items)
    if type(parsed) not in (list, dict):
        return cut(value, room)
    fitted = shortened(parsed, room)
    return None if fitted is None else encode(fitted)


def _is_message(value: Any) -> bool:
    if type(value) is not dict or type(value.get("role")) is not str or type(value.get("parts")) is not list:
        return False
    return all(type(part) is dict for part in value["parts"])
