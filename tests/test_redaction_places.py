"""Secrets at places of their own in jars, grants, manifests and mails, and their likes that open nothing."""

from __future__ import annotations

import random
import string

import pytest

from spantally.redaction.redactor import Redactor

REDACTOR = Redactor()
_DRAW = random.Random(20261129)


def noise(size: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(_DRAW.choice(letters) for _ in range(size))


HEX = noise(64, "0123456789abcdef")
UUID = f"{HEX[:8]}-{HEX[8:12]}-4{HEX[13:16]}-9{HEX[17:20]}-{HEX[20:32]}"
KEY = noise(40)
CHOSEN = "Quiet7Harbor#21"


@pytest.mark.parametrize(
    ("form", "secret"),
    [
        (".example.com\tTRUE\t/\tTRUE\t1714812692\tsessionid\t{}", KEY),
        ('{{"out": "www.example.com\\tFALSE\\t/a\\tFALSE\\t0\\tauth_token\\t{}"}}', KEY),
        ('{{"grant_type":"authorization_code","code":"{}","client_id":"web"}}', KEY),
        ('{{"code": "{}", "grant_type": "authorization_code"}}', KEY),
        ('{{"body": "{{\\"grant_type\\":\\"authorization_code\\",\\"code\\":\\"{}\\"}}"}}', KEY),
        ('{{"role_id": "worker", "secret_id": "{}"}}', UUID),
        ("secret_id={} role_id=worker", UUID),
        ('accounts: ["0x{}"], // a network', HEX),
        ('{{"text": "accounts: [\\n  \\"{}\\"]"}}', HEX),
        ("#cloud-config\nchpasswd:\n  expire: false\n  list: |\n    bob:{}\n", CHOSEN),
        ('{{"data": "chpasswd:\\n  list: |\\n    bob:x1y2z3w4\\n    eve:{}"}}', CHOSEN),
        ("args:\n  - --token\n  - {}\n", KEY),
        ('args:\n  - "--password"\n  - "{}"\n', CHOSEN),
        ("mc alias set store https://minio.example.com:9000 AccessName {}", KEY),
        ("Zugangsdaten: ingrid / {}", CHOSEN),
        ("creds for staging -> bob / {}", CHOSEN),
        ("пароль от нашего сервера fjord — {}", CHOSEN),
        ("Your recovery code: {}", "4431-2337-6571"),
        ("backup code {} was generated", "7157-8093-5808"),
        ('%any gate.example.com : PSK "{}"', "l5hi7e=V20r7ME"),
    ],
)
def test_secrets_go(form: str, secret: str) -> None:
    text = form.format(secret)
    redacted = REDACTOR.text(text)
    assert secret not in redacted
    assert redacted != text
    assert REDACTOR.text(redacted) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "www.example.com\tFALSE\t/\tTRUE\t1714812692\ttheme\tdark",
        '{"grant_type":"authorization_code","redirect_uri":"https://app.example.com/cb"}',
        f'{{"secret_id": "{UUID}", "status": "listed"}}',
        f'accounts: ["0x{HEX[:40]}"]',
        "names:\n  - token\n  - abcdefgh12345678\n",
        f"UID:{UUID}@example.com\nSUMMARY:Password rotation",
        f"UID:{noise(26, 'abcdefghijklmnopqrstuvwxyz0123456789')}@example.com",
        f'<div class="g-recaptcha" data-sitekey="6L{noise(38)}"></div>',
        f'{{"file_key": "{noise(22)}", "status": "pending"}}',
        f'{{"zone": "srv-{noise(20, "abcdefghijklmnopqrstuvwxyz0123456789")}"}}',
        f'id = "db-{noise(26, string.ascii_uppercase + string.digits)}"',
        f'{{"SecretVersionsToStages":{{"{UUID}":["AWSCURRENT"]}}}}',
        f"X-Amz-Cf-Id: nro_-{noise(40)}_480EOAPy==",
        "const key = 'rl:203.0.113.41:/api/river';",
        "curl -d password=@pw.txt https://example.com",
        '"password": "required|string|min:12|confirmed"',
        "db_password: !vault-ref app/db",
        "   3: orbit::auth::verify_token::h57882757a3142be2",
        f"ssh_authorized_keys:\n  - ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ{noise(338)} bob@example.com",
    ],
)
def test_what_opens_nothing_stays(text: str) -> None:
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize("stand_in", ["[Filtered]", "(sensitive value)", "<hidden>", "[REDACTED]", "{masked}"])
def test_stand_ins_of_others_stay_under_a_password(stand_in: str) -> None:
    assert REDACTOR.text(stand_in, "db.password") == stand_in


@pytest.mark.parametrize("value", ["[hunter2]", "(sensitive5)", "[filtered", "masked"])
def test_what_is_none_goes(value: str) -> None:
    assert value not in REDACTOR.text(value, "db.password")


@pytest.mark.parametrize("value", ["@dm1n.Jk29", "!Sommer2024", "required|Tig3rs", "string|9xQ#"])
def test_passwords_like_stand_ins_go(value: str) -> None:
    assert value not in REDACTOR.text(f'"password": "{value}"')
