"""One request of an Anthropic client: the facts of its response."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from spantally.calls.tool_results import expect_tool_calls
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind
from spantally.instrumentors.anthropic import agent_sessions, batches
from spantally.instrumentors.anthropic.wire import content, response, usage
from spantally.instrumentors.anthropic.wire.operation import AGENT_SESSIONS
from spantally.instrumentors.anthropic.wire.stream import StreamFacts
from spantally.instrumentors.stainless.agent_sessions import Events
from spantally.instrumentors.stainless.batches import ResultLines
from spantally.instrumentors.stainless.call import SdkCall
from spantally.instrumentors.stainless.wire import headers


class AnthropicCall(SdkCall):
    """A call of the Anthropic SDK."""

    __slots__ = ("asked", "owner")

    file_api: ClassVar[str] = "batch_results"

    asked: Mapping[str, Any]
    """Attributes of the request, for a span of the SDK's own."""
    owner: str | None
    """The session or thread of an agent that the request is about."""

    def head_facts(self, raw: Any) -> tuple[bytes, dict[str, Any]]:
        """The content type and the rate limits that the headers of a response tell."""
        return headers.head_facts(raw, b"anthropic-ratelimit-", semconv.ANTHROPIC_RATE_LIMIT_PREFIX)

    def output_messages(self, source: Any) -> Any:
        """The answer as messages, from a body or from what a stream told."""
        return content.output_messages(self.wire, source)

    def joined_facts(
        self, facts: response.ResponseFacts, unread: response.ResponseFacts
    ) -> response.ResponseFacts:
        """The facts of a stream that was not read to its end, with those of the rest of it."""
        known, told = facts.usage or {}, unread.usage or {}
        if "output_tokens" not in told or "output_tokens" in known:
            return facts
        return facts._replace(usage=usage.merged(known, told))

    def read_file(self, body: bytes) -> None:
        """Read the results of a batch."""
        batches.read_file(self.operation, body)

    def file_lines(self, content_encoding: str | None) -> ResultLines:
        """What reads them piece by piece."""
        return batches.lines(self.operation, content_encoding)

    def may_be_read_later(self, body: bytes) -> bool:
        """True where nobody needs the facts before the worker can read them.

        Without a recording span only ledger, metrics and totals want them. A tool that the answer asks for
        may run at once, and takes its id from the facts.
        """
        return (
            self.wire.api == "messages"
            and self.capture is None
            and self.estimated_input is None
            and b'"tool_use"' not in body
            and b'"error"' not in body
            and self.operation.mark is None
            and self.operation.joined is None
        )

    def read_response_head(self, http_response: Any, retries: int) -> bytes:
        """Note what the head of the final response says; a span of the SDK's own is told what we know."""
        kind = super().read_response_head(http_response, retries)
        self.complete_native(self.asked)
        return kind

    def read_body(self, body: Any, *, owned: bool = False) -> None:
        """Take the facts of a response body, a mapping or the SDK's own object.

        Args:
            body: what it is read from.
            owned: True for JSON that nobody else holds.
        """
        if self.wire.api == AGENT_SESSIONS:
            self.facts_read = True
            agent_sessions.read(self.operation, self.owner, body)
            return
        self.take(response.response_facts(self.wire, body))
        if self.capture is not None:
            self.capture.take_output(self.wire, body, self.reasons())
        self.estimate_from(body)
        self.complete_native(self.operation.end_attributes)

    def take(self, facts: response.ResponseFacts) -> None:
        """Put the facts onto the operation."""
        self.facts_read = True
        target = self.operation
        target.response_model = facts.model
        target.response_id = facts.response_id or target.response_id
        if facts.error_type is not None:
            self.error_type, self.refused = facts.error_type, facts.refused
        if self.wire.kind is Kind.OTHER:
            return
        target.usage = facts.usage
        target.usage_format = self.wire.usage_format
        if target.price_context is not None:
            batches.add_price_facts(target.price_context, facts)
        target.end_attributes.update(attributes_of(facts))
        if facts.tool_calls and not target.hidden:
            expect_tool_calls(target.scope, facts.tool_calls)

    def new_stream_facts(self) -> StreamFacts | Events:
        """What reads the events of this call's stream."""
        if self.wire.api == AGENT_SESSIONS:
            return agent_sessions.events(self.operation, self.owner)
        made = StreamFacts(self.wire, collect=self.collects)
        if self.operation.joined is not None:
            made.on_end = self._complete_stream
        return made

    def _complete_stream(self) -> None:
        """All but the end of a stream is known: the SDK closes its span before we see the end."""
        try:
            facts = self.stream_facts
            if facts is not None:
                self.complete_native({**self.operation.end_attributes, **attributes_of(facts.facts())})
        except Exception as error:
            swallowed("anthropic.complete", error)

    def complete_native(self, attributes: Mapping[str, Any]) -> None:
        """Put onto the SDK's own span what it does not say itself."""
        joined = self.operation.joined
        if joined is not None and joined.within:
            joined.complete(self.operation, attributes)


def attributes_of(facts: response.ResponseFacts) -> dict[str, Any]:
    """The span attributes of an answer."""
    put: dict[str, Any] = {}
    if facts.model is not None:
        put[semconv.RESPONSE_MODEL] = facts.model
    if facts.response_id is not None:
        put[semconv.RESPONSE_ID] = facts.response_id
    if facts.finish_reasons:
        put[semconv.RESPONSE_FINISH_REASONS] = facts.finish_reasons
    if facts.usage is not None:
        tier = facts.usage.get("service_tier")
        if isinstance(tier, str):
            put[semconv.ANTHROPIC_RESPONSE_SERVICE_TIER] = tier
        put.update(usage.usage_attributes(facts.usage))
        beyond = usage.parts_beyond(facts.usage)
        if beyond is not None:
            put[semconv.USAGE] = json.dumps(beyond)
    return put
