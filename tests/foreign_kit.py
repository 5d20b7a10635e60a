"""Spans of others as they were recorded, made again on a provider of ours, and what a ledger says of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from otel_kit import Bench
from spantally.ground.records import COUNTED_KINDS, Record
from spantally.ledger.contract import Filter
from spantally.ledger.sqlite.store import SQLiteStore
from spantally.ledger.tally import Row
from spantally.pricing.rate import rate

FILES = Path(__file__).parent / "foreign_spans"


def recorded(name: str) -> dict[str, Any]:
    """What a file holds."""
    found: dict[str, Any] = json.loads((FILES / f"{name}.json").read_text(encoding="utf-8"))
    return found


def replayed(
    spans: Sequence[dict[str, Any]], bench: Bench | None = None, *, early: bool = True
) -> list[Record]:
    """Make the spans, each beneath its parent, and end them, inner ones first.

    Args:
        spans: in the order in which they began.
        bench: whose provider makes them.
        early: their attributes are there at the start, else only at the end.

    Returns:
        What the processor hands to the ledger.
    """
    bench = bench or Bench()
    made: dict[int, Any] = {}

    def begin(place: int) -> Any:
        if place not in made:
            one = spans[place]
            parent = one["parent"]
            context = None if parent is None else trace.set_span_in_context(begin(parent))
            made[place] = bench.provider.get_tracer(one["scope"]).start_span(
                one["name"],
                context=context,
                kind=SpanKind[one["kind"]],
                attributes=one["attributes"] if early else None,
            )
        return made[place]

    for place in range(len(spans)):
        begin(place)
    for place in sorted(made, reverse=True):
        if not early:
            made[place].set_attributes(spans[place]["attributes"])
        made[place].end()
    return bench.records


def stored(records: Sequence[Record]) -> SQLiteStore:
    """A ledger with the records, rated."""
    store = SQLiteStore(":memory:")
    store.write(list(records), rate)
    return store


def rows(store: SQLiteStore) -> list[Any]:
    """The rows of all calls, agents and tools, in their order."""
    return list(store.calls(Filter(limit=500)))


def counted(store: SQLiteStore) -> list[Any]:
    """The rows that count."""
    return [row for row in rows(store) if row.counted and row.kind in COUNTED_KINDS]


__all__ = ["FILES", "Row", "counted", "recorded", "replayed", "rows", "stored"]
