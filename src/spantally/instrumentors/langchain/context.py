"""The Context inside a run, in force where LangChain runs what is inside.

LangChain and LangGraph run each step in a copy of the current context, into which they put the run's
configuration. Into the same copy goes the run's OpenTelemetry Context: it is in force in the step alone, in
whatever thread or task that runs, and no one need take it out again.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import context as otel_context

from spantally.calls.entering import KEYS
from spantally.calls.hosted import innermost
from spantally.ground.errors import Refusal
from spantally.ground.guard import swallowed
from spantally.ground.scope import with_values
from spantally.instrumentors.langchain.runs import runs


def set_context(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around LangChain's function that puts a run's configuration into force, in the copy of the context."""
    result = wrapped(*args, **kwargs)
    refusal: Refusal | None = None
    try:
        config = args[0] if args else kwargs.get("config")
        callbacks = config.get("callbacks") if config else None
        run = runs.get(getattr(callbacks, "parent_run_id", None))
        if run is not None:
            refusal = run.refused()
            ambient = otel_context.get_current()
            inner = innermost(ambient, run.context())
            if inner is not ambient:
                # All else that others have put into the Context stays.
                otel_context.attach(with_values(ambient, {key: inner.get(key) for key in KEYS}))
    except Exception as error:
        swallowed("langchain.context", error)
    if refusal is not None:
        raise refusal  # the program has asked for it, by a budget or a loop guard
    return result
