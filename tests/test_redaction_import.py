"""What `import spantally.redaction` brings into a process: nothing that costs more than it is worth there."""

from __future__ import annotations

import subprocess
import sys

import pytest

LATE = (
    "ahocorasick_rs",
    "hashlib",
    "logging",
    "pathlib",
    "urllib.parse",
    "opentelemetry",
    "spantally.redaction.engine",
)
"""Each is a fifth of that import or more; most come with the first text that has a secret."""


@pytest.mark.parametrize("used", ["import spantally.redaction", "from spantally import redact"])
def test_what_comes_later(used: str) -> None:
    """What the interpreter itself brings (an editable install imports things) does not count."""
    code = (
        f"import sys; before = set(sys.modules); {used}; new = set(sys.modules) - before; "
        f"print(*new.intersection({LATE!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


def test_all_of_it_works_when_it_comes() -> None:
    code = (
        "import spantally.redaction as r; from spantally.ground.guard import say_once; "
        "assert 'hunter2' not in r.redact('password=hunter2 ' + 'key ' * 400); "
        "say_once('a', 'spantally: %s', 'said'); say_once('a', 'spantally: %s', 'said')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.count("spantally: said") == 1
