"""Programs of ``examples/from_*`` in processes of their own, and what the command line says of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cli_ledger import invoke
from spantally.testing import ScriptedServer

WARNINGS = ("-W", "error", "-W", "ignore:The model:DeprecationWarning")
"""That a provider lets a model of the programs grow old is no fault of theirs."""

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


class Migration:
    """The programs of one system, one after the other, in one folder and on one ledger."""

    def __init__(self, system: str, folder: Path, ledger: Path, server: ScriptedServer) -> None:
        self.system = system
        self.folder = folder
        self.ledger = ledger
        self.server = server

    def run(self, program: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program, which must end well; warnings are errors."""
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-W",
                "ignore:The model:DeprecationWarning",
                str(EXAMPLES / self.system / f"{program}.py"),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env={
                **os.environ,
                "SPANTALLY_LEDGER": str(self.ledger),
                "OPENAI_BASE_URL": self.server.base_url,
                "OPENAI_API_KEY": "unused",
                "ANTHROPIC_BASE_URL": self.server.base_url.removesuffix("/v1"),
                "ANTHROPIC_API_KEY": "unused",
                **env,
            },
            check=False,
        )
        assert done.returncode == 0, (program, done.stdout, done.stderr)
        return done

    def command(self, *words: str) -> str:
        """What a command prints."""
        done = invoke("--ledger", str(self.ledger), *words)
        assert done.exit_code == 0, done.output
        return done.stdout

    def objects(self, *words: str) -> list[dict[str, Any]]:
        """What a command says in JSON."""
        found: list[dict[str, Any]] = json.loads(self.command(*words, "--json"))
        return found

    def one(self, *words: str) -> dict[str, Any]:
        """The only object that a command says."""
        (found,) = self.objects(*words)
        return found

    @property
    def billed(self) -> tuple[int, int]:
        """What the server billed so far: tokens in and out."""
        sums = self.server.billed.values()
        return sum(one.input for one in sums), sum(one.output for one in sums)


def nested(node: dict[str, Any]) -> list[dict[str, Any]]:
    """All that is beneath a node of `show`, in order."""
    return [one for child in node["children"] for one in (child, *nested(child))]


def gpt_4o(tokens_in: int, tokens_out: int) -> int:
    """Nano-USD of uncached tokens: $2.50 a million in, $10 a million out."""
    return 2_500 * tokens_in + 10_000 * tokens_out


def gpt_4o_mini(tokens_in: int, tokens_out: int) -> int:
    """Nano-USD of uncached tokens: $0.15 a million in, $0.60 a million out."""
    return 150 * tokens_in + 600 * tokens_out
