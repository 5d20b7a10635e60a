"""Messages that hold some words."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence

from spantally.ground.errors import ArgumentError
from spantally.ledger.contract import SessionRow
from spantally.queries.arguments import is_text
from spantally.queries.conversation import Message


def folded(text: str) -> str:
    """A text in which case and the way that accents are written make no difference."""
    return unicodedata.normalize("NFC", text).casefold()


def checked_words(text: str) -> list[str]:
    """The words of what somebody looks for.

    Raises:
        ArgumentError: there are none.
    """
    words = unicodedata.normalize("NFC", text).split() if is_text(text) else []
    if not words:
        raise ArgumentError(f"text={text!r} holds no word to look for")
    return words


def find_messages(
    sessions: Iterable[SessionRow],
    words: Sequence[str],
    read: Callable[[SessionRow], list[Message]],
    limit: int | None,
) -> list[Message]:
    """Messages that hold all of the words.

    Args:
        sessions: where to look, in this order.
        words: in any order and case.
        read: the messages of a session.
        limit: at most so many; None for all.
    """
    wanted = [folded(word) for word in words]
    found: list[Message] = []
    for session in sessions:
        if limit is not None and len(found) >= limit:
            break
        for message in read(session):
            text = folded(message.content)
            if all(word in text for word in wanted):
                found.append(message)
    return found if limit is None else found[:limit]


def excerpt(text: str, words: Sequence[str], width: int) -> str:
    """A line of a text around the first of the words.

    Args:
        text: a message.
        words: what was looked for.
        width: characters at most.
    """
    line = " ".join(text.split())
    low = line.casefold()
    places = [low.find(word.casefold()) for word in words]
    first = min((place for place in places if place >= 0), default=0)
    start = max(0, min(first - width // 3, len(line) - width))
    end = start + width
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"
