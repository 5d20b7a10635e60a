"""Values beside their names, however the two are joined; and what stands beside a name and is no secret."""

from __future__ import annotations

import pytest

from spantally.redaction import Redactor

REDACTOR = Redactor()
NOISE = "Zx81mQ4tLw9Bv72KpY3sHd6f"
HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"
PHRASE = "garden-harbor-hazel-nectar"

FORMS = [
    "{n} ~ {v}",
    "{n} \u2192 {v}",
    "{n} \u2014 {v}",
    "{n} ........ {v}",
    "{n} (prod): {v}",
    "{n} for the staging host is {v}",
    "the {n} has been changed to {v}",
    "{n}; {v}",
    "\u2502 {n} \u2502 {v} \u2502",
    "{n}:\n{v}",
    "{n}:\n```\n{v}\n```",
    "{n}: |\n  {v}",
    "what's the {n}?\nbob: {v}",
    '"{n}": {{"value": "{v}"}}',
    '{n} ||= "{v}"',
    '{n} = """{v}"""',
    "{v}  # {n}",
    '"{v}", // the {n}',
    "{v} is the {n}",
    "use {v} for {n}.",
]
PAIRS = [
    ("openai_api_key", NOISE),
    ("CLIENT_SECRET", HEX),
    ("db_password", PHRASE),
    ("admin password", "Winter.Tango9257"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "value"), PAIRS, ids=[name for name, _ in PAIRS])
def test_whatever_joins_them_the_value_goes(form: str, name: str, value: str) -> None:
    """Marks, a few words, the next line, the value first; and it stays gone."""
    answer = REDACTOR.text(form.format(n=name, v=value))
    assert value not in answer
    assert name in answer
    assert REDACTOR.text(answer) == answer


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("пароль: Zebra8964!", "Zebra8964!"),
        ("密码是 Zebra8964!", "Zebra8964!"),
        ("パスワードは Zebra8964! です", "Zebra8964!"),
        ("hasło: Zebra8964!", "Zebra8964!"),
        ("la contraseña es Zebra8964!", "Zebra8964!"),
        ("le mot de passe est Zebra8964!", "Zebra8964!"),
        (f"токен: {NOISE}", NOISE),
        ("db.internal:5432:orders:app:Zebra8964!", "Zebra8964!"),
        ("CREATE USER 'a'@'%' IDENTIFIED BY 'Zebra8964!';", "Zebra8964!"),
        ("docker login -u app -p Zebra8964! registry.internal", "Zebra8964!"),
        ("echo Zebra8964! | sudo -S systemctl restart x", "Zebra8964!"),
        ("jdbc:oracle:thin:app/Zebra8964@db:1521:x", "Zebra8964"),
        (f"text=%7B%22api_key%22%3A%20%22{NOISE}%22%7D", NOISE),
        (f"&lt;input name=&quot;api_key&quot; value=&quot;{NOISE}&quot;&gt;", NOISE),
        (f"\\u043f\\u0430\\u0440\\u043e\\u043b\\u044c: {NOISE}", NOISE),
        (f"text=%257B%2522api_key%2522%253A%2522{NOISE}%2522%257D", NOISE),
    ],
)
def test_other_languages_files_and_encodings(text: str, secret: str) -> None:
    """Named in another script, standing where a file or command has its password, encoded once or twice."""
    answer = REDACTOR.text(text)
    assert secret not in answer
    assert REDACTOR.text(answer) == answer


@pytest.mark.parametrize(
    "text",
    [
        "password: ${DB_PASSWORD:?missing}",
        'ETag: W/"Sa-MeZwzX532RjOCRIVWVAfASvK"',
        '<input type="password" name="password" autocomplete="current-password" placeholder="Password">',
        "def login(self, user, password, *, initial_response_ok=True):",
        "httpx.HTTPStatusError: --password PASSWORD  the password of the user",
        "'cs_test_GsjyD3GTicMIEV8B1ZgbAHHByPT1ArXnnGpHJgbR'",
        "the token count of the request was 1,024 of 128000 tokens",
        "the password must have 8 characters, one of them a digit",
        "text=%7B%22max_tokens%22%3A%20500%2C%20%22model%22%3A%20%22gpt-4o-2024-08-06%22%7D",
        "пароль должен быть длинным и сложным",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Variables, attributes, ids, sentences about passwords."""
    assert REDACTOR.text(text) == text
