"""Totals that stay small and true, however long a session runs."""

from __future__ import annotations

import os
import threading

import openai
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import spantally
from spantally.api.fold import MAX_SEEN
from spantally.api.folding import MAX_UNFOLDED
from spantally.api.totals import totals_of
from spantally.calls import pipeline
from spantally.ground.ids import new_call_id
from spantally.ground.records import CallRecord, Kind, Precedence, UsageFormat
from spantally.ground.session_state import SessionState, remember_session
from spantally.ground.worker import worker
from spantally.pricing import load
from spantally.testing import ScriptedServer
from watching import Watched


def record(session_id: str, **values: object) -> CallRecord:
    made = CallRecord(
        call_id=new_call_id(),
        session_id=session_id,
        kind=Kind.INFERENCE,
        operation="chat",
        start_ns=1_790_000_000_000_000_000,
        end_ns=1_790_000_001_000_000_000,
        provider="openai",
        response_model="gpt-4o",
        usage={"prompt_tokens": 10, "completion_tokens": 1},
        usage_format=UsageFormat.OPENAI_CHAT,
        scope_name="spantally",
    )
    return made._replace(**values)  # type: ignore[arg-type]


def test_a_session_nobody_asks_after_stays_small(watched: Watched) -> None:
    """Thousands of calls are folded on the worker, and the totals still hold each of them."""
    load()
    state = remember_session(SessionState("long", start_ns=1))
    for _ in range(5000):
        made = record("long", span_id=new_call_id()[:16])
        state.add(made)
        pipeline.emit(made)
    assert worker.flush(20)
    assert len(state.unfolded) <= MAX_UNFOLDED + 64
    totals = totals_of(state)
    assert totals.calls == 5000
    assert totals.cost_nano_usd == 5000 * (10 * 2500 + 10_000)
    assert len(state.fold.spans) <= MAX_SEEN  # type: ignore[attr-defined]


METERED = {"span_id": "a" * 16, "parent_span_id": "b" * 16, "response_id": "r1"}
VIEWS: dict[str, dict[str, object]] = {
    "around": {"span_id": "b" * 16, "parent_span_id": None},
    "beneath": {"span_id": "c" * 16, "parent_span_id": "a" * 16},
    "itself": {"span_id": "a" * 16, "parent_span_id": "b" * 16},
    "same response": {"span_id": "d" * 16, "parent_span_id": None, "response_id": "r1"},
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("foreign_first", [True, False])
@pytest.mark.parametrize("read_between", [True, False])
def test_a_second_view_of_a_call_counts_once(view: str, foreign_first: bool, read_between: bool) -> None:
    """A foreign span around, beneath or of a metered call, or of its response, adds nothing in any order."""
    load()
    state = SessionState("s", start_ns=1)
    metered = record("s", **METERED)
    foreign = record("s", precedence=Precedence.FOREIGN, scope_name="other", **VIEWS[view])
    for made in (foreign, metered) if foreign_first else (metered, foreign):
        state.add(made)
        if read_between:
            totals_of(state)
    totals = totals_of(state)
    assert (totals.calls, totals.cost_nano_usd) == (1, 35_000)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_lock_held_at_the_fork_is_free_in_the_child() -> None:
    """Totals can be read in a child that was forked while another thread of the parent read them."""
    state = remember_session(SessionState("forked", start_ns=1))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with state.lock:
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        os._exit(0 if state.lock.acquire(timeout=5) else 1)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_totals_are_live_where_no_span_is_sampled() -> None:
    """The body of an unsampled call is read on the worker, yet its call is in the totals at once."""
    watched = Watched(sampler=ALWAYS_OFF)
    try:
        with (
            ScriptedServer() as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up") as client,
            spantally.session("unsampled") as session,
        ):
            for number in range(3):
                client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
                assert session.totals.calls == number + 1
            billed = server.billed["gpt-4o"]
            assert session.totals.cost_nano_usd == billed.input * 2500 + billed.output * 10_000
        assert len(watched.records) == 3
    finally:
        watched.close()
