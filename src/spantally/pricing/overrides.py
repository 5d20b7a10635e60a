"""Rates of the user's own: which entry of the settings file holds for a call.

The most specific entry wins: an exact model name before a pattern, a pattern with more literal characters
before one with fewer, then the model of the response before that of the request, an exact host before a
pattern before none, an entry with a provider, with more conditions, with the later ``from``; and of two that
are alike in all that, the later one of the file.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from spantally.pricing.card import STANDARD_TIERS, Query
from spantally.pricing.currencies import USD, Currencies
from spantally.pricing.vendors import VENDORS

ANY: Final = "*"
"""As a condition: every value, standard processing among them."""

_EXACT, _GLOB, _REGEX, _ALL = 3, 2, 1, 0
_HOUR_NS: Final = 3_600_000_000_000


class Pattern(NamedTuple):
    """A name as the file gives it: exact, with ``*``, ``?`` and ``[...]``, or a regex between slashes."""

    text: str
    kind: int
    literals: int
    """Characters that are not part of the pattern's own signs."""
    regex: re.Pattern[str] | None

    def matches(self, name: str) -> bool:
        """True if the name as a whole fits; case does not matter."""
        if self.regex is None:
            return name.lower() == self.text.lower()
        return self.regex.fullmatch(name) is not None


def pattern(text: str) -> Pattern:
    """Read a pattern.

    Raises:
        ValueError: for a regex that is none.
    """
    if len(text) > 2 and text[0] == text[-1] == "/":
        try:
            return Pattern(text, _REGEX, 0, re.compile(text[1:-1], re.IGNORECASE))
        except re.error as error:
            raise ValueError(f"the regex is wrong: {error}") from error
    if not set("*?[").intersection(text):
        return Pattern(text, _EXACT, len(text), None)
    literals = len(re.sub(r"\[[^]]*\]|[*?]", "", text))
    return Pattern(
        text, _GLOB if literals else _ALL, literals, re.compile(fnmatch.translate(text), re.IGNORECASE)
    )


EVERYTHING: Final = pattern("*")


def canonical(provider: str | None) -> str | None:
    """One name for a provider, whichever of its names is given."""
    if not provider or not provider.strip():
        return None
    name = provider.strip().lower()
    return VENDORS.get(name, name)


class Rule(NamedTuple):
    """One ``[[rate]]`` of the file."""

    label: str
    place: int
    """Its number in the file, from 1."""
    provider: str | None = None
    host: Pattern | None = None
    model: Pattern = EVERYTHING
    since_ns: int | None = None
    until_ns: int | None = None
    """It holds for calls that began at ``since_ns`` or later and before ``until_ns``."""
    since: str | None = None
    """As the file says it."""
    until: str | None = None
    service_tier: str | None = None
    batch: bool | None = None
    speed: str | None = None
    geography: str | None = None
    currency: str = USD
    rates: Mapping[str, Decimal] = {}
    """By part of :class:`UsageParts`, in units of the currency for a million (searches: a thousand)."""
    long_context: tuple[tuple[int, Mapping[str, Decimal]], ...] = ()
    """Rates for inputs above so many tokens, ascending; what they do not name stays."""
    per_request: Decimal | None = None
    per_second: Decimal | None = None
    multiplier: Decimal | None = None
    free: bool = False
    covered: bool = False

    @property
    def needs_usage(self) -> bool:
        """True where the cost depends on what was used."""
        return bool(self.rates or self.long_context or self.multiplier is not None)

    @property
    def conditions(self) -> int:
        """How many it names."""
        named = (self.service_tier, self.batch, self.speed, self.geography)
        return sum(one not in (None, ANY) for one in named)

    def holds_at(self, start_ns: int) -> bool:
        """True if the entry is valid for a call that began then."""
        return (self.since_ns is None or start_ns >= self.since_ns) and (
            self.until_ns is None or start_ns < self.until_ns
        )

    def holds_for(self, query: Query) -> bool:
        """True if the entry is meant for this way of processing.

        Rates of its own hold for standard processing only where they do not say otherwise: what a batch or
        another tier costs, they do not tell. Whatever follows the list, or the clock, holds for all.
        """
        tier = _tier(query.service_tier)
        batch = query.batch or tier == "batch"
        tier = None if tier == "batch" else tier
        every = self.service_tier == ANY or not self.rates
        if not _fits(self.service_tier, tier, every) or not _fits(self.speed, _tier(query.speed), every):
            return False
        if self.batch is not batch and not (self.batch is None and (every or not batch)):
            return False
        wanted = self.geography
        return wanted in (None, ANY) or (query.geography or "global").lower() == str(wanted).lower()


def _tier(text: str | None) -> str | None:
    """A tier without the names of the standard one."""
    name = (text or "").strip().lower()
    return None if not name or name in STANDARD_TIERS or name == "auto" else name


def _fits(wanted: str | None, given: str | None, every: bool) -> bool:
    if wanted == ANY or (wanted is None and every):
        return True
    return _tier(wanted) == given


class Alias(NamedTuple):
    """One line of ``[aliases]``: what a deployment's name, or an ARN, really is."""

    name: Pattern
    provider: str | None
    model: str
    host: Pattern | None
    place: int


class Call(NamedTuple):
    """What chooses an entry."""

    provider: str | None
    """Whose rates apply, as far as is known without an override."""
    said: str | None
    """``gen_ai.provider.name``: of an unknown host the flavour of its API."""
    host: str | None
    models: tuple[str | None, ...]
    """Of the response, of the request."""
    query: Query
    start_ns: int


class OwnRates(NamedTuple):
    """What the settings file says of rates."""

    source: str = "override"
    """``override`` with the file's name and a hash of its content."""
    rules: tuple[Rule, ...] = ()
    aliases: tuple[Alias, ...] = ()
    currencies: Currencies = Currencies()
    wrong: tuple[str, ...] = ()
    """What is not in force, one line each."""

    @property
    def any(self) -> bool:
        """True where there is something to look up."""
        return bool(self.rules or self.aliases)

    @property
    def prices_without_usage(self) -> bool:
        """True where some entry gives a cost to a call without usage."""
        return any(not rule.needs_usage for rule in self.rules)

    def changes_within_hour(self, start_ns: int) -> bool:
        """True where some entry begins or ends within the hour of the call, so that it has no one card."""
        hour = start_ns // _HOUR_NS
        edges = [edge for rule in self.rules for edge in (rule.since_ns, rule.until_ns) if edge is not None]
        return any(edge // _HOUR_NS == hour and edge % _HOUR_NS for edge in edges)

    def alias_of(self, name: str | None, host: str | None) -> Alias | None:
        """What a name stands for, or None."""
        if not name:
            return None
        found = [
            one
            for one in self.aliases
            if one.name.matches(name) and (one.host is None or (host is not None and one.host.matches(host)))
        ]
        return (
            max(found, key=lambda one: (one.name.kind, one.name.literals, one.host is not None, one.place))
            if found
            else None
        )

    def rule_for(self, call: Call) -> Rule | None:
        """The entry that holds for a call, or None."""
        ranked = [
            (rank, rule)
            for rule in self.rules
            if rule.holds_at(call.start_ns)
            and _place_fits(rule, call)
            and rule.holds_for(call.query)
            and (rank := _rank(rule, call.models)) is not None
        ]
        return max(ranked, key=lambda one: one[0])[1] if ranked else None


def _place_fits(rule: Rule, call: Call) -> bool:
    """Whether the call went where the entry is for."""
    if rule.host is not None and (call.host is None or not rule.host.matches(call.host.rstrip("."))):
        return False
    if rule.provider is None:
        return True
    if canonical(call.provider) == rule.provider:
        return True
    # Where the entry names the host, the flavour that the call's span says will do.
    return rule.host is not None and canonical(call.said) == rule.provider


def spellings(names: Iterable[str | None]) -> list[tuple[int, str]]:
    """Names as an entry may give them, each with its rank: the first is the response's."""
    found: list[tuple[int, str]] = []
    for place, name in enumerate(names):
        if name and name.strip():
            text = name.strip()
            found.append((-place, text))
            if text.startswith("models/"):
                found.append((-place, text.removeprefix("models/")))
    return found


def _rank(rule: Rule, models: Iterable[str | None]) -> tuple[int, ...] | None:
    """How specific an entry is for a call; None where it is not for its model."""
    fitting = [place for place, name in spellings(models) if rule.model.matches(name)]
    if not fitting and rule.model.kind != _ALL:
        return None
    return (
        rule.model.kind,
        rule.model.literals if rule.model.kind == _GLOB else 0,
        max(fitting, default=0),
        -1 if rule.host is None else rule.host.kind,
        0 if rule.host is None or rule.host.kind != _GLOB else rule.host.literals,
        int(rule.provider is not None),
        rule.conditions,
        -(2**63) if rule.since_ns is None else rule.since_ns,
        rule.place,
    )
