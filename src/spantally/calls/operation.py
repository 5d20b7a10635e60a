"""One operation from start to finish: a span, and a record, exactly once.

The lifecycle is start → (facts) → finish. Finishing is idempotent: whoever comes first wins, since a stream
may be ended by its iterator, by its response, by the collector and at exit. Telemetry that fails is
swallowed; the program's own exception passes by untouched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, Span, StatusCode
from opentelemetry.trace import Status as SpanStatus

from spantally.calls import pipeline
from spantally.calls.costing import cost_of, tell_cost
from spantally.calls.joining import Joined
from spantally.calls.json_text import printable
from spantally.calls.own_spans import OwnSpan, fill, safe_at_end, without_genai
from spantally.calls.rollup import Rollup, add_to_agents, sums_for
from spantally.calls.telemetry import SCOPE_NAME, Telemetry
from spantally.ground import ids, semconv
from spantally.ground.errors import SpantallyError
from spantally.ground.guard import counted, guard, swallowed
from spantally.ground.records import (
    COUNTED_KINDS,
    CallRecord,
    Kind,
    LateRecord,
    Precedence,
    Status,
    is_paid,
    possibly_billed,
)
from spantally.ground.scope import BAGGAGE_KEY, SCOPE_KEY, Scope
from spantally.ground.steady import steady_ns

SPAN_KEY: Final = next(iter(trace.set_span_in_context(INVALID_SPAN, Context())))
"""Key of the current span in the Context: found by use, since the API keeps its constant private."""

_FAILED: Final = frozenset({Status.ERROR, Status.CANCELLED, Status.INTERRUPTED})

_RUNNING: Final = Status.RUNNING
_METERED: Final = int(Precedence.METERED)

_THE_REST: Final = tuple(
    CallRecord._field_defaults[name] for name in CallRecord._fields[CallRecord._fields.index("content") + 1 :]
)
"""Fields of a record that no operation of ours has."""

_NAMED: Final = frozenset({Kind.AGENT, Kind.TOOL})

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
"""Shared by all operations without content: most have none."""

MAX_MESSAGE: Final = 1024
"""Longest status description, in characters."""

open_operations: Final[dict[str, Operation]] = {}
"""Operations that began and have not ended, by call id: what exit and SIGTERM end as interrupted."""


_NO: Final[Any] = (False,) * 4
_NONE: Final[Any] = (None,) * 18


class Operation:
    """One model call, tool, agent or workflow; made by :mod:`spantally.calls.starting`. It never raises."""

    __slots__ = (
        "_ending",
        "_since",
        "abandoned",
        "attempts",
        "call_id",
        "content",
        "end_attributes",
        "end_ns",
        "estimated",
        "first_chunk_ns",
        "joined",
        "kind",
        "later",
        "listeners",
        "mark",
        "name",
        "operation",
        "parent_context",
        "possibly_billed",
        "price_context",
        "provider",
        "request_model",
        "response_id",
        "response_model",
        "rollup",
        "safe_attributes",
        "scope",
        "scope_name",
        "server_address",
        "server_port",
        "span",
        "start_ns",
        "status",
        "telemetry",
        "tool_call_id",
        "turn",
        "usage",
        "usage_format",
    )

    hidden = False
    """True where nothing may be shown of it but its cost."""

    precedence: Final = _METERED
    """What its record says; who prices an operation reads it as if it were one."""

    telemetry: Telemetry
    kind: str
    operation: str
    scope: Scope
    scope_name: str
    """What the row says of who saw the call: rows of one response id and different names are one call."""
    call_id: str
    start_ns: int
    _since: int
    """The time of day, less the steady clock: what times of this operation are reckoned by."""
    end_ns: int | None
    status: str
    name: str | None
    span: Span
    mark: OwnSpan | None
    """What is known of the span while it records."""
    joined: Joined | None
    """Another instrumentor's span that stands for it, in the place of one of ours."""
    parent_context: Context | None
    provider: str | None
    request_model: str | None
    response_model: str | None
    response_id: str | None
    first_chunk_ns: int | None
    attempts: int
    possibly_billed: bool
    abandoned: bool
    estimated: bool
    usage: Mapping[str, Any] | None
    usage_format: str | None
    price_context: dict[str, Any] | None
    server_address: str | None
    server_port: int | None
    turn: bool
    tool_call_id: str | None
    content: Mapping[str, Any] | None
    end_attributes: dict[str, Any]
    safe_attributes: Mapping[str, Any]
    """Attributes for the end that are redacted already: content, put in by making another mapping."""
    later: tuple[Callable[[], None], ...]
    """Put content into ``content`` on the worker, before the record is made."""
    rollup: Rollup | None
    """Sums of what runs beneath, of an agent whose span is recorded."""
    listeners: tuple[Any, ...]
    """Get its record, beside its session."""
    _ending: list[None]

    def __init__(self, telemetry: Telemetry, kind: str, operation: str, scope: Scope) -> None:
        self.telemetry = telemetry
        self.kind = kind
        self.operation = operation
        self.scope = scope
        self.scope_name = SCOPE_NAME
        self.call_id = ids.new_call_id()
        self.start_ns = start_ns = time.time_ns()
        self._since = start_ns - steady_ns()
        self.status = _RUNNING
        self.span = INVALID_SPAN
        self.attempts = 1
        self.end_attributes = {}
        self.safe_attributes = _NOTHING
        self.later = self.listeners = ()
        self._ending = [None]
        # By the handful: it is done for each call.
        self.possibly_billed, self.abandoned, self.estimated, self.turn = _NO
        (
            self.end_ns,
            self.name,
            self.mark,
            self.joined,
            self.parent_context,
            self.provider,
            self.request_model,
            self.response_model,
            self.response_id,
            self.first_chunk_ns,
            self.usage,
            self.usage_format,
            self.price_context,
            self.server_address,
            self.server_port,
            self.tool_call_id,
            self.content,
            self.rollup,
        ) = _NONE

    # -- while it runs -------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """True once somebody has finished it."""
        return not self._ending

    def inner_context(self, base: Context | None = None, *, strip_baggage: bool = False) -> Context:
        """The Context inside the operation: its span is current, its scope is in force.

        Args:
            base: the Context to build on; the current one by default.
            strip_baggage: take our own baggage out, so that it does not reach an LLM provider.
        """
        context = otel_context.get_current() if base is None else base
        inner = Context(context)  # one copy, whatever is set in it
        put = dict.__setitem__
        put(inner, SCOPE_KEY, self._inner_scope() if self.kind in _NAMED else self.scope.inside(self.call_id))
        if self.span is not INVALID_SPAN:
            put(inner, SPAN_KEY, self.span)
        if strip_baggage and context:
            carried = context.get(BAGGAGE_KEY)
            if isinstance(carried, dict) and any(semconv.is_own_baggage(key) for key in carried):
                put(
                    inner,
                    BAGGAGE_KEY,
                    {key: value for key, value in carried.items() if not semconv.is_own_baggage(key)},
                )
        return inner

    def _inner_scope(self) -> Scope:
        """The scope inside an agent or tool, whose names count."""
        is_agent = self.kind == Kind.AGENT
        inner = self.scope.child(
            call_id=self.call_id,
            agent=self.name if is_agent else None,
            tool=self.name if self.kind == Kind.TOOL else None,
            run_id=self.call_id if is_agent and self.scope.run_id is None else None,
        )
        if self.rollup is not None:
            inner.rollup = self.rollup
        return inner

    def mark_first_chunk(self) -> None:
        """Note the arrival of a stream's first chunk, once."""
        if self.first_chunk_ns is None:
            self.first_chunk_ns = self._now() - self.start_ns

    def _now(self) -> int:
        """UNIX nanoseconds, as if nobody had set the clock since the operation began."""
        return self._since + steady_ns()

    # -- the end -------------------------------------------------------------------------------------

    def finish(
        self,
        status: str = Status.OK,
        *,
        error: BaseException | None = None,
        error_type: str | None = None,
        end_ns: int | None = None,
    ) -> bool:
        """End the operation: the first call wins, later ones do nothing.

        Args:
            status: a :class:`~spantally.ground.records.Status`; ``running`` ends the span and leaves the row
                open for :meth:`settle`: the request is over, the provider's work goes on.
            error: the program's exception, if it ended by one.
            error_type: value of ``error.type``; derived from ``error`` when absent.
            end_ns: when it ended; now, by default.

        Returns:
            True if this call ended it.
        """
        try:
            self._ending.pop()
        except IndexError:
            return False
        open_operations.pop(self.call_id, None)
        self.status = status
        self.end_ns = end = self._since + steady_ns() if end_ns is None else end_ns
        if error_type is None and error is not None:
            with guard("calls.error_type"):
                error_type = type_name(error)
        try:
            pipeline.remember_metered(self.call_id)
        except Exception as failure:
            swallowed("calls.remember", failure)
        if self.scope.rollup is not None:
            try:
                add_to_agents(self, status)
            except Exception as failure:
                swallowed("calls.rollup", failure)
        try:
            self._end_span(status, error, error_type, end)
        except Exception as failure:
            swallowed("calls.span_end", failure)
        if self.joined is not None and self.joined.span is not None and self.kind in COUNTED_KINDS:
            tell_cost(self, self.joined.span)
        try:
            if status == _RUNNING:
                # What is known now: the rest is settled later, on this same object.
                record = self._record(status, error_type, end, self.telemetry.project)
                ended: LateRecord | CallRecord = record._replace(end_ns=None, price_context=None)
            else:
                ended = Ended(self, status, error_type, end)
                if self.kind not in COUNTED_KINDS and not is_paid(self):
                    pass  # it costs nothing
                elif self.listeners:
                    self._tally(ended)
                else:
                    try:
                        self.scope.session.add(ended)
                    except Exception as failure:
                        swallowed("calls.tally", failure)
            if self.joined is None:
                pipeline.emit(ended)
            else:
                self.joined.emit(ended)
        except Exception as failure:
            swallowed("calls.record", failure)
        return True

    def settle(self, status: str, *, error_type: str | None = None) -> None:
        """Complete the row of an operation that finished as ``running``; to be called at most once.

        Args:
            status: how it ended.
            error_type: value of ``error.type``.
        """
        try:
            record = self._record(status, error_type, self._now(), self.telemetry.project)
            if record.kind in COUNTED_KINDS:
                self._tally(record)
            pipeline.emit(record)
        except Exception as failure:
            swallowed("calls.settle", failure)

    def _tally(self, ended: LateRecord | CallRecord) -> None:
        try:
            self.scope.session.add(ended)
        except Exception as failure:
            swallowed("calls.tally", failure)
        for listener in self.listeners:
            try:
                listener(ended)
            except Exception as failure:
                swallowed("calls.listener", failure)

    def finish_later(self, **outcome: Any) -> None:
        """Note the end from a finaliser: one append; the worker ends the operation with this time."""
        if not self._ending:
            return
        try:
            outcome["end_ns"] = self._now()
            open_operations.pop(self.call_id, None)  # its end is known: nothing interrupts it any more
            if self.scope.rollup is not None:
                self.scope.rollup.expect(self)
            pipeline.late.put_from_finaliser(_LateEnd(self, outcome))
        except Exception as error:
            counted("calls.finish_later", error)

    def _end_span(
        self, status: str, error: BaseException | None, error_type: str | None, end_ns: int
    ) -> None:
        span = self.span
        if span is INVALID_SPAN:
            return
        try:
            mark, self.mark = self.mark, None  # of recording spans only
            if mark is not None and span.is_recording():
                self._complete_span(span, mark, error_type)
                if status in _FAILED:
                    span.set_status(SpanStatus(StatusCode.ERROR, self._description(error, error_type)))
        finally:
            if span.is_recording():  # the program may have ended it itself
                span.end(end_ns)
            # Its ids are still wanted, for the record; all else of it need not live as long.
            self.span = NonRecordingSpan(span.get_span_context())

    def _complete_span(self, span: Span, mark: OwnSpan, error_type: str | None) -> None:
        attributes = self.end_attributes
        if self.rollup is not None:
            attributes.update(sums_for(self.rollup, newest=not self.telemetry.renames))
        if self.abandoned:
            attributes[semconv.CALL_ABANDONED] = True
        if self.attempts > 1:
            attributes[semconv.CALL_ATTEMPTS] = self.attempts
        if self.possibly_billed and possibly_billed(self):
            attributes[semconv.CALL_POSSIBLY_BILLED] = True
        if error_type is not None:
            attributes[semconv.ERROR_TYPE] = error_type
        if (self.kind in COUNTED_KINDS and self.status != _RUNNING) or is_paid(self):
            attributes.update(cost_of(self))
        content = self.safe_attributes
        if not mark.genai:
            attributes, content = without_genai(attributes), _NOTHING
        if attributes or content:
            safe, plain = safe_at_end(self.telemetry, attributes, mark)
            if content:
                safe, plain = {**safe, **content}, False
            fill(span, safe, plain=plain)
            mark.values.update(safe)

    def _description(self, error: BaseException | None, error_type: str | None) -> str | None:
        """Text of the status: an error's message may quote prompt or result, so it needs content capture."""
        message = error_type or ""
        if error is not None and self.telemetry.capture_spans:
            try:
                message = str(error) or message
            except (Exception, SystemExit, GeneratorExit):
                pass
        return printable(self.telemetry.redactor.text(message))[:MAX_MESSAGE] or None

    def _record(self, status: str, error_type: str | None, end_ns: int, project: str | None) -> CallRecord:
        scope = self.scope
        session = scope.session
        name = self.name
        is_agent = self.kind == Kind.AGENT
        for keep in self.later:
            try:
                keep()
            except Exception as error:
                swallowed("calls.later_content", error)
        trace_id, span_id, parent_span_id = self._span_ids()
        # By position: with names it takes three times as long. In two parts: a tuple of more than thirty
        # values is made by way of a list.
        first = (
            self.call_id,
            session.session_id,
            str(self.kind),  # plain, as the store gives it back: then nobody has to make it so
            self.operation,
            self.start_ns,
            end_ns,
            str(status),
            _METERED,
            scope.call_id,
            trace_id,
            span_id,
            parent_span_id,
            session.implicit,
            session.name,
            scope.conversation_id,
            scope.user_id,
            scope.entity_type,
            scope.entity_id,
            scope.tags,
            name,
            self.provider,
            self.request_model,
            self.response_model,
            self.response_id,
            self.first_chunk_ns,
            error_type,
        )
        second = (
            self.abandoned,
            self.attempts,
            self.possibly_billed,
            self.usage,
            None if self.usage_format is None else str(self.usage_format),
            self.price_context,
            self.estimated,
            (*scope.agent_path, name) if is_agent and name else scope.agent_path,
            scope.run_id or (self.call_id if is_agent else None),
            name if self.kind == Kind.TOOL else scope.tool,
            self.turn,
            self.tool_call_id,
            False,
            project,
            self.scope_name,
            self.server_address,
            self.server_port,
            self.end_attributes.get(semconv.RESPONSE_FINISH_REASONS, ()),
            self.content,
        )
        return tuple.__new__(CallRecord, first + second + _THE_REST)

    def _span_ids(self) -> tuple[str | None, str | None, str | None]:
        """Hex ids of trace, span and parent span; None for what a disabled SDK does not give."""
        if self.joined is not None and self.joined.span is not None:
            return self.joined.ids()
        own = self.span.get_span_context()
        around = None if self.parent_context is None else self.parent_context.get(SPAN_KEY)
        if around is None:
            if not own.is_valid:
                return None, None, None
            return f"{own.trace_id:032x}", f"{own.span_id:016x}", None
        parent = trace.get_current_span(self.parent_context).get_span_context()
        parent_hex = f"{parent.span_id:016x}" if parent.is_valid else None
        if not own.is_valid:
            return (f"{parent.trace_id:032x}" if parent.is_valid else None), None, parent_hex
        trace_hex = f"{own.trace_id:032x}"
        if own.span_id == parent.span_id:
            return trace_hex, None, parent_hex  # no SDK: the "span" is the parent's context again
        return trace_hex, f"{own.span_id:016x}", parent_hex


class Ended:
    """An operation that has ended; its record is made when somebody reads it, on the worker as a rule.

    Making a record takes longer than all else at the end of a call.
    """

    __slots__ = ("_end_ns", "_error_type", "_operation", "_project", "_record", "_status")

    def __init__(self, operation: Operation, status: str, error_type: str | None, end_ns: int) -> None:
        self._operation: Operation | None = operation
        self._status = status
        self._error_type = error_type
        self._end_ns = end_ns
        self._project = operation.telemetry.project
        self._record: CallRecord | None = None

    def record(self) -> CallRecord:
        """The record; the same object at every call."""
        made = self._record
        if made is None:
            operation = self._operation
            if operation is not None:
                made = operation._record(self._status, self._error_type, self._end_ns, self._project)
                self._record = made
                self._operation = None  # what it holds of the program's need not live longer
            else:
                made = self._record  # another thread has just made it
        assert made is not None
        return made


class _LateEnd:
    """The noted end of an operation, run on the worker."""

    __slots__ = ("operation", "outcome")

    def __init__(self, operation: Operation, outcome: dict[str, Any]) -> None:
        self.operation = operation
        self.outcome = outcome

    def __call__(self) -> None:
        abandoned = self.outcome.pop("abandoned", False)
        possibly_billed = self.outcome.pop("possibly_billed", None)
        prepare = self.outcome.pop("prepare", None)
        operation = self.operation
        if operation.ended:
            return
        if prepare is not None:
            try:
                prepare()
            except Exception as error:
                swallowed("calls.late_facts", error)
        operation.abandoned = operation.abandoned or abandoned
        if possibly_billed is not None:
            operation.possibly_billed = possibly_billed
        operation.finish(**self.outcome)


_OUR_ERRORS: Final = SpantallyError.__module__


def type_name(error: BaseException) -> str:
    """Canonical name of an exception's class: bare for built-ins, with its module otherwise."""
    kind = type(error)
    module = kind.__module__
    if module == _OUR_ERRORS:
        module = "spantally"  # as programs know them, and as what was refused has it
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"


def _after_fork_in_child() -> None:
    """What was open at the fork is its parent's to end; the child's copies end nothing."""
    for operation in open_operations.values():
        operation._ending.clear()
    open_operations.clear()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)


def interrupt_open_operations() -> None:
    """At exit: what still runs is ended as interrupted; a model call then is possibly billed."""
    interrupt(list(open_operations.values()))


def interrupt(operations: Iterable[Operation]) -> None:
    """End operations as interrupted."""
    for operation in operations:
        if operation.kind in COUNTED_KINDS and operation.usage is None:
            operation.possibly_billed = True
        operation.finish(Status.INTERRUPTED, error_type="interrupted")
