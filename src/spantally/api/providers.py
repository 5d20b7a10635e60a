"""The providers of this process: our processors in them, our tracer on them, and the way out of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from spantally.api.config import Config
from spantally.api.events import EventEmitter
from spantally.calls import pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.calls.telemetry import PlainRedactor, Telemetry
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.records import CallRecord
from spantally.otel.metrics import MetricsConsumer
from spantally.otel.provider import (
    GlobalInstallation,
    Handover,
    Installation,
    ensure_provider,
    install,
    install_log_processor,
    install_metric_net,
    install_on_globals,
)
from spantally.otel.span_processor import SpanProcessor

if TYPE_CHECKING:
    from spantally.calls.telemetry import RedactorLike
    from spantally.ground.money import Rating
    from spantally.otel.log_processor import LogRecordProcessor
    from spantally.otel.metric_net import MetricNet
    from spantally.pricing.ordinary import Said


_rate_if_loaded: Callable[[CallRecord], Rating] | None = None
"""Kept: an import statement costs more with each record than to find the rating that is known already."""


def _rate(record: CallRecord) -> Rating:
    """Usage and cost, as the ledger has them too: who comes second finds what the first has made of it."""
    global _rate_if_loaded
    if _rate_if_loaded is None:
        from spantally.pricing import rate_if_loaded

        _rate_if_loaded = rate_if_loaded
    return _rate_if_loaded(record)


def _quote(operation: Any) -> Said | None:
    """The price of what has just ended; its record, which is not made yet, has the same fields."""
    # Not imported here: the first call of a program would wait for it. Another thread may be importing it;
    # the package has the function once its module is whole.
    price_of = getattr(sys.modules.get("spantally.pricing"), "price_of", None)
    if price_of is None:
        return None
    telemetry = operation.telemetry
    if telemetry.quote is _quote:
        telemetry.quote = price_of  # it is there to stay
    said: Said | None = price_of(operation)
    return said


def _on_prices(callback: Callable[[], None]) -> None:
    """Load the price data, on a thread of its own, and call back."""
    from spantally import pricing

    pricing.on_loaded(callback)
    pricing.ensure_loading()


def _redact_of(telemetry: Telemetry) -> Any:
    return False if isinstance(telemetry.redactor, PlainRedactor) else telemetry.redactor


class Providers:
    """What was installed where, so that all of it can be taken back."""

    def __init__(self) -> None:
        self.processor: SpanProcessor | None = None
        self.log_processor: LogRecordProcessor | None = None
        self.metric_net: MetricNet | None = None
        self.installations: list[Installation] = []
        self.on_globals: GlobalInstallation | None = None
        self.handover: Handover | None = None
        self.given: dict[str, Any] = {}
        self.metrics: MetricsConsumer | None = None
        self._telemetry: Telemetry | None = None

    def install(self, config: Config, telemetry: Telemetry, *, build: bool) -> None:
        """Put our processors in front of the providers' own, once, and make spans there.

        Args:
            config: names providers, or leaves the global ones.
            telemetry: makes the spans.
            build: whether a tracer provider may be built where none is set.
        """
        self._telemetry = telemetry
        if self.processor is None:
            self._make_processors(config, telemetry)
        elif config.redactor is not None:
            self._use_redactor(telemetry)
        assert self.processor is not None
        if config.export_filter is not None:
            self.processor.only_genai = config.export_filter == "genai"
        for name in ("tracer_provider", "meter_provider", "logger_provider"):
            provider = getattr(config, name)
            if provider is not None:
                self.given[name] = provider
        if self.on_globals is None:
            self.on_globals = install_on_globals(self.processor, self._logs, self._net)
        if config.tracer_provider is not None:
            self._adopt(install(config.tracer_provider, self.processor))
        elif build and self.handover is None and "tracer_provider" not in self.given:
            found = ensure_provider(on_handover=self._handed_over, redactor=self._redactor_now)
            self.handover = found.handover
            self._adopt(install(found.provider, self.processor))
            if found.built and not found.is_global:
                self.given["tracer_provider"] = found.provider
        if config.logger_provider is not None:
            self._adopt(install_log_processor(config.logger_provider, self._logs()))
        if config.meter_provider is not None:
            self._adopt(install_metric_net(config.meter_provider, self._net()))
        telemetry.use_provider(self.given.get("tracer_provider"))
        telemetry.quote = _quote
        telemetry.emit_event = EventEmitter(
            self.given.get("logger_provider"), semconv.SCHEMA_URLS[telemetry.profile]
        )
        self._measure(config, telemetry)

    def _measure(self, config: Config, telemetry: Telemetry) -> None:
        """Record metrics on the given meter provider, else on the global one, whoever sets it and when."""
        if self.metrics is not None:
            if config.meter_provider is None:
                return
            pipeline.remove_consumer(self.metrics)
        self.metrics = MetricsConsumer(self.given.get("meter_provider"), telemetry, _rate, _on_prices)
        pipeline.add_consumer(self.metrics)

    def _make_processors(self, config: Config, telemetry: Telemetry) -> None:
        self.processor = SpanProcessor(
            redact=_redact_of(telemetry),
            trust_baggage=config.trust_baggage,
            sink=pipeline.emit_foreign,
            is_metered=pipeline.is_metered,
            telemetry=telemetry,
        )

    def _logs(self) -> LogRecordProcessor:
        """The processor of log records, made with the first logger provider."""
        if self.log_processor is None:
            from spantally.otel.log_processor import LogRecordProcessor

            telemetry = telemetry_module.active if self._telemetry is None else self._telemetry
            self.log_processor = LogRecordProcessor(redact=_redact_of(telemetry))
        return self.log_processor

    def _net(self) -> MetricNet:
        """The net of metrics, made with the first meter provider."""
        if self.metric_net is None:
            from spantally.otel.metric_net import MetricNet

            self.metric_net = MetricNet(self._redactor_now)
        return self.metric_net

    def _redactor_now(self) -> RedactorLike | None:
        """The redactor in force, which a later ``instrument(redact=...)`` may replace."""
        return None if self.processor is None else self.processor.redactor

    def _use_redactor(self, telemetry: Telemetry) -> None:
        redactor = None if isinstance(telemetry.redactor, PlainRedactor) else telemetry.redactor
        if self.processor is not None:
            self.processor.redactor = redactor
        if self.log_processor is not None:
            self.log_processor.redactor = redactor

    def _adopt(self, made: Installation | None) -> None:
        if made is not None and all(one.provider is not made.provider for one in self.installations):
            self.installations.append(made)

    def _handed_over(self, provider: Any) -> None:
        """The program set its own provider: our processors and tracer move there."""
        if self.processor is not None:
            self._adopt(install(provider, self.processor))
        if self._telemetry is not None:
            self._telemetry.use_provider(provider)

    def all_providers(self) -> list[Any]:
        """Every provider that may hold exporters: given, global, and those we are installed in."""
        from opentelemetry import _logs, metrics, trace

        found: list[Any] = []
        for provider in (
            *self.given.values(),
            *(one.provider for one in self.installations),
            trace.get_tracer_provider(),
            metrics.get_meter_provider(),
            _logs.get_logger_provider(),
        ):
            if all(provider is not one for one in found):
                found.append(provider)
        return found

    def flush(self, timeout: float) -> bool:
        """Export what waits in every provider.

        Args:
            timeout: seconds to wait at most, for all.
        """
        deadline = time.monotonic() + timeout
        done = True
        for provider in self.all_providers():
            force_flush = getattr(provider, "force_flush", None)
            if force_flush is None:
                continue
            left = int(max(0.0, deadline - time.monotonic()) * 1000)
            try:
                if not left and _holds_nothing(provider):
                    continue  # the SDK says False without a look
                done = force_flush(left) is not False and left > 0 and done
            except Exception as error:
                swallowed("api.force_flush", error)
                done = False
        return done

    def before_exit(self, kept: bool, unwritten: int) -> None:
        """Nothing that cannot be delivered may hold up the end of the process.

        Args:
            kept: whether a ledger keeps the calls.
            unwritten: records that it has not taken.
        """
        from spantally.otel.otlp_exit import before_exit

        before_exit(self.all_providers(), tally_kept=kept, unwritten=unwritten)

    def uninstall(self) -> None:
        """Take processors out of every provider, and the lent provider back."""
        if self.on_globals is not None:
            self.on_globals.uninstall()
        for one in self.installations:
            one.uninstall()
        self.installations.clear()
        if self.handover is not None:
            self.handover.give_back()
        if self.metrics is not None:
            pipeline.remove_consumer(self.metrics)
        self.__init__()  # type: ignore[misc]

    def net_report(self) -> dict[str, Any] | None:
        """Which redaction net is in use, tried now."""
        if self.processor is None:
            return None
        from spantally.otel.net_probe import feature_test

        return feature_test()._asdict()


def _holds_nothing(provider: Any) -> bool:
    """Whether a provider of the SDK, or ours, hands on each span at once and keeps none."""
    from spantally.otel.otlp_exit import holders_of

    if not type(provider).__module__.startswith(("opentelemetry.sdk.", "spantally.")):
        return False
    kinds = [type(one) for _, one in holders_of(provider)]
    return all(
        kind.__module__.startswith("spantally.")
        or (kind.__module__.startswith("opentelemetry.sdk.") and kind.__name__.startswith("Simple"))
        for kind in kinds
    )
