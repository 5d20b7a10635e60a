"""What flows from the calls to the ledger: frozen records of plain values.

Records carry the *raw* usage object of the provider, so that nobody upstream of the ledger needs to
know a price. They are named tuples because one is made on the caller's thread for each call: a frozen
dataclass of this width costs seven times as much to build.

Times are UNIX nanoseconds, durations nanoseconds, unless a name says otherwise.
"""

# Annotations are not postponed: making a named tuple compiles each that is a text, 25 µs a field.

import enum
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeAlias


class Kind(enum.StrEnum):
    """What a row is. Only ``INFERENCE`` and ``EMBEDDINGS`` (and billed others) count as calls."""

    INFERENCE = "inference"
    EMBEDDINGS = "embeddings"
    RETRIEVAL = "retrieval"
    MEMORY = "memory"
    TOOL = "tool"
    AGENT = "agent"
    WORKFLOW = "workflow"
    OTHER = "other"


COUNTED_KINDS: Final = frozenset({Kind.INFERENCE, Kind.EMBEDDINGS})
"""Kinds of model operations: they carry cost, agents, tools and workflows only aggregate it.

A tool that is paid for carries what its program says that it cost (:func:`is_paid`), and is no call.
"""


class Status(enum.StrEnum):
    """How a call stands. ``INTERRUPTED``: its process ended before the call did."""

    RUNNING = "running"
    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class SessionStatus(enum.StrEnum):
    """How a session stands. ``ABANDONED``: its process ended without finishing it."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


class Precedence(enum.IntEnum):
    """Who saw the call: on conflict the higher wins, field by field."""

    INFERRED = 5
    """Read from the messages of a later request (a tool result); no duration."""
    FOREIGN = 10
    """A span of somebody else's instrumentor."""
    NATIVE = 20
    """A span that the SDK, or one of our own instrumentors, made by itself."""
    METERED = 30
    """Metered at the source by our instrumentor."""


class UsageFormat(enum.StrEnum):
    """How the raw usage of a record is to be read."""

    OPENAI_CHAT = "openai.chat"
    """``prompt_tokens`` ... of chat completions, completions and embeddings."""
    OPENAI_RESPONSES = "openai.responses"
    """``input_tokens`` ... of the Responses API."""
    SEMCONV = "semconv"
    """``gen_ai.usage.*`` names without the prefix, input inclusive of cached tokens."""
    PARTS = "parts"
    """Already normalised parts, as ``spantally.usage`` carries them."""
    ANTHROPIC = "anthropic"
    """Of the Messages API, cached tokens outside ``input_tokens``."""
    GEMINI = "gemini"
    """``usageMetadata`` of Gemini, thoughts outside the candidates' count."""
    BEDROCK = "bedrock"
    """``inputTokens`` ... of Converse, cached tokens outside."""
    COHERE = "cohere"
    """``usage`` or ``meta`` of Cohere, with ``billed_units``."""
    RECORDED = "recorded"
    """What a program says itself: parts, those that it does not know left out; ``cost_nano_usd`` where it
    knows the cost."""


class CallRecord(NamedTuple):
    """One operation that ended (or, with status running, began): a model call, tool, agent or workflow."""

    call_id: str
    session_id: str
    kind: str
    operation: str
    """``gen_ai.operation.name``: chat, embeddings, execute_tool, invoke_agent, ..."""
    start_ns: int
    end_ns: int | None = None
    status: str = Status.OK
    precedence: int = Precedence.METERED
    parent_call_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    implicit_session: bool = False
    session_name: str | None = None
    conversation_id: str | None = None
    user_id: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    """Effective tags, sorted by key."""
    name: str | None = None
    """Name of the agent, tool or workflow; None for a model call."""
    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    first_chunk_ns: int | None = None
    """From the start of the request to the first chunk of a stream."""
    error_type: str | None = None
    abandoned: bool = False
    attempts: int = 1
    possibly_billed: bool = False
    """The request was sent and ended without usage (timeout, cancel, lost connection, server error)."""
    usage: Mapping[str, Any] | None = None
    """The provider's usage object as it came, or None when there was none."""
    usage_format: str | None = None
    price_context: Mapping[str, Any] | None = None
    """Facts that choose a rate: service_tier, batch, geography, server_address, api."""
    estimated: bool = False
    agent_path: tuple[str, ...] = ()
    """Names of the agents around the call, outermost first; an agent's own row includes itself."""
    run_id: str | None = None
    """Call id of the top-level agent invocation around the call."""
    tool: str | None = None
    """Innermost enclosing tool; a tool's own row has its own name."""
    turn: bool = False
    """A top-level agent invocation, or outside agents an inference whose newest message is the user's."""
    tool_call_id: str | None = None
    inferred: bool = False
    project: str | None = None
    """``service.name`` of the program."""
    scope_name: str | None = None
    """Name of the instrumentation scope that made the span: the response-id rule works across scopes only."""
    server_address: str | None = None
    server_port: int | None = None
    finish_reasons: tuple[str, ...] = ()
    """Why the model stopped, by choice (``gen_ai.response.finish_reasons``); empty where nobody said."""
    content: Mapping[str, Any] | None = None
    """What the ledger may keep, already redacted: input, output, arguments, result."""
    attributes: Mapping[str, Any] | None = None
    """Further redacted attributes worth keeping with the row."""
    process: str | None = None
    """``host:pid:start`` of who runs it, in a started mark; None in what somebody saw the end of."""


class Payable(Protocol):
    """A record, or an operation that is about to give one."""

    @property
    def kind(self) -> str:
        """A :class:`Kind`."""

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """What it used."""

    @property
    def usage_format(self) -> str | None:
        """How that is to be read."""


def is_paid(record: Payable) -> bool:
    """True for a tool whose program said what it cost: it adds to costs, and to no other count."""
    usage = record.usage
    return (
        usage is not None
        and record.kind == Kind.TOOL
        and record.usage_format == UsageFormat.RECORDED
        and "cost_nano_usd" in usage
    )


def is_mark(record: CallRecord) -> bool:
    """True for a started mark: its process says that the operation is open, and knows no more of it."""
    return record.process is not None and record.status == Status.RUNNING


def is_left_behind(record: CallRecord) -> bool:
    """True for what became of a started mark whose process ended, and that nobody saw the end of."""
    return record.process is not None and record.status != Status.RUNNING


def possibly_billed(record: Any) -> bool:
    """Whether something of the row may have been billed without anybody having seen its usage.

    That is the call itself, or an earlier attempt of it that was sent and lost.
    """
    if not record.possibly_billed:
        return False
    return record.usage is None or bool((record.price_context or {}).get("lost_attempts"))


class LateRecord(Protocol):
    """The record of a call, made when it is first asked for."""

    def record(self) -> CallRecord:
        """The record; the same object at every call."""


class LateEventRecord(Protocol):
    """The record of an event, made when it is first asked for."""

    def record(self) -> "EventRecord":
        """The record."""


def made(item: CallRecord | LateRecord) -> CallRecord:
    """The record itself, whether it is there already or not."""
    return item if isinstance(item, CallRecord) else item.record()


class SessionRecord(NamedTuple):
    """A session that began, changed or ended; later records of the same id complete earlier ones."""

    session_id: str
    start_ns: int
    end_ns: int | None = None
    # None where the record says nothing of how the session stands.
    status: str | None = SessionStatus.RUNNING
    name: str | None = None
    implicit: bool = False
    parent_id: str | None = None
    previous_id: str | None = None
    conversation_id: str | None = None
    user_id: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    project: str | None = None
    reason: str | None = None
    error_type: str | None = None
    process: str | None = None
    """``host:pid:start`` of the process that runs it, so that a reader can tell a dead one."""
    title: str | None = None
    """Free text; like all that follows redacted, and for the ledger only."""
    metadata: Mapping[str, Any] | None = None
    labels: tuple[str, ...] = ()
    metrics: Mapping[str, int | float] | None = None
    """What the program measured, by name."""
    input: Any = None
    output: Any = None
    reported: Mapping[str, int] | None = None
    """What the program says that the session used (``cost_nano_usd``, ``input_tokens``, ``output_tokens``);
    beside the tally."""


UNPLACED: Final = ""
"""Session of an evaluation of which only the call or the response is known: the ledger knows the session."""


class EventRecord(NamedTuple):
    """Something that happened at one moment inside a session; attributes are redacted."""

    event_id: str
    session_id: str
    type: str
    time_ns: int
    call_id: str | None = None
    agent_path: tuple[str, ...] = ()
    trace_id: str | None = None
    span_id: str | None = None
    attributes: Mapping[str, Any] | None = None


class LinkRecord(NamedTuple):
    """The parent of a span that is no GenAI operation, kept as long as ancestry needs it."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    end_ns: int


Record: TypeAlias = CallRecord | SessionRecord | EventRecord | LinkRecord
