"""From the options of a command to the arguments of a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def query_arguments(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``Ledger.sessions``, ``calls`` and ``cost``; what was not asked for is left out.

    Args:
        wanted: values of the shared options, by name.

    Raises:
        click.UsageError: for options that contradict each other.
    """
    import click

    since, until = wanted.get("since"), wanted.get("until")
    if since is not None and until is not None and since >= until:
        raise click.UsageError(f"--since {since.isoformat()} is not before --until {until.isoformat()}")
    if wanted.get("any_tag") and not wanted.get("tags"):
        raise click.UsageError("--any-tag needs at least one --tag KEY=VALUE")
    return {name: value for name, value in wanted.items() if value not in (None, (), False)}
