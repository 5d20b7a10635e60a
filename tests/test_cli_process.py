"""What doctor says of a program: patches, missing taps, others at the same place, redaction, failures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from doctor_kit import empty_sdks
from spantally.cli.checks import process
from spantally.cli.checks.finding import Finding, Level

HEALTHY: dict[str, Any] = {
    "active": True,
    "patches": [
        {
            "instrumentor": "spantally_openai",
            "target": "openai._base_client:SyncAPIClient.request",
            "enabled": True,
            "applied": True,
            "missing": False,
            "required": True,
            "others": [],
        }
    ],
    "redaction": {"on": True, "net": {"net": "on_ending", "earlier": True, "later": True, "detail": "all"}},
    "failures": [],
}


def told(**changes: Any) -> dict[str, Finding]:
    """Findings by name of the healthy report with some parts replaced."""
    return {one.name: one for one in process.findings({**HEALTHY, **changes}, {})}


def patch(**changes: Any) -> list[dict[str, Any]]:
    """The one patch of the healthy report with some parts replaced."""
    return [{**HEALTHY["patches"][0], **changes}]


@pytest.fixture(scope="module")
def of_a_program(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """What is said of a real small program."""
    return process.check({**os.environ, "XDG_DATA_HOME": str(tmp_path_factory.mktemp("data"))})


def test_a_healthy_program_has_no_problem(of_a_program: list[Finding]) -> None:
    """The report of a real small program names our patches and the net, and no problem."""
    found = of_a_program
    assert [one for one in found if one.level is not Level.OK] == []
    values = " ".join(one.value for one in found)
    assert "openai._base_client:SyncAPIClient.request" in values
    assert "on_ending" in values


def test_program_of_a_user_with_broken_exporters_is_still_examined(tmp_path: Path) -> None:
    """The user's exporters are left out of the small program: it needs none and must not wait for them."""
    broken = {"OTEL_TRACES_EXPORTER": "no_such", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    environ = {**os.environ, **empty_sdks(tmp_path), **broken}
    assert process.check(environ)[0] == Finding(process.SECTION, "spantally", "active")


def test_missing_tap_is_a_problem() -> None:
    """A place that this version of the SDK lacks is named."""
    found = told(patches=patch(applied=False, missing=True))["spantally_openai tap"]
    assert found.level is Level.PROBLEM
    assert "SyncAPIClient.request is missing" in found.value


def test_missing_taps_that_versions_may_lack_are_a_note() -> None:
    """Places that only newer versions have are counted by module, and are no problem."""
    found = told(patches=patch(applied=False, missing=True, required=False) * 3)["spantally_openai tap"]
    assert (found.level, found.value) == (Level.NOTE, "3 places of openai._base_client are missing")


def test_websockets_are_among_what_is_patched(of_a_program: list[Finding]) -> None:
    """Parts of an SDK that it imports only when they are used are told of by their source."""
    values = " ".join(one.value for one in of_a_program)
    assert "places of openai.resources.realtime.realtime, once it is imported" in values
    assert "places of openai.resources.responses.responses" in values


def test_places_of_what_is_not_imported_are_counted_by_module() -> None:
    """They are patched with their module, and no place that is missing."""
    found = told(patches=patch(applied=False, required=False, awaited=True) * 2)["spantally_openai"]
    assert (found.level, found.value) == (
        Level.OK,
        "patches 2 places of openai._base_client, once it is imported",
    )


def test_other_patchers_are_named() -> None:
    """Who else wraps the same place is worth a note, no problem."""
    found = told(patches=patch(others=["openinference.instrumentation.openai"]))["spantally_openai shares"]
    assert (found.level, "openinference" in found.value) == (Level.NOTE, True)


def test_weak_redaction_is_a_problem() -> None:
    """Redaction that is off, or that some processors do not see, is a problem."""
    assert told(redaction={"on": False, "net": None})["redaction"].level is Level.PROBLEM
    weak = {"on": True, "net": {"net": "front", "earlier": False, "later": True, "detail": "some"}}
    assert told(redaction=weak)["redaction"].level is Level.PROBLEM


def test_failures_are_listed() -> None:
    """What the guard swallowed at start comes out with its place, and its count."""
    found = told(failures=[{"where": "api.ledger", "error": "OSError", "count": 2}])["api.ledger"]
    assert (found.level, found.value) == (Level.PROBLEM, "OSError, 2 times")


def test_disabled_is_told_apart_from_broken(tmp_path: Path) -> None:
    """A program in which we do not start is a problem, unless SPANTALLY_DISABLED asked for it."""
    assert told(active=False)["spantally"].level is Level.PROBLEM
    (found,) = process.check({**os.environ, **empty_sdks(tmp_path), "SPANTALLY_DISABLED": "true"})
    assert (found.value, found.level) == ("not active", Level.NOTE)
