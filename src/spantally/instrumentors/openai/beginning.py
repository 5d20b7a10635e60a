"""The beginning of one request: from the options of an OpenAI client to an operation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from opentelemetry.trace import SpanKind

from spantally.calls.content import sends_details, wants_content
from spantally.calls.operation import Operation
from spantally.calls.plans import Plan
from spantally.calls.starting import start
from spantally.calls.telemetry import Telemetry
from spantally.calls.tool_results import infer_tool_results
from spantally.ground import guard, semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind
from spantally.instrumentors.openai import peers, stream_usage
from spantally.instrumentors.openai.binding import bound_of
from spantally.instrumentors.openai.call import OpenAICall
from spantally.instrumentors.openai.capture import Capture
from spantally.instrumentors.openai.keys import remember_keys
from spantally.instrumentors.openai.wire import estimate, provider, request
from spantally.instrumentors.openai.wire.operation import Operation as WireOperation
from spantally.instrumentors.openai.wire.operation import classify, path_attributes


def begin(
    telemetry: Telemetry, client: Any, options: Any, *, start_ns: int | None = None
) -> OpenAICall | None:
    """Start the operation of one request, or None where the endpoint is none of ours.

    Args:
        telemetry: where it reports to.
        client: the SDK's client.
        options: its ``FinalRequestOptions``.
        start_ns: when it began, where that is past.
    """
    body = options.json_data if getattr(options, "extra_json", None) is None else body_of(options)
    method, url = options.method, str(options.url)
    wire = classify(method, url, body)
    if wire is None:
        return None
    gives_key = _try(remember_keys, client, options)
    place = _place_of(telemetry, client)
    varying = _varying_of(wire, body, method, url) if wire.ids or request.may_vary(body) else None
    shape = _shape_of(telemetry, place, wire, body, varying)
    target = start(
        telemetry,
        shape.plan,
        attributes=varying,
        conversation_id=_text(varying.get(semconv.CONVERSATION_ID)) if varying else None,
        start_ns=start_ns,
        joins=peers.where_spans_are(wire.api, options),
        within=bound_of(client),
    )
    if target is None:
        return None
    target.provider = place.vendor
    target.request_model = shape.model
    target.server_address = place.host
    target.server_port = place.port
    target.price_context = {"provider": None, "api": wire.api, "server_address": place.host}
    call = OpenAICall(target, wire, None)
    call.choices = shape.choices
    call.wants_tools = shape.wants_tools
    call.key_is_given = bool(gives_key)
    try:
        if varying:
            target.response_id = _text(varying.get(semconv.RESPONSE_ID))
        _take_request(target, place, wire, body)
    except Exception as error:
        swallowed("openai.request_facts", error)
    if telemetry.stream_usage != "unknown":
        _try(_apply_usage_policy, telemetry.stream_usage, call, options, body)
    try:
        results = request.tool_results(wire, body, latest=True)
        if results:
            infer_tool_results(target, results)
        if telemetry.wants_content or telemetry.emit_details:
            wanted = wants_content(target)
            if wanted or sends_details(target):
                asked = {**shape.plan.attributes, **(varying or {})}
                call.capture = Capture(target, wire, body, asked, content=wanted)
    except Exception as error:
        swallowed("openai.request_content", error)
    return call


class _Shape(NamedTuple):
    """What all requests of one shape say at their start."""

    plan: Plan
    model: str | None
    choices: int
    wants_tools: bool


def _shape_of(
    telemetry: Telemetry, place: _Place, wire: WireOperation, body: Any, varying: Mapping[str, Any] | None
) -> _Shape:
    """The shape of a request: found among those met before, or worked out."""
    key: Any = None
    try:
        if wire.kind is not Kind.RETRIEVAL:  # what is searched names the span, and stands in the path
            key = request.shape_of(wire, body)
            known = place.shapes.get(key)
            if known is not None:
                return known
    except Exception as error:
        swallowed("openai.request", error)
        key = None
    failures = sum(guard.failures.values())
    model = _try(request.request_model, body)
    found = (
        (semconv.PROVIDER_NAME, place.vendor),
        (semconv.SERVER_ADDRESS, place.host),
        (semconv.SERVER_PORT, place.port),
    )
    attributes: dict[str, Any] = {
        **(_try(_steady_attributes, wire, body) or {}),
        **{name: value for name, value in found if value is not None},
    }
    plan = Plan(
        wire.kind,
        wire.name,
        subject=_subject(wire, model, {**attributes, **(varying or {})}),
        span_kind=SpanKind.CLIENT,
        attributes=attributes,
    )
    made = _Shape(plan, model, _try(request.expected_choices, body) or 1, _has_tools(body))
    sound = sum(guard.failures.values()) == failures
    if key is not None and sound and _try(plan.may_be_kept, telemetry.redactor):
        if len(place.shapes) >= _MOST_SHAPES:
            place.shapes.clear()
        place.shapes[key] = made
    return made


_MOST_SHAPES: Final = 512


def _steady_attributes(wire: WireOperation, body: Any) -> dict[str, Any]:
    return request.request_attributes(wire, body, varying=False)


def _varying_of(wire: WireOperation, body: Any, method: str, url: str) -> dict[str, Any]:
    """Attributes of this request alone: ids in its path, the conversation, the response it goes on from."""
    found: dict[str, Any] = {}
    if wire.ids:
        found.update(path_attributes(method, url))
    named = _try(request.varying_attributes, wire, body)
    if named:
        found.update(named)
    return found


_R = TypeVar("_R")


def _try(read: Callable[..., _R], *args: Any) -> _R | None:
    """One fact of the request; None where reading it fails, so that the call is metered nevertheless."""
    try:
        return read(*args)
    except Exception as error:
        swallowed("openai.request", error)
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _subject(wire: WireOperation, model: str | None, attributes: Mapping[str, Any]) -> str | None:
    """What follows the operation in the name of its span."""
    if wire.kind is Kind.RETRIEVAL:
        return _text(attributes.get(semconv.DATA_SOURCE_ID))
    if wire.name in ("create_agent", "invoke_agent"):
        return _text(attributes.get(semconv.AGENT_NAME))
    return model


def _apply_usage_policy(policy: str, call: OpenAICall, options: Any, body: Any) -> None:
    """Ask for the usage of a stream, or get ready to estimate it."""
    if policy == "request":
        call.options = stream_usage.with_usage(call.wire, options, body)
        call.hides_usage = call.options is not None
    elif call.wire.kind is Kind.INFERENCE:
        call.estimated_input = estimate.input_tokens(call.wire, body)


def _address(url: Any) -> tuple[str, int]:
    return url.host, url.port or (80 if url.scheme == "http" else 443)


class _Place:
    """Where a client sends its requests, and the shapes of those that were sent there."""

    __slots__ = ("host", "port", "rates", "shapes", "vendor")

    def __init__(
        self, host: str | None, port: int | None, vendor: str | None, rates: Callable[[], str | None]
    ) -> None:
        self.host = host
        self.port = port
        self.vendor = vendor
        """``gen_ai.provider.name``."""
        self.rates = rates
        """Whose price list applies."""
        self.shapes: dict[Any, _Shape] = {}


def _place_of(telemetry: Telemetry, client: Any) -> _Place:
    """Where a client sends its requests, remembered by its base URL, an object that never changes."""
    try:
        url = client.base_url
    except Exception as error:
        swallowed("openai.request", error)
        url = None
    kind = type(client)
    known = telemetry.known.get((kind, id(url)))
    if known is not None and known[0] is url:
        place: _Place = known[1]
        return place
    host, port = _try(_address, url) or (None, None)
    vendor = _try(provider.provider_of, " ".join(base.__name__ for base in kind.__mro__), host, port)
    if not vendor or not host or not port:
        return _Place(host, port, vendor, _unknown_rates)
    if len(telemetry.known) >= _MOST_PLACES:
        telemetry.known.clear()
    place = _Place(host, port, vendor, functools.cache(lambda: vendor_of_rates(vendor, host, port)))
    telemetry.known[(kind, id(url))] = (url, place)
    return place


_MOST_PLACES: Final = 256


def _unknown_rates() -> None:
    """Nobody's: the address could not be read."""


def _take_request(target: Operation, place: _Place, wire: WireOperation, body: Any) -> None:
    """What chooses the rate, and whether this is a turn."""
    context = target.price_context
    if context is not None:
        context["provider"] = place.rates()
        if type(body) is dict or isinstance(body, Mapping):
            tier = body.get("service_tier")
            if isinstance(tier, str) and tier != "auto":
                context["requested_tier"] = tier
    target.turn = target.scope.run_id is None and request.newest_message_is_user(wire, body)


def _has_tools(body: Any) -> bool:
    """False only where the body is known to offer the model nothing to call."""
    if type(body) is not dict and not isinstance(body, Mapping):
        return True
    return "tools" in body or "functions" in body


def body_of(options: Any) -> Any:
    """The body that is sent: what the method built, and the program's ``extra_body`` over it."""
    body = options.json_data
    extra = getattr(options, "extra_json", None)
    if extra is not None and isinstance(extra, Mapping) and isinstance(body, Mapping):
        return {**body, **extra}
    return body


_OPEN_WEIGHTS_PORTS: Final = frozenset({11434, 1234})
"""Default ports of Ollama and LM Studio: what answers there is never the vendor."""


def vendor_of_rates(vendor: str, host: str, port: int) -> str | None:
    """Whose price list applies, or None where that is not known.

    A loopback address is where gateways and scripted servers stand: a model found there by a vendor's exact
    name is rated at that vendor's price; what local servers really serve has other names and stays unpriced.
    """
    known = provider.priced_provider(host)
    if known is not None:
        return known
    if vendor != "openai":
        return vendor
    if port not in _OPEN_WEIGHTS_PORTS and _is_loopback(host):
        return "openai"
    return None


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1", "[::1]") or host.startswith("127.")
