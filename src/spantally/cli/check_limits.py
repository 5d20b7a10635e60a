"""The limits of `spantally check`: options over the table `[check]` of the settings file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from spantally.ground.errors import ArgumentError
from spantally.ground.places import config_path
from spantally.queries.checking import Limits, count_of, nano_usd_of

_PERCENTILE: Final = re.compile(r"p([1-9]\d?|100)")
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m)?")
_MILLISECONDS: Final = {"ms": 1, "s": 1000, "m": 60_000, None: 1}


def share_of(name: str, value: object) -> Decimal:
    """A share: ``0.95`` or ``"95%"``.

    Raises:
        ArgumentError: naming the value and what is allowed.
    """
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        text = str(value).strip()
        percent = text.endswith("%")
        share = Decimal(text.removesuffix("%").strip()) / (100 if percent else 1)
        if not 0 <= share <= 1:  # a NaN raises
            raise InvalidOperation
        return share
    except InvalidOperation:
        raise ArgumentError(f"{name}={value!r}: use a share such as 0.95 or 95%") from None


def latency_of(name: str, value: str) -> tuple[int, float]:
    """A percentile and its limit in milliseconds: ``p95=2s``.

    Raises:
        ArgumentError: naming the value and what is allowed.
    """
    which, _, most = value.partition("=")
    percentile, time = _PERCENTILE.fullmatch(which.strip()), _TIME.fullmatch(most.strip())
    if percentile is None or time is None:
        raise ArgumentError(f"{name}={value!r}: use a percentile and a time, such as p95=2s or p50=800ms")
    return int(percentile[1]), float(time[1]) * _MILLISECONDS[time[2]]


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ArgumentError(f"{name}={value!r}: use true or false")


def _latencies(name: str, value: object) -> tuple[tuple[int, float], ...]:
    if not isinstance(value, Mapping):
        raise ArgumentError(f'{name}={value!r}: use a table such as {{ p95 = "2s" }}')
    return tuple(latency_of(name, f"{which}={most}") for which, most in value.items())


_KEYS: Final[Mapping[str, tuple[str, Callable[[str, Any], Any]]]] = {
    "max_usd": ("max_nano_usd", nano_usd_of),
    "max_calls": ("max_calls", count_of),
    "max_tokens": ("max_tokens", count_of),
    "max_errors": ("max_errors", count_of),
    "min_success": ("min_success", share_of),
    "no_unpriced": ("no_unpriced", _flag),
    "max_latency": ("max_latency", _latencies),
    "allow_unpriced": ("allow_unpriced", _flag),
}
"""Keys of the table: the field of :class:`Limits`, and what reads the value."""


def limits_in_force(options: Mapping[str, Any]) -> Limits:
    """The limits of the settings file, and over them those of the command line.

    Args:
        options: values of the command line by the names of the table; None is not given.

    Raises:
        ArgumentError: for a table with a mistake: a gate that is looser than it says is worse than none.
    """
    given = {
        field: options[name]
        for name, (field, _) in _KEYS.items()
        if options.get(name) is not None and options[name] is not False and options[name] != ()
    }
    if given.get("no_unpriced") and given.get("allow_unpriced"):
        raise ArgumentError("--no-unpriced and --allow-unpriced contradict each other")
    limits = _limits_of_file()
    if given.get("no_unpriced"):
        limits = replace(limits, allow_unpriced=False)
    elif given.get("allow_unpriced"):
        limits = replace(limits, no_unpriced=False)
    return replace(limits, **given)


def _limits_of_file() -> Limits:
    """Those of `[check]`; none where there is no file, or no such table in it."""
    path = config_path()
    if not path.is_file():
        return Limits()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("check", {})
    except (OSError, ValueError) as error:
        raise ArgumentError(f"{path} cannot be read: {error}") from error
    if not isinstance(table, Mapping):
        raise ArgumentError(f"{path}: check is no table; write [check] and a limit a line beneath")
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        raise ArgumentError(
            f"{path}: [check] knows no {', '.join(unknown)}; its keys are {', '.join(sorted(_KEYS))}"
        )
    found: dict[str, Any] = {}
    for name, value in table.items():
        field, read = _KEYS[name]
        try:
            found[field] = read(name, value)
        except ArgumentError as error:
            raise ArgumentError(f"{path}: [check] {error}") from error
    return Limits(**found)
