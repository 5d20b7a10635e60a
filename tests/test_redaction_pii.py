"""Personal data, where it is asked for: what is found, what merely looks like it, and in what time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spantally
from spantally.ground import guard
from spantally.ground.setting_values import PII_KINDS
from spantally.redaction import Redactor
from spantally.redaction.pii import find_pii
from spantally.redaction.spans import Span

EVERYTHING = Redactor(defaults=False, pii=True)

FOUND = {
    "email": [
        "bob@example.com",
        "bob.smith+news@mail.example.co.uk",
        "jürgen@müller.de",
        "o'brien@example.ie",
        "x_y-z@a-b.museum",
        "first%last@example.com",
    ],
    "phone": [
        "+49 30 1234567",
        "+1 (212) 555-0123",
        "+4915112345678",
        "+1-212-555-0123",
        "+44.20.7946.0958",
        "0049 30 123456",
        "(212) 555-0123",
        "212-555-0123",
        "212.555.0123",
        "1-212-555-0123",
        "06 12 34 56 78",
        "030/1234567",
        "030-12345678",
        "(030) 1234567",
        "020 7946 0958",
    ],
    "card": [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111111111111111",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
        "30569309025904",
        "3530111333300000",
    ],
    "iban": [
        "DE89 3704 0044 0532 0130 00",
        "DE89370400440532013000",
        "GB82WEST12345698765432",
        "GB82 WEST 1234 5698 7654 32",
        "fr1420041010050500013m02606",
        "NO93 8601 1117 947",
    ],
    "ssn": ["123-45-6789", "123 45 6789", "899-99-9999"],
    "ip": [
        "10.0.0.1",
        "203.0.113.7",
        "255.255.255.255",
        "2001:db8::1",
        "fe80::1",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "::ffff:203.0.113.7",
    ],
}

KEPT = [
    # no address
    "icon@2x.png",
    "git@github.com:owner/name.git",
    "https://user@host.com/path",
    "user@localhost",
    "react@18.2.0",
    "@decorator",
    "a@b",
    # no telephone number
    "2024-05-04 12:00",
    "04-05-2024",
    "04/05/2024",
    "2024-11-26T03:23:55.123456+00:00",
    "1712345678",
    "id 123-456-7890",
    "555-0123",
    "call_0123456789",
    "chatcmpl-0123456789",
    "0123456789",
    "00000000001234567",
    "a+1234567890",
    "+1.234567890",
    "01 02 03 04 05 06 07 08",
    "1,234,567,890",
    "3.14159265358979",
    "550e8400-e29b-41d4-a716-446655440000",
    "0.123-456-7890",
    "lines 200-300",
    # no card
    "4111111111111112",
    "4111 1111 1111 1112",
    "1712345678901234",
    "1712345678901234567",
    "9999999999999995",
    "41111111111111",
    "0.4111111111111111",
    "call_4111111111111111",
    # no account
    "DE89370400440532013001",
    "DE8937040044053201300",
    "XX89370400440532013000",
    "AB12CD34EF56GH78",
    "DE893704004405320130001",
    # no social security number
    "000-45-6789",
    "666-45-6789",
    "912-45-6789",
    "123-00-6789",
    "123-45-0000",
    "123-45-67890",
    "123-45 6789",
    "123456789",
    # no address of a network
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "::1",
    "v1.2.3.4",
    "version 1.2.3.4",
    "version: 1.2.3.4",
    "pkg==1.2.3.4",
    "Chrome/120.0.0.0",
    "1.2.3.4.5",
    "1.2.3.4-beta",
    "256.1.1.1",
    "01.2.3.4",
    "12:34:56",
    "aa:bb:cc:dd:ee:ff",
    "a::b",
    "std::vector",
    "dead::beef",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in FOUND.items() for text in texts])
def test_personal_data_goes(kind: str, text: str) -> None:
    """Alone, in a sentence, in JSON, and at the end of a line; nothing around it goes."""
    for before, after in (
        ("", ""),
        ("it is ", ", he said"),
        ('{"a": "', '"}'),
        ("- ", "\n"),
        ("(", ")."),
        ("a='", "'"),
    ):
        answer = EVERYTHING.text(before + text + after)
        expected = re.escape(before) + r"\[REDACTED:(" + kind + r"):[0-9a-f]{8}\]" + re.escape(after)
        assert re.fullmatch(expected, answer), answer
        assert EVERYTHING.text(answer) == answer


@pytest.mark.parametrize("text", KEPT)
def test_what_merely_looks_like_it_stays(text: str) -> None:
    """Ids, dates, versions, numbers and paths are not touched."""
    for before, after in (("", ""), ("it is ", ", he said"), ('{"a": "', '"}')):
        assert EVERYTHING.text(before + text + after) == before + text + after


def test_it_is_opt_in() -> None:
    """Without being asked for, personal data passes; asked for by kind, only that kind goes."""
    text = "bob@example.com 4111 1111 1111 1111 10.0.0.1"
    assert Redactor().text(text) == text
    assert Redactor(pii=False).text(text) == text
    assert Redactor(pii={"email"}).text(text).endswith("] 4111 1111 1111 1111 10.0.0.1")
    assert Redactor(pii=["card", "ip"]).text(text).startswith("bob@example.com [REDACTED:card:")
    assert Redactor(pii=True).describe()["pii"] == list(PII_KINDS)


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ("all", PII_KINDS),
        ("true", PII_KINDS),
        ("none", ()),
        ("phone, EMAIL", ("email", "phone")),
        ("post", ()),
    ],
)
def test_environment_asks(given: str, kinds: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """SPANTALLY_REDACT_PII says for redactors that name nothing; what is not allowed is said and ignored."""
    monkeypatch.setenv("SPANTALLY_REDACT_PII", given)
    assert Redactor().describe()["pii"] == list(kinds)
    assert Redactor(pii=False).describe()["pii"] == []
    guard.reset()


def test_it_reaches_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of any shape and names of fields go as texts do; numbers of calls stay."""
    redactor = spantally.Redactor(pii=True)
    found = redactor.attributes(
        {"user.email": "bob@example.com", "gen_ai.usage.input_tokens": 5, "t": ("a", "b")}
    )
    assert found["user.email"].startswith("[REDACTED:email:")
    assert found["gen_ai.usage.input_tokens"] == 5
    assert found["t"] == ("a", "b")
    assert "example" not in str(redactor.value({"bob@example.com": [b"bob@example.com"]}))


def test_secret_with_personal_data_in_it_is_a_secret() -> None:
    """Where a secret holds it, the whole goes under the secret's type."""
    answer = Redactor(pii=True).text("password=bob@example.com!Zx81mQ4")
    assert answer.startswith("password=[REDACTED:password:")
    assert "example" not in answer


@pytest.mark.parametrize(
    "part",
    ["a", "@", "a@", "1", "1 ", "+1", ":", "a:", "1.", "DE89", "(", "06 ", "00", "+12 ", "@a.", "a.b@"],
)
def test_time_is_linear(part: str) -> None:
    """Texts made to keep it busy take time by their length: twice the text about twice the time."""
    spent = []
    for size in (100_000, 400_000):
        taken: list[Span] = []
        begun = time.thread_time()
        find_pii(part * (size // len(part)), PII_KINDS, lambda: None, taken)
        spent.append(time.thread_time() - begun)
    assert spent[1] < 10 * spent[0] + 0.2


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="@.+-()/ :'01456789abDEx", max_size=60))
def test_redacting_again_changes_nothing(text: str) -> None:
    """Whatever the text: nothing raises, and a tag is never taken for personal data."""
    answer = EVERYTHING.text(text)
    assert EVERYTHING.text(answer) == answer
    assert EVERYTHING.failures == 0
