"""Metrics of the GenAI conventions, from a real call to exported points."""

from __future__ import annotations

from typing import Any

import openai
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import spantally
from spantally.ground.worker import worker
from spantally.testing import Reply, ScriptedServer
from watching import Watched

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}


def points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """Data points by metric."""
    data = reader.get_metrics_data()
    found: dict[str, list[Any]] = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                found[metric.name] = list(metric.data.data_points)
    return found


def test_calls_agents_and_tools_are_measured() -> None:
    """Durations, first chunk and token counters carry the conventions' names, buckets and attributes."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    watched = Watched(meter_provider=provider)
    try:
        usage = {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 40},
            "completion_tokens_details": {"reasoning_tokens": 10},
        }
        script = [
            Reply(usage=usage),
            Reply(),
            Reply(status=429, error={"message": "no", "code": "slow_down"}),
        ]
        with (
            ScriptedServer(script) as server,
            openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=0) as client,
        ):

            @spantally.tool
            def search() -> None:
                client.chat.completions.create(**CHAT)

            with spantally.agent("planner"):
                search()
                list(client.chat.completions.create(**CHAT, stream=True))
                try:
                    client.chat.completions.create(**CHAT)
                except openai.RateLimitError:
                    pass
        assert worker.flush(10)
        found = points(reader)
    finally:
        watched.close()
        provider.shutdown()
    durations = found["gen_ai.client.inference.duration"]
    assert sum(point.count for point in durations) == 3
    assert durations[0].explicit_bounds[0] == 0.01
    failed = [point for point in durations if "error.type" in point.attributes]
    assert [point.attributes["error.type"] for point in failed] == ["slow_down"]
    assert found["gen_ai.client.inference.time_to_first_chunk"][0].count == 1
    text = {"gen_ai.token.modality": "text"}.items()
    tokens = [
        point
        for point in found["gen_ai.client.inference.usage.input_tokens"]
        if text <= dict(point.attributes).items()
    ]
    assert sum(point.value for point in tokens) == 100
    assert found["gen_ai.client.inference.usage.cache_read.input_tokens"][0].value == 40
    assert found["gen_ai.client.inference.usage.reasoning.output_tokens"][0].value == 10
    unknown = [
        point
        for point in found["gen_ai.client.inference.usage.output_tokens"]
        if point.attributes["gen_ai.token.modality"] == "unknown"
    ]
    assert [point.value for point in unknown] == [0, 0] or [point.value for point in unknown] == [0]
    assert found["gen_ai.execute_tool.duration"][0].attributes["gen_ai.tool.name"] == "search"
    assert found["gen_ai.invoke_agent.duration"][0].attributes["gen_ai.agent.name"] == "planner"
