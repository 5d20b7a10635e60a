"""Fixtures that every test shares."""

from __future__ import annotations

import gc
import os
import signal
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spantally.testing import ScriptedServer
from watching import Watched

# No test may read or write the tally of whoever runs it, nor export anything.
for _name in [name for name in os.environ if name.startswith(("SPANTALLY_", "OTEL_"))]:
    if _name != "SPANTALLY_RECORDINGS":  # told to the tests, not to the package
        del os.environ[_name]

# Every client of an SDK reads the file of the machine's certificates, which takes longer than a call. A
# directory of them is only looked into when one is needed.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = ssl.get_default_verify_paths().openssl_capath

# Shells have their background jobs ignore Ctrl-C, and the programs of the tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_TESTS_APART = 100
"""After as many tests what lives by then is put out of the collector's sight."""
_MODULES_APART = 20
"""And after a test that has imported as many: to walk through an SDK takes longer than most tests."""
_finished = _modules = 0


def pytest_collection_finish() -> None:
    """Thousands of tests are live objects, and what collects garbage would walk through all of them."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logfinish() -> None:
    """The same of what tests leave behind: modules of SDKs, reports."""
    global _finished, _modules
    _finished += 1
    if _finished % _TESTS_APART == 0 or len(sys.modules) >= _modules + _MODULES_APART:
        _modules = len(sys.modules)
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _isolated_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own default ledger."""
    monkeypatch.setenv("SPANTALLY_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))  # the key of redaction tags


@pytest.fixture
def watched() -> Iterator[Watched]:
    """spantally active without a ledger, on a provider of the test's own; everything is taken back."""
    made = Watched()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """The scripted provider on loopback."""
    with ScriptedServer() as running:
        yield running
