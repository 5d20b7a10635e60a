"""The start of an operation: whose it is, its span, its place among what runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import INVALID_SPAN, SpanContext

from spantally.calls import claims, implicit, open_work, watching
from spantally.calls.hidden import start_hidden
from spantally.calls.joining import AROUND, NOWHERE, Join, Joined, detached, join
from spantally.calls.operation import SPAN_KEY, Operation, open_operations
from spantally.calls.own_spans import MARK, OwnSpan, safe_of, stamped, without_genai
from spantally.calls.plans import Plan
from spantally.calls.telemetry import Telemetry
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind
from spantally.ground.scope import SCOPE_KEY, Scope, current_scope, is_hidden, is_paused

first_start: Final[list[Callable[[], None]]] = []
"""What waits for the first operation: by then the program's main module has run its definitions."""


def start(
    telemetry: Telemetry,
    plan: Plan,
    *,
    name: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    conversation_id: str | None = None,
    start_ns: int | None = None,
    joins: Join = NOWHERE,
    within: Callable[[Context], Context] | None = None,
    takes_announced: bool = True,
    call_id: str | None = None,
) -> Operation | None:
    """Begin an operation, or None inside ``spantally.paused()`` and where telemetry itself fails.

    Args:
        telemetry: where it reports to.
        plan: what it is, and what all of its shape say at their start.
        name: name of the agent, tool or workflow.
        attributes: further ones, of this operation alone.
        conversation_id: the conversation that the API's request names; it wins over the session's.
        start_ns: when it began, where that is past; now, by default.
        joins: where another instrumentor's span of the same operation may be.
        within: makes the Context that it begins in from the current one; None leaves it as it is.
        takes_announced: whether it may be a call that a framework has announced here.
        call_id: its id, where the program names it; a new one, by default.
    """
    announced: claims.Announced | None = None
    try:
        if first_start:
            _run_first_start()
        context = otel_context.get_current()
        if context and is_paused(context):
            return None
        if claims.announced.get() and takes_announced and plan.kind == Kind.INFERENCE:
            announced = claims.take()
            if announced is not None:
                context = announced.place(context)
        if within is not None:
            try:
                context = within(context)
            except Exception as error:
                swallowed("calls.within", error)
        scope = _scope_for(context, telemetry, conversation_id)
        if context and is_hidden(context):
            hidden = start_hidden(telemetry, plan, scope, context, call_id)
            open_work.began()
            if hidden is not None and announced is not None:
                announced.belongs_to(hidden)
            if hidden is not None and watching.watchers:
                watching.began(hidden, None, False)
            return hidden
        made = Operation(telemetry, plan.kind, plan.operation, scope)
        made.name = name
        if call_id is not None:
            made.call_id = call_id
        if start_ns is not None:
            made.start_ns = start_ns
        made.parent_context = context
        open_operations[made.call_id] = made  # before the span: the processor finds it there
        found: Joined | None = None
        if joins is not NOWHERE and (context or joins is not AROUND or detached.get() is not None):
            found = join(made, context.get(SPAN_KEY), joins)
        if found is None or telemetry.coexist == "own":
            _start_span(made, context, plan, attributes)
        if found is not None and made.span is INVALID_SPAN:
            made.joined = found
        if announced is not None:
            announced.belongs_to(made)
        open_work.began()
        if watching.watchers:
            streamed = semconv.REQUEST_STREAM in plan.attributes or semconv.REQUEST_STREAM in (
                attributes or ()
            )
            watching.began(made, plan.subject, streamed)
        return made
    except Exception as error:
        swallowed("calls.start", error)
        if announced is not None:
            announced.give_back()
        return None


def _scope_for(context: Context, telemetry: Telemetry, conversation_id: str | None) -> Scope:
    """The scope of a new operation; the session of the process's run where finding it fails."""
    try:
        scope = current_scope(context) if SCOPE_KEY in context else None
        if scope is None:
            scope = implicit.implicit_scope(context, telemetry, conversation_id)
        if conversation_id and conversation_id != scope.conversation_id:
            scope = _with_conversation(scope, conversation_id)
    except Exception as error:
        swallowed("calls.scope", error)
        scope = implicit.fallback_scope(implicit.process_session(), telemetry)
    if not scope.session.recorded:
        try:
            implicit.record_session(scope, telemetry)
        except Exception as error:
            swallowed("calls.session_record", error)
    return scope


def _run_first_start() -> None:
    while first_start:
        try:
            first_start.pop()()
        except Exception as error:
            swallowed("calls.first_start", error)


_NOT_MADE: Final[tuple[Any, Any, Any, str, dict[str, Any], bool]] = (None, None, None, "", {}, False)
_NOT_STAMPED: Final = (None, None, None, None)


def _start_span(made: Operation, context: Context, plan: Plan, attributes: Mapping[str, Any] | None) -> None:
    try:
        if context and not is_instrumentation_enabled():
            return
        telemetry, scope = made.telemetry, made.scope
        redactor: Any = telemetry.redactor
        renames = telemetry.renames
        try:  # as revision_of() does
            revision = redactor.revision
        except Exception:
            revision = None
        if type(revision) is not int:
            revision = None
        by, when, named, title, asked, genai = plan.made or _NOT_MADE
        if by is not redactor or when != revision or named is not renames:
            title, asked, genai = plan.ready(redactor, revision, renames)
        stamps: Any
        by, when, named, stamps = scope.stamps or _NOT_STAMPED
        if by is not redactor or when != revision or named is not renames or not genai:
            stamps = stamped(telemetry, scope, revision, genai=genai)[3]
        safe = {**stamps, **asked}
        if attributes:
            own = safe_of(redactor, renames, attributes)
            safe.update(own if genai else without_genai(own))
        safe[semconv.CALL_ID] = made.call_id
        if scope.call_id is not None:
            safe[semconv.CALL_PARENT_ID] = scope.call_id
        # A copy: a sampler may write into what it gets, and then that is not what we redacted.
        span = telemetry.tracer.start_span(
            title, context=context, kind=plan.span_kind, attributes=safe.copy(), start_time=made.start_ns
        )
        if not isinstance(span.get_span_context(), SpanContext):
            return  # a mock in the place of a provider: the call is metered without it
        made.span = span
        if span.is_recording():
            made.mark = mark = OwnSpan(redactor, revision, title, safe, genai=genai)
            setattr(span, MARK, mark)  # for the redaction net; a span without room for it is scanned whole
    except Exception as error:
        swallowed("calls.span_start", error)


def _with_conversation(scope: Scope, conversation_id: str) -> Scope:
    made = Scope(
        scope.session,
        user_id=scope.user_id,
        entity_type=scope.entity_type,
        entity_id=scope.entity_id,
        tags=scope.tags,
        conversation_id=conversation_id,
        agent_path=scope.agent_path,
        call_id=scope.call_id,
        run_id=scope.run_id,
        tool=scope.tool,
        parent=scope.parent,
    )
    made.rollup = scope.rollup
    return made
