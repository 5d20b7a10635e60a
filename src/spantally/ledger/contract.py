"""The store contract: what any store of the ledger guarantees, and the rows it answers with.

A store is SQLite by default; any object that meets :class:`Store` can stand in its place. One conformance
suite in the tests runs against every store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from spantally.ground.cache_use import NO_CACHE, CacheUse
from spantally.ground.money import Rating, usd, usd_text
from spantally.ground.records import CallRecord, Record

Rater: TypeAlias = Callable[[CallRecord], Rating]
"""Prices a record. Answers with status ``pending`` while the price data is not loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which sessions or calls are meant; every field that is None or empty leaves all."""

    session_id: str | None = None
    conversation: str | None = None
    user: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    any_tag: bool = False
    """True: one of ``tags`` is enough; False: all must match."""
    labels: tuple[str, ...] = ()
    """Of sessions: all of these labels."""
    metadata: tuple[tuple[str, str], ...] = ()
    """Of sessions: all of these keys of the metadata, with these values as text."""
    agent: str | None = None
    """Name of an agent anywhere on the path."""
    model: str | None = None
    """Response or request model."""
    provider: str | None = None
    project: str | None = None
    status: str | None = None
    kind: str | None = None
    finish_reason: str | None = None
    """Of calls: one of the choices stopped for it."""
    since_ns: int | None = None
    """Sessions and calls that began at or after this UNIX time in nanoseconds."""
    until_ns: int | None = None
    """... and before this."""
    order_by: str | None = None
    """Name of a field, a leading ``-`` for descending; newest first by default."""
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRow:
    """What a session is doing: a call, agent, tool or workflow that has begun and not ended."""

    call_id: str
    session_id: str
    kind: str
    operation: str
    name: str | None
    model: str | None
    """The one that answers, else the one asked for."""
    process: str | None
    """``host:pid:start`` of who runs it; None of an answer that the provider works on by itself."""
    started_ns: int
    running_ms: float
    """For how long, at the moment of reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session with its totals (inclusive of its child sessions unless a name says own)."""

    session_id: str
    name: str | None
    implicit: bool
    parent_id: str | None
    previous_id: str | None
    """The session of the same conversation that this one goes on from, after a time of silence."""
    conversation_id: str | None
    user_id: str | None
    entity_type: str | None
    entity_id: str | None
    tags: Mapping[str, str]
    project: str | None
    status: str
    reason: str | None
    error_type: str | None
    agents: tuple[str, ...]
    """Names of agents seen, sorted."""
    models: tuple[str, ...]
    calls: int
    """Model operations that count; never tools, agents, workflows or second views of one."""
    turn_count: int
    errors: int
    """Rows of any kind that ended in error."""
    input_tokens: int
    output_tokens: int
    cache: CacheUse = NO_CACHE
    """Of the providers' prompt caches; inclusive."""
    cost_nano_usd: int | None
    """Inclusive, known part; None when calls were made and none of them has a cost."""
    own_cost_nano_usd: int | None
    unpriced_calls: int
    pending_calls: int
    possibly_billed_calls: int
    """Calls of which something may be billed without anybody having seen its usage."""
    lost_attempt_calls: int
    """Those of them that have usage: an earlier attempt was sent and lost. The others are unpriced."""
    started_ns: int
    ended_ns: int | None
    duration_ms: float | None
    last_ns: int = 0
    """Latest moment anything of the session is known to have happened, in UNIX nanoseconds."""
    title: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    metrics: Mapping[str, int | float] = field(default_factory=dict)
    """What the program measured, by name."""
    covered_calls: int = 0
    """Those of the unpriced calls that are paid otherwise, by a flat plan."""
    list_nano_usd: int = 0
    """What these would have cost by the rates of the list; no part of the cost."""
    reported: Mapping[str, int] = field(default_factory=dict)
    """What the program says that the session used: ``cost_nano_usd``, ``input_tokens``, ``output_tokens``.
    Beside the tally, never part of it."""
    input: Any = None
    """What the session was given, where the ledger may keep it; redacted."""
    output: Any = None
    running: tuple[OpenRow, ...] = ()
    """What runs now, by start; inclusive."""

    @property
    def total_cost(self) -> str | None:
        """Inclusive cost as a decimal string of US dollars."""
        return usd_text(self.cost_nano_usd)

    @property
    def cost_usd(self) -> Decimal | None:
        """Inclusive cost in US dollars, exact."""
        return usd(self.cost_nano_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One row: a model call, agent, tool or workflow."""

    call_id: str
    parent_call_id: str | None
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    session_id: str
    agent_path: tuple[str, ...]
    kind: str
    operation: str
    name: str | None
    provider: str | None
    model: str | None
    """Response model, else request model."""
    request_model: str | None
    response_model: str | None
    response_id: str | None
    status: str
    error_type: str | None
    abandoned: bool
    attempts: int
    possibly_billed: bool
    counted: bool
    """True if the row counts: a model operation that no other row covers or repeats."""
    precedence: int
    inferred: bool
    estimated: bool
    turn: bool
    run_id: str | None
    tool: str | None
    tool_call_id: str | None
    user_id: str | None
    entity_type: str | None
    entity_id: str | None
    tags: Mapping[str, str]
    project: str | None
    server_address: str | None
    server_port: int | None
    input_tokens: int | None
    output_tokens: int | None
    uncached_input: int | None
    cache_read: int | None
    cache_write_5m: int | None
    cache_write_1h: int | None
    reasoning: int | None
    audio_input: int | None
    audio_output: int | None
    image_input: int | None
    image_output: int | None
    cache_audio_read: int | None = None
    cache_reported: bool = False
    """True if the provider tells how much it read from its cache, be it nothing."""
    cache_saving_nano_usd: int | None = None
    """What cached input cost less than uncached would have."""
    cache_premium_nano_usd: int | None = None
    """What written input cost more than uncached would have."""
    cost_nano_usd: int | None
    cost_status: str | None
    """None for agents, tools and workflows, which have no cost of their own, unless a tool was paid for."""
    cost_source: str | None
    price_id: str | None
    started_ns: int
    ended_ns: int | None
    duration_ms: float | None
    time_to_first_chunk_ms: float | None
    content: Mapping[str, Any] | None = None
    list_nano_usd: int | None = None
    """What a covered call would have cost by the rates of the list; no part of the cost."""
    running_ms: float | None = None
    """For how long it has been running, at the moment of reading; None once it ended."""
    process: str | None = None
    """``host:pid:start`` of the process that runs it, or that ended while it ran."""
    finish_reasons: tuple[str, ...] = ()
    """Why the model stopped, by choice (``gen_ai.response.finish_reasons``); empty where nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """One group of ``cost --by``. Rows are disjoint: they sum to the total."""

    keys: Mapping[str, str | None]
    """Value of each grouping, by its name; None is the group of what has none."""
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache: CacheUse = NO_CACHE
    """Of the providers' prompt caches."""
    cost_nano_usd: int | None
    unpriced_calls: int
    pending_calls: int
    possibly_billed_calls: int
    """Calls of which something may be billed without anybody having seen its usage."""
    lost_attempt_calls: int
    """Those of them that have usage: an earlier attempt was sent and lost. The others are unpriced."""
    covered_calls: int = 0
    """Those of the unpriced calls that are paid otherwise, by a flat plan."""
    list_nano_usd: int = 0
    """What these would have cost by the rates of the list; no part of the cost."""

    @property
    def total_cost(self) -> str | None:
        """Cost as a decimal string of US dollars."""
        return usd_text(self.cost_nano_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something that happened at one moment: what the program told, or what a row says began or ended."""

    event_id: str
    session_id: str
    type: str
    """``spantally.decision``, ``gen_ai.evaluation.result``, ..."""
    time_ns: int
    """UNIX time in nanoseconds."""
    call_id: str | None
    """The innermost agent, tool or call around it."""
    agent_path: tuple[str, ...]
    """Names of the agents around it, outermost first."""
    trace_id: str | None
    span_id: str | None
    attributes: Mapping[str, Any]
    """Redacted."""
    derived: bool = False
    """True of what is read from a row of a call, agent, tool or workflow; it is stored as that row alone."""


class Unpriced(NamedTuple):
    """Calls of one model at one place whose cost stands alike, without a rate for all or a part of it."""

    provider: str | None
    host: str | None
    model: str | None
    """The one that answered, else the one asked for."""
    status: str
    has_output: bool
    """Whether they tell of output; calls that do and that do not are apart."""
    calls: int
    input_tokens: int
    output_tokens: int
    last_ns: int
    """When the latest of them began, UNIX nanoseconds."""


class Target(NamedTuple):
    """The row that an evaluation is of, by the fields of an event."""

    call_id: str | None
    """None of a session as a whole."""
    session_id: str
    trace_id: str | None
    span_id: str | None
    agent_path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The state of a store, for ``doctor``."""

    target: str
    ok: bool
    detail: str
    schema_version: int | None = None
    sessions: int | None = None
    calls: int | None = None
    pending: int | None = None
    quarantined: int | None = None
    warnings: tuple[str, ...] = field(default=())


@runtime_checkable
class Store(Protocol):
    """What keeps the rows.

    Guarantees: :meth:`write` is one transaction (rows and rollups together), durable when it returns,
    idempotent by call id and, for foreign rows, by trace and span id; writing the same records again, or
    in another order, leaves the same totals. A record that cannot be stored is quarantined and counted;
    it never keeps the others out. Reading works while others write. All methods may be called from
    any thread.

    A store whose ``keeps_marks`` is true is also given started marks: running records with a ``process``.
    They count in no sum, and nothing of them is left once another record of the same call id was written,
    before or after. Those of processes that are gone become interrupted calls with :meth:`settle`.
    """

    def write(self, records: Sequence[Record], rate: Rater) -> None:
        """Store records with their cost.

        Raises:
            LedgerError: when nothing could be stored (full disk, locked file); the caller keeps the records.
        """

    def settle(self, rate: Rater, limit: int = 500) -> int:
        """Rate rows that are still pending, up to ``limit``, each with its rollups in one transaction.

        Returns:
            How many rows are rated now and were not before.
        """

    def sessions(self, where: Filter) -> list[SessionRow]:
        """Sessions, newest first by default."""

    def calls(self, where: Filter) -> list[CallRow]:
        """Rows of calls, agents, tools and workflows, oldest first by default."""

    def cost(self, by: Sequence[str], where: Filter, tz: str) -> list[CostRow]:
        """Own cost in groups.

        Args:
            by: one or more of session, run, agent, model, provider, user, entity, ``tag:K``, tool, project,
                trace, day, week (ISO, Monday first), month.
            where: which calls.
            tz: an IANA name, or the POSIX rule that the machine's zone is; days, weeks and months are
                those of that zone.
        """

    def health(self) -> Health:
        """How the store is."""

    def close(self) -> None:
        """Let go of connections; the store opens them again when it is used again."""
