"""The options that the query commands share, and what they become for a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from spantally.cli.exits import say
from spantally.ground.setting_values import MAX_TAG_KEY

_F = TypeVar("_F", bound=Callable[..., object])

SESSION_STATUSES = ("running", "succeeded", "failed", "cancelled", "abandoned")
CALL_STATUSES = ("running", "ok", "error", "cancelled", "interrupted")
_FORMS = "2026-01-31, 2026-01-31T12:00:00Z, or a time ago: 30m, 24h, 7d, 2w"


def parsed(parse: Callable[[str], object]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback of an option that reads its text; repeated options give a tuple.

    Args:
        parse: reads one text; its ValueError becomes a usage error.
    """

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        if value is None:
            return None
        try:
            return tuple(map(parse, value)) if isinstance(value, tuple) else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx=ctx, param=param) from error

    return callback


def parse_tag(text: str) -> tuple[str, str]:
    """Read ``KEY=VALUE``.

    Raises:
        ValueError: for anything else.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"{text!r} is no key with a value; use KEY=VALUE")
    return key.strip(), value


def parse_entity(text: str) -> str:
    """Read ``TYPE`` or ``TYPE:ID``.

    Raises:
        ValueError: for anything else.
    """
    kind, colon, ident = text.partition(":")
    if not kind or (colon and not ident):
        raise ValueError(f"{text!r} is not an entity; use TYPE or TYPE:ID, as in customer:acme")
    return text


def parse_moment(text: str) -> str:
    """Read a point in time; the text stays, since the query reads it too.

    Raises:
        ValueError: for a text that is not one.
    """
    from spantally.queries.times import moment_ns

    moment_ns("time", text)
    return text


def filters(statuses: Sequence[str]) -> Callable[[_F], _F]:
    """Decorator: the filters of every query command.

    Args:
        statuses: what ``--status`` may be.
    """
    options = (
        click.option("--conversation", metavar="ID", help="Only sessions of this conversation."),
        click.option("--user", metavar="ID", help="Only this user."),
        click.option(
            "--entity",
            callback=parsed(parse_entity),
            metavar="TYPE[:ID]",
            help="Only this entity, or type of entity.",
        ),
        click.option(
            "--tag",
            "tags",
            callback=parsed(parse_tag),
            multiple=True,
            metavar="KEY=VALUE",
            help=f"Only with this tag (keys up to {MAX_TAG_KEY} characters); repeated: with all of them.",
        ),
        click.option("--any-tag", is_flag=True, help="One of the tags is enough."),
        click.option("--agent", metavar="NAME", help="Only where this agent took part."),
        click.option("--model", metavar="NAME", help="Only with this model (requested or answering)."),
        click.option("--project", metavar="NAME", help="Only this project (service.name)."),
        click.option("--status", type=click.Choice(statuses), help="Only with this status."),
        click.option(
            "--since",
            callback=parsed(parse_moment),
            metavar="TIME",
            help=f"Begun at or after TIME: {_FORMS}.",
        ),
        click.option("--until", callback=parsed(parse_moment), metavar="TIME", help="Begun before TIME."),
    )

    return _all_of(options)


def session_filters(command: _F) -> _F:
    """Decorator: the filters of commands about sessions, which know labels and metadata, too."""
    label = click.option(
        "--label", "labels", multiple=True, metavar="TEXT", help="Only with this label; repeatable."
    )
    meta = click.option(
        "--meta",
        "metadata",
        callback=parsed(parse_tag),
        multiple=True,
        metavar="KEY=VALUE",
        help="Only with this key of the metadata; repeatable.",
    )
    return filters(SESSION_STATUSES)(_all_of((label, meta))(command))


def _all_of(options: Sequence[Callable[[_F], _F]]) -> Callable[[_F], _F]:
    def decorate(command: _F) -> _F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON array of objects on stdout.")


def limit(default: int) -> Callable[[_F], _F]:
    """Decorator: ``--limit``.

    Args:
        default: rows where none is given.
    """
    return click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        metavar="N",
        help="At most N rows; 0 for all.",
    )


def one_more(limit: int) -> int | None:
    """The limit of the query behind ``--limit``: a row more than is printed tells that there are others."""
    return limit + 1 if limit else None


def say_cut(rows: Sequence[object], limit: int, *, as_json: bool, oldest: bool = False) -> None:
    """Say on stderr that there are more rows: else a page is taken for all of it.

    Args:
        rows: of the query, with :func:`one_more`.
        limit: how many of them were printed; 0 where all were.
        as_json: for a program, which is told only of a limit that it did not set itself.
        oldest: the rows are in the order of time, so that what is not there is the newest.
    """
    source = click.get_current_context().get_parameter_source("limit")
    if as_json and source is not ParameterSource.DEFAULT:
        return
    if limit and len(rows) > limit:
        what = f"the oldest {limit}; --order -started for the newest" if oldest else f"the first {limit}"
        say(f"({what}; --limit 0 for all)")


def order(fields: Mapping[str, str], default: str) -> Callable[[_F], _F]:
    """Decorator: ``--order``.

    Args:
        fields: names to order by, with the field each stands for.
        default: where none is given.
    """

    def parse(text: str) -> str:
        if text.removeprefix("-") not in fields:
            raise ValueError(f"{text!r} is not a field to order by; use one of: {', '.join(sorted(fields))}")
        return text

    first_names = {field: name for name, field in reversed(list(fields.items()))}
    return click.option(
        "--order",
        callback=parsed(parse),
        default=default,
        show_default=True,
        metavar="[-]FIELD",
        help=f"Order of the rows, - for descending. FIELD: {', '.join(sorted(first_names.values()))}.",
    )


SESSION_HELP = "SESSION is an id, a unique prefix of one, or last for the newest."

newest_session = click.option(
    "--last", "-1", "newest", is_flag=True, help="The newest session (as does SESSION = last)."
)


def meant_session(session: str | None, *, newest: bool) -> str:
    """The session that a command line means, as text.

    Raises:
        click.UsageError: where it names none, or two.
    """
    if newest and session is not None:
        raise click.UsageError(f"give either SESSION ({session!r}) or --last, not both")
    if newest:
        return "last"
    if session is None:
        raise click.UsageError("missing SESSION: an id, a unique prefix of one, or last")
    return session
