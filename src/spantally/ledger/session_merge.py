"""Merging what is said of one session, by its own records and by the calls in it, in any order.

What a session record says beats what a call implies. Among session records the later moment wins (an end
is later than the beginning it ends; the project is that of the first), among calls the earliest call; None
never wins. As with calls, each field takes a maximum, so that order and repetition have no effect.
"""

from __future__ import annotations

import json
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from spantally.ground.records import CallRecord, SessionRecord, SessionStatus
from spantally.ledger.merge import canonical

Fact: TypeAlias = list[Any]
"""``[level, key, value]``: level 1 is said by the session, 0 implied by a call."""

_FROM_SESSION: Final = (
    "name",
    "implicit",
    "parent_id",
    "previous_id",
    "conversation_id",
    "user_id",
    "tags",
    "project",
    "process",
    "title",
    "metadata",
    "labels",
    "metrics",
    "input",
    "output",
    "reported",
)
_SAID: Final = ("title", "metadata", "labels", "metrics", "input", "output", "reported")
_FROM_CALL: Final = (
    ("name", "session_name"),
    ("implicit", "implicit_session"),
    ("conversation_id", "conversation_id"),
    ("user_id", "user_id"),
    ("tags", "tags"),
    ("project", "project"),
)
_call_values: Final = itemgetter(
    *(CallRecord._fields.index(source) for _, source in _FROM_CALL),
    *map(CallRecord._fields.index, ("entity_type", "entity_id")),
)


_TIMES: Final = '},"last":'
_START: Final = ',"start":'
MOST_READ: Final = 512
LONGEST_READ: Final = 4096
_read: Final[dict[str, dict[str, Fact]]] = {}
"""Facts by the text that they were read from; nobody changes one in place."""


def _facts_of(text: str) -> dict[str, Fact]:
    found = _read.get(text)
    if found is None:
        found = json.loads(text + "}}")["facts"]
        if len(text) <= LONGEST_READ:
            if len(_read) >= MOST_READ:
                _read.clear()
            _read[text] = found
    return found


class SessionView(NamedTuple):
    """What the facts add up to: the columns of the session's row."""

    name: str | None
    implicit: bool
    parent_id: str | None
    previous_id: str | None
    conversation_id: str | None
    user_id: str | None
    entity_type: str | None
    entity_id: str | None
    tags: str | None
    """A JSON object of text to text, or None."""
    project: str | None
    status: str | None
    """None while only calls are known."""
    reason: str | None
    error_type: str | None
    process: str | None
    started_ns: int
    ended_ns: int | None
    last_ns: int
    """Latest moment anything of the session is known to have happened."""
    declared: bool
    """True once a record of the session itself came."""
    said: str | None
    """A JSON object of what the program said of it: title, metadata, labels, metrics, input, output,
    reported."""


class SessionFacts:
    """The facts of one session, growing only.

    Most calls tell nothing new of their session but that it lasted longer. So what was read is kept by its
    text, shared by all who read the same, and copied by who adds to it; and only what changed is made a text
    again.
    """

    __slots__ = ("_implied", "_implied_at", "_text", "changed", "facts", "last", "start", "told")

    def __init__(self, text: str | None = None) -> None:
        # What dump() wrote ends with the times, and no text before them can hold what divides the two:
        # inside a JSON text each quote has a backslash before it.
        self._text, divider, times = (text or "").rpartition(_TIMES)
        self.start: int | None
        self.last: int | None
        last, _, start = times.partition(_START)
        if divider and last.isdigit() and start[-1:] == "}" and start[:-1].isdigit():
            self.last, self.start = int(last), int(start[:-1])
            self.facts = _facts_of(self._text)
        else:
            loaded: dict[str, Any] = json.loads(text) if text else {}
            self._text = ""
            self.facts = loaded.get("facts", {})
            self.start, self.last = loaded.get("start"), loaded.get("last")
        self._implied: tuple[Any, ...] | None = None
        self._implied_at = 0
        """What a call has implied, and when it began: nearly all calls of a batch imply the same."""
        self.changed = False
        self.told = False
        """True where more changed than the times."""

    def dump(self) -> str:
        """The facts as canonical JSON."""
        if self._text and not self.told:
            return f"{self._text}{_TIMES}{self.last}{_START}{self.start}}}"
        return json.dumps(
            {"facts": self.facts, "start": self.start, "last": self.last},
            sort_keys=True,
            separators=(",", ":"),
        )

    def is_only_longer(self) -> bool:
        """Whether nothing of the row is another but when the session began, and when it was last heard of."""
        return bool(self._text and not self.told and self.start and self.last)

    def add_session(self, record: SessionRecord) -> None:
        """Take in a record of the session itself."""
        moment = max(record.start_ns, record.end_ns or 0)
        # At one moment the end comes after the beginning.
        key = moment * 2 + (record.status not in (None, SessionStatus.RUNNING))
        if record.status is None:
            # Told from outside: that it was told now says nothing of when the session was.
            self._offer("told_at", 0, -record.start_ns, record.start_ns)
        else:
            self._span(record.start_ns, moment)
            state = [str(record.status), record.end_ns, record.reason, record.error_type]
            self._offer("state", 1, key, state)
        for name in _FROM_SESSION:
            value = getattr(record, name)
            if name == "tags":
                value = dict(value) or None
            if name == "project":
                # A service that is called later tells of the session too: it is of who began it.
                if value is not None:
                    self._offer(name, 1, -record.start_ns, value)
            elif value is not None and value != ():
                self._offer(name, 1, key, list(value) if name == "labels" else value)
        if record.entity_type is not None:
            self._offer("entity", 1, key, [record.entity_type, record.entity_id])

    def add_call(self, record: CallRecord) -> None:
        """Take in what a call implies of its session."""
        start = record.start_ns
        self._span(start, record.end_ns or start)
        values = _call_values(record)
        if values == self._implied and start >= self._implied_at:
            return  # as a call before it, which began earlier
        self._implied, self._implied_at = values, start
        facts = self.facts
        for (name, _), value in zip(_FROM_CALL, values, strict=False):
            if value is None or value == ():
                continue
            fact = facts.get(name)
            if fact is not None and (fact[0] == 1 or fact[1] > -start):
                continue
            self._offer(name, 0, -start, dict(value) if name == "tags" else value)
        if record.entity_type is not None:
            self._offer("entity", 0, -start, [record.entity_type, record.entity_id])

    def add_moment(self, moment: int) -> None:
        """Take in that something happened in the session."""
        self._span(moment, moment)

    def absorb(self, other: SessionFacts) -> None:
        """Take in what another ledger knows of the session."""
        for name, (level, key, value) in other.facts.items():
            self._offer(name, level, key, value)
        if other.start is not None:
            self._span(other.start, other.start if other.last is None else other.last)

    def _span(self, start: int, moment: int) -> None:
        if self.start is None or start < self.start:
            self.start = start
            self.changed = True
        if self.last is None or moment > self.last:
            self.last = moment
            self.changed = True

    def _offer(self, name: str, level: int, key: int, value: Any) -> None:
        fact = self.facts.get(name)
        if fact is not None:
            if (fact[0], fact[1]) > (level, key):
                return
            if (fact[0], fact[1]) == (level, key) and canonical(fact[2]) >= canonical(value):
                return
        self._set(name, [level, key, value])

    def put(self, name: str, value: Any) -> None:
        """Write another value where one stands, said by whom and when it was."""
        self._set(name, [*self.facts[name][:2], value])

    def _set(self, name: str, fact: Fact) -> None:
        self.facts = {**self.facts, name: fact}
        self.changed = self.told = True

    def _get(self, name: str) -> Any:
        fact = self.facts.get(name)
        return None if fact is None else fact[2]

    def view(self) -> SessionView:
        """The columns that these facts add up to."""
        state = self._get("state")
        status, ended, reason, error_type = state or (None, None, None, None)
        entity_type, entity_id = self._get("entity") or (None, None)
        tags = self._get("tags")
        said = {name: self.facts[name][2] for name in _SAID if name in self.facts}
        return SessionView(
            name=self._get("name"),
            implicit=bool(self._get("implicit")),
            parent_id=self._get("parent_id"),
            previous_id=self._get("previous_id"),
            conversation_id=self._get("conversation_id"),
            user_id=self._get("user_id"),
            entity_type=entity_type,
            entity_id=entity_id,
            tags=None if tags is None else json.dumps(tags, sort_keys=True),
            project=self._get("project"),
            status=status,
            reason=reason,
            error_type=error_type,
            process=self._get("process"),
            started_ns=self.start or self._get("told_at") or 0,
            ended_ns=None if status == SessionStatus.RUNNING else ended,
            last_ns=self.last or self._get("told_at") or 0,
            declared=state is not None or self.facts.get("implicit", (0,))[0] == 1,
            said=json.dumps(said, sort_keys=True) if said else None,
        )
