"""Known secrets are found exactly, in every form they travel in."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from spantally.redaction import Redactor, register_environment, register_literal, registry

SECRET = 'correct horse+battery/"staple'


@pytest.fixture(autouse=True)
def _empty_registry() -> Iterator[None]:
    """Each test begins and ends without literals."""
    registry.forget_literals()
    yield
    registry.forget_literals()


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        json.dumps(SECRET)[1:-1],
        json.dumps(json.dumps(SECRET)),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"u:" + SECRET.encode() + b":x").decode(),
        base64.b64encode(b"us:" + SECRET.encode()).decode(),
        base64.b64encode(b"use:" + SECRET.encode()).decode(),
    ],
)
@pytest.mark.parametrize("defaults", [True, False])
def test_every_form_goes(form: str, defaults: bool) -> None:
    """No rule could guess this one; the registry knows it."""
    register_literal(SECRET)
    answer = Redactor(defaults=defaults).text(f"before {form} after")
    assert form[4:-4] not in answer
    assert answer.startswith("before ")
    assert answer.endswith(" after")


def test_a_literal_inside_a_word_goes() -> None:
    """Exact means anywhere, not at the seams of words."""
    register_literal("plainwordssecret")
    assert Redactor().text("xxplainwordssecretxx").startswith("xx[REDACTED:literal:")


@pytest.mark.parametrize("value", ["short", "your-api-key-here", "        ", "x" * 20_000])
def test_useless_literals_are_ignored(value: str) -> None:
    """Short values and placeholders would hide ordinary text."""
    register_literal(value)
    assert registry.forms == ()


def test_a_new_literal_is_found_in_text_that_was_seen_before() -> None:
    """The cache of results does not outlive a registration."""
    redactor = Redactor()
    text = "some longer text " * 20 + SECRET
    assert redactor.text(text) is text
    register_literal(SECRET)
    assert SECRET not in redactor.text(text)


def test_the_environment_gives_what_its_names_tell() -> None:
    """Secrets by name and passwords of URLs, but neither paths nor plain words."""
    register_environment(
        {
            "STRANGE_API_KEY": "abc-def-ghi-123",
            "DATABASE_URL": "postgres://svc:Zebra%218964@db/main",
            "HOME": "/root/some/where",
            "SSH_AUTH_SOCK": "/tmp/agent.1234",
            "POSTGRES_PASSWORD": "postgres",
            "MAX_TOKENS": "4096000000",
        }
    )
    redactor = Redactor(defaults=False)
    assert "abc-def" not in redactor.text("x abc-def-ghi-123 y")
    assert "Zebra" not in redactor.text("x Zebra!8964 Zebra%218964 y")
    kept = "postgres /root/some/where /tmp/agent.1234 4096000000"
    assert redactor.text(kept) is kept


def test_the_number_of_literals_is_bounded() -> None:
    """A program that makes keys without end does not slow every scan down."""
    for number in range(registry.MOST + 50):
        register_literal(f"literal-number-{number:06d}")
    assert Redactor(defaults=False).text("xx literal-number-000000").startswith("xx [REDACTED:literal:")
    late = f"xx literal-number-{registry.MOST + 10:06d}"
    assert Redactor(defaults=False).text(late) == late
