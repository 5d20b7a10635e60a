"""Makes the files of ``tests/foreign_spans/`` anew: ``make foreign-spans`` (no test by itself).

Each file holds the spans that a package really made over our scripted servers. What differs from run to run
(times, ids made up by the package, paths) is made alike, and what no reader looks at is left out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from foreign_server import MessagesServer
from spantally.testing import Reply, ScriptedServer, Usage

HERE = Path(__file__).parent
ROOT = HERE.parent

ENVIRONMENTS = {
    "wire": (
        *("official-openai", "official-anthropic", "openinference-openai", "openinference-anthropic"),
        *("openllmetry-openai", "openllmetry-anthropic", "anthropic-native"),
    ),
    "logfire": (
        *("logfire-openai", "logfire-anthropic", "pydantic-ai-2", "pydantic-ai-3", "pydantic-ai-4"),
        *("pydantic-ai-5", "pydantic-ai-6", "langfuse"),
    ),
    "agents": (
        *("agents-openinference", "agents-openllmetry", "agents-official", "langsmith", "mlflow"),
        *("traceloop", "mcp-native"),
    ),
    "openlit": ("openlit-openai", "openlit-anthropic"),
}
"""Which dialects are driven in which environment (``.venv-foreign-NAME``)."""
VERCEL = {"v5": "js5", "legacy": "js", "current": "js"}

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIMED = re.compile(r"time_to|time_per|duration|msTo|msBetween|PerSecond|hit_ratio")
_LEFT_OUT = re.compile(
    r"^(code\.|logfire\.json_schema|pydantic_ai\.all_messages|model_request_parameters|llm\.tools|mlflow\.trace"
    r"|langfuse\.observation\.completion_start_time|langsmith\.metadata\.LANGSMITH|embedding\.embeddings"
    r"|ai\.embedding|ai\.values?$|ai\.request\.headers|gen_ai\.tool\.definitions|mlflow\.spanLogLevel)"
)


def alike(key: str, value: Any) -> Any:
    """A value without what differs from run to run."""
    if isinstance(value, float) and _TIMED.search(key):
        return 0.25
    if isinstance(value, str):
        return re.sub(
            r"took [0-9.]+s", "took 0.25s", _UUID.sub("00000000-0000-7000-8000-000000000000", value)
        )
    return value


def write(name: str, billed: dict[str, int], packages: dict[str, str], spans: list[dict[str, Any]]) -> None:
    """One file."""
    for span in spans:
        span["attributes"] = {
            key: alike(key, value) for key, value in span["attributes"].items() if not _LEFT_OUT.match(key)
        }
    made = {"dialect": name, "packages": packages, "billed": billed, "spans": spans}
    (HERE / "foreign_spans" / f"{name}.json").write_text(
        json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    )
    print(f"{name}: {len(spans)} spans")


def python_dialects() -> None:
    """What Python packages make."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SPANTALLY_"))
    }
    environ["PYTHONPATH"] = str(ROOT / "src")
    for environment, names in ENVIRONMENTS.items():
        python = ROOT / f".venv-foreign-{environment}" / "bin" / "python"
        for name in names:
            done = subprocess.run(
                [str(python), str(HERE / "foreign_capture.py"), name],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
                env=environ,
            )
            if done.returncode:
                raise SystemExit(f"{name}: {done.stderr[-2000:]}")
            told = json.loads(done.stdout.splitlines()[-1])
            write(name, told["billed"], told["packages"], told["spans"])


def vercel() -> None:
    """What the Vercel AI SDK makes, where node is there."""
    for mode, folder in VERCEL.items():
        place = ROOT / f".venv-foreign-{folder}"
        if not (place / "node_modules").is_dir():
            print(f"vercel-{mode}: {place} is not there, its file stays as it is")
            continue
        script = place / "foreign_vercel.mjs"
        script.write_text((HERE / "foreign_vercel.mjs").read_text())
        usage = Usage(input=1200, output=34, cached=200, reasoning=8)
        with ScriptedServer(Reply(text="four", usage=usage)) as server, MessagesServer() as messages:
            where = {"OPENAI_BASE_URL": server.base_url, "ANTHROPIC_BASE_URL": messages.url}
            done = subprocess.run(
                ["node", script.name, mode],
                cwd=place,
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
                env={**os.environ, **where},
            )
            billed = {"openai": len(server.bills), "anthropic": messages.served}
        version = json.loads((place / "node_modules/ai/package.json").read_text())["version"]
        write(f"vercel-{mode}", billed, {"ai": version}, json.loads(done.stdout))


if __name__ == "__main__":
    (HERE / "foreign_spans").mkdir(exist_ok=True)
    python_dialects()
    vercel()
