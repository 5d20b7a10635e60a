"""``flush()`` of what has nothing to do answers at once, also when it may not wait at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from program_kit import Programs
from spantally.api.providers import _holds_nothing
from spantally.ground.helper import HelperWorker
from spantally.ground.worker import Worker
from spantally.testing import ScriptedServer


@pytest.fixture
def programs(server: ScriptedServer, tmp_path: Path) -> Programs:
    """Programs in a folder of their own."""
    return Programs(tmp_path, server.base_url)


def _until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_worker_that_has_done_all_of_it() -> None:
    """And one that has an item in hand, or waiting, has not."""
    own = Worker(gather_seconds=0.01)
    begun, go_on = threading.Event(), threading.Event()

    def handler(batch: Sequence[int]) -> None:
        begun.set()
        go_on.wait(20)

    channel = own.channel("made", handler)
    try:
        channel.put(1)
        assert begun.wait(20)
        assert len(channel) == 0
        assert not own.flush(0.0)
        channel.put(2)
        assert not own.flush(0.0)
        go_on.set()
        assert own.flush(20)
        assert _until(lambda: own.flush(0.0))
    finally:
        go_on.set()
        own.stop()


def test_a_helper_without_a_thread_has_nothing_to_do() -> None:
    """No thread is started to say so."""
    own = HelperWorker("made", gather_seconds=0.01, fork_seconds=0.0)
    try:
        assert own.flush(0.0)
        assert not own.running
    finally:
        own.retire()


def test_what_a_provider_keeps() -> None:
    """Only one that hands on each span at once keeps none."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    assert _holds_nothing(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    assert _holds_nothing(provider)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    assert not _holds_nothing(provider)
    provider.shutdown()
    assert _holds_nothing(MeterProvider(shutdown_on_exit=False))
    assert not _holds_nothing(MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False))
    assert not _holds_nothing(object())


def test_flush_without_a_wait(programs: Programs) -> None:
    """A whole program: after its call all is written, and then at last the answer is yes."""
    run = programs.run(
        """
        import time
        ask(client())
        assert spantally.flush()
        deadline = time.monotonic() + 20
        while not spantally.flush(0.0) and time.monotonic() < deadline:
            time.sleep(0.3)
        print(time.monotonic() < deadline)
        """
    )
    assert (run.returncode, run.stdout.split()) == (0, ["True"]), run.stderr
