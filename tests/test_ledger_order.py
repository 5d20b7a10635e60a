"""Order of arrival, batching and repetition have no effect on rows, rollups and totals."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_kit import (
    SECOND,
    T0,
    TRACE,
    agent,
    chat,
    dump,
    foreign,
    kept_totals,
    link,
    rate,
    recomputed,
    session,
    span_id,
    tool,
    usage,
)
from spantally.ground.ids import foreign_call_id
from spantally.ground.records import CallRecord, Kind, Precedence, Record, Status
from spantally.ledger.sqlite.store import SQLiteStore


def stored(records: list[Record], sizes: list[int]) -> dict[str, Any]:
    """The dump after writing records in batches of the given sizes."""
    store = SQLiteStore(":memory:")
    place = 0
    for size in [*sizes, len(records)]:
        batch = records[place : place + size]
        place += size
        if batch:
            store.write(batch, rate)
    db = store._writer
    assert db is not None
    found = dump(db)
    assert kept_totals(db) == recomputed(db)
    return found


SPANS = st.integers(1, 6)
TIMES = st.integers(0, 3).map(lambda n: T0 + n * 600 * SECOND)
SESSIONS = st.sampled_from(["s1", "s1", "s2"])
RESPONSES = st.sampled_from([None, None, "r1", "r2", "resp_1", "chatcmpl-B9MBs8CjcvOU2jLn4n570S5q"])
HOSTS = st.sampled_from([None, "gateway", "api.openai.com"])
DURATIONS = st.sampled_from([SECOND, SECOND // 4, 4 * SECOND])
PROCESSES = ("00000001", "00000002")
FORMATS = st.sampled_from(["openai.chat", "semconv", "parts"])
SCOPES = st.sampled_from(["spantally", "other.instrumentor", "third"])
USAGE = st.sampled_from([None, usage(10, 2), usage(10, 2), usage(7, 7)])
STATUSES = st.sampled_from([Status.OK, Status.OK, Status.ERROR, Status.RUNNING])
KINDS = st.sampled_from([Kind.INFERENCE, Kind.INFERENCE, Kind.EMBEDDINGS, Kind.AGENT, Kind.TOOL])


def own_id(place: int) -> str:
    """A call id as one of two processes makes it."""
    return f"{place:012x}{PROCESSES[place % 2]}{place:012x}"


@st.composite
def calls(draw: st.DrawFn) -> Record:
    """A call record from a small world, so that records meet in many ways."""
    own = draw(st.booleans())
    number = draw(SPANS)
    with_span = not own or draw(st.booleans())
    place = draw(st.integers(1, 5))
    call_id = own_id(place) if own else foreign_call_id(TRACE, span_id(number))
    status = draw(STATUSES)
    start = draw(TIMES)
    return chat(
        call_id,
        draw(SESSIONS),
        kind=draw(KINDS),
        precedence=draw(
            st.sampled_from(list(Precedence) if own else [Precedence.FOREIGN, Precedence.NATIVE])
        ),
        trace_id=TRACE if with_span else None,
        # An own row always has the same span, as it has in life.
        span_id=(span_id(place) if own else span_id(number)) if with_span else None,
        parent_span_id=draw(st.none() | SPANS.map(span_id)) if with_span else None,
        parent_call_id=draw(st.none() | st.integers(1, 5).map(own_id)),
        response_id=draw(RESPONSES),
        scope_name=draw(SCOPES),
        usage=draw(USAGE),
        status=status,
        start_ns=start,
        end_ns=None if status == Status.RUNNING else start + draw(DURATIONS),
        server_address=draw(HOSTS),
        server_port=443,
        usage_format=draw(FORMATS),
        estimated=draw(st.booleans()),
        user_id=draw(st.sampled_from([None, "alice", "bob"])),
        agent_path=draw(st.sampled_from([(), ("planner",)])),
        tool_call_id=draw(st.sampled_from([None, None, "tc1"])),
        inferred=draw(st.booleans()) if own else False,
        turn=draw(st.booleans()),
    )


WORLD = st.lists(
    st.one_of(
        calls(),
        calls(),
        calls(),
        st.builds(link, st.integers(1, 8), st.none() | st.integers(1, 8)),
        st.builds(
            session,
            SESSIONS,
            start_ns=TIMES,
            name=st.sampled_from([None, "chat"]),
            user_id=st.sampled_from([None, "carol"]),
            status=st.sampled_from(["running", "succeeded", "failed"]),
        ),
    ),
    min_size=1,
    max_size=9,
)


def agree(records: list[Record], chance: random.Random) -> None:
    first = stored(records, [])
    again = [*records, *chance.sample(records, chance.randint(0, len(records)))]
    chance.shuffle(again)
    sizes = [chance.randint(1, 3) for _ in again]
    assert stored(again, sizes) == first


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORLD, st.randoms(use_true_random=False))
def test_any_order_any_batches_any_repetition(records: list[Record], chance: random.Random) -> None:
    """Shuffled, split into other batches and partly delivered again, records leave the same ledger."""
    agree(records, chance)


@pytest.mark.slow
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORLD, st.randoms(use_true_random=False))
def test_any_order_in_many_worlds(records: list[Record], chance: random.Random) -> None:
    """The same at length."""
    agree(records, chance)


def test_every_order_of_a_covered_chain() -> None:
    """Six orders of ancestor, link and descendant all count the descendant alone."""
    import itertools

    outer = foreign(1, response_id=None)
    inner = chat("own", trace_id=TRACE, span_id=span_id(3), parent_span_id=span_id(2))
    records: list[Record] = [outer, link(2, 1), inner]
    dumps = [stored(list(order), [1, 1, 1]) for order in itertools.permutations(records)]
    assert all(one == dumps[0] for one in dumps)
    store = SQLiteStore(":memory:")
    store.write(records, rate)
    assert [row.counted for row in store.calls(_all())] == [False, True] or [
        row.counted for row in store.calls(_all())
    ] == [True, False]
    assert store.sessions(_all())[0].calls == 1


def test_every_order_of_two_views_with_tools_and_agents() -> None:
    """A metered call, its foreign twin, an agent, an inferred and a real tool: 120 orders, one ledger."""
    import itertools

    records: list[Record] = [
        agent("a1", trace_id=TRACE, span_id=span_id(1)),
        chat("own", trace_id=TRACE, span_id=span_id(2), parent_call_id="a1", response_id="r1"),
        foreign(2, response_id="r1"),
        tool("t1", tool_call_id="call_1", parent_call_id="a1"),
        tool("inf", tool_call_id="call_1", inferred=True, precedence=Precedence.INFERRED, end_ns=None),
    ]
    dumps = [stored(list(order), [1] * 5) for order in itertools.permutations(records)]
    assert all(one == dumps[0] for one in dumps)


def _all() -> Any:
    from spantally.ledger.contract import Filter

    return Filter()


STRONG = "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"


def counted_of(records: Sequence[Record]) -> list[Any]:
    """The counted rows of records that give the same ledger in every order, one by one and all at once."""
    import itertools

    dumps = [stored(list(order), [1] * len(records)) for order in itertools.permutations(records)]
    dumps.append(stored(list(records), []))
    assert all(one == dumps[0] for one in dumps)
    store = SQLiteStore(":memory:")
    store.write(records, rate)
    return [row for row in store.calls(_all()) if row.counted]


def at_gateway(response_id: str, **inner: Any) -> list[CallRecord]:
    """A call as the program's process metered it, and as its gateway did, in another session."""
    values: dict[str, Any] = {
        "start_ns": T0 + SECOND // 10,
        "end_ns": T0 + SECOND - SECOND // 10,
        "server_address": "api.openai.com",
        "server_port": 443,
    }
    outer = chat(own_id(1), "app", response_id=response_id, server_address="gateway", server_port=4000)
    return [outer, chat(own_id(2), "gateway", response_id=response_id, **{**values, **inner})]


def test_a_call_before_and_behind_ones_own_gateway_counts_once() -> None:
    """Two processes that both meter it give one counted row, the one that knows the provider's host."""
    for response_id in (STRONG, "chatcmpl-scripted-1"):
        (row,) = counted_of(at_gateway(response_id))
        assert (row.session_id, row.server_address) == ("gateway", "api.openai.com")
    skewed = {"start_ns": T0 - SECOND, "end_ns": T0 - SECOND // 2}
    assert len(counted_of(at_gateway(STRONG, **skewed))) == 1  # the clocks of two machines differ a little
    # Views of others beside either of them change nothing.
    others: list[Record] = [
        foreign(4, "app", response_id=STRONG),
        foreign(5, "gateway", response_id=STRONG, scope_name="third", precedence=Precedence.NATIVE),
    ]
    assert len(counted_of([*at_gateway(STRONG), *others])) == 1


def test_ids_that_servers_use_again_are_different_calls() -> None:
    """The same process, the same host, or a time outside: a short id says nothing, a call each counts."""
    short = "chatcmpl-7"
    outer, inner = at_gateway(short)
    same_process: list[Record] = [outer._replace(call_id=own_id(1)), inner._replace(call_id=own_id(3))]
    assert len(counted_of(same_process)) == 2
    assert len(counted_of(at_gateway(short, server_address="gateway", server_port=4000))) == 2
    assert len(counted_of(at_gateway(short, start_ns=T0 + SECOND, end_ns=T0 + 2 * SECOND))) == 2
    assert len(counted_of(at_gateway(STRONG, start_ns=T0 + 60 * SECOND, end_ns=T0 + 61 * SECOND))) == 2


def test_a_response_that_is_fetched_again_counts_once_when_it_is_complete() -> None:
    """Polling seen by one instrumentor of somebody else: the first row with usage counts, in any order."""
    late: dict[str, Any] = {"start_ns": T0 + 9 * SECOND, "end_ns": T0 + 10 * SECOND}
    polled: list[Record] = [
        foreign(1, response_id="resp_1", usage=None),
        foreign(2, response_id="resp_1", start_ns=T0 + SECOND, end_ns=T0 + 2 * SECOND, usage=None),
        foreign(3, "s1", response_id="resp_1", **late),
        foreign(4, response_id="resp_1", start_ns=T0 + 20 * SECOND, end_ns=T0 + 21 * SECOND),
    ]
    (row,) = counted_of(polled)
    assert (row.started_ns, row.input_tokens) == (late["start_ns"], 10)
    assert len(counted_of([*polled, chat("own", response_id="resp_1")])) == 1


def test_the_better_told_of_two_views_counts() -> None:
    """Of two instrumentors' rows: known usage before estimates, then the provider's own parts."""
    coarse = foreign(1, response_id=STRONG, usage_format="semconv")
    fine = foreign(2, response_id=STRONG, scope_name="third", usage_format="openai.chat")
    guessed = foreign(3, response_id=STRONG, scope_name="fourth", estimated=True, usage=usage(99, 99))
    (row,) = counted_of([coarse, fine, guessed])
    assert row.span_id == span_id(2)
    assert row.input_tokens == 10
