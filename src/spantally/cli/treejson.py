"""JSON of a session's tree: the session, and beneath it nested `children`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spantally.cli.jsonout import call_object, session_object
from spantally.ground.money import usd_text

if TYPE_CHECKING:
    from spantally.queries import SessionTree, TreeNode


def tree_object(tree: SessionTree, *, content: bool) -> dict[str, Any]:
    """A session with its nested children.

    Args:
        tree: the session.
        content: add what the ledger kept of prompts, answers, arguments and results.
    """
    made = session_object(tree.session)
    made["children"] = []
    # A stack and not recursion, as deep as the program went.
    waiting = [(made["children"], node) for node in reversed(tree.children)]
    while waiting:
        place, node = waiting.pop()
        child = _node_object(node, content=content)
        place.append(child)
        waiting.extend((child["children"], below) for below in reversed(node.children))
    return made


def _node_object(node: TreeNode, *, content: bool) -> dict[str, Any]:
    """A row with what it costs by itself and with everything beneath."""
    made = call_object(node.call)
    made["own_cost_nano_usd"] = node.own_cost_nano_usd
    made["inclusive_cost_nano_usd"] = node.inclusive_cost_nano_usd
    made["total_cost"] = usd_text(node.inclusive_cost_nano_usd)
    if content:
        made["content"] = None if node.call.content is None else dict(node.call.content)
    made["children"] = []
    return made
