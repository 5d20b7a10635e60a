"""Spans and events of anybody, window by window, into a ledger: each operation once, however often it comes.

A window is placed as one: most parents are in it. Where a parent is in the ledger already, or comes in a
later window, the rows are placed by what the ledger has. So neither the order of spans nor where a window
ends changes what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from spantally.api.kept_records import KeptRecords
from spantally.calls.telemetry import SCOPE_NAME, RedactorLike
from spantally.exchange.carried import Carried, CarriedRates, rating_of, unpacked
from spantally.exchange.content import Content
from spantally.exchange.events import EventReader
from spantally.exchange.lineage import Entry, Family, amended
from spantally.ground import semconv
from spantally.ground.money import CostStatus
from spantally.ground.records import CallRecord, Kind, LinkRecord, Precedence, Record, UsageFormat
from spantally.ledger.contract import Rater
from spantally.ledger.counting import SpanKey
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.ledger.tally import Row
from spantally.otel import foreign
from spantally.otel.dialects import Facts, facts_of
from spantally.otel.foreign import SpanView
from spantally.otel.joining import opens_stream
from spantally.otlp.model import Span
from spantally.otlp.read import Batch, Unusable

WINDOW: Final = 4_000
"""Spans that are placed together."""

TRANSACTION: Final = 500
"""Records of one transaction: a program that writes to the same ledger waits no longer than that."""

MOST_NAMED: Final = 1_000
"""Pieces that cannot be read and are told one by one; of more only the number."""

_LATEST: Final = 2**63
_MOST_GENERATIONS: Final = 1_000


@dataclass(slots=True)
class Summary:
    """What became of the input."""

    lines: int = 0
    """Lines, or documents, that were read."""
    spans: int = 0
    events: int = 0
    rows: int = 0
    """Spans that are operations, so rows."""
    new: int = 0
    """Rows that the ledger did not have."""
    changed: int = 0
    """Rows that it had, and of which it knows more now."""
    skipped: int = 0
    """Spans and events that tell of no operation."""
    bad: int = 0
    """Pieces that could not be read."""
    unfinished: int = 0
    """Inputs that end in the middle, as a file does that is still written."""
    problems: list[tuple[str, Unusable]] = field(default_factory=list)
    """Input and piece, of those that could not be read; at most a thousand."""


class Ingest:
    """Takes in spans and events.

    Args:
        store: of the ledger.
        rate: prices what does not carry its price.
        redactor: what all that is kept passes; None keeps it as it is.
        content: what of messages, arguments and results is kept: ``never``, ``explicit`` or ``all``.
        limit: characters of the content of a row.
        window: spans that are placed together.
    """

    def __init__(
        self,
        store: SQLiteStore,
        rate: Rater,
        redactor: RedactorLike | None,
        *,
        content: str = "explicit",
        limit: int = 262_144,
        window: int = WINDOW,
    ) -> None:
        self.summary = Summary()
        self._store = store
        self._rate = CarriedRates(rate)
        self._content = Content(redactor, content, limit)
        self._safe = KeptRecords(lambda: redactor)
        self._events = EventReader(self._content)
        self._window = window
        self._entries: list[Entry] = []
        self._plain: dict[SpanKey, str | None] = {}
        self._links: list[LinkRecord] = []
        self._carried: dict[str, Carried] = {}
        self._waiting = 0

    def add(self, batch: Batch, source: str) -> None:
        """Take in what a document holds; writes whenever a window is full.

        Args:
            batch: of the document.
            source: that it is of, for what cannot be read.
        """
        summary = self.summary
        for piece in batch.unusable:
            self._note(source, piece)
        for span in batch.spans:
            summary.spans += 1
            try:
                self._take(span)
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
                which = span.span_id or span.name
                self._note(source, Unusable(f"span {which} cannot be read: {error}", span.line))
            if self._waiting >= self._window:
                self.flush()
        for event in batch.events:
            summary.events += 1
            try:
                if not self._events.take(event):
                    summary.skipped += 1
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
                self._note(source, Unusable(f"event {event.name} cannot be read: {error}", event.line))
            if self._events.full:
                self.flush()

    def _note(self, source: str, piece: Unusable) -> None:
        summary = self.summary
        if piece.unfinished:
            summary.unfinished += 1
        else:
            summary.bad += 1
        if len(summary.problems) < MOST_NAMED:
            summary.problems.append((source, piece))

    def _take(self, span: Span) -> None:
        if not span.trace_id or not span.span_id:
            raise ValueError("it has no trace id or no span id")
        start = span.start_ns or span.end_ns
        if not 0 < start < _LATEST or span.end_ns >= _LATEST:
            raise ValueError("its times are missing or impossible")
        self._waiting += 1
        attributes = _as_live(span.attributes)
        carried = unpacked(attributes)
        kept = None if carried is None else carried.row.record
        facts = facts_of(attributes, span.name) if kept is None else Facts(kept.operation, kept.kind)
        key = (span.trace_id, span.span_id)
        if facts is None:
            self.summary.skipped += 1
            if span.parent_id:
                self._plain[key] = span.parent_id
                self._links.append(LinkRecord(*key, span.parent_id, span.end_ns or start))
            return
        failed = span.status == "ERROR"
        view = SpanView(
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_id or None,
            start_ns=start,
            end_ns=span.end_ns or start,
            failed=failed,
            exception_type=_exception_type(span) if failed else None,
            scope_name=span.scope.name or None,
            project=foreign.project_of(span.resource),
        )
        parent = attributes.get(semconv.CALL_PARENT_ID)
        call_id = foreign.call_id_of(view, attributes) if kept is None else kept.call_id
        if kept is None and not failed and opens_stream(view.scope_name, attributes, facts):
            self.summary.skipped += 1
            return
        if carried is not None:
            self._carried[call_id] = carried
        elif (rating := rating_of(attributes)) is not None:
            self._rate.known[call_id] = rating
        self._entries.append(
            Entry(
                view,
                attributes,
                facts,
                call_id,
                parent if isinstance(parent, str) and parent else None,
                view.scope_name == SCOPE_NAME or kept is not None,
                kept,
            )
        )

    def flush(self) -> None:
        """Write what came in so far.

        Raises:
            LedgerError: it cannot be written.
        """
        entries, plain, links, carried = self._entries, self._plain, self._links, self._carried
        self._entries, self._plain, self._links, self._carried, self._waiting = [], {}, [], {}, 0
        above = {key for entry in entries if (key := entry.parent_key) is not None and not entry.own}
        above.update((key[0], parent) for key, parent in plain.items() if parent)
        inside = {entry.key for entry in entries}
        relatives = self._store.ancestors(
            above - inside - plain.keys(),
            {entry.parent_call_id for entry in entries if entry.parent_call_id is not None},
        )
        family = Family(entries, plain, relatives)
        records = [
            self._content.kept(
                _with_cost(family.record(entry), entry), entry.attributes, whole=entry.kept is not None
            )
            for entry in entries
        ]
        self.summary.rows += len(records)
        self._write(links)
        before = self.summary.new
        self._absorb(carried, [one for one in records if one.call_id in carried])
        self._write(self._untold([one for one in records if one.call_id not in carried]))
        self._rate.known.clear()
        # A row that was there may have kept what it was before the parent that came along with it now.
        placed = self.summary.new - before == len(records)
        self._hand_down(inside | plain.keys(), {entry.call_id for entry in entries}, placed=placed)
        for sessions in self._events.sessions():
            self._store.absorb((), (), sessions)
        self._write(self._events.records(self._store))
        content = self._events.contents(self._store)
        if content:
            self.summary.changed += self._store.amend(content)

    def _write(self, records: Iterable[Record]) -> None:
        waiting = list(records)
        for place in range(0, len(waiting), TRANSACTION):
            some = self._safe(waiting[place : place + TRANSACTION])
            new, changed = self._store.take_in(some, self._rate)
            self.summary.new += new
            self.summary.changed += changed

    def _untold(self, records: list[CallRecord]) -> list[CallRecord]:
        """Rows without those of our own live spans whose calls this ledger has metered by itself.

        A span says less of a call than its row, and some of it otherwise: an agent's sums of what is beneath
        it, an end where none was known. A started mark, or what is left of one, says less than the span.
        """
        own = [one.call_id for one in records if one.scope_name == SCOPE_NAME]
        known = self._store.ancestors((), own).by_id if own else {}
        metered = {
            call_id
            for call_id, row in known.items()
            if row.precedence >= Precedence.METERED and row.process is None
        }
        return [one for one in records if one.call_id not in metered]

    def _absorb(self, carried: Mapping[str, Carried], records: list[CallRecord]) -> None:
        """Write rows that come from a ledger as they were there."""
        for place in range(0, len(records), TRANSACTION):
            rows: list[Row] = []
            links: list[LinkRecord] = []
            some = records[place : place + TRANSACTION]
            for given, record in zip(some, self._safe(some), strict=True):
                assert isinstance(record, CallRecord)
                whole = carried[given.call_id]  # its id may have lost a secret since
                rows.append(whole.row._replace(facts=whole.row.facts._replace(record=record)))
                links += whole.links
            new, changed = self._store.absorb(rows, links)
            self.summary.new += new
            self.summary.changed += changed

    def _hand_down(self, spans: set[SpanKey], call_ids: set[str], *, placed: bool) -> None:
        """Place rows that were in the ledger before what came now, and stands above them.

        Args:
            spans: that came now.
            call_ids: of the rows that came now.
            placed: these rows are new, and placed as they should be.
        """
        for generation in range(_MOST_GENERATIONS):
            beneath = self._store.children(spans, call_ids)
            if placed or generation:
                beneath = [one for one in beneath if one.call_id not in call_ids]
            changes = self._changes(beneath)
            if not changes:
                return
            self.summary.changed += self._store.amend(changes)
            touched = [one for one in beneath if one.call_id in changes]
            spans = {(one.trace_id, one.span_id) for one in touched if one.trace_id and one.span_id}
            call_ids = {one.call_id for one in touched}

    def _changes(self, rows: list[CallRecord]) -> dict[str, Mapping[str, Any]]:
        if not rows:
            return {}
        relatives = self._store.ancestors(
            {(one.trace_id, one.parent_span_id) for one in rows if one.trace_id and one.parent_span_id},
            {one.parent_call_id for one in rows if one.parent_call_id},
        )
        found: dict[str, Mapping[str, Any]] = {}
        for one in rows:
            parent = _parent(one, relatives.by_span, relatives.by_id, relatives.links)
            if parent is not None and (changes := amended(one, parent)):
                found[one.call_id] = changes
        return found


def _parent(
    row: CallRecord,
    by_span: Mapping[SpanKey, CallRecord],
    by_id: Mapping[str, CallRecord],
    links: Mapping[SpanKey, str],
) -> CallRecord | None:
    """The row right around one in the ledger; of a row of our own only the one that it names."""
    if row.scope_name == SCOPE_NAME:
        return by_id.get(row.parent_call_id or "")
    seen: set[SpanKey] = set()
    key = (row.trace_id or "", row.parent_span_id or "")
    while key not in seen:
        seen.add(key)
        if key in by_span:
            return by_span[key]
        if key not in links:
            return None
        key = (key[0], links[key])
    return None


def _with_cost(record: CallRecord, entry: Entry) -> CallRecord:
    """The row of a tool with what its program said that it cost; of any other, as it is."""
    if record.kind != Kind.TOOL or entry.kept is not None or not entry.own:
        return record
    rating = rating_of(entry.attributes)
    if rating is None or rating.nano_usd is None or rating.status != CostStatus.PROVIDER_REPORTED:
        return record
    return record._replace(usage={"cost_nano_usd": rating.nano_usd}, usage_format=str(UsageFormat.RECORDED))


def _as_live(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Attributes as the SDK holds them: an array is a tuple."""
    if any(type(value) is list for value in attributes.values()):
        return {key: tuple(value) if type(value) is list else value for key, value in attributes.items()}
    return attributes


def _exception_type(span: Span) -> str | None:
    for event in span.events:
        found = event.attributes.get(semconv.EXCEPTION_TYPE)
        if isinstance(found, str) and found:
            return found
    return None
