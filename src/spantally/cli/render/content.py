"""What the ledger kept of prompts, answers, tool arguments and results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spantally.cli.exits import say
from spantally.cli.render.numbers import safe
from spantally.cli.render.output import write
from spantally.cli.render.tree import describe, outline

if TYPE_CHECKING:
    from spantally.queries import TreeNode

HINT = (
    "no content was kept for this session; SPANTALLY_LEDGER_CONTENT=all keeps prompts, answers, tool "
    "arguments and results (redacted, in this ledger only) of the runs that come"
)


def print_content(roots: Sequence[TreeNode]) -> None:
    """Write what was kept, call by call, or one line on how to keep it.

    Args:
        roots: the nodes right beneath the session.
    """
    kept = [line.node.call for line in outline(roots) if line.node.call.content]
    if not kept:
        say(HINT)
        return
    for row in kept:
        write(f"\n{safe(describe(row))}  [{row.call_id}]")
        for name, value in (row.content or {}).items():
            text = (
                value
                if isinstance(value, str)
                else json.dumps(value, indent=2, ensure_ascii=False, default=str)
            )
            body = "\n".join(f"    {line}" for line in safe(text, lines=True).split("\n"))
            write(f"  {safe(str(name))}:\n{body}")
