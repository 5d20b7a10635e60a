"""Writing a batch: merge, rate, count once, and add the differences to sessions and rollups."""

# ruff: noqa: S608 - only names of columns that stand in this package are put into SQL; values are bound.
from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from spantally.ground.guard import swallowed
from spantally.ground.ids import foreign_call_id
from spantally.ground.money import PENDING, CostStatus, Rating
from spantally.ground.records import (
    COUNTED_KINDS,
    CallRecord,
    EventRecord,
    LinkRecord,
    Record,
    SessionRecord,
    Status,
    is_mark,
    is_paid,
)
from spantally.ledger.contract import Rater
from spantally.ledger.counting import Node, SpanKey
from spantally.ledger.merge import Facts, canonical, join
from spantally.ledger.sqlite import codec, targets
from spantally.ledger.sqlite.codec import PoisonError
from spantally.ledger.sqlite.graph import Graph, lonely, node_of
from spantally.ledger.sqlite.sessions import write_sessions
from spantally.ledger.sqlite.standing import restand
from spantally.ledger.sqlite.totals import Totals
from spantally.ledger.tally import Dimension, Row, sane
from spantally.pricing.cached import reports_cache
from spantally.pricing.rate import said

_span_of: Final = itemgetter(*map(CallRecord._fields.index, ("trace_id", "span_id")))
_UPDATE_STANDING: Final = "UPDATE call SET counted = ?, hidden = ? WHERE call_id = ?"
_OWN_OF_SPAN: Final = (
    "SELECT call.call_id FROM json_each(?) AS w CROSS JOIN call ON call.trace_id = "
    "json_extract(w.value, '$[0]') AND call.span_id = json_extract(w.value, '$[1]')"
)


def check(record: Record) -> Record:
    """The record in plain types.

    Raises:
        PoisonError: if it cannot be stored.
    """
    if isinstance(record, CallRecord):
        return codec.normalise(record)
    if isinstance(record, SessionRecord):
        return codec.normalise_session(record)
    if isinstance(record, (EventRecord, LinkRecord)):
        return record
    raise PoisonError(f"a {type(record).__name__} is no record")


def rated(record: CallRecord, rate: Rater) -> Rating | None:
    """The rating of a record; None for what has no cost of its own, and while it is a started mark.

    A rater that fails leaves it pending.
    """
    if is_mark(record):
        return None
    if record.kind not in COUNTED_KINDS:
        return sane(said(record)) if is_paid(record) else None
    try:
        rating = sane(rate(record))
        if rating.parts is not None and record.usage and reports_cache(record.usage, record.usage_format):
            rating = tuple.__new__(Rating, (*rating[:-1], True))  # a third of the time of _replace()
        return rating
    except Exception as error:
        swallowed("ledger.rate", error)
        return PENDING


_PRICED_BY: Final = (
    "kind",
    "operation",
    "start_ns",
    "precedence",
    "provider",
    "request_model",
    "response_model",
    "usage",
    "usage_format",
    "price_context",
    "estimated",
    "server_address",
)
"""Fields of a record that a price may depend on."""


class KnownRatings:
    """A rater that knows only what was rated before, here or in the ledger that rows come from.

    Of several ratings of like records the one that has a cost wins, then the larger text: so the order in
    which ledgers are merged has no effect.
    """

    def __init__(self, db: sqlite3.Connection, incoming: Mapping[str, Row]) -> None:
        self._db = db
        self._incoming = incoming

    def __call__(self, record: CallRecord) -> Rating:
        """The rating of a record; pending where none of its rows was rated."""
        rows = [*codec.load(self._db, [record.call_id]).values()]
        if record.call_id in self._incoming:
            rows.append(self._incoming[record.call_id])
        known = [
            row.rating
            for row in rows
            if row.rating is not None
            and row.rating.status != CostStatus.PENDING
            and all(getattr(row.record, name) == getattr(record, name) for name in _PRICED_BY)
        ]
        return max(known, key=_weight, default=PENDING)


def _weight(rating: Rating) -> tuple[bool, str]:
    return rating.nano_usd is not None, canonical(rating)


class Batch:
    """One transaction's worth of records; :meth:`apply` runs inside the open transaction."""

    def __init__(self, db: sqlite3.Connection, dimensions: dict[Dimension, int]) -> None:
        self._db = db
        self._totals = Totals(db, dimensions)
        self.new = 0
        """Rows that were not there before."""
        self.changed = 0
        """Rows that were there, and are told otherwise now."""

    def apply(self, records: Sequence[Record], rate: Rater) -> None:
        """Store checked records."""
        calls = [record for record in records if isinstance(record, CallRecord)]
        sessions = [record for record in records if isinstance(record, SessionRecord)]
        events = [record for record in records if isinstance(record, EventRecord)]
        write_sessions(self._db, sessions, calls, events)
        links = self._write_links(record for record in records if isinstance(record, LinkRecord))
        self._store((Facts(record) for record in calls), links, rate)
        self._write_events(targets.placed(self._db, events))  # a call among them may be what one is of
        if calls:
            targets.place_waiting(self._db)
        self._totals.flush()

    def absorb(self, rows: Sequence[Row], links: Iterable[LinkRecord] = ()) -> None:
        """Take in rows of another ledger, with what was said of them and what they cost there.

        Their sessions are written beforehand. A row that merges into one unlike any that was rated waits for
        its price anew.

        Args:
            rows: as the other ledger has them; their standing is worked out here.
            links: of the other ledger.
        """
        incoming = {row.record.call_id: row for row in rows}
        ratings = KnownRatings(self._db, incoming)
        changed = self._store((row.facts for row in rows), self._write_links(links), ratings)
        for row in codec.load(self._db, [one for one in incoming if one not in changed]).values():
            rating = rated(row.record, ratings)
            if rating != row.rating:
                new = row._replace(rating=rating)
                self._totals.move(row, new)
                codec.upsert(self._db, (new,))
        self._totals.flush()

    def _store(self, views: Iterable[Facts], links: list[SpanKey], rate: Rater) -> Mapping[str, Facts]:
        """Merge views of operations into their rows; returns the rows that changed."""
        changed, before = self._merge(views)
        self.new += len(changed) - len(before)
        self.changed += len(before)
        if changed or links:
            self._keep(changed, before, links, rate)
        return changed

    def _keep(
        self, changed: Mapping[str, Facts], before: Mapping[str, Row], links: list[SpanKey], rate: Rater
    ) -> None:
        """Write changed rows, and what follows from them for others and for the totals."""
        after: dict[str, Row] = {}
        for call_id, facts in changed.items():
            record = facts.record
            # The usual case: nobody else shows or covers it. restand() corrects the rest.
            counted = record.kind in COUNTED_KINDS and not is_mark(record)
            after[call_id] = Row(facts, rated(record, rate), counted)
        codec.upsert(self._db, after.values())
        self._restand(after, before, links)

    def interrupt(self, processes: Iterable[str], rate: Rater) -> int:
        """Turn the started marks of processes that are gone into interrupted operations.

        When each ended is not known. A model call was sent and may have been billed.

        Returns:
            How many there were.
        """
        found = self._db.execute(
            f"SELECT {codec.SELECT} FROM json_each(?) AS w CROSS JOIN call ON call.process = w.value "
            "WHERE call.status = 'running'",
            (json.dumps(list(processes)),),
        ).fetchall()
        before = {values[0]: codec.decode(values) for values in found}
        changed: dict[str, Facts] = {
            call_id: Facts(
                row.record._replace(
                    status=str(Status.INTERRUPTED),
                    error_type="interrupted",
                    possibly_billed=row.record.kind in COUNTED_KINDS,
                )
            )
            for call_id, row in before.items()
        }
        spans = [(facts.record.trace_id, facts.record.span_id) for facts in changed.values()]
        twins = [foreign_call_id(trace, span) for trace, span in spans if trace and span]
        self._merge_twins(changed, {**before, **codec.load(self._db, twins)})
        self._keep(changed, before, [], rate)
        self._totals.flush()
        return len(changed)

    def settle(self, rate: Rater, limit: int) -> int:
        """Rate pending rows; returns how many have a rating now."""
        found = self._db.execute(
            f"SELECT {codec.SELECT} FROM call WHERE cost_status = 'pending' ORDER BY start_ns LIMIT ?",
            (limit,),
        ).fetchall()
        settled: list[Row] = []
        for values in found:
            old = codec.decode(values)
            rating = rated(old.record, rate)
            if rating is None or rating.status == CostStatus.PENDING:
                continue
            new = old._replace(rating=rating)
            self._totals.move(old, new)
            settled.append(new)
        codec.upsert(self._db, settled)
        self._totals.flush()
        return len(settled)

    # -- merging ------------------------------------------------------------------------------------

    def _merge(self, views: Iterable[Facts]) -> tuple[dict[str, Facts], dict[str, Row]]:
        """Changed rows by id as they are now, and every row touched that existed as it was before."""
        incoming: dict[str, Facts] = {}
        for facts in views:
            call_id = facts.record.call_id
            known = incoming.get(call_id)
            incoming[call_id] = facts if known is None else join(known, facts)
        wanted = set(incoming)
        for facts in incoming.values():
            trace, span = _span_of(facts.record)
            if trace and span:
                wanted.add(foreign_call_id(trace, span))
        before = codec.load(self._db, list(wanted))
        changed = incoming.copy()
        for call_id, old in before.items():  # few or none, as a rule
            if call_id in changed:
                changed[call_id] = merged = join(old.facts, changed[call_id])
                if merged == old.facts:
                    del changed[call_id]
        self._merge_twins(changed, before)
        return changed, {call_id: row for call_id, row in before.items() if call_id in changed}

    def _merge_twins(self, changed: dict[str, Facts], before: dict[str, Row]) -> None:
        """Let own rows take in what the foreign row of their span says."""
        foreign: dict[str, SpanKey] = {}
        own: dict[SpanKey, set[str]] = {}
        for call_id, facts in changed.items():
            trace, span = _span_of(facts.record)
            if trace and span:
                twin_id = foreign_call_id(trace, span)
                if call_id == twin_id:
                    foreign[call_id] = (trace, span)
                elif twin_id in changed or twin_id in before:
                    own.setdefault((trace, span), set()).add(call_id)
        if foreign:
            keys = list(foreign.values())
            stored = [one for (one,) in self._db.execute(_OWN_OF_SPAN, (json.dumps(keys),))]
            missing = [one for one in stored if one not in before and one not in foreign]
            before.update(codec.load(self._db, missing))
            for one in stored:
                record = changed[one].record if one in changed else before[one].record
                if record.trace_id and record.span_id and one not in foreign:
                    own.setdefault((record.trace_id, record.span_id), set()).add(one)
        for (trace, span), ids in own.items():
            twin_id = foreign_call_id(trace, span)
            twin = changed.get(twin_id) or (before[twin_id].facts if twin_id in before else None)
            if twin is None:
                continue
            for call_id in ids:
                facts = changed[call_id] if call_id in changed else before[call_id].facts
                if is_mark(facts.record):
                    continue  # what replaces it takes the twin in
                merged = join(facts, twin)
                if merged != facts:
                    changed[call_id] = merged

    # -- standing -----------------------------------------------------------------------------------

    def _restand(self, after: dict[str, Row], before: Mapping[str, Row], links: list[SpanKey]) -> None:
        alone = lonely(self._db, [call_id for call_id in after if call_id not in before])
        for call_id in alone:
            # As it was stored: it counts if its kind does, and nothing else is touched by it.
            self._totals.move(None, after[call_id])
        if alone:
            after = {call_id: row for call_id, row in after.items() if call_id not in alone}
            if not after and not links:
                return
        graph = Graph(self._db)
        nodes: list[Node] = [node_of(row) for row in after.values()]
        for node in nodes:
            graph.nodes[node.call_id] = node
        # Groups and ancestors of the row as it was may change too: it may have left them.
        standings = restand(graph, [*nodes, *(node_of(row) for row in before.values())], links)
        flipped: list[str] = []
        updates: list[tuple[bool, bool, str]] = []
        for call_id, standing in standings.items():
            node = graph.nodes[call_id]
            if (bool(node.counted), bool(node.hidden)) != tuple(standing):
                updates.append((*standing, call_id))
                if call_id not in after:
                    flipped.append(call_id)
        if updates:
            self._db.executemany(_UPDATE_STANDING, updates)
        for call_id, row in codec.load(self._db, flipped).items():
            node = graph.nodes[call_id]
            old = row._replace(counted=bool(node.counted), hidden=bool(node.hidden))
            self._totals.move(old, row)
        for call_id, row in after.items():
            standing = standings[call_id]
            self._totals.move(
                before.get(call_id), row._replace(counted=standing.counted, hidden=standing.hidden)
            )

    # -- the other records --------------------------------------------------------------------------

    def _write_links(self, records: Iterable[LinkRecord]) -> list[SpanKey]:
        """Store links; returns the spans whose link is new or another one."""
        fresh: list[SpanKey] = []
        for record in records:
            done = self._db.execute(
                "INSERT INTO link (trace_id, span_id, parent_span_id, end_ns) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET parent_span_id = excluded.parent_span_id, "
                "end_ns = MAX(end_ns, excluded.end_ns) "
                "WHERE COALESCE(excluded.parent_span_id, '') > COALESCE(parent_span_id, '')",
                (record.trace_id, record.span_id, record.parent_span_id, record.end_ns),
            )
            if done.rowcount > 0:
                fresh.append((record.trace_id, record.span_id))
        return fresh

    def _write_events(self, records: Iterable[EventRecord]) -> None:
        rows: list[tuple[Any, ...]] = [
            (
                record.event_id,
                record.session_id,
                str(record.type),
                record.time_ns,
                record.call_id,
                codec.to_json(record.agent_path),
                record.trace_id,
                record.span_id,
                codec.to_json(record.attributes),
            )
            for record in records
        ]
        if rows:
            self._db.executemany(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", rows
            )
