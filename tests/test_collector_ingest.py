"""What the real collector's file exporter wrote of two services is one tally of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector_kit import Collector
from program_kit import Programs
from services_kit import check_one_tally, run_services
from spantally.testing import ScriptedServer

pytestmark = [pytest.mark.collector, pytest.mark.timeout(180)]


def test_files_of_the_collector_are_the_ledgers_of_both_services(
    tmp_path: Path, server: ScriptedServer
) -> None:
    """Spans of one file and events of another: the totals of both ledgers merged, also when read twice."""
    folder = tmp_path / "otlp"
    with Collector("file.yaml", tmp_path / "collector", OTLP_DIR=str(folder)) as collector:
        run_services(Programs(tmp_path, server.base_url), tmp_path, collector.http)
    files = sorted(folder.glob("*.json*"))
    assert files
    check_one_tally(tmp_path, *files)
