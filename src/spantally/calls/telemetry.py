"""What the calls of one instrumentor report to: tracer, redaction, content policy, fallbacks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, Final, Protocol

from opentelemetry import trace
from opentelemetry.trace import Tracer, TracerProvider

from spantally.calls.limits import Limits
from spantally.ground import guard, semconv
from spantally.ground.guard import swallowed

SCOPE_NAME: Final = "spantally"
"""Name of our instrumentation scope."""


@functools.cache
def own_version() -> str:
    """The version of our instrumentation scope, for spans, metrics and events alike."""
    try:
        return metadata.version("spantally")
    except metadata.PackageNotFoundError:
        return "0"


class RedactorLike(Protocol):
    """What the calls need of a redactor."""

    def text(self, text: str, key: str | None = None) -> str:
        """The text without its secrets."""

    def value(self, value: Any, key: str | None = None) -> Any:
        """A value of any shape without its secrets."""

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Span attributes without their secrets."""


class PlainRedactor:
    """The redactor of ``redact=False``: it hides nothing, and ``doctor`` says so."""

    revision: Final = 0
    """Its answers never change."""

    def is_clean_id(self, value: Any) -> bool:
        """Nothing is a secret."""
        return True

    def text(self, text: str, key: str | None = None) -> str:
        """The text as it is."""
        return text

    def value(self, value: Any, key: str | None = None) -> Any:
        """The value as it is."""
        return value

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes as they are."""
        return dict(attributes)


class Telemetry:
    """Where calls report to, and under which policy. One is active in a process; instrumentors may own one.

    Attributes:
        tracer: makes the spans.
        redactor: applied to every value before it is set on a span or kept in a record.
        capture_spans: redacted content goes onto spans.
        capture_events: redacted content goes out as log events.
        emit_details: inferences send the event of their details, with or without content.
        token_histograms: metrics hold the tokens of each call, too.
        keep_content: redacted content that instrumentors see goes into the ledger (``ledger_content="all"``).
        keep_explicit: content that a program hands to our functions goes into the ledger.
        stream_usage: what is done where a stream would report no usage: ``unknown``, ``request`` or
            ``estimate``.
        coexist: whose span a call gets that another instrumentor traces, too: ``yield`` (its) or ``own``.
        user, entity, tags: fallbacks where the session names none.
        project: ``service.name``.
        content_limits: what exported content may take.
        ledger_limits: what content in the ledger may take.
        media_files: keeps media of content as files, or None.
        fragments: content that was seen before, redacted and encoded; None until there is some.
        stamps: redacted attributes that say whose a span is, by what they are made of.
        process_scope: the scope of calls outside any session, and the fallbacks that it was made with.
        clean: what was found without a secret on ends of calls, with redactor and revision.
        known: what instrumentors remember of clients while this telemetry is in force.
        emit_event: sends a log event (name, attributes, context), or None.
        quote: prices an operation at its end without waiting, or None; it reads an operation like a record,
            and gives status, cost in nano-USD and who says so.
    """

    def __init__(self, redactor: RedactorLike | None = None) -> None:
        self.reset(redactor)

    def reset(self, redactor: RedactorLike | None = None) -> None:
        """Back to the state of a process that nothing has configured."""
        self.redactor: RedactorLike = redactor if redactor is not None else PlainRedactor()
        self.capture_spans = False
        self.capture_events = False
        self.emit_details = False
        self.token_histograms = False
        self.keep_content = False
        self.keep_explicit = True
        self.stream_usage = "unknown"
        self.coexist = "yield"
        self.user: str | None = None
        self.entity: tuple[str, str] | None = None
        self.tags: tuple[tuple[str, str], ...] = ()
        self.project: str | None = None
        self.profile = "latest"
        self.renames: Mapping[str, str | None] = {}
        self.emit_event: Any = None
        self.quote: Callable[[Any], Any] | None = None
        self.content_limits = Limits()
        self.ledger_limits = Limits()
        self.media_files: Any = None
        self.fragments: Any = None
        self.stamps: dict[Any, Any] = {}
        self.known: dict[Any, Any] = {}
        self.process_scope: Any = None
        self.clean: tuple[Any, Any, set[Any]] | None = None
        self.provider: TracerProvider | None = None
        self.tracer: Tracer = trace.NoOpTracer()

    @property
    def wants_content(self) -> bool:
        """Whether the policy wants content at all; whether anybody gets it, ``content.py`` says."""
        return self.capture_spans or self.capture_events or self.keep_content

    def use_provider(self, provider: TracerProvider | None) -> None:
        """Make spans with ``provider`` (None: the global one) from now on."""
        self.provider = provider
        self.tracer = trace.get_tracer(
            SCOPE_NAME, own_version(), provider, schema_url=semconv.SCHEMA_URLS[self.profile]
        )
        self.project = project_of(provider) or self.project

    def prepare(self) -> None:
        """Do now what the first call would otherwise wait for; never raises."""
        try:
            self.redactor.value([])  # no text, so that no rule of the user runs
        except Exception as error:
            swallowed("calls.prepare", error)

    def use_profile(self, profile: str) -> None:
        """Emit renamed attributes in the spelling of ``profile``."""
        self.profile = profile
        self.renames = semconv.PROFILE_NAMES[profile]


def project_of(provider: TracerProvider | None) -> str | None:
    """``service.name`` of a provider's resource or of the environment; None where nobody set one."""
    try:
        attributes = getattr(
            getattr(provider or trace.get_tracer_provider(), "resource", None), "attributes", {}
        )
        name = attributes.get(semconv.SERVICE_NAME)
        if not isinstance(name, str) or name.startswith("unknown_service"):
            return project_of_environment()
        return name
    except Exception as error:
        swallowed("calls.project", error)
        return None


def project_of_environment() -> str | None:
    """``service.name`` as the standard variables give it."""
    import os
    from urllib.parse import unquote

    name = os.environ.get("OTEL_SERVICE_NAME", "").strip()
    if name:
        return name
    for part in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, _, value = part.partition("=")
        if key.strip() == semconv.SERVICE_NAME and value.strip():
            return unquote(value.strip())
    return None


active: Final = Telemetry()


def _clean(text: str) -> str:
    """What a log line of ours names, without secrets; before anything is set up and with redact=False too."""
    redactor = active.redactor
    if isinstance(redactor, PlainRedactor):
        from spantally.redaction import default_redactor

        redactor = default_redactor()
    return redactor.text(text)


guard.clean = _clean
"""The telemetry of this process; ``instrument()`` and the hook fill it in."""


def derived(base: Telemetry, provider: TracerProvider) -> Telemetry:
    """A telemetry with the policy of ``base`` that reports to another provider."""
    made = Telemetry(base.redactor)
    for name in _POLICY:
        setattr(made, name, getattr(base, name))
    made.use_provider(provider)
    return made


_POLICY: Final = (
    "capture_spans",
    "capture_events",
    "emit_details",
    "token_histograms",
    "keep_content",
    "keep_explicit",
    "content_limits",
    "ledger_limits",
    "media_files",
    "stream_usage",
    "coexist",
    "user",
    "entity",
    "tags",
    "project",
    "profile",
    "renames",
    "emit_event",
    "quote",
)
