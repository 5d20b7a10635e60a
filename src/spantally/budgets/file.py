"""Budgets of the settings file ``spantally.toml``: per user, entity, tag, session, day or month.

A wrong budget is left out, with one clear line: nobody's program ends because of a file. ``spantally doctor``
shows what is in force and what is not.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from spantally.budgets.account import Account
from spantally.budgets.brake import Who, account_of
from spantally.budgets.budget import Budget
from spantally.budgets.line import Line
from spantally.ground.errors import SettingsError
from spantally.ground.guard import say_once

PERIODS: Final = ("session", "day", "month", "total")
EACH: Final = "*"
"""In the place of a user, an entity's id or a tag's value: each has a budget of its own."""

_WHO: Final = frozenset({"user", "entity", "tag"})
_LIMITS: Final = frozenset({"usd", "calls", "tokens", "on_exceed", "on_unpriced", "tell_at", "webhook"})
_KEYS: Final = _WHO | _LIMITS | {"name", "per", "tz"}


class Rule(NamedTuple):
    """One ``[[budget]]`` of the file."""

    name: str
    user: str | None
    entity: tuple[str, str] | None
    tag: tuple[str, str] | None
    per: str
    zone: ZoneInfo | None
    """None is the zone of the machine."""
    budget: Budget

    def matched(self, who: Who) -> tuple[str, ...] | None:
        """Whose account it is for a call, or None where the rule does not hold for it."""
        found: list[str] = []
        if self.user is not None:
            if who.user_id is None or self.user not in (EACH, who.user_id):
                return None
            found.append(f"user {who.user_id}")
        if self.entity is not None:
            kind, ident = self.entity
            if who.entity_type != kind or who.entity_id is None or ident not in (EACH, who.entity_id):
                return None
            found.append(f"{kind} {who.entity_id}")
        if self.tag is not None:
            key, value = self.tag
            own = dict(who.tags).get(key)
            if own is None or value not in (EACH, own):
                return None
            found.append(f"{key}={own}")
        return tuple(found)


class Selection(NamedTuple):
    """Which calls an account is of: what was used before it was opened is asked for by it."""

    user: str | None
    entity: tuple[str, str] | None
    tag: tuple[str, str] | None
    session_id: str | None
    since_ns: int | None


MakeAccount = Callable[[str, Selection], Account]


class FileRules:
    """The budgets of a settings file."""

    def __init__(self, found: Sequence[Rule], make_account: MakeAccount) -> None:
        """Put rules into force.

        Args:
            found: the rules.
            make_account: makes an account of a name and a selection of calls.
        """
        self.found = tuple(found)
        self._make = make_account
        self._periods: dict[tuple[str, str], tuple[int, str, int | None]] = {}
        self._lines: dict[str, Line] = {}

    def lines(self, who: Who, session_id: str) -> list[Line]:
        """Those that hold for a call."""
        lines: list[Line] = []
        for rule in self.found:
            whom = rule.matched(who)
            if whom is not None:
                lines.append(self._line(rule, whom, who, session_id))
        return lines

    def _line(self, rule: Rule, whom: tuple[str, ...], who: Who, session_id: str) -> Line:
        label, since_ns = self._period(rule, session_id)
        words = ", ".join((*whom, label)) if whom or label else ""
        key = f"file:{rule.name}|{words}"
        line = self._lines.get(key)
        if line is None:
            selection = Selection(
                who.user_id if rule.user is not None else None,
                (rule.entity[0], who.entity_id or "") if rule.entity is not None else None,
                (rule.tag[0], dict(who.tags).get(rule.tag[0], "")) if rule.tag is not None else None,
                session_id if rule.per == "session" else None,
                since_ns,
            )
            account = account_of(key, lambda: self._make(key, selection))
            if len(self._lines) >= _MOST_LINES:
                self._lines.clear()
            shown = words.removesuffix(", ")  # in total: there is no period to name
            line = self._lines[key] = Line(
                f"{rule.name} ({shown})" if shown else rule.name, rule.budget, account
            )
        return line

    def _period(self, rule: Rule, session_id: str) -> tuple[str, int | None]:
        """The period of now in words, and its beginning."""
        if rule.per == "session":
            return f"session {session_id}", None
        if rule.per == "total":
            return "", None
        key = (rule.per, "" if rule.zone is None else rule.zone.key)
        now = time.time_ns()
        known = self._periods.get(key)
        if known is None or not (known[2] or 0) <= now < known[0]:
            known = self._periods[key] = _period_of(rule, now)
        return known[1], known[2]


_MOST_LINES: Final = 10_000


def _period_of(rule: Rule, now_ns: int) -> tuple[int, str, int]:
    """End, name and beginning of the day or month that a moment is in."""
    now = datetime.fromtimestamp(now_ns // 1_000_000_000, rule.zone)
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)  # the first, where there are two
    if rule.per == "month":
        begin = begin.replace(day=1)
        end = (begin + timedelta(days=32)).replace(day=1)
        name = f"{begin:%Y-%m}"
    else:
        end = begin + timedelta(days=1)
        name = f"{begin:%Y-%m-%d}"
    if rule.zone is not None:
        name += f" {rule.zone.key}"
    return int(end.timestamp()) * 1_000_000_000, name, int(begin.timestamp()) * 1_000_000_000


# -- reading ---------------------------------------------------------------------------------------------


def read_rules(path: Path) -> tuple[list[Rule], list[str]]:
    """The budgets of a settings file, and what is wrong with it.

    Args:
        path: of the file. One that does not exist has neither.
    """
    import tomllib

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [], []
    except (OSError, ValueError) as error:
        return [], [f"the settings file {path} cannot be read: {error}; no budget of it is in force"]
    tables = data.get("budget", [])
    if not isinstance(tables, list):
        return [], [f"{path}: write [[budget]] with two brackets, once for each"]
    rules: list[Rule] = []
    wrong: list[str] = []
    for number, given in enumerate(tables, 1):
        try:
            rules.append(_apart(read_rule(given), rules))
        except SettingsError as error:
            wrong.append(f"{path}, budget {number}: {error}; it is not in force")
    return rules, wrong


def _apart(rule: Rule, before: Sequence[Rule]) -> Rule:
    """A rule with a name that makes its accounts its own: one that refuses, beside one that warns earlier."""
    name, number = rule.name, 1
    while any(_share(rule, other) for other in before):
        number += 1
        rule = rule._replace(name=f"{name} ({number})")
    return rule


def _share(one: Rule, other: Rule) -> bool:
    """Whether both would have the same account for some call."""
    return (one.name, one.per, one.zone) == (other.name, other.per, other.zone) and all(
        mine == theirs or (mine is not None and theirs is not None and _overlap(mine, theirs))
        for mine, theirs in zip(one[1:4], other[1:4], strict=True)
    )


def _overlap(one: Any, other: Any) -> bool:
    """Whether two users, entities or tags may be of one call."""
    mine, theirs = ((value,) if isinstance(value, str) else value for value in (one, other))
    return mine[:-1] == theirs[:-1] and (mine[-1] == theirs[-1] or EACH in (mine[-1], theirs[-1]))


def say_wrong(wrong: Sequence[str]) -> None:
    """Log what is wrong with the file, once each."""
    for text in wrong:
        say_once(f"budgets:{text}", "spantally: %s", text)


def read_rule(given: Any) -> Rule:
    """One ``[[budget]]``.

    Raises:
        SettingsError: naming the key, its value and what is allowed.
    """
    if not isinstance(given, Mapping):
        raise SettingsError(f"{given!r} is not a table; write [[budget]]")
    unknown = sorted(set(given) - _KEYS)
    if unknown:
        raise SettingsError(f"no such key: {', '.join(unknown)}; allowed: {', '.join(sorted(_KEYS))}")
    user = _text(given, "user")
    entity = _pair(given, "entity", ":", "type:id or type:*")
    tag = _pair(given, "tag", "=", "key=value or key=*")
    per = given.get("per", "day")
    if per not in PERIODS:
        raise SettingsError(f"per={per!r} is not allowed; use one of: {', '.join(PERIODS)}")
    limits = {key: given[key] for key in _LIMITS if key in given}
    try:
        budget = Budget(**limits)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return Rule(_text(given, "name") or _named(given, per), user, entity, tag, per, _zone(given), budget)


def _named(given: Mapping[str, Any], per: str) -> str:
    parts = [f"{key} {given[key]}" for key in ("user", "entity", "tag") if key in given]
    return " and ".join(parts) + (" " if parts else "") + (f"per {per}" if per != "total" else "in total")


def _text(given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is None:
        return None
    if isinstance(value, str) and value and value.isprintable() and len(value) <= 256:
        return value
    raise SettingsError(f"{key}={value!r} is not allowed; use a text of 1 to 256 printable characters")


def _pair(given: Mapping[str, Any], key: str, between: str, form: str) -> tuple[str, str] | None:
    value = _text(given, key)
    if value is None:
        return None
    found = re.fullmatch(f"([^{between}]+){between}(.+)", value)
    if found is None:
        raise SettingsError(f"{key}={value!r} is not allowed; use {form}")
    return found[1], found[2]


def _zone(given: Mapping[str, Any]) -> ZoneInfo | None:
    value = given.get("tz")
    if value is None:
        return None
    try:
        return ZoneInfo(value)
    except Exception as error:
        raise SettingsError(
            f"tz={value!r} is not a time zone; use an IANA name such as Europe/Berlin or UTC"
        ) from error
