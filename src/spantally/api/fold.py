"""Counting each call once in memory: a second view, by another instrumentor's span, adds nothing.

The ledger holds the full rule; this is the part that live totals need. A foreign span that came first is
taken out again when the metered call that it shows arrives.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from spantally.ground.money import CostStatus, Rating, usd
from spantally.ground.records import COUNTED_KINDS, CallRecord, Precedence, possibly_billed

MAX_SEEN: Final = 4096
"""Spans and responses a session remembers, to count a second view of a call once."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a session has spent so far, child sessions included."""

    calls: int = 0
    """Model operations that count; never tools, agents or workflows."""
    errors: int = 0
    """Those of them that ended in error; a session of the ledger counts agents and tools that did, too."""
    input_tokens: int = 0
    """All input tokens, cached ones included."""
    output_tokens: int = 0
    """All output tokens, reasoning included."""
    cost_nano_usd: int | None = 0
    """The known cost in nano-USD, paid tools among it; None when calls were made and nothing has a cost."""
    priced_calls: int = 0
    unpriced_calls: int = 0
    """Calls that are rated and have no cost: unknown model, no usage, bad usage."""
    pending_calls: int = 0
    """Calls that wait for the price data."""
    possibly_billed_calls: int = 0
    """Calls of which something was sent and ended without usage."""
    lost_attempt_calls: int = 0
    """Those of them that have usage: an earlier attempt was sent and lost. The others are unpriced."""
    covered_calls: int = 0
    """Those of the unpriced calls that are paid otherwise, by a flat plan."""
    list_nano_usd: int = 0
    """What these would have cost by the rates of the list; no part of the cost."""

    @property
    def cost_usd(self) -> Decimal | None:
        """The known cost in US dollars, exact; None when no call has a cost."""
        return usd(self.cost_nano_usd)


@dataclass(slots=True)
class Fold:
    """Totals so far, and what is needed to count each call once."""

    totals: Totals = field(default_factory=Totals)
    spans: dict[str, None] = field(default_factory=dict)
    """Span ids that count."""
    covered: dict[str, None] = field(default_factory=dict)
    """Parent span ids of counted calls: a model span of theirs would be a second view."""
    responses: dict[str, str | None] = field(default_factory=dict)
    """Response ids that count, with the instrumentation scope they came from."""
    foreign: dict[str, tuple[CallRecord, Rating]] = field(default_factory=dict)
    """Foreign rows that count, by each id that a metered call may share with them."""
    untold: dict[str, tuple[CallRecord, Rating]] = field(default_factory=dict)
    """Metered calls that count and told no usage, or an estimate, by response id: a view that tells it counts
    instead."""

    def take(self, record: CallRecord, rating: Rating) -> None:
        """Add a rated call or paid tool, unless it is a second view of one that counts."""
        if record.kind not in COUNTED_KINDS:
            self.totals = added(self.totals, record, rating)
            return
        if record.precedence >= Precedence.METERED:
            self._retract_views(record)
        elif self._is_second_view(record):
            return
        if record.response_id is not None:
            seen = self.responses.setdefault(record.response_id, record.scope_name)
            if seen != record.scope_name and not self._tells_at_last(record, record.response_id):
                return
            if record.usage is not None and not record.estimated:
                self.untold.pop(record.response_id, None)  # an id that a server gives twice is no help
            elif record.precedence >= Precedence.METERED:
                self.untold[record.response_id] = (record, rating)
        if record.span_id is not None:
            self.spans[record.span_id] = None
        if record.parent_span_id is not None:
            self.covered[record.parent_span_id] = None
        if record.precedence < Precedence.METERED:
            for key in (record.parent_span_id, record.span_id, record.response_id):
                if key is not None:
                    self.foreign[key] = (record, rating)
        self.totals = added(self.totals, record, rating)

    def _is_second_view(self, record: CallRecord) -> bool:
        span_id = record.span_id
        return span_id is not None and (
            span_id in self.covered or span_id in self.spans or record.parent_span_id in self.spans
        )

    def _tells_at_last(self, record: CallRecord, response_id: str) -> bool:
        """True where this view has the usage that the one which counts has not, which is taken out then.

        So it is with a background response whose stream was lost, and which was asked for again. That the
        call failed remains.
        """
        if record.usage is None or record.estimated:
            return False
        told = self.untold.pop(response_id, None)
        if told is None:
            return False
        errors = self.totals.errors
        self.totals = replace(added(self.totals, *told, sign=-1), errors=errors)
        self.responses[response_id] = record.scope_name
        return True

    def _retract_views(self, record: CallRecord) -> None:
        """Take out foreign rows beneath this call, of its span, around it, or of its response."""
        for key in (record.span_id, record.response_id, record.parent_span_id):
            view = None if key is None else self.foreign.get(key)
            if view is None or (key == record.parent_span_id and view[0].span_id != key):
                continue
            other, rating = view
            if key == record.response_id and other.scope_name == record.scope_name:
                continue
            self.totals = added(self.totals, other, rating, sign=-1)
            for known in (other.parent_span_id, other.span_id, other.response_id):
                if known is not None:
                    self.foreign.pop(known, None)
            if other.response_id is not None:
                self.responses.pop(other.response_id, None)

    def trim(self) -> None:
        """Forget the oldest ids."""
        for seen in (self.spans, self.covered, self.responses, self.foreign, self.untold):
            known: dict[str, object] = seen  # type: ignore[assignment]
            while len(known) > MAX_SEEN:
                del known[next(iter(known))]


def added(totals: Totals, record: CallRecord, rating: Rating, sign: int = 1) -> Totals:
    """Totals with a call or paid tool added, or (``sign=-1``) taken out."""
    if record.kind not in COUNTED_KINDS:
        paid = (totals.cost_nano_usd or 0) + sign * (rating.nano_usd or 0)
        return replace(totals, cost_nano_usd=paid)
    parts = rating.parts
    pending = rating.status == CostStatus.PENDING
    cost = rating.nano_usd
    billed = possibly_billed(record)
    # By place, in the order of the fields: dataclasses.replace() asks for them by name, once for each call.
    return Totals(
        totals.calls + sign,
        totals.errors + sign * (record.status == "error"),
        totals.input_tokens + (0 if parts is None else sign * parts.input_total),
        totals.output_tokens + (0 if parts is None else sign * parts.output_total),
        (totals.cost_nano_usd or 0) + sign * (cost or 0),
        totals.priced_calls + sign * (cost is not None),
        totals.unpriced_calls + sign * (cost is None and not pending),
        totals.pending_calls + sign * pending,
        totals.possibly_billed_calls + sign * billed,
        totals.lost_attempt_calls + sign * (billed and record.usage is not None),
        totals.covered_calls + sign * (rating.status == CostStatus.COVERED),
        totals.list_nano_usd + sign * (rating.list_nano_usd or 0),
    )
