"""The guard on metrics: an attribute whose values never end does not make series without end.

A metric keeps every set of attributes that it ever had. Names of agents, tools and models are few in most
programs; where a program makes them up (an agent for each user), those beyond a limit count together.
"""

from __future__ import annotations

from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.guard import say_once

MOST_VALUES: Final = 256
"""Different values of one attribute that metrics tell apart."""

OTHER: Final = "_OTHER"
"""Stands for all further ones, as the conventions have it for ``error.type``."""

_OPEN: Final = frozenset(
    {
        semconv.AGENT_NAME,
        semconv.TOOL_NAME,
        semconv.WORKFLOW_NAME,
        semconv.REQUEST_MODEL,
        semconv.RESPONSE_MODEL,
        semconv.PROVIDER_NAME,
        semconv.SERVER_ADDRESS,
        semconv.SERVER_PORT,
        semconv.ERROR_TYPE,
    }
)
"""Attributes whose values a program, or whoever it talks to, can make up."""


class Cardinality:
    """Values seen so far, by attribute."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, set[Any]] = {}

    def bounded(self, point: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
        """Attributes of a data point, with :data:`OTHER` for values beyond the limit.

        Args:
            point: pairs of name and value.
        """
        return tuple((key, self._value(key, value)) for key, value in point)

    def _value(self, key: str, value: Any) -> Any:
        if key not in _OPEN:
            return value
        seen = self._seen.setdefault(key, set())
        if value in seen:
            return value
        if len(seen) < MOST_VALUES:
            seen.add(value)
            return value
        say_once(
            f"cardinality:{key}",
            "spantally: more than %d values of %s; metrics count the further ones as %s",
            MOST_VALUES,
            key,
            OTHER,
        )
        return OTHER if isinstance(value, str) else 0
