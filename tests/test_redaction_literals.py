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
    assert registry.is_empty()


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
    """A program that makes keys without end keeps those told last, and all of them are found."""
    redactor = Redactor(defaults=False)
    for number in range(registry.MOST):
        register_literal(f"literal-number-{number:06d}")
    register_literal("literal-number-000000")  # told again
    for number in range(registry.MOST, registry.MOST + 50):
        register_literal(f"literal-number-{number:06d}")
    for number in (0, 51, registry.MOST // 2, registry.MOST + 49):
        for lead in range(9):
            text = f"{'é' * lead} literal-number-{number:06d} tail"
            assert redactor.text(text).startswith("é" * lead + " [REDACTED:literal:")
    gone = "xx literal-number-000001 xx"
    assert redactor.text(gone) == gone


@pytest.mark.parametrize("size", [8, 14, 15, 16, 40])
def test_literals_of_any_length_are_found_among_many(size: int) -> None:
    """Those that are too short for the index, too, in base64 as well."""
    secret = "Zq7-Lw9_Bv72KpY3sMn4XcR8tGhJ5dFs6QaEuWoP"[:size]
    for number in range(200):
        register_literal(f"another-literal-{number:06d}")
    register_literal(secret)
    redactor = Redactor(defaults=False)
    assert registry.holds_literal(f"...{secret}")
    assert not registry.holds_literal(secret[:-1] + "!")
    assert secret not in redactor.text(f"a {secret}{secret} b")
    encoded = base64.b64encode(f"user:{secret}:x".encode()).decode()
    if size > 8:
        assert encoded[10:-6] not in redactor.text(encoded)


def test_forms_go_with_their_literal() -> None:
    """What was evicted leaves nothing behind, and what another literal still needs stays."""
    for number in range(registry.MOST + 3):
        register_literal(f"some-literal-number-{number:06d}")
    held = set(registry._users)
    assert held == {form for forms in registry._values.values() for form in forms}
    assert {form for found in registry._grams.values() for form, _ in found} == held


def test_what_signs_webhooks_goes_without_its_prefix_too() -> None:
    """The prefix says what it is; the rest alone signs."""
    signs = "V2Vla2VuZCBpbiBNYXkgYW5kIG1vcmU="
    register_literal(f"whsec_{signs}")
    for text in (f"signed by {signs} today", f'{{"body": "{base64.b64encode(signs.encode()).decode()}"}}'):
        assert text.count("[REDACTED:") == 0
        answer = Redactor().text(text)
        assert "[REDACTED:literal:" in answer
        assert signs[4:-4] not in answer
