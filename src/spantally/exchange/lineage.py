"""Whose a span of a file is and what stands around it, from its ancestors in the same file or the ledger.

Spans of our own instrumentors name session, agents and parent call themselves, and their run ends where their
process ends: they follow the chain of call ids. All others follow the parents of their spans, through those
that are no operation; a session is handed down to another service, agents and tools are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from spantally.ground import semconv
from spantally.ground.records import CallRecord, Kind
from spantally.ledger.counting import SpanKey
from spantally.ledger.sqlite.placing import Relatives
from spantally.otel import foreign
from spantally.otel.dialects import Facts
from spantally.otel.foreign import Position, SpanView, Whose

TRACE_SESSION: Final = "trace-"
"""Before the trace id: the session of calls for which nobody names one."""

_NOWHERE: Final = Position()


class Entry(NamedTuple):
    """An operation that came in, not yet placed."""

    view: SpanView
    attributes: Mapping[str, Any]
    facts: Facts
    call_id: str
    parent_call_id: str | None
    """As our own span names it."""
    own: bool
    """Made by one of our instrumentors."""
    kept: CallRecord | None
    """The whole row, where the span comes from a ledger."""

    @property
    def key(self) -> SpanKey:
        """Of its span."""
        return (self.view.trace_id, self.view.span_id)

    @property
    def parent_key(self) -> SpanKey | None:
        """Of the span around it."""
        parent = self.view.parent_span_id
        return None if parent is None or parent == self.view.span_id else (self.view.trace_id, parent)


class Handed(NamedTuple):
    """What a row hands down to what is beneath it."""

    inner: Position
    whose: Whose
    project: str | None


class Family:
    """Places the entries of one window."""

    def __init__(
        self, entries: Iterable[Entry], plain: Mapping[SpanKey, str | None], relatives: Relatives
    ) -> None:
        """Know who is there.

        Args:
            entries: operations of the window.
            plain: parents of its other spans.
            relatives: what the ledger knows of those around them.
        """
        self._by_span: dict[SpanKey, Entry] = {}
        self._by_id: dict[str, Entry] = {}
        self._records: dict[str, CallRecord] = {}
        for entry in entries:
            if entry.own or entry.key not in self._by_span:
                self._by_span[entry.key] = entry
            self._by_id[entry.call_id] = entry
            if entry.kept is not None:
                self._records[entry.call_id] = entry.kept  # tells more than the live span of the same call
        self._plain = plain
        self._relatives = relatives

    def record(self, entry: Entry) -> CallRecord:
        """The row of an entry."""
        waiting = [entry]
        while waiting:  # from the outermost ancestor inward, without recursion: chains may be long
            newest = waiting[-1]
            above = self._above(newest)
            if (
                isinstance(above, Entry)
                and above.call_id not in self._records
                and above not in waiting
                and newest.call_id not in self._records
            ):
                waiting.append(above)
                continue
            waiting.pop()
            if newest.call_id not in self._records:
                self._records[newest.call_id] = self._made(newest, above)
        return self._records[entry.call_id]

    def _above(self, entry: Entry) -> Entry | CallRecord | None:
        """The operation right around an entry."""
        if entry.own:
            parent = entry.parent_call_id
            return None if parent is None else self._by_id.get(parent) or self._relatives.by_id.get(parent)
        seen: set[SpanKey] = set()
        key = entry.parent_key
        while key is not None and key not in seen:
            seen.add(key)
            found = self._by_span.get(key) or self._relatives.by_span.get(key)
            if found is not None:
                return found
            parent = self._plain.get(key) or self._relatives.links.get(key)
            key = None if parent is None else (key[0], parent)
        return None

    def _made(self, entry: Entry, above: Entry | CallRecord | None) -> CallRecord:
        around = self._records.get(above.call_id) if isinstance(above, Entry) else above
        handed = None if around is None else handed_down(around)
        position = _NOWHERE
        if handed is not None and (entry.own or handed.project == entry.view.project):
            position = handed.inner
        if entry.parent_call_id is not None:
            position = position._replace(parent_call_id=entry.parent_call_id)
        position = foreign.placed(entry.attributes, entry.facts, position, entry.call_id)
        return foreign.row_of(
            entry.view, entry.attributes, entry.facts, entry.call_id, _whose(entry, handed), position
        )


def handed_down(record: CallRecord) -> Handed:
    """What a row hands down: an agent or tool itself, any other what it got."""
    run_id = record.run_id or (record.call_id if record.kind == Kind.AGENT else None)
    return Handed(
        Position(record.agent_path, run_id, record.tool, record.call_id),
        Whose(
            record.session_id,
            record.implicit_session,
            record.session_name,
            record.conversation_id,
            record.user_id,
            record.entity_type,
            record.entity_id,
            record.tags,
        ),
        record.project,
    )


def _whose(entry: Entry, handed: Handed | None) -> Whose:
    attributes = entry.attributes
    user_id = _said(attributes, semconv.USER_ID)
    entity_type, entity_id = (
        _said(attributes, semconv.ENTITY_TYPE),
        _said(attributes, semconv.ENTITY_ID),
    )
    tags = foreign.tags_of(attributes)
    session_id = foreign.named_session(attributes)
    conversation_id = entry.facts.conversation_id
    if session_id is None and handed is not None and not is_unnamed(handed.whose.session_id):
        above = handed.whose
        return above._replace(
            user_id=user_id or above.user_id,
            entity_type=entity_type or above.entity_type,
            entity_id=entity_id if entity_type else above.entity_id,
            tags=tags or above.tags,
        )
    session_id = session_id or conversation_id or TRACE_SESSION + entry.view.trace_id
    return Whose(session_id, True, None, conversation_id, user_id, entity_type, entity_id, tags)


def is_unnamed(session_id: str) -> bool:
    """Whether a session has its id only from a trace."""
    return session_id.startswith(TRACE_SESSION)


def _said(attributes: Mapping[str, Any], key: str) -> str | None:
    value = attributes.get(key)
    return None if value is None or value == "" else str(value)


def amended(child: CallRecord, parent: CallRecord) -> dict[str, Any]:
    """What a parent that came later adds to a row; empty where it adds nothing.

    Args:
        child: as it is in the ledger.
        parent: the operation right around it.
    """
    handed = handed_down(parent)
    changes: dict[str, Any] = {}
    whose = handed.whose
    if child.session_id == TRACE_SESSION + (child.trace_id or "") and not is_unnamed(whose.session_id):
        changes.update(session_id=whose.session_id, implicit_session=whose.implicit)
        for name in ("session_name", "conversation_id", "user_id", "entity_type", "entity_id", "tags"):
            if not getattr(child, name):
                changes[name] = getattr(whose, name)
    if child.project != parent.project:
        return changes
    inner = handed.inner
    itself = (child.name,) if child.kind == Kind.AGENT and child.name else ()
    # What the parent handed down before it knew all that is around it is the end of what it hands down now.
    known = child.agent_path[: len(child.agent_path) - len(itself)]
    if known == inner.agent_path[len(inner.agent_path) - len(known) :]:
        changes["agent_path"] = (*inner.agent_path, *itself)
    if child.parent_call_id is None:
        changes["parent_call_id"] = inner.parent_call_id
    if inner.run_id and (child.turn or child.run_id != inner.run_id):
        # Also in the place of the run of an agent in between, which is no top-level one any more.
        changes.update(run_id=inner.run_id, turn=False)
    if inner.tool and child.tool is None:
        changes["tool"] = inner.tool
    return {name: value for name, value in changes.items() if value != getattr(child, name)}
