"""Programs in processes of their own, over a scripted server, each with a time limit and a stack dump."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import spantally
from spantally.ledger.contract import CallRow, SessionRow

PRELUDE = """
import faulthandler, gc, os, sys
def _limit():
    faulthandler.dump_traceback_later({limit}, exit=True)

_limit()
if hasattr(os, "register_at_fork"):  # the thread of this limit would be missed by a child
    os.register_at_fork(
        before=faulthandler.cancel_dump_traceback_later, after_in_child=_limit, after_in_parent=_limit
    )
gc.disable()  # while hundreds of classes are made, none of which goes again
import openai
gc.freeze()
gc.enable()

def client(**given):
    return openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="sk-made-up-0001", max_retries=0, **given)

def ask(connection, text="hello", **given):
    made = connection.chat.completions.create(
        model="gpt-4o", messages=[{{"role": "user", "content": text}}], **given
    )
    return made if given else made.choices[0].message.content
"""
INSTRUMENT = "import spantally\nspantally.instrument()\n"


def environment(**values: str) -> dict[str, str]:
    """The environment of a program: this one's, without settings of ours and OpenTelemetry's."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SPANTALLY_", "OTEL_", "PYTEST_", "COV_"))
    }
    return {**clean, **values}


def free_port() -> int:
    """A port that was free a moment ago; test processes beside each other never get the same one."""
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
        if port // 2 % 8 == mine % 8:  # the system prefers odd ones here
            return port


class Programs:
    """Runs programs against one server and one ledger."""

    python = sys.executable

    def __init__(self, folder: Path, base_url: str) -> None:
        self.folder = folder
        self.ledger = folder / "programs.db"
        self.base_url = base_url

    def environment(self, **values: str) -> dict[str, str]:
        """What a program of these is started with."""
        return environment(
            **{"SPANTALLY_LEDGER": str(self.ledger), "BASE_URL": self.base_url, "HOME": str(self.folder)}
            | values
        )

    def script(self, source: str, *, name: str = "app.py", instrument: bool = True, limit: int = 30) -> Path:
        """Write a program: the prelude, ``instrument()`` unless it is zero code, and its own lines."""
        path = self.folder / name
        body = PRELUDE.format(limit=limit) + (INSTRUMENT if instrument else "") + textwrap.dedent(source)
        path.write_text(body)
        return path

    def start(self, source: str, *before: str, **options: Any) -> subprocess.Popen[str]:
        """Start a program.

        Args:
            source: its lines.
            before: what comes before the interpreter (``opentelemetry-instrument``).
            options: ``env`` for more of the environment; the rest goes to :meth:`script`.
        """
        env = self.environment(**options.pop("env", {}))
        path = self.script(source, **options)
        return subprocess.Popen(
            [*before, self.python, str(path)],
            env=env,
            cwd=self.folder,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, source: str, *before: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return finish(self.start(source, *before, **options))

    def calls(self, kind: str | None = "inference") -> list[CallRow]:
        """Rows of the ledger."""
        with spantally.open_ledger(self.ledger) as ledger:
            return ledger.calls(kind=kind)

    def sessions(self) -> list[SessionRow]:
        """Sessions of the ledger."""
        with spantally.open_ledger(self.ledger) as ledger:
            return ledger.sessions()


def finish(running: subprocess.Popen[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a program; one that hangs is aborted so that its stacks are seen."""
    try:
        out, err = running.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGABRT if os.name == "posix" else signal.SIGTERM)
        out, err = running.communicate(timeout=10)
        message = f"the program did not end in {timeout} s:\n{out}\n{err}"
        raise AssertionError(message) from None
    assert "Timeout (" not in err, err  # what faulthandler writes before it ends the process
    return subprocess.CompletedProcess(running.args, running.returncode, out, err)


def ok(done: subprocess.CompletedProcess[str], code: int = 0) -> subprocess.CompletedProcess[str]:
    """The program, which must have ended with this code."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done
