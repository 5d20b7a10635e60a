"""The arguments of what a program records itself, checked before any effect."""

from __future__ import annotations

import json
import math
import re
import time
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

from spantally.api.plain_values import parse_json
from spantally.ground import semconv
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.setting_values import parse_choice, parse_id

ROLES: Final = ("user", "assistant", "system", "tool")
MESSAGE_STATUSES: Final = ("delivered", "pending", "error")
MOST_COUNT: Final = 100_000_000_000
"""Most tokens of one call or message."""
MOST_USD: Final = 9_000_000
"""Most US dollars of one call, tool or session."""
MOST_MS: Final = 1e12
LONGEST_CONTENT: Final = 8 * 1024 * 1024
"""Most characters of one content."""
LONGEST_TYPE: Final = 128
_AHEAD_NS: Final = 86_400 * 1_000_000_000
_TYPE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-:/]*")
_NANO: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_number(what: str, value: object, *, least: float = -1e300, most: float = 1e300) -> float | None:
    """A finite number from ``least`` to ``most``; None stays None, True and False are no numbers.

    Raises:
        ArgumentError: for anything else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentError(f"{what}={shown(value)}): use a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not least <= number <= most:
        allowed = "a finite number" if least < 0 else f"a finite number from {least:g} to {most:g}"
        raise ArgumentError(f"{what}={shown(value)}): use {allowed}")
    return number


def parse_count(what: str, value: object) -> int | None:
    """A whole number that is not negative; None stays None.

    Raises:
        ArgumentError: for anything else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_COUNT:
        raise ArgumentError(f"{what}={shown(value)}): use a whole number from 0 to {MOST_COUNT}")
    return int(value)


def parse_cost(what: str, value: object) -> int | None:
    """US dollars as nano-USD, rounded half-even; a float stands for the shortest decimal that reads so.

    Raises:
        ArgumentError: for a negative amount, one that is not finite or too large, and for anything else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
        raise ArgumentError(f"{what}={shown(value)}): use US dollars as a number, Decimal or decimal text")
    try:
        amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, ValueError):
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= MOST_USD:
        raise ArgumentError(f"{what}={shown(value)}): use US dollars from 0 to {MOST_USD}")
    return int((amount * _NANO).to_integral_value(ROUND_HALF_EVEN))


def parse_moment(what: str, value: object) -> int | None:
    """A moment as UNIX nanoseconds: a datetime (a naive one is local), RFC 3339 text, or UNIX seconds.

    Raises:
        ArgumentError: for anything else, a moment before 1970, or one more than a day ahead.
    """
    if value is None:
        return None
    found: int | None = None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            pass
    if isinstance(value, datetime):
        try:
            aware = value if value.tzinfo is not None else value.astimezone()
            since = aware - _EPOCH
        except (OverflowError, ValueError, OSError):
            raise ArgumentError(f"{what}={shown(value)}): use a moment from 1970 on") from None
        # Integers throughout: a float of seconds loses nanoseconds.
        found = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value * _NANO
    elif isinstance(value, float) and math.isfinite(value):
        found = round(Decimal(repr(value)) * _NANO)
    if found is None:
        raise ArgumentError(
            f"{what}={shown(value)}): use a datetime, text such as 2026-11-30T12:00:00Z, or UNIX seconds"
        )
    if not 0 < found <= time.time_ns() + _AHEAD_NS:
        raise ArgumentError(
            f"{what}={shown(value)}): use a moment from 1970 until tomorrow; numbers are seconds, "
            "not milliseconds"
        )
    return found


def parse_type(value: object) -> str:
    """The type of an event: letters, digits, ``_ . - : /``, at most 128, beginning with a letter or ``_``.

    Raises:
        ArgumentError: for anything else, and for names that are kept for what we note ourselves.
    """
    if not isinstance(value, str) or len(value) > LONGEST_TYPE or not _TYPE.fullmatch(value):
        raise ArgumentError(
            f"event(type={shown(value)}): use 1 to {LONGEST_TYPE} letters, digits and _ . - : /, "
            "beginning with a letter, as in cart.opened"
        )
    if value.startswith(("spantally.", "gen_ai.")):
        raise ArgumentError(
            f"event(type={shown(value)}): names under spantally. and gen_ai. are kept for other events; "
            "use a name of your own"
        )
    return value


def parse_content(what: str, value: object) -> str:
    """The text of a message; what is no text but JSON is its JSON.

    Raises:
        ArgumentError: for anything else, and for more than 8 Mi characters.
    """
    if isinstance(value, str):
        text = str(value)
    else:
        try:
            text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        except Exception as error:  # also what an object of the program's own raises
            raise ArgumentError(f"{what} is no text and not JSON ({error}): use a text") from error
    if len(text) > LONGEST_CONTENT:
        raise ArgumentError(f"{what} has {len(text)} characters; it has at most {LONGEST_CONTENT}")
    return text


def parse_error(what: str, value: object) -> BaseException | str | None:
    """An exception, its class, or a text that says what went wrong.

    Raises:
        ArgumentError: for anything else.
    """
    if value is None or isinstance(value, BaseException):
        return value
    if isinstance(value, type) and issubclass(value, BaseException):
        return value.__name__
    if isinstance(value, str) and value.strip():
        return value
    raise ArgumentError(f"{what}={shown(value)}): use an exception, or a text that says what went wrong")


def parse_name(what: str, value: object) -> str:
    """A short printable text: a name or an id.

    Raises:
        ArgumentError: (or SettingsError, both ValueErrors) for anything else, whatever its ``repr`` does.
    """
    return parse_id(what, _text(what, value))


def parse_word(what: str, value: object, allowed: tuple[str, ...]) -> str:
    """One of some words.

    Raises:
        ArgumentError: (or SettingsError, both ValueErrors) for anything else, whatever its ``repr`` does.
    """
    if not isinstance(value, str):
        raise ArgumentError(f"{what}={shown(value)} is not allowed; use one of: {', '.join(allowed)}")
    return parse_choice(what, _text(what, value), allowed)


def _text(what: str, value: object) -> str:
    """A plain text, also of a subclass."""
    if not isinstance(value, str):
        raise ArgumentError(f"{what}={shown(value)} must be a string, not {type(value).__name__}; use a text")
    return str.__str__(value)


def parse_message(
    role: object,
    *,
    status: object,
    tokens: object,
    model: object,
    latency_ms: object,
    metadata: object,
    ident: object,
) -> dict[str, Any]:
    """Attributes of a message: what a program says of it, but for its text.

    Raises:
        ArgumentError: (or SettingsError, both ValueErrors) for a wrong argument.
    """
    found = {
        semconv.MESSAGE_ROLE: parse_word("record_message(role)", role, ROLES),
        semconv.MESSAGE_STATUS: parse_word("record_message(status)", status, MESSAGE_STATUSES),
        semconv.MESSAGE_TOKENS: parse_count("record_message(tokens", tokens),
        semconv.MESSAGE_MODEL: None if model is None else parse_name("model", model),
        semconv.MESSAGE_LATENCY: parse_number("record_message(latency_ms", latency_ms, least=0, most=MOST_MS),
        semconv.MESSAGE_METADATA: parse_json("record_message(metadata)", metadata),
        semconv.MESSAGE_ID: None if ident is None else parse_name("message id", ident),
    }
    return {key: value for key, value in found.items() if value is not None}
