"""What every reader of usage objects is made of: counts that are counts, and what a reading says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from spantally.ground.money import UsageParts

MAX_COUNT: Final = 100_000_000_000
"""No single call uses more of anything; larger is a unit error, and its cost would not fit 64 bits."""


class BadUsage(ValueError):  # noqa: N818 - named as the status that it becomes
    """A usage object that cannot be true; the text says why and quotes only field names and numbers."""


class NoUsage(BadUsage):
    """A usage object without a single count: nothing was reported."""


NOTHING: Final[Mapping[str, Any]] = {}


class Pass(NamedTuple):
    """One of several passes of a model that one call consists of; each has its rates and its tier."""

    model: str | None
    """None for the call's own model."""
    parts: UsageParts
    name: str = "message"


class Reading(NamedTuple):
    """What a usage object says, and what it leaves open."""

    parts: UsageParts
    missing: str | None = None
    """``"input"`` or ``"output"`` where that total is absent, or a fee that has no part: its cost is not
    known, and the parts are 0 there but not known to be."""
    ttl_assumed: bool = False
    """Cache writes came without their retention time and stand in the short one."""
    approximate: bool = False
    """Some tokens stand in a part that is not quite theirs, since they have none of their own."""
    passes: tuple[Pass, ...] = ()
    """What the parts are the sum of, where one call is several passes."""
    context: Mapping[str, Any] = NOTHING
    """What the usage object itself says of tier, speed and geography."""
    tools_counted: bool = False
    """The usage object counts the provider's own tools itself."""


def bad(name: str, value: object) -> BadUsage:
    """The error for a value that is no count."""
    if isinstance(value, (int, float)):
        return BadUsage(f"{name} is {value!r}: not a count")
    return BadUsage(f"{name} is a {type(value).__name__}: not a count")


def count(raw: Mapping[str, Any], name: str, most: int = MAX_COUNT) -> int:
    """A count of the mapping, of at most ``most``; 0 where it is absent or null.

    Raises:
        BadUsage: when it is no whole number that can be.
    """
    value = raw.get(name)
    if value is None:
        return 0
    # bool is an int to isinstance, and 3.0 tokens is somebody's arithmetic rather than a provider's count.
    if type(value) is not int or not 0 <= value <= most:
        raise bad(name, value)
    return value


def first(raw: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """The first count that is given under one of several spellings; None for none."""
    for name in names:
        if raw.get(name) is not None:
            return count(raw, name)
    return None


def details(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object within the usage object; empty where it is absent.

    Raises:
        BadUsage: when something else stands there.
    """
    value = raw.get(name)
    if value is None:
        # Transcriptions spell it in the singular (platform.openai.com/docs/api-reference/audio).
        value = raw.get(name.replace("_tokens_", "_token_"))
        if value is None:
            return NOTHING
    if type(value) is dict or isinstance(value, Mapping):
        return value
    raise BadUsage(f"{name} is a {type(value).__name__}: not an object")


def milliseconds(value: object, name: str) -> int:
    """Seconds of audio as whole milliseconds.

    Raises:
        BadUsage: when it is no duration.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_COUNT / 1000:
        raise bad(name, value)
    return round(value * 1000)


def text(raw: Mapping[str, Any], name: str) -> str | None:
    """A text of the mapping, None for anything else."""
    value = raw.get(name)
    return value if isinstance(value, str) and value else None
