"""What runs just now, and the line for each beginning, end and event; on the view's own thread alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from spantally.calls.operation import Operation
from spantally.console.lines import LONGEST_TEXT, Fact, line, took
from spantally.console.sums import Rate, Sums, cost_text
from spantally.ground import semconv
from spantally.ground.records import (
    COUNTED_KINDS,
    CallRecord,
    EventRecord,
    Kind,
    Precedence,
    SessionRecord,
    SessionStatus,
    Status,
    is_paid,
)

OFF, SUMMARY, FULL = "off", "summary", "full"

MOST_OPEN: Final = 4096
MOST_SESSIONS: Final = 1024
MOST_RESPONSES: Final = 1024

_WORDS: Final = {
    Kind.AGENT: "agent",
    Kind.TOOL: "tool",
    Kind.WORKFLOW: "workflow",
    Kind.RETRIEVAL: "retrieval",
}
_EVENT_FACTS: Final = (
    ("by", semconv.DECISION_BY),
    ("choice", semconv.DECISION_CHOICE),
    ("reasoning", semconv.DECISION_REASONING),
    ("alternatives", semconv.DECISION_ALTERNATIVE_COUNT),
    ("confidence", semconv.DECISION_CONFIDENCE),
    ("score", semconv.EVALUATION_SCORE_VALUE),
    ("label", semconv.EVALUATION_SCORE_LABEL),
    ("error", semconv.ERROR_TYPE),
)


class Open:
    """An operation that runs."""

    __slots__ = (
        "above",
        "agent",
        "began",
        "depth",
        "hidden",
        "name",
        "session_id",
        "streamed",
        "sums",
        "verbose",
        "what",
    )

    def __init__(self, operation: Operation, subject: str | None, streamed: bool, above: Open | None) -> None:
        scope = operation.scope
        self.above: Open | None = above
        self.session_id: str = scope.session.session_id
        self.depth: int = 0 if above is None else above.depth + 1
        self.what = _WORDS.get(operation.kind, operation.operation)  # type: ignore[call-overload]
        self.name = operation.name or subject
        self.agent: str | None = (
            operation.call_id if operation.kind == Kind.AGENT else None if above is None else above.agent
        )
        """Call id of the agent that it is, or is within: parallel agents are told apart by it."""
        self.streamed = streamed
        self.hidden = operation.hidden
        self.verbose: bool = above is not None and above.verbose
        self.began = False
        """Whether its beginning has a line."""
        self.sums = Sums()


class Seen:
    """A session that has a line, or whose calls are summed."""

    __slots__ = ("begun", "mode", "parent_id", "sums")

    def __init__(self) -> None:
        self.sums = Sums()
        self.mode: str | None = None
        self.parent_id: str | None = None
        self.begun = False


class Board:
    """Turns what happens into lines.

    Args:
        rate: prices a call without waiting.
        redact: takes secrets out of a text.
        write: takes each line.
    """

    def __init__(self, rate: Rate, redact: Callable[[str], str], write: Callable[[str], None]) -> None:
        self.mode = OFF
        self._rate = rate
        self._redact = redact
        self._write = write
        self._open: OrderedDict[str, Open] = OrderedDict()
        self._sessions: OrderedDict[str, Seen] = OrderedDict()
        self._responses: OrderedDict[str, None] = OrderedDict()

    # -- what happens --------------------------------------------------------------------------------

    def began(self, operation: Operation, subject: str | None, streamed: bool) -> None:
        """An operation has begun."""
        made = self._opened(operation, subject, streamed)
        if self._is_full(made) and not streamed:
            self._begin_line(made, operation.start_ns)

    def _opened(self, operation: Operation, subject: str | None, streamed: bool) -> Open:
        known = self._open.get(operation.call_id)
        if known is not None:
            return known
        around = operation.scope.call_id
        made = Open(operation, subject, streamed, None if around is None else self._open.get(around))
        parent = operation.scope.session.parent
        seen = self._session(made.session_id)
        if parent is not None and seen.parent_id is None:
            seen.parent_id = parent.session_id
        self._open[operation.call_id] = made
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)
        return made

    def verbose(self, operation: Operation) -> None:
        """All of an operation and what is beneath it is shown, whatever the mode."""
        made = self._opened(operation, operation.name, False)
        made.verbose = True
        if not made.began:
            self._begin_line(made, operation.start_ns)

    def session_mode(self, session_id: str, mode: str) -> None:
        """A session, and those beneath it, are shown in a mode of their own."""
        self._session(session_id).mode = mode

    def record(self, record: Any) -> None:
        """A record: of what has ended, of a session, of an event."""
        if isinstance(record, CallRecord):
            if record.status != Status.RUNNING:
                self._ended(record)
        elif isinstance(record, SessionRecord):
            self._told(record)
        elif isinstance(record, EventRecord):
            self._happened(record)

    # -- calls, agents, tools --------------------------------------------------------------------------

    def _ended(self, record: CallRecord) -> None:
        made = self._open.pop(record.call_id, None)
        around = record.parent_call_id
        above = made.above if made is not None else None if around is None else self._open.get(around)
        if record.precedence < Precedence.METERED and self._is_told_twice(record):
            return
        rating = None
        if record.kind in COUNTED_KINDS:
            rating = self._rate(record)
            self._note_response(record)
            self._add(record, rating, above)
        elif is_paid(record):
            rating = self._rate(record)
            self._pay(record, rating, above)
        if (made is not None and made.hidden) or not self._is_shown(record, made, above):
            return
        facts: list[Fact] = [
            (
                "status",
                "abandoned" if record.abandoned else None if record.status == Status.OK else record.status,
            ),
            ("error", None if record.error_type is None else self._redact(record.error_type)),
            ("took", took(None if record.end_ns is None else record.end_ns - record.start_ns)),
            ("first", took(record.first_chunk_ns)),
        ]
        if rating is not None:
            if rating.parts is not None:
                facts += [("in", rating.parts.input_total), ("out", rating.parts.output_total)]
            facts.append(("cost", cost_text(record, rating)))
        elif made is not None:
            facts += made.sums.facts(self._rate)
        name = record.name or record.response_model or record.request_model or (made.name if made else None)
        self._line(
            record.end_ns or record.start_ns,
            record.session_id,
            _agent_of(record, made, above),
            self._depth(record.session_id, made.depth if made else 0 if above is None else above.depth + 1),
            "<" if record.status == Status.OK else "!",
            _WORDS.get(record.kind, record.operation),  # type: ignore[call-overload]
            name,
            facts,
        )

    def _add(self, record: CallRecord, rating: Any, above: Open | None) -> None:
        while above is not None:
            above.sums.add(record, rating)
            above = above.above
        for seen in self._line_of(record.session_id):
            seen.sums.add(record, rating)

    def _pay(self, record: CallRecord, rating: Any, above: Open | None) -> None:
        while above is not None:
            above.sums.pay(rating)
            above = above.above
        for seen in self._line_of(record.session_id):
            seen.sums.pay(rating)

    def _is_told_twice(self, record: CallRecord) -> bool:
        return record.response_id is not None and record.response_id in self._responses

    def _note_response(self, record: CallRecord) -> None:
        if record.response_id is not None:
            self._responses[record.response_id] = None
            if len(self._responses) > MOST_RESPONSES:
                self._responses.popitem(last=False)

    def _is_full(self, made: Open) -> bool:
        return not made.hidden and (made.verbose or self._mode(made.session_id) == FULL)

    def _is_shown(self, record: CallRecord, made: Open | None, above: Open | None) -> bool:
        around = made or above
        if around is not None and around.verbose:
            return True
        mode = self._mode(record.session_id)
        if mode == SUMMARY:
            return record.kind == Kind.AGENT and len(record.agent_path) <= 1
        return mode == FULL

    def _begin_line(self, made: Open, ns: int) -> None:
        made.began = True
        depth = self._depth(made.session_id, made.depth)
        self._line(ns, made.session_id, made.agent, depth, ">", made.what, made.name, ())

    # -- sessions and events -----------------------------------------------------------------------------

    def _told(self, record: SessionRecord) -> None:
        if record.status is None:
            return  # more was said of it, not that it begins or ends
        seen = self._session(record.session_id)
        seen.parent_id = record.parent_id or seen.parent_id
        mode = self._mode(record.session_id)
        name = None if record.name is None else self._redact(record.name)
        if record.status == SessionStatus.RUNNING:
            if not seen.begun and mode == FULL:
                seen.begun = True
                self._line(
                    record.start_ns,
                    record.session_id,
                    None,
                    0,
                    ">",
                    "session",
                    record.session_id,
                    [("name", name)],
                )
            return
        self._sessions.pop(record.session_id, None)
        if mode not in (SUMMARY, FULL):
            return
        facts: list[Fact] = [
            ("name", name),
            ("status", record.status),
            ("error", None if record.error_type is None else self._redact(record.error_type)),
            ("took", took(None if record.end_ns is None else record.end_ns - record.start_ns)),
            *seen.sums.facts(self._rate),
        ]
        sign = "<" if record.status == SessionStatus.SUCCEEDED else "!"
        end = record.end_ns or record.start_ns
        self._line(end, record.session_id, None, 0, sign, "session", record.session_id, facts)

    def _happened(self, record: EventRecord) -> None:
        above = None if record.call_id is None else self._open.get(record.call_id)
        if not (above is not None and above.verbose) and self._mode(record.session_id) != FULL:
            return
        attributes = record.attributes or {}
        what, name = _event_words(record.type, attributes)
        facts = [
            (word, self._redact(value[:LONGEST_TEXT]) if isinstance(value, str) else value)
            for word, key in _EVENT_FACTS
            if isinstance(value := attributes.get(key), (str, int, float)) and value != ""
        ]
        depth = self._depth(record.session_id, 0 if above is None else above.depth + 1)
        agent = None if above is None else above.agent
        self._line(record.time_ns, record.session_id, agent, depth, "*", what, name, facts)

    # -- what they share ---------------------------------------------------------------------------------

    def _session(self, session_id: str) -> Seen:
        seen = self._sessions.get(session_id)
        if seen is None:
            seen = self._sessions[session_id] = Seen()
            if len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return seen

    def _line_of(self, session_id: str) -> list[Seen]:
        """The session and those above it."""
        found: list[Seen] = []
        wanted: str | None = session_id
        while wanted is not None and len(found) < 64:
            seen = self._session(wanted)
            if seen in found:
                break
            found.append(seen)
            wanted = seen.parent_id
        return found

    def _mode(self, session_id: str) -> str:
        for seen in self._line_of(session_id):
            if seen.mode is not None:
                return seen.mode
        return self.mode

    def _depth(self, session_id: str, depth: int) -> int:
        """Beneath the session's own line, where that has one."""
        return depth + 1 if self._mode(session_id) == FULL else depth

    def _line(
        self,
        ns: int,
        session_id: str,
        agent: str | None,
        depth: int,
        sign: str,
        what: str,
        name: str | None,
        facts: Any,
    ) -> None:
        safe = None if name is None else self._redact(name)
        self._write(line(ns, self._redact(session_id), agent, depth, sign, what, safe, facts))


def _agent_of(record: CallRecord, made: Open | None, above: Open | None) -> str | None:
    """Call id of the agent that a record is of, or is within, as far as it is known."""
    if made is not None:
        return made.agent
    if record.kind == Kind.AGENT:
        return record.call_id
    return above.agent if above is not None else record.run_id


def _event_words(kind: str, attributes: Any) -> tuple[str, str]:
    """What a line says of an event: decisions and evaluations by their word, others by their type."""
    if kind == semconv.EVENT_DECISION:
        return "decision", "-"
    if kind == semconv.EVENT_EVALUATION_RESULT:
        return "evaluation", str(attributes.get(semconv.EVALUATION_NAME) or "-")
    return "event", kind
