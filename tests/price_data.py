"""The price data of the installed package in the form in which it is published: JSON, decimals as numbers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any, Self

from genai_prices.types import ModelPrice

from spantally.pricing import rates


def published(**changed: str) -> bytes:
    """The whole table.

    Args:
        changed: the rate of input of some OpenAI models: their name with ``_`` for what a name cannot have.
    """
    table = rates.load()
    assert table is not None
    raw = [_plain(provider) for provider in table.providers]
    for provider in raw:
        for model in provider["models"]:
            name = "".join(one if one.isalnum() else "_" for one in model["id"])
            if provider["id"] == "openai" and name in changed:
                model["prices"] = {**model["prices"], "input_mtok": _Number(changed[name])}
    return _Encoder().encode(raw).encode()


class _Number(float):
    """A decimal that is written as it is."""

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, float(text))
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text


class _Encoder(json.JSONEncoder):
    def encode(self, o: Any) -> str:
        if isinstance(o, Mapping):
            return (
                "{" + ", ".join(f"{json.dumps(key)}: {self.encode(value)}" for key, value in o.items()) + "}"
            )
        if isinstance(o, list):
            return "[" + ", ".join(map(self.encode, o)) + "]"
        return o.text if isinstance(o, _Number) else json.dumps(o)


def _plain(value: Any) -> Any:
    if isinstance(value, ModelPrice):
        return {key: _plain(one) for key, one in value.__dict__.items() if one is not None}
    if dataclasses.is_dataclass(value):
        fields = {field.name.rstrip("_"): getattr(value, field.name) for field in dataclasses.fields(value)}
        return {
            key: _plain(one) for key, one in fields.items() if one is not None and key != "extractors" and key
        }
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, Decimal):
        return _Number(f"{value:f}")
    return value.isoformat() if isinstance(value, (date, time)) else value
