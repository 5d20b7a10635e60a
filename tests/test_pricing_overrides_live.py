"""Rates of the user's own in a real program: from its settings file to the rows and sums of its ledger."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_ledger import invoke
from own_rates_kit import UseOwn, own
from spantally.ground.money import CostStatus
from spantally.pricing.rate import rate
from spantally.testing import ScriptedServer
from watching import Watched

__all__ = ["own"]

SETTINGS = """
[[rate]]
name = "plan"
host = "127.0.0.1"
model = "gpt-4o"
covered = true
[[rate]]
name = "home"
host = "127.0.0.1"
model = "llama*"
free = true
[[rate]]
name = "gpu"
host = "127.0.0.1"
model = "qwen"
per_second = 1
[[rate]]
name = "deal"
host = "127.0.0.1"
model = "gpt-4o-mini"
multiplier = 0.5
[[rate]]
name = "wrong"
input = "x"
"""
PROGRAM = """
import openai
client = openai.OpenAI(api_key="unused")
for model in ("gpt-4o", "llama3.2", "qwen", "gpt-4o-mini", "nobody"):
    client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
question = [{"role": "user", "content": "hi"}]
for _ in client.chat.completions.create(model="qwen", messages=question, stream=True):
    pass
"""
WAITING = """
import sys, time
while not sys.modules["spantally.pricing.rates"].loaded():
    time.sleep(0.05)
"""
"""On a busy machine the program ends before the prices are there, and nobody has said what is wrong yet."""
NEVER = """
import sys, time
sys.modules["spantally.pricing.rates"]._read = lambda pause: time.sleep(60)
"""
"""Prices that do not come while the program runs."""


@pytest.fixture
def run_program(tmp_path: Path, server: ScriptedServer) -> Callable[..., str]:
    """Runs the program with no code of ours in it; gives what it says on stderr."""
    (tmp_path / "spantally.toml").write_text(SETTINGS)
    program = tmp_path / "program.py"

    def run(before: str = "", after: str = WAITING, **environ: str) -> str:
        program.write_text(before + textwrap.dedent(PROGRAM) + after)
        done = subprocess.run(
            [sys.executable, "-m", "spantally.cli", "run", "--quiet", "--", sys.executable, str(program)],
            capture_output=True,
            text=True,
            timeout=60,
            env={
                **os.environ,
                "OPENAI_BASE_URL": server.base_url,
                "SPANTALLY_CONFIG": str(tmp_path / "spantally.toml"),
                **environ,
            },
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


def rows(*arguments: str) -> list[dict[str, Any]]:
    """What a query gives as JSON."""
    done = invoke(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_from_the_settings_file_to_the_sums(run_program: Callable[..., str]) -> None:
    """Each call by its entry, with usage or without; list value apart from spend; what is wrong told once."""
    said = run_program()
    assert said.count("rate 5 (wrong): input='x' is not allowed") == 1
    calls = rows("calls", "--kind", "inference")
    by_model = {(row["model"], row["cost_status"]): row for row in calls}
    covered = by_model["gpt-4o", "covered"]
    assert covered["cost_nano_usd"] is None
    assert covered["list_nano_usd"] == covered["input_tokens"] * 2_500 + covered["output_tokens"] * 10_000
    assert covered["price_id"].startswith("plan;list openai/gpt-4o")
    free = by_model["llama3.2", "free"]
    assert (free["cost_nano_usd"], free["price_id"]) == (0, "home")
    deal = by_model["gpt-4o-mini", "override"]
    assert deal["cost_nano_usd"] == deal["input_tokens"] * 75 + deal["output_tokens"] * 300
    assert deal["cost_source"].startswith("override spantally.toml@")
    assert ("nobody", "unknown_model") in by_model
    seconds = [row for row in calls if row["model"] == "qwen"]
    assert [row["cost_status"] for row in seconds] == ["override", "override"]
    assert {row["input_tokens"] is None for row in seconds} == {True, False}  # a stream without usage
    for row in seconds:
        assert row["cost_nano_usd"] == pytest.approx(row["duration_ms"] * 1_000_000, abs=1)
    [total] = rows("cost", "--by", "project")
    assert total["cost_nano_usd"] == sum(row["cost_nano_usd"] or 0 for row in calls)
    assert (total["covered_calls"], total["list_nano_usd"]) == (1, covered["list_nano_usd"])
    assert (total["calls"], total["unpriced_calls"]) == (6, 2)
    text = invoke("cost", "--by", "project").stdout
    assert "1 unpriced" in text
    assert f"1 covered (list value ${covered['list_nano_usd'] / 1e9:.9f}".rstrip("0") in text


def test_pending_rows_are_rated_by_the_next_reader(
    run_program: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends before its prices are there leaves rows to the reader, and its settings file."""
    run_program(before=NEVER, after="")
    monkeypatch.setenv("SPANTALLY_CONFIG", str(tmp_path / "spantally.toml"))
    # In a process of its own: this one may have read other settings before.
    words = [sys.executable, "-m", "spantally.cli"]
    told = [
        json.loads(subprocess.run([*words, *more, "--json"], capture_output=True, check=True).stdout)
        for more in (("calls", "--kind", "inference"), ("prices", "--missing"))
    ]
    assert {row["cost_status"] for row in told[0]} == {"covered", "free", "override", "unknown_model"}
    assert [row["model"] for row in told[1]] == ["nobody"]


@pytest.mark.parametrize("host", ["ollama.lan", "vllm.lan", "litellm.lan", "api.openai.com.lan"])
def test_a_vendors_model_elsewhere_has_no_price(
    host: str, server: ScriptedServer, watched: Watched, own: UseOwn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real SDK at a host that is not the vendor's: no rate, no discount; an entry for the host holds."""
    import openai

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda name, *rest, **more: real("127.0.0.1" if name == host else name, *rest, **more),
    )
    port = server.base_url.rpartition(":")[2]
    client = openai.OpenAI(api_key="unused", base_url=f"http://{host}:{port}")
    with client:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    [found] = watched.records
    assert found.server_address == host
    own('[[rate]]\nmodel = "gpt-4o"\nmultiplier = 0.5\n')
    assert rate(found).status == CostStatus.UNKNOWN_MODEL
    own(f'[[rate]]\nhost = "{host}"\nfree = true\n')
    assert (rate(found).nano_usd, rate(found).status) == (0, CostStatus.FREE)
