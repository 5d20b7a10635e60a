"""Rates of vendors' own price lists that the table of rates lacks, each with the list that it stands in.

The table wins wherever it has a rate: what stands here fills gaps, and stands in for a model that the table
does not know. Entries are facts of one date; a vendor that changes them is the table's to follow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

_OPENAI: Final = "developers.openai.com/api/docs/pricing"
"""OpenAI's price list, standard, batch and fine-tuning tables (November 2026)."""


class Extra(NamedTuple):
    """Rates of one model, by the table's keys."""

    vendor: str
    names: re.Pattern[str]
    """Which names of models are meant, in lower case."""
    model: str
    """What the model is called where the table does not know it."""
    document: str
    prices: Mapping[str, Decimal]
    batch: Mapping[str, Decimal] | None = None


class StandIn:
    """A model that only this file knows, with the attributes of the table's models that are read."""

    def __init__(self, extra: Extra) -> None:
        self.id = extra.model
        self.extra = extra
        self.prices: Any = _Nothing()
        self.price_variants: Any = None


class _Nothing:
    """No prices; those of the extra are filled in."""


def _extra(
    names: str, model: str, prices: Mapping[str, str], batch: Mapping[str, str] | None = None
) -> Extra:
    return Extra(
        "openai",
        re.compile(names),
        model,
        _OPENAI,
        {key: Decimal(value) for key, value in prices.items()},
        None if batch is None else {key: Decimal(value) for key, value in batch.items()},
    )


def _tuned(name: str, standard: tuple[str, str, str], batch: tuple[str, str, str] | None) -> Extra:
    """A fine-tuned model: input, cached input, output."""
    keys = ("input_mtok", "cache_read_mtok", "output_mtok")
    halved = None if batch is None else dict(zip(keys, batch, strict=True))
    return _extra(
        rf"ft:{re.escape(name)}(?=-\d)", f"ft:{name}", dict(zip(keys, standard, strict=True)), halved
    )


EXTRAS: Final = (
    _tuned("gpt-4.1", ("3", "0.75", "12"), ("1.5", "0.5", "6")),
    _tuned("gpt-4.1-mini", ("0.8", "0.2", "3.2"), ("0.4", "0.1", "1.6")),
    _tuned("gpt-4.1-nano", ("0.2", "0.05", "0.8"), ("0.1", "0.025", "0.4")),
    _tuned("o4-mini", ("4", "1", "16"), ("2", "0.5", "8")),
    _tuned("gpt-4o", ("3.75", "1.875", "15"), None),
    _tuned("gpt-4o-mini", ("0.3", "0.15", "1.2"), None),
    _extra(r"ft:babbage-002", "ft:babbage-002", {"input_mtok": "1.6", "output_mtok": "1.6"}),
    _extra(r"ft:davinci-002", "ft:davinci-002", {"input_mtok": "12", "output_mtok": "12"}),
    # The first snapshot was dearer than those that followed it.
    _extra(
        r"gpt-4o-audio-preview-2024-10-01$",
        "gpt-4o-audio-preview-2024-10-01",
        {"input_audio_mtok": "100", "output_audio_mtok": "200"},
    ),
    _extra(
        r"gpt-4o-audio-preview(?!-2024-10)",
        "gpt-4o-audio-preview",
        {"input_audio_mtok": "40", "output_audio_mtok": "80"},
    ),
    _extra(
        r"gpt-4o-mini-audio-preview",
        "gpt-4o-mini-audio-preview",
        {"input_audio_mtok": "10", "output_audio_mtok": "20"},
    ),
    # Models that search before they answer, at each request.
    _extra(r"gpt-4o-(?:mini-)?search-preview", "gpt-4o-search-preview", {"requests_kcount": "25"}),
    _extra(r"gpt-5-search-api", "gpt-5-search-api", {"requests_kcount": "10"}),
)


def extra_for(vendor: str, name: str) -> Extra | None:
    """What is known beside the table of a model of that name."""
    low = name.lower()
    return next((one for one in EXTRAS if one.vendor == vendor and one.names.match(low)), None)


def stand_in(vendor: str, name: str) -> StandIn | None:
    """A model that the table does not know, where its whole price is known here."""
    extra = extra_for(vendor, name)
    return StandIn(extra) if extra is not None and "input_mtok" in extra.prices else None
