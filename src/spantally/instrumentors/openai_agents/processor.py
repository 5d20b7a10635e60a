"""The trace processor: the SDK's spans of agents and tools as works of ours, its model calls announced."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.calls import claims, told
from spantally.calls.claims import Announced
from spantally.calls.entering import Entered
from spantally.calls.hosted import Hosted, begin, innermost
from spantally.calls.telemetry import Telemetry
from spantally.calls.work import AgentWork, ToolWork, Work
from spantally.calls.work_content import keep_given_arguments
from spantally.ground.guard import guarded
from spantally.ground.records import UsageFormat
from spantally.ground.scope import SCOPE_KEY, is_paused, with_values
from spantally.instrumentors.providers import provider_of

SCOPE_NAME: Final = "spantally/openai_agents"
"""What a row says of who saw a model call that no SDK of ours has seen."""

MOST_OPEN: Final = 20_000
"""Spans under way that are remembered; of more the oldest is forgotten."""

_WORKS: Final[Mapping[str, type[Work]]] = {"agent": AgentWork, "function": ToolWork, "guardrail": ToolWork}
_MODELS: Final = frozenset({"generation", "response"})


class _Open:
    """One of the SDK's spans that is under way."""

    __slots__ = (
        "announced",
        "around",
        "before",
        "context",
        "entered",
        "first",
        "hosted",
        "parent",
        "start_ns",
    )

    def __init__(self, parent: _Open | None) -> None:
        self.parent = parent
        self.start_ns = time.time_ns()
        ambient = otel_context.get_current()
        self.around = ambient if parent is None else innermost(ambient, parent.context)
        self.context: Context = self.around
        """Inside it."""
        self.hosted: Hosted | None = None
        self.entered: Entered | None = None
        self.announced: Announced | None = None
        self.first: Hosted | None = None
        """The first agent that ran inside, if none is around: those it hands over to go on with its run."""
        self.before = sys.exc_info()[1]


class Processor:
    """A trace processor of openai-agents. It exports nothing and raises nothing."""

    def __init__(self, telemetry: Callable[[], Telemetry]) -> None:
        self.switched_off = False
        self._telemetry = telemetry
        self._open: dict[str, _Open] = {}

    def on_trace_start(self, trace: Any) -> None:
        """A trace is no work of its own."""

    def on_trace_end(self, trace: Any) -> None:
        """Nothing waits for it."""

    def shutdown(self, timeout: float | None = None) -> None:
        """Nothing is held back."""

    def force_flush(self) -> None:
        """Nothing is held back."""

    @guarded("openai_agents.span_start")
    def on_span_start(self, span: Any) -> None:
        """Begin what the span stands for, and put its Context into force for what runs inside."""
        if self.switched_off:
            return
        data = span.span_data
        made = _Open(self._open.get(span.parent_id or ""))
        if len(self._open) >= MOST_OPEN:
            self._open.pop(next(iter(self._open)), None)
        self._open[span.span_id] = made
        kind = _WORKS.get(data.type)
        if kind is not None:
            self._begin(made, kind, str(data.name))
        elif data.type in _MODELS:
            made.announced = Announced(lambda ambient: innermost(ambient, made.around), [])
            claims.announce(made.announced)

    def _begin(self, made: _Open, kind: type[Work], name: str) -> None:
        context, first = made.around, None
        if kind is AgentWork and made.parent is not None:
            first = made.parent.first
            if first is not None:
                context = _going_on(context, first)
        made.hosted = begin(kind, name, context=context, telemetry=self._telemetry())
        if made.hosted is None:
            return
        made.context = made.hosted.context
        made.entered = Entered(made.context)
        if kind is AgentWork and made.parent is not None and first is None and made.hosted.operation.turn:
            made.parent.first = made.hosted

    @guarded("openai_agents.span_end")
    def on_span_end(self, span: Any) -> None:
        """End what the span stands for."""
        made = self._open.pop(span.span_id, None)
        if made is None:
            return
        if made.entered is not None:
            made.entered.leave()
        data, error = span.span_data, sys.exc_info()[1]
        if error is made.before:
            error = None
        if made.hosted is not None:
            self._end(made.hosted, data, span.error, error)
        elif made.announced is not None:
            claims.withdraw(made.announced)
            if made.announced.operation is None and not is_paused(made.around):
                self._count(made, data, error)
        elif data.type == "handoff" and data.to_agent:
            self._hand_over(made, str(data.to_agent), span.error)

    def _end(self, hosted: Hosted, data: Any, failure: Any, error: BaseException | None) -> None:
        if isinstance(error, GeneratorExit):
            hosted.leave()
            return
        is_tool = data.type == "function"
        if is_tool:
            keep_given_arguments(hosted.operation, data.input)
        if error is None and failure is not None:
            hosted.finish(error_type="tool_error" if is_tool else "_OTHER")
        else:
            hosted.finish(error, result=data.output if is_tool else None)

    def _hand_over(self, made: _Open, agent: str, failure: Any) -> None:
        """A handoff is a tool that the model has called; only at its end its name is known."""
        name = re.sub(r"[^a-zA-Z0-9_]", "_", f"transfer_to_{agent.replace(' ', '_')}").lower()
        hosted = begin(
            ToolWork, name, context=made.around, telemetry=self._telemetry(), start_ns=made.start_ns
        )
        if hosted is not None:
            hosted.finish(error_type=None if failure is None else "_OTHER")

    def _count(self, made: _Open, data: Any, error: BaseException | None) -> None:
        """A model whose SDK nobody patches: what the framework says of it is all there is."""
        assert made.announced is not None
        told.count(
            made.announced,
            _told(data),
            telemetry=self._telemetry(),
            context=made.around,
            scope_name=SCOPE_NAME,
            start_ns=made.start_ns,
            end_ns=time.time_ns(),
            error=error,
        )


def _going_on(context: Context, first: Hosted) -> Context:
    """The Context of an agent that another one has handed over to: it belongs to that one's run."""
    scope = first.operation.scope
    made = scope.child(call_id=scope.call_id)  # type: ignore[arg-type]
    made.parent = scope.parent
    made.run_id = first.operation.call_id
    return with_values(context, {SCOPE_KEY: made})


def _told(data: Any) -> told.Told:
    response = getattr(data, "response", None)
    model = getattr(response, "model", None) or getattr(data, "model", None)
    model = str(model) if model else None
    usage = getattr(response, "usage", None) or data.usage
    if hasattr(usage, "model_dump"):
        usage = usage.model_dump()
    usage = dict(usage) if isinstance(usage, Mapping) and usage else None
    parts = (model or "").split("/")
    identity = getattr(response, "id", None)
    counts = {
        name: usage[name]
        for name in ("input_tokens", "output_tokens")
        if usage is not None and isinstance(usage.get(name), int)
    }
    return told.Told(
        provider=provider_of(parts[-2]) if len(parts) > 1 else None,
        request_model=parts[-1] if model else None,
        response_model=parts[-1] if response is not None and model else None,
        response_id=identity if isinstance(identity, str) else None,
        usage=usage if counts else None,
        usage_format=UsageFormat.OPENAI_RESPONSES if counts else None,
        counts=counts,
    )
