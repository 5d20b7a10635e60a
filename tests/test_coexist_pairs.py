"""Any two instrumentors of one SDK at work together: one counted row of each call, with the right cost."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest

HERE = Path(__file__).parent
PLACE = Path(os.environ.get("PEER_ENVIRONMENTS") or HERE.parent) / ".venv-peer-pairs"

OTHERS: Final = ("official", "openinference", "openllmetry")
WIRE: Final = ("ours", *OTHERS)
"""Who sees a call of the openai SDK."""
PAIRS: Final = (
    *combinations((*WIRE, "native"), 2),
    *(("pydantic-ai", name) for name in WIRE),
    (*WIRE, "native", "pydantic-ai"),
)
REVERSED: Final = tuple((second, first) for first, second in combinations(WIRE, 2))
"""By call the order is the program's; without code it is the loader's."""
ZERO: Final = (*combinations((*WIRE, "native"), 2), ("pydantic-ai", "ours"), PAIRS[-1])
RUNS: Final = (*(("call", pair) for pair in (*PAIRS, *REVERSED)), *(("zero", pair) for pair in ZERO))

GPT, EMBEDDING, CLAUDE = (1200, 34, 200, 185_400), (1200, 0, 0, 24_000), (1500, 34, 1000, 2_460_000)
BILL: Final = {"embeddings": EMBEDDING, "message": CLAUDE, "message stream": CLAUDE, "agent message": CLAUDE}
"""Input, output and cached tokens and nano-USD of one call, by form; all others are as GPT."""
TELL_RETENTION: Final = frozenset({"ours", "native", "openinference"})
"""Whose views tell how long written cache entries are kept: without one of them the cost is an estimate."""

pytestmark = [pytest.mark.peers, pytest.mark.timeout(480)]

_pool = ThreadPoolExecutor(2)
_runs: dict[str, Future[Any]] = {}


def seen(mode: str, names: tuple[str, ...]) -> Any:
    """What the program saw; the first question starts all runs, two at a time."""
    if not (PLACE / "peers").is_dir():
        pytest.skip(f"{PLACE} is not there: make peers")
    if not _runs:
        _runs["call"] = _pool.submit(told, "call", [pair for kind, pair in RUNS if kind == "call"])
        for kind, pair in RUNS:
            if kind == "zero":
                _runs["+".join(pair)] = _pool.submit(told, "zero", [pair])
    lines = _runs["call" if mode == "call" else "+".join(names)].result(timeout=460)
    (found,) = [line for line in lines if line["names"] == [*names]]
    return found


def told(mode: str, sets: list[tuple[str, ...]]) -> list[Any]:
    """Run the program in that environment."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST"))}
    environ = {name: value for name, value in environ.items() if not name.startswith("SPANTALLY_")}
    installed = [name for name in OTHERS if any(name in names for names in sets)]
    environ["PYTHONPATH"] = os.pathsep.join(str(PLACE / "peers" / name) for name in installed)
    environ |= {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    program = [str(PLACE / "bin" / "python"), str(HERE / "pairs_program.py"), mode, *map("+".join, sets)]
    if mode == "zero":
        program.insert(0, str(PLACE / "bin" / "opentelemetry-instrument"))
        if "ours" not in sets[0]:
            environ["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = "spantally_openai,spantally_anthropic"
    with tempfile.TemporaryDirectory() as folder:
        environ["SPANTALLY_LEDGER"] = str(Path(folder) / "tally.db")
        done = subprocess.run(program, capture_output=True, text=True, timeout=440, check=False, env=environ)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"names"')]


def is_seen(form: str, names: tuple[str, ...], instrumentors: list[str]) -> bool:
    """True if anybody of these traces that form of call."""
    if form.startswith("agent"):
        return True
    if "message" not in form:
        return any(name in WIRE for name in names)
    ours = "ours" in names and "AnthropicInstrumentor" in instrumentors
    return ours or any(name in (*OTHERS, "native") for name in names)


def expected(form: str, names: tuple[str, ...], instrumentors: list[str], row: list[Any]) -> tuple[Any, ...]:
    """Tokens, cost and status of the form's counted row."""
    bill = BILL.get(form, GPT)
    if bill is not CLAUDE:
        return (*bill, "priced")
    telling = {*names} - (set() if "AnthropicInstrumentor" in instrumentors else {"ours"})
    if form == "agent message" and not telling & {"ours", "native"}:
        return (*bill, "estimated")  # pydantic-ai streams, and its own span wins: retention is assumed
    if form == "message stream" and "openllmetry" in telling:
        # Alone, or around OpenInference's and keeping the usage from it, OpenLLMetry counts a token too many.
        alone = telling <= {"openllmetry", "pydantic-ai"}
        if alone or (telling == {"openinference", "openllmetry"} and row[2] == 35):
            return (1500, 35, 1000, 2_475_000, "estimated")
    return (*bill, "priced" if telling & TELL_RETENTION else "estimated")


def label(part: str | tuple[str, ...]) -> str:
    """How a run is called."""
    return part if isinstance(part, str) else "+".join(part)


@pytest.mark.parametrize(("mode", "names"), RUNS, ids=label)
def test_one_call_is_one_counted_row_with_its_cost(mode: str, names: tuple[str, ...]) -> None:
    """Whoever is installed together, by call and without code: one row, and its cost."""
    run = seen(mode, names)
    assert run["failures"] == []
    for form, ledger in run["forms"].items():
        if not is_seen(form, names, run["ours"]):
            assert ledger["counted"] == [], form
            continue
        (row,) = ledger["counted"]
        assert tuple(row[1:]) == expected(form, names, run["ours"], row), form
