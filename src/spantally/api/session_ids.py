"""Ids that follow from what is known: templates, and a new session after a time of silence."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from string import Formatter
from typing import Final

from spantally.ground.errors import ArgumentError, shown
from spantally.ground.guard import swallowed
from spantally.ground.scope import Scope
from spantally.ground.session_state import known_session
from spantally.ground.setting_values import parse_id

MOST_KNOWN: Final = 1_024
"""Given ids whose last use this process remembers; of others the ledger knows."""
_NAMED: Final = re.compile(r"\{[A-Za-z_]\w*\}")
_ROLLED: Final = re.compile(r"~(\d{1,6})\Z")

_last_seen: OrderedDict[str, tuple[int, int]] = OrderedDict()
"""By given id: the newest session of it (1 is the id itself) and when this process was last in it."""


def is_template(text: str) -> bool:
    """Whether an id names what is to be filled in: ``"{customer}:{conversation}"``.

    Other braces are a program's own, as those of a GUID: such an id stays as it is.
    """
    return _NAMED.search(text) is not None


def check_template(text: str) -> str:
    """The template.

    Raises:
        ArgumentError: if its braces do not match, it asks for more than a name, or two names touch: then
            different values could give one id.
    """
    try:
        pieces = list(Formatter().parse(text))
    except ValueError as error:
        raise ArgumentError(
            f"session id={text!r} is no template ({error}); write braces as {{{{ }}}}"
        ) from error
    for place, (literal, name, form, conversion) in enumerate(pieces):
        if name is not None and (not name or form or conversion or not name.replace("_", "a").isalnum()):
            whole = f"{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}"
            raise ArgumentError(
                f"session id={text!r}: {{{whole}}} is no name; use names of what is known, as {{customer}}"
            )
        if place and name is not None and not literal:
            raise ArgumentError(
                f"session id={text!r}: {{{name}}} touches the name before it; put a separator between them"
            )
    return text


def filled(template: str, known: Mapping[str, str]) -> str:
    """The id that a template stands for: different values never give one id.

    What separates the values is percent-encoded where a value has it itself.

    Raises:
        ArgumentError: (a ValueError) naming a name that nothing is known for, and the names that are known.
    """
    made: list[str] = []
    pieces = list(Formatter().parse(template))
    separating = _separating([literal for literal, name, _, _ in pieces[1:] if name is not None])
    for literal, name, _, _ in pieces:
        made.append(literal)
        if name is None:
            continue
        value = known.get(name)
        if value is None:
            names = ", ".join(sorted(known)) or "none"
            raise ArgumentError(
                f"session id={template!r}: nothing is known for {{{name}}}; known here: {names} "
                "(conversation, user, the entity's type, tags)"
            )
        made.append("".join(_encoded(one) if one in separating else one for one in value))
    return parse_id("session id", "".join(made))


def _separating(separators: list[str]) -> set[str]:
    """Characters that a value may not have as they are: by one of its own each separator is found again."""
    found = {next((one for one in text if not one.isalnum()), text[0]) for text in separators}
    return found | {"%"} if found else found


def _encoded(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def known_names(
    conversation: str | None,
    user: str | None,
    entity: tuple[str, str] | None,
    tags: tuple[tuple[str, str], ...],
    outer: Scope | None,
) -> dict[str, str]:
    """What a template may name: tags, the entity by its type, user and conversation; the inner value wins."""
    known: dict[str, str] = {}
    if outer is not None:
        known.update(outer.tags)
        if outer.entity_type is not None and outer.entity_id is not None:
            known[outer.entity_type] = outer.entity_id
        known.update(_given(user=outer.user_id, conversation=outer.conversation_id))
    known.update(tags)
    if entity is not None:
        known[entity[0]] = entity[1]
    known.update(_given(user=user, conversation=conversation))
    return known


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def parse_idle(value: object) -> float | None:
    """Seconds of silence after which an id begins a new session: a number above 0, or a timedelta.

    Raises:
        ArgumentError: for anything else.
    """
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, dt.timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < 1e9:
        raise ArgumentError(f"idle_timeout={shown(value)}: use seconds above 0, or a timedelta")
    return float(seconds)


def learn_use(given: str) -> None:
    """Take in what the ledger knows of the sessions of an id; reads a file, so not in an event loop.

    Nothing is read where the newest one is open in this process: then it is in use.
    """
    number, last_ns = _last_seen.get(given, (0, 0))
    if number and _is_open(given, number):
        return
    stored = _in_ledger(given)
    if stored > (number, last_ns):
        _remember(given, *stored)


def resumed_or_next(given: str, idle_seconds: float) -> tuple[str, str | None]:
    """The session that an id means now, by what this process knows; see :func:`learn_use`.

    Args:
        given: the id that the program gave; the first session has it, later ones ``<id>~2``, ``~3``.
        idle_seconds: of silence after which a new one begins.

    Returns:
        Its id, and that of the session before it where there was one.
    """
    number, last_ns = _last_seen.get(given, (0, 0))
    if number == 0:
        return given, None
    if _is_open(given, number) or time.time_ns() - last_ns <= idle_seconds * 1e9:
        return _named(given, number), _named(given, number - 1) if number > 1 else None
    return _named(given, number + 1), _named(given, number)


def _is_open(given: str, number: int) -> bool:
    known = known_session(_named(given, number))
    return known is not None and known.entries > 0


def note_use(given: str, session_id: str) -> None:
    """Remember that a session of this id was in use just now."""
    _remember(given, _number_of(given, session_id), time.time_ns())


def _remember(given: str, number: int, last_ns: int) -> None:
    _last_seen[given] = (number, last_ns)
    _last_seen.move_to_end(given)
    while len(_last_seen) > MOST_KNOWN:
        _last_seen.popitem(last=False)


def forget_use() -> None:
    """Forget what was in use (tests)."""
    _last_seen.clear()


def _named(given: str, number: int) -> str:
    return given if number <= 1 else f"{given}~{number}"


def _number_of(given: str, session_id: str) -> int:
    if session_id == given:
        return 1
    rolled = _ROLLED.search(session_id)
    if rolled is not None and session_id[: rolled.start()] == given:
        return int(rolled.group(1))
    return 0


def _in_ledger(given: str) -> tuple[int, int]:
    """The newest session of the id in the ledger, and its last moment; (0, 0) where there is none."""
    try:
        from spantally.ground.errors import LedgerError
        from spantally.queries.ledger import open_ledger

        try:
            with open_ledger() as ledger:
                rows = ledger.sessions(conversation=given, order_by="-started", limit=100)
        except LedgerError:
            return 0, 0  # there is none yet, or none that can be read: this process's memory counts alone
        numbered = [(_number_of(given, row.session_id), row.last_ns) for row in rows]
        return max(numbered, default=(0, 0))
    except Exception as error:
        swallowed("session.idle", error)
        return 0, 0
