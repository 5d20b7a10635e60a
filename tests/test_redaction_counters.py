"""How much went and how often redaction failed: true under threads, and exported as metrics."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import spantally
from spantally.calls.telemetry import Telemetry
from spantally.ground import guard, semconv
from spantally.ground.money import PENDING
from spantally.otel import redaction_metrics
from spantally.otel.metrics import MetricsConsumer
from spantally.redaction import Redactor, counting
from spantally.redaction.counting import Tally


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    """Metrics of a process that has redacted nothing yet."""
    monkeypatch.setattr(counting, "redacted", Tally())
    monkeypatch.setattr(counting, "failures", Tally())
    made = InMemoryMetricReader()
    provider = MeterProvider([made], shutdown_on_exit=False)
    MetricsConsumer(provider, Telemetry(), lambda _: PENDING)
    yield made
    provider.shutdown()
    guard.reset()


def points(reader: InMemoryMetricReader, name: str, key: str) -> dict[Any, int]:
    """The sums of a metric by one attribute."""
    data = reader.get_metrics_data()
    found: dict[Any, int] = {}
    for resource in data.resource_metrics if data else []:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == name:
                    shown: Any = metric.data
                    found.update({point.attributes[key]: point.value for point in shown.data_points})
    return found


def test_metrics_tell_by_type(reader: InMemoryMetricReader) -> None:
    """Each type has its sum over all redactors, and failures theirs by error; both only grow."""

    def fails(key: str | None, value: str, where: str) -> str | None:
        raise LookupError(value)

    assert points(reader, semconv.METRIC_REDACTED, semconv.REDACTION_TYPE) == {}
    one, two = Redactor(pii={"email"}), Redactor([fails])
    one.text("password=Zebra8964! and https://u:hunter2!@h/")
    one.text("password=Zebra8965! bob@example.com")
    assert two.text("password=Zebra8964!") == "[REDACTED:error]"
    expected = {"password": 3, "url-password": 1, "email": 1}
    assert points(reader, semconv.METRIC_REDACTED, semconv.REDACTION_TYPE) == expected
    assert points(reader, semconv.METRIC_REDACTION_FAILURES, semconv.ERROR_TYPE) == {"LookupError": 1}
    one.attributes({"api_key": "Zebra8964!"})
    grown = points(reader, semconv.METRIC_REDACTED, semconv.REDACTION_TYPE)
    assert sum(grown.values()) == 6
    assert one.counts.total() == 5


def test_metrics_of_a_process_without_redaction(
    reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collecting loads no rules; where nothing is loaded there is nothing to tell."""
    monkeypatch.delitem(sys.modules, "spantally.redaction.counting")
    assert points(reader, semconv.METRIC_REDACTED, semconv.REDACTION_TYPE) == {}
    assert "spantally.redaction.counting" not in sys.modules


def test_failure_of_the_metrics_stays_ours(
    reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sum that cannot be read costs itself; a meter that lacks the kind of counter costs these two."""
    monkeypatch.setattr(counting, "redacted", object())
    assert points(reader, semconv.METRIC_REDACTED, semconv.REDACTION_TYPE) == {}
    assert guard.failures[("otel.redaction_metrics", "AttributeError")]

    def broken(meter: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("spantally.otel.metrics.observe_redaction", broken)
    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    MetricsConsumer(provider, Telemetry(), lambda _: PENDING)([])
    provider.shutdown()
    assert guard.failures[("otel.redaction_metrics", "ZeroDivisionError")]
    assert redaction_metrics.observe_redaction is not broken


def test_each_way_to_go_is_counted() -> None:
    """By a rule, by the name, as a number under a password's name, within bytes and in a long text."""
    redactor = Redactor()
    redactor.attributes({"password": "Zebra8964!", "db.password": 123_456, "n": 5})
    redactor.value({"passwords": [b"password=Zebra8965!"], "text": "words " * 100 + "password=Zebra8966!"})
    assert redactor.counts == {"password": 4}
    assert redactor.value({"password": 123_456}) == {"password": redactor.text("123456", "password")}


def test_counts_are_true_under_threads() -> None:
    """Many threads at once lose nothing, in the redactor's own sums and in those of the process."""
    redactor = Redactor()
    before = counting.redacted.total()
    ready = threading.Barrier(8)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(number: int) -> None:
        ready.wait()
        for turn in range(300):
            redactor.text(f"password=Zebra{number}x{turn}!")

    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert redactor.counts == {"password": 2_400}
    assert counting.redacted.total() - before == 2_400


def test_addition_within_an_addition_waits_for_nobody() -> None:
    """A finaliser that redacts while this very thread adds up does not wait for itself, and is counted."""
    tally = Tally()

    class Telltale(dict[str, int]):
        def items(self) -> Any:
            return super().items()

    with counting._lock:
        tally.update(Telltale(a=1))
        assert tally == {}, "the lock is held: whoever holds it adds up"
    tally.update({"a": 1, "b": 2})
    assert tally == {"a": 2, "b": 2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_child_of_a_fork_counts_on() -> None:
    """A lock that was held at the fork does not keep the child from adding up."""
    tally = Tally()
    with counting._lock:
        child = os.fork()
        if child == 0:
            tally.update({"a": 1})
            os._exit(0 if tally == {"a": 1} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_counter_is_a_plain_one_elsewhere() -> None:
    """It compares, copies and pickles as a Counter does."""
    import copy
    import pickle

    tally = Tally()
    tally.update({"a": 2})
    assert tally.most_common() == [("a", 2)]
    assert pickle.loads(pickle.dumps(tally)) == copy.copy(tally) == {"a": 2}


def test_metrics_leave_by_the_active_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """instrument(meter_provider=...) is all it takes."""
    monkeypatch.setattr(counting, "redacted", Tally())
    made = InMemoryMetricReader()
    provider = MeterProvider([made], shutdown_on_exit=False)
    spantally.instrument(ledger=False, meter_provider=provider)
    try:
        Redactor().text("password=Zebra8964!")
        assert points(made, semconv.METRIC_REDACTED, semconv.REDACTION_TYPE)["password"] == 1
    finally:
        spantally.uninstrument()
        provider.shutdown()
