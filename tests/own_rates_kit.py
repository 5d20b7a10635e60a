"""Rates of the user's own for tests: a settings file, and the rate table as a process with it has it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias

import pytest

from spantally.pricing import rates
from spantally.pricing.overrides import OwnRates
from spantally.pricing.overrides_file import read_tables
from spantally.pricing.rate import forget

UseOwn: TypeAlias = Callable[[str], OwnRates]


def read(text: str) -> OwnRates:
    """The rates of a settings file with this text."""
    return read_tables(
        tomllib.loads(text, parse_float=Decimal), "spantally.toml", "override spantally.toml@0"
    )


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[UseOwn]:
    """Puts the rates of a settings file into force, which must be sound."""
    table = rates.load()
    assert table is not None

    def use(text: str) -> OwnRates:
        found = read(text)
        assert found.wrong == ()
        monkeypatch.setattr(rates._loader, "table", replace(table, own=found))
        forget()
        return found

    yield use
    forget()
