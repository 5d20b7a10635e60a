"""Providers' exports of usage and cost: which one a file is, by its shape alone, and what it holds.

Formats of JSON, each with the document it follows:

* ``openai.usage``: pages of ``organization/usage/*``
  (platform.openai.com/docs/api-reference/usage/completions_object), input inclusive of cached tokens.
* ``openai.costs``: pages of ``organization/costs``
  (platform.openai.com/docs/api-reference/usage/costs_object).
* ``anthropic.usage``: pages of ``usage_report/messages``
  (platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages), cached tokens beside the others.
* ``anthropic.cost``: pages of ``cost_report`` (platform.claude.com/docs/en/api/admin/cost_report), in cents.
* ``openrouter.activity``: ``/api/v1/activity``
  (openrouter.ai/docs/api-reference/analytics/get-user-activity).

Those of CSV are in :mod:`~spantally.queries.export_tables`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from spantally.ground.records import Kind
from spantally.queries.export_tables import FORMATS as TABLES
from spantally.queries.export_tables import read_table
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

LARGEST: Final = 512 * 1024 * 1024
"""Bytes of an export that is read."""

_PAGES: Final = ("openai.usage", "openai.costs", "anthropic.usage", "anthropic.cost", "openrouter.activity")
FORMATS: Final = (*_PAGES, *TABLES)
"""Names of all formats."""

_USAGE: Final = "organization.usage."
_KINDS: Final[Mapping[str, str]] = {"completions": Kind.INFERENCE, "embeddings": Kind.EMBEDDINGS}
_ANTHROPIC_INPUT: Final = ("uncached_input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def read_export(path: str | os.PathLike[str]) -> Export:
    """Read an export.

    Args:
        path: of a JSON or CSV file.

    Raises:
        ExportError: (a ValueError) it cannot be read, or is none that is known; the text says what was found
            and what is allowed.
    """
    file = Path(path)
    try:
        if file.stat().st_size > LARGEST:
            raise ExportError(f"{file} is larger than {LARGEST >> 20} MiB; export a shorter time")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ExportError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ExportError(f"{file} is not text in UTF-8; export it as CSV or JSON") from None
    name = file.name
    if text.lstrip()[:1] in ("{", "["):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ExportError(f"{name} is no valid JSON: {error}") from None
        return _document(document, name)
    return read_table(text, name)


def _document(document: Any, name: str) -> Export:
    """What a JSON document holds: one page, several in an array, or their entries alone."""
    pages = document if isinstance(document, list) else [document]
    entries: list[Any] = []
    more = False
    for page in pages:
        if isinstance(page, Mapping) and isinstance(page.get("data"), list):
            entries.extend(page["data"])
            more = bool(page.get("has_more"))
        else:
            entries.append(page)
    reader = _reader(entries, name)
    export = reader(entries, name)
    if more:
        note = "the file ends with has_more: its next pages are missing, so days at its end are not whole"
        export = export._replace(notes=(*export.notes, note))
    return export


def _reader(entries: list[Any], name: str) -> Callable[[list[Any], str], Export]:
    first = next((one for one in entries if isinstance(one, Mapping)), None)
    results = [one for _, one in _results(entries, name)] if first and "results" in first else []
    if first is not None and "start_time" in first and "results" in first:
        objects = {str(one.get("object")) for one in results}
        if any("amount" in one for one in results) or "organization.costs.result" in objects:
            return _openai_costs
        return _openai_usage
    if first is not None and "starting_at" in first and "results" in first:
        return _anthropic_cost if any("amount" in one for one in results) else _anthropic_usage
    if first is not None and "usage" in first and ("model_permaslug" in first or "prompt_tokens" in first):
        return _openrouter
    keys = "nothing" if first is None else f"objects with {', '.join(sorted(map(str, first))[:12])}"
    raise ExportError(f"{name} is no export that is known: found {keys}; known are {', '.join(FORMATS)}")


def _results(entries: Sequence[Any], name: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each result with the bucket that it stands in."""
    for bucket in entries:
        if not isinstance(bucket, Mapping) or not isinstance(bucket.get("results"), list):
            raise ExportError(f"{name}: an entry of data is no bucket with results")
        for one in bucket["results"]:
            if not isinstance(one, Mapping):
                raise ExportError(f"{name}: a result is no object")
            yield bucket, one


def _empty(entries: Sequence[Any], key: str, name: str) -> list[ExportLine]:
    """A line of nothing for each bucket: a day without results was counted, and had none."""
    return [ExportLine(*moment(bucket.get(key), key, name), None) for bucket in entries]


def _openai_usage(entries: list[Any], name: str) -> Export:
    lines = _empty(entries, "start_time", name)
    kinds: set[str] = set()
    for bucket, one in _results(entries, name):
        kinds.add(str(one.get("object", "")).removeprefix(_USAGE).removesuffix(".result"))
        lines.append(
            ExportLine(
                *moment(bucket.get("start_time"), "start_time", name),
                one.get("model"),
                count(one, "num_model_requests", name),
                count(one, "input_tokens", name),
                count(one, "output_tokens", name),
            )
        )
    kind = _KINDS.get(kinds.pop()) if len(kinds) == 1 else None
    return Export("openai.usage", "openai", lines, kind)


def _openai_costs(entries: list[Any], name: str) -> Export:
    lines = _empty(entries, "start_time", name)
    for bucket, one in _results(entries, name):
        money = one.get("amount")
        value = money.get("value") if isinstance(money, Mapping) else money
        currency = money.get("currency") if isinstance(money, Mapping) else None
        _only_dollars(currency, name)
        nano, off = amount(value, "amount.value", name) or (0, 0)
        lines.append(
            ExportLine(
                *moment(bucket.get("start_time"), "start_time", name),
                model_of_item(one.get("line_item")),
                cost_nano_usd=nano,
                tolerance=off,
            )
        )
    return Export("openai.costs", "openai", lines)


def _anthropic_usage(entries: list[Any], name: str) -> Export:
    lines = _empty(entries, "starting_at", name)
    for bucket, one in _results(entries, name):
        written = one.get("cache_creation")
        parts: dict[str, Any] = dict(one)
        if isinstance(written, Mapping):
            parts["cache_creation_input_tokens"] = total(
                written, ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"), name
            )
        lines.append(
            ExportLine(
                *moment(bucket.get("starting_at"), "starting_at", name),
                one.get("model"),
                None,
                total(parts, _ANTHROPIC_INPUT, name),
                count(one, "output_tokens", name),
            )
        )
    return Export("anthropic.usage", "anthropic", lines)


def _anthropic_cost(entries: list[Any], name: str) -> Export:
    lines = _empty(entries, "starting_at", name)
    for bucket, one in _results(entries, name):
        _only_dollars(one.get("currency"), name)
        nano, off = amount(one.get("amount"), "amount", name, cents=True) or (0, 0)
        lines.append(
            ExportLine(
                *moment(bucket.get("starting_at"), "starting_at", name),
                one.get("model"),
                cost_nano_usd=nano,
                tolerance=off,
            )
        )
    return Export("anthropic.cost", "anthropic", lines)


def _openrouter(entries: list[Any], name: str) -> Export:
    lines: list[ExportLine] = []
    for one in entries:
        if not isinstance(one, Mapping):
            raise ExportError(f"{name}: an entry of data is no object")
        paid = amount(one.get("usage"), "usage", name) or (0, 0)
        own = amount(one.get("byok_usage_inference"), "byok_usage_inference", name) or (0, 0)
        lines.append(
            ExportLine(
                *moment(one.get("date"), "date", name),
                one.get("model") or one.get("model_permaslug"),
                count(one, "requests", name),
                count(one, "prompt_tokens", name),
                count(one, "completion_tokens", name),
                paid[0] + own[0],
                paid[1] + own[1],
            )
        )
    return Export("openrouter.activity", "openrouter", lines)


def _only_dollars(currency: Any, name: str) -> None:
    if currency is not None and str(currency).lower() != "usd":
        raise ExportError(f"{name}: amounts in {currency!r} cannot be compared; export US dollars")
