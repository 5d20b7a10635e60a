"""Rules about events: log records with an event name, and events that lie on GenAI spans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spantally.conformance import vocabulary as words
from spantally.conformance.model import GENAI_PREFIX, Event
from spantally.conformance.profiles import Profile
from spantally.conformance.rules.base import EVENTS, GENERAL, Rule, error, listed, warning
from spantally.conformance.rules.content import CONTENT_ATTRIBUTES

_EXCEPTIONS: Final = frozenset({"exception", words.EVENT_EXCEPTION})
_REQUIRED: Final = {
    words.EVENT_DETAILS: "gen_ai.operation.name",
    words.EVENT_EVALUATION: "gen_ai.evaluation.name",
}


def _old(event: Event, profile: Profile) -> Iterator[str]:
    successor = words.OLD_EVENTS.get(event.name)
    if successor is not None:
        yield f"the event {event.name} is no longer used; use {successor}, or content attributes on the span"


def _unknown(event: Event, profile: Profile) -> Iterator[str]:
    if (
        event.name.startswith(GENAI_PREFIX)
        and event.name not in words.EVENTS
        and event.name not in words.OLD_EVENTS
    ):
        yield f"{event.name} is no event of the conventions; known are {listed(words.EVENTS)}"


def _severity(event: Event, profile: Profile) -> Iterator[str]:
    wanted = words.EVENT_SEVERITIES.get(event.name)
    if wanted is not None and event.severity_number not in (None, wanted[0]):
        yield f"the severity number is {event.severity_number}; {wanted[0]} ({wanted[1]}) is expected"


def _structured(event: Event, profile: Profile) -> Iterator[str]:
    for name in sorted(CONTENT_ATTRIBUTES & event.attributes.keys()):
        if isinstance(event.attributes[name], str):
            yield f"{name} is a text on an event; structured content is expected there"


def _exception(event: Event, profile: Profile) -> Iterator[str]:
    if event.name in _EXCEPTIONS and not event.attributes.keys() & {"exception.type", "exception.message"}:
        yield f"{event.name} has neither exception.type nor exception.message; one of them is required"


def _required(event: Event, profile: Profile) -> Iterator[str]:
    name = _REQUIRED.get(event.name)
    if name is not None and name not in event.attributes:
        yield f"{name} is missing; {event.name} requires it"


EVENT_RULES: Final[tuple[Rule[Event], ...]] = (
    error("GENAI-EVENT-OLD", "Events of older conventions are not used.", EVENTS, _old),
    warning("GENAI-EVENT-UNKNOWN", "A gen_ai.* event is one of the conventions.", EVENTS, _unknown),
    warning("GENAI-EVENT-SEVERITY", "Details are DEBUG (5), exceptions WARN (13).", EVENTS, _severity),
    error("GENAI-EVENT-CONTENT", "Content on events is structured, not JSON text.", EVENTS, _structured),
    error(
        "GENAI-EVENT-EXCEPTION",
        "An exception event has exception.type or exception.message.",
        f"{EVENTS}; {GENERAL}",
        _exception,
    ),
    error("GENAI-EVENT-REQUIRED", "An event has its required attributes.", EVENTS, _required),
)
