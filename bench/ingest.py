"""How fast `spantally ingest` reads files of a collector, and how much memory it takes.

    python bench/ingest.py             # 20,000 and 200,000 spans
    python bench/ingest.py 2000        # these many alone

The file is made for it, as the Collector's file exporter writes it: one request of 100 spans a line, agents
with the model calls and tools beneath them, in three dialects by turns, without content. Each size is read by
a process of its own. The ledger's calls and tokens are compared with what was written, and reading the file
again must change nothing. Exit code 1 where one of them is wrong.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SIZES = (20_000, 200_000)
PER_LINE = 100
PER_TRACE = 10
FIRST_NS = 1_793_000_000_000_000_000


class Made(NamedTuple):
    """What a file holds, to compare with."""

    calls: int
    input_tokens: int
    output_tokens: int


class Run(NamedTuple):
    """One process that read a file."""

    seconds: float
    megabytes: float
    said: dict[str, Any]


def attribute(key: str, value: str | int) -> dict[str, Any]:
    """One attribute in OTLP JSON."""
    kind = "intValue" if isinstance(value, int) else "stringValue"
    return {"key": key, "value": {kind: str(value)}}


def call_attributes(dialect: int, tokens_in: int, tokens_out: int) -> dict[str, str | int]:
    """A model call as one of three families of instrumentors writes it."""
    if dialect == 0:
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.usage.input_tokens": tokens_in,
            "gen_ai.usage.output_tokens": tokens_out,
        }
    if dialect == 1:
        return {
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.prompt_tokens": tokens_in,
            "gen_ai.usage.completion_tokens": tokens_out,
            "llm.request.type": "chat",
        }
    return {
        "openinference.span.kind": "LLM",
        "llm.provider": "openai",
        "llm.system": "openai",
        "llm.model_name": "gpt-4o-mini",
        "llm.token_count.prompt": tokens_in,
        "llm.token_count.completion": tokens_out,
    }


def spans(count: int, made: list[int]) -> Iterator[dict[str, Any]]:
    """Traces of one agent with seven model calls and two tools; counts what it makes."""
    chance = random.Random(8)
    trace = ""
    for number in range(count):
        place = number % PER_TRACE
        if place == 0:
            trace = f"{chance.getrandbits(128) | 1:032x}"
        attributes: dict[str, str | int]
        if place == 0:
            name = "invoke_agent planner"
            attributes = {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "planner",
                "session.id": f"session-{number // 500}",
            }
        elif place in (3, 6):
            name = "execute_tool search"
            attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
        else:
            name = "chat gpt-4o-mini"
            tokens_in, tokens_out = chance.randrange(20, 4000), chance.randrange(1, 900)
            attributes = call_attributes(number // PER_TRACE % 3, tokens_in, tokens_out)
            made[0] += 1
            made[1] += tokens_in
            made[2] += tokens_out
        start = FIRST_NS + number * 1_000_000_000
        found = {
            "traceId": trace,
            "spanId": f"{number + 1:016x}",
            "name": name,
            "kind": 3,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + 900_000_000),
            "attributes": [attribute(key, value) for key, value in attributes.items()],
            "status": {},
        }
        if place:
            found["parentSpanId"] = f"{number + 1 - place:016x}"
        yield found


def write(path: Path, count: int) -> Made:
    """Make the file; never more of it in memory than a line."""
    made = [0, 0, 0]
    resource = {"attributes": [attribute("service.name", "shop")]}
    waiting: list[dict[str, Any]] = []
    with path.open("w", encoding="utf-8") as file:

        def put() -> None:
            scoped = [{"scope": {"name": "bench"}, "spans": waiting}]
            request = {"resourceSpans": [{"resource": resource, "scopeSpans": scoped}]}
            file.write(json.dumps(request, separators=(",", ":")) + "\n")
            waiting.clear()

        for span in spans(count, made):
            waiting.append(span)
            if len(waiting) == PER_LINE:
                put()
        if waiting:
            put()
    return Made(*made)


def read(path: Path, ledger: Path) -> Run:
    """Let a process of its own take the file in."""
    command = [sys.executable, "-m", "spantally.cli", "--ledger", str(ledger), "ingest", "--json", str(path)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        answer = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"spantally ingest ended with {process.returncode}")
    kilo = 1024 * 1024 if sys.platform == "darwin" else 1024
    return Run(seconds, usage.ru_maxrss / kilo, json.loads(answer)[0])


def in_ledger(ledger: Path) -> Made:
    """The calls and tokens that the ledger has."""
    db = sqlite3.connect(ledger)
    try:
        return Made(
            *db.execute(
                "SELECT COUNT(*), SUM(input_tokens), SUM(output_tokens) FROM call"
                " WHERE counted AND kind = 'inference'"
            ).fetchone()
        )
    finally:
        db.close()


def measured(count: int, folder: Path) -> bool:
    """Make, read, compare and print one size; whether all is right."""
    path, ledger = folder / f"{count}.jsonl", folder / f"{count}.db"
    made = write(path, count)
    first = read(path, ledger)
    found = in_ledger(ledger)
    again = read(path, ledger)
    right = found == made == in_ledger(ledger) and not again.said["new"] and not again.said["changed"]
    print(
        f"{count:>9,} spans, {path.stat().st_size / 1e6:6.1f} MB: {count / first.seconds:7,.0f} spans/s"
        f" ({first.seconds:.1f} s), peak {first.megabytes:.0f} MB;"
        f" again {count / again.seconds:,.0f} spans/s, peak {again.megabytes:.0f} MB;"
        f" totals {'right' if right else f'WRONG: {found} for {made}, again {again.said}'}",
        flush=True,
    )
    path.unlink()
    return right


def main() -> None:
    """Measure the sizes that are named."""
    sizes = [int(one.replace(",", "").replace("_", "")) for one in sys.argv[1:]] or list(SIZES)
    with tempfile.TemporaryDirectory() as folder:
        right = [measured(size, Path(folder)) for size in sizes]
    raise SystemExit(0 if all(right) else 1)


if __name__ == "__main__":
    main()
