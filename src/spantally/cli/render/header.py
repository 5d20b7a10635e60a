"""What there is to know of a session before its tree."""

from __future__ import annotations

from collections.abc import Sequence

from spantally.cli.moments import local_text, span_text
from spantally.cli.render.caching import cache_text
from spantally.cli.render.numbers import cost_text, count_text, money_text, safe
from spantally.cli.render.output import draw
from spantally.cli.render.rows import open_text
from spantally.cli.render.tables import status_style
from spantally.ledger.contract import SessionRow
from spantally.queries.messages import MessageTotals


def print_header(row: SessionRow, messages: Sequence[MessageTotals] = ()) -> None:
    """Draw the facts of a session, one a line.

    Args:
        row: the session.
        messages: what the program recorded of them, by role.
    """
    from rich.text import Text

    lines = []
    for name, value in (*facts(row), *_messages(messages)):
        line = Text()
        line.append(f"{name:<13}", style="bold")
        line.append(safe(value), style=(status_style(row.status) or "") if name == "status" else "")
        lines.append(line)
    draw(*lines, "")


def _messages(totals: Sequence[MessageTotals]) -> list[tuple[str, str]]:
    """How many messages, by role, and their tokens, which are beside those of the calls."""
    if not totals:
        return []
    roles = ", ".join(f"{count_text(one.messages)} {one.role}" for one in totals)
    tokens = sum(one.message_tokens for one in totals)
    if all(one.mean_tokens is None for one in totals):
        return [("messages", roles)]
    return [
        ("messages", f"{roles}; {count_text(tokens)} tokens by their own word, beside those of the calls")
    ]


def facts(row: SessionRow) -> list[tuple[str, str]]:
    """Names and values; those that a session does not have are left out.

    Args:
        row: the session.
    """
    cost = cost_text(row.cost_nano_usd, row)
    if row.own_cost_nano_usd is not None and row.own_cost_nano_usd != row.cost_nano_usd:
        cost += f" (own {money_text(row.own_cost_nano_usd)})"
    status = " ".join(filter(None, (row.status, row.error_type, row.reason and f"({row.reason})")))
    counted = (
        f"{count_text(row.calls)} in {count_text(row.turn_count)} turn{'' if row.turn_count == 1 else 's'}, "
        f"{count_text(row.errors)} error{'' if row.errors == 1 else 's'}"
    )
    everything = (
        ("session", row.session_id + (" (implicit)" if row.implicit else "")),
        ("name", row.name),
        ("title", row.title),
        ("part of", row.parent_id),
        ("goes on from", row.previous_id),
        ("conversation", row.conversation_id),
        ("user", row.user_id),
        ("entity", f"{row.entity_type}:{row.entity_id}" if row.entity_type else None),
        ("tags", ", ".join(f"{key}={value}" for key, value in sorted(row.tags.items()))),
        ("labels", ", ".join(row.labels)),
        ("project", row.project),
        ("status", status),
        ("started", f"{local_text(row.started_ns)}, took {span_text(row.duration_ms)}"),
        ("running", open_text(row.running)),
        ("models", ", ".join(row.models)),
        ("calls", counted),
        ("tokens", f"{count_text(row.input_tokens)} in, {count_text(row.output_tokens)} out"),
        ("cache", cache_text(row.cache)),
        ("cost", cost),
        ("metrics", ", ".join(f"{name}={value}" for name, value in sorted(row.metrics.items()))),
    )
    return [(name, value) for name, value in everything if value]
