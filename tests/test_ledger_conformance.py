"""What any store guarantees; every store runs this suite."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger_kit import (
    SECOND,
    T0,
    TRACE,
    agent,
    as_json,
    chat,
    foreign,
    link,
    not_loaded,
    rate,
    session,
    span_id,
    tool,
    usage,
)
from spantally.ground.errors import ArgumentError
from spantally.ground.money import Rating
from spantally.ground.records import (
    CallRecord,
    EventRecord,
    Kind,
    Precedence,
    Record,
    SessionStatus,
    Status,
)
from spantally.ledger.contract import CallRow, Filter, SessionRow, Store
from spantally.ledger.sqlite.schema import SCHEMA_VERSION
from spantally.ledger.sqlite.store import SQLiteStore

STORES: dict[str, Callable[[Path], Store]] = {
    "file": lambda path: SQLiteStore(path / "ledger.db"),
    "file, synchronous full": lambda path: SQLiteStore(path / "ledger.db", synchronous="full"),
    "memory": lambda path: SQLiteStore(":memory:"),
}

ALL = Filter()


@pytest.fixture(params=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each store in turn."""
    made = STORES[request.param](tmp_path)
    yield made
    made.close()


def one_session(store: Store, session_id: str = "s1") -> SessionRow:
    """The row of a session."""
    return store.sessions(Filter(session_id=session_id))[0]


def by_id(store: Store) -> dict[str, CallRow]:
    """All rows by call id."""
    return {row.call_id: row for row in store.calls(ALL)}


def test_meets_the_contract(store: Store) -> None:
    """The store has every method of the contract."""
    assert isinstance(store, Store)


def test_a_call_comes_back_as_it_was(store: Store) -> None:
    """Every field that a row shows is that of the record, the rating or derived from them."""
    store.write(
        [
            chat(
                parent_call_id="a9",
                trace_id=TRACE,
                span_id=span_id(1),
                user_id="alice",
                entity_type="customer",
                entity_id="acme",
                tags=(("feature", "search"),),
                agent_path=("planner", "worker"),
                run_id="a9",
                tool="lookup",
                turn=True,
                first_chunk_ns=250_000_000,
                response_id="r1",
                server_address="localhost",
                server_port=8080,
                content={"output": "hi"},
                attempts=2,
                finish_reasons=("length", "stop"),
            )
        ],
        rate,
    )
    (row,) = store.calls(ALL)
    assert (row.call_id, row.parent_call_id, row.trace_id, row.span_id) == ("c1", "a9", TRACE, span_id(1))
    assert (row.user_id, row.entity_type, row.entity_id) == ("alice", "customer", "acme")
    assert dict(row.tags) == {"feature": "search"}
    assert row.agent_path == ("planner", "worker")
    assert (row.model, row.request_model, row.response_model) == ("gpt-5-2026", "gpt-5", "gpt-5-2026")
    assert (row.input_tokens, row.output_tokens, row.uncached_input, row.cache_read) == (10, 2, 10, 0)
    assert (row.cost_nano_usd, row.cost_status, row.cost_source) == (16_000, "priced", "fake 1")
    assert (row.duration_ms, row.time_to_first_chunk_ms) == (1000.0, 250.0)
    assert (row.counted, row.turn, row.attempts, row.status) == (True, True, 2, "ok")
    assert (row.server_address, row.server_port, row.project) == ("localhost", 8080, "shop")
    assert row.content == {"output": "hi"}
    assert row.finish_reasons == ("length", "stop")


def test_a_session_row_sums_its_calls(store: Store) -> None:
    """Calls, tokens, cost, turns, errors, agents and models of a session are those of its rows."""
    store.write(
        [
            session(name="chat", user_id="alice"),
            agent(turn=True),
            chat("c1", parent_call_id="a1", agent_path=("planner",)),
            chat("c2", status=Status.ERROR, error_type="Timeout", usage=None, possibly_billed=True),
            chat("c3", response_model="unknown"),
            tool(status=Status.ERROR),
            session(end_ns=T0 + 5 * SECOND, status=SessionStatus.SUCCEEDED),
        ],
        rate,
    )
    row = one_session(store)
    assert (row.name, row.user_id, row.status, row.implicit) == ("chat", "alice", "succeeded", False)
    assert (row.calls, row.turn_count, row.errors) == (3, 1, 2)
    assert (row.input_tokens, row.output_tokens) == (20, 4)
    assert (row.cost_nano_usd, row.own_cost_nano_usd, row.total_cost) == (16_000, 16_000, "0.000016")
    assert (row.unpriced_calls, row.pending_calls, row.possibly_billed_calls) == (2, 0, 1)
    assert (row.agents, row.models) == (("planner",), ("gpt-5-2026", "unknown"))
    assert row.duration_ms == 5000.0


def test_a_cost_that_nobody_knows_is_none(store: Store) -> None:
    """Calls without any price give None, and a session without calls costs 0."""
    store.write([chat(usage=None), session("empty")], rate)
    assert one_session(store).cost_nano_usd is None
    assert one_session(store, "empty").cost_nano_usd == 0
    assert store.cost(["model"], ALL, "UTC")[0].cost_nano_usd is None


def test_writing_again_changes_nothing(store: Store) -> None:
    """Delivering the same records three times gives the same answers as once."""
    records: list[Record] = [
        session(),
        agent(),
        chat("c1", parent_call_id="a1"),
        foreign(1),
        link(3, 1),
        tool(),
    ]
    store.write(records, rate)
    before = as_json([store.sessions(ALL), store.calls(ALL), store.cost(["model", "day"], ALL, "UTC")])
    store.write(records, rate)
    store.write(records[::-1], rate)
    after = as_json([store.sessions(ALL), store.calls(ALL), store.cost(["model", "day"], ALL, "UTC")])
    assert after == before


def test_the_higher_precedence_wins_field_by_field(store: Store) -> None:
    """Of three views of a call each field comes from the best that has it; None never overwrites."""
    views = [
        chat(precedence=Precedence.FOREIGN, user_id="foreign", response_id="r1", usage=usage(1, 1)),
        chat(precedence=Precedence.METERED, user_id="metered", provider=None),
        chat(precedence=Precedence.NATIVE, user_id="native", provider="azure", response_id=None),
    ]
    store.write(views, rate)
    row = by_id(store)["c1"]
    assert (row.user_id, row.provider, row.response_id, row.input_tokens) == ("metered", "azure", "r1", 10)
    assert row.precedence == Precedence.METERED


def test_usage_is_taken_with_its_format(store: Store) -> None:
    """A metered call without usage takes usage and format together from the lower view."""
    seen: list[CallRecord] = []

    def watch(record: CallRecord) -> Rating:
        seen.append(record)
        return rate(record)

    store.write([chat(usage=None, usage_format="openai.chat")], watch)
    store.write([chat(precedence=Precedence.FOREIGN, usage_format="semconv")], watch)
    assert seen[-1].usage_format == "semconv"
    assert one_session(store).unpriced_calls == 0


def test_a_running_row_is_completed(store: Store) -> None:
    """What began is replaced by what ended, whichever comes first."""
    running = chat(status=Status.RUNNING, end_ns=None, usage=None)
    for order in ([running, chat()], [chat(), running]):
        store.write(order, rate)
        row = by_id(store)["c1"]
        assert (row.status, row.ended_ns, row.input_tokens) == ("ok", T0 + SECOND, 10)
    assert one_session(store).calls == 1


def test_only_model_operations_count(store: Store) -> None:
    """Agents, tools, workflows and other kinds have rows and never count."""
    kinds = [kind for kind in Kind if kind not in (Kind.INFERENCE, Kind.EMBEDDINGS)]
    store.write([chat(str(kind), kind=kind, operation="x") for kind in kinds], rate)
    store.write([chat("e", kind=Kind.EMBEDDINGS, operation="embeddings")], rate)
    assert {row.call_id: row.counted for row in store.calls(ALL)} == {
        **{str(kind): False for kind in kinds},
        "e": True,
    }
    assert by_id(store)["tool"].cost_status is None


@pytest.mark.parametrize("turned", [False, True])
def test_a_counted_child_covers_its_ancestors(store: Store, turned: bool) -> None:
    """Of a chain of three model rows through an agent and a plain span only the innermost counts."""
    records: list[Record] = [
        foreign(1),
        link(2, 1),
        agent("a1", trace_id=TRACE, span_id=span_id(3), parent_span_id=span_id(2)),
        chat("mid", parent_call_id="a1", usage=usage(99, 99)),
        chat("leaf", parent_call_id="mid"),
    ]
    for record in records[::-1] if turned else records:
        store.write([record], rate)
    assert [row.call_id for row in store.calls(ALL) if row.counted] == ["leaf"]
    assert one_session(store).cost_nano_usd == 16_000


@pytest.mark.parametrize("turned", [False, True])
def test_a_foreign_row_merges_with_the_own_row_of_its_span(store: Store, turned: bool) -> None:
    """One span, metered by us and read from a foreign instrumentor, is one row with the fields of both."""
    own = chat("own", trace_id=TRACE, span_id=span_id(1), user_id=None)
    twin = foreign(1, user_id="alice", usage=usage(500, 500), session_id="other")
    for record in [twin, own] if turned else [own, twin]:
        store.write([record], rate)
    (row,) = store.calls(ALL)
    assert (row.call_id, row.user_id, row.input_tokens, row.session_id) == ("own", "alice", 10, "s1")
    assert [row.session_id for row in store.sessions(ALL)] == ["s1"]


@pytest.mark.parametrize("turned", [False, True])
def test_one_response_of_two_scopes_counts_once(store: Store, turned: bool) -> None:
    """Two instrumentors that saw the same response give one counted row, of the higher precedence."""
    records = [chat("own", response_id="r1"), foreign(1, response_id="r1", session_id="s2")]
    for record in records[::-1] if turned else records:
        store.write([record], rate)
    assert {row.call_id: row.counted for row in store.calls(ALL)} == {
        "own": True,
        records[1].call_id: False,
    }


def test_one_response_id_of_one_scope_counts_each_time(store: Store) -> None:
    """A server that always says the same response id loses no call."""
    store.write([chat(f"c{n}", response_id="chatcmpl-1", start_ns=T0 + n) for n in range(5)], rate)
    assert one_session(store).calls == 5


def test_a_response_id_that_everything_carries_identifies_nothing(store: Store) -> None:
    """Two instrumentors and 100 calls with one id each count: such an id cannot tell views apart."""
    for n in range(100):
        store.write(
            [
                chat(f"c{n}", response_id="same", start_ns=T0 + n),
                chat(f"d{n}", response_id="same", start_ns=T0 + n, scope_name="other"),
            ],
            rate,
        )
    assert one_session(store).calls == 200


def test_a_metered_ancestor_beats_its_foreign_child_of_the_same_response(store: Store) -> None:
    """Where the outer view is ours and the inner one a peer's of the same response, ours counts."""
    outer = chat("own", trace_id=TRACE, span_id=span_id(1), response_id="r1")
    inner = foreign(2, parent_span_id=span_id(1), response_id="r1", usage=usage(1, 1))
    store.write([inner, outer], rate)
    assert [row.call_id for row in store.calls(ALL) if row.counted] == ["own"]


def test_parents_in_a_circle_lose_no_call(store: Store) -> None:
    """Two model rows that name each other as parent both count."""
    store.write([chat("x", parent_call_id="y"), chat("y", parent_call_id="x")], rate)
    assert one_session(store).calls == 2


def test_calls_that_share_a_remote_span_all_count(store: Store) -> None:
    """Without an SDK every call under a remote parent carries the parent's ids; none covers another."""
    ids = {"trace_id": TRACE, "span_id": span_id(7), "parent_span_id": span_id(7)}
    store.write([chat(f"c{n}", start_ns=T0 + n, **ids) for n in range(3)], rate)
    store.write([chat("child", trace_id=TRACE, span_id=span_id(8), parent_span_id=span_id(7))], rate)
    assert one_session(store).calls == 4


@pytest.mark.parametrize("turned", [False, True])
def test_an_inferred_tool_gives_way_to_the_real_one(store: Store, turned: bool) -> None:
    """A tool result read from messages disappears when the execution itself is known."""
    inferred = tool("i", tool_call_id="call_1", inferred=True, precedence=Precedence.INFERRED)
    other = tool("j", tool_call_id="call_2", inferred=True, precedence=Precedence.INFERRED)
    records = [inferred, other, tool("real", tool_call_id="call_1", status=Status.ERROR)]
    store.write(records[::-1] if turned else records, rate)
    assert {row.call_id for row in store.calls(ALL)} == {"real", "j"}
    assert by_id(store)["j"].duration_ms is None


def test_a_span_parent_resolves_on_reading(store: Store) -> None:
    """A row without a parent call id hangs under the row its span leads to, through plain spans."""
    top = agent("a1", trace_id=TRACE, span_id=span_id(1))
    store.write(
        [
            foreign(4, parent_span_id=span_id(3)),
            link(3, 2),
            link(2, 1),
            top,
            chat("gone", parent_call_id="nobody"),
        ],
        rate,
    )
    rows = by_id(store)
    assert rows[f"{TRACE}-{span_id(4)}"].parent_call_id == "a1"
    assert rows["gone"].parent_call_id == "nobody"


def test_pending_rows_are_settled_later(store: Store) -> None:
    """Rows without prices are kept, said to be pending, and rated with their rollups later."""
    store.write([chat(f"c{n}") for n in range(5)], not_loaded)
    row = one_session(store)
    assert (row.calls, row.pending_calls, row.unpriced_calls, row.cost_nano_usd) == (5, 5, 0, None)
    assert store.settle(not_loaded) == 0
    assert store.settle(rate, limit=2) == 2
    assert one_session(store).pending_calls == 3
    assert (store.settle(rate), store.settle(rate)) == (3, 0)
    row = one_session(store)
    assert (row.pending_calls, row.cost_nano_usd, row.input_tokens) == (0, 80_000, 50)
    assert store.cost(["model"], ALL, "UTC")[0].cost_nano_usd == 80_000


def test_tokens_may_come_with_pending(store: Store) -> None:
    """A rater that knows the usage before the price gives tokens at once."""

    def half(record: CallRecord) -> Rating:
        return rate(record)._replace(nano_usd=None, status="pending")

    store.write([chat()], half)
    assert (one_session(store).input_tokens, one_session(store).pending_calls) == (10, 1)


def test_a_rater_that_fails_costs_no_row(store: Store) -> None:
    """A rater that raises leaves its row pending, to be rated later; an impossible figure says bad_usage."""

    def broken(record: CallRecord) -> Rating:
        if record.call_id == "c1":
            raise RuntimeError("no price")
        return rate(record)

    store.write([chat("c1"), chat("c2"), chat("c3", usage=usage(-1, 2))], broken)
    assert {row.call_id: row.cost_status for row in store.calls(ALL)} == {
        "c1": "pending",
        "c2": "priced",
        "c3": "bad_usage",
    }
    assert store.settle(rate) == 1
    assert {row.cost_status for row in store.calls(ALL)} == {"priced", "bad_usage"}


def test_poison_is_set_aside(store: Store) -> None:
    """Records that cannot be stored are counted and keep no other out."""
    poison = [
        chat("p1", user_id="\ud800"),
        chat("p2", start_ns=2**70),
        chat("p3", provider=7),
        chat("", operation="chat"),
        session("s\ud800"),
        session("s9", name=["no", "text"]),
        "no record",
    ]
    store.write([chat("c1"), *poison, chat("c2"), session("s3")], rate)  # type: ignore[list-item]
    store.write(poison, rate)  # type: ignore[arg-type]
    assert {row.call_id for row in store.calls(ALL)} == {"c1", "c2"}
    assert store.health().quarantined == len(poison)
    assert store.health().ok


@pytest.mark.parametrize("place", [0, 30, 99])
def test_poison_among_many_is_set_aside_alone(store: Store, place: int) -> None:
    """Many rows are written by one statement: what fails in it costs none of the others, nor their sums."""
    records = [chat(f"c{n:03d}") for n in range(100)]
    records[place] = records[place]._replace(response_id="\ud800")
    store.write(records, rate)
    assert {row.call_id for row in store.calls(ALL)} == {f"c{n:03d}" for n in range(100) if n != place}
    assert store.health().quarantined == 1
    assert one_session(store, "s1").calls == 99


def test_child_sessions_roll_up(store: Store) -> None:
    """A parent shows its descendants' figures; its own cost stays its own; a circle ends."""
    store.write(
        [
            session("p"),
            session("k", parent_id="p"),
            session("g", parent_id="k"),
            session("x", parent_id="y"),
            session("y", parent_id="x"),
            chat("c1", "p"),
            chat("c2", "k", agent_path=("deep",)),
            chat("c3", "g", usage=None),
            chat("c4", "x"),
        ],
        rate,
    )
    top = one_session(store, "p")
    assert (top.calls, top.cost_nano_usd, top.own_cost_nano_usd, top.unpriced_calls) == (3, 32_000, 16_000, 1)
    assert top.agents == ("deep",)
    assert one_session(store, "x").calls == one_session(store, "y").calls == 1
    assert {row.session_id for row in store.sessions(Filter(agent="deep"))} == {"p", "k"}


def test_session_records_complete_each_other_in_any_order(store: Store) -> None:
    """End before beginning, and a call before both, give the same session as the right order."""
    began = session(name="chat", user_id="alice", project="shop")
    ended = session(end_ns=T0 + 9 * SECOND, status=SessionStatus.FAILED, reason="boom", error_type="E")
    store.write([chat(session_name="other")], rate)
    store.write([ended], rate)
    store.write([began], rate)
    row = one_session(store)
    assert (row.name, row.status, row.reason, row.error_type) == ("chat", "failed", "boom", "E")
    assert (row.user_id, row.ended_ns) == ("alice", T0 + 9 * SECOND)


def test_a_session_of_calls_alone_is_made(store: Store) -> None:
    """Calls whose session nobody declared give an implicit session that ended with the last of them."""
    store.write([chat(implicit_session=True, session_name="app.py", user_id="bob")], rate)
    row = one_session(store)
    assert (row.implicit, row.name, row.status, row.user_id) == (True, "app.py", "succeeded", "bob")
    assert row.ended_ns == T0 + SECOND


def test_a_dead_process_leaves_an_abandoned_session(store: Store) -> None:
    """A running session whose process is gone reads as abandoned, its running call as interrupted."""
    import platform

    from spantally.ground.process import identity

    dead = f"{platform.node()}:999999999:1"
    running = {"status": Status.RUNNING, "end_ns": None, "usage": None}
    store.write(
        [
            session("dead", process=dead),
            session("live", process=identity()),
            chat("c1", "dead", **running),
            chat("c2", "live", **running),
        ],
        rate,
    )
    assert {row.session_id: row.status for row in store.sessions(ALL)} == {
        "dead": "abandoned",
        "live": "running",
    }
    assert {row.call_id: row.status for row in store.calls(ALL)} == {"c1": "interrupted", "c2": "running"}
    assert by_id(store)["c1"].possibly_billed
    assert one_session(store, "dead").possibly_billed_calls == 1
    assert [row.session_id for row in store.sessions(Filter(status="abandoned"))] == ["dead"]
    assert [row.call_id for row in store.calls(Filter(status="interrupted"))] == ["c1"]


def test_filters_and_orders(store: Store) -> None:
    """Each filter keeps what it names, orders sort with None last, and limits cut after sorting."""
    store.write(
        [
            session("a", user_id="alice", entity_type="customer", entity_id="acme", tags=(("k", "1"),)),
            session("b", user_id="bob", tags=(("k", "2"), ("x", "y")), start_ns=T0 + SECOND, project="shop"),
            session("c", start_ns=T0 + 2 * SECOND, end_ns=T0 + 4 * SECOND, status="succeeded"),
            chat("1", "a", user_id="alice", tags=(("k", "1"),)),
            chat("2", "b", user_id="bob", agent_path=("planner",), usage=usage(100, 1), start_ns=T0 + SECOND),
            chat(
                "3",
                "c",
                response_model=None,
                request_model="gpt-4",
                usage=None,
                project=None,
                start_ns=T0 + 2 * SECOND,
            ),
        ],
        rate,
    )

    def ids(**values: object) -> list[str]:
        return [row.session_id for row in store.sessions(Filter(**values))]  # type: ignore[arg-type]

    assert ids() == ["c", "b", "a"]
    assert ids(user="alice") == ["a"]
    assert ids(entity_type="customer") == ids(entity_type="customer", entity_id="acme") == ["a"]
    assert ids(tags=(("k", "1"), ("x", "y"))) == []
    assert ids(tags=(("k", "1"), ("x", "y")), any_tag=True) == ["b", "a"]
    assert ids(agent="planner") == ["b"]
    assert ids(model="gpt-4") == ["c"]
    assert ids(model="gpt-5") == ["b", "a"]
    assert ids(provider="nobody") == []
    assert ids(project="shop") == ["b", "a"]
    assert ids(status="succeeded") == ["c"]
    assert ids(since_ns=T0 + SECOND, until_ns=T0 + 2 * SECOND) == ["b"]
    assert ids(order_by="-cost") == ["b", "a", "c"]
    assert ids(order_by="cost") == ["a", "b", "c"]
    assert ids(order_by="started", limit=1, offset=1) == ["b"]
    assert ids(order_by="-cost", limit=1, offset=1) == ["a"]
    assert [row.call_id for row in store.calls(Filter(user="bob"))] == ["2"]
    assert [row.call_id for row in store.calls(Filter(order_by="-input_tokens"))] == ["2", "1", "3"]
    assert [row.call_id for row in store.calls(Filter(kind="inference", limit=1, offset=2))] == ["3"]
    assert [row.call_id for row in store.calls(Filter(model="gpt-4"))] == ["3"]
    with pytest.raises(ArgumentError, match="order_by='size'"):
        store.sessions(Filter(order_by="size"))


def test_events_and_links_do_not_count(store: Store) -> None:
    """Events and links are stored without a row of a call or a session."""
    store.write([EventRecord("e1", "s1", "loop", T0, attributes={"n": 1}), link(1, None)], rate)
    assert store.calls(ALL) == []
    assert store.sessions(ALL) == []


def test_threads_may_share_a_store(store: Store) -> None:
    """Eight threads that write and read at once lose nothing and raise nothing."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(10):
                store.write([chat(f"{number}-{n}", f"s{number % 2}")], rate)
                store.sessions(ALL)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(row.calls for row in store.sessions(ALL)) == 80
    assert store.cost(["project"], ALL, "UTC")[0].calls == 80


def test_closing_loses_nothing(store: Store) -> None:
    """A closed store answers when it is used again: the worker closes it before a fork."""
    store.write([chat()], rate)
    store.close()
    assert one_session(store).calls == 1
    store.write([chat("c2")], rate)
    assert one_session(store).calls == 2


def test_health_counts(store: Store) -> None:
    """Health tells version, sessions, rows and pending rows."""
    store.write([chat("c1"), tool()], not_loaded)
    health = store.health()
    assert (health.ok, health.sessions, health.calls, health.pending) == (True, 1, 2, 1)
    assert health.schema_version == SCHEMA_VERSION


def test_a_lost_attempt_is_possibly_billed_beside_the_usage(store: Store) -> None:
    """A call whose earlier attempt was sent and lost has its cost, and says so in every sum."""
    lost = chat("c1", possibly_billed=True, price_context={"provider": "openai", "lost_attempts": 1})
    store.write([lost, chat("c2", possibly_billed=True)], rate)
    assert {row.call_id: row.possibly_billed for row in store.calls(ALL)} == {"c1": True, "c2": False}
    assert store.sessions(ALL)[0].possibly_billed_calls == 1
    for by in (["model"], ["trace"]):
        assert sum(row.possibly_billed_calls for row in store.cost(by, ALL, "UTC")) == 1
