"""JSON of a session's tree: the session, and beneath it nested `children`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spantally.cli.jsonout import cache_object, call_object, session_object
from spantally.cli.moments import rfc3339
from spantally.ground.money import usd_text
from spantally.queries.messages import message_totals

if TYPE_CHECKING:
    from spantally.ledger.contract import EventRow
    from spantally.queries import MessageTotals, SessionTree, TreeNode

_FIGURES = (
    "calls",
    "errors",
    "input_tokens",
    "output_tokens",
    "own_input_tokens",
    "own_output_tokens",
    "cost_nano_usd",
    "own_cost_nano_usd",
    "unpriced_calls",
    "pending_calls",
    "possibly_billed_calls",
    "covered_calls",
    "list_nano_usd",
)
"""Inclusive of everything beneath, unless a name says own."""


def tree_object(tree: SessionTree, *, content: bool, events: Sequence[EventRow] = ()) -> dict[str, Any]:
    """A session with its events and its nested children.

    Args:
        tree: the session.
        events: decisions, evaluations and the like, with the texts that the program handed over.
        content: add what the ledger kept of prompts, answers, arguments and results.
    """
    made = session_object(tree.session)
    made["events"] = [event_object(event) for event in events]
    made["messages"] = [message_object(one) for one in message_totals(events)]
    made["children"] = []
    # A stack and not recursion, as deep as the program went.
    waiting = [(made["children"], node) for node in reversed(tree.children)]
    while waiting:
        place, node = waiting.pop()
        child = _node_object(node, content=content)
        place.append(child)
        waiting.extend((child["children"], below) for below in reversed(node.children))
    return made


def message_object(totals: MessageTotals) -> dict[str, Any]:
    """The messages of one role; their tokens are beside those of the calls."""
    return {
        "role": totals.role,
        "messages": totals.messages,
        "message_tokens": totals.message_tokens,
        "untold_messages": totals.untold_messages,
        "mean_tokens": totals.mean_tokens,
    }


def event_object(event: EventRow) -> dict[str, Any]:
    """Something that happened at one moment."""
    return {
        "event_id": event.event_id,
        "session_id": event.session_id,
        "type": event.type,
        "at": rfc3339(event.time_ns),
        "call_id": event.call_id,
        "agent_path": list(event.agent_path),
        "trace_id": event.trace_id,
        "span_id": event.span_id,
        "attributes": dict(event.attributes),
        "derived": event.derived,
    }


def _node_object(node: TreeNode, *, content: bool) -> dict[str, Any]:
    """A row with what it costs by itself and with everything beneath."""
    made = call_object(node.call)
    for name in _FIGURES:
        made[name] = getattr(node, name)
    # Those of the row itself stand under the names of its parts; a group's are those of all beneath.
    made.update(cache_object(node.cache))
    made["total_cost"] = usd_text(node.cost_nano_usd)
    if content:
        made["content"] = None if node.call.content is None else dict(node.call.content)
    made["children"] = []
    return made
