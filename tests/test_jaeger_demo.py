"""`make jaeger-demo`: the examples in a Jaeger of their own, with the address and what to search for."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from jaeger_kit import ROOT, binary
from program_kit import environment, ok

pytestmark = [pytest.mark.collector, pytest.mark.timeout(180)]
DEMO = ROOT / "tools" / "jaeger" / "demo.py"


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [sys.executable, str(DEMO), "--once", *words],
        env=environment(SPANTALLY_LEDGER="/nowhere/at/all.db", OTEL_SERVICE_NAME="somebody"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_says_where_the_sessions_are() -> None:
    """It names both sessions, with the services that they run through, and owns up to missing pages."""
    if binary() is None:
        pytest.skip("Jaeger is not here; `make jaeger` builds it")
    done = ok(demo())
    assert re.search(r"session research-\w+: \d+ spans of research-team\n", done.stdout)
    (order,) = re.findall(r"session (order-\w+): \d+ spans of buyer and supplier\n", done.stdout)
    assert f"Search: Service buyer, Tags (newer pages: Attributes) session.id={order}\n" in done.stdout
    assert re.search(r"Trace:  http://127\.0\.0\.1:\d+/trace/[0-9a-f]{32}\n", done.stdout)
    assert "without its pages" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stays_until_a_signal(number: signal.Signals) -> None:
    """Without ONCE Jaeger is there to be looked at, until Ctrl-C or a signal ends both."""
    if binary() is None:
        pytest.skip("Jaeger is not here; `make jaeger` builds it")
    with subprocess.Popen(
        [sys.executable, str(DEMO)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        assert running.stderr
        for line in running.stderr:
            if "Ctrl-C ends Jaeger" in line:
                break
        running.send_signal(number)
        assert running.wait(20) == 0
        (pages,) = re.findall(r"Jaeger is at (\S+)", running.stdout.read())
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(pages, timeout=5)


def test_a_jaeger_that_does_not_run_is_a_clear_message(tmp_path: Path) -> None:
    """A file that is no Jaeger, and a folder that is no build of the pages, end it with what was wrong."""
    none = demo("--jaeger", str(tmp_path / "none"))
    assert none.returncode == 1
    assert "No such file or directory" in none.stderr
    other = demo("--jaeger", sys.executable)
    assert other.returncode == 1
    assert "Jaeger does not start; it says:" in other.stderr
    pages = demo("--ui", str(tmp_path))
    assert pages.returncode == 2
    assert "there is no index.html" in pages.stderr
