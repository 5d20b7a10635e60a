"""The limits of W3C baggage: what breaks them raises at the call, and nobody outside can make one raise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context

import spantally
from spantally.ground.setting_values import MAX_BAGGAGE_BYTES, MAX_ID_BYTES, MAX_TAGS
from watching import Watched

FACE = "\U0001f600"
"""Takes twelve bytes as baggage, the most that a character can take."""

LONGEST = FACE * (MAX_ID_BYTES // 12)


def _header() -> str:
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("baggage", "")


@pytest.fixture
def entered() -> Iterator[list[object]]:
    """Contexts attached by a test, taken back."""
    tokens: list[object] = []
    yield tokens
    for token in reversed(tokens):
        context.detach(token)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": LONGEST + "a" * 9},
        {"user": "ж" * 200},
        {"conversation": "会" * 80},
        {"entity": ("customer", FACE * 60)},
        {"tags": {f"k{index}": "v" for index in range(MAX_TAGS + 1)}},
        {"tags": {f"{index:02}" + "/" * 62: "v" for index in range(30)}},
        {"tags": {f"k{index}": FACE * 100 for index in range(4)}},
    ],
    ids=["id", "user", "conversation", "entity", "count", "keys", "values"],
)
def test_what_baggage_cannot_carry_raises_before_any_effect(
    watched: Watched, wrong: dict[str, object]
) -> None:
    """The error is a ValueError that names size and limit; nothing has been entered."""
    before = context.get_current()
    with pytest.raises(spantally.ArgumentError, match=r"baggage|bytes"):
        spantally.session(**wrong)  # type: ignore[call-overload]
    assert context.get_current() is before
    assert not watched.records


def test_tags_that_are_too_many_together_raise_where_the_inner_block_begins(watched: Watched) -> None:
    """Outer and inner tags are each allowed; the session around goes on as it was."""
    with spantally.session("outer", tags={f"a{index}": "v" for index in range(30)}):
        before = context.get_current()
        inner = spantally.session("inner", tags={f"b{index}": "v" for index in range(30)})
        with pytest.raises(spantally.ArgumentError, match="60 tags"):
            inner.__enter__()
        assert context.get_current() is before


def test_whatever_is_allowed_fits_into_one_header(watched: Watched) -> None:
    """The longest ids and the most tags: all of it goes out, and comes in on the other side."""
    tags = {f"k{index}": "v" * 60 for index in range(MAX_TAGS)}
    with spantally.session(LONGEST, conversation=LONGEST, user=LONGEST, entity=(LONGEST, LONGEST), tags=tags):
        header = _header()
    assert len(header) <= MAX_BAGGAGE_BYTES
    found = baggage.get_all(W3CBaggagePropagator().extract({"baggage": header}, Context()))
    assert found["session.id"] == found["user.id"] == LONGEST
    assert sum(key.startswith("spantally.tag.") for key in found) == MAX_TAGS


@pytest.mark.parametrize(
    "stranger",
    [
        {f"spantally.tag.t{index}": "x" * 60 for index in range(MAX_TAGS)},
        {"user.id": FACE * 250, "spantally.entity.type": "a", "spantally.entity.id": FACE * 250},
        {f"junk{index}": "x" for index in range(62)},
        {f"junk{index}": "x" * 4000 for index in range(2)},
    ],
    ids=["tags", "ids", "members", "bytes"],
)
def test_no_stranger_makes_a_session_raise(
    watched: Watched, entered: list[object], stranger: dict[str, str]
) -> None:
    """Whatever a request came with, the program's session is entered and its header keeps the limits."""
    inbound = baggage.set_baggage("session.id", "theirs", context.get_current())
    for key, value in stranger.items():
        inbound = baggage.set_baggage(key, value, inbound)
    tracer = trace.get_tracer("server", tracer_provider=watched.provider)
    span = tracer.start_span("GET /", context=inbound, kind=trace.SpanKind.SERVER)
    entered.append(context.attach(trace.set_span_in_context(span, inbound)))
    with spantally.agent("planner"), spantally.session("mine", tags={"own": "1"}):
        header = _header()
        assert len(header) <= MAX_BAGGAGE_BYTES
        assert header.count(",") < 64
        if "junk0" not in stranger or len(stranger["junk0"]) == 1:
            assert "session.id=mine" in header
    span.end()
