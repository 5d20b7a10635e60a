"""What Jaeger's pages make of our spans: each is taken for what it is, and its sections are filled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import jaeger_view
from jaeger_kit import Jaeger, Span, running
from program_kit import environment, ok

pytestmark = [pytest.mark.collector, pytest.mark.timeout(180)]
PROGRAM = Path(__file__).with_name("jaeger_program.py")

WITHOUT_SECTION = {
    "gen_ai.operation.name",
    "gen_ai.conversation.id",
    "gen_ai.response.id",
    "gen_ai.response.finish_reasons",
    "gen_ai.workflow.name",
    "gen_ai.tool.type",
    "gen_ai.tool.description",
    "gen_ai.data_source.id",
    "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.documents",
    "gen_ai.embeddings.dimension.count",
    "gen_ai.request.encoding_formats",
    "gen_ai.usage.audio.input_tokens",
    "gen_ai.usage.audio.output_tokens",
}
"""For these the pages have no place but the list of other attributes."""


def sent(folder: Path, profile: str, **values: str) -> list[Span]:
    """The spans of the program as Jaeger gives them back, in their order."""
    with running(folder) as jaeger:
        return _sent(jaeger, folder, profile, **values)


def _sent(jaeger: Jaeger, folder: Path, profile: str, **values: str) -> list[Span]:
    exporting = jaeger.exporting("view")
    done = subprocess.run(
        [sys.executable, "-m", "spantally.cli", "run", "--quiet", "--", sys.executable, str(PROGRAM)],
        env=environment(
            SPANTALLY_LEDGER=str(folder / "view.db"), SPANTALLY_SEMCONV=profile, **exporting, **values
        ),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    ok(done)
    return sorted(jaeger.session("view", "view", spans=12), key=lambda span: span.start_us)


@pytest.fixture(scope="module", params=["latest", "1.41"])
def profile(request: pytest.FixtureRequest) -> str:
    """The spelling of the attributes."""
    return str(request.param)


@pytest.fixture(scope="module")
def spans(profile: str, tmp_path_factory: pytest.TempPathFactory) -> list[Span]:
    """Sent with content on."""
    folder = tmp_path_factory.mktemp("view")
    return sent(folder, profile, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="span_only")


def test_each_span_is_taken_for_what_it_is(spans: list[Span]) -> None:
    """Agents, workflows, tools, retrievals and model calls have icons, HTTP and databases keep theirs."""
    assert [(span.name, span.kind, jaeger_view.icon(span.tags)) for span in spans] == [
        ("POST /ask", "server", "http"),
        ("invoke_workflow nightly", "internal", jaeger_view.AGENT),
        ("invoke_agent finder", "internal", jaeger_view.AGENT),
        ("chat gpt-4o-mini", "client", jaeger_view.LLM),
        ("execute_tool search", "internal", jaeger_view.TOOL),
        ("GET", "client", "http"),
        ("SELECT", "client", "db"),
        ("chat gpt-4o-mini", "client", jaeger_view.LLM),
        ("embeddings text-embedding-3-small", "client", jaeger_view.LLM),
        ("chat gpt-4o-mini", "client", jaeger_view.LLM),
        ("text_completion gpt-3.5-turbo-instruct", "client", jaeger_view.LLM),
        ("retrieval vs_1", "client", jaeger_view.RETRIEVAL),
    ]


def test_model_and_status_stand_beside_the_name(spans: list[Span]) -> None:
    """The model of a call, the method and status of a request and the system of a database are its pills."""
    seen = {span.name: jaeger_view.pills(span.tags) for span in spans}
    assert seen["chat gpt-4o-mini"] == ["gpt-4o-mini"]
    assert seen["GET"] == ["200", "GET"]
    assert seen["SELECT"] == ["postgresql"]
    assert seen["execute_tool search"] == seen["invoke_agent finder"] == []


def test_spans_of_others_carry_the_session_and_nothing_of_genai(spans: list[Span]) -> None:
    """HTTP and database spans are found by session and user, and no GenAI attribute stands on them."""
    for span in spans:
        if jaeger_view.icon(span.tags) in ("http", "db") and span.kind == "client":
            assert (span.tags["session.id"], span.tags["user.id"]) == ("view", "alice")
        if jaeger_view.icon(span.tags) in ("http", "db"):
            assert [key for key in span.tags if key.startswith("gen_ai.")] == []


def test_agent_and_model_have_their_sections(spans: list[Span]) -> None:
    """An agent tells name and description; each call beneath tells whose it is, its provider and model."""
    agent = next(span for span in spans if span.name == "invoke_agent finder")
    assert jaeger_view.sections(agent.tags)["agent"] == {
        "gen_ai.agent.name": "finder",
        "gen_ai.agent.description": "Finds things out.",
    }
    calls = [span for span in spans if jaeger_view.kind(span.tags) == jaeger_view.LLM]
    assert len(calls) == 5
    for span in calls:
        sections = jaeger_view.sections(span.tags)
        assert sections["agent"] == {"gen_ai.agent.name": "finder"}
        assert sections["meta"]["gen_ai.provider.name"] == "openai"
    assert jaeger_view.model(calls[3].tags) == "gpt-4o-mini-2024-07-18 (requested: gpt-4o-mini)"


def test_tokens_have_their_section(spans: list[Span], profile: str) -> None:
    """Input, output, cached and reasoning tokens; those written to a cache under the name of profile 1.41."""
    first, _, response = (span for span in spans if span.name == "chat gpt-4o-mini")
    usage = "gen_ai.usage."
    assert jaeger_view.sections(first.tags)["tokens"] == {
        f"{usage}input_tokens": 50,
        f"{usage}output_tokens": 9,
        f"{usage}cache_read.input_tokens": 20,
        f"{usage}reasoning.output_tokens": 4,
    }
    told = {
        section: values[f"{usage}{name}.input_tokens"]
        for section, values in jaeger_view.sections(response.tags).items()
        for name in ("cache_write", "cache_creation")
        if f"{usage}{name}.input_tokens" in values
    }
    assert told == ({"tokens": 30} if profile == "1.41" else {"other": 30})


def test_conversation_has_its_section(spans: list[Span]) -> None:
    """Instructions, messages, tool calls and their answers read as a conversation."""
    first, second, response = (span for span in spans if span.name == "chat gpt-4o-mini")
    assert jaeger_view.conversation(first.tags) == [
        ("system", "Be brief."),
        ("user", "search it"),
        ("assistant", '→ search({"query": "cells"})'),
    ]
    assert jaeger_view.conversation(second.tags) == [
        ("assistant", '→ search({"query": "cells"})'),
        ("tool", '← {"found": [1, 2]}'),
        ("user", "plain"),
        ("assistant", "**done**"),
    ]
    assert jaeger_view.conversation(response.tags) == [
        ("instructions", "Be brief."),
        ("user", "plain"),
        ("assistant", "**done**"),
    ]


def test_tool_call_has_its_section(spans: list[Span]) -> None:
    """Id, name, arguments and result of a tool, the last two as JSON."""
    (tool,) = (span for span in spans if jaeger_view.kind(span.tags) == jaeger_view.TOOL)
    section = jaeger_view.sections(tool.tags)["toolCall"]
    assert (section["gen_ai.tool.call.id"], section["gen_ai.tool.name"]) == ("call_1_1", "search")
    assert json.loads(section["gen_ai.tool.call.arguments"]) == {"query": "cells"}
    assert json.loads(section["gen_ai.tool.call.result"]) == {"found": [1, 2]}


def test_nothing_that_has_a_section_is_among_the_others(spans: list[Span], profile: str) -> None:
    """What is left is what the pages have no place for; of tokens those written, by their newest name."""
    left = {name for span in spans for name in jaeger_view.sections(span.tags).get("other", ())}
    newest = {"gen_ai.usage.cache_write.input_tokens"} if profile == "latest" else set()
    assert left - WITHOUT_SECTION == newest


def test_without_content_the_sections_of_content_are_missing(tmp_path: Path) -> None:
    """By default no conversation, no arguments and no result leave the program; the rest is the same."""
    spans = sent(tmp_path, "latest")
    assert [span for span in spans if "conversation" in jaeger_view.sections(span.tags)] == []
    (tool,) = (span for span in spans if jaeger_view.kind(span.tags) == jaeger_view.TOOL)
    assert set(jaeger_view.sections(tool.tags)["toolCall"]) == {"gen_ai.tool.name", "gen_ai.tool.call.id"}
