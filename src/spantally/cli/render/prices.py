"""Rates as a table and as JSON: exact decimals, only the parts that somebody has a rate for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from spantally.cli.render.numbers import NONE
from spantally.cli.render.tables import Column, print_table
from spantally.ground.money import UsageParts
from spantally.pricing.listing import LIST, Listing

_HEADINGS = {
    "uncached_input": "INPUT",
    "cache_read": "CACHE READ",
    "cache_write_5m": "WRITE 5M",
    "cache_write_1h": "WRITE 1H",
}


def rate_text(rate: Fraction) -> str:
    """A rate as a decimal: exact where it has an end, else to twelve places."""
    rest = rate.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    context = Context(prec=100)
    exact = context.divide(Decimal(rate.numerator), Decimal(rate.denominator))
    if rest != 1:
        exact = round(exact, 12)
    return f"{exact.normalize(context):f}"


def listing_object(row: Listing) -> dict[str, Any]:
    """An entry for JSON; rates are decimal strings of US dollars."""
    return {
        "provider": row.provider,
        "model": row.model,
        "override": row.kind != LIST,
        "kind": row.kind,
        "entry": row.entry,
        "host": row.host,
        "service_tier": row.service_tier,
        "batch": row.batch,
        "speed": row.speed,
        "input_above": row.above,
        "since": row.since,
        "until": row.until,
        "rates": {part: rate_text(rate) for part, rate in row.rates.items()},
        "per_request": rate_text(row.per_request),
        "per_second": rate_text(row.per_second),
        "price_id": row.price_id,
        "source": row.source,
    }


def print_listings(rows: Sequence[Listing]) -> None:
    """Draw entries, one a line.

    Args:
        rows: those of one model.
    """
    shown = [part for part in UsageParts._fields if any(_differs(row, part) for row in rows)]

    def of(part: str) -> Column[Listing]:
        heading = _HEADINGS.get(part, part.replace("_", " ").upper())
        keep = 8 if part in ("uncached_input", "output") else 6
        return Column(heading, lambda row: _rate_of(row, part), number=True, keep=keep)

    columns = [
        Column[Listing]("PROVIDER", lambda row: row.provider or "any"),
        Column[Listing]("MODEL", lambda row: row.model),
        Column[Listing]("FOR", _context_text),
        *(of(part) for part in shown),
        *_fees(rows),
        Column[Listing]("SINCE", lambda row: row.since or NONE, keep=5),
        Column[Listing]("SOURCE", lambda row: row.source if row.kind == LIST else f"override: {row.entry}"),
    ]
    print_table(columns, rows)


def _differs(row: Listing, part: str) -> bool:
    """True for a part that is worth a column: images in a prompt are mostly tokens like all others."""
    if row.kind in ("free", "covered") and not any(row.rates.values()):
        return part in ("uncached_input", "output")
    if part == "image_input" and row.rates.get(part) == row.rates.get("uncached_input"):
        return False
    return part in row.rates and bool(row.rates[part] or part in ("uncached_input", "output"))


def _rate_of(row: Listing, part: str) -> str:
    return rate_text(row.rates[part]) if part in row.rates else NONE


def _context_text(row: Listing) -> str:
    words = [] if row.kind in (LIST, "rates") else [row.kind]
    words += [row.host] if row.host else []
    words += [word for word in (row.service_tier, row.speed) if word] + (["batch"] if row.batch else [])
    words += [f"input > {row.above:,}"] if row.above is not None else []
    return ", ".join(words) or "standard"


def _fees(rows: Sequence[Listing]) -> list[Column[Listing]]:
    columns: list[Column[Listing]] = []
    if any(row.per_request for row in rows):
        columns.append(Column("A REQUEST", lambda row: rate_text(row.per_request), number=True))
    if any(row.per_second for row in rows):
        columns.append(Column("A SECOND", lambda row: rate_text(row.per_second), number=True))
    return columns
