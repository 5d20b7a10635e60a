"""Records as a ledger keeps them: names, ids and tags lose their secrets too, on the worker.

Content and attributes of a record are redacted where they are taken up. What names things (models, agents,
users, tags) is compared and summed in this process as it is, and only its way onto the disk leads through
here. The keys are those of the span's attributes, so that a ledger and a trace name a thing alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from spantally.calls import telemetry as telemetry_module
from spantally.calls.own_spans import generation_now, revision_of
from spantally.calls.telemetry import PlainRedactor, RedactorLike
from spantally.calls.tool_results import inferred_id
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import CallRecord, EventRecord, Record, SessionRecord

RedactorNow = Callable[[], RedactorLike | None]

WITHHELD: Final = "[REDACTED:error]"
MOST_KEPT: Final = 4096
LONGEST_KEPT: Final = 64
"""Clean names that are remembered, and how long they are at most: they repeat with every call."""

LONGEST_USAGE_NAME: Final = 36
"""Characters of the names of fields in usage objects, which are known words."""

_SESSION: Final = (
    ("session_id", semconv.SESSION_ID),
    ("conversation_id", semconv.CONVERSATION_ID),
    ("user_id", semconv.USER_ID),
    ("entity_type", semconv.ENTITY_TYPE),
    ("entity_id", semconv.ENTITY_ID),
    ("tags", semconv.TAG_PREFIX),
    ("project", semconv.SERVICE_NAME),
    ("error_type", semconv.ERROR_TYPE),
)
_FIELDS: Final[dict[type, tuple[tuple[str, str], ...]]] = {
    CallRecord: (
        *_SESSION,
        ("session_name", "session.name"),
        ("operation", semconv.OPERATION_NAME),
        ("name", semconv.AGENT_NAME),
        ("provider", semconv.PROVIDER_NAME),
        ("request_model", semconv.REQUEST_MODEL),
        ("response_model", semconv.RESPONSE_MODEL),
        ("response_id", semconv.RESPONSE_ID),
        ("agent_path", semconv.AGENT_NAME),
        ("tool", semconv.TOOL_NAME),
        ("tool_call_id", semconv.TOOL_CALL_ID),
        ("scope_name", "otel.scope.name"),
        ("server_address", semconv.SERVER_ADDRESS),
        ("finish_reasons", semconv.RESPONSE_FINISH_REASONS),
    ),
    SessionRecord: (
        *_SESSION,
        ("name", "session.name"),
        ("parent_id", semconv.SESSION_ID),
        ("previous_id", semconv.SESSION_ID),
        ("reason", "reason"),
    ),
    EventRecord: (
        ("session_id", semconv.SESSION_ID),
        ("type", "event.name"),
        ("agent_path", semconv.AGENT_NAME),
    ),
}
"""Field and key, by record."""

_PLACES: Final = {
    kind: tuple((kind._fields.index(name), name, key) for name, key in fields)  # type: ignore[attr-defined]
    for kind, fields in _FIELDS.items()
}
"""The same with the place of the field: a record is a tuple."""

_REPEATED: Final = tuple(one for one in _PLACES[CallRecord] if one[1] != "response_id")
_UNREPEATED: Final = tuple(one for one in _PLACES[CallRecord] if one[1] == "response_id")
"""What no two calls share."""
_repeated_of: Final = itemgetter(*(place for place, _, _ in _REPEATED))

_RESPONSE_ID: Final = CallRecord._fields.index("response_id")
_USAGE: Final = CallRecord._fields.index("usage")
_CONTEXT: Final = CallRecord._fields.index("price_context")

_IDS: Final = frozenset(
    {"session_id", "parent_id", "previous_id", "call_id", "parent_call_id", "run_id", "event_id"}
)
"""Where nothing can be scanned, these still tell one thing from another."""

_OWN_ID: Final = re.compile(r"(given-)?[0-9a-f]{32}(-[0-9a-f]{16})?")
"""Ids as we make them; they are not scanned, so that no rule parts a call from what is beneath it."""

_NAMED_IDS: Final = {
    kind: tuple((kind._fields.index(name), name, key) for name, key in fields)
    for kind, fields in (
        (
            CallRecord,
            (
                ("call_id", semconv.CALL_ID),
                ("parent_call_id", semconv.CALL_ID),
                ("run_id", semconv.CALL_ID),
            ),
        ),
        (EventRecord, (("call_id", semconv.CALL_ID), ("event_id", semconv.ID_OF_EVENT))),
    )
}
"""Ids that a program, a foreign span or a file may have given in its own words."""


class KeptRecords:
    """Takes secrets out of records on their way to a ledger.

    Args:
        redactor: asked with each batch, since a later ``instrument(redact=...)`` may replace it.
    """

    def __init__(self, redactor: RedactorNow) -> None:
        self._redactor = redactor
        self._clean: set[tuple[str, Any]] = set()
        self._contexts: set[tuple[tuple[str, Any], ...]] = set()
        self._seen: set[tuple[Any, ...]] = set()
        """All the clean values of a record of a call at once: most calls have those of the one before."""
        self._stamp: tuple[Any, Any] | None = None

    def __call__(self, batch: Sequence[Record]) -> Sequence[Record]:
        """The same records without secrets: the very same where there are none."""
        redactor = self._redactor()
        if redactor is None or isinstance(redactor, PlainRedactor):
            return batch
        revision = revision_of(redactor)
        stamp = (redactor, generation_now() if revision is None else revision)
        if revision is None or self._stamp != stamp:
            # A secret became known since, or the redactor promises nothing.
            self._clean, self._contexts, self._seen = set(), set(), set()
            self._stamp = stamp
        is_clean_id = getattr(redactor, "is_clean_id", _never)
        return [
            self._safe_call(record, redactor, is_clean_id)
            if type(record) is CallRecord
            else self._safe_other(record, redactor)
            for record in batch
        ]

    def _safe_call(
        self, record: CallRecord, redactor: RedactorLike, is_clean_id: Callable[[Any], bool]
    ) -> CallRecord:
        changed: dict[str, Any] = {}
        repeated = _repeated_of(record)
        try:
            known = repeated in self._seen
        except TypeError:
            repeated, known = (), False  # something in it has no hash
        if not known and not self._scan(record, _REPEATED, redactor, changed) and repeated:
            # Nothing but short names that were clean when they came alone.
            if len(self._seen) >= MOST_KEPT:
                self._seen.clear()
            self._seen.add(repeated)
        if not record.inferred or record.call_id != inferred_id(record.session_id, record.tool_call_id):
            self._scan_ids(record, redactor, changed)
        response_id = record[_RESPONSE_ID]
        if response_id and not is_clean_id(response_id):
            self._scan(record, _UNREPEATED, redactor, changed)
        if changed and record.inferred and ("session_id" in changed or "tool_call_id" in changed):
            changed["call_id"] = _safe_inferred(record, changed)
        usage, context = record[_USAGE], record[_CONTEXT]
        if usage and _has_text(usage) and (safe := self._safe_mapping(usage, redactor)) != usage:
            changed["usage"] = safe
        if context and (safe := self._safe_mapping(context, redactor)) is not context:
            changed["price_context"] = safe
        return record._replace(**changed) if changed else record

    def _safe_other(self, record: Any, redactor: RedactorLike) -> Any:
        changed: dict[str, Any] = {}
        self._scan(record, _PLACES.get(type(record), ()), redactor, changed)
        self._scan_ids(record, redactor, changed)
        return record._replace(**changed) if changed else record

    def _scan_ids(self, record: Any, redactor: RedactorLike, changed: dict[str, Any]) -> None:
        """Put what ids of calls become into ``changed`` where they are not of our making."""
        for one in _NAMED_IDS.get(type(record), ()):
            value = record[one[0]]
            if value and not _OWN_ID.fullmatch(value):
                self._scan(record, (one,), redactor, changed)

    def _scan(
        self,
        record: Any,
        places: Sequence[tuple[int, str, str]],
        redactor: RedactorLike,
        changed: dict[str, Any],
    ) -> bool:
        """Put what names of a record become into ``changed``; True where one was not known to be clean."""
        clean = self._clean
        scanned = False
        for place, name, key in places:
            value = record[place]
            if not value or (name, value) in clean:
                continue
            scanned = True
            try:
                safe = _safe_value(value, key, redactor)
            except Exception as error:
                swallowed("api.kept_record", error)
                safe = _withheld(value)
            if safe != value:
                changed[name] = _told_apart(value) if safe == WITHHELD and name in _IDS else safe
            elif name != "response_id" and len(value) <= LONGEST_KEPT:
                if len(clean) >= MOST_KEPT:
                    clean.clear()
                clean.add((name, value))
        return scanned

    def _safe_mapping(self, value: Any, redactor: RedactorLike) -> Any:
        """A usage object or price context; the latter are few, and of plain values."""
        try:
            pairs = tuple(value.items())
            if pairs in self._contexts:
                return value
        except TypeError:
            pairs = ()  # something in it has no hash
        try:
            safe = redactor.value(value)
        except Exception as error:
            swallowed("api.kept_record", error)
            return {name: number for name, number in value.items() if isinstance(number, (int, float))}
        if pairs and safe == value:
            if len(self._contexts) >= MOST_KEPT:
                self._contexts.clear()
            self._contexts.add(pairs)
        return safe


def kept_name(value: str, key: str) -> str:
    """A name or id as the ledger of this process has it: what asks the ledger for a thing names it so.

    Args:
        value: as the program has it.
        key: the attribute of spans that has it.
    """
    redactor = telemetry_module.active.redactor
    if isinstance(redactor, PlainRedactor):
        return value
    try:
        safe = redactor.text(value, key)
    except Exception as error:
        swallowed("api.kept_name", error)
        safe = WITHHELD
    return _told_apart(value) if safe == WITHHELD and key == semconv.SESSION_ID else safe


def _safe_inferred(record: CallRecord, changed: Mapping[str, Any]) -> str:
    """The id of an inferred row, which is made of those of its session and tool call, without secrets."""
    if record.call_id != inferred_id(record.session_id, record.tool_call_id):
        return record.call_id
    if changed.get("tool_call_id") == WITHHELD:
        return _told_apart(record.call_id)
    return inferred_id(
        changed.get("session_id", record.session_id), changed.get("tool_call_id", record.tool_call_id)
    )


def _safe_value(value: Any, key: str, redactor: RedactorLike) -> Any:
    if isinstance(value, str):
        return redactor.text(value, key)
    if key == semconv.TAG_PREFIX:
        return tuple((redactor.text(name), redactor.text(text, key + name)) for name, text in value)
    return tuple(redactor.text(one, key) for one in value)


def _withheld(value: Any) -> Any:
    return WITHHELD if isinstance(value, str) else ()


def _told_apart(value: str) -> str:
    """Stands for an id that cannot be scanned: the same for the same id, under this process's key."""
    from spantally.redaction.tags import digest

    return f"withheld-{digest(value.encode('utf-8', 'surrogatepass'), 8).hex()}"


def _never(value: Any) -> bool:
    return False


def _has_text(usage: Any) -> bool:
    """Whether a usage object holds any text, or a name that no provider's has: most hold numbers alone."""
    for name, value in usage.items():
        if name not in _USUAL and type(name) is str and len(name) > LONGEST_USAGE_NAME:
            return True
        kind = type(value)
        if kind is int or value is None or kind is float:
            continue
        if kind is not dict or _has_text(value):
            return True
    return False


_USUAL: Final = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "input_tokens_details",
        "output_tokens_details",
        "cached_tokens",
        "audio_tokens",
        "reasoning_tokens",
        "accepted_prediction_tokens",
        "rejected_prediction_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
    }
)
"""Names of nearly all fields, which need no measuring; no other list has to agree with this one."""
