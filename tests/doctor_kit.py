"""`spantally doctor` where what it says is not of the SDKs, which take seconds to load."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cli_ledger import invoke
from spantally.cli.checks import process
from spantally.cli.checks.probe import SDKS


def diagnosed() -> list[dict[str, Any]]:
    """What doctor says of this installation; it starts no program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "check", lambda environ: [])
        found: list[dict[str, Any]] = json.loads(invoke("doctor", "--json").stdout)
        return found


def empty_sdks(folder: Path) -> dict[str, str]:
    """Of an environment in which doctor's program finds SDKs with nothing in them."""
    place = folder / "sdks"
    place.mkdir()
    for name in SDKS:
        (place / f"{name}.py").touch()
    return {"PYTHONPATH": os.pathsep.join([str(place), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])}
