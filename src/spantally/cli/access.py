"""Opening the ledger that the command line reads, with every failure said as path, cause and remedy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from spantally.cli.exits import UnusableLedgerError, say
from spantally.ground.errors import ArgumentError, LedgerError
from spantally.ground.places import default_ledger_path
from spantally.ground.settings import from_environment

if TYPE_CHECKING:
    from spantally.queries import Ledger

MEMORY = ":memory:"
_BY_VARIABLE: Final = " with SPANTALLY_LEDGER"
_BY_OPTION: Final = " with --ledger"


def ledger_in_force(explicit: str | None) -> str | None:
    """The ledger of this command: the option, else SPANTALLY_LEDGER, else the user's own.

    Args:
        explicit: value of ``--ledger``, or None.

    Returns:
        An absolute path or ``":memory:"``; None where the ledger is switched off.
    """
    chosen = explicit if explicit is not None else from_environment("ledger")
    if chosen is False:
        return None
    if chosen is None:
        return str(default_ledger_path())
    if chosen == MEMORY:
        return MEMORY
    return str(Path(str(chosen)).expanduser().absolute())


def by_source(text: str, explicit: str | None) -> str:
    """A text about the ledger in force, with where its path came from and the remedy by the same way.

    Args:
        text: names path, cause and, by SPANTALLY_LEDGER, the remedy.
        explicit: value of ``--ledger``, or None.
    """
    return f"{text if explicit is None else text.replace(_BY_VARIABLE, _BY_OPTION)} ({_source(explicit)})"


def _source(explicit: str | None) -> str:
    if explicit is not None:
        return "path from --ledger"
    if from_environment("ledger") is not None:
        return "path from SPANTALLY_LEDGER"
    if sys.platform == "linux" and os.environ.get("XDG_DATA_HOME", "").strip():
        return "the default path, by XDG_DATA_HOME"
    return "the default path"


def by_argument(text: str) -> str:
    """The same for a ledger that a command names as its argument, where no variable changes anything."""
    return text.replace(f"choose another file{_BY_VARIABLE}", "name another file")


def ledger_to_read(explicit: str | None) -> str | None:
    """The path of the ledger in force, once it is known to be there.

    Args:
        explicit: value of ``--ledger``, or None.

    Returns:
        An absolute path; None when there is none yet at the default place (said on stderr).

    Raises:
        UnusableLedgerError: when there is none to read; the text names path, cause and remedy.
    """
    target = ledger_in_force(explicit)
    if target is None:
        raise UnusableLedgerError(
            "the ledger is switched off (SPANTALLY_LEDGER=false), so there is nothing to read; "
            "unset the variable or give --ledger PATH"
        )
    if target == MEMORY:
        remedy = "set SPANTALLY_LEDGER to a path, or give" if explicit is None else "give a path:"
        raise UnusableLedgerError(
            by_source(
                "a ledger in memory (:memory:) ends with its process and cannot be read from here; "
                f"{remedy} --ledger PATH",
                explicit,
            )
        )
    if _exists(target, explicit):
        return target
    if explicit is not None:
        raise UnusableLedgerError(
            f"no ledger at {target}; check the path given as --ledger "
            "(`spantally path` prints the one that is used without)"
        )
    obstacle = obstacle_to_making(Path(target))
    if obstacle is not None:
        raise UnusableLedgerError(by_source(f"no ledger at {target}: {obstacle}", explicit))
    source = _source(explicit)
    say(f"no ledger at {target} yet ({source}); make one: spantally run -- python your_program.py")
    return None


@contextmanager
def reading(explicit: str | None) -> Iterator[Ledger | None]:
    """Open the ledger in force for a query command.

    Args:
        explicit: value of ``--ledger``, or None.

    Yields:
        The ledger, or None when there is none yet at the default place (said on stderr).

    Raises:
        UnusableLedgerError: when it cannot be read; the text names path, cause and remedy.
        click.UsageError: for an argument that the query refuses.
    """
    target = ledger_to_read(explicit)
    if target is None:
        yield None
        return
    from spantally.queries import open_ledger

    try:
        ledger = open_ledger(target)
        try:
            yield ledger
        finally:
            ledger.close()
    except ArgumentError as error:
        raise click.UsageError(str(error)) from error
    except LedgerError as error:
        text = str(error)
        text = text if target in text else f"{target}: {text}"
        raise UnusableLedgerError(by_source(text, explicit)) from error


def obstacle_to_making(path: Path) -> str | None:
    """Why no ledger can be made at a path where there is none, with the remedy; None where one can.

    Directories are made for the default path only: a mistyped path must not grow any.

    Args:
        path: an absolute path at which there is no file.
    """
    if path != default_ledger_path() and not path.parent.is_dir():
        return f"there is no directory {path.parent}; create it, or name another file with SPANTALLY_LEDGER"
    nearest = next(folder for folder in path.parents if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return (
            f"{nearest} cannot be written; change its permissions, or name another file with SPANTALLY_LEDGER"
        )
    return None


def _exists(target: str, explicit: str | None) -> bool:
    try:
        return Path(target).exists()
    except OSError as error:
        text = f"{target} cannot be reached: {error.strerror or error}; check the path and its permissions"
        raise UnusableLedgerError(by_source(text, explicit)) from error
