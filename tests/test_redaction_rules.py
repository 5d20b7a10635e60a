"""Rules of the user stack on the built-in ones, by every way in; wrong ones are refused before any effect."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import spantally
from spantally.api import runtime
from spantally.calls import telemetry
from spantally.ground import guard
from spantally.ground.errors import ArgumentError
from spantally.redaction import ERROR_TAG, Redactor, engine, presidio_rule
from spantally.redaction.clock import OutOfTimeError
from spantally.redaction.registry import forget_literals, register_literal

SECRET = "sk-proj-Zx81mQ4tLw9Bv72KpY3sA"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """No test leaves spantally active or a secret known."""
    yield
    spantally.uninstrument()
    forget_literals()
    guard.reset()


def exported(**named: Any) -> dict[str, Any]:
    """The attributes of a foreign span as they leave through a processor of ours."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(spantally.SpanProcessor(**named))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    with provider.get_tracer("t").start_as_current_span("s", attributes={"a": f"EMP-123456 {SECRET}"}):
        pass
    provider.shutdown()
    return dict(memory.get_finished_spans()[0].attributes or {})


def test_processor_takes_a_redactor() -> None:
    """Rules given to a span processor work on spans of others, beside the built-in ones."""
    found = exported(redact=Redactor([re.compile(r"EMP-\d{6}")]))["a"]
    assert found.count("[REDACTED:") == 2
    assert "EMP-" not in found
    assert SECRET in exported(redact=False)["a"]
    assert SECRET not in exported(redact=True)["a"]


@pytest.mark.parametrize(("text", "on"), [("false", False), ("0", False), ("true", True), ("perhaps", True)])
def test_environment_says_for_who_names_nothing(text: str, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """SPANTALLY_REDACT switches what names no redactor; what is not allowed is said and ignored."""
    monkeypatch.setenv("SPANTALLY_REDACT", text)
    assert (SECRET not in exported()["a"]) is on
    assert SECRET not in exported(redact=True)["a"]
    spantally.instrument(ledger=False)
    assert (SECRET not in telemetry.active.redactor.text(SECRET)) is on
    assert SECRET not in spantally.redact(SECRET), "who asks for it gets it"
    spantally.instrument(redact=True)
    assert SECRET not in telemetry.active.redactor.text(SECRET)


def test_instrument_takes_a_redactor() -> None:
    """The very redactor is used, and a later activation that names none leaves it."""
    mine = Redactor([re.compile(r"EMP-\d{6}")])
    spantally.instrument(ledger=False, redact=mine)
    spantally.instrument(summary=False)
    assert telemetry.active.redactor is mine


@pytest.mark.parametrize("wrong", [1, "false", "strict", [], re.compile("x"), Redactor, lambda text: text])
def test_wrong_redact_is_refused_before_any_effect(wrong: Any) -> None:
    """The error is a ValueError that names the value and what is allowed; nothing became active."""
    with pytest.raises(ValueError, match=r"redact=.*use True, False or a redactor") as caught:
        spantally.instrument(ledger=False, redact=wrong)
    assert isinstance(caught.value, ArgumentError)
    assert runtime.current is None
    with pytest.raises(ValueError, match="redact="):
        spantally.SpanProcessor(redact=wrong)


def bad_generator(key: str | None, value: str) -> str | None:
    """A rule with a parameter too few."""
    return None


async def late(key: str | None, value: str, where: str) -> str | None:
    """A rule that nobody would await."""
    return None


class Asynchronous:
    """A rule object that nobody would await."""

    async def __call__(self, key: str | None, value: str, where: str) -> str | None:
        """Nothing."""


@pytest.mark.parametrize(
    ("named", "text"),
    [
        ({"rules": "EMP"}, "rules='EMP'"),
        ({"rules": re.compile("x")}, "use a list"),
        ({"rules": 5}, "rules=5"),
        ({"rules": ["EMP-"]}, "re.compile"),
        ({"rules": [re.compile(b"x")]}, "bytes"),
        ({"rules": [bad_generator]}, "key, value, where"),
        ({"rules": [late]}, "asynchronous"),
        ({"rules": [Asynchronous()]}, "asynchronous"),
        ({"defaults": 0}, "defaults=0"),
        ({"strict": "no"}, "strict='no'"),
        ({"allow": "text"}, "use a list"),
        ({"allow": [5]}, "allow: 5"),
        ({"allow": [""]}, "allow: ''"),
        ({"allow": [re.compile("(a+)+$")]}, "time without end"),
        ({"pii": "phone,post"}, "'post' is no kind"),
        ({"pii": ["name"]}, "'name' is no kind"),
        ({"pii": 5}, "=5 names no kinds"),
        ({"budget_seconds": -1}, "budget_seconds=-1"),
        ({"budget_seconds": float("nan")}, "budget_seconds=nan"),
        ({"budget_seconds": True}, "budget_seconds=True"),
    ],
)
def test_wrong_argument_of_a_redactor_is_refused(named: dict[str, Any], text: str) -> None:
    """Each mistake shows in the user's own call, with the value and what to do."""
    with pytest.raises(ArgumentError) as caught:
        Redactor(**named)
    assert text in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_callables_of_every_kind_are_rules() -> None:
    """Functions, methods, partials and objects are called with key, value and place, in order."""

    class Rule:
        def __call__(self, key: str | None, value: str, where: str) -> str | None:
            return value.replace("one", "two")

        def method(self, key: str | None, value: str, where: str) -> str | None:
            return value.replace("two", "three")

    def counted(number: int, key: str | None, value: str, where: str) -> str | None:
        return f"{value} {number} {key} {where}" if where != "key" else None

    redactor = Redactor([Rule(), Rule().method, functools.partial(counted, 7)])
    assert redactor.attributes({"k": "one"}) == {"k": "three 7 k attribute"}
    assert redactor.text("one") == "three 7 None text"
    assert redactor.value(["one"], "list") == ["three 7 list value"]


def test_callable_comes_after_all_others() -> None:
    """It sees what the built-in rules and the patterns left, and never a secret that they know."""
    seen: list[str] = []
    redactor = Redactor([re.compile(r"EMP-\d+"), lambda key, value, where: seen.append(value)], pii={"email"})
    redactor.text(f"EMP-1 {SECRET} a.b@example.com")
    assert seen[0].count("[REDACTED:") == 3
    assert SECRET not in seen[0]


def test_answer_with_a_known_secret_is_none() -> None:
    """A rule that brings a registered secret back, by decoding for instance, has failed."""
    register_literal("Tq7-wonderland-93")
    redactor = Redactor([lambda key, value, where: value.replace("it", "Tq7-wonderland-93")])
    assert redactor.text("say it") == ERROR_TAG
    assert redactor.failures == 1
    assert redactor.text("say nothing") == "say nothing"


def test_answer_is_read_once_more_for_secrets() -> None:
    """What a rule decodes or looks up is a secret as any other; what it puts for a name stays as it wants."""
    fresh = "sk-proj-9dKq2wXv7Lm4Tz8Rb1Hs3"

    def rule(key: str | None, value: str, where: str) -> str | None:
        return (
            value.replace("ENCODED", fresh).replace("bob", "user-9f86d081884c7d65").replace("amy", "EMP-12")
        )

    redactor = Redactor([rule, re.compile(r"EMP-\d+")], pii=["email"])
    assert fresh not in redactor.text("it is ENCODED")
    assert fresh not in redactor.value({"a": ["ENCODED"]})["a"][0]
    assert fresh not in str(redactor.attributes({"ENCODED": "ENCODED"}))
    assert redactor.text("for bob and amy") == "for user-9f86d081884c7d65 and EMP-12"
    assert redactor.text("of bob", "password") != "of bob"
    assert redactor.text(redactor.text("it is ENCODED")) == redactor.text("it is ENCODED")
    assert fresh in Redactor([rule], allow=[fresh]).text("it is ENCODED")
    assert fresh in Redactor([rule], defaults=False).text("it is ENCODED")


@pytest.mark.parametrize("strict", [True, False])
def test_an_answer_that_cannot_be_read_is_replaced(strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in rules fail closed on it as on any text, in either mode."""

    def broken(*given: object, **named: object) -> str:
        raise OutOfTimeError

    redactor = Redactor([lambda key, value, where: "another"], strict=strict)
    monkeypatch.setattr(engine, "redact", broken)
    assert redactor.text("words") == ERROR_TAG


def test_answer_of_a_subclass_is_a_plain_text() -> None:
    """What stands on a span is a str and nothing with a will of its own."""

    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise AssertionError

    assert type(Redactor([lambda key, value, where: Text("fine")]).text("anything")) is str


def test_without_defaults_known_secrets_still_go() -> None:
    """defaults=False leaves the rules of the user, and what is known exactly."""
    register_literal("Tq7-wonderland-93")
    redactor = Redactor([re.compile(r"EMP-\d+")], defaults=False)
    answer = redactor.text(f"EMP-1 {SECRET} Tq7-wonderland-93", "api_key")
    assert SECRET in answer
    assert "EMP-1" not in answer
    assert "wonderland" not in answer


def test_secrets_of_the_environment_are_known_to_a_redactor_of_ones_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """instrument(redact=Redactor(...)) knows them as redact=True does."""
    monkeypatch.setenv("PAYMENT_SECRET", "Zq8vN2kLw5rT1x")
    mine = Redactor(defaults=False)
    spantally.instrument(ledger=False, redact=mine)
    assert "Zq8vN2kLw5rT1x" not in mine.text("it was Zq8vN2kLw5rT1x")


def test_environment_that_cannot_be_read_costs_its_secrets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The redactor is taken, and the failure is counted and goes no further."""

    def fail(*given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("spantally.redaction.follow_environment", fail)
    mine = Redactor([re.compile(r"EMP-\d+")])
    spantally.instrument(ledger=False, redact=mine)
    assert telemetry.active.redactor is mine
    assert guard.failures[("otel.environment", "ZeroDivisionError")]


def test_redaction_that_is_off_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody turns it off unawares."""
    spantally.instrument(ledger=False, redact=False)
    spantally.instrument(redact=False)
    assert [one.levelname for one in caplog.records if "redaction is off" in one.message] == ["WARNING"]


def test_rules_cost_nothing_at_import() -> None:
    """What judges patterns and knows personal data is imported where it is used."""
    code = (
        "import sys, spantally; from spantally.redaction import Redactor; r = Redactor(); r.text('x' * 300);"
        "print([m for m in sys.modules if m.startswith('spantally.redaction.p') "
        "and not m.rpartition('.')[2].startswith(('pair_', 'pairs', 'presidio', 'private_keys'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"


class Analyzer:
    """Answers as Presidio's AnalyzerEngine does."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def analyze(
        self,
        text: str,
        language: str,
        entities: list[str] | None = None,
        *,
        score_threshold: float | None = None,
    ) -> list[SimpleNamespace]:
        """RecognizerResult has entity_type, start, end and score."""
        self.asked.append({"language": language, "entities": entities, "score_threshold": score_threshold})
        return [
            SimpleNamespace(entity_type="PERSON", start=hit.start(), end=hit.end(), score=0.85)
            for hit in re.finditer("Ada( Lovelace)?|Lovelace", text)
        ]


def test_presidio_is_a_rule() -> None:
    """What it finds goes as pii, tags stay, and it is asked with the given words."""
    analyzer = Analyzer()
    redactor = Redactor([presidio_rule(analyzer, entities=["PERSON"], language="de")])
    answer = redactor.text(f"Ada Lovelace wrote {SECRET}")
    assert re.fullmatch(r"\[REDACTED:pii:[0-9a-f]{8}\] wrote \[REDACTED:[a-z-]+:[0-9a-f]{8}\]", answer)
    assert analyzer.asked[0] == {"language": "de", "entities": ["PERSON"], "score_threshold": 0.5}
    assert redactor.text(answer) == answer
    assert redactor.text("nobody") == "nobody"


def test_presidio_that_fails_costs_the_value() -> None:
    """It is a rule like any other."""

    class Broken(Analyzer):
        def analyze(self, *given: Any, **named: Any) -> Any:
            raise OSError

    assert Redactor([presidio_rule(Broken())]).text("Ada") == ERROR_TAG


def test_presidio_that_is_not_there_is_named() -> None:
    """The error says what to install; a wrong analyzer and a wrong list are refused as well."""
    with pytest.raises(ArgumentError, match="pip install presidio-analyzer"):
        presidio_rule()
    with pytest.raises(ArgumentError, match="no analyze"):
        presidio_rule(object())
    with pytest.raises(ArgumentError, match="use a list"):
        presidio_rule(Analyzer(), entities="PERSON")


def test_presidio_is_loaded_at_the_first_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine of the default kind is made once, and not before."""
    made: list[Analyzer] = []

    class Engine(Analyzer):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    module = SimpleNamespace(AnalyzerEngine=Engine, __spec__=object())
    monkeypatch.setitem(sys.modules, "presidio_analyzer", module)
    redactor = Redactor([presidio_rule()])
    assert not made
    assert "Ada" not in redactor.text("Ada") + redactor.text("Ada again")
    assert len(made) == 1
