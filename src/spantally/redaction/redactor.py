"""The redactor: rules over texts, values of any shape and span attributes; it fails closed.

Whatever raises or runs out of time gives ``[REDACTED:error]`` in the place of that value, is counted, and
never reaches the host program.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spantally.ground.guard import swallowed
from spantally.ground.setting_values import parse_pii
from spantally.ground.settings import from_environment
from spantally.redaction import counting, names, registry
from spantally.redaction.by_name import SCHEME_ONLY, goes_whole, policy
from spantally.redaction.cache import SHORTEST, Cache
from spantally.redaction.clock import Clock, OutOfTimeError
from spantally.redaction.rules import Finders, allowed_entries, check_arguments, sorted_rules
from spantally.redaction.spans import STRUCTURE, Span, replaced, settle
from spantally.redaction.tags import ERROR_TAG, MARK, digest

if TYPE_CHECKING:
    from spantally.redaction import engine
    from spantally.redaction.walk import Walk
else:

    class _Later:
        """Stands for the engine until it is first used: its rules take longer to set up than all the rest."""

        def __getattr__(self, name: str) -> Any:
            global engine
            from spantally.redaction import engine

            return getattr(engine, name)

    engine = _Later()


Rule: TypeAlias = re.Pattern[str] | Callable[[str | None, str, str], str | None]
"""A rule of the user: a compiled pattern, whose matches go, or a callable ``(key, value, where)``.

The callable gets each string after all other rules; ``where`` is ``"text"``, ``"value"``, ``"attribute"``
or, for names of attributes and fields, ``"key"``. It returns the text to use instead, or None to leave the
value as it is.
"""

BUDGET_SECONDS: Final = 0.18
"""Processor time that one value may take, beside 0.23 seconds per million characters: a quarter is usual."""

_TINY: Final = 6
"""Too short to hold a secret and the words that give it away."""

_LONGEST_NAME: Final = 64
_SMALL: Final = 1000
_MOST_NAMES: Final = 4_096
_walk: type[Walk] | None = None
_LONGEST_TUPLE: Final = 8
_NO_NAMES: Final[frozenset[str]] = frozenset()


def _is_plain(key: str, value: str) -> bool:
    """Whether neither the key nor anything in a short value lets a built-in rule speak."""
    kind, generic = policy(key)
    return (
        kind == names.NONE
        and (len(value) < _TINY or engine.is_object_id(value) or engine.is_quiet(value, generic=generic))
        and not registry.holds_literal(value)
    )


def _is_known(key: str, value: Any, pairs: set[tuple[str, Any]]) -> bool:
    """Whether this value was found clean under this key before."""
    try:
        return (key, value) in pairs
    except TypeError:
        return False  # something in the tuple has no hash


def _is_count(key: str, value: int) -> bool:
    """A number that is no password's."""
    return -_SMALL < value < _SMALL or policy(key)[0] != names.PASSWORD


class Redactor:
    """Takes secrets out of texts, values and attributes.

    A redactor never raises and never changes what it is given. It may be used from any thread.

    Args:
        rules: further rules, see :data:`Rule`; they stack on the built-in ones.
        defaults: False leaves only ``rules``, ``pii`` and the registered literals.
        allow: what is no secret though it looks like one: exact texts, or compiled patterns that match the
            whole of it. A secret of the environment or of a client stays only by its exact text.
        pii: personal data that goes, too: True for all, or some of ``"iban"``, ``"card"``, ``"ssn"``,
            ``"email"``, ``"ip"`` and ``"phone"``; by default SPANTALLY_REDACT_PII says.
        strict: True replaces a value for which one of ``rules`` fails by ``[REDACTED:error]``; False leaves
            it as the other rules made it, with `` [UNREDACTED:error]`` at its end; by default
            SPANTALLY_REDACTION_STRICT says, else True. The built-in rules always replace.
        budget_seconds: processor time that one value may take, beside 0.23 seconds per million characters.

    Raises:
        ArgumentError: (a ValueError) for an argument that is not allowed: a rule that is neither a compiled
            text pattern nor callable, a pattern that may match the empty text or take time without end.
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        *,
        defaults: bool = True,
        allow: Iterable[str | re.Pattern[str]] = (),
        pii: bool | str | Iterable[str] | None = None,
        strict: bool | None = None,
        budget_seconds: float = BUDGET_SECONDS,
    ) -> None:
        check_arguments(defaults, strict, budget_seconds)
        kinds = from_environment("redact_pii") if pii is None else parse_pii("Redactor(pii)", pii)
        patterns, callables = sorted_rules(rules)
        self._extra = Finders(patterns, kinds, allowed_entries(allow))
        self._callables: tuple[Callable[[str | None, str, str], str | None], ...] = tuple(callables)
        self._calling: set[int] = set()
        self._strict = from_environment("redaction_strict") if strict is None else strict
        self._defaults = defaults
        # A subclass may answer otherwise, in ways that nothing here knows of.
        self._constant = not callables and type(self) is Redactor
        self._simple = self._constant and defaults and not self._extra
        self._shortest = 1 if patterns else _TINY
        self._budget = budget_seconds
        self._cache = Cache()
        self._generation = registry.generation
        self._clean: set[str] = set()
        self._pairs: set[tuple[str, Any]] = set()
        self._pairs_generation = registry.generation
        self._plain: tuple[set[str], set[str]] = (set(), set())
        self._plain_generation = registry.generation
        self._clean_generation = registry.generation
        self.counts: Counter[str] = counting.Tally(counting.redacted)
        """How many secrets went, by type."""
        self._failed_by: Counter[str] = counting.Tally(counting.failures)

    @property
    def failures(self) -> int:
        """How many times a scan or a rule failed, so that a value was replaced or marked."""
        return sum(self._failed_by.values())

    @property
    def revision(self) -> int | None:
        """Changes whenever an answer given before may be another one now; None with callables of the user."""
        registry.look()
        return registry.generation if self._constant else None

    @property
    def strict(self) -> bool:
        """Whether a value for which a rule of the user fails is replaced."""
        return bool(self._strict)

    def describe(self) -> dict[str, Any]:
        """What is in force, for ``spantally doctor``: numbers of rules, and nothing that they hide."""
        return {
            "strict": self._strict,
            "defaults": self._defaults,
            "patterns": len(self._extra.patterns),
            "callables": len(self._callables),
            "allowed": self._extra.allows,
            "pii": list(self._extra.pii),
        }

    def is_clean_id(self, value: Any) -> bool:
        """True for a plain id of a provider's object that passes as it is; False says nothing.

        A quick answer for what comes with every call and never again.

        Args:
            value: what stands where an id is expected.
        """
        return (
            type(value) is str
            and self._simple
            and engine.is_object_id(value)
            and not registry.holds_literal(value)
        )

    def text(self, text: str, key: str | None = None) -> str:
        """``text`` without its secrets; the same object where there are none.

        Args:
            text: any string.
            key: the name under which it stands; ``api_key``, ``password`` ... let the whole value go.
        """
        try:
            registry.look()
            return self._text(text, key, "text", None)
        except Exception as error:
            return self._failed("redaction.text", error)

    def value(self, value: Any, key: str | None = None) -> Any:
        """``value`` without its secrets: the same object where there are none, else a plain copy.

        Mappings (their keys too), lists, tuples, sets, bytes, dataclasses and objects with plain instance
        attributes are walked; depth, size and cycles are bounded, and what lies beyond is replaced.

        Args:
            value: anything.
            key: the name under which it stands.
        """
        try:
            registry.look()
            if isinstance(value, str):
                return self._text(value, key, "value", None)
            return self._walk(self._leaf("value"), value, key)
        except Exception as error:
            return self._failed("redaction.value", error)

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Span, event, log or resource attributes without their secrets, as a new dict.

        A value that fails is replaced alone; the others stay.
        """
        answer: dict[str, Any] = {}
        try:
            registry.look()
            items = list(attributes.items())
        except Exception as error:
            self._failed("redaction.attributes", error)
            return answer
        leaf: Callable[[str, str | None], str] | None = None
        if self._pairs_generation != registry.generation:
            self._pairs, self._pairs_generation = set(), registry.generation
        pairs = self._pairs
        clean = self._clean if self._clean_generation == registry.generation else _NO_NAMES
        for key, value in items:
            name = ERROR_TAG
            try:
                kind = type(value)
                if kind is str:
                    if (key, value) in pairs:
                        answer[key] = value
                        continue
                elif kind is tuple:
                    if _is_known(key, value, pairs):
                        answer[key] = value
                        continue
                elif kind is bool or kind is float or (kind is int and _is_count(key, value)):
                    answer[key if key in clean else self._name(key)] = value
                    continue
                name = key if key in clean else self._name(key)
                if kind is str and self._simple and len(value) < SHORTEST and _is_plain(key, value):
                    answer[name] = safe = value
                else:
                    leaf = leaf or self._leaf("attribute")
                    answer[name] = safe = leaf(value, key) if kind is str else self._walk(leaf, value, key)
                if safe is value and name is key and self._simple and (kind is str or kind is tuple):
                    self._remember(key, value, pairs)
            except Exception as error:
                answer[name] = self._failed("redaction.attributes", error)
        return answer

    @staticmethod
    def _remember(key: str, value: str | tuple[Any, ...], pairs: set[tuple[str, Any]]) -> None:
        """Remember a clean value under its key: models and finish reasons repeat, ids of answers do not."""
        if type(value) is str:
            if len(value) > _LONGEST_NAME or key.endswith(".id"):
                return
        elif len(value) > _LONGEST_TUPLE or not all(
            type(one) is str and len(one) <= _LONGEST_NAME for one in value
        ):
            return
        if len(pairs) >= _MOST_NAMES:
            pairs.clear()
        pairs.add((key, value))

    # -- one string ----------------------------------------------------------------------------------

    def _walk(self, leaf: Callable[[str, str | None], str], value: Any, key: str | None) -> Any:
        # Imported here: it needs the modules of many plain types, which a program may not use.
        global _walk
        if _walk is None:
            from spantally.redaction.walk import Walk

            _walk = Walk
        return _walk(leaf, self._name, self._failed).value(value, key)

    def _leaf(self, where: str) -> Callable[[str, str | None], str]:
        clock: list[Clock] = []

        def leaf(text: str, key: str | None) -> str:
            if len(text) < self._shortest and key is None:
                return self._by_callables(text, key, where) if self._callables else text
            if not clock:
                clock.append(Clock(self._budget))
            return self._text(text, key, where, clock[0])

        return leaf

    def _text(self, text: str, key: str | None, where: str, clock: Clock | None) -> str:
        given = text
        if type(text) is not str:
            text = str.__str__(text)
        generic = True
        if key is not None and self._defaults:
            kind, generic = policy(key)
            if kind != names.NONE and goes_whole(text, kind, key) and not self._extra.is_allowed(text):
                text = self._whole(text, kind)
        if len(text) >= SHORTEST:
            text = self._cached(text, generic, clock)
        elif len(text) >= self._shortest and not (
            self._simple and registry.is_empty() and engine.is_quiet(text)
        ):
            text = self._short(text, generic, clock)
        if self._callables:
            text = self._by_callables(text, key, where)
        return given if text == given else text

    def _short(self, text: str, generic: bool, clock: Clock | None) -> str:
        """A short text: those found clean (models, hosts, session ids) repeat, and are remembered."""
        if self._plain_generation != registry.generation:
            self._plain = (set(), set())
            self._plain_generation = registry.generation
        plain = self._plain[generic]
        if text in plain:
            return text
        if self._simple and engine.is_quiet(text, generic=generic) and not registry.holds_literal(text):
            answer = text
        else:
            answer = self._scanned(text, generic, clock or Clock(self._budget))
        if answer is text and len(text) <= _LONGEST_NAME:
            if len(plain) >= _MOST_NAMES:
                plain.clear()
            plain.add(text)
        return answer

    def _name(self, key: str) -> str:
        """The name of an attribute or field, which may hold data; clean ones repeat and are remembered."""
        if self._clean_generation != registry.generation:
            generation = registry.generation
            self._clean = set()
            self._clean_generation = generation
        clean = self._clean
        if key in clean:
            return key
        answer = self._text(key, None, "key", None)
        if answer.endswith(MARK):  # a name with a mark would be another name: the value has it
            answer = key if answer[: -len(MARK)] == key else answer[: -len(MARK)]
        if answer is key and len(key) <= _LONGEST_NAME and len(clean) < _MOST_NAMES:
            clean.add(key)
        return answer

    def _scanned(self, text: str, generic: bool, clock: Clock) -> str:
        extra = self._extra
        try:
            return engine.redact(text, clock, extra, self.counts, defaults=self._defaults, generic=generic)
        except Exception as error:
            if self._strict or not extra.patterns:
                raise
            self._note("redaction.pattern", error)
        # Perhaps the user's patterns took the time; if not, this fails as well, and then nothing passes.
        others, clock = extra.without_patterns(), Clock(self._budget)
        return _marked(
            engine.redact(text, clock, others, self.counts, defaults=self._defaults, generic=generic)
        )

    def _cached(self, text: str, generic: bool, clock: Clock | None) -> str:
        if self._generation != registry.generation:
            # A new literal: what was clean before may not be now.
            generation = registry.generation
            self._cache = Cache()  # first: whoever sees the generation must not find the old cache
            self._generation = generation
        cache = self._cache
        key = digest(text.encode("utf-8", "surrogatepass") + (b"g" if generic else b"k"))
        known, entry = cache.get(key)
        if known:
            return text if entry is None else entry
        try:
            answer = self._scanned(text, generic, clock or Clock(self._budget))
        except OutOfTimeError:
            if clock is None:  # not the fault of what was read before it
                cache.put(key, ERROR_TAG)
            raise
        cache.put(key, None if answer is text else answer)
        return answer

    def knows(self, text: str) -> bool:
        """Whether a text that names nothing was scanned before and the answer is still there."""
        key = digest(text.encode("utf-8", "surrogatepass") + b"g")
        return self._generation == registry.generation and self._cache.get(key)[0]

    def _whole(self, text: str, kind: int) -> str:
        tags = engine.find_tags(text)  # the engine knows the types of all tags
        spans = settle([Span(0, len(text), STRUCTURE, names.TYPES[kind])], tags)
        if tags:
            spans = [span for span in spans if not SCHEME_ONLY.fullmatch(text, span.start, span.end)]
        if not spans:
            return text
        self.counts.update({names.TYPES[kind]: len(spans)})
        return replaced(text, spans)[0]

    def _by_callables(self, text: str, key: str | None, where: str) -> str:
        this = threading.get_ident()
        given, failed = text, False
        for rule in self._callables:
            try:
                if this in self._calling:
                    raise RecursionError  # a rule that logs, and its line comes here
                watch_again = _unwatched()
                self._calling.add(this)
                try:
                    text = _usable(rule(key, text, where), text)
                finally:
                    self._calling.discard(this)
                    watch_again()
            except Exception as error:
                if self._strict:
                    raise
                self._note("redaction.rule", error)
                failed = True
        if self._defaults and text is not given and text != given:
            # A rule that decodes or looks up may have brought a secret. Noise is what pseudonyms look like,
            # so only what has the shape or the name of a secret goes.
            clock = Clock(self._budget)
            text = engine.redact(
                text, clock, self._extra.allowing(), self.counts, defaults=True, generic=False
            )
        return _marked(text) if failed else text

    def _note(self, where: str, error: BaseException) -> None:
        self._failed_by.update({type(error).__name__: 1})
        swallowed(where, error)

    def _failed(self, where: str, error: BaseException) -> str:
        self._note(where, error)
        return ERROR_TAG


def _unwatched() -> Callable[[], None]:
    """Let no call be watched while a rule of the user runs; returns what ends that.

    The row of such a call would be redacted, by the rule, which makes a call again, without end.
    """
    from opentelemetry import context as otel_context

    from spantally.ground.scope import PAUSED_KEY, is_paused, with_values

    current = otel_context.get_current()
    if is_paused(current):
        return _nothing
    token = otel_context.attach(with_values(current, {PAUSED_KEY: True}))
    return lambda: otel_context.detach(token)


def _nothing() -> None:
    """What ends nothing."""


def _usable(answer: object, text: str) -> str:
    """The answer of a rule; a registered secret in it that was not in what the rule got is none."""
    if answer is None:
        return text
    if not isinstance(answer, str):
        raise TypeError(type(answer).__name__)
    if type(answer) is not str:
        answer = str.__str__(answer)
    if answer != text and registry.holds_literal(answer) and not registry.holds_literal(text):
        raise ValueError("a secret came back")
    return answer


def _marked(text: str) -> str:
    return text if text.endswith(MARK) else text + MARK
