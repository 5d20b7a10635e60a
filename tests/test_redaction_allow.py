"""The allow-list: what is no secret though it looks like one stays, and nothing else with it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from spantally.redaction import Redactor
from spantally.redaction.registry import forget_literals, register_literal

PUBLIC = "sk-proj-Zx81mQ4tLw9Bv72KpY3sA"
OTHER = "sk-proj-Ab93nR5uMx0Cw83LqZ4tB"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """No literal is known at the start."""
    forget_literals()
    yield
    forget_literals()


@pytest.mark.parametrize("entry", [PUBLIC, re.compile(r"sk-proj-Zx\w{19}"), re.compile("sk-proj-Zx.{1,30}")])
def test_what_is_allowed_stays(entry: str | re.Pattern[str]) -> None:
    """An exact text, or a pattern of the whole of it, in any surroundings; others go."""
    redactor = Redactor(allow=[entry])
    for text in (PUBLIC, f"use {PUBLIC} here", f"api_key={PUBLIC}", f'{{"token": "{PUBLIC}"}}'):
        assert redactor.text(text) == text
    assert redactor.attributes({"api_key": PUBLIC}) == {"api_key": PUBLIC}
    assert OTHER not in redactor.text(f"{PUBLIC} and {OTHER}")
    assert PUBLIC in redactor.text(f"{PUBLIC} and {OTHER}")
    assert OTHER not in str(redactor.attributes({"api_key": OTHER}))


def test_more_than_the_entry_goes() -> None:
    """A part of a secret, and a secret that only begins so, are not allowed."""
    redactor = Redactor(allow=[PUBLIC[:-4], re.compile(PUBLIC[:12])])
    assert PUBLIC not in redactor.text(PUBLIC)
    assert PUBLIC + "9x" not in Redactor(allow=[PUBLIC]).text(PUBLIC + "9x")


def test_known_secret_stays_only_by_its_text() -> None:
    """A pattern lets no secret of the environment or of a client pass."""
    register_literal(PUBLIC)
    assert PUBLIC not in Redactor(allow=[re.compile("sk-proj-.{1,40}")]).text(f"x {PUBLIC}")
    assert PUBLIC not in str(Redactor(allow=[re.compile("sk-.{1,40}")]).attributes({"api_key": PUBLIC}))
    assert PUBLIC in Redactor(allow=[PUBLIC]).text(f"x {PUBLIC}")


def test_matches_of_rules_may_be_allowed() -> None:
    """It holds for the user's own patterns and personal data, and redacting again changes nothing."""
    redactor = Redactor([re.compile(r"EMP-\d+")], pii=True, allow=["EMP-000", "noreply@example.com"])
    answer = redactor.text("EMP-000 EMP-123 noreply@example.com bob@example.com")
    assert answer.startswith("EMP-000 [REDACTED:rule:")
    assert "noreply@example.com [REDACTED:email:" in answer
    assert redactor.text(answer) == answer


def test_long_text_keeps_what_is_allowed() -> None:
    """Around the tags of a long text it is read again with the same list."""
    redactor = Redactor(allow=[PUBLIC])
    answer = redactor.text(("words of no weight " * 2_000) + f"{PUBLIC} {OTHER}")
    assert answer.endswith("]")
    assert PUBLIC in answer
    assert OTHER not in answer
