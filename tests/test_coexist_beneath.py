"""Ours goes beneath the wrappers of others, and every trace of it goes away again, in any order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import wrapt
from openai import _base_client
from opentelemetry.sdk.trace import TracerProvider

import coexist_kit as kit
import spantally
from spantally.api.report import report
from spantally.cli.checks.finding import Level
from spantally.cli.checks.process import findings
from spantally.ground import guard
from spantally.instrumentors import beneath
from spantally.instrumentors.patching import Patch, PatchSet
from spantally.testing import ScriptedServer
from watching import Watched, attributes

PROVIDER = TracerProvider(shutdown_on_exit=False)
WAYS = {"subclass": kit.subclass, "closure": kit.closure}


def found() -> list[Any]:
    """The functions at the choke point."""
    return [
        _base_client.SyncAPIClient.request,
        _base_client.AsyncAPIClient.request,
        openai.OpenAI.request,
        openai.AsyncOpenAI.request,
        openai.AzureOpenAI.request,
    ]


@pytest.fixture
def original() -> Iterator[list[Any]]:
    spantally.uninstrument()
    before = found()
    yield before
    spantally.uninstrument()
    if "request" in vars(openai.OpenAI):
        del openai.OpenAI.request  # what the others put back stands on the class itself
    assert found() == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("theirs_first", [True, False])
@pytest.mark.parametrize("theirs_leave_first", [True, False])
def test_every_order_of_coming_and_going(
    way: str, theirs_first: bool, theirs_leave_first: bool, original: list[Any]
) -> None:
    """Two come in either order and go in either order: the SDK is as it was."""
    other = contextlib.ExitStack()
    if theirs_first:
        other.enter_context(WAYS[way](PROVIDER))
    spantally.instrument(ledger=False, tracer_provider=PROVIDER)
    if not theirs_first:
        other.enter_context(WAYS[way](PROVIDER))
    if theirs_leave_first:
        other.close()
        spantally.uninstrument()
    else:
        spantally.uninstrument()
        other.close()
    if way == "subclass" and not theirs_first and not theirs_leave_first:
        # It has put back what it had found, and nobody could know that (where one can: see the next test).
        assert beneath.innermost(openai.OpenAI.request, "openai") is original[2]
        del openai.OpenAI.request
    assert found() == original


def test_wrapper_that_somebody_kept_is_out_of_force(original: list[Any], server: ScriptedServer) -> None:
    """What another one puts back after we went meters nothing, also when we are there again."""
    spantally.instrument(ledger=False, tracer_provider=PROVIDER)
    kept = openai.OpenAI.request
    spantally.uninstrument()
    openai.OpenAI.request = kept  # type: ignore[method-assign]
    watched = Watched()
    try:
        kit.ask(server)
        assert len(watched.records) == 1
    finally:
        watched.close()


def test_what_an_instrumentor_keeps_to_put_back_is_mended(original: list[Any]) -> None:
    """An instrumentor that came after us puts the original back when it goes after us."""

    class Keeps:
        """Another instrumentor's one instance."""

        _original_request: Any = None

    holder = Keeps()
    keeper = lambda: iter([(holder, "_original_request")])  # noqa: E731
    beneath.keepers.append(keeper)
    try:
        spantally.instrument(ledger=False, tracer_provider=PROVIDER)
        holder._original_request = openai.OpenAI.request
        spantally.uninstrument()
        assert holder._original_request is original[0]
        spantally.instrument(ledger=False, tracer_provider=PROVIDER)
        assert holder._original_request is not original[0]
    finally:
        spantally.uninstrument()
        beneath.keepers.remove(keeper)
    assert holder._original_request is original[0]


def test_ours_goes_on_when_they_leave(original: list[Any], server: ScriptedServer) -> None:
    """One that came before us and leaves takes us not along."""
    watched = Watched()
    try:
        spantally.OpenAIInstrumentor().uninstrument()
        with kit.closure(watched.provider):
            spantally.OpenAIInstrumentor().instrument(tracer_provider=watched.provider)
        kit.ask(server)
        assert [record.scope_name for record in watched.records] == ["spantally"]
    finally:
        watched.close()


def test_wrapper_of_the_base_class_is_gone_beneath(server: ScriptedServer, original: list[Any]) -> None:
    """One that wraps the very method we wrap, before us, is around us all the same."""
    before = vars(_base_client.SyncAPIClient)["request"]
    seen: list[str] = []

    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append("theirs")
        return wrapped(*args, **kwargs)

    theirs = wrapt.FunctionWrapper(before, wrapper)
    _base_client.SyncAPIClient.request = theirs  # type: ignore[method-assign]
    watched = Watched()
    try:
        assert vars(_base_client.SyncAPIClient)["request"] is theirs
        kit.ask(server)
        assert (seen, len(watched.records)) == (["theirs"], 1)
    finally:
        watched.close()
        assert theirs.__wrapped__ is before
        _base_client.SyncAPIClient.request = before  # type: ignore[method-assign]


def test_opaque_wrapper_beneath_us_is_a_second_view(server: ScriptedServer, original: list[Any]) -> None:
    """One that lets nobody beneath makes a span inside ours: it carries our call's id, there is one row."""
    before = vars(_base_client.SyncAPIClient)["request"]
    tracer: Any = None

    class Opaque:
        """A callable that shows nothing of what it holds."""

        __slots__ = ("_hidden",)

        def __init__(self, hidden: Any) -> None:
            self._hidden = (hidden,)

        def __get__(self, instance: Any, owner: Any) -> Any:
            def request(*args: Any, **kwargs: Any) -> Any:
                with tracer.start_as_current_span("theirs", attributes={**kit.CHAT, **kit.USAGE}):
                    return self._hidden[0](instance, *args, **kwargs)

            return request

    _base_client.SyncAPIClient.request = Opaque(before)  # type: ignore[assignment, method-assign]
    watched = Watched()
    try:
        tracer = watched.provider.get_tracer("some.instrumentor")
        kit.ask(server)
        (record,) = watched.records
        assert record.scope_name == "spantally"
        assert {attributes(span)["spantally.call.id"] for span in watched.spans} == {record.call_id}
    finally:
        watched.close()
        _base_client.SyncAPIClient.request = before  # type: ignore[method-assign]


def test_place_that_cannot_be_set_stays_ours() -> None:
    """A place that refuses is counted, and the others are served."""
    guard.reset()

    class Base:
        def method(self) -> str:
            return "value"

    class Refuses:
        @property
        def kept(self) -> Any:
            return vars(Base)["method"]

    original = vars(Base)["method"]
    keeper = lambda: iter([(Refuses(), "kept")])  # noqa: E731
    beneath.keepers.append(keeper)
    try:
        assert beneath.put_beneath(Base, "method", original, wrapt.FunctionWrapper(original, _pass))
        assert Base().method() == "value"
    finally:
        beneath.keepers.remove(keeper)
    assert ("patching.beneath", "AttributeError") in guard.failures
    guard.reset()


def _pass(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    return wrapped(*args, **kwargs)


def test_decorators_of_the_sdk_itself_are_left_inside() -> None:
    """Only wrappers of others are gone beneath: what the SDK has around its own function is part of it."""
    import functools
    import types

    sdk: Any = types.ModuleType("sdk.base")
    sdk.functools = functools
    exec(
        "def function(): pass\n@functools.wraps(function)\ndef decorated(): return function()\n",
        sdk.__dict__,
    )
    theirs = wrapt.FunctionWrapper(sdk.decorated, _pass)
    assert beneath.innermost(theirs, "sdk") is sdk.decorated


def test_other_objects_in_a_closure_are_not_asked() -> None:
    """An object of the program that does things when it is looked at is left alone."""

    class Touchy:
        """Raises whatever is asked of it."""

        def __getattribute__(self, name: str) -> Any:
            raise KeyboardInterrupt

        def __call__(self) -> None: ...

    class Base:
        def method(self) -> str:
            return "value"

    class Below(Base):
        other = Touchy()

    original, touchy = vars(Base)["method"], Touchy()

    def around(self: Any) -> Any:
        return original(self), touchy

    Below.method = around  # type: ignore[method-assign]
    wrapper = wrapt.FunctionWrapper(original, _pass)
    assert beneath.put_beneath(Base, "method", original, wrapper)
    assert around.__closure__ is not None
    beneath.take_out(Base, "method", original, wrapper)
    assert original is vars(Base)["method"]


def test_innermost_patch_of_a_function_outside_a_class() -> None:
    """A module's own function has no subclasses: it is patched as ever."""
    import json

    before = json.dumps
    patches = PatchSet("unit", (Patch("json", "dumps", _pass, innermost=True),))
    patches.enable()
    assert json.dumps is not before
    patches.disable()
    assert json.dumps is before


def test_doctor_says_who_shares_and_who_yields(original: list[Any]) -> None:
    """The report names the modules around ours; the findings say who yields, by setting."""
    with kit.subclass(PROVIDER):
        spantally.instrument(ledger=False, tracer_provider=PROVIDER)
        others = {one for patch in report()["patches"] for one in patch["others"]}
        spantally.uninstrument()
    assert others == {"coexist_kit"}
    told: dict[str, Any] = {"active": True, "redaction": {"on": True}}
    peer = {"name": "OpenLIT", "distribution": "openlit"}
    for setting, word in (("yield", "yields"), ("own", "beside")):
        (finding,) = [
            one
            for one in findings({**told, "coexist": {"setting": setting, "peers": [peer]}}, {})
            if one.name == "beside"
        ]
        assert finding.level is Level.NOTE
        assert word in (finding.advice or "")
