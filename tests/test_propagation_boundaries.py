"""The table of boundaries: the session kept, nothing of it left after its exit, the parent span right."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator

import pytest

import boundaries_local
import boundaries_network
import boundaries_processes  # noqa: F401 - registers its boundaries
import spantally
from boundary_kit import BOUNDARIES, Boundary, Outcome, here, record, span_here
from boundary_probe import probe
from watching import Watched

FIXTURES = "Fixtures of pytest"


@pytest.mark.parametrize("one", BOUNDARIES, ids=lambda one: one.name)
def test_boundary(one: Boundary, watched: Watched) -> None:
    """A session crosses the boundary, and is gone on both sides when it has ended."""
    absent = boundaries_network.missing(one.name)
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed (make propagation)")
    found = contextvars.Context().run(one.run, watched)
    record(one.name, one.how, one.group, found)
    assert found == Outcome(kept=True, clean=True, parent=one.name not in boundaries_local.LIMITS)


@pytest.fixture
def afterwards(watched: Watched) -> Iterator[list[Outcome]]:
    """Set up first, so torn down last: by then the other fixture has left its session."""
    found: list[Outcome] = []
    yield found
    (one,) = found
    one = one._replace(clean=here() is None and span_here() is None)
    record(FIXTURES, "", boundaries_local.GROUP, one)
    assert one == Outcome(kept=True, clean=True, parent=True)


@pytest.fixture
def holding(afterwards: list[Outcome]) -> Iterator[None]:
    """A session around the test."""
    with spantally.session("held"), spantally.agent("holder"):
        yield


def test_fixtures(holding: None, afterwards: list[Outcome]) -> None:
    """A session that a fixture enters is in force in the test, and gone when the fixture is torn down."""
    seen = probe()
    afterwards.append(
        Outcome(kept=seen.session == "held", clean=False, parent=seen.spans[:1] == (span_here(),))
    )
