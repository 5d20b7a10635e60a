"""Requests of httpx2 carry trace context and baggage, as the official instrumentations do for other clients.

Propagation only: no span, no metric. It stands aside where somebody else has written a ``traceparent``, and
in the requests of model SDKs; hosts that may not be told whose work it is get the trace alone. What it adds
is on the request only while it is sent, so that neither a redirect nor the program that looks finds it.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar, Final

from opentelemetry import context as otel_context
from opentelemetry import propagate
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled

from spantally.calls.operation import open_operations
from spantally.ground.guard import swallowed
from spantally.ground.records import COUNTED_KINDS
from spantally.ground.scope import current_scope, is_paused
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.outbound import BAGGAGE, SDK_SIGN, cleaned, takes_our_keys
from spantally.instrumentors.patching import Patch, PatchSet, callable_with_self

_SIGN: Final = "traceparent"
"""A request that has it is another instrumentation's."""


def _inject(request: Any) -> tuple[str, ...]:
    """Write the headers of the current Context; their names, for :func:`_take_out`."""
    try:
        context = otel_context.get_current()
        # The usual cases first: looking a name up in the headers walks all of them.
        if not context:
            return ()
        scope = current_scope(context)
        around = None if scope is None or scope.call_id is None else open_operations.get(scope.call_id)
        if around is not None and around.kind in COUNTED_KINDS:
            return ()  # the request of a call that an instrumentor of ours meters goes to a provider
        headers = request.headers
        if _SIGN in headers or SDK_SIGN in headers or not is_http_instrumentation_enabled():
            return ()
        if is_paused(context):
            return ()
        found: dict[str, str] = {}
        propagate.inject(found, context=context)
        if BAGGAGE in found and not takes_our_keys(request.url.host):
            left = cleaned(found.pop(BAGGAGE))
            if left is not None:
                found[BAGGAGE] = left
        added = tuple(name for name in found if name not in headers)
        for name in added:
            headers[name] = found[name]
        return added
    except Exception as error:
        swallowed("httpx2.inject", error)
        return ()


def _take_out(request: Any, names: tuple[str, ...]) -> None:
    try:
        for name in names:
            if name in request.headers:
                del request.headers[name]
    except Exception as error:
        swallowed("httpx2.take_out", error)


def _around_send(owner: TableInstrumentor, original: Any) -> Any:
    """A plain function in the place of the method: it costs less at each request than a wrapper object."""
    patches, made_in = owner.patch_set, owner.patch_set.generation
    original = callable_with_self(original)

    @functools.wraps(original)
    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        if patches.generation != made_in:
            return original(self, *args, **kwargs)  # somebody has kept this function over uninstrument()
        request = args[0] if args else kwargs.get("request")
        names = _inject(request)
        if not names:
            return original(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        finally:
            _take_out(request, names)

    return send


def _around_send_async(owner: TableInstrumentor, original: Any) -> Any:
    """The same for the asynchronous client."""
    patches, made_in = owner.patch_set, owner.patch_set.generation
    original = callable_with_self(original)

    @functools.wraps(original)
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        if patches.generation != made_in:
            return await original(self, *args, **kwargs)
        request = args[0] if args else kwargs.get("request")
        names = _inject(request)
        try:
            return await original(self, *args, **kwargs)
        finally:
            _take_out(request, names)

    return send


class HTTPX2Instrumentor(TableInstrumentor):
    """Sends ``traceparent`` and ``baggage`` with requests of httpx2; providers get nothing of ours."""

    supported: ClassVar[tuple[str, ...]] = ("httpx2 >= 2.0, < 3",)

    def make_patches(self) -> PatchSet:
        """The method of both clients that sends one request: redirects and every transport pass there."""
        return PatchSet(
            "httpx2",
            (
                Patch(
                    "httpx2._client",
                    "Client._send_single_request",
                    factory=functools.partial(_around_send, self),
                ),
                Patch(
                    "httpx2._client",
                    "AsyncClient._send_single_request",
                    factory=functools.partial(_around_send_async, self),
                ),
            ),
        )
