"""Websockets with the older major of the SDK, whose connections are built otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

OPENAI_2 = os.environ.get("OPENAI2_PYTHON")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not OPENAI_2, reason="OPENAI2_PYTHON names no Python with openai 2.x")
def test_the_older_major_of_the_sdk_passes_too() -> None:
    """All tests of websockets pass with openai 2.x, whose packages go before our own."""
    assert OPENAI_2 is not None
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    found = subprocess.run([OPENAI_2, "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    env = {name: value for name, value in os.environ.items() if name != "OPENAI2_PYTHON"}
    env["PYTHONPATH"] = found.stdout.strip()
    here = Path(__file__).parent
    tests = sorted(
        str(path)
        for pattern in ("test_openai_sockets_*.py", "test_host_first_sockets.py")
        for path in here.glob(pattern)
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=env,
    )
    assert done.returncode == 0, done.stdout[-4000:]
