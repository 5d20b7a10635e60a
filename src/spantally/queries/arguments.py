"""The arguments of queries, checked: a wrong one is named with what is allowed."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from spantally.ground.errors import ArgumentError, shown
from spantally.ground.setting_values import parse_entity, parse_tags
from spantally.ledger.contract import Filter
from spantally.queries.times import moment_ns

_MOST_ROWS: Final = 2**63 - 1
"""The most that SQLite can be asked for; more is all."""


def one_of(name: str, value: str | None, allowed: type[enum.StrEnum]) -> str | None:
    """The value, if it is one of an enumeration; None stays None.

    Raises:
        ArgumentError: naming the value and the allowed ones.
    """
    if value is None:
        return None
    choices = [str(one) for one in allowed]
    if value not in choices:
        raise ArgumentError(f"{name}={shown(value)} is not allowed; use one of: {', '.join(choices)}")
    return str(value)


def is_text(value: object) -> bool:
    """True for a text that is not empty."""
    return isinstance(value, str) and bool(value)


def _text(name: str, value: str | None) -> str | None:
    check_text(name, value)
    return value


def _number(name: str, value: object, least: int) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
        return None if value is None else min(value, _MOST_ROWS)
    raise ArgumentError(f"{name}={shown(value)} is not allowed; use a whole number of at least {least}")


def names_of(name: str, value: object) -> list[str]:
    """Names by commas or in a list, without the spaces around them.

    Raises:
        ArgumentError: for anything else.
    """
    if isinstance(value, str):
        return [one.strip() for one in value.split(",")]
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, memoryview)):
        found = list(value)
        if all(isinstance(one, str) for one in found):
            return [one.strip() for one in found]
    raise ArgumentError(
        f"{name}={shown(value)} is not allowed; use a text such as 'model,day' or a list of texts"
    )


def check_text(name: str, value: object) -> None:
    """Nothing where the value is a text that is not empty, or None.

    Raises:
        ArgumentError: naming the value.
    """
    if value is not None and not is_text(value):
        raise ArgumentError(f"{name}={shown(value)} is not allowed; use a text that is not empty")


def entity_of(value: str | tuple[str, str] | None) -> tuple[str | None, str | None]:
    """Entity type and id of ``"type:id"``, ``("type", "id")`` or ``"type"`` alone.

    Raises:
        SettingsError: for anything else.
    """
    if value is None:
        return None, None
    if isinstance(value, str) and value and ":" not in value:
        return value, None
    return parse_entity("entity", value)


def said_of(labels: object, metadata: object) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Labels, and pairs of metadata with values as the ledger compares them.

    Raises:
        ArgumentError: for what is no list of texts, and no mapping of texts to plain values.
    """
    if isinstance(labels, str) or not isinstance(labels, (list, tuple, set, frozenset)):
        raise ArgumentError(f"labels={shown(labels)} is not allowed; use a list of texts")
    if not all(map(is_text, labels)):
        raise ArgumentError(f"labels={shown(labels)} is not allowed; use texts that are not empty")
    if not isinstance(metadata, Mapping) or not all(
        is_text(key) and isinstance(value, (str, int, float, bool, type(None)))
        for key, value in metadata.items()
    ):
        raise ArgumentError(f"metadata={shown(metadata)} is not allowed; use a mapping of key to plain value")
    return tuple(labels), tuple(
        (key, value if isinstance(value, str) else json.dumps(value)) for key, value in metadata.items()
    )


def make_filter(
    *,
    session: str | None = None,
    user: str | None = None,
    entity: str | tuple[str, str] | None = None,
    tags: Any = None,
    any_tag: bool = False,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    limit: int | None = None,
    offset: int = 0,
    labels: Any = (),
    metadata: Any = None,
    **texts: str | None,
) -> Filter:
    """A filter of checked arguments.

    Raises:
        ArgumentError: naming the first wrong value and what is allowed.
    """
    entity_type, entity_id = entity_of(entity)
    since_ns, until_ns = moment_ns("since", since), moment_ns("until", until)
    if since_ns is not None and until_ns is not None and since_ns > until_ns:
        raise ArgumentError(f"since={shown(since)} is later than until={shown(until)}; exchange them")
    with_labels, with_metadata = said_of(labels, {} if metadata is None else metadata)
    return Filter(
        labels=with_labels,
        metadata=with_metadata,
        session_id=_text("session", session),
        user=_text("user", user),
        entity_type=entity_type,
        entity_id=entity_id,
        tags=() if tags is None else parse_tags("tags", tags),
        any_tag=bool(any_tag),
        since_ns=since_ns,
        until_ns=until_ns,
        limit=_number("limit", limit, 0),
        offset=_number("offset", offset, 0) or 0,
        **{name: _text(name, value) for name, value in texts.items()},
    )
