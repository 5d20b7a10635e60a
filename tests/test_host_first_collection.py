"""A garbage collection at any moment, inside any lock of the SDK's or of ours, does not hang the program.

The programs below replace the lock factories, so that whoever takes a lock of OpenTelemetry's or ours runs a
collection while he holds it, with unfinished streams, generators and sessions among the garbage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from program_kit import Programs, ok
from spantally.testing import Reply, ScriptedServer, Usage

COLLECTING = """
import collections, gc, threading
gc.disable()
real_lock, real_rlock = threading.Lock, threading.RLock
collected = collections.Counter()
garbage = []
inside = threading.local()

class Collecting:
    def __init__(self, lock, owner):
        self._lock, self._owner = lock, owner

    def acquire(self, *args, **kwargs):
        got = self._lock.acquire(*args, **kwargs)
        if got and garbage and collected[self._owner] < MOST and not getattr(inside, "now", False):
            inside.now = True
            try:
                garbage.pop()
                collected[self._owner] += 1
                gc.collect()
            except IndexError:
                pass
            finally:
                inside.now = False
        return got

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *error):
        self._lock.release()

    def __getattr__(self, name):
        return getattr(self._lock, name)

def owner():
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") in ("threading", "__main__"):
        frame = frame.f_back
    name = frame.f_globals.get("__name__", "") if frame is not None else ""
    return name if name.startswith(("opentelemetry.", "spantally.")) else None

def lock():
    made, name = real_lock(), owner()
    return made if name is None else Collecting(made, name)

def rlock():
    made, name = real_rlock(), owner()
    return made if name is None else Collecting(made, name)

threading.Lock, threading.RLock = lock, rlock
MOST = 4

def cycle(thing):
    made = [thing]
    made.append(made)
    return made
"""

SYNC = """
import json
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
import spantally

class Nowhere(SpanExporter):
    def export(self, spans):
        return SpanExportResult.SUCCESS

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Nowhere(), schedule_delay_millis=20, max_export_batch_size=1))
reader = InMemoryMetricReader()
meters = MeterProvider([reader])
logs = LoggerProvider()
logs.add_log_record_processor(SimpleLogRecordProcessor(InMemoryLogRecordExporter()))
spantally.instrument(
    tracer_provider=provider, meter_provider=meters, logger_provider=logs,
    capture_content="span_and_event", ledger_content="all",
)
connection = client()

@spantally.tool
def items():
    yield 1
    yield 2

@spantally.session(name="kind")
def in_session():
    yield 1
    yield 2

def own_session():
    with spantally.session(name="body"), spantally.agent("in body"):
        yield 1
        yield 2

def litter():
    stream = ask(connection, stream=True)
    next(iter(stream))
    garbage.append(cycle(stream))
    events = connection.responses.create(model="gpt-4o", input="hi", stream=True)
    next(iter(events))
    garbage.append(cycle(events))
    for make in (items, in_session, own_session):
        running = make()
        next(running)
        garbage.append(cycle(running))
    raw = connection.chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True
    ).__enter__()
    next(raw.iter_lines())
    garbage.append(cycle(raw))

for round_ in range(14):
    litter()
    with spantally.session("kept") as kept, spantally.agent("planner"):
        ask(connection)
        kept.totals
    if round_ % 3 == 0:
        spantally.flush(5)
        reader.get_metrics_data()
        spantally.open_ledger().sessions()
garbage.clear()
gc.collect()
assert spantally.flush(10)
print(json.dumps(collected))
"""

ASYNC = """
import asyncio, json
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
import spantally

class Nowhere(SpanExporter):
    def export(self, spans):
        return SpanExportResult.SUCCESS

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Nowhere(), schedule_delay_millis=20, max_export_batch_size=1))
spantally.instrument(tracer_provider=provider)

@spantally.tool
async def items():
    yield 1
    yield 2

async def own_session():
    async with spantally.session(name="body"), spantally.agent("in body"):
        yield 1
        yield 2

async def main():
    connection = openai.AsyncOpenAI(base_url=os.environ["BASE_URL"], api_key="sk-made-up-0001")

    async def ask(**given):
        return await connection.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "hi"}], **given
        )

    for round_ in range(14):
        stream = await ask(stream=True)
        await anext(aiter(stream))
        garbage.append(cycle(stream))
        events = await connection.responses.create(model="gpt-4o", input="hi", stream=True)
        await anext(aiter(events))
        garbage.append(cycle(events))
        for make in (items, own_session):
            running = make()
            await anext(running)
            garbage.append(cycle(running))
        del stream, events, running
        async with spantally.session("kept") as kept:
            await ask()
            kept.totals
        await asyncio.sleep(0.01)
    garbage.clear()
    gc.collect()
    await asyncio.sleep(0.1)

asyncio.run(main())
assert spantally.flush(10)
print(json.dumps(collected))
"""


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with ScriptedServer(lambda request: Reply(text="a b c d", usage=Usage(input=11, output=7))) as server:
        yield Programs(tmp_path, server.base_url)


def _collect(programs: Programs, source: str) -> dict[str, Any]:
    done = ok(programs.run(COLLECTING + source, instrument=False, limit=50))
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_collection_inside_any_lock_does_not_hang(programs: Programs) -> None:
    """Synchronous: the run ends, collections did happen inside the locks that matter, nothing is lost."""
    collected = _collect(programs, SYNC)
    for owner in (
        "opentelemetry.sdk._shared_internal",  # the batch processor
        "opentelemetry.sdk.trace",  # span.end
        "opentelemetry.attributes",
        "opentelemetry.sdk.metrics._internal.aggregation",
        "opentelemetry.sdk.metrics._internal.measurement_consumer",
        "opentelemetry.sdk.metrics._internal.metric_reader_storage",
        "opentelemetry.sdk.metrics._internal._view_instrument_match",
        "spantally.ground.worker",
        "spantally.ground.session_state",
        "spantally.ledger.writer",
    ):
        assert collected.get(owner), (owner, collected)
    rows = programs.calls(None)
    kinds = [row.kind for row in rows]
    assert kinds.count("inference") == 14 * 4  # kept, stream, stream of a response, raw stream
    assert sum(row.abandoned for row in rows if row.kind == "inference") == 14 * 3
    assert kinds.count("tool") == 14
    assert kinds.count("agent") == 14 * 2
    assert {row.status for row in rows} <= {"ok"}
    kept = next(row for row in programs.sessions() if row.session_id == "kept")
    assert (kept.calls, kept.status) == (14, "succeeded")
    assert {row.status for row in programs.sessions()} == {"succeeded"}


def test_collection_inside_any_lock_does_not_hang_async(programs: Programs) -> None:
    """The same on an event loop, with asynchronous streams and generators."""
    collected = _collect(programs, ASYNC)
    assert collected.get("opentelemetry.sdk._shared_internal"), collected
    assert collected.get("opentelemetry.sdk.trace"), collected
    rows = programs.calls()
    assert len(rows) == 14 * 3  # kept, stream, stream of a response
    assert sum(row.abandoned for row in rows) == 14 * 2
    assert {row.status for row in programs.sessions()} == {"succeeded"}
