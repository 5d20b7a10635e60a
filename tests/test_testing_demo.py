"""The examples end to end: what they bill, what the tally says of it, and what leaves the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from spantally.testing import Bill, OtlpReceiver, ReceivedSpan, ScriptedServer, demo, load_script

EXAMPLES = Path(__file__).parents[1] / "examples"
BIN = Path(sys.executable).parent

# Nano-USD per token of these models: input, cached input, output.
RATES = {
    "gpt-4o": (2_500, 1_250, 10_000),
    "gpt-4o-mini": (150, 75, 600),
    "text-embedding-3-small": (20, 20, 0),
}
ALL_CONTENT = {
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_and_event",
    "SPANTALLY_LEDGER_CONTENT": "all",
}


def worth(bill: Bill) -> int:
    """What a bill is worth in nano-USD."""
    fresh, cached, out = RATES[bill.model]
    usage = bill.usage
    return (usage.input - usage.cached) * fresh + usage.cached * cached + usage.output * out


class Run(NamedTuple):
    """What came of one run of an example."""

    stdout: str
    stderr: str
    bills: list[Bill]
    spans: list[ReceivedSpan]
    exported: bytes
    ledger: Path

    def query(self, *arguments: str) -> Any:
        """The JSON answer of a spantally command on the run's ledger."""
        command = [str(BIN / "spantally"), *arguments, "--json"]
        env = {**os.environ, "SPANTALLY_LEDGER": str(self.ledger)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def run(name: str, folder: Path, **extra: str) -> Run:
    """Run an example under opentelemetry-instrument, with every signal sent to a receiver."""
    script = load_script(EXAMPLES / "zero_code.json") if name == "zero_code.py" else demo.script()
    ledger = folder / "demo.db"
    with ScriptedServer(script) as server, OtlpReceiver() as receiver:
        env = {
            **os.environ,
            "SPANTALLY_LEDGER": str(ledger),
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "unused",
            "OTEL_SERVICE_NAME": "examples",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_LOGS_EXPORTER": "otlp",
            **extra,
        }
        command = [str(BIN / "opentelemetry-instrument"), sys.executable, name]
        done = subprocess.run(
            command, cwd=EXAMPLES, env=env, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr
        bills = list(server.bills)
        return Run(done.stdout, done.stderr, bills, receiver.spans(), receiver.received(), ledger)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The team in threads, with all content captured."""
    return run("research_team.py", tmp_path_factory.mktemp("team"), **ALL_CONTENT)


@pytest.fixture(scope="module")
def team_async(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The team under asyncio.gather, with all content captured."""
    return run("research_team_async.py", tmp_path_factory.mktemp("async"), **ALL_CONTENT)


@pytest.fixture(params=["team", "team_async"])
def either(request: pytest.FixtureRequest) -> Run:
    """Each of the two teams in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Run)
    return found


def test_the_bill_is_what_the_readme_works_out(either: Run) -> None:
    """Both teams are billed the same, and that is the sum written in examples/README.md."""
    assert sum(worth(bill) for bill in either.bills) == demo.COST_NANO_USD
    assert len(either.bills) + 1 == demo.CALLS  # the refused probe is a call and no bill
    assert f"{demo.COST_NANO_USD:,} = $0.00786132" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert "axial-flux motors save weight" in either.stdout


def test_the_tally_equals_the_bill(either: Run) -> None:
    """One session, and its cost is the bill's to the nano-dollar; the refused call is counted, not priced."""
    (session,) = either.query("sessions")
    assert session["cost_nano_usd"] == demo.COST_NANO_USD
    assert Decimal(session["total_cost"]) == Decimal("0.00786132")
    assert session["calls"] == demo.CALLS
    assert (session["input_tokens"], session["output_tokens"]) == (4336, 580)
    assert session["errors"] >= 1
    assert session["name"] == "research"
    assert session["agents"] == ["planner", "researcher"]
    assert (session["entity_type"], session["entity_id"]) == ("customer", "acme")
    assert session["tags"] == {"feature": "research"}
    assert not session["implicit"]


def test_cost_by_agent_and_model_sums_to_the_bill(either: Run) -> None:
    """The groups are those of the README's table, and together they are the total."""
    rows = either.query("cost", "--by", "agent,model")
    costs = {(row["agent"], row["model"]): row["cost_nano_usd"] for row in rows}
    assert costs.pop((None, "gpt-4o-mini")) in (None, 0)  # the probe, outside every agent
    assert costs == {
        ("planner", "gpt-4o"): 7_360_000,
        ("planner", "text-embedding-3-small"): 320,
        ("researcher", "gpt-4o-mini"): 501_000,
    }


def nodes(children: list[dict[str, Any]], parent: str = "") -> list[tuple[str, str]]:
    """(parent, node) of each node of a tree, by name or operation."""
    found = []
    for node in children:
        label = str(node.get("name") or node["operation"])
        found += [(parent, label), *nodes(node.get("children") or [], label)]
    return found


TREE = sorted(
    [
        ("", "chat"),
        ("", "planner"),
        ("planner", "chat"),
        ("planner", "chat"),
        ("planner", "embeddings"),
        ("planner", "researcher"),
        ("planner", "researcher"),
        *[("researcher", "chat")] * 4,
        *[("researcher", "search")] * 2,
        ("researcher", "fetch"),
    ]
)


def test_the_tree_shows_who_did_what(either: Run) -> None:
    """Planner over two researchers over their tools and calls, however they ran at once; costs add up."""
    (session,) = either.query("show", either.query("sessions")[0]["session_id"])
    assert sorted(nodes(session["children"])) == TREE
    planner = next(node for node in session["children"] if node.get("name") == "planner")
    assert planner["cost_nano_usd"] == demo.COST_NANO_USD


def test_exported_spans_form_the_same_tree_and_carry_the_session(either: Run) -> None:
    """Every span, the HTTP one too, has session.id, user and tags; spans nest as rows do."""
    (session,) = either.query("sessions")
    assert either.spans
    for span in either.spans:
        assert span.attributes["session.id"] == session["session_id"], span.name
        assert span.attributes["user.id"] == session["user_id"]
        assert span.attributes["spantally.tag.feature"] == "research"
    by_id = {span.span_id: span for span in either.spans}
    pairs = []
    for span in either.spans:
        parent = by_id.get(span.parent_span_id)
        pairs.append((label(parent) if parent else "", label(span)))
    assert sorted(pair for pair in pairs if pair != ("fetch", "GET")) == TREE
    assert ("fetch", "GET") in pairs


def label(span: ReceivedSpan) -> str:
    """The name of the agent or tool that a span stands for, else its operation or name."""
    operation = str(span.attributes.get("gen_ai.operation.name", span.name))
    names = {"invoke_agent": "gen_ai.agent.name", "execute_tool": "gen_ai.tool.name"}
    return str(span.attributes[names[operation]]) if operation in names else operation


@pytest.mark.parametrize("place", sorted(demo.PLANTED))
def test_no_planted_secret_leaves_or_stays(either: Run, place: str) -> None:
    """With all content captured no planted secret is in exported bytes or in the ledger's files."""
    secret = demo.PLANTED[place].encode()
    assert secret not in either.exported
    for file in either.ledger.parent.glob("demo.db*"):
        assert secret not in file.read_bytes(), file.name


def test_the_content_around_the_secrets_is_there(either: Run) -> None:
    """The check above is not empty: what stood beside each secret was exported and kept."""
    for text in (b"Our key is", b"battery density", b"archive.example", b"Incorrect API key"):
        assert text in either.exported, text
    kept = b"".join(file.read_bytes() for file in either.ledger.parent.glob("demo.db*"))
    for text in (b"Our key is", b"battery density", b"archive.example"):
        assert text in kept, text


def test_by_default_no_content_leaves_or_stays(tmp_path: Path) -> None:
    """With defaults neither exported bytes nor ledger hold a prompt, answer, tool argument or result."""
    made = run("research_team.py", tmp_path)
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("demo.db*"))
    assert len(made.spans) == len(TREE) + 1
    for text in (b"Our key is", b"electric aircraft", b"Solid-state", b"battery density", b"Found:"):
        assert text not in made.exported, text
        assert text not in kept, text


def test_a_program_without_a_word_of_spantally(tmp_path: Path) -> None:
    """The zero-code program shows up under its script's name, with tools, calls and the true cost."""
    made = run("zero_code.py", tmp_path, SPANTALLY_TOOLS="shop_tools:stock,shop_tools:price")
    assert made.stdout == "Yes, twelve.\n4.50 EUR.\n"
    assert sum(worth(bill) for bill in made.bills) == 101_400
    (session,) = made.query("sessions")
    assert session["implicit"]
    assert session["name"] == "zero_code.py"
    assert (session["calls"], session["cost_nano_usd"]) == (4, 101_400)
    (shown,) = made.query("show", session["session_id"])
    assert sorted(label for _, label in nodes(shown["children"]) if label != "chat") == ["price", "stock"]


def test_run_demo_runs_the_example_and_gives_the_command_line_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The entry that `spantally demo` uses runs the shipped program in this process."""
    before = list(sys.argv)
    demo.run_demo()
    assert "axial-flux motors save weight" in capsys.readouterr().out
    assert sys.argv == before


def test_live_without_a_key_ends_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--live` without OPENAI_API_KEY says so before anything is sent."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(SystemExit, match="OPENAI_API_KEY"), demo.provider(live=True):
        pass
