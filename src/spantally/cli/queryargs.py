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

    from spantally.ground.errors import ArgumentError
    from spantally.queries.arguments import make_filter

    if wanted.get("any_tag") and not wanted.get("tags"):
        raise click.UsageError("--any-tag needs at least one --tag KEY=VALUE")
    arguments = {name: value for name, value in wanted.items() if value not in (None, (), False)}
    if "metadata" in arguments:
        arguments["metadata"] = dict(arguments["metadata"])
    pairs = arguments.get("tags", ())
    if pairs:
        arguments["tags"] = dict(pairs)
        if len(arguments["tags"]) < len(pairs):
            raise click.UsageError("--tag names a key twice; a key has one value")
    try:
        make_filter(**arguments)  # said before a ledger is looked for
    except ArgumentError as error:
        raise click.UsageError(str(error)) from error
    return arguments
