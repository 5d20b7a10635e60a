"""The arguments of ``instrument()``, checked and completed from environment and defaults."""

# Annotations are not postponed: making a named tuple compiles each that is a text, 25 µs a field.

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from spantally.calls.limits import Limits
from spantally.calls.telemetry import PlainRedactor, RedactorLike, Telemetry
from spantally.ground.errors import SettingsError
from spantally.ground.guard import say_once
from spantally.ground.settings import from_argument, from_environment
from spantally.instrumentors.outbound import use_hosts
from spantally.otel.redactors import redactor_of


class Config(NamedTuple):
    """Settings of one activation. A field that is None was not given and leaves what is in force."""

    tracer_provider: Any = None
    meter_provider: Any = None
    logger_provider: Any = None
    ledger: Any = None
    ledger_given: bool = False
    capture_content: str | None = None
    emit_event: bool | None = None
    token_histograms: bool | None = None
    ledger_content: str | None = None
    content_limit: int | None = None
    content_span_limit: int | None = None
    ledger_content_limit: int | None = None
    media_files: bool | None = None
    media_limit: int | None = None
    stream_usage: str | None = None
    coexist: str | None = None
    export_filter: str | None = None
    console: str | None = None
    redactor: RedactorLike | None = None
    user: str | None = None
    entity: tuple[str, str] | None = None
    tags: tuple[tuple[str, str], ...] | None = None
    tools: tuple[str, ...] | None = None
    summary: bool | None = None
    semconv: str | None = None
    trust_baggage: bool | None = None
    baggage_deny: tuple[str, ...] | None = None
    baggage_allow: tuple[str, ...] | None = None
    synchronous: str | None = None
    sigterm: bool | None = None
    exporters: tuple[Any, ...] = ()


_PROVIDER_METHODS = {
    "tracer_provider": "get_tracer",
    "meter_provider": "get_meter",
    "logger_provider": "get_logger",
}

_SETTINGS = (
    "capture_content",
    "emit_event",
    "token_histograms",
    "ledger_content",
    "content_limit",
    "content_span_limit",
    "ledger_content_limit",
    "media_files",
    "media_limit",
    "stream_usage",
    "coexist",
    "export_filter",
    "console",
    "user",
    "entity",
    "tags",
    "tools",
    "summary",
    "semconv",
    "trust_baggage",
    "baggage_deny",
    "baggage_allow",
    "synchronous",
    "sigterm",
)


def from_call(arguments: Mapping[str, Any]) -> Config:
    """Check the arguments of a call.

    Raises:
        SettingsError: naming value and allowed range, before any effect.
    """
    values: dict[str, Any] = {}
    for name, method in _PROVIDER_METHODS.items():
        provider = arguments.get(name)
        if provider is not None and not callable(getattr(provider, method, None)):
            raise SettingsError(f"{name}={provider!r} is not a provider: it has no {method}()")
        values[name] = provider
    for name in _SETTINGS:
        given = arguments.get(name)
        values[name] = None if given is None else from_argument(name, given)
    ledger = arguments.get("ledger")
    if ledger is not None:
        values["ledger"] = _anchored(from_argument("ledger", ledger))
        values["ledger_given"] = True
    if arguments.get("exporters") is not None:
        from spantally.api.sinks import parse_exporters

        values["exporters"] = parse_exporters(arguments["exporters"])
    redact = arguments.get("redact")
    if redact is not None:
        values["redactor"] = redactor_of(redact) or PlainRedactor()
    return Config(**values)


def completed(config: Config) -> Config:
    """The config of a first activation: what was not given comes from environment and defaults."""
    values = config._asdict()
    for name in _SETTINGS:
        if values[name] is None:
            values[name] = from_environment(name)
    if not config.ledger_given:
        values["ledger"] = _anchored(from_environment("ledger"))
        values["ledger_given"] = True
    if config.redactor is None:
        values["redactor"] = redactor_of(None) or PlainRedactor()
    return Config(**values)


def _anchored(ledger: object) -> object:
    """A path as it is meant now: it is opened with the first record, when the program may be elsewhere."""
    if not isinstance(ledger, str) or ledger == ":memory:":
        return ledger
    try:
        return os.path.join(os.getcwd(), os.path.expanduser(ledger))  # noqa: PTH109, PTH111, PTH118
    except OSError:
        return ledger  # the current directory is gone


def _is_strict(redactor: RedactorLike) -> bool:
    """Whether a redactor fails closed; the default one is not made for this question."""
    try:
        strict = getattr(redactor, "strict", None)
    except Exception:
        return True  # somebody else's: nothing to say of it
    return bool(from_environment("redaction_strict")) if strict is None else bool(strict)


def apply_policy(config: Config, telemetry: Telemetry) -> None:
    """Put the given settings into force."""
    if config.redactor is not None:
        telemetry.redactor = config.redactor
        if isinstance(config.redactor, PlainRedactor):
            say_once(
                "redact:off",
                "spantally: redaction is off (redact=False or SPANTALLY_REDACT): secrets leave as they are",
            )
        elif not _is_strict(config.redactor):
            say_once(
                "redact:fallback",
                "spantally: redaction is not strict (strict=False or SPANTALLY_REDACTION_STRICT): where a "
                "rule of yours fails, the value passes without it",
            )
    if config.capture_content is not None:
        telemetry.capture_spans = config.capture_content in ("span_only", "span_and_event")
        telemetry.capture_events = config.capture_content in ("event_only", "span_and_event")
        telemetry.emit_details = telemetry.capture_events
    if config.emit_event is not None:
        telemetry.emit_details = config.emit_event
    if config.token_histograms is not None:
        telemetry.token_histograms = config.token_histograms
    if config.ledger_content is not None:
        telemetry.keep_content = config.ledger_content == "all"
        telemetry.keep_explicit = config.ledger_content != "never"
    if config.content_limit is not None:
        telemetry.content_limits = telemetry.content_limits._replace(attribute=config.content_limit)
    if config.content_span_limit is not None:
        telemetry.content_limits = telemetry.content_limits._replace(span=config.content_span_limit)
    if config.ledger_content_limit is not None:
        telemetry.ledger_limits = Limits(config.ledger_content_limit, config.ledger_content_limit)
    if config.stream_usage is not None:
        telemetry.stream_usage = config.stream_usage
    if config.coexist is not None:
        telemetry.coexist = config.coexist
    if config.user is not None:
        telemetry.user = config.user
    if config.entity is not None:
        telemetry.entity = config.entity
    if config.tags is not None:
        telemetry.tags = config.tags
    use_hosts(deny=config.baggage_deny, allow=config.baggage_allow)
    if config.semconv is not None:
        telemetry.use_profile(config.semconv)


def disabled_instrumentations(environ: Mapping[str, str]) -> frozenset[str]:
    """Names that OTEL_PYTHON_DISABLED_INSTRUMENTATIONS turns off."""
    names: Iterable[str] = environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())
