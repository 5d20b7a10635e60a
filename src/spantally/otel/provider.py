"""Which tracer provider the spans go to, and how our processors get into it and out again.

A given provider is used as it is, else the global one. Where none is set, one is built and made global, *on
loan*: a later ``set_tracer_provider`` by the program wins without a warning, our processors move there, and
tracers that were handed out meanwhile go on into the program's provider.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk import resources
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator

from spantally.ground.guard import guarded, say_once, swallowed
from spantally.otel import global_providers
from spantally.otel.implicit import register_resolvers, set_trust_baggage, unregister_resolvers
from spantally.otel.otlp_exit import exit_guard, watch_exporters
from spantally.otel.redaction_net import multi_processor, place_in_front, sdk_provider

if TYPE_CHECKING:
    # The SDK's logs are imported by whoever sets a logger provider of theirs, and else by nobody.
    from spantally.calls.telemetry import RedactorLike
    from spantally.otel.log_processor import LogRecordProcessor
    from spantally.otel.metric_net import MetricNet


class OsRandomIds(IdGenerator):
    """Trace and span ids that leave the program's ``random`` (and its seed) alone."""

    def generate_span_id(self) -> int:
        """A span id that is not zero."""
        return int.from_bytes(os.urandom(8), "big") or 1

    def generate_trace_id(self) -> int:
        """A trace id that is not zero."""
        return int.from_bytes(os.urandom(16), "big") or 1

    def is_trace_id_random(self) -> bool:
        """True: W3C Trace Context level 2 may flag the ids as random."""
        return True


class Installation(NamedTuple):
    """Our processors in one provider.

    Attributes:
        provider: where they are.
        processor: ours.
        in_front: True if the processor stands before all others.
        remove: takes the processor out of the provider.
    """

    provider: Any
    processor: Any
    in_front: bool
    remove: Callable[[Any, Any], None]

    def uninstall(self) -> None:
        """Take the processor out again; what it handed over stays handed over."""
        try:
            self.remove(self.provider, self.processor)
        except Exception as error:
            swallowed("otel.uninstall", error)


def install(provider: Any, processor: SpanProcessor) -> Installation | None:
    """Put a span processor in front of those of an SDK provider; once, however often it is asked.

    Returns:
        None where the provider takes no processors (it is not the SDK's).
    """
    try:
        if multi_processor(provider) is None and not hasattr(provider, "add_span_processor"):
            return None
        in_front = place_in_front(provider, processor)
        watch_exporters(provider)
        return Installation(provider, processor, in_front, _remove_span_processor)
    except Exception as error:
        swallowed("otel.install", error)
        return None


def install_log_processor(provider: Any, processor: LogRecordProcessor) -> Installation | None:
    """The same for a logger provider."""
    try:
        if not hasattr(provider, "add_log_record_processor"):
            return None
        from spantally.otel.log_processor import place_log_processor, remove_log_processor

        in_front = place_log_processor(provider, processor)
        watch_exporters(provider)
        return Installation(provider, processor, in_front, remove_log_processor)
    except Exception as error:
        swallowed("otel.install_log", error)
        return None


def install_metric_net(provider: Any, net: MetricNet) -> Installation | None:
    """The same for a meter provider, whose readers get redacted metrics."""
    try:
        if getattr(provider, "_measurement_consumer", None) is None:
            return None
        from spantally.otel.metric_net import place_metric_net, remove_metric_net

        placed = place_metric_net(provider, net)
        return Installation(provider, net, placed, remove_metric_net)
    except Exception as error:
        swallowed("otel.install_metrics", error)
        return None


def _remove_span_processor(provider: Any, processor: SpanProcessor) -> None:
    multi = multi_processor(provider)
    if multi is None:
        return
    with multi._lock:
        multi._span_processors = tuple(one for one in multi._span_processors if one is not processor)


# -- a provider of our own ---------------------------------------------------------------------------


class OwnTracerProvider(TracerProvider):
    """The SDK's, whose forked children ask after their process without a pool of threads.

    Under gevent a wait for a thread lets other greenlets of the program run, in the child, too: also in that
    of ``subprocess``, which is there to become another program at once.
    """

    def _handle_fork(self) -> None:
        try:
            self._tracers_lock = threading.Lock()
            found = Resource.get_empty()
            for detector in resources._build_resource_detectors():
                if detector.is_process_dependent():
                    found = found.merge(detector.detect())
            self._update_resource(found)
        except Exception as error:
            swallowed("otel.provider_fork", error)


RedactorNow: TypeAlias = "Callable[[], RedactorLike | None]"


def build_provider(resource: Resource | None = None, redactor: RedactorNow | None = None) -> TracerProvider:
    """An SDK provider with the exporters that OTEL_* variables name, and none otherwise.

    It does not end itself at exit: :class:`Handover` does, unless the program has taken over.

    Args:
        resource: of the provider.
        redactor: what spans pass once more before an exporter sends them.
    """
    provider = OwnTracerProvider(resource=resource, shutdown_on_exit=False, id_generator=OsRandomIds())
    for name in exporter_names():
        exporter = _load_exporter(name)
        if exporter is not None:
            simple = name == "console"
            if redactor is not None:
                from spantally.otel.exporters import RedactingSpanExporter

                exporter = RedactingSpanExporter(exporter, redactor)
            provider.add_span_processor(
                SimpleSpanProcessor(exporter) if simple else BatchSpanProcessor(exporter)
            )
    return provider


_OTLP_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def exporter_names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Names of the trace exporters that an environment asks for, protocol included.

    Args:
        environ: the environment to read.
    """
    text = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if not text and any(environ.get(name, "").strip() for name in _OTLP_ENDPOINTS):
        text = "otlp"
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [_with_protocol(name, environ) for name in names if name.lower() != "none"]


def _with_protocol(name: str, environ: Mapping[str, str]) -> str:
    if name != "otlp":
        return name
    protocol = (
        environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "grpc"
    )
    return "otlp_proto_grpc" if protocol.strip().lower() == "grpc" else "otlp_proto_http"


def _load_exporter(name: str) -> Any:
    try:
        for entry in metadata.entry_points(group="opentelemetry_traces_exporter", name=name):
            return entry.load()()
        say_once(
            f"exporter:{name}",
            "spantally: no trace exporter %r is installed; %s",
            name,
            "pip install 'spantally[otlp]'" if name.startswith("otlp") else "nothing is sent by it",
        )
    except Exception as error:
        swallowed(f"otel.exporter.{name}", error)
    return None


class ProviderReport(NamedTuple):
    """What :func:`ensure_provider` found or made.

    Attributes:
        provider: where spans go.
        built: True if it is ours.
        is_global: True if it is the global provider.
        note: what a user should know, or None.
        handover: gives the loan back; None unless built.
    """

    provider: Any
    built: bool
    is_global: bool
    note: str | None = None
    handover: Handover | None = None


def ensure_provider(
    given: Any = None,
    *,
    on_handover: Callable[[Any], None] | None = None,
    resource: Resource | None = None,
    redactor: RedactorNow | None = None,
) -> ProviderReport:
    """The provider to use: given, global, or one built and lent to the program.

    Args:
        given: a provider of the program's own; used as it is.
        on_handover: called with the program's provider when it sets one later.
        resource: of a provider that is built.
        redactor: what the spans of a provider that is built pass once more before they are sent.
    """
    if given is not None:
        return ProviderReport(given, False, given is trace.get_tracer_provider())
    current = trace.get_tracer_provider()
    if global_providers.is_set("tracer") or not isinstance(current, trace.ProxyTracerProvider):
        return ProviderReport(current, False, True)
    provider = build_provider(resource, redactor)
    handover = Handover(provider, on_handover)
    if handover.lend():
        return ProviderReport(provider, True, True, handover=handover)
    note = (
        "this OpenTelemetry API does not let a later tracer provider win, so spantally's own is not made "
        "global: spans of other instrumentors are not seen until the program sets a provider"
    )
    say_once("provider:not-global", "spantally: %s", note)
    return ProviderReport(provider, True, False, note, handover)


class Handover:
    """A provider of ours that is global until the program sets its own."""

    def __init__(self, provider: TracerProvider, on_handover: Callable[[Any], None] | None) -> None:
        self.provider = provider
        self.done = False
        """True once the program's provider has taken over."""
        self._on_handover = on_handover
        self._watch: global_providers.Watch | None = None
        self._ended = False
        atexit.register(self.shutdown)

    def lend(self) -> bool:
        """Make the provider global for as long as the program sets none.

        Returns:
            False if that cannot be done so that a later one wins; then nothing is set.
        """
        if not global_providers.can_watch("tracer"):
            return False
        trace.set_tracer_provider(self.provider)
        if trace.get_tracer_provider() is not self.provider:
            return False
        self._watch = global_providers.watch("tracer", self._taken_over, self._on_handover)
        return self._watch is not None

    def _taken_over(self) -> None:
        theirs = trace.get_tracer_provider()
        if theirs is self.provider:
            return
        self.done = True
        if self._on_handover is not None:
            self._on_handover(theirs)
        self._forward(theirs)

    @guarded("otel.forward")
    def _forward(self, theirs: Any) -> None:
        """Tracers that our provider handed out write into the program's provider from now on."""
        target = sdk_provider(theirs)
        mine = multi_processor(self.provider)
        if target is None or mine is None:
            return
        ended = mine._span_processors
        with mine._lock:
            mine._span_processors = (target._active_span_processor,)
        self.provider.sampler = target.sampler
        self.provider._resource = target.resource
        for tracer in list(self.provider._tracers.values()):
            tracer.sampler = target.sampler
            tracer.resource = target.resource
        for processor in ended:
            if isinstance(processor, (BatchSpanProcessor, SimpleSpanProcessor)):
                processor.shutdown()

    @guarded("otel.give_back")
    def give_back(self) -> None:
        """Leave the global provider as if we had never lent one (``uninstrument()``)."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if not self.done and trace.get_tracer_provider() is self.provider:
            trace._TRACER_PROVIDER = None
            trace._TRACER_PROVIDER_SET_ONCE._done = False
        self.shutdown()

    @guarded("otel.provider_shutdown")
    def shutdown(self) -> None:
        """Flush and end the provider's exporters, once; after a hand-over they are the program's affair."""
        atexit.unregister(self.shutdown)
        if not self._ended and not self.done:
            self._ended = True
            self.provider.shutdown()


# -- every global provider, now and later --------------------------------------------------------------


class GlobalInstallation:
    """Our processors in the global providers that are set, and in those the program sets later."""

    def __init__(
        self,
        processor: SpanProcessor | None,
        make_log_processor: Callable[[], LogRecordProcessor] | None,
        make_metric_net: Callable[[], MetricNet] | None = None,
    ) -> None:
        self.processor = processor
        self.make_log_processor = make_log_processor
        self.make_metric_net = make_metric_net
        self.installations: list[Installation] = []
        self._watches: list[global_providers.Watch] = []

    def begin(self) -> GlobalInstallation:
        """Install where providers are set, and watch where they are not."""
        register_resolvers()
        set_trust_baggage(getattr(self.processor, "trust_baggage", None))
        watch_exporters(metrics.get_meter_provider())
        if self.processor is not None:
            if global_providers.is_set("tracer"):
                self.adopt_tracer_provider(trace.get_tracer_provider())
                self._look_after("tracer", self.adopt_tracer_provider)
            else:
                self._wait_for("tracer", trace.get_tracer_provider, self.adopt_tracer_provider)
        if self.make_log_processor is not None:
            if global_providers.is_set("logger"):
                self.adopt_logger_provider(_logs.get_logger_provider())
                self._look_after("logger", self.adopt_logger_provider)
            else:
                self._wait_for("logger", _logs.get_logger_provider, self.adopt_logger_provider)
        if self.make_metric_net is not None:
            if global_providers.is_set("meter"):
                self.adopt_meter_provider(metrics.get_meter_provider())
                self._look_after("meter", self.adopt_meter_provider)
            else:
                self._wait_for("meter", metrics.get_meter_provider, self.adopt_meter_provider)
        return self

    def _wait_for(self, signal: str, get: Callable[[], Any], adopt: Callable[[Any], None]) -> None:
        made = global_providers.watch(signal, lambda: adopt(get()), adopt)
        if made is not None:
            self._watches.append(made)

    def _look_after(self, signal: str, adopt: Callable[[Any], None]) -> None:
        """A provider that is refused, since the launcher's is there, may be used all the same."""
        made = global_providers.watch_refused(signal, adopt)
        if made is not None:
            self._watches.append(made)

    def adopt_tracer_provider(self, provider: Any) -> None:
        """Put the span processor into a provider, if it takes any."""
        if self.processor is not None and not self._has(provider):
            self._keep(install(provider, self.processor))

    def adopt_logger_provider(self, provider: Any) -> None:
        """Put the log processor into a provider, if it takes any."""
        make = self.make_log_processor
        if make is not None and hasattr(provider, "add_log_record_processor") and not self._has(provider):
            self._keep(install_log_processor(provider, make()))

    def adopt_meter_provider(self, provider: Any) -> None:
        """Let what the readers of a provider collect be redacted."""
        make = self.make_metric_net
        if make is not None and not self._has(provider):
            watch_exporters(provider)
            self._keep(install_metric_net(provider, make()))

    def _has(self, provider: Any) -> bool:
        return any(one.provider is provider for one in self.installations)

    def _keep(self, made: Installation | None) -> None:
        if made is not None:
            self.installations.append(made)

    def uninstall(self) -> None:
        """Take everything back."""
        unregister_resolvers()
        set_trust_baggage(None)
        exit_guard.stop()
        for watch in self._watches:
            watch.stop()
        self._watches.clear()
        for one in self.installations:
            one.uninstall()
        self.installations.clear()


def install_on_globals(
    processor: SpanProcessor | None,
    make_log_processor: Callable[[], LogRecordProcessor] | None,
    make_metric_net: Callable[[], MetricNet] | None = None,
) -> GlobalInstallation:
    """Install in the global tracer, logger and meter providers, now or when the program sets them.

    No global provider is set or built: this is what the hook uses.
    """
    return GlobalInstallation(processor, make_log_processor, make_metric_net).begin()
