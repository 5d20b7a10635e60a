"""One request of an OpenAI client: from its options to an operation, from its response to the facts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from opentelemetry.trace import SpanKind

from spantally.calls import operation as operations
from spantally.calls.operation import Operation
from spantally.calls.secrets import remember_secret
from spantally.calls.telemetry import Telemetry
from spantally.calls.tool_results import expect_tool_calls, infer_tool_results
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import Status
from spantally.instrumentors.openai.capture import Capture
from spantally.instrumentors.openai.wire import errors, provider, request, response
from spantally.instrumentors.openai.wire.operation import Operation as WireOperation
from spantally.instrumentors.openai.wire.operation import classify
from spantally.instrumentors.openai.wire.stream import StreamFacts

MAX_PARSED_BODY: Final = 262_144
"""Largest buffered body, in bytes, that is parsed again for its facts; beyond, the SDK's object is read."""


class OpenAICall:
    """The shell's view of one logical call: its operation, and what was read of it so far.

    It holds no reference to the client, the response or the stream, so that it keeps none of them alive.
    """

    __slots__ = (
        "capture",
        "choices",
        "error_type",
        "facts_read",
        "operation",
        "stream_facts",
        "streaming",
        "wants_tools",
        "watched",
        "watcher",
        "wire",
    )

    def __init__(self, operation: Operation, wire: WireOperation, capture: Capture | None) -> None:
        self.operation = operation
        self.wire = wire
        self.capture = capture
        self.streaming = False
        """True once the body outlives ``request()``: the end then is the stream's or the response's."""
        self.choices = 1
        self.wants_tools = True
        self.error_type: str | None = None
        """What a complete body says of its own failure."""
        self.watched = False
        """True once a watched Stream object of the SDK is read: it then tells the end, not the bytes."""
        self.facts_read = False
        self.watcher: Callable[[], Any] | None = None
        """Weak reference to the watched iterator."""
        self.stream_facts: StreamFacts | None = None

    # -- facts ---------------------------------------------------------------------------------------

    def read_response_head(self, http_response: Any, retries: int) -> None:
        """Note what the head of the final response says."""
        self.operation.attempts = retries + 1

    def read_buffered(self, http_response: Any) -> None:
        """Read the facts of a body the SDK has read already: usage is safe even if parsing then fails."""
        if int(http_response.status_code) >= 400:
            return
        content: bytes = http_response.content
        if len(content) > MAX_PARSED_BODY or "json" not in http_response.headers.get("content-type", ""):
            return
        self.read_body(json.loads(content))

    def read_body(self, body: Any) -> None:
        """Take the facts of a response body, a mapping or the SDK's own object."""
        self.take(response.response_facts(self.wire, body))
        if self.capture is not None:
            self.capture.take_output(self.wire, body)

    def take(self, facts: response.ResponseFacts) -> None:
        """Put the facts onto the operation."""
        self.facts_read = True
        target = self.operation
        attributes = target.end_attributes
        target.response_model = facts.model
        target.response_id = facts.response_id
        target.usage = facts.usage
        target.usage_format = self.wire.usage_format
        if facts.service_tier is not None and target.price_context is not None:
            target.price_context["service_tier"] = facts.service_tier
        for key, value in (
            (semconv.RESPONSE_MODEL, facts.model),
            (semconv.RESPONSE_ID, facts.response_id),
            (semconv.OPENAI_RESPONSE_SERVICE_TIER, facts.service_tier),
            (semconv.OPENAI_RESPONSE_SYSTEM_FINGERPRINT, facts.system_fingerprint),
            (semconv.CONVERSATION_ID, facts.conversation_id),
        ):
            if value is not None:
                attributes[key] = value
        if facts.finish_reasons:
            attributes[semconv.RESPONSE_FINISH_REASONS] = facts.finish_reasons
        if facts.usage is not None:
            attributes.update(response.usage_attributes(self.wire, facts.usage))
        if facts.error_type is not None:
            self.error_type = facts.error_type
        if facts.server_tools and target.price_context is not None:
            target.price_context["server_tools"] = dict(facts.server_tools)
        if facts.tool_calls:
            expect_tool_calls(target.scope.session, facts.tool_calls)

    def new_stream_facts(self) -> StreamFacts:
        """What reads the chunks of this call's stream."""
        return StreamFacts(
            self.wire, collect=self.capture is not None, choices=self.choices, tools=self.wants_tools
        )

    # -- ends ----------------------------------------------------------------------------------------

    def succeeded(self, result: Any) -> None:
        """``request()`` returned a complete body."""
        if not self.facts_read:
            try:
                self.read_body(result)
            except Exception as error:
                swallowed("openai.result", error)
        self._finish_read()

    def failed(self, error: BaseException) -> None:
        """``request()`` or the iteration of its stream raised ``error``, which goes on to the program."""
        self._take_stream_facts()
        target = self.operation
        if target.usage is None:
            target.possibly_billed = errors.was_sent(error) and not errors.is_rejection(error)
        cancelled = isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)) or _is_cancellation(
            error
        )
        self._finish(
            Status.CANCELLED if cancelled else Status.ERROR,
            error=error,
            error_type=errors.error_type_of(error),
        )

    def exhausted(self) -> None:
        """The stream was read to its end."""
        self._take_stream_facts()
        self._finish_read()

    def _finish_read(self) -> None:
        """The whole answer was read; it may itself say that it failed."""
        if self.error_type is not None:
            self._finish(Status.ERROR, error_type=self.error_type)
        else:
            self._finish(Status.OK)

    def left_early(self) -> None:
        """The stream was broken off, closed or collected: noted here, ended by the worker.

        Safe in a finaliser. Its status stays unset and it is marked abandoned.
        """
        self.operation.finish_later(abandoned=True, prepare=self._prepare_abandoned)

    def _prepare_abandoned(self) -> None:
        self._take_stream_facts()
        if self.operation.usage is None:
            self.operation.possibly_billed = True
        if self.capture is not None:
            self.capture.finish(self.operation)

    def _take_stream_facts(self) -> None:
        stream_facts = self.stream_facts
        if stream_facts is None or self.facts_read:
            return
        try:
            self.take(stream_facts.facts())
            if self.capture is not None:
                self.capture.take_stream(self.wire, stream_facts)
            first = self.operation.first_chunk_ns
            if first is not None:
                self.operation.end_attributes[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = first / 1e9
        except Exception as error:
            swallowed("openai.stream_facts", error)

    def _finish(self, status: str, **outcome: Any) -> None:
        if self.operation.ended:
            return
        if self.capture is not None:
            try:
                self.capture.finish(self.operation)
            except Exception as error:
                swallowed("openai.capture", error)
        self.operation.finish(status, **outcome)


def begin(telemetry: Telemetry, client: Any, options: Any) -> OpenAICall | None:
    """Start the operation of one request, or None where the endpoint is none of ours.

    Args:
        telemetry: where it reports to.
        client: the SDK's client.
        options: its ``FinalRequestOptions``.
    """
    body = _body_of(options)
    wire = classify(options.method, str(options.url), body)
    if wire is None:
        return None
    _try(remember_secret, getattr(client, "api_key", None))
    host, port = _try(_address, client) or (None, None)
    vendor = _try(provider.provider_of, type(client).__name__, host)
    model = _try(request.request_model, body)
    conversation = _try(request.conversation_id, body)
    attributes = _try(request.request_attributes, wire, body) or {}
    for key, value in (
        (semconv.PROVIDER_NAME, vendor),
        (semconv.SERVER_ADDRESS, host),
        (semconv.SERVER_PORT, port),
    ):
        if value is not None:
            attributes[key] = value
    target = operations.start(
        telemetry,
        wire.kind,
        wire.name,
        subject=model,
        span_kind=SpanKind.CLIENT,
        attributes=attributes,
        conversation_id=conversation,
    )
    if target is None:
        return None
    target.provider = vendor
    target.request_model = model
    target.server_address = host
    target.server_port = port
    target.price_context = {"provider": None, "api": wire.api, "server_address": host}
    call = OpenAICall(target, wire, None)
    try:
        _take_request(target, wire, body)
    except Exception as error:
        swallowed("openai.request_facts", error)
    try:
        infer_tool_results(target, request.tool_results(wire, body, latest=True))
        call.choices = request.expected_choices(body)
        call.wants_tools = _has_tools(body)
        if telemetry.wants_content:
            call.capture = Capture(telemetry, wire, body)
    except Exception as error:
        swallowed("openai.request_content", error)
    return call


_R = TypeVar("_R")


def _try(read: Callable[..., _R], *args: Any) -> _R | None:
    """One fact of the request; None where reading it fails, so that the call is metered nevertheless."""
    try:
        return read(*args)
    except Exception as error:
        swallowed("openai.request", error)
        return None


def _address(client: Any) -> tuple[str, int]:
    url = client.base_url
    return url.host, url.port or (80 if url.scheme == "http" else 443)


def _take_request(target: Operation, wire: WireOperation, body: Any) -> None:
    """What chooses the rate, and whether this is a turn."""
    context = target.price_context
    if context is not None and target.provider and target.server_address and target.server_port:
        context["provider"] = vendor_of_rates(target.provider, target.server_address, target.server_port)
    if context is not None and isinstance(body, Mapping):
        tier = body.get("service_tier")
        if isinstance(tier, str) and tier != "auto":
            context["requested_tier"] = tier
    target.turn = target.scope.run_id is None and request.newest_message_is_user(wire, body)


def _has_tools(body: Any) -> bool:
    """False only where the body is known to offer the model nothing to call."""
    return not isinstance(body, Mapping) or "tools" in body or "functions" in body


def _body_of(options: Any) -> Any:
    """The body that is sent: what the method built, and the program's ``extra_body`` over it."""
    body = options.json_data
    extra = getattr(options, "extra_json", None)
    if isinstance(extra, Mapping) and isinstance(body, Mapping):
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


def _is_cancellation(error: BaseException) -> bool:
    return type(error).__name__ in ("CancelledError", "Cancelled")
