"""Making values fit: a plain value and a number of characters in, a value of the same kind that fits out.

What is cut says how long it was, what is dropped says how many there were, and a redaction tag is kept whole
or goes whole. Pure: nothing here knows what the values mean, but for the names that their schemas ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.json_text import encode

OPENING: Final = "[REDACTED:"
"""How a redaction tag begins. Said here again, since the redaction is a lot to load for it."""

DROPPED: Final = "spantally.dropped"
"""Type of the part that stands for what was dropped, and name of the member that does in an object."""

LONGEST_TAG: Final = 64
"""No redaction tag is longer, in characters."""

MOST_STEPS: Final = 2_000
"""Values that are looked at to make one value fit; what is left then is dropped rather than cut."""

_KEPT: Final = frozenset(
    {
        "type",
        "role",
        "name",
        "parts",
        "content",
        "response",
        "modality",
        "file_id",
        "uri",
        "server_tool_call",
        "server_tool_call_response",
    }
)
"""Members that a schema may ask for: an object that has not even room for these is dropped whole."""


class Head(str):
    """The beginning of a text of which nobody needs more, with the length of the whole."""

    __slots__ = ("length",)
    length: int

    @classmethod
    def of(cls, text: str, needed: int) -> Head:
        """The beginning of ``text``, longer than ``needed`` wherever a tag stands."""
        made = cls(text[: before_tag(text, needed + 2 * LONGEST_TAG)])
        made.length = len(text)
        return made


class NoRoomError(Exception):
    """A value cannot be made as short as was asked."""


def note(length: int) -> str:
    """What stands at the end of a text that was cut.

    Args:
        length: of the whole text, in characters.
    """
    return f"…[cut from {length} characters]"


def cut(text: str, room: int) -> str:
    """The text in at most ``room`` characters, with a note of its length where that fits."""
    if len(text) <= room:
        return text
    mark = note(len(text))
    if len(mark) > room:
        mark = ""
    end = max(0, room - len(mark))
    return text[: before_tag(text, end)] + mark


def before_tag(text: str, end: int) -> int:
    """``end``, or the beginning of the redaction tag that a cut at ``end`` would split."""
    start = text.rfind(OPENING, max(0, end - LONGEST_TAG), end + len(OPENING) - 1)
    if start < 0 or start >= end or -1 < text.find("]", start) < end:
        return end
    return start


def cut_leaves(value: Any, room: int) -> Any:
    """The value with each text in it in at most ``room`` characters; the same object where none is longer."""
    kind = type(value)
    if kind is str:
        return cut(value, room)
    if kind is dict:
        made = {name: cut_leaves(one, room) for name, one in value.items()}
        return made if any(made[name] is not one for name, one in value.items()) else value
    if kind is list:
        items = [cut_leaves(one, room) for one in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def size_of(value: Any, enough: int) -> int:
    """Length of the value's JSON; of what is longer than ``enough``, some number above it.

    What is plainly too long is never encoded.
    """
    least = _least(value, enough)
    return least if least > enough else len(encode(value))


def _least(value: Any, enough: int) -> int:
    kind = type(value)
    if kind is str or kind is Head:
        return len(value) + 2
    if kind is dict:
        total = 2
        for name, one in value.items():
            total += len(name) + 3 + _least(one, enough)
            if total > enough:
                break
        return total
    if kind is list:
        total = 2
        for one in value:
            total += _least(one, enough)
            if total > enough:
                break
        return total
    return 1


def fit(value: Any, room: int) -> Any:
    """The value, made to take at most ``room`` characters as JSON.

    Texts are cut from their end, lists lose their oldest elements, objects what no schema asks for. The
    kind stays: a text stays a text, an object an object.

    Raises:
        NoRoomError: there is not even room for a note of what was there.
    """
    return _Fitting().value(value, room)


class _Fitting:
    """One value being made to fit, in a bounded number of steps."""

    def __init__(self) -> None:
        self.steps = 0

    def value(self, value: Any, room: int) -> Any:
        self.steps += 1
        if self.steps > MOST_STEPS or room < 1:
            raise NoRoomError
        if size_of(value, room) <= room:
            return value
        kind = type(value)
        if kind is str or kind is Head:
            return self._text(value, room)
        if kind is list:
            return self._list(value, room)
        if kind is dict:
            return self._object(value, room)
        raise NoRoomError

    def _text(self, text: str, room: int) -> str:
        mark = note(text.length if type(text) is Head else len(text))
        room -= len(mark) + 2
        if room < 0:
            raise NoRoomError
        kept = text[:room]
        while (size := len(encode(kept)) - 2) > room:
            kept = kept[: len(kept) * room // size]  # escaped characters take more than one
        return kept[: before_tag(text, len(kept))] + mark

    def _list(self, items: list[Any], room: int) -> list[Any]:
        """The newest elements that fit, led by the number of those that went."""
        if not items:
            raise NoRoomError
        left = room - 2 - len(encode(marker("items", len(items)))) - 1
        kept: list[Any] = []
        for one in reversed(items):
            size = size_of(one, left) + 1
            if size > left:
                break
            kept.append(one)
            left -= size
        gone = len(items) - len(kept)
        if not kept:
            try:
                kept.append(self.value(items[-1], left - 1))
                gone -= 1
            except NoRoomError:
                pass
        made = ([marker("items", gone)] if gone else []) + kept[::-1]
        if size_of(made, room) <= room:
            return made
        if room >= 2:
            return []
        raise NoRoomError

    def _object(self, value: Mapping[str, Any], room: int) -> dict[str, Any]:
        if room < 2:
            raise NoRoomError
        members = dict(value)
        gone = 0
        while True:
            more = {} if not gone else {DROPPED: gone}
            made = self._members(members, room - (len(encode(more)) - 1 if gone else 0))
            if made is not None:
                return made | more
            spare = [name for name in members if name not in _KEPT]
            if not spare or self.steps > MOST_STEPS:
                raise NoRoomError
            # The later half goes, so that few tries are needed however many members there are.
            for name in spare[len(spare) // 2 :]:
                del members[name]
                gone += 1

    def _members(self, members: Mapping[str, Any], room: int) -> dict[str, Any] | None:
        """All members, the long ones cut to equal lengths; None where there is no room for them."""
        left = room - 1 - sum(len(encode(name)) + 2 for name in members)
        if left < len(members):
            return None
        sizes = {name: size_of(one, left) for name, one in members.items()}
        most = level(list(sizes.values()), left)
        try:
            return {
                name: one if sizes[name] <= most else self.value(one, most) for name, one in members.items()
            }
        except NoRoomError:
            return None


def marker(what: str, count: int) -> dict[str, Any]:
    """The part that stands for what was dropped: every schema of content allows parts of other types."""
    return {"type": DROPPED, what: count}


def level(sizes: list[int], room: int) -> int:
    """The most that each may take so that all fit into ``room``: short ones leave theirs to others."""
    left = room
    for place, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - place)
        if size > share:
            return share
        left -= size
    return room
