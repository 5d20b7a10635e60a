"""The only assembler: puts tracer, redaction, ledger and instrumentors together, and takes them apart.

One runtime is active in a process. It comes up by ``instrument()``, by the hook of
``opentelemetry-instrument`` or by ``spantally run``; whoever comes later changes only what it names.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from spantally.api import children, stragglers, termination
from spantally.api import processor as _processor  # noqa: F401 - gives span processors their ledger
from spantally.api.config import Config, apply_policy, completed, disabled_instrumentations, from_call
from spantally.api.console import close_console, flush_console, use_console
from spantally.api.folding import FoldingConsumer
from spantally.api.media import keep_media
from spantally.api.providers import Providers
from spantally.api.sinks import close_sinks, connect, flush_sinks, use_exporters
from spantally.api.store import LedgerConsumer
from spantally.calls import carrier, implicit, open_work, pipeline
from spantally.calls import telemetry as telemetry_module
from spantally.calls.operation import interrupt_open_operations
from spantally.calls.telemetry import Telemetry
from spantally.ground import places
from spantally.ground.errors import SettingsError, shown
from spantally.ground.guard import say_once, swallowed
from spantally.ground.places import config_path
from spantally.ground.session_state import use_common_budget
from spantally.ground.setting_names import say_misspelt
from spantally.ground.settings import from_environment, is_disabled
from spantally.ground.worker import worker
from spantally.instrumentors.base import TableInstrumentor
from spantally.otel.implicit import trusts_baggage
from spantally.otel.otlp_exit import exit_guard

if TYPE_CHECKING:
    from spantally.api.summary import SummaryConsumer

EXIT_SECONDS: Final = 5.0
"""How long the end of the process waits for the ledger at most."""

STOP_SECONDS: Final = 1.0
"""How long :func:`uninstrument` waits for the worker's thread to end, after all is written."""

SIGTERM_SECONDS: Final = 1.0
"""How long it waits for sinks where it was told to go."""

_lock: Final = threading.RLock()


def load_for_content() -> None:
    """Have the redaction engine ready, whose patterns take 0.1 s: the first tool may run on an event loop."""
    import_module("spantally.calls.work_messages")


class Runtime:
    """What is in force in this process."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.providers = Providers()
        self.ledger: LedgerConsumer | None = None
        self.summary: SummaryConsumer | None = None
        self.media_wanted = False
        self.media_limit = config.media_limit or 0
        self.folding = FoldingConsumer()
        pipeline.add_consumer(self.folding)
        self.finished = False
        try:
            self._use_budgets()
        except Exception as error:
            swallowed("api.budgets", error)

    def _use_budgets(self) -> None:
        """The budgets of the settings file; a process without that file does not import what they are."""
        if config_path().is_file() or from_environment("config") is not None:
            from spantally.api.limits import use_file

            use_file()

    def configure(self, config: Config, *, build_provider: bool) -> None:
        """Put the given settings into force; each part fails for itself."""
        telemetry = telemetry_module.active
        apply_policy(config, telemetry)
        if config.ledger_given:
            try:
                self._use_ledger(config)
            except Exception as error:
                swallowed("api.ledger", error)
        if config.media_files is not None or config.media_limit is not None or config.ledger_given:
            try:
                self._use_media(config, telemetry)
            except Exception as error:
                swallowed("api.media", error)
        try:
            self.providers.install(config, telemetry, build=build_provider)
        except Exception as error:
            swallowed("api.providers", error)
        try:
            if config.exporters:
                use_exporters(config.exporters)
            connect(self.providers)
        except Exception as error:
            swallowed("api.sinks", error)
        if config.console is not None:
            try:
                use_console(config.console)
            except Exception as error:
                swallowed("api.console", error)
        if config.summary is not None:
            self._use_summary(config.summary)
        if telemetry.capture_spans or telemetry.capture_events or telemetry.keep_content:
            try:
                load_for_content()
            except Exception as error:
                swallowed("api.content", error)
        if config.sigterm:
            termination.install(self.end_now, self.send_last)
        elif config.sigterm is False:
            termination.uninstall()

    def _use_ledger(self, config: Config) -> None:
        if self.ledger is not None:
            if config.ledger == self.ledger.target:
                return
            self._drop_ledger()
        if config.ledger is not False:
            self.ledger = LedgerConsumer(
                config.ledger, config.synchronous or self.config.synchronous or "normal"
            )
            places.tell_written(config.ledger)
            pipeline.add_consumer(self.ledger)
            stragglers.hand_over()
            open_work.add_taker(self.ledger.take_marks)

    def _use_media(self, config: Config, telemetry: Telemetry) -> None:
        if config.media_files is not None:
            self.media_wanted = config.media_files
        if config.media_limit is not None:
            self.media_limit = config.media_limit
        target = None if self.ledger is None else self.ledger.target
        keep_media(telemetry, target, self.media_limit if self.media_wanted and self.ledger else None)

    def _drop_ledger(self) -> None:
        if self.ledger is not None:
            open_work.remove_taker(self.ledger.take_marks)
            pipeline.remove_consumer(self.ledger)
            self.ledger.close()
            self.ledger = None
            places.tell_written(None)

    def _use_summary(self, wanted: bool) -> None:
        if wanted and self.summary is None:
            from spantally.api import summary

            if summary.claim():
                self.summary = summary.SummaryConsumer()
                pipeline.add_consumer(self.summary, first=True)
        elif not wanted and self.summary is not None:
            pipeline.remove_consumer(self.summary)
            self.summary = None

    def end_work(self) -> None:
        """End what is open: operations as interrupted, the run's own session as finished."""
        pipeline.end_late_now(wait=1.0)
        interrupt_open_operations()
        settle_budgets()
        implicit.finish_process_session()

    def end_now(self) -> None:
        """The same where the process is told to go; sinks get what waits for them."""
        self.end_work()
        flush_sinks(SIGTERM_SECONDS)
        flush_console(SIGTERM_SECONDS / 2)

    def _kept(self) -> tuple[bool, int]:
        """Whether a ledger outlives the process, and how many records it has not taken."""
        if self.ledger is None or not self.ledger.outlives:
            return False, 0
        return True, self.ledger.unwritten()

    def send_last(self, seconds: float) -> None:
        """What follows once the tally of a process that was told to go is written: its line, and its spans.

        Args:
            seconds: how long exporters may take.
        """
        if self.summary is not None:
            self.summary.print_line(*self._kept())
        self.providers.before_exit(*self._kept())
        self.providers.flush(seconds)

    def at_exit(self) -> None:
        """The end of the process: everything ends, the ledger gets it, the summary is said. Runs once."""
        if self.finished:
            return
        self.finished = True
        try:
            self.end_work()
            worker.flush(EXIT_SECONDS)
            close_sinks()
            close_console()
            if self.summary is not None:
                self.summary.print_line(*self._kept())
            self.providers.before_exit(*self._kept())
        except Exception as error:
            swallowed("api.exit", error)

    def take_down(self) -> None:
        """Undo everything."""
        termination.uninstall()
        settle_budgets()
        worker.flush(EXIT_SECONDS)
        if (counted := sys.modules.get("spantally.budgets.account")) is not None:
            counted.give_up()
        if use_common_budget(None):
            from spantally.api.limits import drop_file

            drop_file()
        self.providers.uninstall()
        pipeline.remove_consumer(self.folding)
        if self.summary is not None:
            pipeline.remove_consumer(self.summary)
        if self.ledger is not None:
            try:
                stragglers.wait_for_open(self.ledger)
            except Exception as error:
                swallowed("api.stragglers", error)
        self._drop_ledger()
        keep_media(telemetry_module.active, None, None)
        # What is still open ends later, and is redacted as it was promised.
        telemetry_module.active.reset(telemetry_module.active.redactor)


current: Runtime | None = None


def instrumentors() -> dict[str, TableInstrumentor]:
    """All our instrumentors, by the name of their entry point."""
    from spantally.instrumentors.anthropic import AnthropicInstrumentor
    from spantally.instrumentors.baggage import BaggageInstrumentor
    from spantally.instrumentors.fastapi import FastAPIInstrumentor
    from spantally.instrumentors.httpx2 import HTTPX2Instrumentor
    from spantally.instrumentors.langchain import LangChainInstrumentor
    from spantally.instrumentors.mcp import MCPInstrumentor
    from spantally.instrumentors.openai import OpenAIInstrumentor
    from spantally.instrumentors.openai_agents import OpenAIAgentsInstrumentor
    from spantally.instrumentors.processes import ProcessesInstrumentor
    from spantally.instrumentors.pydantic_ai import PydanticAIInstrumentor
    from spantally.instrumentors.threads import ThreadingInstrumentor
    from spantally.instrumentors.tools import ToolsInstrumentor

    return {
        "spantally_anthropic": AnthropicInstrumentor(),
        "spantally_fastapi": FastAPIInstrumentor(),
        "spantally_httpx2": HTTPX2Instrumentor(),
        "spantally_langchain": LangChainInstrumentor(),
        "spantally_mcp": MCPInstrumentor(),
        "spantally_openai": OpenAIInstrumentor(),
        "spantally_openai_agents": OpenAIAgentsInstrumentor(),
        "spantally_processes": ProcessesInstrumentor(),
        "spantally_pydantic_ai": PydanticAIInstrumentor(),
        "spantally_threading": ThreadingInstrumentor(),
        "spantally_tools": ToolsInstrumentor(),
        "spantally_baggage": BaggageInstrumentor(),
    }


def instrument(
    *,
    tracer_provider: Any = None,
    meter_provider: Any = None,
    logger_provider: Any = None,
    ledger: Any = None,
    capture_content: str | None = None,
    emit_event: bool | None = None,
    token_histograms: bool | None = None,
    ledger_content: str | None = None,
    content_limit: int | None = None,
    content_span_limit: int | None = None,
    ledger_content_limit: int | None = None,
    media_files: bool | None = None,
    media_limit: int | None = None,
    stream_usage: str | None = None,
    coexist: str | None = None,
    export_filter: str | None = None,
    console: bool | str | None = None,
    redact: Any = None,
    user: str | None = None,
    entity: tuple[str, str] | str | None = None,
    tags: Any = None,
    tools: Any = None,
    summary: bool | None = None,
    semconv: str | None = None,
    trust_baggage: bool | None = None,
    baggage_deny: Any = None,
    baggage_allow: Any = None,
    synchronous: str | None = None,
    sigterm: bool | None = None,
    exporters: Any = None,
) -> None:
    """Start watching: patches SDKs as they are imported, installs processors and ledger. Twice is once.

    It imports no SDK. Spans go to the given provider, else the global one; where none is set one is built,
    and handed over to a provider that the program sets later.

    Args:
        tracer_provider: makes the spans.
        meter_provider: makes the metrics.
        logger_provider: takes content events.
        ledger: where the tally is kept: a path, ``":memory:"``, False for none, or an object of
            :class:`spantally.ledger.Store`; by default SPANTALLY_LEDGER, else the user's ledger.
        capture_content: what redacted content is exported: ``"no_content"``, ``"span_only"``,
            ``"event_only"`` or ``"span_and_event"``; by default the standard environment variable says.
        emit_event: whether each inference sends the log event of its details; by default where content is
            exported as events.
        token_histograms: whether metrics hold the tokens of each call as a distribution, too.
        ledger_content: what redacted content the ledger keeps: ``"never"``, ``"explicit"`` or ``"all"``.
        content_limit: most characters of one exported attribute of content; what is longer is shortened and
            says so.
        content_span_limit: most characters of all content of one span or event.
        ledger_content_limit: most characters of content that the ledger keeps of one call.
        media_files: True to keep inline media of captured content as files beside the ledger.
        media_limit: most bytes of these files together.
        stream_usage: what is done where a stream would report no usage: ``"unknown"`` leaves it so,
            ``"request"`` asks the provider for it and hides the further chunk from the program,
            ``"estimate"`` estimates it and marks the row.
        coexist: whose span a call gets that another instrumentor traces, too: ``"yield"`` leaves theirs as
            the only one and joins the call to it, ``"own"`` makes ours beside it.
        export_filter: which spans are exported: ``"all"``, or ``"genai"`` alone.
        console: show on stderr, as it happens, what agents, calls and tools do and cost: True or ``"full"``,
            ``"summary"`` for the ends of sessions and top-level agents, False or ``"off"``.
        redact: True (the default), a :class:`Redactor`, or False: nothing is hidden, and the log says so.
        user: user of calls whose session names none.
        entity: entity of such calls, ``("customer", "acme")`` or ``"customer:acme"``.
        tags: tags of every call; those of a session win.
        tools: functions to wrap as tools: ``["package.module:function"]``.
        summary: print one line at exit.
        semconv: spelling of renamed attributes, ``"latest"`` or ``"1.41"``.
        trust_baggage: whether inbound baggage may name session, user, entity and tags.
        baggage_deny: hosts whose requests do not carry them as baggage, ``["*.example.com"]``, beside those
            of model providers, which never do.
        baggage_allow: the only hosts whose requests carry them.
        synchronous: ``"normal"`` or ``"full"`` durability of the SQLite ledger.
        sigterm: whether tally and spans are drained on SIGTERM where the program has no handler.
        exporters: a list of exporters that get every finished span, each on a thread of its own; see
            :func:`add_exporter`.

    Raises:
        SettingsError: (a ValueError) naming value and allowed range, before any effect.
    """
    config = from_call(locals())
    if is_disabled():
        return
    activate(config, build_provider=True)
    _enable(instrumentors(), frozenset(), config)


def settle_budgets() -> None:
    """Where there are budgets: what waits for its price is told without it. Never raises."""
    if (brake := sys.modules.get("spantally.budgets.brake")) is not None:
        try:
            brake.settle_last()
        except Exception as error:
            swallowed("api.settle_budgets", error)


def uninstrument() -> None:
    """Take everything back: patches, processors, ledger. What waits is written first. Never raises.

    What is open (a stream that is still read) has its row written once it ends.
    """
    global current
    with _lock:
        for name, instrumentor in instrumentors().items():
            try:
                if instrumentor.is_instrumented_by_opentelemetry:
                    instrumentor.uninstrument()
            except Exception as error:
                swallowed(f"{name}.uninstrument", error)
        if current is not None:
            try:
                current.take_down()
            except Exception as error:
                swallowed("api.uninstrument", error)
            atexit.unregister(current.at_exit)
            children.let_go()
            current = None
            carrier.disown_environment()
        close_sinks()
        close_console()
        try:
            worker.stop(STOP_SECONDS)  # the last that is left of us; the next item starts it again
            if stragglers.are_left():
                worker.start()  # what a finaliser notes starts nothing
        except Exception as error:
            swallowed("api.worker_stop", error)


def flush(timeout: float = 5.0) -> bool:
    """Write the tally and export spans, metrics and logs, now.

    Args:
        timeout: seconds to wait at most, for all of it.

    Returns:
        True if all of it was written and exported in time.

    Raises:
        SettingsError: (a ValueError) for a timeout that is no number of seconds from 0 up.
    """
    if not _is_seconds(timeout):
        raise SettingsError(f"flush(timeout={shown(timeout)}): use a number of seconds, 0 or more")
    deadline = time.monotonic() + timeout
    try:
        pipeline.end_late_now()
        ledger = None if current is None else current.ledger
        if ledger is not None:
            ledger.try_again()
        done = worker.flush(timeout)
        if ledger is not None:
            done = done and not ledger.holds_records()
        done = flush_sinks(max(0.0, deadline - time.monotonic())) and done
        done = flush_console(max(0.0, deadline - time.monotonic())) and done
        if current is not None:
            done = current.providers.flush(max(0.0, deadline - time.monotonic())) and done
        return done
    except Exception as error:
        swallowed("api.flush", error)
        return False


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def activate(config: Config, *, build_provider: bool) -> None:
    """Bring the runtime up, or change what ``config`` names; each part fails for itself."""
    global current
    with _lock:
        if current is None:
            say_misspelt()
            config = completed(config)
            current = Runtime(config)
            current.configure(config, build_provider=build_provider)
            # Registered last, so that it runs before the shutdown of the providers made so far; for those
            # made later the guard of the exporters runs it first.
            atexit.register(current.at_exit)
            exit_guard.exit_work = current.at_exit
            children.at_end_of_child(current.at_exit)
            if trusts_baggage():
                carrier.adopt_environment()
        else:
            current.configure(config, build_provider=build_provider)


def activate_from_hook() -> None:
    """What the ``opentelemetry_pre_instrument`` hook runs: all but the instrumentors, no global provider."""
    if is_disabled():
        return
    activate(Config(), build_provider=False)


def lend_provider() -> None:
    """What ``spantally run`` has in the place of a configurator where nothing is exported; never raises.

    A tracer provider is needed for the spans of others, which tell of calls that we do not see; the program's
    own takes its place when it comes.
    """
    try:
        from importlib.metadata import entry_points  # late: the launcher has it already

        if is_disabled() or not entry_points(group="opentelemetry_configurator"):
            return
        activate(Config(), build_provider=True)
    except Exception as error:
        swallowed("api.lend_provider", error)


def activate_from_run() -> None:
    """What ``spantally run`` runs at the start of each Python process beneath it."""
    if is_disabled():
        return
    if current is None:
        activate(Config(), build_provider=False)
    _enable(instrumentors(), disabled_instrumentations(os.environ), Config())


def _enable(known: dict[str, TableInstrumentor], disabled: frozenset[str], config: Config) -> None:
    for name, instrumentor in known.items():
        try:
            if name in disabled or "*" in disabled:
                continue
            tools = config.tools if name == "spantally_tools" else None
            if instrumentor.is_instrumented_by_opentelemetry:
                if tools is None:
                    continue
                instrumentor.uninstrument()
            instrumentor.instrument(skip_dep_check=True, **({} if tools is None else {"tools": tools}))
        except Exception as error:
            swallowed(f"{name}.enable", error)
            say_once(f"enable:{name}", "spantally: %s could not be enabled", name)


def net_report() -> dict[str, Any] | None:
    """Which redaction net is in use."""
    return None if current is None else current.providers.net_report()


def ledger_consumer() -> LedgerConsumer | None:
    """The consumer that feeds the active ledger."""
    return None if current is None else current.ledger


def _after_fork_in_child() -> None:
    """The child's exit is its own: it must end what it began, once."""
    if current is not None:
        current.finished = False
        current.summary = None  # the one line is the parent's to say


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
