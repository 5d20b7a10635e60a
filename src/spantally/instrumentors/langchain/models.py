"""Model calls of LangChain: announced to the SDK beneath, and counted here where none of ours did."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.context import Context

from spantally.calls import claims, pipeline, told
from spantally.calls.claims import Announced
from spantally.calls.hosted import innermost
from spantally.ground.guard import guarded
from spantally.instrumentors.langchain.answers import answered, asked
from spantally.instrumentors.langchain.runs import Run

SCOPE_NAME: Final = "spantally/langchain"
"""What the row says of who saw the call: an SDK's own row of the same response is the same call."""


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
        make = functools.partial(_count, run, call, response, error, time.time_ns())
        if isinstance(error, GeneratorExit):
            pipeline.late.put_from_finaliser(_guarded(make))
        else:
            make()
    finally:
        run.end(error)


def _guarded(make: Callable[[], None]) -> Callable[[], None]:
    return guarded("langchain.late_count")(make)


def _count(run: Run, call: Announced, response: Any, error: BaseException | None, end_ns: int) -> None:
    operation, about = run.facts
    answer = None if response is None else answered(response)
    if answer is not None and answer.from_cache:
        return
    about = told.Told(
        operation=operation,
        provider=about.provider,
        request_model=about.model,
        address=about.address,
        port=about.port,
    )
    if answer is not None:
        about = about._replace(
            provider=about.provider or answer.provider,
            response_model=answer.model,
            response_id=answer.response_id,
            usage=answer.usage,
            usage_format=answer.usage_format,
            counts=answer.counts,
            service_tier=answer.service_tier,
            finish_reason=answer.finish_reason,
        )
    told.count(
        call,
        about,
        telemetry=run.telemetry,
        context=run.around(),
        scope_name=SCOPE_NAME,
        start_ns=run.start_ns,
        end_ns=end_ns,
        error=error,
    )
