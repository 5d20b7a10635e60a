"""What a call cost, on its span and as a metric: the ledger's own figure, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import coexist_kit as kit
from openai_forms_kit import client_of
from spantally import pricing
from spantally.api import runtime
from spantally.calls.telemetry import active
from spantally.ground import guard, semconv
from spantally.ground.money import PENDING
from spantally.ground.worker import worker
from spantally.otel import cost_metrics
from spantally.pricing import ordinary, rate, rates
from spantally.testing import Reply, ScriptedServer, Usage
from watching import Watched, attributes

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}
OWN = "spantally.cost"
EXERCISED = {"calls.cost"}
"""Guards that fail in these tests."""


@pytest.fixture
def prices() -> None:
    """The price data is there."""
    assert pricing.load() is not None


def costs(span: Any) -> dict[str, Any]:
    """The attributes of a span that tell of cost."""
    return {key: value for key, value in attributes(span).items() if key.startswith(OWN)}


@pytest.mark.usefixtures("prices")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gpt-4o", "nobody-knows-it"])
def test_span_says_what_the_row_says(
    watched: Watched, server: ScriptedServer, model: str, stream: bool
) -> None:
    """Cost, status and source of the span are those of the row, rated by itself."""
    with client_of(server) as client:
        more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        answer: Any = client.chat.completions.create(**{**CHAT, "model": model}, **more)
        if stream:
            list(answer)
    (record,) = watched.records
    told = costs(watched.spans[0])
    rating = rate.rate(record)
    assert told[semconv.COST_STATUS] == rating.status
    assert told.get(semconv.COST_NANO_USD) == rating.nano_usd
    assert told.get(semconv.COST_SOURCE) == (rating.source if rating.nano_usd is not None else None)
    assert (rating.nano_usd is None) == (model != "gpt-4o")
    if rating.nano_usd is not None:
        assert round(told[semconv.COST_USD] * 1e9) == rating.nano_usd > 0


@pytest.mark.usefixtures("prices")
def test_no_usage_says_so(watched: Watched) -> None:
    """A call that failed has no cost and says why."""
    reply = Reply(status=400, error={"message": "no", "code": "bad"})
    with (
        ScriptedServer(reply) as server,
        client_of(server) as client,
        pytest.raises(openai.BadRequestError),
    ):
        client.chat.completions.create(**CHAT)
    assert costs(watched.spans[0]) == {semconv.COST_STATUS: "no_usage"}


def test_nothing_is_said_while_prices_are_loading(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the price data no span waits and none lies: the ledger alone will tell."""
    monkeypatch.setattr(rates._loader, "table", None)
    monkeypatch.setattr(rates._loader, "start", lambda: None)
    with client_of(server) as client:
        client.chat.completions.create(**CHAT)
    assert costs(watched.spans[0]) == {}


@pytest.mark.usefixtures("prices")
def test_a_price_that_raises_changes_nothing(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up that raises costs the attributes only."""

    def broken(operation: Any) -> Any:
        raise RuntimeError("bug")

    monkeypatch.setattr(active, "quote", broken)
    with client_of(server) as client:
        assert client.chat.completions.create(**CHAT).choices
    assert costs(watched.spans[0]) == {}
    assert attributes(watched.spans[0])[semconv.RESPONSE_MODEL]
    assert guard.failures[("calls.cost", "RuntimeError")] == 1


@pytest.mark.usefixtures("prices")
def test_anothers_span_carries_the_cost(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The span of another instrumentor that stands for the call tells its cost."""
    kit.methods(monkeypatch, watched.provider, at_start=True)
    kit.ask(server)
    (record,) = watched.records
    (span,) = watched.spans
    assert costs(span)[semconv.COST_NANO_USD] == rate.rate(record).nano_usd


@pytest.mark.usefixtures("prices")
def test_anothers_late_span_carries_the_cost(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does one that begins when the call is over."""
    kit.late(monkeypatch, watched.provider)
    with client_of(server) as client:
        client.responses.create(model="gpt-4o-mini", input="hello")
    (record,) = watched.records
    (span,) = watched.spans
    assert costs(span)[semconv.COST_NANO_USD] == rate.rate(record).nano_usd


@pytest.mark.usefixtures("prices")
def test_anothers_span_that_refuses_changes_nothing(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A foreign span whose setter raises costs the attributes only."""
    kit.methods(monkeypatch, watched.provider, at_start=True)

    def broken(operation: Any) -> dict[str, Any]:
        raise RuntimeError("bug")

    monkeypatch.setattr("spantally.calls.costing.cost_of", broken)
    kit.ask(server)
    assert costs(watched.spans[0]) == {}
    assert guard.failures[("calls.cost", "RuntimeError")] == 1
    assert watched.records[0].usage is not None


# -- the metric ----------------------------------------------------------------------------------------


class Measured:
    """Metrics of a process, by name and status."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)
        self.watched = Watched(meter_provider=self.provider)

    def sums(self, name: str) -> dict[str, float]:
        """Values of a counter by status of the cost."""
        assert worker.flush(10)
        data = self.reader.get_metrics_data()
        found: dict[str, float] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            status = str((point.attributes or {})[semconv.COST_STATUS])
                            found[status] = found.get(status, 0) + getattr(point, "value", 0)
        return found


@pytest.fixture
def measured() -> Iterator[Measured]:
    """spantally active, on a meter provider of its own."""
    made = Measured()
    try:
        yield made
    finally:
        made.watched.close()
        made.provider.shutdown()


@pytest.mark.usefixtures("prices")
def test_metric_adds_up_what_is_known_and_counts_the_rest(measured: Measured) -> None:
    """The sum in dollars is that of the rows; calls without a price are counted by their reason."""
    with ScriptedServer(Reply(usage=Usage(1000, 500))) as server, client_of(server) as client:
        for model in ("gpt-4o", "gpt-4o", "gpt-4o-mini", "nobody-knows-it"):
            client.chat.completions.create(**{**CHAT, "model": model})
    expected = sum(rate.rate(record).nano_usd or 0 for record in measured.watched.records)
    assert measured.sums(semconv.METRIC_COST) == {"priced": pytest.approx(expected / 1e9, rel=1e-12)}
    assert expected == 2 * (1000 * 2500 + 500 * 10000) + 1000 * 150 + 500 * 600
    assert measured.sums(semconv.METRIC_UNPRICED_CALLS) == {"unknown_model": 1}


def test_calls_before_the_prices_are_there_count_when_they_are(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first calls of a process wait for the price data, and are then in the sum."""
    pricing.load()
    waiting: list[Any] = []
    monkeypatch.setattr(cost_metrics, "MOST_WAITING", 2)
    costs_of = providers_metrics()._costs
    monkeypatch.setattr(costs_of, "_rate", rate.rate)
    monkeypatch.setattr(providers_metrics(), "_rate", lambda record: PENDING)
    monkeypatch.setattr(costs_of, "_on_ready", waiting.append)
    with ScriptedServer(Reply(usage=Usage(1000, 500))) as server, client_of(server) as client:
        for _ in range(3):
            client.chat.completions.create(**CHAT)
    assert measured.sums(semconv.METRIC_COST) == {}
    (ready,) = waiting
    ready()
    assert measured.sums(semconv.METRIC_COST) == {"priced": pytest.approx(2 * 0.0075)}
    assert measured.sums(semconv.METRIC_UNPRICED_CALLS) == {"pending": 1}


def test_asking_for_prices_that_raises_changes_nothing(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be loaded, other metrics go on."""

    def broken(callback: Any) -> None:
        raise RuntimeError("bug")

    costs_of = providers_metrics()._costs
    monkeypatch.setattr(providers_metrics(), "_rate", lambda record: PENDING)
    monkeypatch.setattr(costs_of, "_on_ready", broken)
    with ScriptedServer() as server, client_of(server) as client:
        client.chat.completions.create(**CHAT)
    assert measured.sums(semconv.METRIC_COST) == {}
    assert guard.failures[("otel.cost_metrics", "RuntimeError")] == 1


def providers_metrics() -> Any:
    """What records metrics in this process."""
    assert runtime.current is not None
    return runtime.current.providers.metrics


def test_an_operation_has_what_its_price_is_read_from() -> None:
    """Whoever prices an operation in the place of its record finds every field that pricing asks for."""
    import re
    from pathlib import Path

    from spantally.calls.operation import Operation

    room = Path(rate.__file__).parent
    asked = {
        name
        for path in room.glob("*.py")
        for name in re.findall(r"\brecord\.([a-z_]+)\b(?!\()", path.read_text())
    }
    assert "usage" in asked
    assert {name for name in asked - {"_replace"} if not hasattr(Operation, name)} == set()


def test_pricing_that_is_being_imported_is_left_alone(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that another thread is importing just now is not asked, and nothing fails."""
    monkeypatch.delattr(pricing, "price_of")
    monkeypatch.delattr(ordinary, "price_of")
    with client_of(server) as client:
        client.chat.completions.create(**CHAT)
    assert costs(watched.spans[0]) == {}
    assert not guard.failures


@pytest.mark.usefixtures("prices")
def test_a_response_that_is_read_again_costs_once(watched: Watched, server: ScriptedServer) -> None:
    """The costs of all spans add up to the bill, though the response was fetched a second time."""
    with client_of(server) as client:
        made = client.responses.create(model="gpt-4o-mini", input="hello")
        client.responses.retrieve(made.id)
    told = [costs(span).get(semconv.COST_NANO_USD) for span in watched.spans]
    assert len(told) == 2
    assert told[1] is None
    assert (told[0] or 0) > 0
