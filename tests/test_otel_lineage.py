"""What stands around a span: worked out at once for the spans of others, when it is asked for in ours."""

from __future__ import annotations

import pytest

from spantally.calls.operation import Operation
from spantally.calls.telemetry import Telemetry
from spantally.ground.records import Kind
from spantally.ground.scope import Scope
from spantally.ground.session_state import SessionState
from spantally.otel.lineage import SpanState

AROUND = ("parent_call_id", "agent_path", "run_id", "tool", "inner_path", "inner_run", "inner_tool")


def _scope() -> Scope:
    return Scope(
        SessionState("s", start_ns=1), call_id="around", agent_path=("a", "b"), run_id="run", tool="search"
    )


def _operation(kind: str = Kind.INFERENCE, name: str | None = None) -> Operation:
    made = Operation(Telemetry(), kind, "chat", _scope())
    made.name = name
    return made


@pytest.mark.parametrize("name", AROUND)
def test_a_call_has_around_it_what_its_scope_says(name: str) -> None:
    """Asked for in any order, and also where nothing was asked before."""
    operation = _operation()
    lazy = SpanState.of_own(operation, None, local_root=True)
    told = SpanState(operation.scope, None)
    assert getattr(lazy, name) == getattr(told, name)
    assert getattr(lazy, name) is getattr(lazy, name)
    assert (lazy.call_id, lazy.inner_call_id, lazy.local_root, lazy.own) == (
        operation.call_id,
        operation.call_id,
        True,
        True,
    )


def test_what_begins_in_an_agent_has_the_agent_around_it() -> None:
    """Its own name counts within, not around."""
    operation = _operation(Kind.AGENT, "c")
    state = SpanState.of_own(operation, None, local_root=False)
    assert (state.agent_path, state.inner_path) == (("a", "b"), ("a", "b", "c"))
    beneath = SpanState(None, state)
    assert (beneath.agent_path, beneath.parent_call_id) == (("a", "b", "c"), operation.call_id)


def test_a_state_has_no_other_names() -> None:
    """A name that is nowhere written is an AttributeError, as everywhere."""
    state = SpanState.of_own(_operation(), None, local_root=True)
    assert not hasattr(state, "inner_nothing")
    with pytest.raises(AttributeError, match="inner_nothing"):
        _ = state.inner_nothing
