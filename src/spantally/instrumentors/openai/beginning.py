"""The beginning of one request: from the options of an OpenAI client to an operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.trace import SpanKind

from spantally.calls.content import sends_details, wants_content
from spantally.calls.plans import Plan
from spantally.calls.starting import start
from spantally.calls.telemetry import Telemetry
from spantally.calls.tool_results import infer_tool_results
from spantally.ground import guard, semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind
from spantally.instrumentors.openai import peers, stream_usage
from spantally.instrumentors.openai.call import OpenAICall
from spantally.instrumentors.openai.capture import OpenAICapture
from spantally.instrumentors.openai.keys import remember_keys
from spantally.instrumentors.openai.wire import endpoints, estimate, provider, request
from spantally.instrumentors.openai.wire.operation import Operation as WireOperation
from spantally.instrumentors.openai.wire.operation import classify, path_attributes
from spantally.instrumentors.stainless.binding import BOUND, bound_of
from spantally.instrumentors.stainless.places import Place, Shape, attempt, body_of, place_of


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
    # What follows calls as few functions as it can: see "What a call costs" in docs/how-it-works.md.
    gives_key = False
    try:
        gives_key = remember_keys(client, options)
    except Exception as error:
        swallowed("sdk.request", error)
    place = place_of(telemetry, client, "openai", provider.provider_of)
    varying = None
    if wire.ids or type(body) is not dict or not request.VARYING.isdisjoint(body):
        varying = _varying_of(wire, body, method, url)
        if wire.rereads:
            varying.update(attempt(_cursor_of, options) or {})
    shape: Shape | None = None
    quick: Any = None
    try:
        if wire.kind is not Kind.RETRIEVAL:  # what is searched names the span, and stands in the path
            quick = request.quick_shape(wire, body)
            shape = place.shapes.get(quick)
    except Exception as error:
        swallowed("sdk.request", error)
        quick = None
    if shape is None:
        shape = _shape_of(telemetry, place, wire, body, varying, quick)
    target = start(
        telemetry,
        shape.plan,
        attributes=varying,
        conversation_id=_text(varying.get(semconv.CONVERSATION_ID)) if varying else None,
        start_ns=start_ns,
        joins=peers.where_spans_are(wire.api, options),
        within=bound_of(client) if BOUND in getattr(client, "__dict__", ()) else None,
    )
    if target is None:
        return None
    target.provider = place.vendor
    target.request_model = shape.model
    target.server_address = place.host
    target.server_port = place.port
    context: dict[str, Any] = {"provider": None, "api": wire.api, "server_address": place.host}
    target.price_context = context
    call = OpenAICall(target, wire, None)
    call.choices = shape.choices
    call.wants_tools = shape.wants_tools
    call.key_is_given = gives_key
    goes_on_from_tools = True
    try:
        if varying:
            target.response_id = _text(varying.get(semconv.RESPONSE_ID))
        context["provider"] = place.rates()
        tier = body.get("service_tier") if type(body) is dict or isinstance(body, Mapping) else None
        if tier is not None and isinstance(tier, str) and tier != "auto":
            context["requested_tier"] = tier  # what else chooses the rate
        if wire.api == "speech":
            call.counted = endpoints.characters_of(wire, body, shape.model)
        is_users, goes_on_from_tools = request.newest_of(wire, body)
        target.turn = is_users and target.scope.run_id is None
    except Exception as error:
        swallowed("sdk.request_facts", error)
    if telemetry.stream_usage != "unknown":
        attempt(_apply_usage_policy, telemetry.stream_usage, call, options, body)
    try:
        if goes_on_from_tools:
            results = request.tool_results(wire, body, latest=True)
            if results:
                infer_tool_results(target, results)
        # The usual policy, asked without another function: Telemetry.wants_content.
        if (
            telemetry.capture_spans
            or telemetry.keep_content
            or telemetry.capture_events
            or telemetry.emit_details
        ):
            wanted = wants_content(target)
            if wanted or sends_details(target):
                asked = {**shape.plan.attributes, **(varying or {})}
                call.capture = OpenAICapture(target, wire, body, asked, content=wanted)
    except Exception as error:
        swallowed("sdk.request_content", error)
    return call


def _shape_of(
    telemetry: Telemetry,
    place: Place,
    wire: WireOperation,
    body: Any,
    varying: Mapping[str, Any] | None,
    quick: Any,
) -> Shape:
    """The shape of a request that is not told by its settings yet; from then on it is, where it can be."""
    key: Any = None
    shape: Shape | None = None
    try:
        if wire.kind is not Kind.RETRIEVAL:
            key = request.shape_of(wire, body)
            shape = place.shapes.get(key)
            if shape is not None and quick is not None and request.may_be_kept(quick):
                _keep(place, quick, shape)
    except Exception as error:
        swallowed("sdk.request", error)
        key = None
    return shape or _new_shape(telemetry, place, wire, body, varying, key)


def _new_shape(
    telemetry: Telemetry,
    place: Place,
    wire: WireOperation,
    body: Any,
    varying: Mapping[str, Any] | None,
    key: Any,
) -> Shape:
    """The shape of a request that was not met before, kept under its key where that may be."""
    failures = sum(guard.failures.values())
    model = attempt(request.request_model, body)
    deployment = place.deployment if model is None and request.asks_a_model(wire) else None
    if deployment is not None:
        model = deployment  # a client of one deployment need not name a model
    found = (
        (semconv.REQUEST_MODEL, deployment),
        (semconv.PROVIDER_NAME, place.vendor),
        (semconv.SERVER_ADDRESS, place.host),
        (semconv.SERVER_PORT, place.port),
    )
    attributes: dict[str, Any] = {
        **(attempt(_steady_attributes, wire, body) or {}),
        **{name: value for name, value in found if value is not None},
    }
    plan = Plan(
        wire.kind,
        wire.name,
        subject=_subject(wire, model, {**attributes, **(varying or {})}),
        span_kind=SpanKind.CLIENT,
        attributes=attributes,
    )
    made = Shape(plan, model, attempt(request.expected_choices, body) or 1, _has_tools(body))
    sound = sum(guard.failures.values()) == failures
    if key is not None and sound and attempt(plan.may_be_kept, telemetry.redactor):
        _keep(place, key, made)
    return made


def _keep(place: Place, key: Any, shape: Shape) -> None:
    if len(place.shapes) >= _MOST_SHAPES:
        place.shapes.clear()
    place.shapes[key] = shape


_MOST_SHAPES: Final = 512


def _steady_attributes(wire: WireOperation, body: Any) -> dict[str, Any]:
    return request.request_attributes(wire, body, varying=False)


def _varying_of(wire: WireOperation, body: Any, method: str, url: str) -> dict[str, Any]:
    """Attributes of this request alone: ids in its path, the conversation, the response it goes on from."""
    found: dict[str, Any] = {}
    if wire.ids:
        found.update(path_attributes(method, url))
    named = attempt(request.varying_attributes, wire, body)
    if named:
        found.update(named)
    return found


def _cursor_of(options: Any) -> dict[str, Any]:
    """After which event the stream of a fetched response goes on."""
    params = getattr(options, "params", None)
    cursor = params.get("starting_after") if isinstance(params, Mapping) else None
    known = isinstance(cursor, (int, str)) and not isinstance(cursor, bool)
    return {semconv.REQUEST_STREAM_CURSOR: str(cursor)} if known else {}


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


def _has_tools(body: Any) -> bool:
    """False only where the body is known to offer the model nothing to call."""
    if type(body) is not dict and not isinstance(body, Mapping):
        return True
    return "tools" in body or "functions" in body
