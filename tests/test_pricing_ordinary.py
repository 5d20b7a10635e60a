"""The short way to the cost of a call that has just ended says what the rater says, always."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from own_rates_kit import UseOwn, own
from pricing_cases import CASES
from pricing_cases.case import Case
from pricing_records import NOVEMBER, chat, record
from spantally.calls.price_basis import basis_of
from spantally.ground.records import CallRecord, Kind, Precedence, Status, UsageFormat
from spantally.pricing import ordinary, rates
from spantally.pricing.body import facts_of
from spantally.pricing.ordinary import Said, price_of
from spantally.pricing.price import record_of
from spantally.pricing.rate import HOUR_NS, quote
from spantally.pricing.vendors import canonical

__all__ = ["own"]


@pytest.fixture(autouse=True)
def _loaded() -> Iterator[None]:
    rates.load()
    ordinary.forget()
    yield
    ordinary.forget()


def full(call: CallRecord) -> Said:
    """What the rater says."""
    rating = quote(call)
    return Said(str(rating.status), rating.nano_usd, rating.source)


def short(call: CallRecord) -> Said:
    """What is said of it here, by which parts being looked at apart."""
    found, parts = price_of(call), quote(call).parts
    if found.parts is not None:
        assert found.parts == parts
    elif parts is not None:  # rated by just what the usage says
        said = {name: count for name, count in (call.usage or {}).items() if name in _TOTALS}
        assert sorted(said.values()) == sorted((parts.input_total, parts.output_total))
    if found.plain:
        assert basis_of(cast("Any", call), needed=False) is None
    return found._replace(parts=None, plain=False)


_TOTALS = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")


def _counts(*names: str) -> Any:
    odd = st.sampled_from([True, False, 2.0, 0.0, "3", "", -1, 1 << 60, [], {}])
    count = st.one_of(st.integers(0, 5000), st.none(), st.just(0), odd)
    return st.one_of(
        st.none(),
        st.just({}),
        st.dictionaries(st.sampled_from(names), count, max_size=3),
        st.sampled_from([7, "x"]),
    )


def _usages(first: str, second: str) -> Any:
    total = st.one_of(
        st.integers(0, 5000), st.integers(0, 400_000), st.sampled_from([None, True, 1.5, -3, 1 << 60])
    )
    details = ("cached_tokens", "audio_tokens", "image_tokens", "text_tokens", "cache_write_tokens")
    return st.fixed_dictionaries(
        {f"{first}_tokens": total, f"{second}_tokens": total},
        optional={
            "total_tokens": total,
            f"{first}_tokens_details": _counts(*details, "cached_tokens_details", "unheard_of"),
            f"{second}_tokens_details": _counts(
                "reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "text_tokens", "unheard_of"
            ),
            "cached_tokens": total,
            "prompt_cache_hit_tokens": total,
            "cost": st.sampled_from([0.5, None, "x"]),
            "seconds": total,
        },
    )


_FORMATS = st.sampled_from(
    [
        (UsageFormat.OPENAI_CHAT, "prompt", "completion"),
        (UsageFormat.OPENAI_RESPONSES, "input", "output"),
        (UsageFormat.OPENAI_CHAT, "input", "output"),
    ]
)
_MODELS = st.sampled_from(
    [
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-5",
        "o3",
        "gpt-5.4",
        "gpt-audio",
        "gpt-6-sol",
        "ft:gpt-4o:acme::x",
        "nobody",
        None,
    ]
)
_CONTEXTS = st.sampled_from(
    [
        {"provider": "openai"},
        {"provider": "openai", "service_tier": "flex"},
        {"provider": "openai", "service_tier": "default", "api": "chat_completions"},
        {"provider": None},
        {"provider": "groq"},
        {"provider": "openai", "server_tools": {"web_search_call": 2}},
        {"provider": "openai", "server_tools": []},
        {},
        None,
    ]
)


@given(st.data())
def test_the_short_way_says_what_the_rater_says(data: Any) -> None:
    """Whatever stands in the usage: the first call of its kind, and every later one."""
    form, first, second = data.draw(_FORMATS)
    more: dict[str, Any] = {
        "provider": data.draw(st.sampled_from(["openai", "x_ai", "azure.ai.openai", None])),
        "usage_format": form,
        "price_context": data.draw(_CONTEXTS),
        "kind": data.draw(st.sampled_from([Kind.INFERENCE, Kind.EMBEDDINGS])),
        "estimated": data.draw(st.booleans()),
        "status": data.draw(st.sampled_from([Status.OK, Status.INTERRUPTED, Status.ERROR])),
        "precedence": data.draw(st.sampled_from([Precedence.METERED, Precedence.FOREIGN])),
    }
    model = data.draw(_MODELS)
    plain = record(model, {f"{first}_tokens": 10, f"{second}_tokens": 3}, **more)
    assert short(plain) == full(plain)  # so that what can be kept is kept
    for usage in data.draw(st.lists(_usages(first, second), min_size=1, max_size=4)):
        call = record(model, usage, **more)
        assert short(call) == full(call)
        assert short(call) == full(call)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.provider}: {case.name}")
def test_it_says_so_of_every_case_too(case: Case) -> None:
    """The cases that were worked out by hand, each twice."""
    name = canonical(case.provider)
    facts = facts_of(case.response, case.request, provider=name, batch=case.batch)
    call = record_of(facts, name, int(datetime.fromisoformat(case.at).timestamp()) * 1_000_000_000)
    assert short(call) == full(call)
    assert short(call) == full(call)


def test_ordinary_calls_come_by_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all of this proves nothing: from the second call on the rater is not asked."""
    assert price_of(record("gpt-4o", chat(10, 3), price_context={"provider": "openai"})).nano_usd == 55_000
    monkeypatch.setattr(ordinary, "quote", None)
    usage = chat(1000, 100, cached=400, reasoning=50)
    said = price_of(record("gpt-4o", usage, price_context={"provider": "openai"}))
    assert said.nano_usd == 600 * 2_500 + 400 * 1_250 + 100 * 10_000


def test_rates_are_kept_for_their_hour_and_their_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prices change with time, and with what is loaded."""
    context = {"provider": "openai"}
    price_of(record("gpt-4o", chat(10, 3), price_context=context))
    asked: list[Any] = []

    def counting(call: Any) -> Any:
        asked.append(call)
        return quote(call)

    monkeypatch.setattr(ordinary, "quote", counting)
    price_of(record("gpt-4o", chat(10, 3), price_context=context, start_ns=NOVEMBER + HOUR_NS))
    assert len(asked) == 1
    table = rates.table()
    assert table is not None
    monkeypatch.setattr(rates._loader, "table", rates.Table(table.providers, "another", table.own))
    assert price_of(record("gpt-4o", chat(10, 3), price_context=context)).source == "another"
    assert len(asked) == 2


def test_rates_of_the_users_own_are_the_raters_affair(own: UseOwn) -> None:
    """A multiplier, say: nothing of it is kept here."""
    own('[[rate]]\nname = "deal"\nmodel = "gpt-4o"\nmultiplier = 0.5\n')
    for _ in range(2):
        call = record("gpt-4o", chat(10, 3), price_context={"provider": "openai"})
        assert short(call) == full(call)
        assert price_of(call).nano_usd == 27_500
