"""``python -m spantally.testing``: the scripted server from a shell.

Alone it prints its base URL and serves until it is interrupted. With a command after ``--`` it runs the
command against itself (base URL and key of the OpenAI and Anthropic SDKs stand in variables for it) and
ends with its exit code.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Sequence

from spantally.testing.script import load_script
from spantally.testing.server import ScriptedServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m spantally.testing", description="A scripted OpenAI-compatible server on loopback."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port; 0 (the default) takes a free one")
    parser.add_argument("--script", metavar="FILE", help="JSON list of replies; without it: an echo")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- COMMAND to run against the server")
    options = parser.parse_args(arguments)
    try:
        script = load_script(options.script) if options.script else None
    except (OSError, ValueError) as error:
        parser.error(str(error))
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    with ScriptedServer(script, host=options.host, port=options.port) as server:
        if command:
            env = {
                **os.environ,
                "OPENAI_BASE_URL": server.base_url,
                "OPENAI_API_KEY": os.environ.get("OPENAI_API_KEY") or "unused",
                "ANTHROPIC_BASE_URL": server.url,
                "ANTHROPIC_API_KEY": os.environ.get("ANTHROPIC_API_KEY") or "unused",
            }
            return subprocess.run(command, env=env, check=False).returncode  # noqa: S603 - the user's command
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
