"""The pytest plugin: limits fail a test after its run, and the summary tells what each test cost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from spantally.testing import Reply, ScriptedServer, Usage

HEAD = """
import os
import openai
import pytest
import spantally

def ask(model="gpt-4o-mini"):
    with openai.OpenAI(max_retries=0) as client:
        messages = [{"role": "user", "content": "hello"}]
        return client.chat.completions.create(model=model, messages=messages).choices[0].message.content
"""
NO_CALLS = "import pytest\n"
"""For tests that ask no model: importing its SDK takes a second."""
PRICE = "0.0000021"
"""Of one call: 10 tokens in at $0.15 and 1 out at $0.60 a million."""


ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Other plugins that are installed here are no part of this, and load for two seconds."""
XDIST = ("-p", "xdist.plugin")
ANYIO = ("-p", "anyio.pytest_plugin")


def arguments(folder: Path, *options: str, plugin: bool = True, name: str = "test_user.py") -> list[str]:
    """What pytest is told."""
    return [
        *("-p", "no:cacheprovider", "--strict-markers", "-W", "error"),
        *(("-p", "spantally.testing.plugin") if plugin else ()),
        *(f"--basetemp={folder / 'base'}", "-c", os.devnull, f"--rootdir={folder}", *options, name),
    ]


def run(
    folder: Path, body: str, *options: str, plugin: bool = True, head: str = HEAD, **environ: str
) -> tuple[int, str]:
    """Run a file of tests in a pytest of its own, on the scripted server; exit code and output."""
    (folder / "test_user.py").write_text(head + body)
    with ScriptedServer([Reply(text="hi", usage=Usage(input=10, output=1))] * 40) as server:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments(folder, *options, plugin=plugin)],
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=100,
            env={
                **os.environ,
                **ALONE,
                "OPENAI_BASE_URL": server.base_url,
                "OPENAI_API_KEY": "unused",
                **environ,
            },
            check=False,
        )
    return done.returncode, done.stdout + done.stderr


def table(output: str) -> list[str]:
    """The table of the summary, without its spacing."""
    # Up to the next heading: where CI is set, pytest's own summary below has lines of any form.
    lines = output.partition("spantally costs")[2].splitlines()[1:]
    return [
        " ".join(line.split()) for line in takewhile(lambda line: not line.startswith("="), lines) if line
    ]


LIMITS = """
@pytest.mark.cost(max_usd=PRICE, max_calls=1, max_tokens=11)
def test_within():
    ask()

@pytest.mark.cost(max_usd="0.000002")
def test_money():
    ask()

@pytest.mark.cost(max_calls=1)
class TestClass:
    @pytest.mark.cost(max_tokens=100)
    def test_calls(self):
        ask(), ask()

@pytest.mark.cost(max_tokens=10)
def test_tokens():
    ask()

@pytest.mark.cost(max_usd=1)
def test_unpriced():
    ask("my-own-model")

@pytest.mark.cost()
@pytest.mark.parametrize("times", [1, 3])
def test_measured(times):
    for _ in range(times):
        ask()

@pytest.mark.cost(max_calls=0)
def test_own_failure():
    ask()
    assert 1 == 2

def test_unmarked():
    ask()
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), (*XDIST, "-n", "2")], ids=["one process", "xdist"])
def test_limits(tmp_path: Path, options: tuple[str, ...]) -> None:
    """A broken limit fails its test with both figures, and the table is the same over two processes."""
    code, output = run(tmp_path, LIMITS.replace("PRICE", repr(PRICE)), *options)
    assert code == 1, output
    assert "5 failed, 4 passed" in output
    for line in (
        "cost: $0.0000021, max_usd is $0.000002",
        "cost: 2 calls, max_calls is 1 call",
        "cost: 11 tokens, max_tokens is 10 tokens",
        "cost: unknown, max_usd is $1.00: the cost of 1 call is not known: 1 unknown_model (my-own-model)",
        "assert 1 == 2",
    ):
        assert line in output, output
    shown = table(output)
    assert shown[0] == "CALLS TOKENS COST UNPRICED TEST"
    assert shown[1] == "3 33 $0.0000063 test_user.py::test_measured[3]"
    assert shown[2] == "2 22 $0.0000042 test_user.py::TestClass::test_calls"
    assert "1 11 - 1 test_user.py::test_unpriced" in shown
    assert shown[-1] == "11 121 $0.000021 1 total of 8 tests, 8 shown"
    assert "test_unmarked" not in " ".join(shown)


def test_fixtures(tmp_path: Path) -> None:
    """The session is named after the test, the ledger has what was just done, and both are there unmarked."""
    body = """
def test_it(spantally_session, spantally_ledger):
    ask()
    assert spantally_session.totals.calls == 1
    (row,) = spantally_ledger.sessions()
    assert (row.session_id, row.name, row.calls) == (spantally_session.id, "test_it", 1)
    assert row.title == "test_user.py::test_it"
    assert os.environ["SPANTALLY_LEDGER"] == str(spantally_ledger.path)

def test_alone(spantally_ledger):
    assert spantally_ledger.calls() == []

def test_nothing_is_left():
    from spantally.api import runtime
    assert runtime.current is None
"""
    code, output = run(tmp_path, body, "--spantally-costs=1")
    assert code == 0, output
    assert table(output)[1:] == [
        "1 11 $0.0000021 test_user.py::test_it",
        "1 11 $0.0000021 total of 2 tests, 1 shown",
    ]


def test_asynchronous_tests(tmp_path: Path) -> None:
    """The task of an asynchronous test belongs to the test's session, also one that is older than it."""
    body = """
@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"

@pytest.fixture(scope="module", autouse=True)
async def of_the_module(anyio_backend):
    yield  # its task, which began before the test, runs the test as well

@pytest.mark.anyio
@pytest.mark.cost(max_calls=1)
async def test_it(spantally_session, spantally_ledger):
    async with openai.AsyncOpenAI(max_retries=0) as client:
        messages = [{"role": "user", "content": "hello"}]
        await client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    assert spantally_session.totals.calls == 1
"""
    code, output = run(tmp_path, body, *ANYIO)
    assert code == 0, output


def test_what_was_watched_before_is_restored(tmp_path: Path) -> None:
    """A program that is watched already has its own ledger again after the test."""
    body = """
spantally.instrument(ledger="mine.db")

def test_before():
    ask()

@pytest.mark.cost(max_calls=1)
def test_watched():
    ask()

def test_after():
    ask()
    spantally.flush()
    with spantally.open_ledger("mine.db") as ledger:
        assert len(ledger.calls()) == 2
"""
    code, output = run(tmp_path, body)
    assert code == 0, output


def test_what_cannot_be_measured_fails(tmp_path: Path) -> None:
    """A test that takes spantally down, or runs with it switched off, is not under its limit."""
    body = """
@pytest.mark.cost(max_usd=1)
def test_it():
    import spantally
    spantally.uninstrument()
"""
    code, output = run(tmp_path, body, head=NO_CALLS)
    assert (code, "took spantally down" in output) == (1, True), output
    code, output = run(tmp_path, body, head=NO_CALLS, SPANTALLY_DISABLED="true")
    assert (code, "spantally is switched off" in output) == (1, True), output


WRONG = {
    "cost(max_usd=-1)": "cost(max_usd)=-1: use dollars from 0 up",
    "cost(max_calls=1.5)": "cost(max_calls)=1.5: use a whole number from 0 up",
    "cost(0.5)": "cost(0.5,): name its arguments",
    "cost(usd=1)": "cost() knows no usd; its arguments are",
}
RUNS = """
import json, sys
import pytest
for arguments in json.loads(sys.argv[1]):
    print("ended with", int(pytest.main(arguments)), flush=True)
"""


@pytest.fixture(scope="module")
def said_of_wrong_marks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each run over a test with a wrong mark says, by the mark; one process has them all."""
    folder = tmp_path_factory.mktemp("wrong")
    runs = []
    for number, mark in enumerate(WRONG):
        (folder / f"test_{number}.py").write_text(f"{NO_CALLS}@pytest.mark.{mark}\ndef test_it(): pass\n")
        runs.append(arguments(folder, name=f"test_{number}.py"))
    done = subprocess.run(
        [sys.executable, "-c", RUNS, json.dumps(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        timeout=100,
        env={**os.environ, **ALONE, "PYTHONUNBUFFERED": "1"},
        check=True,
    )
    said = re.split(r"(?<=ended with \d)\n", done.stdout)
    return dict(zip(WRONG, said, strict=False))


@pytest.mark.parametrize(("mark", "text"), WRONG.items())
def test_a_wrong_mark(said_of_wrong_marks: dict[str, str], mark: str, text: str) -> None:
    """A wrong argument of the mark ends the run before any test, naming test, value and what is allowed."""
    output = said_of_wrong_marks[mark]
    assert output.endswith("ended with 4"), output
    assert text in output
    assert f"test_{list(WRONG).index(mark)}.py::test_it" in output


def test_a_wrong_mark_in_a_worker(tmp_path: Path) -> None:
    """Under pytest-xdist, whose workers cannot end the run, a wrong mark fails its test, and only that."""
    body = """
@pytest.mark.cost(max_usd=-1)
def test_wrong(): pass

def test_right(): pass
"""
    code, output = run(tmp_path, body, *XDIST, "-n", "1", head=NO_CALLS)
    assert code == 1, output
    assert "@pytest.mark.cost(max_usd)=-1: use dollars from 0 up" in output
    assert "1 passed, 1 error" in output


def test_reported_by_unittest(tmp_path: Path) -> None:
    """Methods of a unittest.TestCase are held against their limits, too; no table where none is wanted."""
    body = """
import unittest

class TestOld(unittest.TestCase):
    @pytest.mark.cost(max_calls=0)
    def test_it(self):
        ask()
"""
    code, output = run(tmp_path, body, "--spantally-costs=off")
    assert code == 1, output
    assert "cost: 1 call, max_calls is 0 calls" in output
    assert table(output) == []


def test_a_wrong_option(tmp_path: Path) -> None:
    """A wrong number of rows is a usage error."""
    code, output = run(tmp_path, "def test_it(): pass\n", "--spantally-costs=few", head=NO_CALLS)
    assert (code, "use a number, all or off" in output) == (4, True), output


def test_nobody_gets_it_unasked(tmp_path: Path) -> None:
    """Without being named the plugin is not there: the mark is unknown."""
    body = "@pytest.mark.cost(max_usd=1)\ndef test_it(): pass\n"
    code, output = run(tmp_path, body, plugin=False, head=NO_CALLS)
    assert code != 0
    assert "'cost' not found in `markers`" in output
