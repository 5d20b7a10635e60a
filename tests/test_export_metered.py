"""A ledger that has metered its calls loses and gains nothing by reading the spans that its program sent."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from export_kit import PROGRAM, command, differences
from otlp_files_kit import received
from program_kit import Programs, ok
from spantally.testing import OtlpReceiver, ScriptedServer

START = str(Path(sys.executable).with_name("opentelemetry-instrument"))
ZERO_CODE = PROGRAM.replace("connection = client()", "import spantally\nconnection = client()", 1)


def test_own_spans_change_no_column_of_metered_rows(tmp_path: Path, server: ScriptedServer) -> None:
    """Agents without usage of their own, calls without a known end, failed ones: each column stays."""
    programs = Programs(tmp_path, server.base_url)
    with OtlpReceiver() as receiver:
        env = {
            "OTEL_SERVICE_NAME": "front",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        }
        ok(programs.run(ZERO_CODE, START, instrument=False, env=env))
        (tmp_path / "wire.jsonl").write_bytes(received(receiver))
    command(programs.ledger, "sessions")  # rates what waits
    before = tmp_path / "before.db"
    shutil.copy(programs.ledger, before)
    said = command(programs.ledger, "ingest", str(tmp_path / "wire.jsonl")).output
    assert "rows (0 new, 0 changed)" in said
    assert " 0 rows" not in said
    assert differences(before, programs.ledger) == []
