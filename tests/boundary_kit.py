"""Boundaries that a session crosses, and the three questions that are asked of each."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry import trace

import spantally
from boundary_probe import Seen, probe
from spantally.ground.scope import current_scope
from watching import Watched

Cross = Callable[[Callable[..., Seen]], Seen]
"""Runs the probe on the far side and gives what it saw."""


class Outcome(NamedTuple):
    """The three answers."""

    kept: bool
    """What happens on the far side lands in the session."""
    clean: bool
    """After the session nothing of it is left, here nor there."""
    parent: bool
    """Spans on the far side hang beneath the one around the crossing; the driver's do not hang there."""


class Boundary(NamedTuple):
    """One row of the table."""

    name: str
    how: str
    """What a program does for it: nothing, or a recipe."""
    group: str
    run: Callable[[Watched], Outcome]


BOUNDARIES: list[Boundary] = []


def boundary(name: str, how: str = "", *, group: str) -> Callable[[Any], Any]:
    """Register a context manager that gives a :data:`Cross`."""

    def register(make: Callable[..., Iterator[Cross]]) -> Any:
        manager = contextlib.contextmanager(make)

        def run(watched: Watched) -> Outcome:
            with manager() as cross:
                return outcome(watched, cross)

        BOUNDARIES.append(Boundary(name, how, group, run))
        return make

    return register


def row(name: str, how: str = "", *, group: str) -> Callable[[Any], Any]:
    """Register a function that asks the three questions itself."""

    def register(run: Callable[[Watched], Outcome]) -> Any:
        BOUNDARIES.append(Boundary(name, how, group, run))
        return run

    return register


def here() -> str | None:
    """The session in force."""
    scope = current_scope()
    return None if scope is None else scope.session.session_id


def span_here() -> str | None:
    """The span in force."""
    context = trace.get_current_span().get_span_context()
    return f"{context.span_id:016x}" if context.is_valid else None


def beneath(watched: Watched, seen: Seen, top: str) -> bool:
    """True if the spans of the far side lead up to ``top`` through what was exported."""
    parents = {span.span_id.hex(): span.parent_span_id.hex() for span in watched.spans}
    known: set[str] = set()
    wanted = list(seen.spans)
    while wanted:
        one = wanted.pop()
        if one == top:
            return True
        if one and one not in known:
            known.add(one)
            wanted.append(parents.get(one, ""))
    return False


def outcome(watched: Watched, cross: Cross) -> Outcome:
    """Cross inside a session and an agent, and again after both."""
    warm = cross(probe)  # what is made at the first use is made outside any session
    with spantally.session() as session, spantally.agent("caller"):
        top = span_here()
        inside = cross(probe)
        still = here() == session.id and span_here() == top
    left = here() is None and span_here() is None
    after = cross(probe)
    assert top is not None
    return Outcome(
        kept=inside.session == session.id and warm.session != session.id,
        clean=left and still and after.session != session.id and not beneath(watched, after, top),
        parent=beneath(watched, inside, top) and not beneath(watched, warm, top),
    )


def record(name: str, how: str, group: str, found: Outcome) -> None:
    """Note a row for the table of the docs, where ``make propagation`` asks for it."""
    folder = os.environ.get("BOUNDARIES_OUT")
    if folder:
        version = ".".join(platform.python_version_tuple()[:2])
        line = json.dumps({"name": name, "how": how, "group": group, **found._asdict()})
        with (Path(folder) / f"{version}.jsonl").open("a") as file:
            file.write(line + "\n")
