"""Model calls that nobody metered, counted from what a framework tells of them."""

# Annotations are not postponed: making a named tuple compiles each that is a text.

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from spantally.calls.claims import Announced
from spantally.calls.joining import NOWHERE, Join
from spantally.calls.operation import Operation, type_name
from spantally.calls.plans import Plan
from spantally.calls.starting import start
from spantally.calls.telemetry import Telemetry
from spantally.ground import semconv
from spantally.ground.billing import is_server_error
from spantally.ground.cancelling import is_cancellation
from spantally.ground.finish_reasons import respelled
from spantally.ground.records import CallRecord, Kind, Precedence, Status
from spantally.ground.scope import Scope
from spantally.ground.session_state import SessionState

counted: Final[set[str]] = set()
"""Frameworks whose model calls and tools all have rows of an integration of ours, whoever traces them."""

_PREFIX: Final = "gen_ai.usage."
_MAYBE_BILLED: Final = ("timeout", "timedout", "interrupted", "connection", "remoteprotocol", "readerror")


class Told(NamedTuple):
    """What a framework says of a model call."""

    operation: str = "chat"
    provider: str | None = None
    """``gen_ai.provider.name``."""
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    usage: Mapping[str, Any] | None = None
    usage_format: str | None = None
    counts: Mapping[str, int] | None = None
    """The usage by the conventions' names, without their prefix."""
    service_tier: str | None = None
    finish_reason: str | None = None
    address: str | None = None
    port: int | None = None


class ToldOperation(Operation):
    """A model call whose usage is only what a framework says of it: whoever metered it wins."""

    __slots__ = ()

    def _record(self, *args: Any) -> CallRecord:
        return super()._record(*args)._replace(precedence=Precedence.FOREIGN)


def count(
    call: Announced,
    told: Told,
    *,
    telemetry: Telemetry,
    context: Context,
    scope_name: str,
    start_ns: int,
    end_ns: int,
    error: BaseException | None = None,
    joins: Join = NOWHERE,
) -> None:
    """Count a call that no operation has taken: as span and row, or, where a span tells it, in totals.

    Args:
        call: as it was announced.
        told: what the framework says of it.
        telemetry: where it reports to.
        context: the Context that it began in.
        scope_name: who says so: rows of one response id and different names are one call.
        start_ns: when it began.
        end_ns: when it ended.
        error: what it ended by; GeneratorExit where it was left.
        joins: where another instrumentor's span of the same call may be.
    """
    if call.told_elsewhere:
        _tell_listeners(call, told, start_ns, end_ns)
        return
    made = start(
        telemetry,
        _plan(told),
        start_ns=start_ns,
        joins=joins,
        within=lambda _: context,
        takes_announced=False,
    )
    if made is None:
        return
    if not made.hidden:
        made.__class__ = ToldOperation
    _fill(made, told)
    made.scope_name = scope_name
    call.belongs_to(made)
    if error is None or isinstance(error, GeneratorExit):
        made.abandoned = error is not None
        made.possibly_billed = made.abandoned and told.usage is None
        made.finish(Status.OK, end_ns=end_ns)
        return
    cancelled = is_cancellation(error) or isinstance(error, KeyboardInterrupt)
    if told.usage is None:
        name = type_name(error).lower()
        made.possibly_billed = (
            cancelled or any(word in name for word in _MAYBE_BILLED) or _is_server_error(error, name)
        )
    made.finish(Status.CANCELLED if cancelled else Status.ERROR, error=error, end_ns=end_ns)


def _is_server_error(error: BaseException, name: str) -> bool:
    """True where the provider failed after it had the request: its status says so, else the class's name."""
    try:
        status = getattr(error, "status_code", None)
    except Exception:
        status = None
    return is_server_error(str(status) if type(status) is int else name)


def _tell_listeners(call: Announced, told: Told, start_ns: int, end_ns: int) -> None:
    """Whoever keeps totals has the call, also where its row comes from another instrumentor's span."""
    if not call.listeners:
        return
    scope = Scope(SessionState("unrecorded", start_ns=start_ns, implicit=True))
    made = ToldOperation(Telemetry(), Kind.INFERENCE, told.operation, scope)
    made.start_ns = start_ns
    _fill(made, told)
    record = made._record(Status.OK, None, end_ns, None)
    for listener in call.listeners:
        listener(record)


def _plan(told: Told) -> Plan:
    attributes = {
        semconv.PROVIDER_NAME: told.provider,
        semconv.REQUEST_MODEL: told.request_model,
        semconv.SERVER_ADDRESS: told.address,
        semconv.SERVER_PORT: told.port,
    }
    return Plan(
        Kind.INFERENCE,
        told.operation,
        subject=told.request_model or told.response_model,
        span_kind=SpanKind.CLIENT,
        attributes={name: value for name, value in attributes.items() if value is not None},
    )


def _fill(made: Operation, told: Told) -> None:
    made.provider = told.provider
    made.request_model = told.request_model
    made.response_model = told.response_model
    made.response_id = told.response_id
    made.usage = told.usage
    made.usage_format = told.usage_format
    made.server_address = told.address
    made.server_port = told.port
    context: dict[str, Any] = {}
    if told.service_tier is not None:
        context["service_tier"] = told.service_tier
    if told.provider == "openai" and told.address is not None and not _is_openai(told.address):
        context["provider"] = None  # whatever is compatible is called so: its host says whose rates apply
    made.price_context = context or None
    put = made.end_attributes
    if told.response_model is not None:
        put[semconv.RESPONSE_MODEL] = told.response_model
    if told.response_id is not None:
        put[semconv.RESPONSE_ID] = told.response_id
    if told.finish_reason is not None:
        put[semconv.RESPONSE_FINISH_REASONS] = (respelled(told.finish_reason),)
    for name, number in (told.counts or {}).items():
        put[f"{_PREFIX}{name}"] = number


def _is_openai(host: str) -> bool:
    """Also on this machine, where gateways and scripted servers stand."""
    return host.endswith(".openai.com") or host in ("localhost", "::1") or host.startswith("127.")
