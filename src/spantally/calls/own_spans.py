"""Spans of our own: their attributes redacted once for all calls that share them, and what is known of each.

Most of what a span of ours says at its start repeats with every call: operation, model, host, session, user.
A redacted form is kept for each set of such values, and only what is new is scanned. Only values without a
secret are kept: nothing raw stays in memory that the program does not show by its calls all the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes

from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.scope import Scope

MARK: Final = "_spantally_safe"
"""Name under which an :class:`OwnSpan` hangs on a span of ours."""

MOST_KEPT: Final = 512
"""Sets of values kept, of each kind; beyond it all are forgotten."""

LONGEST_KEPT: Final = 256
"""Longest text of a set that is kept, in characters."""

NEVER_SECRET: Final = frozenset({semconv.OPERATION_NAME, semconv.CALL_ID, semconv.CALL_PARENT_ID})
"""Attributes whose texts we make ourselves."""

_PLAIN: Final = frozenset({str, bool, int, float, tuple})


class OwnSpan:
    """What is known of a recording span of ours.

    Attributes:
        redactor: what its values were redacted by.
        title: its name, redacted.
        values: its attributes as they were set, in the order in which they were set.
    """

    __slots__ = ("redactor", "title", "values")

    def __init__(self, redactor: Any, title: str, values: dict[str, Any]) -> None:
        self.redactor = redactor
        self.title = title
        self.values = values


class Templates:
    """Redacted start attributes, by the values they were made of."""

    __slots__ = ("_redactor", "_renames", "_requests", "_revision", "_stamps")

    def __init__(self) -> None:
        self._redactor: Any = None
        self._renames: Any = None
        self._revision: object = None
        self._stamps: dict[Any, dict[str, Any]] = {}
        self._requests: dict[Any, tuple[str, dict[str, Any]]] = {}

    def _are_usable(self, redactor: Any, renames: Any) -> bool:
        """Whether answers of the redactor may be kept; forgets those of another one."""
        revision = getattr(redactor, "revision", None)
        if revision is None:
            return False
        if (
            redactor is not self._redactor
            or revision != self._revision
            or renames is not self._renames
            or len(self._stamps) > MOST_KEPT
            or len(self._requests) > MOST_KEPT
        ):
            self._stamps, self._requests = {}, {}
            self._redactor, self._renames, self._revision = redactor, renames, revision
        return True

    def start(
        self,
        redactor: Any,
        renames: Mapping[str, str | None],
        scope: Scope,
        operation: str,
        subject: str | None,
        attributes: Mapping[str, Any],
    ) -> tuple[str, dict[str, Any]]:
        """The redacted name and attributes of an operation's start, in a dict of its own.

        Args:
            redactor: takes secrets out.
            renames: spellings of the profile.
            scope: whose the operation is.
            operation: ``gen_ai.operation.name``.
            subject: what follows it in the name, if anything.
            attributes: known at the start; they win over the scope's.
        """
        usable = self._are_usable(redactor, renames)
        stamped = self._stamps_of(redactor, renames, scope, usable)
        title, asked = self._request_of(redactor, renames, operation, subject, attributes, usable)
        made = {**stamped, **asked}
        return title, made if semconv.is_operation(operation, renames) else without_genai(made)

    def _stamps_of(
        self, redactor: Any, renames: Mapping[str, str | None], scope: Scope, usable: bool
    ) -> dict[str, Any]:
        """Redacted :func:`stamps` of a scope; not to be changed."""
        if not usable:
            return safe_of(redactor, renames, stamps(scope, genai=True))
        key = (
            scope.session.session_id,
            scope.user_id,
            scope.entity_type,
            scope.entity_id,
            scope.tags,
            scope.conversation_id,
            scope.agent_path,
        )
        found = self._stamps.get(key)
        if found is None:
            values = stamps(scope, genai=True)
            found = safe_of(redactor, renames, values)
            if _may_be_kept(values, found):
                self._stamps[key] = found
        return found

    def _request_of(
        self,
        redactor: Any,
        renames: Mapping[str, str | None],
        operation: str,
        subject: str | None,
        attributes: Mapping[str, Any],
        usable: bool,
    ) -> tuple[str, dict[str, Any]]:
        """The redacted name and attributes of a request; the attributes are not to be changed."""
        key: tuple[Any, ...] | None = None
        if usable:
            key = (operation, subject, *attributes.items())
            try:
                found = self._requests.get(key)
            except TypeError:
                key = found = None  # some value has no hash
            if found is not None:
                return found
        raw = operation if not subject else f"{operation} {subject}"
        title = redactor.text(raw) if subject else raw
        values = {semconv.OPERATION_NAME: operation, **attributes}
        made = (title, safe_of(redactor, renames, values))
        if key is not None and title == raw and len(title) <= LONGEST_KEPT and _may_be_kept(values, made[1]):
            self._requests[key] = made
        return made


def _may_be_kept(values: Mapping[str, Any], safe: Mapping[str, Any]) -> bool:
    """True if nothing was redacted and all values are short."""
    return values == safe and all(
        len(value) <= LONGEST_KEPT
        if type(value) is str
        else type(value) is not tuple or sum(map(len, map(str, value))) <= LONGEST_KEPT
        for value in safe.values()
    )


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


def without_genai(values: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes for a plain client span: whoever sets one of GenAI's must name an operation of GenAI's."""
    return {name: value for name, value in values.items() if not name.startswith("gen_ai.")}


def fill(span: Any, values: dict[str, Any]) -> None:
    """Set redacted attributes on a recording span of the SDK, all at once.

    The public setter cleans value by value, which costs half as much as all the rest of a span. Values that
    need no cleaning go straight in; whatever is not plainly so goes the public way.
    """
    try:
        attributes = span._attributes
        if type(attributes) is BoundedAttributes and attributes.max_value_len is None:
            inner, most = attributes._dict, attributes.maxlen
            kinds = set(map(type, values.values()))
            if kinds <= _PLAIN and (
                tuple not in kinds
                or all(type(one) is str for value in values.values() if type(value) is tuple for one in value)
            ):
                with attributes._lock:
                    if not attributes._immutable and (most is None or len(inner) + len(values) <= most):
                        inner.update(values)
                        return
    except AttributeError:
        pass  # another SDK
    span.set_attributes(values)


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
