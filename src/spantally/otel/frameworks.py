"""Spans that frameworks make by themselves: what they lack is added, and each execution has one row.

The MCP SDK makes a span for each message on both sides. The client's of a tool call does not say that it is
one, and the server's is a second view of the same execution.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from spantally.calls import claims, mcp_calls
from spantally.calls.operation import open_operations
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import COUNTED_KINDS, Kind
from spantally.ground.scope import current_scope
from spantally.otel.joining import scope_name_of
from spantally.otel.lineage import STATE, SpanState, View

MCP_SCOPE: Final = "mcp-python-sdk"
MCP_METHOD: Final = "mcp.method.name"
MCP_REQUEST: Final = "jsonrpc.request.id"
_CALL: Final = "tools/call"
_CLIENT_NAME: Final = f"MCP send {_CALL} "
"""How the SDK names a client's span, before the tool's name."""


def enrich(span: Any, context: Context) -> None:
    """Say of a client's tool call that it is one, unless the tool around it is the same execution.

    Args:
        span: one that begins, of somebody else.
        context: the Context that it begins in.
    """
    try:
        if scope_name_of(span) != MCP_SCOPE or span.kind is not SpanKind.CLIENT:
            return
        if span._attributes.get(MCP_METHOD) != _CALL or not span.name.startswith(_CLIENT_NAME):
            return
        name = span.name[len(_CLIENT_NAME) :]
        around = _tool_around(context, name)
        if around is not None:
            mcp_calls.note_client(span.get_span_context(), around)
        else:
            span.set_attributes({semconv.OPERATION_NAME: "execute_tool", semconv.TOOL_NAME: name})
    except Exception as error:
        swallowed("otel.mcp", error)


def _tool_around(context: Context, name: str) -> str | None:
    """The call id of the tool that runs around, where it is the one that is asked for.

    Frameworks may put the server's name before that of its tool.
    """
    scope = current_scope(context)
    if scope is not None and scope.call_id is not None:
        operation = open_operations.get(scope.call_id)
        if operation is not None and operation.kind == Kind.TOOL and (operation.name or "").endswith(name):
            return operation.call_id
    state: SpanState | None = getattr(trace.get_current_span(context), STATE, None)
    if state is not None and state.kind == Kind.TOOL and (state.inner_tool or "").endswith(name):
        return state.inner_call_id
    return None


def recognise(span: Any, state: SpanState) -> None:
    """Tell what a span of somebody else is to what we know of already.

    Args:
        span: one that has begun.
        state: what it inherits.
    """
    if claims.announced.get() and (state.peer or state.kind in COUNTED_KINDS):
        claims.note_span(span)
    if state.kind != Kind.TOOL or scope_name_of(span) != MCP_SCOPE:
        return
    client = span.get_span_context() if span.kind is SpanKind.CLIENT else span.parent
    if span.kind is SpanKind.SERVER:
        around = _tool_around(otel_context.get_current(), str(span._attributes.get(semconv.TOOL_NAME)))
        if around is not None:  # in one process there may be no client's span
            state.show(around, View.BESIDE)
            span.set_attribute(semconv.CALL_ID, around)
            return
    request_id = span._attributes.get(MCP_REQUEST)
    row = None if client is None or request_id is None else mcp_calls.row_of(client, request_id)
    if row is not None:
        state.call_id = state.inner_call_id = row
        if state.parent_call_id == row:
            state.parent_call_id = None
