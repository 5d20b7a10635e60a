"""What is in force on the far side of a boundary; imported in child processes, so it imports little."""

from __future__ import annotations

from typing import Any, NamedTuple

from opentelemetry import trace

import spantally
from spantally.ground.scope import current_scope


class Seen(NamedTuple):
    """What work on the far side belongs to."""

    session: str | None
    """Session that a call made there lands in."""
    path: tuple[str, ...]
    """The agents around it."""
    spans: tuple[str, ...]
    """Ids of the span in force there and of the one around it, innermost first; empty for none."""


def probe(*_: Any) -> Seen:
    """Look around, and see where an operation that begins here would land."""
    spans = []
    span = trace.get_current_span()
    if span.get_span_context().is_valid:
        spans.append(f"{span.get_span_context().span_id:016x}")
        parent = getattr(span, "parent", None)
        if parent is not None:
            spans.append(f"{parent.span_id:016x}")
    with spantally.agent("probe"):
        scope = current_scope()
    if scope is None:
        return Seen(None, (), tuple(spans))
    return Seen(scope.session.session_id, scope.agent_path[:-1], tuple(spans))


def probe_into(target: Any) -> None:
    """The same in a process that can only answer through a queue or connection."""
    found = probe()
    put = getattr(target, "put", None) or target.send
    put(found)


if __name__ == "__main__":
    import json
    import sys

    spantally.instrument(ledger=False)
    json.dump(probe(), sys.stdout)
