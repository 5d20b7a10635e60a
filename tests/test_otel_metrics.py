"""Metrics of the GenAI conventions, from a real call to exported points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import openai
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import spantally
from spantally.ground import semconv
from spantally.ground.records import CallRecord, Kind, Precedence, Status
from spantally.ground.worker import worker
from spantally.otel.agent_calls import MOST_WAITING, AgentCalls, Calls
from spantally.otel.cardinality import MOST_VALUES, OTHER
from spantally.testing import Reply, ScriptedServer, Usage
from watching import Watched

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}
INFERENCE = "gen_ai.client.inference."
MODALITY = "gen_ai.token.modality"
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 5},
}


class Measured:
    """A client under our eyes, and the metrics of its calls."""

    def __init__(self, client: openai.OpenAI, reader: InMemoryMetricReader) -> None:
        self.client = client
        self.reader = reader
        self.schema_url: str | None = None

    def points(self) -> dict[str, list[Any]]:
        """Data points by metric."""
        assert worker.flush(10)
        data = self.reader.get_metrics_data()
        found: dict[str, list[Any]] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                self.schema_url = scope.scope.schema_url
                for metric in scope.metrics:
                    found[metric.name] = list(metric.data.data_points)
        return found


@contextmanager
def measured(*script: Reply, **settings: Any) -> Iterator[Measured]:
    """A fresh meter provider, and a client of a server that answers by the script."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    watched = Watched(meter_provider=provider, **settings)
    try:
        with (
            ScriptedServer(list(script) if len(script) > 1 else (script or (Reply(),))[0]) as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as client,
        ):
            yield Measured(client, reader)
    finally:
        watched.close()
        provider.shutdown()


def by_modality(points: list[Any]) -> dict[str, int]:
    """Values of a counter by modality."""
    return {point.attributes[MODALITY]: point.value for point in points}


def test_durations_first_chunk_and_errors() -> None:
    """Durations and first chunk carry the conventions' names, buckets and attributes."""
    script = [Reply(), Reply(), Reply(status=429, error={"message": "no", "code": "slow_down"})]
    with measured(*script) as seen:

        @spantally.tool
        def search() -> None:
            seen.client.chat.completions.create(**CHAT)

        with spantally.agent("planner"):
            search()
            list(seen.client.chat.completions.create(**CHAT, stream=True))
            with pytest.raises(openai.RateLimitError):
                seen.client.chat.completions.create(**CHAT)
        found = seen.points()
    durations = found[INFERENCE + "duration"]
    assert sum(point.count for point in durations) == 3
    assert list(durations[0].explicit_bounds) == [0.01 * 2**step for step in range(14)]
    failed = [point for point in durations if "error.type" in point.attributes]
    assert [point.attributes["error.type"] for point in failed] == ["slow_down"]
    assert found[INFERENCE + "time_to_first_chunk"][0].count == 1
    assert "error.type" not in found[INFERENCE + "time_to_first_chunk"][0].attributes
    told = dict(durations[0].attributes)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.request.model"] == "gpt-4o"
    assert told["server.address"] == "127.0.0.1"
    assert isinstance(told["server.port"], int)
    tool = found["gen_ai.execute_tool.duration"][0]
    assert dict(tool.attributes) == {
        "gen_ai.tool.name": "search",
        "gen_ai.tool.type": "function",
        "gen_ai.agent.name": "planner",
    }
    agent = found["gen_ai.invoke_agent.duration"][0]
    assert dict(agent.attributes) == {"gen_ai.agent.name": "planner", "gen_ai.request.model": "gpt-4o"}
    assert (agent.explicit_bounds[0], agent.explicit_bounds[-1]) == (0.1, 409.6)
    assert seen.schema_url == semconv.SCHEMA_URLS["latest"]


def test_tokens_are_counted_by_modality() -> None:
    """Audio is apart, the rest of what is broken down is text, and parts lie within their totals."""
    with measured(Reply(usage=USAGE)) as seen:
        seen.client.chat.completions.create(**CHAT)
        found = seen.points()
    usage = INFERENCE + "usage."
    assert by_modality(found[usage + "input_tokens"]) == {"text": 90, "audio": 10}
    assert by_modality(found[usage + "output_tokens"]) == {"text": 45, "audio": 5}
    assert by_modality(found[usage + "cache_read.input_tokens"]) == {"text": 40}
    assert by_modality(found[usage + "cache_write.input_tokens"]) == {"text": 0}
    assert by_modality(found[usage + "reasoning.output_tokens"]) == {"text": 10}


def test_an_input_that_is_not_broken_down_is_unknown() -> None:
    """The Responses API does not tell images from text: its input is of unknown modality, its output text."""
    with measured(Reply(usage=Usage(input=11, output=7))) as seen:
        seen.client.responses.create(model="gpt-4o", input="hi")
        found = seen.points()
    assert by_modality(found[INFERENCE + "usage.input_tokens"]) == {"unknown": 11}
    assert by_modality(found[INFERENCE + "usage.output_tokens"]) == {"text": 7}


def test_a_call_without_usage_counts_nothing_of_unknown_modality() -> None:
    """A refused call is in every counter with 0, so that a rate can be told from its absence."""
    with measured(Reply(status=401, error={"message": "no", "code": "bad_key"})) as seen:
        with pytest.raises(openai.AuthenticationError):
            seen.client.chat.completions.create(**CHAT)
        found = seen.points()
    counters = [name for name in found if name.startswith(INFERENCE + "usage.")]
    assert len(counters) == 5
    assert all(by_modality(found[name]) == {"unknown": 0} for name in counters)


def test_tokens_of_each_call_are_opt_in() -> None:
    """Histograms of tokens are made only where they are asked for; then every call is in them."""
    with measured(Reply(usage=USAGE)) as seen:
        seen.client.chat.completions.create(**CHAT)
        assert INFERENCE + "operation.input_tokens" not in seen.points()
    script = [Reply(usage=USAGE), Reply(status=500, error={"message": "no"}), Reply()]
    with measured(*script, token_histograms=True) as seen:
        seen.client.chat.completions.create(**CHAT)
        with pytest.raises(openai.InternalServerError):
            seen.client.chat.completions.create(**CHAT)
        seen.client.embeddings.create(model="text-embedding-3-small", input="a")
        found = seen.points()
    tokens = {
        point.attributes.get("error.type"): (point.count, point.sum)
        for point in found[INFERENCE + "operation.input_tokens"]
    }
    assert tokens == {None: (1, 100), "server_error": (1, 0)}
    assert found[INFERENCE + "operation.output_tokens"][0].sum == 50
    assert list(found[INFERENCE + "operation.input_tokens"][0].explicit_bounds) == [4**n for n in range(14)]
    assert MODALITY not in found[INFERENCE + "operation.input_tokens"][0].attributes
    assert found["gen_ai.client.embeddings.operation.input_tokens"][0].count == 1


def test_other_operations_have_the_common_duration() -> None:
    """Embeddings have a duration of their own; retrieval has the one of client operations."""
    with measured() as seen:
        seen.client.embeddings.create(model="text-embedding-3-small", input="a")
        seen.client.vector_stores.search("vs_1", query="what")
        seen.client.files.list()
        found = seen.points()
    assert found["gen_ai.client.embeddings.duration"][0].count == 1
    (other,) = found["gen_ai.client.operation.duration"]
    assert other.attributes["gen_ai.operation.name"] == "retrieval"
    assert INFERENCE + "duration" not in found


def test_the_older_profile_has_its_names() -> None:
    """In profile 1.41 there is one duration, one histogram of tokens, and none of the later metrics."""
    with measured(Reply(usage=USAGE), semconv="1.41") as seen:
        with spantally.agent("planner"):
            list(
                seen.client.chat.completions.create(
                    **CHAT, stream=True, stream_options={"include_usage": True}
                )
            )
        seen.client.embeddings.create(model="text-embedding-3-small", input="a")
        found = seen.points()
    assert {name for name in found if name.startswith("gen_ai.")} == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
    }
    assert {
        point.attributes["gen_ai.operation.name"] for point in found["gen_ai.client.operation.duration"]
    } == {
        "chat",
        "embeddings",
    }
    types = {
        (point.attributes["gen_ai.operation.name"], point.attributes["gen_ai.token.type"])
        for point in found["gen_ai.client.token.usage"]
    }
    assert types == {("chat", "input"), ("chat", "output"), ("embeddings", "input")}
    chat = {
        point.attributes["gen_ai.token.type"]: point.sum
        for point in found["gen_ai.client.token.usage"]
        if point.attributes["gen_ai.operation.name"] == "chat"
    }
    assert chat == {"input": 100, "output": 50}
    assert seen.schema_url == semconv.SCHEMA_URLS["1.41"]


def counts(found: dict[str, list[Any]], what: str) -> dict[str, tuple[int, float]]:
    """By agent: invocations, and calls of all of them."""
    return {
        point.attributes["gen_ai.agent.name"]: (point.count, point.sum)
        for point in found[f"gen_ai.invoke_agent.{what}_calls"]
    }


def test_calls_count_for_the_innermost_agent() -> None:
    """An agent has its own calls, those of tools within it included and those of agents beneath left out."""
    with measured() as seen:

        @spantally.tool
        def ask_expert() -> None:
            with spantally.agent("expert"):
                seen.client.chat.completions.create(**CHAT)
                look_up()
                seen.client.chat.completions.create(**CHAT)

        @spantally.tool
        def look_up() -> None:
            seen.client.chat.completions.create(**CHAT)

        with spantally.agent("planner"):
            seen.client.chat.completions.create(**CHAT)
            ask_expert()
            seen.client.embeddings.create(model="text-embedding-3-small", input="a")
        with spantally.agent("planner"):
            pass
        seen.client.chat.completions.create(**CHAT)
        found = seen.points()
    assert counts(found, "inference") == {"planner": (2, 1), "expert": (1, 3)}
    assert counts(found, "tool") == {"planner": (2, 1), "expert": (1, 1)}
    bounds = found["gen_ai.invoke_agent.tool_calls"][0].explicit_bounds
    assert list(bounds) == [1, 2, 4, 8, 16, 32, 64, 128]


def test_an_agents_duration_names_the_one_model_beneath() -> None:
    """As the agent's span does: of all calls beneath, nested agents' too, and of several models none."""
    with measured() as seen:
        with spantally.agent("both"):
            seen.client.chat.completions.create(**{**CHAT, "model": "o3"})
            with spantally.agent("outer"), spantally.workflow("steps"), spantally.agent("inner"):
                seen.client.chat.completions.create(**CHAT)
        with spantally.agent("inner"):
            pass
        found = seen.points()
    told = [dict(point.attributes) for point in found["gen_ai.invoke_agent.duration"]]
    assert {(one["gen_ai.agent.name"], one.get("gen_ai.request.model")) for one in told} == {
        ("both", None),
        ("outer", "gpt-4o"),
        ("inner", "gpt-4o"),
        ("inner", None),
    }
    for point in found["gen_ai.invoke_agent.inference_calls"]:
        assert set(point.attributes) == {"gen_ai.agent.name"}


def test_workflows_are_timed() -> None:
    """A workflow's run is a point of its duration, under its name."""
    with measured() as seen:
        with spantally.workflow("nightly"), spantally.agent("planner"):
            pass
        found = seen.points()
    (point,) = found["gen_ai.invoke_workflow.duration"]
    assert dict(point.attributes) == {"gen_ai.workflow.name": "nightly"}
    assert (point.count, list(point.explicit_bounds)[:2]) == (1, [1, 5])


class _Row(NamedTuple):
    call_id: str
    parent: str | None
    kind: Kind = Kind.INFERENCE
    status: str = Status.OK


def _note(seen: AgentCalls, row: _Row) -> Calls | None:
    operation = "invoke_agent" if row.kind == Kind.AGENT else "chat"
    return seen.note(
        CallRecord(row.call_id, "s", row.kind, operation, 1, 2, row.status, Precedence.METERED, row.parent)
    )


def test_an_answer_made_later_counts_once() -> None:
    """A call whose answer is made after its request counts for the agent that asked."""
    seen = AgentCalls()
    _note(seen, _Row("a", "agent", status=Status.RUNNING))
    assert _note(seen, _Row("agent", None, Kind.AGENT)) == Calls(1, 0)
    _note(seen, _Row("a", "agent"))
    assert _note(seen, _Row("agent", None, Kind.AGENT)) == Calls(0, 0)


def test_what_never_ends_is_forgotten() -> None:
    """Calls whose agent's end is never seen do not pile up."""
    seen = AgentCalls()
    for number in range(MOST_WAITING + 10):
        _note(seen, _Row(f"call-{number}", f"agent-{number}"))
        _note(seen, _Row(f"later-{number}", None, status=Status.RUNNING))
    assert len(seen._waiting) == len(seen._begun) == MOST_WAITING


def test_a_failing_instrument_costs_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where recording a metric raises, the program gets its answer."""

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("planted")

    failing: Callable[..., None] = fail
    with measured() as seen:
        monkeypatch.setattr("spantally.otel.instruments.Instruments.record", failing)
        assert seen.client.chat.completions.create(**CHAT).choices
        assert INFERENCE + "duration" not in seen.points()


def test_names_without_end_make_no_series_without_end() -> None:
    """Agents that are made up without end count together; no session, user or tag is on a metric at all."""
    with measured() as made:
        with spantally.session("s", user="u", tags={"a": "1"}):
            for number in range(MOST_VALUES + 50):
                with spantally.agent(f"agent-{number}"):
                    pass
        points = made.points()["gen_ai.invoke_agent.duration"]
        assert len(points) == MOST_VALUES + 1
        (rest,) = [point for point in points if point.attributes["gen_ai.agent.name"] == OTHER]
        assert rest.count == 50
        assert {key for point in points for key in point.attributes} == {"gen_ai.agent.name"}
