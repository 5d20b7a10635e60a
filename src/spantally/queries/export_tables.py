"""Providers' exports as CSV: which one a table is, by its columns, and what it holds.

* ``openai.usage.csv`` and ``openai.costs.csv``: the exports of the dashboard (platform.openai.com/usage); its
  columns are the fields of the usage and costs APIs beside ``start_time`` and ``start_time_iso``.
* ``anthropic.usage.csv`` and ``anthropic.cost.csv``: the exports of the console
  (support.claude.com/en/articles/9534590); days are of UTC.
* ``openrouter.activity.csv``: the export of openrouter.ai/activity, by generation or by day
  (openrouter.ai/docs/cookbook/administration/activity-export).
* ``csv``: any table with these columns, whose names may be written with spaces and in any case: a time
  (``date``, ``day``, ``time``, ``timestamp``, ``start_time``, ``created_at``), and of figures at least one:
  ``calls`` (``requests``), ``input_tokens`` (``prompt_tokens``; all input) or its parts
  ``uncached_input_tokens``, ``cache_read_tokens`` and ``cache_write_tokens``, ``output_tokens``
  (``completion_tokens``), ``cost_usd`` (``cost``, ``amount``; US dollars); ``model`` where it is by model.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import Final, TypeAlias

from spantally.queries.export_values import (
    Export,
    ExportError,
    ExportLine,
    amount,
    count,
    model_of_item,
    moment,
    total,
)

FORMATS: Final = (
    "openai.usage.csv",
    "openai.costs.csv",
    "anthropic.usage.csv",
    "anthropic.cost.csv",
    "openrouter.activity.csv",
    "csv",
)

_Row: TypeAlias = Mapping[str, str]
_Rows: TypeAlias = list[tuple[str, _Row]]
"""Each row with its place, for errors."""

_TIMES: Final = ("date", "day", "time", "timestamp", "start_time", "created_at")
_CALLS: Final = ("calls", "requests", "num_requests", "num_model_requests")
_INPUT: Final = ("input_tokens", "prompt_tokens")
_INPUT_PARTS: Final = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens")
_OUTPUT: Final = ("output_tokens", "completion_tokens")
_COST: Final = ("cost_usd", "cost", "amount", "amount_usd", "total_cost")

GENERIC: Final = (
    f"a time ({', '.join(_TIMES)}), and one or more of calls, input_tokens (or {', '.join(_INPUT_PARTS)}), "
    "output_tokens, cost_usd; model where it is by model"
)
"""What a table of one's own needs, in a sentence."""


def read_table(text: str, name: str) -> Export:
    """Read a CSV export.

    Args:
        text: of the file.
        name: of the file, for errors.

    Raises:
        ExportError: its columns are none that are known, or a value cannot be.
    """
    header = next((line for line in text.splitlines() if line.strip()), "")
    separator = max((",", ";", "\t"), key=header.count)
    try:
        columns = [_plain(one) for one in next(csv.reader([header], delimiter=separator), [])]
        found = list(_rows(text, columns, separator, name))
    except csv.Error as error:
        raise ExportError(f"{name} is no valid CSV: {error}") from None
    reader = _reader(frozenset(columns))
    if reader is None:
        shown = ", ".join(columns[:20]) or "nothing"
        raise ExportError(
            f"{name} is no export that is known: found the columns {shown}; known are {', '.join(FORMATS)}, "
            f"the last with {GENERIC}"
        )
    return reader(found)


def _plain(column: str) -> str:
    return "_".join(column.strip().strip("\ufeff").lower().replace("(", " ").replace(")", " ").split())


def _rows(text: str, columns: list[str], separator: str, name: str) -> Iterator[tuple[str, _Row]]:
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    seen_header = False
    for values in table:
        if not any(value.strip() for value in values):
            continue
        if not seen_header:
            seen_header = True
            continue
        if len(values) > len(columns):
            raise ExportError(
                f"{name}, line {table.line_num}: {len(values)} values in {len(columns)} columns"
            )
        yield f"{name}, line {table.line_num}", dict(zip_longest(columns, values, fillvalue=""))


def _reader(columns: frozenset[str]) -> Callable[[_Rows], Export] | None:
    if {"start_time", "amount_value"} <= columns:
        return _openai_costs
    if {"start_time", "end_time", "start_time_iso"} <= columns:
        return _openai_usage
    if {"usage_date_utc", "cost_usd"} <= columns:
        return _anthropic_cost
    if {"usage_date_utc", "usage_output_tokens"} <= columns:
        return _anthropic_usage
    if {"generation_id", "created_at", "cost_total"} <= columns:
        return _openrouter_calls
    if {"date", "slug", "usage"} <= columns or {"date", "model_permaslug", "usage"} <= columns:
        return _openrouter_days
    figures = {*_CALLS, *_INPUT, *_INPUT_PARTS, *_OUTPUT, *_COST}
    return _generic if columns & set(_TIMES) and columns & figures else None


def _openai_usage(rows: _Rows) -> Export:
    lines = [
        ExportLine(
            *moment(row["start_time"], "start_time", place),
            row.get("model") or None,
            count(row, "num_model_requests", place),
            count(row, "input_tokens", place),
            count(row, "output_tokens", place),
        )
        for place, row in rows
    ]
    return Export("openai.usage.csv", "openai", lines)


def _openai_costs(rows: _Rows) -> Export:
    lines: list[ExportLine] = []
    for place, row in rows:
        if (row.get("amount_currency") or "usd").lower() != "usd":
            raise ExportError(f"{place}: amounts in {row['amount_currency']!r} cannot be compared")
        money = amount(row.get("amount_value"), "amount_value", place)
        lines.append(
            ExportLine(
                *moment(row["start_time"], "start_time", place),
                model_of_item(row.get("line_item")),
                cost_nano_usd=None if money is None else money[0],
                tolerance=0 if money is None else money[1],
            )
        )
    return Export("openai.costs.csv", "openai", lines)


def _anthropic_usage(rows: _Rows) -> Export:
    parts = tuple(
        f"usage_input_tokens_{one}"
        for one in ("no_cache", "cache_write", "cache_write_5m", "cache_write_1h", "cache_read")
    )
    lines = [
        ExportLine(
            *moment(row["usage_date_utc"], "usage_date_utc", place),
            row.get("model_version") or row.get("model") or None,
            None,
            total(row, parts, place),
            count(row, "usage_output_tokens", place),
        )
        for place, row in rows
    ]
    return Export("anthropic.usage.csv", "anthropic", lines)


def _anthropic_cost(rows: _Rows) -> Export:
    lines: list[ExportLine] = []
    for place, row in rows:
        money = amount(row.get("cost_usd"), "cost_usd", place) or (0, 0)
        lines.append(
            ExportLine(
                *moment(row["usage_date_utc"], "usage_date_utc", place),
                row.get("model") or row.get("model_version") or None,
                cost_nano_usd=money[0],
                tolerance=money[1],
            )
        )
    return Export("anthropic.cost.csv", "anthropic", lines)


def _openrouter_calls(rows: _Rows) -> Export:
    lines: list[ExportLine] = []
    for place, row in rows:
        paid = amount(row.get("cost_total"), "cost_total", place) or (0, 0)
        own = amount(row.get("byok_usage_inference"), "byok_usage_inference", place) or (0, 0)
        variant = row.get("variant") or "standard"
        model = row.get("model_permaslug") or None
        if model is not None and variant != "standard":
            model = f"{model}:{variant}"
        lines.append(
            ExportLine(
                *moment(row["created_at"], "created_at", place),
                model,
                1,
                count(row, "tokens_prompt", place),
                count(row, "tokens_completion", place),
                paid[0] + own[0],
                paid[1] + own[1],
            )
        )
    return Export("openrouter.activity.csv", "openrouter", lines)


def _openrouter_days(rows: _Rows) -> Export:
    lines: list[ExportLine] = []
    for place, row in rows:
        paid = amount(row.get("usage"), "usage", place) or (0, 0)
        own_name = "byok_usage" if "byok_usage" in row else "byok_usage_inference"
        own = amount(row.get(own_name), own_name, place) or (0, 0)
        lines.append(
            ExportLine(
                *moment(row["date"], "date", place),
                row.get("slug") or row.get("model") or row.get("model_permaslug") or None,
                count(row, "requests", place),
                count(row, "prompt_tokens", place),
                count(row, "completion_tokens", place),
                paid[0] + own[0],
                paid[1] + own[1],
            )
        )
    return Export("openrouter.activity.csv", "openrouter", lines)


def _generic(rows: _Rows) -> Export:
    lines: list[ExportLine] = []
    for place, row in rows:
        when = next(name for name in _TIMES if name in row)
        money = None
        for name in _COST:
            money = money or amount(row.get(name), name, place)
        lines.append(
            ExportLine(
                *moment(row[when], when, place),
                row.get("model") or None,
                _first(row, _CALLS, place),
                _first(row, _INPUT, place)
                if any(row.get(one) for one in _INPUT)
                else total(row, _INPUT_PARTS, place),
                _first(row, _OUTPUT, place),
                None if money is None else money[0],
                0 if money is None else money[1],
            )
        )
    return Export("csv", None, lines)


def _first(row: _Row, names: tuple[str, ...], place: str) -> int | None:
    return next((found for found in (count(row, name, place) for name in names) if found is not None), None)
