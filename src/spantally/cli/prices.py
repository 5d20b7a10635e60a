"""`spantally prices ...`: which rates are known, which are missing, and newer ones on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from spantally.cli.exits import NOTHING_FOUND, NotFoundError, UnusableLedgerError, say
from spantally.cli.options import as_json, parse_moment, parsed

if TYPE_CHECKING:
    from spantally.pricing.rates import Table

_SHOW = "show"


class _ModelFirst(click.Group):
    """A group whose first word may be a model: then `show` is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ModelFirst)
def prices() -> None:
    """Which rates are known, your own among them.

    `spantally prices MODEL` is short for `spantally prices show MODEL`; so are `spantally prices --missing`
    and `spantally prices --check`.

    \b
    spantally prices gpt-4o --provider azure --at 2026-03-01
    spantally prices --missing --since 7d
    spantally prices --check
    spantally prices update
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped


@prices.command()
@click.argument("model", required=False)
@click.option("--provider", metavar="NAME", help="Only this provider, by any of its names.")
@click.option(
    "--at",
    callback=parsed(parse_moment),
    metavar="TIME",
    help="The rates of TIME (as 2026-01-31, or 7d ago). [default: now]",
)
@click.option(
    "--missing", is_flag=True, help="What the ledger's calls have no rate for, with an entry to paste."
)
@click.option(
    "--since", callback=parsed(parse_moment), metavar="TIME", help="With --missing: begun at or after TIME."
)
@click.option("--check", is_flag=True, help="Every problem of your own rates; exit code 1 if there is one.")
@as_json
@click.pass_obj
def show(
    explicit: str | None,
    /,
    model: str | None,
    provider: str | None,
    at: str | None,
    missing: bool,
    since: str | None,
    check: bool,
    as_json: bool,
) -> None:
    """Print each rate of MODEL: by part, tier and threshold, since when, and whose it is.

    Rates of your own stand first. Exit code 1: no rate is known, or the settings file has a problem.
    """
    if [model is not None, missing, check].count(True) != 1:
        raise click.UsageError("give one of MODEL, --missing and --check")
    if since is not None and not missing:
        raise click.UsageError("--since is for --missing; --at TIME chooses the rates of a time")
    if model is None and (provider is not None or at is not None):
        raise click.UsageError("--provider and --at are for MODEL")
    if missing:
        from spantally.cli.prices_missing import print_missing

        print_missing(explicit, since, as_json=as_json)
    elif check:
        _check(as_json=as_json)
    else:
        assert model is not None
        _show(model, provider, at, as_json=as_json)


def table() -> Table:
    """The rates as a program that starts now has them.

    Raises:
        UnusableLedgerError: when they cannot be loaded.
    """
    from spantally.pricing import rates

    found = rates.load()
    if found is None:
        raise UnusableLedgerError(
            "the price data cannot be loaded; reinstall it: pip install --force-reinstall genai-prices"
        )
    return found


def _show(model: str, provider: str | None, at: str | None, *, as_json: bool) -> None:
    import time

    from spantally.pricing.listing import listings
    from spantally.queries.times import moment_ns

    start_ns = (None if at is None else moment_ns("--at", at)) or time.time_ns()
    loaded = table()
    rows = listings(loaded, model, provider, start_ns)
    if not rows:
        of = f" at {provider}" if provider else ""
        raise NotFoundError(
            f"no rate is known for {model}{of}; check the name, update the price data (spantally prices "
            "update), or give a rate of your own in spantally.toml"
        )
    if as_json:
        from spantally.cli.jsonout import print_array
        from spantally.cli.render.prices import listing_object

        print_array([listing_object(row) for row in rows])
    else:
        from spantally.cli.render.prices import print_listings

        print_listings(rows)
        say(f"US dollars for a million tokens, searches for a thousand; {loaded.source}")
    if loaded.own.wrong:  # each was said when the file was read
        from spantally.cli.render.numbers import so_many

        say(f"the settings file has {so_many(len(loaded.own.wrong), 'problem')}: spantally prices --check")
        raise click.exceptions.Exit(NOTHING_FOUND)


def _check(*, as_json: bool) -> None:
    """The settings file: what holds, and what does not."""
    from spantally.ground.places import config_path
    from spantally.ground.settings import from_environment
    from spantally.pricing.overrides_file import read_own

    path = config_path()
    own = read_own(path)
    wrong = own.wrong
    if from_environment("config") is not None and not path.exists():
        wrong = (f"{path} does not exist, and SPANTALLY_CONFIG names it; no rate of it holds", *wrong)
    if as_json:
        from spantally.cli.jsonout import print_array

        print_array([{"problem": text} for text in wrong])
    else:
        from spantally.cli.render.numbers import safe, so_many
        from spantally.cli.render.output import write

        for text in wrong:
            write(safe(text))
        rates, aliases = so_many(len(own.rules), "rate"), so_many(len(own.aliases), "alias", "aliases")
        currencies = so_many(len(own.currencies.known), "currency", "currencies")
        problems = so_many(len(wrong), "problem")
        say(f"{path}: {rates}, {aliases}, {currencies} in force, {problems}")
    if wrong:
        raise click.exceptions.Exit(NOTHING_FOUND)


@prices.command()
@click.option(
    "--url",
    metavar="URL",
    help="Where to download from (http, https or file). [default: SPANTALLY_PRICES_URL, else genai-prices']",
)
@click.option("--undo", is_flag=True, help="Go back to the data in force before the last update.")
def update(url: str | None, undo: bool) -> None:
    """Download newer price data, check it, and use it from the next start of a program on.

    Nothing else ever downloads prices. What was downloaded holds until a newer genai-prices is installed,
    which brings newer data itself. What cannot be downloaded, or is not whole, changes nothing (exit code 1).
    """
    from spantally.cli.prices_update import go_back, go_on

    if undo:
        if url is not None:
            raise click.UsageError("--undo downloads nothing; leave --url out")
        go_back()
    else:
        go_on(url)
