"""Strict or fallback: what becomes of a value for which a rule of the user fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import spantally
from spantally.ground import guard
from spantally.ground.errors import ArgumentError
from spantally.redaction import ERROR_TAG, Redactor, engine
from spantally.redaction.clock import OutOfTimeError
from spantally.redaction.rules import Finders
from spantally.redaction.tags import MARK

SECRET = "sk-proj-Zx81mQ4tLw9Bv72KpY3sA"
Rule = Callable[[str | None, str, str], Any]


def raises(key: str | None, value: str, where: str) -> str | None:
    """A rule that fails on everything."""
    raise RuntimeError(value)


def answers_nonsense(key: str | None, value: str, where: str) -> Any:
    """A rule whose answer cannot be used."""
    return 5


@pytest.mark.parametrize("rule", [raises, answers_nonsense])
def test_strict_replaces(rule: Rule) -> None:
    """By default nothing of the value passes."""
    assert Redactor([rule]).text("some words") == ERROR_TAG
    assert Redactor([rule], strict=True).value({"a": ["some words"]}) == ERROR_TAG


@pytest.mark.parametrize("rule", [raises, answers_nonsense])
def test_fallback_marks(rule: Rule) -> None:
    """The value passes as all other rules left it, those behind the failing one too, with one mark."""

    def behind(key: str | None, value: str, where: str) -> str | None:
        return value.replace("bob", "someone")

    redactor = Redactor([re.compile(r"EMP-\d+"), rule, behind], strict=False)
    answer = redactor.text(f"bob EMP-7 {SECRET}")
    assert answer.startswith("someone [REDACTED:rule:")
    assert answer.endswith("]" + MARK)
    assert SECRET not in answer
    assert "EMP-7" not in answer
    assert redactor.failures == 1
    assert redactor.text(answer) == answer, "redacting again changes nothing"


def test_names_bear_no_mark() -> None:
    """A span's attribute keeps its name; the value tells."""
    redactor = Redactor([raises], strict=False)
    answer = redactor.attributes({"gen_ai.request.model": "gpt", "n": 5})
    assert answer == {"gen_ai.request.model": "gpt" + MARK, "n": 5}
    assert redactor.failures >= 2


def test_built_in_rules_fail_closed_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """The opt-out is for rules of the user; a scan that fails or runs out of time replaces."""
    redactor = Redactor([re.compile("EMP")], strict=False)

    def broken(*given: object, **named: object) -> str:
        raise MemoryError

    monkeypatch.setattr(engine, "redact", broken)
    assert redactor.text("some words about a password") == ERROR_TAG


def test_pattern_that_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the patterns of the user fail the built-in rules still work; strict replaces."""

    def broken(self: Finders, text: str, check: object, taken: object) -> None:
        if self.patterns:
            raise OutOfTimeError

    monkeypatch.setattr(Finders, "find", broken)
    text = f"EMP-7 {SECRET} some words"
    answer = Redactor([re.compile(r"EMP-\d+")], strict=False, pii={"email"}).text(text)
    assert answer.startswith("EMP-7 [REDACTED:")
    assert answer.endswith("some words" + MARK)
    assert Redactor([re.compile(r"EMP-\d+")]).text(text) == ERROR_TAG


@pytest.mark.parametrize(("text", "strict"), [("false", False), ("true", True), ("", True), ("maybe", True)])
def test_environment_opts_out(text: str, strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """SPANTALLY_REDACTION_STRICT says for redactors that name nothing; what is not allowed means strict."""
    monkeypatch.setenv("SPANTALLY_REDACTION_STRICT", text)
    assert Redactor([raises]).strict is strict
    assert Redactor([raises], strict=True).text("words") == ERROR_TAG
    assert Redactor([raises], strict=False).text("words") == "words" + MARK
    guard.reset()


def test_fallback_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """instrument() warns, so that nobody opts out unawares."""
    guard.reset()
    try:
        spantally.instrument(ledger=False, redact=Redactor(strict=False))
        spantally.instrument(redact=Redactor(strict=False))
        said = [one.levelname for one in caplog.records if "redaction is not strict" in one.message]
        assert said == ["WARNING"]
    finally:
        spantally.uninstrument()


def test_only_a_truth_value_opts_out() -> None:
    """strict="false" would be true elsewhere."""
    with pytest.raises(ArgumentError, match="strict='false'"):
        Redactor(strict="false")  # type: ignore[arg-type]


@pytest.mark.parametrize("strict", [True, False])
def test_rule_that_logs_does_not_go_round(strict: bool) -> None:
    """What a rule itself brings to redaction is not given to the rules again, and the rule goes on."""
    inner: list[str] = []

    def logs(key: str | None, value: str, where: str) -> str | None:
        inner.append(redactor.text(f"about {value}"))
        return value.upper()

    redactor = Redactor([logs], strict=strict)
    assert redactor.text("words") == "WORDS"
    assert redactor.text("more") == "MORE"
    marked = ["about words" + MARK, "about more" + MARK]
    assert inner == ([ERROR_TAG, ERROR_TAG] if strict else marked)
    assert redactor.failures == 2
