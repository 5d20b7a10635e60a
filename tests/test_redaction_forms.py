"""Forms in which languages, files and commands write a name and its secret; and the same without one."""

from __future__ import annotations

import pytest

from spantally.redaction import Redactor

REDACTOR = Redactor()
NOISE = "Zx81mQ4tLw9Bv72KpY3sHd6f"
MORE = "Qm72Xw4Lt91vB8zKpY3sUd6f"
WORD = "Zebra8964" + "!"
HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"

FORMS = [
    ('const apiKey string = "{v}"', NOISE),
    ('public string ApiKey {{ get; set; }} = "{v}";', NOISE),
    ('Config {{ host: "x", client_secret: Some("{v}") }}', NOISE),
    ('password: SecretStr = Field(default="{v}", repr=False)', WORD),
    ('["password"]=>\n  string(10) "{v}"', WORD),
    ('a:1:{{s:8:"password";s:10:"{v}";}}', WORD),
    ("my $password = q{{{v}}};", WORD),
    ("local password = [[{v}]]", WORD),
    ("ENV['DB_PASSWORD'] ||= '{v}'", WORD),
    ("password: >-\n  {v}\nnext: 1", WORD),
    ("Unseal Key 1: {v}", NOISE),
    ("username admin password 0 {v}", WORD),
    ('{{"db_password": {{"value": "{v}", "type": "string"}}}}', HEX),
    ('{{"password": {{"sensitive": true, "type": "string", "value": "{v}"}}}}', HEX),
    ('{{"Name": "/prod/db/password", "Type": "SecureString", "Value": "{v}"}}', WORD),
    ('Content-Disposition: form-data; name="password"\r\n\r\n{v}\r\n--xx--', WORD),
    ('name=\\"password\\"\\r\\n\\r\\n{v}\\r\\n--xx--', WORD),
    ('<input value="{v}" type="hidden" name="password"/>', WORD),
    ('requests.get(url, auth=("admin", "{v}"))', WORD),
    ("HTTPBasicAuth('admin', '{v}')", WORD),
    ("echo {v} | docker login -u bob --password-stdin", WORD),
    ("Hasło do bazy: {v}", WORD),
    ("Lösenordet är {v}", WORD),
    ("A senha do banco é {v}", WORD),
    ("Voici la clé API : {v}", NOISE),
    ("Der API-Schlüssel für Prod ist: {v}", NOISE),
]


@pytest.mark.parametrize(("form", "secret"), FORMS)
def test_a_secret_goes_in_every_form(form: str, secret: str) -> None:
    """Nothing but the secret goes, and a second reading changes nothing."""
    text = form.format(v=secret)
    answer = REDACTOR.text(text)
    before, _, after = text.partition(secret)
    assert secret not in answer
    assert answer.startswith(before)
    assert answer.endswith(after)
    assert REDACTOR.text(answer) == answer


@pytest.mark.parametrize(
    "form",
    [
        'api_key = (\n    "{a}"\n    "{b}"\n)',
        'api_key = "{a}" + "{b}"',
        "apiKey = '{a}' +\n    '{b}';",
        '{{"code": "api_key = (\\n    \\"{a}\\"\\n    \\"{b}\\"\\n)"}}',
        '{{"api_keys": ["{a}", "{b}"]}}',
        "passwords:  ['{a}', '{b}']",
    ],
)
def test_all_parts_of_a_secret_and_all_items_of_a_list_go(form: str) -> None:
    """A text that is joined of several, and a list."""
    answer = REDACTOR.text(form.format(a=NOISE, b=MORE))
    assert NOISE not in answer
    assert MORE not in answer
    assert REDACTOR.text(answer) == answer


@pytest.mark.parametrize(
    "text",
    [
        'const token string = "name"',
        "public string Password { get; set; }",
        'auth = ("tests/unit", "tests/integration2")',
        "docker login -u bob --password-stdin < file",
        f"12 passed key=value commit={HEX}",
        '{"password": {"type": "string", "description": "at least 8 characters"}}',
        'help_token = (\n    "several words of help"\n    "and 2 more"\n)',
        "key: >-\n  words of text\nnext: 1",
        '{"tokens": ["hello", "world"], "keys": ["abc1", "def2"]}',
        'password_field = Field(default="", max_length=128)',
    ],
)
def test_the_same_forms_without_a_secret_stay(text: str) -> None:
    """The form alone gives nothing away."""
    assert REDACTOR.text(text) == text
