"""Failures while spantally comes up, works in the background and goes down; and that no guard is untested."""

from __future__ import annotations

import ast
import asyncio
import fnmatch
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import TracerProvider

import spantally
import test_budgets_faults as budgets
import test_budgets_opening as opening
import test_budgets_settling as settling
import test_host_first_anthropic as anthropic
import test_host_first_faults as faults
import test_host_first_sockets as sockets
import test_otel_cost as costs
import test_propagation_faults as crossing
import test_recording_calls as recorded
import test_recording_events as told
import test_recording_paid_tools as paid
import test_said_later as later
from host_kit import Program, script
from spantally.api import children, runtime, termination
from spantally.api.hook import pre_instrument
from spantally.api.summary import SummaryConsumer
from spantally.calls import implicit, media, operation, pipeline, starting, telemetry
from spantally.calls.media_files import MediaFiles
from spantally.calls.plans import Plan
from spantally.calls.telemetry import project_of
from spantally.ground import guard
from spantally.ground.records import Kind
from spantally.ground.session_state import forget_sessions
from spantally.ground.worker import worker
from spantally.instrumentors import baggage as baggage_gate
from spantally.instrumentors.openai import batches as openai_batches
from spantally.instrumentors.openai import peers
from spantally.instrumentors.patching import Patch, PatchSet
from spantally.instrumentors.stainless import batches
from spantally.testing import Reply, ScriptedServer

SOURCE = Path(spantally.__file__).parent
FORMS = ("chat", "stream", "broken off", "async chat", "agent", "with session", "refused")


class Boom(Exception):
    """What the forced failures raise."""


def fail(*args: Any, **kwargs: Any) -> Any:
    """Stands in for the part that fails."""
    raise Boom


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with ScriptedServer(script) as server, asyncio.Runner() as loop:
        made = Program(server, loop)
        yield made
        made.close()


@pytest.fixture(scope="module")
def without_us(program: Program) -> dict[str, Any]:
    spantally.uninstrument()
    return program.run(FORMS)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    before = otel_context.get_current()
    spantally.uninstrument()
    forget_sessions()
    implicit.forget_process_session()
    guard.reset()
    yield
    spantally.uninstrument()
    implicit.forget_process_session()
    guard.reset()
    otel_context.attach(before)


def met() -> set[str]:
    """Guards that a forced failure has reached."""
    return {where for where, kind in guard.failures if kind == "Boom"}


LIFE: dict[str, tuple[str, ...]] = {
    "spantally.instrumentors.base:TableInstrumentor.instrument": ("spantally_openai.enable",),
    "spantally.instrumentors.base:PatchSet.enable": ("OpenAIInstrumentor.instrument",),
    "spantally.instrumentors.patching:wrapt.apply_patch": ("openai.patch", "threads.patch"),
    "spantally.instrumentors.patching:wrapt.register_post_import_hook": ("tools.hook",),
    "spantally.instrumentors.tools:_patches": ("tools.instrument",),
    "spantally.api.runtime:Runtime._use_ledger": ("api.ledger",),
    "spantally.api.runtime:keep_media": ("api.media",),
    "spantally.api.runtime:Providers.install": ("api.providers",),
    "spantally.api.runtime:connect": ("api.sinks",),
    "spantally.api.runtime:worker.flush": ("api.flush", "api.uninstrument"),
    "spantally.api.runtime:worker.stop": ("api.worker_stop",),
    "opentelemetry.sdk.trace:TracerProvider.force_flush": ("api.force_flush",),
    "spantally.api.totals:_fold": ("api.totals",),
    "spantally.ledger.writer:LedgerWriter.handle": ("calls.consumer",),
    "spantally.ledger.writer:LedgerWriter.close": ("api.ledger_close",),
    "spantally.ledger.opening:open_store": ("calls.consumer",),
    "spantally.ledger.sqlite.store:SQLiteStore.write": ("ledger.store",),
    "spantally.ledger.sqlite.store:SQLiteStore.close": ("ledger.close",),
    "spantally.pricing:rate_if_loaded": ("ledger.rate",),
    "spantally.pricing:ensure_loading": ("calls.consumer",),
    "spantally.instrumentors.openai.call:OpenAICall._prepare_abandoned": ("calls.late_facts",),
    "spantally.calls.operation:_LateEnd.__call__": ("calls.end_late",),
    "spantally.otel.metrics:MetricsConsumer._record": ("otel.metrics",),
    "spantally.api.session_telling:implicit.record_session": ("session.record",),
}


@pytest.mark.parametrize("target", LIFE)
def test_failure_while_coming_up_working_or_going_down_stays_ours(
    target: str, program: Program, without_us: dict[str, Any], tmp_path: Path
) -> None:
    """From instrument() to uninstrument(), one part raises each time it runs: the program gets the same."""
    down = runtime.Runtime.take_down
    with pytest.MonkeyPatch.context() as patch:
        worker.stop()
        faults._force(patch, target)
        patch.setattr(faults, "Boom", Boom)
        up: list[runtime.Runtime] = []

        def take_down(self: runtime.Runtime) -> None:
            up.append(self)
            down(self)

        patch.setattr(runtime.Runtime, "take_down", take_down)
        spantally.instrument(
            ledger=tmp_path / "life.db",
            tracer_provider=TracerProvider(shutdown_on_exit=False),
            tools=["no_such_module_at_all:function"],
        )
        got = program.run(FORMS)
        with spantally.session("read") as read:
            program.ask()
        assert read.totals.calls in (0, 1)
        spantally.flush(5)
        spantally.uninstrument()
    for one in up:
        down(one)  # what the failure kept from being taken down
    assert got == without_us
    assert set(LIFE[target]) <= met()


def _raising_patch(patch: pytest.MonkeyPatch) -> None:
    """A patch set whose restoring fails, and one whose module is imported while applying it fails."""
    patches = PatchSet("unit", [Patch("json", "dumps", lambda wrapped, _, args, kwargs: wrapped(*args))])
    import json

    original = json.dumps
    patches.enable()
    with pytest.MonkeyPatch.context() as inner:
        inner.setattr("spantally.instrumentors.patching._restore", fail)
        patches.disable()
    json.dumps = original
    late = PatchSet("unit", [Patch("sched", "scheduler", lambda wrapped, _, args, kwargs: None)])
    sys.modules.pop("sched", None)
    late.enable()
    patch.setattr(late, "_apply_module", fail)
    import sched

    assert isinstance(sched.scheduler(), sched.scheduler)


def _raising_uninstrument(patch: pytest.MonkeyPatch) -> None:
    spantally.instrument(ledger=False)
    with pytest.MonkeyPatch.context() as inner:
        inner.setattr(PatchSet, "disable", fail)
        spantally.uninstrument()
    for made in runtime.instrumentors().values():
        made.patch_set.disable()
    spantally.instrument(ledger=False)
    with pytest.MonkeyPatch.context() as inner:
        inner.setattr("opentelemetry.instrumentation.instrumentor.BaseInstrumentor.uninstrument", fail)
        spantally.uninstrument()


def _raising_exit(patch: pytest.MonkeyPatch) -> None:
    spantally.instrument(ledger=False, summary=True)
    assert runtime.current is not None
    patch.setattr(sys, "stderr", type("Broken", (), {"closed": False, "write": fail})())
    runtime.current.summary = runtime.current.summary or SummaryConsumer()
    runtime.current.at_exit()
    runtime.current.finished = False
    patch.setattr(runtime.Runtime, "end_work", fail)
    runtime.current.at_exit()
    pipeline.at_exit(fail)
    pipeline.run_exit_callbacks()


def _raising_worker(patch: pytest.MonkeyPatch) -> None:
    from spantally.ground import worker as module

    assert worker.flush(5)
    worker.notify_when_drained(fail)
    assert worker.flush(5)
    broken = worker.channel("broken", fail, on_stop=fail)
    broken.put("item")
    assert worker.flush(5)
    worker.stop()
    worker.close_channel(broken)
    with pytest.MonkeyPatch.context() as inner:
        inner.setattr(worker, "stop", fail)
        inner.setattr(worker, "forget", fail)
        inner.setattr(worker, "running", True)
        inner.setattr(worker, "is_over", False)  # it is set, and put back
        module._before_fork()
        module._after_fork_in_child()
        module._at_exit()
        children._end()
    with pytest.MonkeyPatch.context() as inner:
        inner.setattr(worker, "_sleep_until_woken", fail)
        worker.running = False
        worker._thread = None
        worker._run()
    with pytest.MonkeyPatch.context() as inner:
        inner.setattr(
            "spantally.api.children.sys.modules", type("Broken", (), {"get": fail, "__getitem__": fail})()
        )
        children._before_fork()
        children._in_child(None)
        children._in_this_child()


def _raising_marks(patch: pytest.MonkeyPatch) -> None:
    """An open operation of which no mark can be made, a taker that raises, and a look that does."""
    from spantally.calls import open_work
    from spantally.ground.worker import Worker

    broken: Any = fail
    patch.setattr(open_work, "MARK_SECONDS", 0.0)
    patch.setattr(open_work, "_marked", set())
    patch.setattr(open_work, "_takers", [broken])
    with spantally.agent("planner"):
        assert open_work.look() is None
    patch.setattr(open_work, "_marked", set())
    patch.setattr(open_work, "mark_of", broken)
    with spantally.agent("planner"):
        assert open_work.look() is None
    watched = Worker(gather_seconds=0.01)
    watched.watch(broken)
    watched.watch(lambda: 0.5)
    assert watched._look() == 0.5


def _raising_settle(patch: pytest.MonkeyPatch) -> None:
    from spantally.api import store

    broken: Any = type("Broken", (), {"settle": fail, "stop": fail})()
    store._settle([broken])
    patch.setattr(store, "_used", {broken})
    store._stop()


def _raising_first_calls(patch: pytest.MonkeyPatch) -> None:
    spantally.instrument(ledger=False)
    starting.first_start.append(fail)
    implicit.baggage_resolvers.append(fail)
    otel_context.attach(baggage.set_baggage("user.id", "somebody"))
    inbound = otel_context.attach(baggage.set_baggage("some", "value"))  # without any, none is looked for
    try:
        with spantally.agent("first"):
            pass
    finally:
        otel_context.detach(inbound)
        implicit.baggage_resolvers.remove(fail)
    broken: Any = type("Broken", (), {"resource": property(fail)})()
    assert project_of(broken) is None


def _raising_hook(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runtime, "activate_from_hook", fail)
    pre_instrument()


def _raising_signal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("spantally.api.termination.signal.getsignal", fail)
    termination.install(lambda: None, lambda seconds: None)
    termination.uninstall()


def _raising_preparation(patch: pytest.MonkeyPatch) -> None:
    """What the import of an SDK makes ready cannot be made: its calls are watched nevertheless."""
    spantally.uninstrument()
    patch.setattr("spantally.otel.redactors.LateRedactor.value", fail)
    patch.setattr("spantally.otel.redactors._late", None)
    spantally.instrument(ledger=False)
    patches = spantally.OpenAIInstrumentor().patch_set
    assert patches.missing == []
    assert len(patches.applied) == sum(patch.module in sys.modules for patch in patches.patches)


class _Unreadable:
    """A request whose parts cannot be read, whichever client's it is."""

    def __getattr__(self, name: str) -> Any:
        raise Boom


def _raising_gate(patch: pytest.MonkeyPatch) -> None:
    """What leaves cannot be looked at (each client: test_propagation_hygiene.py), nor a log line."""
    for clean in (baggage_gate._clean_core, baggage_gate._clean_lines, baggage_gate._clean_aiohttp):
        clean(_Unreadable())
    patch.setattr("spantally.api.logs.current_scope", fail)
    assert spantally.LogFilter().filter(logging.makeLogRecord({}))


def _raising_reason(patch: pytest.MonkeyPatch) -> None:
    spantally.instrument(ledger=False)
    patch.setattr(type(telemetry.active.redactor), "text", fail)
    spantally.session().begin().finish(success=False, reason="a text")


def _raising_leave(patch: pytest.MonkeyPatch) -> None:
    spantally.instrument(ledger=False)
    patch.setattr("spantally.calls.work._Running.error", fail)
    with pytest.raises(ZeroDivisionError), spantally.agent("divides"):
        _ = 1 / 0


def _raising_attempts(patch: pytest.MonkeyPatch) -> None:
    """A failed attempt, the head of a refusal, a line of a batch and a late answer that cannot be noted."""
    spantally.instrument(ledger=False)
    patch.setattr("spantally.instrumentors.openai.call.OpenAICall.note_retry", fail)
    patch.setattr("spantally.instrumentors.openai.call.OpenAICall.head_facts", fail)
    chat: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
    replies = [Reply(status=500, error="oops"), Reply(text="fine"), Reply(status=429, error="slow down")]
    with (
        ScriptedServer(replies) as server,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up", max_retries=1) as client,
    ):
        assert client.chat.completions.create(**chat).choices[0].message.content == "fine"
        with pytest.raises(openai.RateLimitError):
            client.with_options(max_retries=0).chat.completions.create(**chat)
    spantally.instrument(ledger=False, stream_usage="request")
    patch.setattr("spantally.instrumentors.openai.call.is_extra", fail)
    with (
        ScriptedServer() as server,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up") as client,
    ):
        assert list(client.chat.completions.create(**chat, stream=True))
    made = starting.start(telemetry.active, Plan(Kind.INFERENCE, "chat"))
    assert made is not None
    patch.setattr("spantally.instrumentors.openai.batches.batch_line", fail)
    batches._rows_of(made, openai_batches._READER, made.scope, b'{"custom_id": "a"}\n')()
    patch.setattr(operation.Operation, "_record", fail)
    made.settle("ok")
    made.finish()


def _raising_beside(patch: pytest.MonkeyPatch) -> None:
    """Looking for other instrumentors fails in every place: the calls are patched and made all the same."""
    patch.setattr("spantally.instrumentors.openai.peers._instrumentor_of", fail)
    patch.setattr("spantally.instrumentors.beneath.innermost", fail)
    spantally.uninstrument()
    spantally.instrument(ledger=False)
    assert peers.at_work() == []
    with (
        ScriptedServer() as server,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up") as client,
    ):
        assert client.embeddings.create(model="text-embedding-3-small", input="x").data
    patch.undo()
    patch.setattr("spantally.instrumentors.beneath.keepers", [fail])
    spantally.uninstrument()
    spantally.instrument(ledger=False)


def _raising_media(patch: pytest.MonkeyPatch) -> None:
    """Media that cannot be handed over, or not be written."""
    files = MediaFiles("/no/such/place", 1_000)
    for name in ("write", "offer"):
        patch.setattr(MediaFiles, name, fail)
        with media.kept_by(files):
            assert media.blob_of_bytes(b"\0" * 64)["size"] == 64
        assert worker.flush(5)


def _raising_attribution(patch: pytest.MonkeyPatch) -> None:
    """Whom a call is for cannot be found out, nor what is said of a session, nor when it was in use."""
    spantally.instrument(ledger=False)
    with (
        ScriptedServer() as server,
        openai.OpenAI(base_url=server.base_url, api_key="sk-made-up") as client,
    ):
        bound = spantally.bind(client, user="bob")
        patch.setattr("spantally.api.attribution.Binding.within", fail)
        patch.setattr("spantally.api.attribution.Attribution.scope", fail)
        with spantally.attribute(user="carol"):
            assert bound.embeddings.create(model="text-embedding-3-small", input="x").data
    patch.setattr("spantally.queries.ledger.open_ledger", fail)
    patch.setattr("spantally.redaction.Redactor.value", fail)
    with spantally.session("chat", idle_timeout=60, title="t") as session:
        assert session.id == "chat"
    patch.setattr("spantally.api.session.learn_use", fail)

    async def enter() -> None:
        async with spantally.session("chat", idle_timeout=60) as again:
            assert again.id

    asyncio.run(enter())


OTHERS: dict[Callable[[pytest.MonkeyPatch], None], tuple[str, ...]] = {
    _raising_patch: ("unit.restore", "unit.import"),
    _raising_uninstrument: ("OpenAIInstrumentor.uninstrument", "spantally_openai.uninstrument"),
    _raising_exit: ("api.summary", "api.exit", "calls.at_exit"),
    _raising_worker: (
        "worker.notify",
        "worker.broken",
        "worker.broken.on_stop",
        "worker.before_fork",
        "worker.after_fork",
        "worker.at_exit",
        "worker.run",
        "api.child_end",
        "api.before_fork",
        "api.after_fork",
        "api.this_child",
    ),
    _raising_marks: ("calls.mark", "calls.mark_taker", "worker.watch"),
    _raising_settle: ("api.settle", "api.ledger_stop"),
    _raising_first_calls: ("calls.first_start", "calls.implicit", "calls.project"),
    _raising_hook: ("otel.pre_instrument",),
    _raising_media: ("calls.media_offer", "calls.media_files"),
    _raising_signal: ("api.sigterm",),
    _raising_leave: ("calls.agent.exit",),
    _raising_preparation: ("calls.prepare",),
    _raising_reason: ("session.reason",),
    _raising_attribution: (
        "api.attribute",
        "calls.within",
        "session.idle",
        "session.said",
        "session.look_up",
    ),
    _raising_gate: ("baggage.httpcore", "baggage.http_client", "baggage.aiohttp", "api.log_record"),
    _raising_beside: ("openai.peers", "openai.innermost", "patching.beneath"),
    _raising_attempts: (
        "sdk.retry",
        "sdk.error_head",
        "sdk.hide",
        "sdk.batch_line",
        "calls.settle",
    ),
}


@pytest.mark.parametrize("force", OTHERS, ids=lambda force: force.__name__.strip("_"))
def test_failure_at_the_edges_stays_ours(
    force: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Import, fork, signal, exit: what raises there is counted and goes no further."""
    with pytest.MonkeyPatch.context() as patch:
        force(patch)
    assert set(OTHERS[force]) <= met()


ELSEWHERE = {
    "redaction": "the tests of redaction force each failure and look at what is withheld",
    "pricing": "the tests of pricing make the load and the rating fail",
    "ledger": "the tests of the ledger give it stores that fail",
    "otel": "the tests of the OpenTelemetry adapters, on providers of their own",
    "queries": "reading is what a user asked for: a failure to rate leaves rows pending",
    "cli": "the tests of the command's bootstrap",
    "console": "the tests of the live view make each part fail: tests/test_console_programs.py",
    "sinks": "the tests of the sinks make each part fail: tests/test_sinks_isolation.py",
}
"""Rooms whose guards are tested beside their code."""

UNREACHED = {
    "api.content": "the engine cannot be loaded: tests/test_redaction_on_loop.py",
    "otel.refused": "a setter of providers of another shape: tests/test_otel_provider.py",
    "api.lend_provider": "a provider that cannot be lent at the start: as activate(), part by part",
    "ground.setting_names": "names of variables that cannot be looked at: tests/test_cli_doctor.py",
    "calls.later_content": "the redactor raises on the worker: tests/test_redaction_on_loop.py",
    **dict.fromkeys(
        ("calls.watch", "calls.shows", "session.console", "api.console", "api.console_close"),
        "parts of the live view that raise: tests/test_console_programs.py",
    ),
    **dict.fromkeys(
        ("api.kept_name", "api.event_type", "session.metrics"),
        "a redactor that raises on names: tests/test_redaction_named_things.py",
    ),
    "calls.scan_work": "a scan beside the loop that raises: tests/test_redaction_beside_loop.py",
    "session.capture": "parts of a session's capture that raise: tests/test_work_capture.py",
    "calls.tap": "a tap on records that raises: tests/test_sinks_isolation.py",
    "api.said": "decisions and evaluations whose parts raise: tests/test_said_events.py",
    **dict.fromkeys(
        ("calls.beside", "calls.scan", "sdk.keys", "sdk.collected", "sdk.response_body"),
        "texts that are scanned beside the loop, in parts that raise: tests/test_openai_large_texts.py",
    ),
    **dict.fromkeys(
        ("again.loader", "again.spec"), "modules imported again: tests/test_host_first_imported_again.py"
    ),
    "api.child_exit": "a wait that raises in a forked child: tests/test_durability_ends.py",
    "api.stragglers": "a wait for open calls that raises: tests/test_durability_uninstrument.py",
    "sdk.counted": "a count of characters that raises: tests/test_openai_endpoints_pieces.py",
    "sdk.unread": "the rest of a stream that cannot be read: tests/test_openai_stream_unread.py",
    "sdk.key": "a key that a function gave and cannot be read: tests/test_openai_keys.py",
    "budgets.*": "callbacks and webhooks that raise: tests/test_budgets_telling.py",
    "report.*": "doctor's report asks each part under its own guard; its tests give it broken parts",
    "api.ledger_waiting": "a ledger that cannot be opened yet: tests/test_durability_bad_ledger.py",
    "api.kept_record": "a redactor that raises at the ledger: tests/test_redaction_kept_records.py",
}
"""Guards of the rooms on a call's way that no test here reaches, each with the reason."""


def _guards() -> dict[str, str]:
    """Every place that swallows, by its name (``*`` for what is filled in), from the source."""
    found: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
                continue
            if node.func.id not in ("swallowed", "counted", "guard", "guarded"):
                continue
            name = node.args[0]
            if isinstance(name, ast.Constant):
                found[str(name.value)] = str(path.relative_to(SOURCE))
            elif isinstance(name, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else "*" for part in name.values]
                found["".join(parts)] = str(path.relative_to(SOURCE))
    return found


def test_every_guard_on_a_calls_way_is_exercised() -> None:
    """A new place that swallows needs a test that makes it swallow, or a reason why there is none."""
    import test_frameworks_faults as frameworks

    exercised = {
        place
        for fault in (*faults.FAULTS, *sockets.FAULTS, *budgets.FAULTS, *anthropic.FAULTS, *anthropic.NATIVE)
        for place in fault.places
    }
    (cases,) = [mark.args[1] for mark in faults.test_failure_of_the_context_api_stays_ours.pytestmark]
    exercised |= {place for case in cases for place in case[2]}
    exercised |= {
        place for places in (*LIFE.values(), *OTHERS.values(), *budgets.OTHERS.values()) for place in places
    }
    exercised |= crossing.EXERCISED
    exercised |= frameworks.EXERCISED | costs.EXERCISED | recorded.EXERCISED | told.EXERCISED
    exercised |= later.EXERCISED | opening.EXERCISED | settling.EXERCISED | paid.EXERCISED
    exercised |= set(budgets.GIVEN_UP)
    guards = _guards()
    assert len(guards) > 80
    missing = {
        name: path
        for name, path in guards.items()
        if path.split("/")[0] not in ELSEWHERE
        and name not in UNREACHED
        and not any(fnmatch.fnmatchcase(place, name) for place in exercised)
    }
    assert missing == {}
    gone = {place for place in exercised if not any(fnmatch.fnmatchcase(place, name) for name in guards)}
    assert gone == set()
