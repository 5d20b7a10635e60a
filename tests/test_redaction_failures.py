"""Fail closed: a rule that raises, answers nonsense or takes too long costs the value, never the program."""

from __future__ import annotations

import gc
import re
import time
from typing import Any

import pytest

from spantally.ground.errors import ArgumentError
from spantally.redaction import ERROR_TAG, Redactor, clock, engine
from spantally.redaction.clock import TIMED, Clock, OutOfTimeError
from spantally.redaction.spans import Span


def test_a_rule_that_raises_costs_only_its_value() -> None:
    """The value is replaced and counted; its neighbours stay."""

    def rule(key: str | None, value: str, where: str) -> str | None:
        if "bad" in value:
            raise RuntimeError(value)
        return None

    redactor = Redactor([rule])
    assert redactor.attributes({"a": "bad secret", "b": "good"}) == {"a": ERROR_TAG, "b": "good"}
    assert redactor.value(["bad secret", "good"]) == [ERROR_TAG, "good"]
    assert redactor.text("bad secret") == ERROR_TAG
    assert redactor.failures == 3


@pytest.mark.parametrize("answer", [1, b"x", ["x"], False])
def test_an_unusable_answer_counts_as_a_failure(answer: Any) -> None:
    """Only text or None is an answer."""
    redactor = Redactor([lambda key, value, where: answer])
    assert redactor.text("something") == ERROR_TAG
    assert redactor.failures == 1


def test_out_of_time_replaces_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text past its budget is not let through."""
    monkeypatch.setattr(clock, "SECONDS_PER_CHARACTER", 0.0)
    redactor = Redactor(budget_seconds=0.0)
    assert redactor.text("token=abc " * 20_000) == ERROR_TAG
    assert redactor.failures == 1


def test_a_broken_engine_lets_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever raises inside, text, value and attributes answer with the tag."""

    def broken(*args: object, **kwargs: object) -> list[Span]:
        raise MemoryError

    monkeypatch.setattr(engine, "scan", broken)
    redactor = Redactor([re.compile("x")])
    assert redactor.text("my password is here") == ERROR_TAG
    assert "password" not in str(redactor.value({"a": "my password is here"}))
    assert redactor.value("my password is here") == ERROR_TAG
    assert list(redactor.attributes({"a": "my password is here"}).values()) == [ERROR_TAG]


def test_a_text_that_never_settles_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that always finds more does not go round for ever."""
    monkeypatch.setattr(engine, "scan", lambda *a, **k: [Span(0, 1, 1, "rule")])
    assert Redactor().text("some password text") == ERROR_TAG


def test_user_rules_stack_or_stand_alone() -> None:
    """Patterns and callables work beside the built-in rules, or instead of them."""
    secret = "sk-proj-Zx81mQ4tLw9Bv72KpY3sA"
    places: list[tuple[str | None, str]] = []

    def rule(key: str | None, value: str, where: str) -> str | None:
        places.append((key, where))
        return value.replace("bob", "someone")

    both = Redactor([re.compile(r"PRJ-\d+"), rule])
    answer = both.text(f"bob works on PRJ-1234 with {secret}")
    assert answer.startswith("someone works on [REDACTED:rule:")
    assert "PRJ-1234" not in answer
    assert "Zx81" not in answer
    assert both.text(answer) == answer
    alone = Redactor([re.compile(r"PRJ-\d+")], defaults=False)
    assert secret in alone.text(f"PRJ-1234 {secret}")
    assert "PRJ-1234" not in alone.text(f"PRJ-1234 {secret}")
    both.attributes({"k": "v"})
    assert ("k", "attribute") in places


@pytest.mark.parametrize("rule", ["text", 5, re.compile(b"x")])
def test_a_rule_of_the_wrong_kind_is_refused(rule: Any) -> None:
    """The mistake shows at once, in the user's own call."""
    with pytest.raises(ArgumentError):
        Redactor([rule])


def test_counts_tell_what_went() -> None:
    """Each secret is counted under its type."""
    redactor = Redactor()
    redactor.text("password=Zebra8964! and https://u:hunter2!@h/")
    assert redactor.counts == {"password": 1, "url-password": 1}


def test_the_time_of_a_long_text_counts_from_its_beginning() -> None:
    """What is done before anything looks at the clock is not for free."""
    clock = Clock(-1.0)
    clock.grant(TIMED)
    with pytest.raises(OutOfTimeError):
        clock.check()


def spend(seconds: float) -> None:
    """Processor time of this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_time_that_the_interpreter_took_for_garbage_is_given_again_once() -> None:
    """In a large program a full collection takes longer than a budget; a text is not lost for it."""
    clock = Clock(0.002)
    clock.check()
    spend(0.003)
    gc.collect()
    clock.check()
    spend(0.003)
    gc.collect()
    with pytest.raises(OutOfTimeError):
        clock.check()


def test_time_is_over_where_only_young_objects_were_looked_at() -> None:
    """That takes no time, and happens at all times."""
    clock = Clock(0.002)
    clock.check()
    spend(0.003)
    gc.collect(0)
    with pytest.raises(OutOfTimeError):
        clock.check()
