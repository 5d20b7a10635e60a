"""Spans of our own: the attributes that say whose they are, and what is known of each while it runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import compress
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from opentelemetry.attributes import BoundedAttributes

from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.scope import Scope

MARK: Final = "_spantally_safe"
"""Name under which an :class:`OwnSpan` hangs on a span of ours."""

MOST_KEPT: Final = 512
"""Sets of stamps kept; beyond it all are forgotten."""

LONGEST_KEPT: Final = 64
"""Longest text that is remembered as clean, in characters."""

LONGEST_TUPLE: Final = 8

NEVER_SECRET: Final = frozenset({semconv.OPERATION_NAME, semconv.CALL_ID, semconv.CALL_PARENT_ID})
"""Attributes whose texts we make ourselves."""

_PLAIN: Final = frozenset({str, bool, int, float, tuple})
_TEXT: Final = frozenset({str})
_IS_TUPLE: Final = frozenset({tuple}).__contains__
_HOLDS_TEXT: Final = frozenset({str, tuple}).__contains__


def revision_of(redactor: Any) -> int | None:
    """The redactor's revision, while which its answers stay the same; None for one that promises nothing."""
    try:
        revision = redactor.revision
    except Exception:
        return None
    return revision if type(revision) is int else None


Stamps: TypeAlias = tuple[Any, Any, Mapping[str, str], dict[str, Any]]


def generation_now() -> int:
    """Grows with each secret that becomes known; 0 while the redaction is not even loaded."""
    registry = sys.modules.get("spantally.redaction.registry")
    if registry is None:
        return 0
    registry.look()
    generation: int = registry.generation
    return generation


class OwnSpan:
    """What is known of a recording span of ours.

    Attributes:
        redactor: what its values were redacted by.
        revision: the redactor's when it started.
        generation: of the secrets that were known then, where there is no revision that says so (with rules
            of a user).
        genai: whether it says an operation that the profile knows.
        title: its name, redacted.
        values: its attributes as they were set, in the order in which they were set.
        asked: the redactor's revision as its end has just asked for it, for the net that looks at it next.
    """

    __slots__ = ("asked", "genai", "generation", "redactor", "revision", "title", "values")

    def __init__(
        self, redactor: Any, revision: int | None, title: str, values: dict[str, Any], *, genai: bool = True
    ) -> None:
        self.redactor = redactor
        self.revision = revision
        self.genai = genai
        self.generation = generation_now() if revision is None else 0
        self.title = title
        self.values = values
        self.asked: int | None = None

    def is_of(self, redactor: Any) -> bool:
        """Whether this redactor gave the values, and would give the same ones now."""
        return (
            self.redactor is redactor
            and self.revision == revision_of(redactor)
            and (self.revision is not None or self.generation == generation_now())
        )


def stamped(telemetry: Any, scope: Scope, revision: Any, *, genai: bool) -> Stamps:
    """Redacted :func:`stamps` of a scope, kept with the scope; not to be changed.

    Args:
        telemetry: gives the redactor, the spellings and the stamps known.
        scope: whose the span is.
        revision: the redactor's; None where its answers are not kept.
        genai: True on GenAI spans.

    Returns:
        The redactor, its revision and the spellings that they are good for, and the stamps.
    """
    redactor, renames = telemetry.redactor, telemetry.renames
    if revision is None or not genai:
        return redactor, revision, renames, safe_of(redactor, renames, stamps(scope, genai=genai))
    found, whole = _known_stamps(telemetry, scope, redactor, revision)
    made = (redactor, revision, renames, found)
    if whole:
        scope.stamps = made
    return made


def _known_stamps(telemetry: Any, scope: Scope, redactor: Any, revision: Any) -> tuple[dict[str, Any], bool]:
    """Stamps by what they are made of: an agent that runs again and again has a scope of its own each time.

    Returns:
        The stamps, and whether redaction gave them all (False where it failed).
    """
    stamps_of: dict[Any, Any] = telemetry.stamps
    key = (
        id(redactor),
        revision,
        scope.session.session_id,
        scope.user_id,
        scope.entity_type,
        scope.entity_id,
        scope.tags,
        scope.conversation_id,
        scope.agent_path,
    )
    known = stamps_of.get(key)
    if known is not None and known[0] is redactor and known[1] is telemetry.renames:
        return known[2], True
    values = stamps(scope, genai=True)
    found = safe_of(redactor, telemetry.renames, values)
    if found == values:  # no secret, so nothing raw is kept that is not on every span
        if len(stamps_of) >= MOST_KEPT:
            stamps_of.clear()
        stamps_of[key] = (redactor, telemetry.renames, found)
    return found, len(found) == len(values)


def safe_of(
    redactor: Any, renames: Mapping[str, str | None], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Redacted attributes, in the spelling of the profile; nothing of the texts where redaction fails."""
    try:
        safe: dict[str, Any] = redactor.attributes(attributes)
    except Exception as failure:
        swallowed("calls.redaction", failure)
        # Our own ids and names stay: without them the span would be tallied a second time.
        return {
            key: value
            for key, value in attributes.items()
            if key in NEVER_SECRET or not isinstance(value, (str, bytes, tuple, list))
        }
    if renames:
        return semconv.respelled(renames, safe)
    return safe


def safe_at_end(telemetry: Any, attributes: dict[str, Any], mark: OwnSpan) -> tuple[dict[str, Any], bool]:
    """The same for what our own calls set at their end.

    Their numbers are counts and times, never secrets. Models, tiers and finish reasons repeat with every
    call: those that were found clean are remembered as pairs of name and value.

    Args:
        telemetry: gives redactor and spellings.
        attributes: as they are.
        mark: of the span, which ends next.

    Returns:
        The redacted attributes, and whether all of them are known to be of the types that :func:`fill` may
        put in as they are.
    """
    redactor, renames = telemetry.redactor, telemetry.renames
    try:  # as revision_of() does
        revision = redactor.revision
    except Exception:
        revision = None
    if renames or type(revision) is not int:
        return safe_of(redactor, renames, attributes), False
    if mark.redactor is redactor:
        mark.asked = revision
    by, when, clean = telemetry.clean or _NOBODY
    if by is not redactor or when != revision:
        clean = set()
        telemetry.clean = (redactor, revision, clean)
    texts: dict[str, Any] = {}
    # As little Python as can be: each function and table that is touched once in a call is out of the
    # processor's caches by the next call, and costs more than what it does.
    pairs: Any = attributes.items()
    kinds = list(map(type, attributes.values()))
    if _PLAIN.issuperset(kinds):
        try:
            pairs = set(compress(pairs, map(_HOLDS_TEXT, kinds))).difference(clean)
        except TypeError:
            pass  # a tuple of what has no hash
    for key, value in pairs:
        kind = type(value)
        if kind is int or kind is float or kind is bool:
            continue
        if key == semconv.RESPONSE_ID and kind is str:
            is_clean_id: Any = getattr(redactor, "is_clean_id", None)
            if is_clean_id is not None and is_clean_id(value):
                continue
        texts[key] = value
    if not texts:
        return attributes, True  # a clean tuple is one of texts
    return _scanned_at_end(redactor, attributes, texts, clean), False


def _scanned_at_end(
    redactor: Any, attributes: dict[str, Any], texts: dict[str, Any], clean: set[Any]
) -> dict[str, Any]:
    """The attributes with those scanned that were not met before; what is clean and repeats is kept."""
    found = safe_of(redactor, _NO_NAMES, texts)
    for key, value in texts.items():
        if found.get(key) is value and _repeats(key, value):
            if len(clean) >= MOST_KEPT:
                clean.clear()
            clean.add((key, value))
    if len(found) == len(texts) and all(key in found for key in texts):
        return {**attributes, **found}  # in their order
    return {key: value for key, value in attributes.items() if key not in texts} | found


_NOBODY: Final[tuple[None, None, set[Any]]] = (None, None, set())
_NO_NAMES: Final[Mapping[str, str | None]] = MappingProxyType({})


def _repeats(key: str, value: Any) -> bool:
    """Whether a clean text is worth remembering: short, of plain types, and no id, which comes once."""
    if type(value) is str:
        return len(value) <= LONGEST_KEPT and not key.endswith(".id")
    return (
        type(value) is tuple
        and len(value) <= LONGEST_TUPLE
        and all(type(one) is str and len(one) <= LONGEST_KEPT for one in value)
    )


def without_genai(values: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes for a plain client span: whoever sets one of GenAI's must name an operation of GenAI's."""
    return {name: value for name, value in values.items() if not name.startswith("gen_ai.")}


def fill(span: Any, values: dict[str, Any], *, plain: bool = False) -> None:
    """Set redacted attributes on a recording span of the SDK, all at once.

    The public setter cleans value by value, which costs half as much as all the rest of a span. Values that
    need no cleaning go straight in; whatever is not plainly so goes the public way.

    Args:
        span: a recording span.
        values: redacted attributes.
        plain: True where none of the values needs cleaning.
    """
    try:
        attributes = span._attributes
        if (
            type(attributes) is BoundedAttributes
            and attributes.max_value_len is None
            and (plain or _need_no_cleaning(values))
        ):
            inner, most = attributes._dict, attributes.maxlen
            with attributes._lock:
                if not attributes._immutable and (most is None or len(inner) + len(values) <= most):
                    inner.update(values)
                    return
    except AttributeError:
        pass  # another SDK
    span.set_attributes(values)


def _need_no_cleaning(values: Mapping[str, Any]) -> bool:
    kinds = list(map(type, values.values()))
    return _PLAIN.issuperset(kinds) and (tuple not in kinds or _holds_texts(values, kinds))


def _holds_texts(values: Mapping[str, Any], kinds: list[type]) -> bool:
    """Whether tuples hold nothing but texts; ``kinds`` are the types of the values, in their order."""
    tuples = compress(values.values(), map(_IS_TUPLE, kinds))
    return all(_TEXT.issuperset(map(type, value)) for value in tuples)


def stamps(scope: Scope, *, genai: bool) -> dict[str, Any]:
    """Attributes that say whose a span is.

    Args:
        scope: the scope in force.
        genai: True on GenAI spans, which alone carry ``gen_ai.*`` keys (a viewer takes any span with one
            for a GenAI span) and the agent path.
    """
    values: dict[str, Any] = {semconv.SESSION_ID: scope.session.session_id}
    if scope.user_id is not None:
        values[semconv.USER_ID] = scope.user_id
    if scope.entity_type is not None and scope.entity_id is not None:
        values[semconv.ENTITY_TYPE] = scope.entity_type
        values[semconv.ENTITY_ID] = scope.entity_id
    for key, value in scope.tags:
        values[semconv.TAG_PREFIX + key] = value
    if genai:
        if scope.conversation_id is not None:
            values[semconv.CONVERSATION_ID] = scope.conversation_id
        if scope.agent_path:
            values[semconv.AGENT_PATH] = " > ".join(scope.agent_path)
            values[semconv.AGENT_NAME] = scope.agent_path[-1]
    return values
