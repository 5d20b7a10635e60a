"""One request of an SDK client, whichever SDK it is: what is read of it, and its end.

Clients that the Stainless generator made send every request through one ``request()``, retry inside it, and
stream through one class. What differs between them is what goes over the wire: a subclass reads that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Final

from spantally.calls.exceptions import note_exception
from spantally.calls.operation import Operation
from spantally.ground import semconv
from spantally.ground.cancelling import is_cancellation
from spantally.ground.guard import swallowed
from spantally.ground.records import Kind, Status, UsageFormat
from spantally.ground.worker import worker
from spantally.instrumentors.stainless import estimate, keys, retries
from spantally.instrumentors.stainless.capture import Capture
from spantally.instrumentors.stainless.wire import errors
from spantally.instrumentors.stainless.wire.sse import SseScanner

MAX_PARSED_BODY: Final = 262_144
"""Largest buffered body, in bytes, that is parsed again for its facts; beyond, the SDK's object is read."""

MAX_DEFERRED_BODY: Final = 16_384
"""Largest body, in bytes, that waits for the worker unread."""

MAX_EVENTS_BODY: Final = 8 * 1024 * 1024
"""Largest buffered body of events, in bytes, that is read (speech that came as events at once)."""


MAX_LATE_BODY: Final = 16 * 1024 * 1024
"""Largest buffered body, in bytes, that the worker parses where the SDK's object tells nothing."""


_NO: Final[Any] = (False,) * 11
_NONE: Final[Any] = (None,) * 10


class SdkCall:
    """The shell's view of one logical call: its operation, and what was read of it so far.

    It holds no reference to the client, the response or the stream, so that it keeps none of them alive.
    """

    __slots__ = (
        "answered",
        "capture",
        "choices",
        "counted",
        "error_type",
        "estimated_input",
        "facts_read",
        "goes_on",
        "has_middleware",
        "hides_usage",
        "key_is_given",
        "large",
        "left",
        "lost_attempts",
        "newest_piece",
        "operation",
        "options",
        "reads_at_once",
        "refused",
        "stream_facts",
        "streaming",
        "successor",
        "unread",
        "wants_tools",
        "watched",
        "watcher",
        "wire",
    )

    file_api: ClassVar[str]
    """The API whose answers are files of results."""

    operation: Operation
    wire: Any
    """What kind of operation it is, by the SDK's own table."""
    capture: Capture | None
    streaming: bool
    """True once the body outlives ``request()``: the end then is the stream's or the response's."""
    unread: bytes | None
    """A body whose facts the worker reads."""
    large: bytes | None
    """A body that is too long to be parsed again on the program's thread."""
    choices: int
    wants_tools: bool
    reads_at_once: bool
    """True for a call that has reserved something: what it used is known before the next one asks."""
    counted: dict[str, int] | None
    """What is billed of the request by itself, where the answer reports no usage."""
    error_type: str | None
    """What a complete body says of its own failure."""
    refused: bool
    """True where that is of a kind that stands for a rejection."""
    watched: bool
    """True once a watched Stream object of the SDK is read: it then tells the end, not the bytes."""
    facts_read: bool
    watcher: Callable[[], Any] | None
    """Weak reference to the watched iterator."""
    stream_facts: Any
    """What reads the chunks of a stream, and what they told."""
    options: Any
    """Changed options to send instead of the program's, where a policy asks for it."""
    hides_usage: bool
    """True where the chunk with the usage came only because we asked for it."""
    estimated_input: int | None
    """Tokens of the request by estimate, where the policy is to estimate."""
    lost_attempts: int
    """Attempts that were sent, ended without an answer, and were made again."""
    newest_piece: bytes | None
    """What came last of a stream that a Stream object reads: it may hold more than was read."""
    left: bool
    """True once the stream was left early, also while the worker has yet to end the operation."""
    key_is_given: bool
    """True where a function of the program gave the key, so that only the request has it."""
    goes_on: bool
    """True where the request ends and the provider's work does not."""
    has_middleware: bool
    """True where the client has functions that stand around each request."""
    answered: bool
    """True once an answer has come by."""
    successor: SdkCall | None
    """The call of the next answer within the same ``request()``."""

    def __init__(self, operation: Operation, wire: Any, capture: Capture | None) -> None:
        self.operation = operation
        self.wire = wire
        self.capture = capture
        self.choices = 1
        self.wants_tools = True
        self.lost_attempts = 0
        # By the handful: it is done for each call.
        (
            self.streaming,
            self.reads_at_once,
            self.refused,
            self.watched,
            self.facts_read,
            self.hides_usage,
            self.left,
            self.key_is_given,
            self.goes_on,
            self.has_middleware,
            self.answered,
        ) = _NO
        (
            self.unread,
            self.large,
            self.counted,
            self.error_type,
            self.watcher,
            self.stream_facts,
            self.options,
            self.estimated_input,
            self.newest_piece,
            self.successor,
        ) = _NONE

    def latest(self) -> SdkCall:
        """The call of the newest answer within the same ``request()``."""
        call = self
        while call.successor is not None:
            call = call.successor
        return call

    # -- what the SDK's own call tells -----------------------------------------------------------------

    def head_facts(self, raw: Any) -> tuple[bytes, dict[str, Any]]:
        """The content type, in lower case, and the rate limits of a response's headers."""
        raise NotImplementedError

    def read_body(self, body: Any, *, owned: bool = False) -> None:
        """Take the facts of a response body, a mapping or the SDK's own object.

        Args:
            body: what it is read from.
            owned: True for JSON that nobody else holds.
        """
        raise NotImplementedError

    def take(self, facts: Any) -> None:
        """Put the facts onto the operation."""
        raise NotImplementedError

    def new_stream_facts(self) -> Any:
        """What reads the chunks of this call's stream."""
        raise NotImplementedError

    def joined_facts(self, facts: Any, unread: Any) -> Any:
        """The facts of a stream that was not read to its end, with those of the rest of it.

        Args:
            facts: what was read.
            unread: what its last piece tells, the usage too.
        """
        return facts

    def output_messages(self, source: Any) -> Any:
        """The answer as messages, from a body or from what a stream told."""
        raise NotImplementedError

    def read_file(self, body: bytes) -> None:
        """Read a file of results that is in memory as a whole."""
        raise NotImplementedError

    def file_lines(self, content_encoding: str | None) -> Any:
        """What reads a file of results piece by piece."""
        raise NotImplementedError

    def is_extra(self, chunk: Any) -> bool:
        """True for the chunk that came because we asked for it."""
        return False

    def last_event(self, error: BaseException) -> Any:
        """The event that told of an error, which no chunk came of."""
        return None

    def expect_end(self) -> None:
        """The request is over and the provider's work is not."""

    def may_be_read_later(self, body: bytes) -> bool:
        """True where nobody needs the facts before the worker can read them."""
        return False

    def read_long(self, body: bytes) -> bool:
        """Read what can be told of a long body without parsing it; False where nothing can."""
        return False

    # -- facts ---------------------------------------------------------------------------------------

    def read_response_head(self, http_response: Any, retries: int) -> bytes:
        """Note what the head of the final response says; returns its content type."""
        self.operation.attempts = retries + 1
        if self.key_is_given:
            self._learn_key(http_response)
        kind, limits = self.head_facts(http_response.headers.raw)
        if limits:
            self.operation.end_attributes.update(limits)
        return kind

    def _learn_key(self, http_message: Any) -> None:
        """Where a function of the program gave the key, it is known by what was sent."""
        try:
            request = getattr(http_message, "request", None)
            if request is not None:  # it failed before there was one, as where a token cannot be fetched
                keys.remember_sent(request)
        except Exception as error:
            swallowed("sdk.key", error)

    def note_retry(self, retries_taken: int, http_response: Any) -> None:
        """An attempt failed, and the SDK will make it again."""
        if retries.note_failed_attempt(self, retries_taken, http_response):
            self.lost_attempts += 1
            if self.operation.price_context is not None:
                self.operation.price_context["lost_attempts"] = self.lost_attempts

    def read_buffered(self, http_response: Any, kind: bytes) -> None:
        """Read the facts of a body the SDK has read already: usage is safe even if parsing then fails."""
        if int(http_response.status_code) >= 400:
            return
        body: bytes = http_response.content
        if self.wire.api == self.file_api:
            self.read_file(body)
            return
        if b"json" not in kind and body[:64].lstrip()[:1] != b"{":  # some servers say nothing of JSON
            if b"event-stream" in kind:
                self._read_events(body)
            return
        # A recording span wants the facts before it ends.
        if (
            self.operation.mark is None
            and len(body) <= MAX_DEFERRED_BODY
            and not self.reads_at_once
            and self.may_be_read_later(body)
        ):
            self.unread = body
        elif len(body) <= MAX_PARSED_BODY:
            self.read_body(parsed(body), owned=True)
        elif not self.read_long(body) and len(body) <= MAX_LATE_BODY:
            self.large = body

    def _read_unread(self, error_type: str | None = None) -> None:
        """Read the body that was put off, on the worker (or on whoever asks for totals)."""
        body, self.unread = self.unread, None
        if body is not None:
            self.read_body(parsed(body), owned=True)
            if self.capture is not None:
                self.capture.finish(self.operation, error_type)

    def _read_events(self, body: bytes) -> None:
        """Read events that came as one whole body."""
        if len(body) <= MAX_EVENTS_BODY:
            self.stream_facts = self.new_stream_facts()
            scanner = SseScanner(self.stream_facts.observe)
            scanner.feed(body)
            scanner.close()
            self._take_stream_facts()

    @property
    def collects(self) -> bool:
        """True where the texts of a stream are wanted."""
        return self.estimated_input is not None or (self.capture is not None and self.capture.content)

    def reasons(self) -> tuple[str, ...]:
        """Why the model stopped, one for each message."""
        reasons: tuple[str, ...] = self.operation.end_attributes.get(semconv.RESPONSE_FINISH_REASONS, ())
        return reasons

    def estimate_from(self, body: Any) -> None:
        """Estimate what a whole answer leaves open; one that reports a failure has nothing to be counted."""
        if self.estimated_input is not None and body is not None and self.error_type is None:
            self._estimate(self.output_messages(body))

    def _estimate(self, messages: Any) -> None:
        """Put an estimate in the place of a usage that nobody reported."""
        target = self.operation
        if self.estimated_input is None or target.usage is not None or self.goes_on:
            return
        target.usage = estimate.parts(self.estimated_input, estimate.output_tokens(messages))
        target.usage_format = UsageFormat.PARTS
        target.estimated = True
        target.end_attributes[semconv.USAGE] = json.dumps(target.usage)

    # -- ends ----------------------------------------------------------------------------------------

    def succeeded(self, result: Any) -> None:
        """``request()`` returned a complete body."""
        if self.large is not None:
            if not self.facts_read and getattr(result, "usage", None) is None:
                self.unread = self.large  # a raw response tells nothing by itself
            self.large = None
        if self.unread is not None:
            if self.lost_attempts:
                self.operation.possibly_billed = True
            self.operation.finish_later(prepare=self._read_unread)
            if not worker.running:
                worker.start()  # noting an end starts nothing, since finalisers do it too
            return
        try:
            if not self.facts_read and self.wire.api != self.file_api:
                self.read_body(result)
        except Exception as error:
            swallowed("sdk.result", error)
        if self.error_type is None and not self.goes_on and self.capture is None and not self.lost_attempts:
            self.operation.finish()  # the usual end, by the shortest way
        else:
            self._finish_read()

    def failed(self, error: BaseException) -> None:
        """``request()`` or the iteration of its stream raised ``error``, which goes on to the program."""
        if self.left:
            return  # what an event loop throws into a stream that it finds when it closes is no end
        had_begun = self._had_begun()
        if self.stream_facts is not None:
            self._take_last_event(self.stream_facts, error)
        self._take_stream_facts(broken_off=True)
        target = self.operation
        if target.usage is None and self.wire.kind is not Kind.OTHER:
            target.possibly_billed = self._may_be_billed(error, had_begun=had_begun)
        self._note_missing_reasons()
        self._take_error_head(error)
        cancelled = isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)) or is_cancellation(
            error
        )
        status, error_type = Status.CANCELLED if cancelled else Status.ERROR, errors.error_type_of(error)
        if (self.large is not None or self.unread is not None) and not self.facts_read:
            self._fail_later(status, error, error_type)
        else:
            self._finish(status, error=error, error_type=error_type)

    def _fail_later(self, status: str, error: BaseException, error_type: str) -> None:
        """The SDK fails at a whole answer that nobody has read yet: the worker reads what it used."""
        if self.unread is None:
            self.unread, self.large = self.large, None
        target = self.operation

        def prepare() -> None:
            self._read_unread(error_type)
            lost = self.lost_attempts > 0
            target.possibly_billed = lost or (target.usage is None and target.possibly_billed)

        note_exception(target, error)
        # Only a span tells its message; what its frames hold is not kept for anything else.
        told = None if target.mark is None else error
        target.finish_later(prepare=prepare, status=status, error=told, error_type=error_type)
        if not worker.running:
            worker.start()

    def _had_begun(self) -> bool:
        """True where something of an answer came: what says of itself that it failed may be billed so far."""
        return self.stream_facts is not None and self.stream_facts.begun

    def _may_be_billed(self, error: BaseException, *, had_begun: bool) -> bool:
        """Whether a call that failed without usage may be billed: see docs/decisions/0005."""
        if errors.is_rejection(error):
            return False
        # A websocket has no answer of its own to each request.
        if not (self.answered or self.streaming):
            return errors.was_sent(error) or had_begun or self.operation.response_id is not None
        return had_begun or not errors.told_refusal(error)

    def _note_missing_reasons(self) -> None:
        """A generation that failed or was broken off before anything of it came has the reason ``error``."""
        if self.wire.kind is Kind.INFERENCE:
            reasons = ("error",) * self.choices
            self.operation.end_attributes.setdefault(semconv.RESPONSE_FINISH_REASONS, reasons)

    def _take_last_event(self, stream_facts: Any, error: BaseException) -> None:
        """The event that told of the error, which no chunk came of; it may hold the usage."""
        try:
            event = self.last_event(error)
            if event is not None:
                stream_facts.observe(event)
        except Exception as failure:
            swallowed("sdk.last_event", failure)

    def _take_error_head(self, error: BaseException) -> None:
        """Rate limits of the answer that refused, and what was refused; the SDK's exception has both."""
        if self.key_is_given:
            self._learn_key(error)
        http_response = getattr(error, "response", None)
        if http_response is not None:
            try:
                self.operation.end_attributes.update(self.head_facts(http_response.headers.raw)[1])
            except Exception as failure:
                swallowed("sdk.error_head", failure)

    def exhausted(self) -> None:
        """The stream was read to its end."""
        if self.left:
            return
        self._take_stream_facts()
        self._finish_read()

    def _finish_read(self) -> None:
        """The whole answer was read; it may itself say that it failed."""
        if self.error_type is not None:
            target = self.operation
            if target.usage is None and self.wire.kind is not Kind.OTHER:
                target.possibly_billed = self._had_begun() or not self.refused
            self._note_missing_reasons()
            self._finish(Status.ERROR, error_type=self.error_type)
        elif self.goes_on:
            self._finish(Status.RUNNING)
            self.expect_end()
        else:
            self._finish(Status.OK)

    def left_early(self) -> None:
        """The stream was broken off, closed or collected: noted here, ended by the worker.

        Safe in a finaliser. Its status stays unset and it is marked abandoned.
        """
        self.left = True
        self.operation.finish_later(abandoned=True, prepare=self._prepare_abandoned)

    def _prepare_abandoned(self) -> None:
        self._take_stream_facts(broken_off=True)
        self._note_missing_reasons()
        if self.operation.usage is None and self.wire.kind is not Kind.OTHER:
            self.operation.possibly_billed = True
        if self.capture is not None:
            self.capture.finish(self.operation)

    def _take_stream_facts(self, *, broken_off: bool = False) -> None:
        stream_facts = self.stream_facts
        if stream_facts is None or self.facts_read:
            return
        try:
            facts = stream_facts.facts()
            if broken_off and self.newest_piece is not None:
                facts = self._with_unread(facts, self.newest_piece)
            self.take(facts)
            if self.capture is not None:
                self.capture.take_output(self.wire, stream_facts, self.reasons())
            if self.estimated_input is not None:
                self._estimate(self.output_messages(stream_facts))
            self.tell_first_chunk()
        except Exception as error:
            swallowed("sdk.stream_facts", error)

    def _with_unread(self, facts: Any, piece: bytes) -> Any:
        """Facts of a stream that broke off, with what had arrived by then and nobody has read.

        The last events of a stream often come together, and a program may stop at the first of them (a finish
        reason, a text that the SDK cannot parse): what was used is known all the same.
        """
        try:
            unread = self.new_stream_facts()
            scanner = SseScanner(unread.observe)
            scanner.feed(piece)
            scanner.close()
            told = unread.facts()
            return facts if told.usage is None else self.joined_facts(facts, told)
        except Exception as error:
            swallowed("sdk.unread", error)
            return facts

    def tell_first_chunk(self) -> None:
        """Put the time to the first chunk where the span has it."""
        first = self.operation.first_chunk_ns
        if first is not None:
            self.operation.end_attributes[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = first / 1e9

    def _finish(self, status: str, **outcome: Any) -> None:
        if self.lost_attempts:
            self.operation.possibly_billed = True
        if self.capture is not None and not self.operation.ended:
            try:
                self.capture.finish(self.operation, outcome.get("error_type"))
            except Exception as error:
                swallowed("sdk.capture", error)
        if "error" in outcome:
            note_exception(self.operation, outcome["error"])
        self.operation.finish(status, **outcome)


def parsed(body: bytes) -> Any:
    """A JSON body, by the parser that the SDK's models have brought along where that is there.

    None where it is no JSON: that is the provider's fault, or the program's, and no failure of ours.
    """
    core = sys.modules.get("pydantic_core")
    if core is not None:
        try:
            return core.from_json(body, cache_strings="keys")
        except Exception:
            pass  # stricter than the standard library in some corners
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
