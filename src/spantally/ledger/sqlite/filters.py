"""Filters as SQL: each gives a condition and its bound values."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

from typing import Any, Final, NamedTuple

from spantally.ledger.contract import Filter

_SAID: Final = "(CASE WHEN json_valid(session.said) THEN session.said END)"
"""Earlier releases wrote NaN and infinities, which are no JSON and made SQLite refuse the whole question."""


class Condition(NamedTuple):
    """A condition for WHERE, and the values it binds."""

    sql: str
    values: list[Any]


def whose(table: str, where: Filter) -> Condition:
    """User, entity, tags and project, which sessions, calls and dimensions all have as columns."""
    parts: list[str] = []
    values: list[Any] = []
    for column, value in (
        ("user_id", where.user),
        ("entity_type", where.entity_type),
        ("entity_id", where.entity_id),
        ("project", where.project),
    ):
        if value is not None:
            parts.append(f"{table}.{column} = ?")
            values.append(value)
    if where.conversation is not None:
        parts.append(
            f"{table}.session_id IN (SELECT c.session_id FROM session AS c WHERE c.conversation_id = ?)"
        )
        values.append(where.conversation)
    tags: list[str] = []
    for key, value in where.tags:
        tags.append(f"EXISTS (SELECT 1 FROM json_each({table}.tags) AS t WHERE t.key = ? AND t.value = ?)")
        values.extend((key, value))
    if tags:
        parts.append("(" + (" OR " if where.any_tag else " AND ").join(tags) + ")")
    return Condition(" AND ".join(parts) or "1", values)


def of_calls(where: Filter) -> Condition:
    """Everything but the status of a call, which its session's process decides too."""
    parts, values = [whose("call", where).sql], list(whose("call", where).values)
    for column, value in (
        ("session_id", where.session_id),
        ("provider", where.provider),
        ("kind", where.kind),
    ):
        if value is not None:
            parts.append(f"call.{column} = ?")
            values.append(value)
    if where.model is not None:
        parts.append("(call.response_model = ? OR call.request_model = ?)")
        values.extend((where.model, where.model))
    if where.agent is not None:
        parts.append("EXISTS (SELECT 1 FROM json_each(call.agent_path) AS a WHERE a.value = ?)")
        values.append(where.agent)
    if where.finish_reason is not None:
        parts.append("EXISTS (SELECT 1 FROM json_each(call.finish_reasons) AS f WHERE f.value = ?)")
        values.append(where.finish_reason)
    if where.since_ns is not None:
        parts.append("call.start_ns >= ?")
        values.append(where.since_ns)
    if where.until_ns is not None:
        parts.append("call.start_ns < ?")
        values.append(where.until_ns)
    return Condition(" AND ".join(parts), values)


def of_dimensions(where: Filter) -> Condition:
    """What the dimension of a rollup tells: all but kind, status and time."""
    parts, values = [whose("dimension", where).sql], list(whose("dimension", where).values)
    for column, value in (("session_id", where.session_id), ("provider", where.provider)):
        if value is not None:
            parts.append(f"dimension.{column} = ?")
            values.append(value)
    if where.model is not None:
        parts.append("(dimension.model = ? OR dimension.request_model = ?)")
        values.extend((where.model, where.model))
    if where.agent is not None:
        parts.append("EXISTS (SELECT 1 FROM json_each(dimension.agent_path) AS a WHERE a.value = ?)")
        values.append(where.agent)
    return Condition(" AND ".join(parts), values)


def of_sessions(where: Filter) -> Condition:
    """Everything but the status of a session, which its process decides too."""
    parts = ["(session.declared OR session.rows > 0)", whose("session", where).sql]
    values = list(whose("session", where).values)
    if where.session_id is not None:
        parts.append("session.session_id = ?")
        values.append(where.session_id)
    if where.since_ns is not None:
        parts.append("session.started_ns >= ?")
        values.append(where.since_ns)
    if where.until_ns is not None:
        parts.append("session.started_ns < ?")
        values.append(where.until_ns)
    for label in where.labels:
        parts.append(f"EXISTS (SELECT 1 FROM json_each({_SAID}, '$.labels') AS l WHERE l.value = ?)")
        values.append(label)
    for key, value in where.metadata:
        parts.append(
            f"EXISTS (SELECT 1 FROM json_each({_SAID}, '$.metadata') AS m WHERE m.key = ? AND "
            "CASE m.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' WHEN 'null' THEN 'null' "
            "ELSE CAST(m.value AS TEXT) END = ?)"
        )
        values.extend((key, value))
    for kinds, name in (
        (("agent",), where.agent),
        (("model", "request_model"), where.model),
        (("provider",), where.provider),
    ):
        if name is not None:
            # A session shows what its child sessions did: whoever is above a match matches.
            parts.append(
                "session.session_id IN (WITH RECURSIVE up (id) AS ("
                f"SELECT seen.session_id FROM seen WHERE seen.name = ? AND seen.what IN ({_texts(kinds)}) "
                "UNION SELECT s.parent_id FROM up JOIN session AS s ON s.session_id = up.id "
                "WHERE s.parent_id IS NOT NULL) SELECT id FROM up)"
            )
            values.append(name)
    return Condition(" AND ".join(parts), values)


def _texts(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)
