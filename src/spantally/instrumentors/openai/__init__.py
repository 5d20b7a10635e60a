"""The instrumentor of the OpenAI SDK: the request choke point, the response tap, the stream tap."""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import Any, ClassVar, Final

from opentelemetry import context as otel_context

from spantally.ground.guard import guard, swallowed
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.openai.beginning import begin
from spantally.instrumentors.openai.call import OpenAICall
from spantally.instrumentors.openai.streams import watch, watch_async, watch_bytes
from spantally.instrumentors.patching import Patch, PatchSet

__all__ = ["OpenAIInstrumentor"]

_current: Final[ContextVar[OpenAICall | None]] = ContextVar("spantally-openai-call", default=None)
"""The call whose ``request()`` runs, for the taps beneath it."""


def _begin(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpenAICall | None:
    try:
        options = kwargs["options"] if "options" in kwargs else args[1]
        instrumentor = OpenAIInstrumentor._instance or OpenAIInstrumentor()
        return begin(instrumentor.telemetry, client, options)
    except Exception as error:
        swallowed("openai.begin", error)
        return None


class _Inside:
    """What is in force while the SDK works on the call: its span, its scope, no baggage of ours."""

    __slots__ = ("call_token", "context_token")

    def __init__(self, call: OpenAICall) -> None:
        self.context_token: Any = None
        self.call_token: Any = None
        try:
            self.context_token = otel_context.attach(call.operation.inner_context(strip_baggage=True))
            self.call_token = _current.set(call)
        except Exception as error:
            swallowed("openai.enter", error)

    def leave(self) -> None:
        """Restore what was in force before; in the same task, so the tokens are valid."""
        try:
            if self.call_token is not None:
                _current.reset(self.call_token)
        except Exception as error:
            swallowed("openai.leave", error)
        try:
            if self.context_token is not None:
                otel_context.detach(self.context_token)
        except Exception as error:
            swallowed("openai.leave", error)


def _returned(call: OpenAICall, result: Any) -> None:
    try:
        if not call.streaming:
            call.succeeded(result)
    except Exception as error:
        swallowed("openai.returned", error)
        with guard("openai.end"):
            call.operation.finish()


def _raised(call: OpenAICall, error: BaseException) -> None:
    try:
        call.failed(error)
    except Exception as failure:
        swallowed("openai.raised", failure)
        with guard("openai.end"):
            call.operation.finish("error", error=error)


def _with_options(
    call: OpenAICall, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of ``request()`` with the options that a policy changed."""
    if "options" in kwargs:
        return args, {**kwargs, "options": call.options}
    return (args[0], call.options, *args[2:]), kwargs


def _request(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    call = _begin(instance, args, kwargs)
    if call is None:
        return wrapped(*args, **kwargs)
    if call.options is not None:
        args, kwargs = _with_options(call, args, kwargs)
    inside = _Inside(call)
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        inside.leave()
        _raised(call, error)
        raise
    inside.leave()
    _returned(call, result)
    return result


async def _request_async(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    call = _begin(instance, args, kwargs)
    if call is None:
        return await wrapped(*args, **kwargs)
    if call.options is not None:
        args, kwargs = _with_options(call, args, kwargs)
    inside = _Inside(call)
    try:
        result = await wrapped(*args, **kwargs)
    except BaseException as error:
        inside.leave()
        _raised(call, error)
        raise
    inside.leave()
    _returned(call, result)
    return result


def _process_response(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The wire response of the attempt that succeeded, before the SDK parses it."""
    try:
        call = _current.get()
        if call is not None:
            _read_wire(call, kwargs)
    except Exception as error:
        swallowed("openai.response", error)
    return wrapped(*args, **kwargs)


def _read_wire(call: OpenAICall, kwargs: dict[str, Any]) -> None:
    http_response = kwargs["response"]
    if not http_response.is_closed:
        watch_bytes(call, http_response)
        call.streaming = True
    call.read_response_head(http_response, int(kwargs.get("retries_taken") or 0))
    if not call.streaming:
        call.read_buffered(http_response)


def _sleep_for_retry(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The SDK rests before it makes a failed attempt again (a coroutine for the asynchronous client)."""
    try:
        call = _current.get()
        if call is not None:
            call.note_retry(int(kwargs["retries_taken"]), kwargs.get("response"))
    except Exception as error:
        swallowed("openai.retry", error)
    return wrapped(*args, **kwargs)


def _stream_init(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A Stream object is made, by ``request()`` or later by ``parse()`` of a raw response."""
    result = wrapped(*args, **kwargs)
    try:
        call = getattr(instance.response.stream, "spantally_call", None)
        if isinstance(call, OpenAICall):
            inner = instance._iterator
            watched: Any = watch_async(call, inner) if hasattr(inner, "__anext__") else watch(call, inner)
            call.watcher = weakref.ref(watched)
            instance._iterator = watched
    except Exception as error:
        swallowed("openai.stream", error)
    return result


class OpenAIInstrumentor(TableInstrumentor):
    """Traces and meters every OpenAI client, also those made before it was enabled.

    Every endpoint that bills, and those that tell of one that did; synchronous, asynchronous, streamed, raw
    and parsed.
    """

    supported: ClassVar[tuple[str, ...]] = ("openai >= 2.0, < 4",)

    def make_patches(self) -> PatchSet:
        """The choke point of both clients, and the two taps beneath."""
        base, streaming = "openai._base_client", "openai._streaming"
        return PatchSet(
            "openai",
            (
                Patch(base, "SyncAPIClient.request", _request, innermost=True),
                Patch(base, "AsyncAPIClient.request", _request_async, innermost=True),
                Patch(base, "SyncAPIClient._process_response", _process_response),
                Patch(base, "AsyncAPIClient._process_response", _process_response),
                Patch(base, "SyncAPIClient._sleep_for_retry", _sleep_for_retry, required=False),
                Patch(base, "AsyncAPIClient._sleep_for_retry", _sleep_for_retry, required=False),
                Patch(streaming, "Stream.__init__", _stream_init),
                Patch(streaming, "AsyncStream.__init__", _stream_init),
            ),
        )
