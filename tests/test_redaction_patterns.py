"""Patterns of the user: catastrophic ones are refused when the redactor is made, ordinary ones are not."""

from __future__ import annotations

import importlib
import re
import time
from typing import Any

import pytest

from spantally.ground.errors import ArgumentError
from spantally.redaction import ERROR_TAG, Redactor, patterns

ORDINARY = [
    r"EMP-\d{6}",
    r"\bfoo\b",
    r"(?i)password\s*[:=]\s*\S+",
    r"sk-[A-Za-z0-9]{20,}",
    r"\w+@\w+\.com",
    r"[\w.+-]+@[\w-]+\.[\w.-]+",
    r"\d{3}-\d{2}-\d{4}",
    r"(?:\d{4}[ -]?){3}\d{4}",
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    r"-----BEGIN [A-Z ]+-----[\s\S]+?-----END [A-Z ]+-----",
    r"https?://[^\s/]+:[^\s@]+@",
    r"eyJ[\w-]+\.[\w-]+\.[\w-]+",
    r"AKIA[0-9A-Z]{16}",
    "(?i)(?:api[_-]?key|token|secret)[\\\"']?\\s*[:=]\\s*[\\\"']?([\\w\\-]{16,64})",
    r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
    r"[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){2,7}",
    r"(?:foo|bar|baz)-\d+",
    r"PRJ-\d+",
    r"user=[^;]*;",
    r"\"[^\"]*\"",
    r"'(?:[^'\\]|\\.)*'",
    r"<token>[^<]+</token>",
    r"(?m)^secret: .*$",
    r"(?s)START.*?END",
    r"\+?\d{1,3}[ -]?\(?\d{1,4}\)?[ -]?\d{1,4}[ -]?\d{1,9}",
    r"(?x) cust - \d+  # id",
    r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
    r"name\s*:?\s*\w+",
    r"case \d+/\d+",
    r".*secret.*",
    r"\b[A-Z][a-z]+ [A-Z][a-z]+\b",
    r"\$\d+(?:,\d{3})*(?:\.\d\d)?",
    r"(?<=token=)\w+",
    r"(?<!\d)\d{9}(?!\d)",
    r"acct[:#]?\s?\d{8,12}",
    r"[a-z0-9]+(?:[._-][a-z0-9]+)*@example\.com",
    r"(?i)bearer\s+[a-z0-9._~+/-]+=*",
    r"ghp_[A-Za-z0-9]{36}",
    r"xox[baprs]-[A-Za-z0-9-]{10,48}",
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z",
    "(?P<q>['\\\"])secret(?P=q)",
    r"(?:/[\w.-]+)+/secret",
    r"\bMRN\s*#?\s*\d{6,10}\b",
    r"[^\W\d_]+-\d{3}",
    r"Straße \d+",
    r"(?i)straße\s\d+",
    r"[A-Za-z0-9+/]{40,}={0,2}",
    r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==)",
    r"\w++@",
    r"INC\d{7}(?:\.\d+)*",
    r"id=\d+(?:&\w+=\w*)*",
    r"(?:\w+\s){1,3}secret",
    r"[\w.]{1,64}@[\w.]{1,255}\.\w{2,10}",
    r"(?i)password.{0,100}?[:=]",
    r"\d+(?:\.\d+)?%",
    "|".join(f"name{number}surname{number}" for number in range(500)),
    r"(?i)\b(?:" + "|".join(f"word{number}" for number in range(300)) + r")\b",
]

CATASTROPHIC = [
    r"(ab|ab)*c",
    r"(?:a|b|(?:c|cc)+)*d",
    r"(foo|foo)+x",
    r"(a+)+$",
    r"(.*)*x",
    r"(\w+\s?)+$",
    r"a*a*b",
    r"(a*)*b",
    r"(a|aa)+$",
    r"(a|a?)+$",
    r"(.*a){20}",
    r"^(\w+)*$x",
    r"(\d+)*\.x",
    r"(x+x+)+y",
    r"([a-zA-Z]+)*!",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(\s*\w+\s*)+;",
    r"\w*\w*\w*!",
    r"(?:a?){25}a{25}",
    r"(a{1,20}){1,20}b",
    r"(\w{1,10})+!",
    r"(?:\d{2}|\d{3})+x",
    r"(.+)+=",
    r"(?:.|\s)*x",
    r"((a*)*)*b",
    r"(a|b|ab)*c",
    r"(a?b?)*c",
    r"\s*\s*\s*x",
    r".*.*=.*x",
    r".*,.*,.*x",
    r"(?=(a+)+$)a",
    r"(?:(?=.*x)a)*b",
    r"([\w.-]+)+@",
    r"(?:\w+(?:-\w+)*)*!",
    r"(a*)\1*b",
    r"([a-z]+)*=",
    r"(?:a{0,9}){9}b",
    r"(?:(?:ab)*)*c",
    r"\d+\d+\d+x",
    r"(?:a|[^b])+c",
    r"(a+){10}b",
    r"user=.*?pass=.*?;",
    r"a{0,64}a{0,64}a{0,64}a{0,64}b",
    "a?" * 25 + "a" * 25,
]


@pytest.mark.parametrize("pattern", ORDINARY)
def test_ordinary_pattern_is_accepted(pattern: str) -> None:
    """What people write for ids, keys, addresses and blocks passes the check."""
    assert Redactor([re.compile(pattern)]).describe()["patterns"] == 1


@pytest.mark.parametrize("pattern", CATASTROPHIC)
def test_catastrophic_pattern_is_refused(pattern: str) -> None:
    """Nested or neighbouring repeats that share characters are refused, and the error names the pattern."""
    with pytest.raises(ArgumentError) as caught:
        Redactor([re.compile(pattern)])
    assert repr(pattern[:200]) in str(caught.value)


def test_the_lists_are_long_enough() -> None:
    """There are many of each, and no pattern stands in both."""
    assert len(ORDINARY) >= 40
    assert len(CATASTROPHIC) >= 25
    assert not set(ORDINARY) & set(CATASTROPHIC)


@pytest.mark.parametrize(
    ("pattern", "part"),
    [(r"id-(a+)+$", "(a+)+"), (r"x\d*,?\d*[0-9]*y.*.*z", r".*"), (r"(?:b?){8}c", "b?{8}")],
)
def test_error_names_the_dangerous_part(pattern: str, part: str) -> None:
    """Somebody with a long pattern learns which part it is."""
    with pytest.raises(ArgumentError, match="time without end") as caught:
        Redactor([re.compile(pattern)])
    assert part in str(caught.value) or part.replace("b?", "(?:b?)") in str(caught.value)


@pytest.mark.parametrize(
    "pattern", ["", "a*", r"x?|y*", r"\b", r"(?=secret)", r"^", r"(?:)+", r"\Z|a", r"(a?)(b?)"]
)
def test_pattern_that_may_match_nothing_is_refused(pattern: str) -> None:
    """The empty text hides nothing."""
    with pytest.raises(ArgumentError, match="empty text"):
        Redactor([re.compile(pattern)])


def test_flags_count() -> None:
    """What a pattern takes depends on its flags, inline ones too."""
    assert Redactor([re.compile(r"(?:\w|é)+x", re.ASCII)]).describe()["patterns"] == 1
    assert Redactor([re.compile(r"(?:ab|AC)+x")]).describe()["patterns"] == 1
    with pytest.raises(ArgumentError):
        Redactor([re.compile(r"(?:ab|AB)+x", re.IGNORECASE)])
    with pytest.raises(ArgumentError):
        Redactor([re.compile(r"(?s:(?:.|\n)+x)")])
    assert Redactor([re.compile(r"(?:.|\n)+?x{3}", re.DEBUG & 0)]).describe()["patterns"] == 1


@pytest.mark.parametrize("pattern", [r"[a-z]+!", r"name\s*:?\s*\d", r"START.*?END", r"\w+@\w+"])
def test_accepted_pattern_cannot_hold_up_the_program(pattern: str) -> None:
    """On a text made to keep it busy the clock ends it; without windows one search would take minutes."""
    redactor = Redactor([re.compile(pattern, re.DOTALL)], defaults=False, budget_seconds=0.2)
    for text in ("a" * 400_000, "name" + " " * 400_000, "START" * 80_000):
        begun = time.thread_time()
        assert redactor.text(text) in (text, ERROR_TAG)
        assert time.thread_time() - begun < 5


@pytest.mark.parametrize("size", [1, 100, patterns.HALF - 4])
def test_matches_in_long_texts_are_all_found(size: int) -> None:
    """Windows lose nothing that is at most half of one: at their borders, and directly behind another."""
    redactor = Redactor([re.compile(r"<<[^<>]+>>")], defaults=False)
    half = patterns.HALF
    for lead in (
        0,
        1,
        half - 3,
        half - 1,
        half,
        half + 1,
        2 * half - 3,
        2 * half - 1,
        2 * half,
        3 * half - 1,
    ):
        secret = "<<" + "s" * size + ">>"
        answer = redactor.text("." * lead + secret + "<<t>>" + secret + "." * 20_000 + secret)
        assert answer.startswith("." * lead + "[REDACTED:rule:"), lead
        assert "<<" not in answer, lead
        assert answer.count("[REDACTED:rule:") == 4, lead


def test_open_ended_match_goes_whole() -> None:
    """A match that reaches the end of a window is followed beyond it."""
    redactor = Redactor([re.compile(r"key-[a-z]+|zzz")], defaults=False)
    answer = redactor.text("-" * 100 + "key-" + "s" * 50_000 + "-" * 100)
    assert answer.startswith("-" * 100 + "[REDACTED:rule:")
    assert "s" not in answer
    redactor = Redactor([re.compile(r"\d{1,9}$|zzz")], defaults=False)
    text = "7" * 5 + "." * (2 * patterns.HALF - 10) + "7" * 9_000 + "." + "7" * 3
    assert redactor.text(text).count("[REDACTED:rule:") >= 1


def test_pattern_finds_short_texts_and_names() -> None:
    """A rule of the user applies to texts that no built-in rule would look at."""
    redactor = Redactor([re.compile(r"\b\d{4}\b")])
    assert redactor.text("1234").startswith("[REDACTED:rule:")
    answer = redactor.attributes({"pin": "1234", "1234": "x"})
    assert "1234" not in str(list(answer)) + str([one[:10] for one in answer.values()])
    assert str(redactor.value({"a": ["1234"]})).count("REDACTED") == 1


@pytest.mark.parametrize("lost", ["re._parser", "both"])
def test_python_with_its_parser_elsewhere(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old name of the parser will do; without any, a repeated group is refused and the rest accepted."""
    real = importlib.import_module

    def find(name: str) -> Any:
        if name == "re._parser" or lost == "both":
            raise ImportError(name)
        return real("re._parser")

    monkeypatch.setattr(importlib, "import_module", find)
    assert Redactor([re.compile(r"EMP-\d+")]).describe()["patterns"] == 1
    with pytest.raises(ArgumentError):
        Redactor([re.compile(r"(a+)+$")])


def test_pattern_too_large_to_judge_is_refused() -> None:
    """The check itself ends, and says what else can be done."""
    words = "|".join(f"w{number}[a-z]" for number in range(400))
    with pytest.raises(ArgumentError, match="too complicated"):
        Redactor([re.compile(f"(?:(?:{words})(?:{words}))+x")])
