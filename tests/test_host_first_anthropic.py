"""An exception forced into each part that reads Anthropic's wire: the program notices none of them."""

from __future__ import annotations

import asyncio
import gc
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

import spantally
from anthropic_forms_kit import ASK, MODEL, TRACES_ITSELF, USAGE, async_client_of, client_of
from spantally.calls import implicit, secrets
from spantally.calls.operation import open_operations
from spantally.ground.records import COUNTED_KINDS
from spantally.ground.worker import worker
from spantally.instrumentors.stainless import batches
from spantally.redaction import Redactor
from spantally.testing import Reply, Request, ScriptedServer, ToolCall
from test_host_first_faults import Fault, _force, _met
from watching import Watched

OURS = "spantally.instrumentors.anthropic"
SHELL = "spantally.instrumentors.stainless"

FAULTS = (
    Fault(f"{OURS}.beginning:begin", ("sdk.begin",), metered=False),
    Fault(f"{OURS}.beginning:classify", ("sdk.begin",), metered=False),
    Fault(f"{OURS}.beginning:model_of", ("sdk.request",)),
    Fault(f"{OURS}.beginning:remember_keys", ("sdk.request",)),
    Fault(f"{OURS}.beginning:provider.provider_of", ("sdk.request",)),
    Fault(f"{OURS}.beginning:request.request_attributes", ("sdk.request",)),
    Fault(f"{OURS}.beginning:request.shape_of", ("sdk.request",)),
    Fault(f"{OURS}.beginning:request.newest_message_is_user", ("sdk.request_facts",)),
    Fault(f"{OURS}.beginning:request.tool_results", ("sdk.request_content",)),
    Fault(f"{OURS}.native:traces_itself", ("anthropic.native",)),
    Fault(f"{OURS}.native:conversation_of", ("sdk.request",)),
    Fault(f"{OURS}.wire.content:input_sources", ("sdk.request_content",)),
    Fault(f"{OURS}.wire.content:system_instructions", ("sdk.request_content",)),
    Fault(f"{SHELL}.capture:Capture.take_output", ("sdk.response", "sdk.stream_facts")),
    Fault(f"{OURS}.call:headers.head_facts", ("sdk.response",)),
    Fault(f"{OURS}.call:response.response_facts", ("sdk.response", "sdk.result")),
    Fault(f"{OURS}.call:usage.usage_attributes", ("sdk.response", "sdk.stream_facts")),
    Fault(f"{OURS}.call:usage.parts_beyond", ("sdk.response", "sdk.stream_facts")),
    Fault(f"{OURS}.call:batches.add_price_facts", ("sdk.response", "sdk.stream_facts")),
    Fault(f"{OURS}.call:expect_tool_calls", ("sdk.response",)),
    Fault(f"{OURS}.call:StreamFacts.__init__", ("sdk.chunk", "sdk.bytes")),
    Fault(f"{OURS}.wire.stream:StreamFacts.observe", ("sdk.chunk", "sdk.bytes")),
    Fault(f"{OURS}.wire.stream:StreamFacts.facts", ("sdk.stream_facts",)),
    Fault(f"{OURS}.wire.stream:merged", ("sdk.chunk",)),
    Fault(f"{OURS}.wire.stream_content:StreamContent.add", ("sdk.chunk",)),
    Fault(f"{OURS}.wire.stream_content:StreamContent.messages", ("sdk.stream_facts",)),
    Fault(f"{OURS}.batches:batch_line", ("sdk.batch_line",)),
    Fault(f"{OURS}.batches:is_batch_line", ("sdk.bytes",)),
    Fault(f"{SHELL}.taps:iterator_of", ("sdk.stream",)),
)

NATIVE = (
    # Then their spans are views that the ledger joins to the rows that stand around them.
    Fault("spantally.otel.joining:is_native", ("otel.join",), metered=False),
    Fault("spantally.otel.joining:SpanReader.mark", ("otel.join",), metered=False),
    Fault("spantally.calls.joining:Joined.complete", ("sdk.response", "anthropic.complete")),
    Fault("spantally.calls.joining:safe_of", ("sdk.response", "anthropic.complete")),
    Fault("spantally.calls.joining:Joined.ids", ()),
    Fault(f"{OURS}.native:traces_itself", ("anthropic.native",)),
    Fault(f"{OURS}.call:attributes_of", ("sdk.response", "anthropic.complete")),
)
"""Parts that only a client meets that traces itself."""


def script(request: Request) -> Reply:
    """The same answer at every run."""
    text = request.last_text
    if "refuse" in text:
        return Reply(status=400, error="the scripted refusal")
    if "overload" in text:
        return Reply(text="a b c d e f g", error={"type": "overloaded_error", "message": "busy"})
    if "tool please" in text:
        call = ToolCall("lookup", {"word": "x"}, id="toolu_fixed")
        return Reply(tool_calls=(call,), usage=USAGE, response_id="msg_tool")
    return Reply(text="the answer", usage=USAGE, response_id="msg_fixed")


def _ask(text: str, **more: Any) -> dict[str, Any]:
    return {**ASK, "messages": [{"role": "user", "content": text}], **more}


def _plain(made: Any) -> Any:
    return made.to_dict() if hasattr(made, "to_dict") else made


def _stream(client: Any) -> Any:
    return [_plain(event) for event in client.messages.create(**ASK, stream=True)]


def _left(client: Any) -> Any:
    stream = client.messages.create(**ASK, stream=True)
    first = next(iter(stream))
    stream.close()
    return _plain(first)


def _manager(client: Any) -> Any:
    with client.messages.stream(**ASK) as stream:
        return list(stream.text_stream), stream.get_final_message().id


def _bytes(client: Any) -> Any:
    with client.messages.with_streaming_response.create(**ASK, stream=True) as raw:
        return raw.read()


def _overloaded(client: Any) -> Any:
    return list(client.messages.create(**_ask("overload"), stream=True))


def _tool_turn(client: Any) -> Any:
    asked = client.messages.create(**_ask("tool please"), system="be brief")
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [block.to_dict() for block in asked.content]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_elsewhere", "content": "found"}],
        },
    ]
    return _plain(client.messages.create(model=MODEL, max_tokens=9, messages=messages))


def _batch(client: Any) -> Any:
    batch = client.messages.batches.create(requests=[{"custom_id": "a", "params": ASK}])
    return [line.to_dict() for line in client.messages.batches.results(batch.id)]


FORMS: dict[str, Callable[[Any], Any]] = {
    "create": lambda client: _plain(client.messages.create(**ASK)),
    "stream": _stream,
    "left": _left,
    "manager": _manager,
    "bytes": _bytes,
    "refused": lambda client: client.messages.create(**_ask("refuse")),
    "overloaded": _overloaded,
    "tool turn": _tool_turn,
}
if hasattr(anthropic.resources.messages.Messages, "batches"):
    FORMS["batch"] = _batch


class Program:
    """A program that asks in every form; what it gets does not depend on us."""

    def __init__(self, server: ScriptedServer, loop: asyncio.Runner, **options: Any) -> None:
        self.client = client_of(server, **options)
        self.async_client = async_client_of(server, **options)
        self.loop = loop

    def close(self) -> None:
        """Let go of connections."""
        self.client.close()
        self.loop.run(self.async_client.close())

    def run(self) -> dict[str, Any]:
        """Every form; the outcome of each is what it returned or raised."""
        outcomes: dict[str, Any] = {}
        for name, form in FORMS.items():
            try:
                outcomes[name] = ("returned", form(self.client))
            except Exception as error:
                outcomes[name] = ("raised", type(error).__name__, str(error))
        outcomes["async"] = self.loop.run(self._async())
        return outcomes

    async def _async(self) -> Any:
        whole = await self.async_client.messages.create(**ASK)
        events = [
            _plain(event) async for event in await self.async_client.messages.create(**ASK, stream=True)
        ]
        async with self.async_client.messages.with_streaming_response.create(**ASK, stream=True) as raw:
            return _plain(whole), events, await raw.read()


def _numbered(outcomes: dict[str, Any]) -> str:
    """Without the numbers that the server counts on."""
    return re.sub(r"scripted_\d+", "scripted", json.dumps(outcomes, default=repr))


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """One for all."""
    with ScriptedServer(script) as made:
        yield made


@pytest.fixture(scope="module")
def program(server: ScriptedServer) -> Iterator[Program]:
    """A program whose clients do not trace themselves."""
    with asyncio.Runner() as loop:
        made = Program(server, loop)
        yield made
        made.close()


@pytest.fixture(scope="module")
def without_us(program: Program) -> str:
    """What the program gets when nothing is instrumented."""
    spantally.uninstrument()
    return _numbered(program.run())


@pytest.fixture
def active() -> Iterator[Watched]:
    """spantally with all content on, so that every part runs."""
    provider = LoggerProvider(shutdown_on_exit=False)
    heard = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider.add_log_record_processor(SimpleLogRecordProcessor(heard))
    implicit.forget_process_session()
    batches.forget()
    gc.collect()
    worker.flush(5)
    made = Watched(
        capture_content="span_and_event", ledger_content="all", redact=Redactor(), logger_provider=provider
    )
    yield made
    made.close()
    open_operations.clear()
    batches.forget()


def _bill(watched: Watched) -> list[str]:
    calls = {record.call_id: record for record in watched.records if record.kind in COUNTED_KINDS}
    batched = sum(bool((record.price_context or {}).get("batch")) for record in calls.values())
    return [f"{len(calls) - batched} calls"]


@pytest.fixture(scope="module")
def full_bill(program: Program, without_us: str) -> list[str]:
    """What is metered when nothing fails."""
    watched = Watched()
    try:
        assert _numbered(program.run()) == without_us
        return _bill(watched)
    finally:
        watched.close()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.target.removeprefix("spantally."))
def test_failure_of_a_part_stays_ours(
    fault: Fault, active: Watched, program: Program, without_us: str, full_bill: list[str]
) -> None:
    """Every form returns or raises just what it does without us; the failure is counted as ours."""
    with pytest.MonkeyPatch.context() as patch:
        worker.stop()
        secrets.known_secrets.clear()
        _force(patch, fault.target)
        got = _numbered(program.run())
        worker.flush(10)
    assert got == without_us
    assert set(fault.places) <= _met()
    if fault.metered:
        assert _bill(active) == full_bill


@pytest.mark.skipif(not TRACES_ITSELF, reason="this version of the SDK does not trace itself")
@pytest.mark.parametrize("fault", NATIVE, ids=lambda fault: fault.target.removeprefix("spantally."))
def test_failure_beside_the_sdks_own_spans_stays_ours(
    fault: Fault, active: Watched, server: ScriptedServer, without_us: str, full_bill: list[str]
) -> None:
    """The same with clients that trace themselves to our provider."""
    with asyncio.Runner() as loop:
        program = Program(server, loop, open_telemetry={"tracer_provider": active.provider})
        with pytest.MonkeyPatch.context() as patch:
            _force(patch, fault.target)
            got = _numbered(program.run())
            worker.flush(10)
        program.close()
    assert got == without_us
    assert set(fault.places) <= _met()
    if fault.metered and fault.places:
        assert _bill(active) == full_bill
