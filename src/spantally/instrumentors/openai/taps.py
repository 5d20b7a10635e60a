"""The taps of the OpenAI SDK: the request choke point, the response tap, the stream tap.

Imported with the SDK, never before: a program that only might use it does not pay for what reads its wire.
"""

from __future__ import annotations

import functools
import weakref
from contextvars import ContextVar
from types import FunctionType
from typing import Any, Final

from opentelemetry import context as otel_context

from spantally.calls.beside import scan_beside
from spantally.ground.guard import guard, swallowed
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.openai import asking
from spantally.instrumentors.openai.beginning import begin, body_of
from spantally.instrumentors.openai.call import OpenAICall
from spantally.instrumentors.openai.keys import remember_keys
from spantally.instrumentors.openai.streams import watch, watch_async, watch_bytes

_current: Final[ContextVar[OpenAICall | None]] = ContextVar("spantally-openai-call", default=None)
"""The call whose ``request()`` runs, for the taps beneath it."""


_owner: TableInstrumentor
"""The instrumentor whose taps these are."""


def use(instrumentor: TableInstrumentor) -> None:
    """Report to the telemetry of ``instrumentor``; before the first tap is put in place."""
    global _owner
    _owner = instrumentor


def _begin(made_in: int, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpenAICall | None:
    try:
        if _owner.patch_set.generation != made_in:
            return None  # somebody has kept this function over uninstrument()
        options = kwargs["options"] if "options" in kwargs else args[1]
        return begin(_owner.telemetry, client, options)
    except Exception as error:
        swallowed("openai.begin", error)
        return None


def _body(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the request says, for the budgets of its session."""
    try:
        return body_of(kwargs["options"] if "options" in kwargs else args[1])
    except Exception as error:
        swallowed("openai.body", error)
        return None


def _enter(call: OpenAICall) -> tuple[Any, Any]:
    """Put in force what is while the SDK works on the call: its span, its scope, no baggage of ours.

    Returns:
        What restores what was in force before; None for what could not be entered.
    """
    attached = None
    try:
        attached = otel_context.attach(call.operation.inner_context(strip_baggage=True))
        return attached, _current.set(call)
    except Exception as error:
        swallowed("openai.enter", error)
        return attached, None


def _leave(tokens: tuple[Any, Any]) -> None:
    """Restore what was in force before; in the same task, so the tokens are valid."""
    attached, current = tokens
    try:
        if current is not None:
            _current.reset(current)
    except ValueError:
        return  # a coroutine that is closed in another context than it ran in: here it has set nothing
    except Exception as error:
        swallowed("openai.leave", error)
    try:
        if attached is not None:
            otel_context.detach(attached)
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


def _plain(original: Any) -> Any:
    """What can be called with the client first: somebody else's wrapper wants to be bound to it."""
    if isinstance(original, FunctionType):
        return original

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        bind = getattr(type(original), "__get__", None)
        # What binds to nobody (a mock, a partial, a callable object) is called without the client.
        return (original if bind is None else bind(original, self, type(self)))(*args, **kwargs)

    return functools.update_wrapper(call, original, _told_of(original))


def _told_of(original: Any) -> tuple[str, ...]:
    """The names that a stand-in takes over: a mock gives whatever it is asked for, of whatever type."""
    return tuple(name for name in functools.WRAPPER_ASSIGNMENTS if name in dir(type(original)))


def _beside(original: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A request that is none of ours, made inside one that is (by a token provider, say)."""
    token = _current.set(None)
    try:
        return original(client, *args, **kwargs)
    finally:
        _current.reset(token)


async def _beside_async(original: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same for the asynchronous client."""
    token = _current.set(None)
    try:
        return await original(client, *args, **kwargs)
    finally:
        try:
            _current.reset(token)
        except ValueError:
            pass  # the coroutine was closed in another context, where it set nothing


def around_request(original: Any) -> Any:
    """A plain function in the place of the method, which costs less at each call than a wrapper object."""
    made_in = _owner.patch_set.generation
    original = _plain(original)

    @functools.wraps(original)
    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _begin(made_in, self, args, kwargs)
        if call is None:
            return (
                original(self, *args, **kwargs)
                if _current.get() is None
                else _beside(original, self, args, kwargs)
            )
        if call.operation.scope.session.budget is not None:
            asking.admit(call, _body(args, kwargs))
        if call.options is not None:
            args, kwargs = _with_options(call, args, kwargs)
        tokens = _enter(call)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            _leave(tokens)
            _raised(call, error)
            raise
        _leave(tokens)
        _returned(call, result)
        return result

    return request


def around_request_async(original: Any) -> Any:
    """The same for the asynchronous client."""
    made_in = _owner.patch_set.generation
    original = _plain(original)

    @functools.wraps(original)
    async def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _owner.telemetry.wants_content and _owner.patch_set.generation == made_in:
            _learn_keys(self, args, kwargs)  # first: what was scanned before a secret is known is void
            await scan_beside(_owner.telemetry, _body(args, kwargs))
        call = _begin(made_in, self, args, kwargs)
        if call is None:
            if _current.get() is None:
                return await original(self, *args, **kwargs)
            return await _beside_async(original, self, args, kwargs)
        if call.operation.scope.session.budget is not None:
            await asking.admit_async(call, _body(args, kwargs))
        if call.options is not None:
            args, kwargs = _with_options(call, args, kwargs)
        tokens = _enter(call)
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            _leave(tokens)
            _raised(call, error)
            raise
        _leave(tokens)
        _returned(call, result)
        return result

    return request


def around_response(original: Any) -> Any:
    """The wire response of the attempt that succeeded, before the SDK parses it."""
    original = _plain(original)

    @functools.wraps(original)
    def process(self: Any, *args: Any, **kwargs: Any) -> Any:
        _tap(kwargs)
        return original(self, *args, **kwargs)

    return process


def around_response_async(original: Any) -> Any:
    """The same for the asynchronous client."""
    original = _plain(original)

    @functools.wraps(original)
    async def process(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if _owner.telemetry.wants_content:
                await scan_beside(_owner.telemetry, _complete_body(kwargs))
        finally:
            _tap(kwargs)
        return await original(self, *args, **kwargs)

    return process


def _learn_keys(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Know what opens the request before anything of it is scanned."""
    try:
        remember_keys(client, kwargs["options"] if "options" in kwargs else args[1])
    except Exception as error:
        swallowed("openai.keys", error)


def _complete_body(kwargs: dict[str, Any]) -> bytes | None:
    """The body of a complete answer that is JSON."""
    try:
        http_response = kwargs["response"]
        if _current.get() is None or not http_response.is_closed:
            return None
        body: bytes = http_response.content
        return body if body[:1] == b"{" else None
    except Exception as error:
        swallowed("openai.response_body", error)
        return None


def _tap(kwargs: dict[str, Any]) -> None:
    try:
        call = _current.get()
        if call is not None:
            _read_wire(call, kwargs)
    except Exception as error:
        swallowed("openai.response", error)


def _read_wire(call: OpenAICall, kwargs: dict[str, Any]) -> None:
    http_response = kwargs["response"]
    if not http_response.is_closed:
        watch_bytes(call, http_response)
        call.streaming = True
    kind = call.read_response_head(http_response, int(kwargs.get("retries_taken") or 0))
    if not call.streaming:
        call.read_buffered(http_response, kind)


def sleep_for_retry(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The SDK rests before it makes a failed attempt again (a coroutine for the asynchronous client)."""
    try:
        call = _current.get()
        if call is not None:
            call.note_retry(int(kwargs["retries_taken"]), kwargs.get("response"))
    except Exception as error:
        swallowed("openai.retry", error)
    return wrapped(*args, **kwargs)


def stream_init(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
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
