"""What the model calls beneath an agent tell: that much, and no more, is expected on the agent's own span."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from spantally.conformance.model import Span, word

_AGENT: Final = "invoke_agent"
_MODEL_CALLS: Final = frozenset({"chat", "generate_content", "text_completion", "embeddings", _AGENT})


def with_what_lies_beneath(spans: Iterable[Span], all_spans: Sequence[Span]) -> Iterator[Span]:
    """The spans, those of agents with the attributes of the model calls that ended within them.

    Args:
        spans: to be checked.
        all_spans: these and whatever stands between them.
    """
    children: dict[tuple[str, str], list[Span]] = {}
    for one in all_spans:
        if one.parent_id:
            children.setdefault((one.trace_id, one.parent_id), []).append(one)
    for span in spans:
        if span.attributes.get("gen_ai.operation.name") == _AGENT and span.kind == "INTERNAL":
            yield span._replace(beneath=frozenset(_told_beneath(span, children)))
        else:
            yield span


def _told_beneath(agent: Span, children: dict[tuple[str, str], list[Span]]) -> Iterator[str]:
    seen: set[str] = set()
    waiting = [agent.span_id]
    while waiting:
        parent = waiting.pop()
        if parent in seen:
            continue  # spans that are each other's parents
        seen.add(parent)
        for child in children.get((agent.trace_id, parent), ()):
            if agent.end_ns and child.end_ns > agent.end_ns:
                continue
            waiting.append(child.span_id)
            if child.kind == "CLIENT" and word(child.attributes, "gen_ai.operation.name") in _MODEL_CALLS:
                yield from child.attributes
