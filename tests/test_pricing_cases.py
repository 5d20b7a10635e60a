"""A table of calls with what they cost, each worked out by hand from a provider's document."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

import spantally
from pricing_cases import CASES
from pricing_cases.case import Case
from spantally.pricing.body import facts_of
from spantally.pricing.price import record_of
from spantally.pricing.rate import quote
from spantally.pricing.vendors import canonical


def _priced(case: Case, **changed: Any) -> spantally.Cost:
    given = case._replace(**changed)
    return spantally.price(
        given.response,
        provider=given.provider,
        request=given.request,
        at=datetime.fromisoformat(given.at),
        batch=given.batch,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.provider}: {case.name}")
def test_a_call_costs_what_its_document_says(case: Case) -> None:
    """To the nano-dollar, or without a cost and with the reason."""
    found = _priced(case)
    assert (found.nano_usd, found.status) == (case.nano, case.status)
    if found.nano_usd is not None:
        assert found.source
        assert found.cost_usd is not None
        assert found.cost_usd * 10**9 == found.nano_usd


def test_the_table_is_large_and_names_its_documents() -> None:
    """At least 120 cases of every family, each with a document, none twice."""
    assert len(CASES) >= 120
    assert all(case.document.startswith("https://") for case in CASES)
    names = Counter((case.provider, case.name) for case in CASES)
    assert not [name for name, times in names.items() if times > 1]
    assert len({canonical(case.provider) for case in CASES}) >= 15


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.provider}: {case.name}")
def test_the_ledger_rates_it_the_same(case: Case) -> None:
    """A record made of the same facts gets the same cost, without waiting for rates that are there."""
    found = _priced(case)
    name = canonical(case.provider)
    facts = facts_of(case.response, case.request, provider=name, batch=case.batch)
    if facts.usage is None:
        assert found.status == "no_usage"
        return
    at = int(datetime.fromisoformat(case.at).timestamp()) * 1_000_000_000
    rating = quote(record_of(facts, name, at))
    assert (rating.nano_usd, rating.status, rating.parts) == (found.nano_usd, found.status, found.parts)
