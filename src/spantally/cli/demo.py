"""`spantally demo`: the shipped demo program, and what the ledger then says of it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from spantally.cli import exits

MODULE = "spantally.testing.demo"


@click.command()
@click.pass_context
def demo(ctx: click.Context) -> None:
    """Run the shipped demo and print what it cost.

    A planner with two researchers and tools, over a scripted OpenAI-compatible server on this machine:
    nothing leaves it and nothing is billed. The tally goes to a temporary ledger, or to that of --ledger.
    """
    if find_spec("openai") is None:
        raise exits.NotFoundError("the demo needs the openai SDK: pip install 'spantally[openai]'")
    if find_spec(MODULE) is None:
        raise exits.NotFoundError(f"this installation of spantally lacks {MODULE}; install spantally again")
    explicit: str | None = ctx.obj
    if explicit is not None:
        _demonstrate(ctx, str(Path(explicit).expanduser().absolute()))
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="spantally-demo-", ignore_cleanup_errors=True) as folder:
        _demonstrate(ctx, str(Path(folder) / "ledger.db"))


def _demonstrate(ctx: click.Context, target: str) -> None:
    """Run the demo into the ledger and print it by the commands a user would type."""
    from spantally.cli.cost import cost
    from spantally.cli.run import environment
    from spantally.cli.sessions import sessions
    from spantally.cli.show import show

    exits.say(f"$ spantally run -- python -m {MODULE}")
    environ = environment(os.environ, ledger=target, quiet=False)
    environ.pop("SPANTALLY_RUN_PID")  # the program is a child here, not this process
    sys.stdout.flush()
    ended = subprocess.run([sys.executable, "-m", MODULE], env=environ, check=False)  # noqa: S603 - our own module
    if ended.returncode:
        raise exits.NotFoundError(f"the demo program ended with exit code {ended.returncode}")
    ctx.obj = target
    for words, command, arguments in (
        ("sessions", sessions, []),
        ("show last", show, ["last"]),
        ("cost --by agent,model", cost, ["--by", "agent,model"]),
    ):
        exits.say(f"\n$ spantally {words}")
        sys.stderr.flush()
        with command.make_context(words.split()[0], list(arguments), parent=ctx) as inner:
            inner.obj = target
            command.invoke(inner)
        sys.stdout.flush()
