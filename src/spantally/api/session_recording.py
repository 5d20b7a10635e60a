"""What a program records of a session itself: calls, tools, messages, events, fields, feedback."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from opentelemetry.context import Context

from spantally.api import record_arguments as arguments
from spantally.api.plain_values import parse_json
from spantally.ground import ids, semconv
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.scope import current_scope, is_hidden

if TYPE_CHECKING:
    from spantally.api.recorded_calls import Recorded

Moment: TypeAlias = datetime | str | float
"""A datetime (a naive one is local), RFC 3339 text, or UNIX seconds."""
Money: TypeAlias = float | Decimal | str
"""US dollars."""


class Recording:
    """The part of a session by which a program records what no instrumentor sees.

    All of it works inside the session's ``with`` block, outside of it, after its end, and where the session
    was never entered at all: then what is recorded belongs to the session, and says nothing of its status.
    Nothing here waits; the worker redacts and writes.
    """

    def _place(self) -> tuple[str, Context | None]:
        """Id of the session and the Context of what is recorded in it; None where nothing is kept."""
        raise NotImplementedError

    def record_call(
        self,
        *,
        provider: str | None = None,
        model: str,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        cache_write_1h_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        usage: Any = None,
        cost_usd: Money | None = None,
        latency_ms: float | None = None,
        timestamp: Moment | None = None,
        operation: str = "chat",
        response_model: str | None = None,
        response_id: str | None = None,
        service_tier: str | None = None,
        finish_reason: str | None = None,
        input: Any = None,  # noqa: A002 - the name that users type
        output: Any = None,
        error: BaseException | str | None = None,
        id: str | None = None,  # noqa: A002 - the name that users type
    ) -> str:
        """Record a model call that no instrumentor saw: a model without an SDK, or one of the past.

        It is a call like any other: a row, a span, in the totals and budgets, priced by the rates of its
        time. Without usage and cost its cost is absent, never 0.

        Args:
            provider: whose model it is (``openai``, ``anthropic``, ...): its rates apply.
            model: that was asked for.
            input_tokens: all input tokens, cached and written ones included.
            output_tokens: all output tokens, reasoning included.
            cached_tokens: of the input, those read from the provider's cache.
            cache_write_tokens: of the input, those written to it for a short time.
            cache_write_1h_tokens: of the input, those written to it for an hour.
            reasoning_tokens: of the output.
            usage: the provider's usage object, in the place of the counts: a mapping or an object of its SDK.
            cost_usd: what it cost, where the program knows: the status is ``provider_reported`` then.
            latency_ms: how long it took.
            timestamp: when it began; by default it has just ended.
            operation: ``chat``, ``text_completion``, ``generate_content`` or ``embeddings``.
            response_model: that answered, where that is another.
            response_id: the provider's id of the answer: a call that an instrumentor saw as well is one.
            service_tier: that served, where it has rates of its own.
            finish_reason: why the model stopped; providers' words become the conventions' (``length``).
            input: what was sent: a text, or messages. Content.
            output: what was answered. Content.
            error: what it failed by: an exception, its name, or a text (which is content).
            id: a name of its own: recorded again, in whatever process, it is the same call.

        Returns:
            The call's id, by which feedback and evaluations find it.

        Raises:
            ArgumentError: (a ValueError) for a wrong argument; nothing is recorded then.
        """
        from spantally.api import recorded_calls as calls

        names = {
            "provider": provider,
            "model": model,
            "response_model": response_model,
            "response_id": response_id,
            "service_tier": service_tier,
            "finish_reason": finish_reason,
        }
        counts = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cached_tokens": cached_tokens,
            "cache_write_tokens": cache_write_tokens,
            "cache_write_1h_tokens": cache_write_1h_tokens,
            "reasoning_tokens": reasoning_tokens,
        }
        call = calls.checked_call(operation, names, counts, usage, cost_usd)
        what = self._recorded("record_call", id, timestamp, latency_ms, error)
        return self._once("call", what, lambda at, one: calls.record_call(at, one, call, (input, output)))

    def record_tool(
        self,
        name: str,
        input: Any = None,  # noqa: A002 - the name that users type
        output: Any = None,
        *,
        reasoning: str | None = None,
        cost_usd: Money | None = None,
        error: BaseException | str | None = None,
        latency_ms: float | None = None,
        timestamp: Moment | None = None,
        tool_call_id: str | None = None,
        id: str | None = None,  # noqa: A002 - the name that users type
    ) -> str:
        """Record a tool's execution that nothing else saw.

        Args:
            name: of the tool.
            input: its arguments. Content.
            output: its result. Content.
            reasoning: why it was called. Content.
            cost_usd: what it cost: it adds to the costs of session, agent and tool, to no count of calls, and
                to what budgets in money have used. Its status is ``provider_reported``.
            error: what it failed by: an exception, its name, or a text (which is content).
            latency_ms: how long it took.
            timestamp: when it began; by default it has just ended.
            tool_call_id: the model's id of the tool call.
            id: a name of its own: recorded again, in whatever process, it is the same execution.

        Returns:
            The execution's id.

        Raises:
            ArgumentError: (a ValueError) for a wrong argument; nothing is recorded then.
        """
        from spantally.api import recorded_calls as calls

        tool = arguments.parse_name("tool name", name)
        if reasoning is not None and not isinstance(reasoning, str):
            raise ArgumentError(f"record_tool(reasoning={shown(reasoning)}): use a text")
        names = calls.checked_names(tool_call_id=tool_call_id)
        cost = arguments.parse_cost("record_tool(cost_usd", cost_usd)
        what = self._recorded("record_tool", id, timestamp, latency_ms, error)
        return self._once(
            "tool",
            what,
            lambda at, one: calls.record_tool(
                at,
                one,
                name=tool,
                tool_call_id=names["tool_call_id"],
                given=input,
                output=output,
                reasoning=reasoning,
                cost=cost,
            ),
        )

    def _once(self, kind: str, what: Recorded, record: Callable[[Context, Recorded], str | None]) -> str:
        """Record a call or tool in the session, unless this process has recorded its id before."""
        from spantally.api.recorded_calls import is_repeated

        session_id, context = self._place()
        what = _named(what, session_id, kind)
        if context is None or (what.call_id is not None and is_repeated(what.call_id)):
            return what.call_id or ids.new_call_id()
        return record(context, what) or what.call_id or ids.new_call_id()

    @staticmethod
    def _recorded(
        function: str,
        ident: str | None,
        timestamp: Moment | None,
        latency_ms: float | None,
        error: BaseException | str | None,
    ) -> Recorded:
        """The arguments that calls and tools have in common, checked."""
        from spantally.api.recorded_calls import Recorded

        return Recorded(
            None if ident is None else arguments.parse_name(f"{function} id", ident),
            arguments.parse_moment(f"{function}(timestamp", timestamp),
            arguments.parse_number(f"{function}(latency_ms", latency_ms, least=0, most=arguments.MOST_MS),
            arguments.parse_error(f"{function}(error", error),
        )

    def record_message(
        self,
        role: str,
        content: Any,
        *,
        tokens: int | None = None,
        model: str | None = None,
        latency_ms: float | None = None,
        status: str = "delivered",
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002 - the name that users type
        timestamp: Moment | None = None,
    ) -> str:
        """Record a message of the conversation.

        A message is an event of the session, no call: its tokens are kept with it and never added to the
        tally, which a call of the same answer may be in already. :meth:`record_call` counts and prices.

        Args:
            role: ``user``, ``assistant``, ``system`` or ``tool``.
            content: its text; what is no text is kept as JSON. Content.
            tokens: how many it has.
            model: that wrote it.
            latency_ms: how long it took.
            status: ``delivered``, ``pending`` or ``error``.
            metadata: any JSON.
            id: a name of its own: recorded again, in whatever process, it is stored once.
            timestamp: when it was written; now, by default.

        Returns:
            The id of the event.

        Raises:
            ArgumentError: (a ValueError) for a wrong argument; nothing is recorded then.
        """
        attributes = arguments.parse_message(
            role,
            status=status,
            tokens=tokens,
            model=model,
            latency_ms=latency_ms,
            metadata=metadata,
            ident=id,
        )
        text = arguments.parse_content("record_message(content)", content)
        time_ns = arguments.parse_moment("record_message(timestamp", timestamp)
        named = None if id is None else ("message", id)
        return self._note(
            semconv.EVENT_MESSAGE, attributes, {semconv.MESSAGE_CONTENT: text}, named=named, time_ns=time_ns
        )

    def event(
        self,
        type: str,  # noqa: A002 - the name that users type
        attributes: Mapping[str, Any] | None = None,
        *,
        timestamp: Moment | None = None,
        id: str | None = None,  # noqa: A002 - the name that users type
    ) -> str:
        """Note an event of the program's own in the session, by the current agent and span.

        Args:
            type: what happened: ``cart.opened``. Letters, digits and ``_ . - : /``.
            attributes: any JSON, of at most 65,536 characters; kept and sent redacted.
            timestamp: when; now, by default.
            id: a name of its own: told again, in whatever process, it is stored once.

        Returns:
            The id of the event.

        Raises:
            ArgumentError: (a ValueError) for a wrong argument; nothing is noted then.
        """
        name = arguments.parse_type(type)
        told = parse_json("event(attributes)", attributes) or {}
        time_ns = arguments.parse_moment("event(timestamp", timestamp)
        named = None if id is None else (f"event.{name}", arguments.parse_name("event id", id))
        return self._note(name, told, {}, named=named, time_ns=time_ns)

    def _note(
        self,
        name: str,
        attributes: Mapping[str, Any],
        content: Mapping[str, str],
        *,
        named: tuple[str, str] | None,
        time_ns: int | None,
    ) -> str:
        """Note an event whose arguments are in order; ``named`` is its kind and the program's name for it."""
        from spantally.api.recorded_events import given_id, note

        session_id, context = self._place()
        event_id = ids.new_call_id() if named is None else given_id(session_id, *named)
        if context is not None and not is_hidden(context):
            note(
                name,
                attributes,
                content,
                context=context,
                scope=current_scope(context),
                session_id=session_id,
                time_ns=time_ns,
                event_id=event_id,
            )
        return event_id

    def set(
        self,
        *,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        labels: Iterable[str] | None = None,
        metrics: Mapping[str, int | float] | None = None,
    ) -> None:
        """Say more of the session, at any time; for the ledger only, redacted.

        Args:
            title: takes the place of the one before.
            metadata: any JSON; its keys are put in beside those that are there, and in the place of the same.
            labels: are added.
            metrics: what the program measured; likewise by name.

        Raises:
            ArgumentError: (a ValueError) for a wrong argument; nothing is said then.
        """
        from spantally.api.session_said import parse_labels, parse_metadata, parse_metrics, parse_title

        said = {
            "title": parse_title(title),
            "metadata": parse_metadata(metadata),
            "labels": parse_labels(labels),
            "metrics": parse_metrics(metrics),
        }
        self._say_more({name: value for name, value in said.items() if value})

    def _say_more(self, said: Mapping[str, Any]) -> None:
        raise NotImplementedError


def _named(what: Recorded, session_id: str, kind: str) -> Recorded:
    """The same with the id that the given name stands for in this session."""
    if what.call_id is None:
        return what
    from spantally.api.recorded_events import given_id

    return what._replace(call_id=given_id(session_id, kind, what.call_id))
