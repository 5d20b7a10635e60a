"""Model spans that never become current: the next one for the same call is their sibling, not their child.

Langfuse begins an observation, calls the SDK and ends it; the OpenLLMetry instrumentor of Anthropic does the
same. Nothing on such a span may tell the response, so what it has to do with a span, or an operation of ours,
that begins right after it beneath the same parent can only be seen while both are open.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from spantally.calls.joining import detached
from spantally.calls.told import counted
from spantally.otel.dialects import Facts, facts_of
from spantally.otel.dialects_langfuse import OF_LANGCHAIN
from spantally.otel.dialects_langsmith import INTEGRATION
from spantally.otel.lineage import STATE, SpanState


def parent_id(context: Any) -> int:
    """The span id of a span context; 0 where there is none."""
    return 0 if context is None else int(context.span_id)


def kind_of(span: Any, state: SpanState) -> str | None:
    """What kind of operation a span of somebody else is, by what it said at its start, or has said since.

    Args:
        span: that is open.
        state: its own.
    """
    if state.kind is not None or not state.late:
        return state.kind
    facts = facts_of(span.attributes or {}, span.name)
    return None if facts is None else facts.kind


def stands_beside(span: Any, current: Any, kind: str) -> bool:
    """True if the span was begun for the operation that is now beginning, and not made current.

    It has the parent that a span of ours would have, it is of the same kind, and it stands for no call yet.

    Args:
        span: of somebody else.
        current: the current span, or None.
        kind: of the operation.
    """
    state: SpanState | None = getattr(span, STATE, None)
    if state is None or state.view is not None or not span.is_recording() or kind_of(span, state) != kind:
        return False
    around = None if current is None else current.get_span_context()
    state.beside = parent_id(span.parent) == parent_id(around)
    return state.beside


def look_beside(span: Any, state: SpanState, name: str) -> None:
    """Tell the model span before this one that they are twins, if it is open; and remember this one.

    Args:
        span: a model span of somebody else that begins now.
        state: its own.
        name: of its instrumentation scope.
    """
    reference = detached.get()
    before = None if reference is None else reference()
    if before is not None and before.is_recording():
        other: SpanState | None = getattr(before, STATE, None)
        if (
            other is not None
            and parent_id(before.parent) == parent_id(span.parent)
            and kind_of(before, other) == state.kind
        ):
            scope = getattr(before, "instrumentation_scope", None)
            if scope is None or scope.name != name:
                other.twin, state.twin = state, other
    remember(span)


def remember(span: Any) -> None:
    """Note the span as the one that began last here, and may never become current."""
    detached.set(weakref.ref(span))


def is_told_by_twin(state: SpanState, facts: Facts) -> bool:
    """True if the call of a span is in the tally already, from the span of a third party beside it.

    Where that one told no usage, and this one does, they become one row.

    Args:
        state: of the span that ended.
        facts: what it says.
    """
    twin = state.twin
    if twin is None or twin.told_of is None:
        return False
    if not twin.told_of:
        if facts.usage is not None:
            state.call_id = twin.call_id
        return facts.usage is None
    mine = _models(facts.request_model, facts.response_model)
    return not mine or bool(mine & twin.told_of)


def is_counted_by_framework(attributes: Mapping[str, Any]) -> bool:
    """True if a span was made by a framework's callbacks, all of whose calls, tools and agents have our rows.

    Callbacks run where no context of the call is seen: in threads beside it, beneath spans of their own.

    Args:
        attributes: of the span.
    """
    if "langchain" not in counted:
        return False
    if any(name in attributes for name in OF_LANGCHAIN):
        return True
    told = attributes.get(INTEGRATION)
    return isinstance(told, str) and told.startswith("langchain")


def told_models(facts: Facts) -> frozenset[str]:
    """The models whose usage a span tells; empty where it tells no usage."""
    if facts.usage is None:
        return frozenset()
    return _models(facts.request_model, facts.response_model) or frozenset({""})


def is_of_another_call(state: SpanState, span: Any, attributes: Mapping[str, Any]) -> bool:
    """True if a span that began beside an operation of ours turns out to tell of another model.

    Args:
        state: of the span that ended.
        span: itself.
        attributes: its attributes.
    """
    shown = state.shown
    if shown is None:
        return False
    facts = facts_of(attributes, span.name)
    if facts is None or facts.usage is None:
        return False
    mine = _models(shown.request_model, shown.response_model)
    theirs = _models(facts.request_model, facts.response_model)
    return bool(mine) and bool(theirs) and not mine & theirs


def _models(*names: str | None) -> frozenset[str]:
    return frozenset(name for name in names if name)
