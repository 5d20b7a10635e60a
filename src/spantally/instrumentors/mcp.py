"""MCP: what a server does for a request belongs to the session of the client that sent it.

The SDK (2.3 and newer) traces itself: its client writes trace context and baggage into ``_meta``, and its
server takes the parent span from there, but drops the baggage. Here the baggage is put in force around the
handling of the message, so that the tool's own calls, and the requests it makes, go on in the session.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context

from spantally.calls import implicit, mcp_calls
from spantally.ground.guard import swallowed
from spantally.ground.scope import BAGGAGE_KEY, SCOPE_KEY, Scope, with_values
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.patching import Patch, PatchSet

_META: Final = "_meta"
_METHOD_PLACE: Final = 1
_PARAMS_PLACE: Final = 2


def _attach(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Put the message's baggage and session in force; the token, or None where it has neither."""
    try:
        params = args[_PARAMS_PLACE] if len(args) > _PARAMS_PLACE else kwargs.get("params")
        meta = params.get(_META) if isinstance(params, Mapping) else None
        if not isinstance(meta, Mapping):
            return None
        texts = {key: value for key, value in meta.items() if isinstance(value, str)}
        inbound = propagate.extract(texts, context=Context())
        carried = inbound.get(BAGGAGE_KEY)
        if not carried:
            return None
        changed: dict[str, object] = {BAGGAGE_KEY: carried}
        scope = implicit.inbound_scope(inbound)
        if scope is not None:
            # Not that of whoever started the server.
            changed[SCOPE_KEY] = _inside_tool(scope, inbound, args, kwargs)
        return otel_context.attach(with_values(otel_context.get_current(), changed))
    except Exception as error:
        swallowed("mcp.attach", error)
        return None


def _inside_tool(scope: Scope, inbound: Context, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Scope:
    """The scope inside a tool's execution, whose row the client's span names."""
    try:
        method = args[_METHOD_PLACE] if len(args) > _METHOD_PLACE else kwargs.get("method")
        params = args[_PARAMS_PLACE] if len(args) > _PARAMS_PLACE else kwargs.get("params")
        if method != "tools/call" or not isinstance(params, Mapping):
            return scope
        name = params.get("name")
        request_id = getattr(args[0] if args else kwargs.get("dctx"), "request_id", None)
        row = mcp_calls.row_of(trace.get_current_span(inbound).get_span_context(), request_id)
        if row is None or request_id is None:
            return scope
        return scope.child(call_id=row, tool=name if isinstance(name, str) else None)
    except Exception as error:
        swallowed("mcp.tool", error)
        return scope


def _detach(token: Any) -> None:
    try:
        if token is not None:
            otel_context.detach(token)
    except Exception as error:
        swallowed("mcp.detach", error)


async def _handle(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    token = _attach(args, kwargs)
    try:
        return await wrapped(*args, **kwargs)
    finally:
        _detach(token)


class MCPInstrumentor(TableInstrumentor):
    """Has MCP servers work in the session of the client that asks; the SDK makes the spans itself."""

    supported: ClassVar[tuple[str, ...]] = ("mcp >= 2.3, < 3",)

    def make_patches(self) -> PatchSet:
        """Where a server of any transport handles one request or notification."""
        return PatchSet(
            "mcp",
            (
                Patch("mcp.server.runner", "ServerRunner._on_request", _handle),
                Patch("mcp.server.runner", "ServerRunner._on_notify", _handle),
            ),
        )
