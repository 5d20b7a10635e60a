"""Reading the rates of the settings file ``spantally.toml``: a wrong entry is left out, the rest holds.

Nothing here raises, and nothing is guessed: what is wrong is told in one line that names file, entry, key,
value and what is allowed.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from spantally.ground.money import UsageParts
from spantally.pricing.currencies import USD, Currencies, Dated
from spantally.pricing.overrides import ANY, EVERYTHING, Alias, OwnRates, Pattern, Rule, canonical, pattern

TABLES: Final = ("aliases", "budget", "check", "currencies", "rate")
"""What the settings file may hold."""

_KEY_OF: Final = {"audio_ms": "audio_hours"}
"""Parts whose rate is given for another unit than the part's own."""
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("uncached_input",),
    "cache_write": ("cache_write_5m", "cache_write_1h"),
    **{_KEY_OF.get(part, part): (part,) for part in UsageParts._fields if part != "uncached_input"},
}
"""Keys of rates, and the parts of the usage that each is for; one that names a part alone wins."""
_AMOUNTS: Final = ("per_request", "per_second", "multiplier")
_FLAGS: Final = ("free", "covered")
_TEXTS: Final = ("name", "provider", "host", "model", "service_tier", "speed", "geography")
_KEYS: Final = frozenset(
    {*_PARTS, *_AMOUNTS, *_FLAGS, *_TEXTS, "from", "to", "batch", "currency", "long_context"}
)
_PORT: Final = re.compile(r"^[^:]*:\d+$|\]:\d+$")
"""The port after a name or an address in brackets; an address of IPv6 without them has none."""
_MOST: Final = 1_000_000
_LONGEST: Final = 512

NONE: Final = OwnRates()

_T = TypeVar("_T")


class WrongError(ValueError):
    """One key of the file is wrong; the text names it, its value and what is allowed."""


def read_own(path: Path) -> OwnRates:
    """The rates of a settings file. Never raises for what stands in it.

    Args:
        path: of the file. One that does not exist has none.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return NONE
    except OSError as error:
        return OwnRates(wrong=(f"{path} cannot be read: {error.strerror or error}; no rate of it holds",))
    import tomllib

    try:
        data = tomllib.loads(content.decode("utf-8"), parse_float=_as_written)
    except (ValueError, RecursionError) as error:
        return OwnRates(wrong=(f"{path} is not TOML: {error}; no rate of it holds",))
    source = f"override {path.name}@{hashlib.sha256(content).hexdigest()[:12]}"
    return read_tables(data, str(path), source)


def _as_written(text: str) -> Decimal | str:
    """A number of the file; as a text, which is then named as wrong, where it is beyond all that can be."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def read_tables(data: Mapping[str, Any], path: str, source: str = "override") -> OwnRates:
    """The rates of a settings file that is parsed.

    Args:
        data: the file's tables, numbers with a point as ``Decimal``.
        path: what texts call the file.
        source: what rows rated by it name as their source.
    """
    wrong: list[str] = []

    def tried(where: str, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except WrongError as error:
            wrong.append(f"{path}, {where}: {error}; it is not in force")
            return None

    for key in data:
        if key not in TABLES:
            # Rates that stand in a table of another name would hold for nothing, and nobody would say so.
            near = difflib.get_close_matches(key, TABLES, n=1, cutoff=0.7)
            hint = f"; did you mean {near[0]}?" if near else ""
            wrong.append(
                f"{path}: {key} is not known{hint}; allowed: {', '.join(TABLES)}; it is not in force"
            )
    currencies: dict[str, Dated] = {}
    for name, given in _table(data, "currencies", path, wrong).items():
        dated = tried(f"currencies, {name}", partial(_dated, name, given))
        if dated is not None:
            currencies[name] = dated
    known = Currencies(currencies)
    rules: list[Rule] = []
    for number, given in enumerate(_array(data, path, wrong), 1):
        called = given.get("name") if isinstance(given, Mapping) else None
        where = f"rate {number}" + (f" ({called})" if isinstance(called, str) else "")
        rule = tried(where, partial(read_rule, given, number, known))
        if rule is not None:
            rules.append(rule)
    aliases: list[Alias] = []
    for number, (name, given) in enumerate(_table(data, "aliases", path, wrong).items(), 1):
        alias = tried(f"aliases, {name}", partial(_alias, name, given, number))
        if alias is not None:
            aliases.append(alias)
    return OwnRates(source, tuple(rules), tuple(aliases), known, tuple(wrong))


def _table(data: Mapping[str, Any], key: str, path: str, wrong: list[str]) -> Mapping[str, Any]:
    given = data.get(key, {})
    if isinstance(given, Mapping):
        return given
    wrong.append(f"{path}: {key}={given!r} is not a table; write [{key}]; it is not in force")
    return {}


def _array(data: Mapping[str, Any], path: str, wrong: list[str]) -> list[Any]:
    given = data.get("rate", [])
    if isinstance(given, list):
        return given
    wrong.append(f"{path}: write [[rate]] with two brackets, once for each; no rate of it is in force")
    return []


# -- an entry --------------------------------------------------------------------------------------------


def read_rule(given: Any, place: int, currencies: Currencies) -> Rule:
    """One ``[[rate]]``.

    Args:
        given: its table.
        place: its number in the file, from 1.
        currencies: those that it may name.

    Raises:
        WrongError: naming the key, its value and what is allowed.
    """
    if not isinstance(given, Mapping):
        raise WrongError(f"{given!r} is not a table; write [[rate]]")
    _only(given, _KEYS)
    text = {key: _text(given, key) for key in _TEXTS}
    since, since_ns = _edge(given, "from", last=False)
    until, until_ns = _edge(given, "to", last=True)
    if since_ns is not None and until_ns is not None and until_ns <= since_ns:
        raise WrongError(f"to={until!r} is before from={since!r}; use the last day on which it holds")
    rule = Rule(
        label=text["name"] or _label(text),
        place=place,
        provider=canonical(text["provider"]),
        host=_host(text["host"]),
        model=_pattern("model", text["model"]) or EVERYTHING,
        since_ns=since_ns,
        until_ns=until_ns,
        since=since,
        until=until,
        service_tier=text["service_tier"],
        batch=_flag(given, "batch"),
        speed=text["speed"],
        geography=text["geography"],
        currency=_currency(given, currencies),
        rates=_rates(given),
        long_context=_long_context(given),
        per_request=_amount(given, "per_request", "units of the currency for each request"),
        per_second=_amount(given, "per_second", "units of the currency for each second of the call"),
        multiplier=_amount(given, "multiplier", "a factor of the listed rates, such as 0.8"),
        free=_flag(given, "free") or False,
        covered=_flag(given, "covered") or False,
    )
    _check(rule)
    return rule


def _label(text: Mapping[str, str | None]) -> str:
    """What an entry without a name is called: where it holds."""
    return "/".join(filter(None, (text["provider"], text["host"], text["model"] or ANY)))


def _check(rule: Rule) -> None:
    """Raise where an entry says nothing, or two things at once."""
    own = bool(rule.rates or rule.long_context) or rule.per_request is not None or rule.per_second is not None
    ways = {
        "rates": own,
        "multiplier": rule.multiplier is not None,
        "free": rule.free,
        "covered": rule.covered,
    }
    said = [way for way, given in ways.items() if given]
    if len(said) != 1:
        found = " and ".join(said) or "nothing"
        raise WrongError(
            f"it says {found}; give one of: rates by part (input, output, ...), per_request or per_second, "
            "multiplier, free = true, covered = true"
        )
    if not own and rule.currency != USD:
        raise WrongError(f"currency={rule.currency!r} needs rates by part; leave it out beside {said[0]}")
    if rule.multiplier == 0:
        raise WrongError("multiplier=0 is not allowed; use free = true")
    if rule.long_context and not rule.rates:
        raise WrongError("long_context needs rates for smaller inputs beside it; name input, output, ...")
    if "reasoning" in rule.rates and "output" not in rule.rates:
        raise WrongError("reasoning needs a rate of output beside it, within which it is counted")


def _rates(given: Mapping[str, Any]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    # A key of several parts first, so that one for a single part replaces it.
    for key in sorted(_PARTS, key=lambda key: -len(_PARTS[key])):
        value = _amount(given, key, "units of the currency for a million tokens (searches: a thousand)")
        if value is not None:
            found.update(dict.fromkeys(_PARTS[key], value))
    return found


def _long_context(given: Mapping[str, Any]) -> tuple[tuple[int, Mapping[str, Decimal]], ...]:
    steps = given.get("long_context", [])
    if not isinstance(steps, list):
        raise WrongError("long_context is not a list; write [[rate.long_context]], once for each threshold")
    found: dict[int, Mapping[str, Decimal]] = {}
    for step in steps:
        if not isinstance(step, Mapping):
            raise WrongError(f"long_context={step!r} is not a table; write [[rate.long_context]]")
        _only(step, {*_PARTS, "above"})
        above = step.get("above")
        if not isinstance(above, int) or isinstance(above, bool) or above < 1 or above in found:
            raise WrongError(
                f"above={above!r} is not allowed; use a number of input tokens, once for each threshold"
            )
        found[above] = _rates(step)
        if not found[above]:
            raise WrongError(f"above={above} has no rate; name input, output, ...")
    return tuple(sorted(found.items()))


def _alias(name: str, given: Any, place: int) -> Alias:
    if isinstance(given, str):
        given = {"model": given}
    if not isinstance(given, Mapping):
        raise WrongError(f"{given!r} is not allowed; use {{ provider = ..., model = ... }}")
    _only(given, {"provider", "model", "host"})
    model = _text(given, "model")
    if model is None:
        raise WrongError("it has no model; use { provider = ..., model = ... }")
    named = _pattern("name", name) if name.strip() else None
    if named is None:
        raise WrongError("the name is empty")
    return Alias(named, canonical(_text(given, "provider")), model, _host(_text(given, "host")), place)


def _dated(name: str, given: Any) -> Dated:
    """The rates of one currency: a number, or a table of numbers by date."""
    if not (len(name) == 3 and name.isascii() and name.isalpha() and name.isupper()) or name == USD:
        raise WrongError("the name is not allowed; use three capital letters such as EUR, and not USD")
    if not isinstance(given, Mapping):
        return Dated((date.min,), (_dollars(name, given),))
    found: dict[date, Decimal] = {}
    for day, value in given.items():
        try:
            found[date.fromisoformat(day)] = _dollars(day, value)
        except ValueError as error:
            if isinstance(error, WrongError):
                raise
            raise WrongError(f"{day!r} is not a date; use YYYY-MM-DD = US dollars for one unit") from error
    if not found:
        raise WrongError("it has no rate; use YYYY-MM-DD = US dollars for one unit")
    days = sorted(found)
    return Dated(tuple(days), tuple(found[day] for day in days))


def _dollars(key: str, value: Any) -> Decimal:
    number = _number(value)
    if number is None or not 0 < number <= _MOST:
        raise WrongError(f"{key}={_shown(value)} is not allowed; use US dollars for one unit, above 0")
    return number


# -- a key -----------------------------------------------------------------------------------------------


def _only(given: Mapping[str, Any], allowed: Any) -> None:
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        near = difflib.get_close_matches(unknown[0], sorted(allowed), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise WrongError(
            f"no such key: {', '.join(unknown)}{hint}; allowed: {', '.join(sorted(map(str, allowed)))}"
        )


def _text(given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is None:
        return None
    if isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= _LONGEST:
        return value.strip()
    raise WrongError(f"{key}={value!r} is not allowed; use a text of 1 to {_LONGEST} printable characters")


def _flag(given: Mapping[str, Any], key: str) -> bool | None:
    value = given.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise WrongError(f"{key}={value!r} is not allowed; use true or false")


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(value) if isinstance(value, (int, Decimal, str)) else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)


def _amount(given: Mapping[str, Any], key: str, what: str) -> Decimal | None:
    value = given.get(key)
    if value is None:
        return None
    number = _number(value)
    if number is None or not 0 <= number <= _MOST or -number.as_tuple().exponent > 30:  # type: ignore[operator]
        raise WrongError(f"{key}={_shown(value)} is not allowed; use a number of 0 to {_MOST:,}: {what}")
    return number


def _pattern(key: str, text: str | None) -> Pattern | None:
    if text is None:
        return None
    try:
        return pattern(text)
    except ValueError as error:
        raise WrongError(
            f"{key}={text!r} is not allowed: {error}; use a name, a name with * and ?, or /a regex/"
        ) from error


def _host(text: str | None) -> Pattern | None:
    regex = text is not None and len(text) > 2 and text[0] == text[-1] == "/"
    if text is not None and not regex and ("/" in text or _PORT.search(text)):
        raise WrongError(
            f"host={text!r} is not allowed; use the host's name without scheme and port, and without a path"
        )
    return _pattern("host", text)


def _currency(given: Mapping[str, Any], currencies: Currencies) -> str:
    value = given.get("currency", USD)
    if isinstance(value, str) and (value == USD or value in currencies.known):
        return value
    raise WrongError(
        f"currency={value!r} is not allowed; use one of: {', '.join(currencies.names())}, "
        "or give its worth in US dollars in [currencies]"
    )


def _edge(given: Mapping[str, Any], key: str, *, last: bool) -> tuple[str | None, int | None]:
    """A date or time as text and as UNIX nanoseconds; the last day of a validity is meant as a whole."""
    value = given.get(key)
    if value is None:
        return None, None
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError:
            pass
    if isinstance(value, datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
        try:
            moment += timedelta(days=1) if last else timedelta()
        except OverflowError:
            return value.isoformat(), None
    else:
        raise WrongError(f"{key}={value!r} is not allowed; use a date such as 2026-01-31 (UTC), or a time")
    since_epoch = moment - datetime(1970, 1, 1, tzinfo=UTC)
    micros = since_epoch // timedelta(microseconds=1)
    return value.isoformat(), micros * 1_000
