"""The live view: what it shows, in which mode, and that each line is of the documented grammar."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import spantally
from spantally.calls import implicit
from spantally.console import sums
from spantally.console.lines import LINE, MOST_BYTES, line, mark_of
from spantally.console.live import live
from spantally.console.writer import coloured
from spantally.ground.money import Rating
from spantally.ground.records import CallRecord
from spantally.ground.session_state import forget_sessions
from spantally.ground.worker import helpers
from spantally.pricing.rates import ensure_loading, on_loaded
from spantally.testing import ScriptedServer

PAGE = Path(__file__).resolve().parents[1] / "docs" / "live-and-sinks.md"
SECRET = "sk-proj-Zq8Xw3Vt6Ys1Ur4Pn9Mk2Lj7Hg5Fd0Sa"


def grammar() -> re.Pattern[str]:
    """The regular expression that the page gives, its lines joined."""
    block = PAGE.read_text(encoding="utf-8").partition("```text line grammar\n")[2].partition("```")[0]
    return re.compile("".join(block.split("\n")))


class Screen:
    """What stands on stderr."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._text = ""

    def lines(self) -> list[re.Match[str]]:
        """Every line so far, each of the grammar."""
        assert spantally.flush(10)
        self._text += self._captured.readouterr().err
        found = [(text, grammar().match(text)) for text in self._text.splitlines()]
        assert [text for text, match in found if match is None] == []
        return [match for _, match in found if match is not None]

    def brief(self) -> list[str]:
        """Indent, sign, kind and name of each line."""
        return [f"{one['indent']}{one['sign']} {one['what']} {one['name']}" for one in self.lines()]

    def facts(self, what: str, sign: str = "<") -> list[dict[str, str]]:
        """The facts of the lines of a kind."""
        pattern = re.compile(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+)')
        return [
            dict(pattern.findall(one["facts"]))
            for one in self.lines()
            if one["what"] == what and one["sign"] == sign
        ]


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str]) -> Iterator[Screen]:
    """A stderr in memory; the price data is there."""
    spantally.uninstrument()
    implicit.forget_process_session()
    forget_sessions()
    loaded = threading.Event()
    on_loaded(loaded.set)
    ensure_loading()
    assert loaded.wait(20)
    yield Screen(capsys)
    spantally.uninstrument()
    implicit.forget_process_session()
    assert not live.running
    assert helpers == []


def provider() -> TracerProvider:
    """One without exporters."""
    return TracerProvider(shutdown_on_exit=False)


def ask(server: ScriptedServer, *, stream: bool = False, model: str = "gpt-4o-mini") -> None:
    """One call to a model."""
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        create: Any = client.chat.completions.create
        more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        answer = create(model=model, messages=[{"role": "user", "content": "hi"}], **more)
        if stream:
            list(answer)


@spantally.tool
def search(query: str) -> str:
    """A tool."""
    return query


def test_the_page_has_the_grammar_of_the_code() -> None:
    """The documented regular expression is the one that lines are made by."""
    assert grammar().pattern == LINE


def test_everything_is_shown_as_it_nests(screen: Screen) -> None:
    """Session, agents, tools, calls, decisions: beginnings and ends, as they nest; a stream once."""
    spantally.instrument(ledger=False, tracer_provider=provider(), console=True)
    with ScriptedServer() as server, spantally.session("chat-42", name="research"):
        with spantally.agent("planner"):
            ask(server)
            with spantally.agent("researcher"):
                search("x")
                ask(server, stream=True)
            spantally.decision("it is there", ["stop"], 0.75, choice="go on")
            spantally.evaluation("relevance", 0.5, label="fair")
        with pytest.raises(KeyError), spantally.tool("broken tool"):
            raise KeyError
    assert screen.brief() == [
        "> session chat-42",
        "  > agent planner",
        "    > chat gpt-4o-mini",
        "    < chat gpt-4o-mini",
        "    > agent researcher",
        "      > tool search",
        "      < tool search",
        "      < chat gpt-4o-mini",
        "    < agent researcher",
        "    * decision -",
        "    * evaluation relevance",
        "  < agent planner",
        '  > tool "broken tool"',
        '  ! tool "broken tool"',
        "< session chat-42",
    ]
    call, stream = screen.facts("chat")
    assert call["cost"].startswith("$0.0")
    assert int(call["in"]) > 0
    assert re.fullmatch(r"\d+ms|\d+\.\d+s", call["took"])
    assert "first" in stream
    assert "first" not in call
    inner, outer = screen.facts("agent")
    assert (inner["calls"], outer["calls"]) == ("1", "2")
    assert int(outer["in"]) == int(call["in"]) + int(stream["in"])
    (session,) = screen.facts("session")
    assert session["status"] == "succeeded"
    assert {key: session[key] for key in ("calls", "in", "out", "cost")} == {
        key: outer[key] for key in ("calls", "in", "out", "cost")
    }
    assert screen.facts("tool", "!")[0]["error"] == "KeyError"
    assert screen.facts("decision", "*") == [
        {
            "by": "agent",
            "choice": '"go on"',
            "reasoning": '"it is there"',
            "alternatives": "1",
            "confidence": "0.75",
        }
    ]
    assert screen.facts("evaluation", "*") == [{"score": "0.5", "label": "fair"}]
    agents = {one["agent"] for one in screen.lines() if one["what"] == "agent"}
    assert len(agents) == 2


def test_parallel_agents_are_told_apart(screen: Screen) -> None:
    """Lines of one agent, its tools too, have its mark; those of another one have another."""
    spantally.instrument(ledger=False, tracer_provider=provider(), console="full")
    both = threading.Barrier(2)

    @spantally.agent
    def worker(number: int) -> None:
        both.wait(10)
        search("x")
        both.wait(10)

    with spantally.session("chat-42"), spantally.agent("planner"):
        threads = [threading.Thread(target=worker, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    marks = [one["agent"] for one in screen.lines() if one["name"] in ("worker", "search")]
    assert len(set(marks)) == 2
    assert all(marks.count(mark) == 4 for mark in marks)


def test_summary_shows_ends_of_sessions_and_top_agents(screen: Screen) -> None:
    """And nothing else; what they spent is the same as in full."""
    spantally.instrument(ledger=False, tracer_provider=provider(), console="summary")
    with ScriptedServer() as server, spantally.session("chat-42"):
        with spantally.agent("planner"), spantally.agent("researcher"):
            ask(server)
            search("x")
        ask(server)
    assert screen.brief() == ["< agent planner", "< session chat-42"]
    assert screen.facts("agent")[0]["calls"] == "1"
    assert screen.facts("session")[0]["calls"] == "2"


def test_a_session_or_an_agent_alone(screen: Screen) -> None:
    """session(console=True) shows it and what is beneath, verbose=True an agent, console=False nothing."""
    spantally.instrument(ledger=False, tracer_provider=provider())
    search("unseen")
    with spantally.session("shown", console=True), spantally.session("inner"):
        search("x")
    with spantally.session("unseen"):
        search("x")

    @spantally.agent(verbose=True)
    def planner() -> None:
        search("x")

    with spantally.session("quiet"), spantally.agent("around"):
        planner()
        search("unseen")
    assert screen.brief() == [
        "> session shown",
        "> session inner",
        "  > tool search",
        "  < tool search",
        "< session inner",
        "< session shown",
        "  > agent planner",
        "    > tool search",
        "    < tool search",
        "  < agent planner",
    ]
    spantally.instrument(console=True)
    with spantally.session("left out", console=False):
        search("x")
    assert len(screen.brief()) == 10


def test_verbose_agents_are_shown_after_uninstrument_and_instrument(screen: Screen) -> None:
    """The decorator stays; the view comes back with its next run."""

    @spantally.agent(verbose=True)
    def planner() -> None:
        search("x")

    spantally.instrument(ledger=False, tracer_provider=provider())
    spantally.uninstrument()
    spantally.instrument(ledger=False, tracer_provider=provider())
    planner()
    assert [one.strip() for one in screen.brief()] == [
        "> agent planner",
        "> tool search",
        "< tool search",
        "< agent planner",
    ]


def test_hidden_work_is_not_shown(screen: Screen) -> None:
    """untracked() gives no line; its cost is in the session's."""
    spantally.instrument(ledger=False, tracer_provider=provider(), console=True)
    with ScriptedServer() as server, spantally.session("chat-42"):
        with spantally.untracked(), spantally.agent("secret"):
            ask(server)
        with spantally.paused():
            ask(server)
    assert screen.brief() == ["> session chat-42", "< session chat-42"]
    assert screen.facts("session")[0]["calls"] == "1"


def test_spans_of_others_are_shown(screen: Screen) -> None:
    """An instrumentor of somebody else gives the end of each call, with its tokens and cost."""
    made = provider()
    spantally.instrument(ledger=False, tracer_provider=made, console=True)
    chat: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 10,
    }
    with spantally.session("chat-42"), spantally.agent("planner"):
        trace.get_tracer("peer", tracer_provider=made).start_span("chat", attributes=chat).end()
    assert screen.brief()[2] == "    < chat gpt-4o-mini"
    assert screen.facts("chat")[0]["in"] == "1000"
    assert screen.facts("agent")[0]["calls"] == "1"


def test_an_interrupted_or_left_call_says_so(screen: Screen) -> None:
    """A failed call is marked, with its error; a stream that is left says abandoned."""
    spantally.instrument(ledger=False, tracer_provider=provider(), console=True)
    with spantally.session("chat-42"):
        client = openai.OpenAI(base_url="http://127.0.0.1:9", api_key="none", max_retries=0)
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
        client.close()
    (failed,) = screen.facts("chat", "!")
    assert failed["status"] == "error"
    assert failed["cost"] == "unpriced"
    assert "APIConnectionError" in failed["error"]


def test_secrets_are_gone(screen: Screen) -> None:
    """Names, ids and texts of a line have lost their secrets."""
    spantally.instrument(ledger=False, tracer_provider=provider(), console=True)
    with spantally.session(f"for {SECRET}"), spantally.agent(f"uses {SECRET}"):
        spantally.decision(f"it is {SECRET}", choice=SECRET)
    text = "\n".join(one.string for one in screen.lines())
    assert "REDACTED" in text
    assert SECRET not in text
    assert SECRET[8:24] not in text


def test_odd_names_keep_a_line_one_line(screen: Screen) -> None:
    """Quotes, line ends, escapes of terminals, marks of direction and endless names keep the grammar."""
    spantally.instrument(ledger=False, tracer_provider=provider(), console=True)
    with spantally.session('a "quoted" =id'):
        for text in ('x\ny\r\n"z"', "\x1b[31mred", "\u202eevil", "é" * 5000, "\ud800", " ", "a=b", "\\"):
            spantally.decision(text, choice=text)
    lines = screen.lines()
    assert len(lines) == 10
    assert all(len(one.string.encode()) < 4096 for one in lines)
    assert "\x1b" not in "".join(one.string for one in lines)


def test_a_line_is_never_too_long() -> None:
    """Whatever it is made of."""
    many = [(f"fact_{chr(97 + number)}", "\U0001f600" * 500) for number in range(26)]
    made = line(0, "s" * 300, "f" * 32, 50, "<", "W" * 100, "\U0001f600" * 1000, many)
    assert len(made.encode()) <= MOST_BYTES
    assert re.match(LINE, made)


@pytest.mark.parametrize(
    ("session_id", "mark"),
    [
        ("01a217bf-4c7e-756e-ac85-f8cad1a86c28", "a86c28"),
        ("chat-42", "chat-42"),
        ("customer/acme:conversation 12345", "custome~on_12345"),
        ("ü", "ü"),
        ("", "_"),
    ],
)
def test_marks_of_sessions(session_id: str, mark: str) -> None:
    """Short, one word, and different where the ids of one program are."""
    assert mark_of(session_id) == mark


@pytest.mark.parametrize(
    ("rating", "estimated", "text"),
    [
        (Rating(1_200_000, "priced"), False, "$0.0012"),
        (Rating(1_200_000, "priced"), True, "~$0.0012"),
        (Rating(1_200_000, "estimated"), False, "~$0.0012"),
        (Rating(1_200_000, "partial:audio_output"), False, "$0.0012+"),
        (Rating(0, "free"), False, "$0.00"),
        (Rating(None, "pending"), False, "pending"),
        (Rating(None, "covered"), False, "covered"),
        (Rating(None, "unknown_model"), False, "unpriced"),
    ],
)
def test_words_for_a_cost(rating: Rating, estimated: bool, text: str) -> None:
    """A cost is exact, marked, or named by why there is none; so is a sum of one."""
    record = CallRecord("1", "s", "inference", "chat", 0, 1, estimated=estimated)
    assert sums.cost_text(record, rating) == text
    made = sums.Sums()
    made.add(record, rating)
    assert dict(made.facts(lambda _: rating))["cost"] == text.rstrip("+")


def test_a_sum_says_what_it_does_not_cover() -> None:
    """Pending calls are priced once more when the sum is told."""
    record = CallRecord("1", "s", "inference", "chat", 0, 1)
    made = sums.Sums()
    for rating in (Rating(1_000_000, "priced"), Rating(None, "unknown_model"), Rating(None, "pending")):
        made.add(record, rating)
    assert dict(made.facts(lambda _: Rating(None, "pending")))["pending"] == 1
    told = dict(made.facts(lambda _: Rating(2_000_000, "priced")))
    assert (told["cost"], told["unpriced"], told["pending"]) == ("$0.003", 1, None)


def test_a_terminal_is_coloured() -> None:
    """The time is dimmed, and a line that tells of a failure red; without colours it is the same line."""
    text = line(0, "chat-42", None, 0, "!", "tool", "search")
    assert re.sub(r"\x1b\[\d*m", "", coloured(text)) == text
    assert "\x1b[31m" in coloured(text)
    assert "\x1b[31m" not in coloured(line(0, "chat-42", None, 0, "<", "tool", "search"))


@pytest.mark.parametrize("value", ["loud", 3, "", ["full"]])
def test_wrong_modes_are_refused(value: Any) -> None:
    """Before any effect, with the value and what is allowed."""
    for call in (lambda: spantally.instrument(console=value), lambda: spantally.session(console=value)):
        with pytest.raises(ValueError, match="use one of: off, summary, full"):
            call()
    with pytest.raises(ValueError, match="verbose='yes'"):
        spantally.agent("a", verbose="yes")  # type: ignore[call-overload]
    assert not live.running


def test_what_a_program_records_itself(screen: Screen) -> None:
    """Calls and events that a program tells of have a line each; more said of a session is not its end."""
    spantally.instrument(tracer_provider=provider(), ledger=False, console=True)
    with spantally.session("s1") as session:
        session.record_call(provider="openai", model="gpt-4o-mini", input_tokens=100, output_tokens=10)
        session.set(title="a title")
        session.event("cart.opened", {"key": f"it is {SECRET}"})
    found = screen.brief()
    assert [one.split()[:2] for one in found].count(["<", "session"]) == 1
    assert not any(one.strip().startswith("!") for one in found)
    assert any("cart.opened" in one for one in found)
    assert any("gpt-4o-mini" in one for one in found)
    assert SECRET not in screen._text
