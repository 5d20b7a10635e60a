"""The beginning of one request: from the options of an Anthropic client to an operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
from spantally.instrumentors.anthropic import native
from spantally.instrumentors.anthropic.call import AnthropicCall
from spantally.instrumentors.anthropic.capture import AnthropicCapture
from spantally.instrumentors.anthropic.keys import remember_keys
from spantally.instrumentors.anthropic.wire import content, provider, request
from spantally.instrumentors.anthropic.wire.agent_sessions import owner_of
from spantally.instrumentors.anthropic.wire.operation import AGENT_SESSIONS, classify, model_of
from spantally.instrumentors.anthropic.wire.operation import Operation as WireOperation
from spantally.instrumentors.stainless import estimate
from spantally.instrumentors.stainless.binding import bound_of
from spantally.instrumentors.stainless.places import Place, Shape, attempt, body_of, place_of

__all__ = ["begin", "body_of", "remember_keys"]


def begin(telemetry: Telemetry, client: Any, options: Any) -> AnthropicCall | None:
    """Start the operation of one request, or None where the endpoint is none of ours.

    Args:
        telemetry: where it reports to.
        client: the SDK's client.
        options: its ``FinalRequestOptions``.
    """
    body = body_of(options)
    url = str(options.url)
    wire = classify(options.method, url, body)
    if wire is None:
        return None
    gives_key = attempt(remember_keys, client, options)
    place = place_of(telemetry, client, provider.ANTHROPIC, provider.provider_of)
    shape = _shape_of(telemetry, place, wire, body, url)
    target = start(
        telemetry,
        shape.plan,
        conversation_id=attempt(native.conversation_of, client),
        joins=native.where_spans_are(telemetry, client, options),
        within=bound_of(client),
    )
    if target is None:
        return None
    target.provider = place.vendor
    target.request_model = shape.model
    target.server_address = place.host
    target.server_port = place.port
    target.price_context = {"provider": None, "api": wire.api, "server_address": place.host}
    call = AnthropicCall(target, wire, None)
    call.asked = shape.plan.attributes
    call.owner = owner_of(url) if wire.api == AGENT_SESSIONS else None
    call.key_is_given = bool(gives_key) or place.vendor != provider.ANTHROPIC
    try:
        _take_request(target, place, wire, body)
    except Exception as error:
        swallowed("sdk.request_facts", error)
    if telemetry.stream_usage == "estimate" and wire.kind is Kind.INFERENCE:
        call.estimated_input = attempt(_estimated, wire, body)
    try:
        results = request.tool_results(wire, body)
        if results:
            infer_tool_results(target, results)
        if telemetry.wants_content or telemetry.emit_details:
            wanted = wants_content(target)
            if wanted or sends_details(target):
                call.capture = AnthropicCapture(target, wire, body, shape.plan.attributes, content=wanted)
    except Exception as error:
        swallowed("sdk.request_content", error)
    return call


_MOST_SHAPES: Final = 512


def _shape_of(telemetry: Telemetry, place: Place, wire: WireOperation, body: Any, url: str) -> Shape:
    """The shape of a request: found among those met before, or worked out."""
    failures = sum(guard.failures.values())
    model = attempt(model_of, url, body)
    asked = attempt(request.request_attributes, wire, body, model) or {}
    key = attempt(request.shape_of, wire, asked)
    known = None if key is None else place.shapes.get(key)
    if known is not None:
        return known
    found = (
        (semconv.PROVIDER_NAME, place.vendor),
        (semconv.SERVER_ADDRESS, place.host),
        (semconv.SERVER_PORT, place.port),
    )
    attributes = {**asked, **{name: value for name, value in found if value is not None}}
    plan = Plan(wire.kind, wire.name, subject=model, span_kind=SpanKind.CLIENT, attributes=attributes)
    made = Shape(plan, model, 1, True)
    sound = sum(guard.failures.values()) == failures
    if key is not None and sound and attempt(plan.may_be_kept, telemetry.redactor):
        if len(place.shapes) >= _MOST_SHAPES:
            place.shapes.clear()
        place.shapes[key] = made
    return made


_ASKED: Final = (("speed", "speed"), ("inference_geo", "geography"))
"""Settings of a request that choose its rate where the answer does not tell them."""


def _take_request(target: Operation, place: Place, wire: WireOperation, body: Any) -> None:
    """What chooses the rate, and whether this is a turn."""
    context = target.price_context
    if context is not None:
        context["provider"] = place.rates()
        if isinstance(body, Mapping):
            for name, key in _ASKED:
                value = body.get(name)
                if isinstance(value, str) and value:
                    context[key] = value
    target.turn = target.scope.run_id is None and request.newest_message_is_user(wire, body)


def _estimated(wire: WireOperation, body: Any) -> int:
    return estimate.input_tokens(
        content.input_messages(wire, body),
        content.system_instructions(wire, body) or [],
        content.tool_definitions(body, parameters=True) or [],
    )
