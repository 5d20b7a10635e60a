"""What is typed at prompts of servers and routers, logins without a scheme, and stores of secrets."""

from __future__ import annotations

import hashlib
import json
import string

import pytest

from spantally.redaction import Redactor

REDACTOR = Redactor()

PASSWORDS = [
    "127.0.0.1:6379> AUTH {v}",
    "AUTH default {v}",
    'client.sendCommand(["AUTH", "{v}"])',
    '1710000000.12 [0 127.0.0.1:5122] "AUTH" "bob" "{v}"',
    "ACL SETUSER bob on >{v} ~jobs:* +@all",
    "user bob on >{v} ~* &* +@all",
    "snmp-server community {v} RO",
    "rocommunity {v} 10.0.0.0/8",
    "set snmp community {v} authorization read-only",
    "snmp-server host 10.1.1.1 version 2c {v}",
    "snmp-server user bob grp v3 auth sha {v}",
    'createUser bob SHA "{v}" AES other',
    'createUser bob SHA other12 AES "{v}"',
    " key-string 7 {v}",
    "enable secret 0 {v}",
    "username bob privilege 15 secret {v}",
    "tacacs-server key {v}",
    "radius server ISE\n address ipv4 10.0.0.5 auth-port 1812\n key {v}",
    "crypto isakmp key {v} address 10.9.9.9",
    "ip ospf message-digest-key 1 md5 {v}",
    "wpa-psk ascii 0 {v}",
    'pre-shared-key ascii-text "{v}"',
    'expect "assword:"\nsend "{v}\\r"',
    'send -- "{v}\\r"',
    "deploy:{v}@db01.internal.example.com:5432/app",
    "git remote add origin bob:{v}@git.example.com/team/repo.git",
    "cvs -d :pserver:bob:{v}@cvs.example.com:/root co m",
    "root:{v}@unix(/tmp/mysql.sock)/test",
    "expdp system/{v}@orcl dumpfile=x",
    "vault kv put secret/app/db value={v}",
    "vault write auth/userpass/users/bob pin={v} policies=admins",
    "heroku config:set STRIPE={v}",
    "aws ssm put-parameter --name /app/db --value '{v}' --type SecureString",
    "bw login bob@example.com {v}",
    "bw unlock {v}",
]
KEYS = [
    "GET /v1/data?x={v} HTTP/1.1",
    "https://dl.example.com/file.zip?id=7&h={v}&e=1700000000",
    "nuget push My.Pkg.1.0.nupkg {v} -Source https://nuget.example.com/v3/index.json",
    "otpauth-migration://offline?data={v}",
    "AUTH PLAIN {v}",
]


def drawn(seed: str, size: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Made-up characters, always the same."""
    return "".join(alphabet[byte % len(alphabet)] for byte in hashlib.shake_256(seed.encode()).digest(size))


def hidden(text: str, secret: str) -> None:
    """The secret goes as it stands, in JSON, and in JSON in JSON; what is left is still JSON."""
    for one in (text, f"Look at this:\n\n{text}\n\nWhat is wrong there?"):
        for form in (one, json.dumps({"content": one}), json.dumps({"a": json.dumps({"content": one})})):
            shown = REDACTOR.text(form)
            assert secret not in shown
            assert "[REDACTED:" in shown
            assert REDACTOR.text(shown) == shown
            if form[0] == "{":
                json.loads(shown)


@pytest.mark.parametrize("text", PASSWORDS)
def test_passwords_at_prompts_and_in_configurations_go(text: str) -> None:
    """Those that people think of, and those that programs make."""
    for secret in ("Copper7!84x", "Lantern572Gz", drawn(text, 14) + "4Zq"):
        hidden(text.format(v=secret), secret)


@pytest.mark.parametrize("text", KEYS)
def test_keys_go(text: str) -> None:
    """What only a program makes."""
    secret = drawn(text, 36) + "a1Z9"
    hidden(text.format(v=secret), secret)


@pytest.mark.parametrize("text", ["2FA secret {v}", "TOTP seed: {v}", "oathtool --totp -b {v}"])
def test_seeds_of_one_time_passwords_go_in_either_case(text: str) -> None:
    """Programs show them in small letters, too."""
    for alphabet in (string.ascii_lowercase, string.ascii_uppercase):
        secret = drawn(text, 32, alphabet + "234567")
        hidden(text.format(v=secret), secret)


def test_lines_of_htdigest_go() -> None:
    """What stands behind user and realm is as good as the password."""
    hidden("bob:Private Realm:" + drawn("d", 32, "0123456789abcdef"), drawn("d", 32, "0123456789abcdef"))


@pytest.mark.parametrize(
    "text",
    [
        "mailto:john.smith84@example.com and email:bob99@mail.example.com/inbox, To:eve1@example.com",
        "users.csv:anna1984@example.com\nINFO:root:bob2@example.com logged in",
        "npm:react2@18.2.0 workspace:foo1@1.2.3.4 image:tag1@sha256:1234abcd",
        "uses: actions/checkout2@v4\n@app.route('/a:b1@c')\nx = a[1:n2] @ b.c",
        "see user:password@host:80 or https://host:8080/a1@b.example.com/x",
        "auth required pam_tally2.so\nauth SHA256\nauth sufficient pam_u2f.so",
        '["auth", "http2", "oauth2"] and {"auth": "basic1"}',
        "250-AUTH LOGIN PLAIN XOAUTH2\nAUTH CRAM-MD5\n",
        "the snmp-server community public RO and our community v2board2 of users",
        "enable key rotation2 and set the secret santa2024 list; the key b2b is short",
        "user bob on >=3.8 is what @typing says; SetUserData(p2) is C",
        'send "show version2\\r"\nexpect "2 items" and send "yes\\r"',
        "vault kv put -mount=secret1 app/db2 ttl=768h host=db01.example.com user=app01",
        "https://example.com/a.js?v=Zx81mQ4tLw9Bv72KpY3sRe5T0q&utm_source=Zx81mQ4tLw9Bv72KpY3sRe5T0q",
        "https://example.com/?page_token=Zx81mQ4tLw9Bv72KpY3sRe5T0q&videoId=Zx81mQ4tLw9Bv72KpY3sRe5T0q",
        f"a.txt:md5:{drawn('m', 32, '0123456789abcdef')}",
        "nuget push My.Pkg.1.0.nupkg -Source https://nuget.example.com/v3/index.json",
    ],
)
def test_what_looks_like_it_stays(text: str) -> None:
    """Addresses of mail, versions, modules of PAM, methods, words."""
    assert REDACTOR.text(text) == text
