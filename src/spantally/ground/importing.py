"""Our modules in an environment that OpenTelemetry rejects: a word there must not end the program.

OpenTelemetry reads some variables while it is imported, and raises where a value is not allowed
(``OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=many``, an unknown name in ``OTEL_PROPAGATORS``). A program that has it
only through us would fail at its first line of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Final

_MOST: Final = 8
"""Variables that are left out one after the other."""


def imported(name: str) -> ModuleType:
    """Import a module of ours; variables that OpenTelemetry refuses are read as if they were not set.

    They are named in a log line, and back in the environment once the module is there.

    Args:
        name: of the module.

    Raises:
        Exception: whatever the import raises for another reason.
    """
    try:
        return import_module(name)
    except ValueError as error:
        refused = _named_in(error)
        if not refused:
            raise
    with _left_out(refused):
        for _ in range(_MOST):
            try:
                return import_module(name)
            except ValueError as error:
                more = _named_in(error)
                if not more:
                    raise
                refused.update(more)
                for variable in more:
                    os.environ.pop(variable, None)
        return import_module(name)


def _named_in(error: ValueError) -> dict[str, str]:
    """The variables of OpenTelemetry that an error quotes, by their name or by a word of their value."""
    words = {word.strip(" .,:;'\"") for word in str(error).split()}
    ours = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    by_name = {name: value for name, value in ours.items() if name in words}
    return by_name or {
        name: value
        for name, value in ours.items()
        if any(part.strip() in words for part in value.split(",") if part.strip())
    }


@contextmanager
def _left_out(refused: dict[str, str]) -> Iterator[None]:
    from spantally.ground.guard import say

    for variable in refused:
        os.environ.pop(variable, None)
    try:
        yield
    finally:
        os.environ.update(refused)
        say(
            "spantally: OpenTelemetry refuses what %s says and was loaded without it; correct or unset it",
            ", ".join(sorted(refused)),
        )
