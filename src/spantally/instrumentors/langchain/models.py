"""Model calls of LangChain: announced to the SDK beneath, and counted here where no SDK of ours counted them."""

from __future__ import annotations

import functools
import sys
import time
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from spantally.calls import claims, pipeline
from spantally.calls.claims import Announced
from spantally.calls.hosted import innermost
from spantally.calls.operation import Operation, type_name
from spantally.calls.plans import Plan
from spantally.calls.starting import start
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind, Precedence, Status
from spantally.instrumentors.langchain.answers import Answered, Asked, answered, asked
from spantally.instrumentors.langchain.runs import Run

SCOPE_NAME: Final = "spantally.langchain"
"""What the row says of who saw the call: an SDK's own row of the same response is the same call."""

_PREFIX: Final = "gen_ai.usage."
_MAYBE_BILLED: Final = ("timeout", "timedout", "interrupted", "connection", "remoteprotocol", "readerror")


def begin(run: Run, operation: str, serialized: Any, metadata: Any, parameters: Any) -> None:
    """A model is asked: the SDK's call that follows is this one.

    Args:
        run: LangChain's.
        operation: ``gen_ai.operation.name``.
        serialized: of the model.
        metadata: of the run.
        parameters: what the model is asked with.
    """
    run.facts = (operation, asked(serialized, metadata, parameters))

    def place(ambient: Context) -> Context:
        return innermost(ambient, run.around())

    run.announced = Announced(place, run.listeners)
    claims.announce(run.announced)


def answering(run: Run | None) -> None:
    """Its answer begins to arrive."""
    if run is not None and run.announced is not None:
        run.announced.close()


def being_closed() -> BaseException | None:
    """The GeneratorExit that is being handled: then this may be a finaliser."""
    current = sys.exc_info()[1]
    return current if isinstance(current, GeneratorExit) else None


def ended(run: Run, response: Any, error: BaseException | None = None) -> None:
    """It has ended: where nobody has counted it, that is done here.

    Args:
        run: LangChain's.
        response: the ``LLMResult``, whole or in part, or None.
        error: what it ended by.
    """
    try:
        call = run.announced
        if call is None:
            return
        claims.withdraw(call)
        if call.operation is not None or run.paused:
            return
        count = functools.partial(_count, run, call, response, error, time.time_ns())
        if isinstance(error, GeneratorExit):
            pipeline.late.put_from_finaliser(_Guarded(count))
        else:
            count()
    finally:
        run.end(None if error is None else error)


class _Guarded:
    """A count that the worker makes."""

    __slots__ = ("count",)

    def __init__(self, count: Any) -> None:
        self.count = count

    def __call__(self) -> None:
        try:
            self.count()
        except Exception as error:
            swallowed("langchain.late_count", error)


def _count(run: Run, call: Announced, response: Any, error: BaseException | None, end_ns: int) -> None:
    operation, about = run.facts
    answer = Answered() if response is None else answered(response)
    if answer.from_cache:
        return
    provider = about.provider or answer.provider
    if call.told_elsewhere:
        made: Operation | None = None
        _tell_listeners(run, call, operation, about, answer, end_ns)
    else:
        made = start(
            run.telemetry,
            _plan(operation, about, answer),
            start_ns=run.start_ns,
            within=lambda _: run.around(),
            takes_announced=False,
        )
    if made is None:
        return
    _fill(made, about, answer, provider)
    call.belongs_to(made)
    abandoned = isinstance(error, GeneratorExit)
    if error is None or abandoned:
        made.abandoned = abandoned
        made.possibly_billed = abandoned and answer.usage is None
        made.finish(Status.OK, end_ns=end_ns)
        return
    cancelled = type(error).__name__ == "CancelledError" or isinstance(error, KeyboardInterrupt)
    if answer.usage is None:
        name = type_name(error).lower()
        made.possibly_billed = cancelled or any(word in name for word in _MAYBE_BILLED)
    made.finish(Status.CANCELLED if cancelled else Status.ERROR, error=error, end_ns=end_ns)


def _tell_listeners(
    run: Run, call: Announced, operation: str, about: Asked, answer: Answered, end_ns: int
) -> None:
    """The totals of handlers have the call, also where its row comes from another instrumentor's span."""
    from spantally.calls.telemetry import Telemetry
    from spantally.ground.scope import Scope
    from spantally.ground.session_state import SessionState

    scope = Scope(SessionState("unrecorded", start_ns=run.start_ns, implicit=True))
    made = Operation(Telemetry(), Kind.INFERENCE, operation, scope)
    made.start_ns = run.start_ns
    _fill(made, about, answer, about.provider or answer.provider)
    record = made._record(Status.OK, None, end_ns, None)
    for listener in call.listeners:
        listener(record)


def _plan(operation: str, about: Asked, answer: Answered) -> Plan:
    attributes = {
        semconv.PROVIDER_NAME: about.provider or answer.provider,
        semconv.REQUEST_MODEL: about.model,
        semconv.SERVER_ADDRESS: about.address,
        semconv.SERVER_PORT: about.port,
    }
    return Plan(
        Kind.INFERENCE,
        operation,
        subject=about.model or answer.model,
        span_kind=SpanKind.CLIENT,
        attributes={name: value for name, value in attributes.items() if value is not None},
    )


def _fill(made: Operation, about: Asked, answer: Answered, provider: str | None) -> None:
    made.scope_name = SCOPE_NAME
    made.precedence = Precedence.FOREIGN
    made.provider = provider
    made.request_model = about.model
    made.response_model = answer.model
    made.response_id = answer.response_id
    made.usage = answer.usage
    made.usage_format = answer.usage_format
    made.server_address = about.address
    made.server_port = about.port
    if answer.service_tier is not None:
        made.price_context = {"service_tier": answer.service_tier}
    put = made.end_attributes
    for name, value in (
        (semconv.RESPONSE_MODEL, answer.model),
        (semconv.RESPONSE_ID, answer.response_id),
    ):
        if value is not None:
            put[name] = value
    if answer.finish_reason is not None:
        put[semconv.RESPONSE_FINISH_REASONS] = (answer.finish_reason,)
    for name, count in (answer.counts or {}).items():
        put[f"{_PREFIX}{name}"] = count
