"""Two services that send their spans to one place: what is ingested there is what both have counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from otlp_files_kit import received
from program_kit import Programs
from services_kit import check_one_tally, run_services
from spantally.testing import OtlpReceiver, ScriptedServer


@pytest.mark.slow
def test_ingested_spans_of_two_services_are_their_ledgers_together(
    tmp_path: Path, server: ScriptedServer
) -> None:
    """Totals by every grouping and of each session agree; reading it all again changes nothing."""
    with OtlpReceiver() as receiver:
        run_services(Programs(tmp_path, server.base_url), tmp_path, receiver.url)
        wire = tmp_path / "wire.jsonl"
        wire.write_bytes(received(receiver))
    check_one_tally(tmp_path, wire)
