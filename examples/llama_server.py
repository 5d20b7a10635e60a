"""Run a command against a real model on this machine: the llama.cpp server with a small GGUF file.

    python llama_server.py MODEL.gguf -- python research_team.py

It needs ``xllamacpp`` in the Python that runs it (``make demo-real`` sees to that, and to a model file).
The command finds the server by OPENAI_BASE_URL and OPENAI_API_KEY, and the model by RESEARCH_MODEL; its exit
code is returned. No price list knows the model, so its calls are tallied as unpriced, not as free.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

NAME = "smollm2-135m-instruct"  # as the server calls its model


def main() -> int:
    model, dashes, *command = sys.argv[1:] or [""]
    if not Path(model).is_file() or dashes != "--" or not command:
        print("usage: python llama_server.py MODEL.gguf -- COMMAND ...", file=sys.stderr)
        return 2
    import xllamacpp  # type: ignore[import-not-found, unused-ignore]

    key = secrets.token_urlsafe(16)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {NAME}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = 8192
    parameters.n_parallel = 2
    parameters.api_keys = [key]
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": f"{server.listening_address}/v1",
        "OPENAI_API_KEY": key,
        "RESEARCH_MODEL": NAME,
    }
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - the user's command


if __name__ == "__main__":
    sys.exit(main())
