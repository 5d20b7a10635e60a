"""One request of an OpenAI client: the facts of its response."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from spantally.calls.tool_results import expect_tool_calls
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind
from spantally.instrumentors.openai import agent_sessions, background, batches
from spantally.instrumentors.openai.last_event import last_event
from spantally.instrumentors.openai.stream_usage import is_extra
from spantally.instrumentors.openai.wire import content, endpoints, response
from spantally.instrumentors.openai.wire.operation import AGENT_SESSIONS
from spantally.instrumentors.openai.wire.stream import StreamFacts
from spantally.instrumentors.openai.wire.usage import parts_beyond, quick_counts
from spantally.instrumentors.stainless.agent_sessions import Events
from spantally.instrumentors.stainless.batches import ResultLines
from spantally.instrumentors.stainless.call import SdkCall
from spantally.instrumentors.stainless.wire import headers

_CHOOSING: Final = frozenset({"chat_completions", "completions"})
"""APIs whose answers have a choice for each that was asked for."""

_STORED: Final = frozenset({"responses", "chat_completions"})
"""APIs whose answers can be fetched afterwards."""

_BEYOND: Final = frozenset({"transcriptions", "images", "speech", "live"})
"""APIs that bill by what the conventions have no names for."""


class OpenAICall(SdkCall):
    """A call of the OpenAI SDK."""

    __slots__ = ()

    file_api: ClassVar[str] = "file_content"

    def head_facts(self, raw: Any) -> tuple[bytes, dict[str, Any]]:
        """The content type and the rate limits that the headers of a response tell."""
        return headers.head_facts(raw, b"x-ratelimit-", semconv.OPENAI_RATE_LIMIT_PREFIX)

    def output_messages(self, source: Any) -> Any:
        """The answer as messages, from a body or from what a stream told."""
        return content.output_messages(self.wire, source)

    def read_file(self, body: bytes) -> None:
        """Read a file that may hold the results of a batch."""
        batches.read_file(self.operation, body)

    def file_lines(self, content_encoding: str | None) -> ResultLines:
        """What reads such a file piece by piece."""
        return batches.lines(self.operation, content_encoding)

    def is_extra(self, chunk: Any) -> bool:
        """True for the chunk with the usage that we asked for."""
        return is_extra(chunk)

    def last_event(self, error: BaseException) -> Any:
        """The event that told of an error, which no chunk came of; it may hold the usage."""
        return last_event(error)

    def joined_facts(
        self, facts: response.ResponseFacts, unread: response.ResponseFacts
    ) -> response.ResponseFacts:
        """The facts of a stream that was not read to its end, with those of the rest of it."""
        if facts.usage is not None and not endpoints.counts_something(unread.usage or {}):
            return facts
        return response.joined(facts, unread)

    def expect_end(self) -> None:
        """Whoever asks for the answer later completes this call."""
        background.expect(self.operation)

    def read_long(self, body: bytes) -> bool:
        """Images are told by the end of their body."""
        if self.wire.api != "images":
            return False
        self.read_body({"usage": endpoints.usage_in_tail(body) or endpoints.pictures_in(body)})
        return True

    def may_be_read_later(self, body: bytes) -> bool:
        """True where nobody needs the facts before the worker can read them.

        Without a recording span only ledger, metrics and totals want them. A tool that the answer asks for
        may run at once, and takes its id from the facts.
        """
        return (
            self.wire.api == "chat_completions"
            and self.capture is None
            and self.estimated_input is None
            and b'"tool_calls"' not in body
            and b'"error"' not in body
            and self.operation.joined is None  # another's span is to tell the cost
        )

    def read_body(self, body: Any, *, owned: bool = False) -> None:
        """Take the facts of a response body, a mapping or the SDK's own object.

        Args:
            body: what it is read from.
            owned: True for JSON that nobody else holds.
        """
        if self.wire.api == AGENT_SESSIONS:
            self.facts_read = True
            agent_sessions.read(self.operation, body)
            return
        wire = self.wire
        if wire.api == "chat_completions":  # most calls of most programs
            self.take(response.of_choices(wire, body, owned=owned))
        else:
            self.take(response.response_facts(wire, body, owned=owned))
        if self.capture is not None:
            self.capture.take_output(wire, body, self.reasons())
        if self.estimated_input is not None:
            self.estimate_from(body)

    def take(self, facts: response.ResponseFacts) -> None:
        """Put the facts onto the operation."""
        self.facts_read = True
        target, wire = self.operation, self.wire
        carries = wire.kind is not Kind.OTHER
        if not carries:
            facts, carries = self._take_other(facts)
        (  # at once: a field of a named tuple takes a look-up each
            model,
            response_id,
            reasons,
            usage,
            tier,
            fingerprint,
            asked,
            conversation_id,
            status,
            error_type,
            server_tools,
            in_background,
            attributes,
            refused,
        ) = facts
        if usage is None and self.counted is not None and error_type is None:
            usage = self.counted
        target.response_model = model
        target.usage = usage
        counts = None if usage is None else quick_counts(wire, usage, target.provider)
        if usage is None or counts is not None:
            target.usage_format = wire.usage_format
        else:
            target.usage_format = endpoints.usage_format_of(wire, usage)
        context = target.price_context
        if carries and context is not None:
            if tier is not None:
                context["service_tier"] = tier
            if server_tools:
                context["server_tools"] = dict(server_tools)
            # Where the answer does not say which tier served, it is the one that was asked for.
            if tier is None and usage is not None and context.get("service_tier") is None:
                requested = context.get("requested_tier")
                if requested is not None:
                    context["service_tier"] = requested
        put = target.end_attributes
        if model is not None:
            put[semconv.RESPONSE_MODEL] = model
        if response_id is not None:
            target.response_id = put[semconv.RESPONSE_ID] = response_id
        if tier is not None:
            put[semconv.OPENAI_RESPONSE_SERVICE_TIER] = tier
        if fingerprint is not None:
            put[semconv.OPENAI_RESPONSE_SYSTEM_FINGERPRINT] = fingerprint
        if conversation_id is not None:
            put[semconv.CONVERSATION_ID] = conversation_id
        if len(reasons) < self.choices and wire.api in _CHOOSING:
            reasons += ("error",) * (self.choices - len(reasons))  # expected, and not there
        if reasons:
            put[semconv.RESPONSE_FINISH_REASONS] = reasons
        if status is not None and (in_background or wire.rereads):
            put[semconv.RESPONSE_STATUS] = status
        if attributes:
            put.update(attributes)
        if not wire.rereads:  # fetched answers have no usage on their spans
            if counts is not None:
                put.update(counts)
            elif usage is not None:
                response.add_usage_attributes(put, wire, usage, target.provider, target.usage_format)
            if usage is not None and (server_tools or wire.api in _BEYOND):
                self._set_usage_beyond(usage, server_tools)
            if error_type is not None:
                self.error_type, self.refused = error_type, refused
            if in_background:
                self.goes_on = facts.goes_on
                if usage is not None:
                    background.tell(target.provider, response_id)
        if asked and carries and not target.hidden:
            expect_tool_calls(target.scope, asked)

    def exhausted(self) -> None:
        """The stream was read to its end."""
        if not self.left:
            self._take_counted()
        super().exhausted()
        self._note_missed()

    def failed(self, error: BaseException) -> None:
        """``request()`` or the iteration of its stream raised ``error``, which goes on to the program."""
        super().failed(error)
        self._note_missed()

    def _prepare_abandoned(self) -> None:
        self._take_counted()
        super()._prepare_abandoned()
        self._note_missed()

    def _note_missed(self) -> None:
        """A response whose usage did not come: who fetches it afterwards may be told."""
        target, wire = self.operation, self.wire
        if (target.usage is None or target.estimated) and wire.api in _STORED and not wire.rereads:
            background.miss(target.provider, target.response_id)

    def _take_counted(self) -> None:
        """Sound that was streamed as bytes: nothing of it was read, and what was asked for is its bill."""
        if self.counted is not None and not self.facts_read and self.stream_facts is None:
            try:
                self.take(response.ResponseFacts())
            except Exception as error:
                swallowed("sdk.counted", error)

    def _take_other(self, facts: response.ResponseFacts) -> tuple[response.ResponseFacts, bool]:
        """Facts of an operation that bills nothing itself, and whether it has to carry a usage after all."""
        if self.wire.rereads:
            carries = background.learn(self.operation, self.wire, facts)
        else:
            carries = self.wire.api == "unknown" and endpoints.reports_tokens(facts.usage)
            if carries:
                self.operation.kind = Kind.INFERENCE
        return (facts if carries else facts._replace(usage=None)), carries

    def _set_usage_beyond(self, usage: dict[str, Any], server_tools: tuple[tuple[str, int], ...]) -> None:
        """Usage that no attribute of the conventions carries: searches, seconds of audio, characters."""
        counts = response.usage_attributes(self.wire, usage, self.operation.provider)
        parts = parts_beyond(counts, usage, server_tools)
        if parts is not None:
            self.operation.end_attributes[semconv.USAGE] = json.dumps(parts)

    def new_stream_facts(self) -> StreamFacts | Events:
        """What reads the chunks of this call's stream."""
        if self.wire.api == AGENT_SESSIONS:
            return agent_sessions.events(self.operation)
        return StreamFacts(
            self.wire,
            collect=self.collects,
            choices=self.choices,
            tools=self.wants_tools,
        )
