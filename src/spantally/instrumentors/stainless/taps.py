"""The taps of an SDK's client: the request choke point, the response tap, the stream tap.

Imported with the SDK, never before: a program that only might use it does not pay for what reads its wire.
"""

from __future__ import annotations

import functools
import weakref
from contextvars import ContextVar
from typing import Any, Final, Protocol

from opentelemetry import context as otel_context

from spantally.calls.beside import scan_beside
from spantally.calls.telemetry import Telemetry
from spantally.ground.guard import guard, swallowed
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.patching import callable_with_self
from spantally.instrumentors.stainless import asking
from spantally.instrumentors.stainless.call import SdkCall
from spantally.instrumentors.stainless.lazy_stream import iterator_of
from spantally.instrumentors.stainless.streams import watch, watch_async, watch_bytes

MIDDLEWARE: Final = "_middleware"
"""Of a client: what stands around each of its requests, and may ask again, or answer by itself."""


def _returned(call: SdkCall, result: Any) -> None:
    if call.successor is not None:
        call = call.latest()
    try:
        if not call.answered and call.has_middleware:
            call.operation.finish()  # middleware answered: the provider was not asked
        elif not call.streaming:
            call.succeeded(result)
    except Exception as error:
        swallowed("sdk.returned", error)
        with guard("sdk.end"):
            call.operation.finish()


def _raised(call: SdkCall, error: BaseException) -> None:
    call = call.latest()
    try:
        call.failed(error)
    except Exception as failure:
        swallowed("sdk.raised", failure)
        with guard("sdk.end"):
            call.operation.finish("error", error=error)


def _with_options(
    call: SdkCall, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of ``request()`` with the options that a policy changed."""
    if "options" in kwargs:
        return args, {**kwargs, "options": call.options}
    return (args[0], call.options, *args[2:]), kwargs


class Sdk(Protocol):
    """What the taps need of the module that begins the calls of one SDK."""

    def begin(self, telemetry: Telemetry, client: Any, options: Any) -> SdkCall | None:
        """Start the operation of one request, or None where it is none of ours."""

    def body_of(self, options: Any) -> Any:
        """The body that a request is sent with."""

    def remember_keys(self, client: Any, options: Any) -> bool:
        """Hide what opens a request."""


class Taps:
    """The taps of one SDK."""

    owner: TableInstrumentor
    """The instrumentor whose taps these are: what they see goes to its telemetry."""

    def __init__(self, name: str, sdk: Any) -> None:
        """Make the taps of an SDK.

        Args:
            name: of its package.
            sdk: the module that begins its calls, an :class:`Sdk`.
        """
        self.sdk: Sdk = sdk
        self.current: ContextVar[SdkCall | None] = ContextVar(f"spantally-{name}-call", default=None)
        """The call whose ``request()`` runs, for the taps beneath it."""

    def _begin(
        self, made_in: int, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> SdkCall | None:
        try:
            if self.owner.patch_set.generation != made_in:
                return None  # somebody has kept this function over uninstrument()
            options = kwargs["options"] if "options" in kwargs else args[1]
            call = self.sdk.begin(self.owner.telemetry, client, options)
            if call is not None and getattr(client, MIDDLEWARE, None):
                call.has_middleware = True
            return call
        except Exception as error:
            swallowed("sdk.begin", error)
            return None

    def _body(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the request says, for the budgets of its session."""
        try:
            return self.sdk.body_of(kwargs["options"] if "options" in kwargs else args[1])
        except Exception as error:
            swallowed("sdk.body", error)
            return None

    def _enter(self, call: SdkCall) -> tuple[Any, Any]:
        """Put in force what is while the SDK works on the call: its span, its scope, no baggage of ours.

        Returns:
            What restores what was in force before; None for what could not be entered.
        """
        attached = None
        try:
            attached = otel_context.attach(call.operation.inner_context(strip_baggage=True))
            return attached, self.current.set(call)
        except Exception as error:
            swallowed("sdk.enter", error)
            return attached, None

    def _leave(self, tokens: tuple[Any, Any]) -> None:
        """Restore what was in force before; in the same task, so the tokens are valid."""
        attached, current = tokens
        try:
            if current is not None:
                self.current.reset(current)
        except ValueError:
            return  # a coroutine that is closed in another context than it ran in: here it has set nothing
        except Exception as error:
            swallowed("sdk.leave", error)
        try:
            if attached is not None:
                otel_context.detach(attached)
        except Exception as error:
            swallowed("sdk.leave", error)

    def _beside(self, original: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A request that is none of ours, made inside one that is (by a token provider, say)."""
        token = self.current.set(None)
        try:
            return original(client, *args, **kwargs)
        finally:
            self.current.reset(token)

    async def _beside_async(
        self, original: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The same for the asynchronous client."""
        token = self.current.set(None)
        try:
            return await original(client, *args, **kwargs)
        finally:
            try:
                self.current.reset(token)
            except ValueError:
                pass  # the coroutine was closed in another context, where it set nothing

    def around_request(self, original: Any) -> Any:
        """A plain function in the place of the method: it costs less at each call than a wrapper object."""
        taps, current = self, self.current
        made_in = taps.owner.patch_set.generation
        original = callable_with_self(original)

        @functools.wraps(original)
        def request(self: Any, *args: Any, **kwargs: Any) -> Any:
            call = taps._begin(made_in, self, args, kwargs)
            if call is None:
                return (
                    original(self, *args, **kwargs)
                    if current.get() is None
                    else taps._beside(original, self, args, kwargs)
                )
            if call.operation.scope.session.budget is not None:
                asking.admit(call, taps._body(args, kwargs))
            if call.options is not None:
                args, kwargs = _with_options(call, args, kwargs)
            tokens = taps._enter(call)
            try:
                result = original(self, *args, **kwargs)
            except BaseException as error:
                taps._leave(tokens)
                _raised(call, error)
                raise
            taps._leave(tokens)
            _returned(call, result)
            return result

        return request

    def around_request_async(self, original: Any) -> Any:
        """The same for the asynchronous client."""
        taps, current = self, self.current
        made_in = taps.owner.patch_set.generation
        original = callable_with_self(original)

        @functools.wraps(original)
        async def request(self: Any, *args: Any, **kwargs: Any) -> Any:
            if taps.owner.telemetry.wants_content and taps.owner.patch_set.generation == made_in:
                taps._learn_keys(
                    self, args, kwargs
                )  # first: what was scanned before a secret is known is void
                await scan_beside(taps.owner.telemetry, taps._body(args, kwargs))
            call = taps._begin(made_in, self, args, kwargs)
            if call is None:
                if current.get() is None:
                    return await original(self, *args, **kwargs)
                return await taps._beside_async(original, self, args, kwargs)
            if call.operation.scope.session.budget is not None:
                await asking.admit_async(call, taps._body(args, kwargs))
            if call.options is not None:
                args, kwargs = _with_options(call, args, kwargs)
            tokens = taps._enter(call)
            try:
                result = await original(self, *args, **kwargs)
            except BaseException as error:
                taps._leave(tokens)
                _raised(call, error)
                raise
            taps._leave(tokens)
            _returned(call, result)
            return result

        return request

    def around_response(self, original: Any) -> Any:
        """The wire response of the attempt that succeeded, before the SDK parses it."""
        taps = self
        original = callable_with_self(original)

        @functools.wraps(original)
        def process(self: Any, *args: Any, **kwargs: Any) -> Any:
            taps._tap(self, kwargs)
            return original(self, *args, **kwargs)

        return process

    def around_response_async(self, original: Any) -> Any:
        """The same for the asynchronous client."""
        taps = self
        original = callable_with_self(original)

        @functools.wraps(original)
        async def process(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                if taps.owner.telemetry.wants_content:
                    await scan_beside(taps.owner.telemetry, taps._complete_body(kwargs))
            finally:
                taps._tap(self, kwargs)
            return await original(self, *args, **kwargs)

        return process

    def _learn_keys(self, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Know what opens the request before anything of it is scanned."""
        try:
            self.sdk.remember_keys(client, kwargs["options"] if "options" in kwargs else args[1])
        except Exception as error:
            swallowed("sdk.keys", error)

    def _complete_body(self, kwargs: dict[str, Any]) -> bytes | None:
        """The body of a complete answer that is JSON."""
        try:
            http_response = kwargs["response"]
            if self.current.get() is None or not http_response.is_closed:
                return None
            body: bytes = http_response.content
            return body if body[:1] == b"{" else None
        except Exception as error:
            swallowed("sdk.response_body", error)
            return None

    def _tap(self, client: Any, kwargs: dict[str, Any]) -> None:
        try:
            call = self.current.get()
            http_response = kwargs["response"]
            alone = False
            if getattr(client, MIDDLEWARE, None):
                if int(http_response.status_code) >= 300:
                    return  # with middleware what is refused comes by here, too
                if call is None or call.answered:
                    alone = call is None
                    call = self._one_more(call, client, kwargs["options"])
            if call is None:
                return
            call.answered = True
            if not http_response.is_closed:
                watch_bytes(call, http_response)
                call.streaming = True
            kind = call.read_response_head(http_response, int(kwargs.get("retries_taken") or 0))
            if not call.streaming:
                call.read_buffered(http_response, kind)
                if alone:
                    _returned(call, None)
        except Exception as error:
            swallowed("sdk.response", error)

    def _one_more(self, call: SdkCall | None, client: Any, options: Any) -> SdkCall | None:
        """Middleware has asked again, of another model perhaps: an answer more is a call more.

        Args:
            call: whose answer was there; None where a stream of the SDK's own asks while it is read.
            client: the SDK's client.
            options: of the request that is answered now.
        """
        if not self.owner.patch_set.enabled:
            return None
        if call is None:
            return self.sdk.begin(self.owner.telemetry, client, options)
        if not call.streaming:
            call.succeeded(None)  # all of it is read; a stream's end is told by its bytes
        around = call.operation.parent_context
        token = None if around is None else otel_context.attach(around)
        try:
            made = self.sdk.begin(self.owner.telemetry, client, options)
        finally:
            if token is not None:
                otel_context.detach(token)
        if made is not None:
            made.reads_at_once = call.reads_at_once
            made.has_middleware = True
            call.successor = made
            self.current.set(made)
        return made

    def sleep_for_retry(
        self, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The SDK rests before it makes a failed attempt again (a coroutine for the asynchronous client)."""
        try:
            call = self.current.get()
            if call is not None:
                call.note_retry(int(kwargs["retries_taken"]), kwargs.get("response"))
        except Exception as error:
            swallowed("sdk.retry", error)
        return wrapped(*args, **kwargs)

    def stream_init(self, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A Stream object is made, by ``request()`` or later by ``parse()`` of a raw response."""
        result = wrapped(*args, **kwargs)
        try:
            call = getattr(instance.response.stream, "spantally_call", None)
            if isinstance(call, SdkCall):
                inner = iterator_of(instance)
                watched: Any = watch_async(call, inner) if hasattr(inner, "__anext__") else watch(call, inner)
                call.watcher = weakref.ref(watched)
                instance._iterator = watched
        except Exception as error:
            swallowed("sdk.stream", error)
        return result
