"""Secrets at a place of their own in code, statements, manifests and talk, and in words of more languages."""

from __future__ import annotations

import base64
import hashlib
import json
import string

import pytest

from spantally.redaction import Redactor

REDACTOR = Redactor()

PASSWORDS = [
    "jwt.sign({ id: user.id }, '{v}', { expiresIn: '1h' })",
    'jwt.decode(token, "{v}", algorithms=["HS256"])',
    "hmac.new(b'{v}', msg, hashlib.sha256)",
    "crypto.createHmac('sha256', '{v}').update(x)",
    "ftplib.FTP('ftp.example.com', 'bob', '{v}')",
    'smtp.login(user, "{v}")',
    "SELECT pgp_sym_encrypt('data', '{v}');",
    "CREATE DATABASE LINK rem CONNECT TO scott IDENTIFIED BY {v} USING 'orcl';",
    "ParameterKey=DBPassword,ParameterValue={v}",
    '[\n  {\n    "ParameterKey": "DbPassword",\n    "ParameterValue": "{v}"\n  }\n]',
    'gh secret set STRIPE --body "{v}"',
    "flyctl secrets set STRIPE={v}",
    "az keyvault secret set --vault-name kv --name db --value {v}",
    "pulumi config set --secret db {v}",
    "pulumi config set dbThing {v} --secret",
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  dsn: {v}\n",
    "log in as bob with {v}",
    "you can login as admin with {v}",
    "adgangskode: {v}",
    "Passord er {v}",
    "parol\u0103: {v}",
    "heslo je {v}",
    "geslo: {v}",
    "la clave es {v}",
    "kata sandi: {v}",
]
KEYS = [
    "UPDATE settings SET value='{v}' WHERE name='stripe_api_key';",
    "here's my token {v} can you check",
    "export SENDGRID={v}",
    "chiave API: {v}",
    "chave secreta: {v}",
]
HEX = ["https://api.example.org/weather?q=London&appid={v}", "TWILIO_AUTH={v}"]


def drawn(seed: str, size: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Made-up characters, always the same."""
    return "".join(alphabet[byte % len(alphabet)] for byte in hashlib.shake_256(seed.encode()).digest(size))


def hidden(text: str, *secrets: str) -> None:
    """They go as they stand, in JSON, and in JSON in JSON; what is left is still JSON."""
    for one in (text, f"Look at this:\n\n{text}\n\nWhat is wrong there?"):
        for form in (one, json.dumps({"content": one}), json.dumps({"a": json.dumps({"content": one})})):
            shown = REDACTOR.text(form)
            for secret in secrets:
                assert secret not in shown
            assert "[REDACTED:" in shown
            assert REDACTOR.text(shown) == shown
            if form[0] == "{" and text[0] != "{":
                json.loads(shown)


@pytest.mark.parametrize("text", PASSWORDS)
def test_passwords_at_their_places_go(text: str) -> None:
    """Those that people think of, and those that programs make."""
    for secret in ("Copper7!84x", "Lan!tern572Gz", drawn(text, 12) + "4!Zq"):
        hidden(text.replace("{v}", secret), secret)


@pytest.mark.parametrize("text", KEYS)
def test_keys_go(text: str) -> None:
    """What only a program makes."""
    secret = drawn(text, 36) + "a1Z9"
    hidden(text.replace("{v}", secret), secret)


@pytest.mark.parametrize("text", HEX)
def test_keys_of_hex_digits_go(text: str) -> None:
    """Where the name says that it is no hash."""
    secret = drawn(text, 32, "0123456789abcdef")
    hidden(text.replace("{v}", secret), secret)


def test_data_of_a_secret_of_kubernetes_goes() -> None:
    """Under any name, before its kind or behind it, in YAML and JSON; the user and other documents stay."""
    secret = base64.b64encode(b"Copper and more of it").decode()
    hidden(f"kind: Secret\nmetadata:\n  name: db\ndata:\n  username: YWRtaW4=\n  conn: {secret}\n", secret)
    hidden(f"apiVersion: v1\ndata:\n  conn: {secret}\nkind: Secret\n", secret)
    hidden(f'{{"kind":"Secret","metadata":{{"name":"x"}},"data":{{"license":"{secret}"}}}}', secret)
    listed = '{"kind":"ConfigMap","data":{"conn":"%s"}},{"kind":"Secret","data":{"license":"%s"}}'
    shown = REDACTOR.text(listed % (secret[::-1].strip("="), secret))
    assert secret not in shown
    assert secret[::-1].strip("=") in shown
    other = f"kind: Secret\nmetadata:\n  name: foo2\n---\nkind: ConfigMap\ndata:\n  conn: {secret}\n"
    assert REDACTOR.text(other) == other


def test_private_parts_of_a_json_web_key_go() -> None:
    """Those of the public key stay."""
    parts = {name: drawn(name, 43) for name in ("d", "p", "q", "dp", "dq", "qi")}
    public = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
    text = json.dumps({"kty": "RSA", "n": public, "e": "AQAB", **parts})
    hidden(text, *parts.values())
    assert public in REDACTOR.text(text)
    hidden('{"k": "' + drawn("k", 43) + '", "kty": "oct"}', drawn("k", 43))


def test_lines_of_a_key_of_putty_go_with_escaped_breaks() -> None:
    """As they stand in JSON."""
    lines = [base64.b64encode(hashlib.sha384(one).digest()).decode() for one in (b"a", b"b")]
    text = "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 2\n" + "\n".join(lines) + "\nPrivate-MAC: ab\n"
    hidden(text, *lines)
    assert "Private-MAC" in REDACTOR.text(json.dumps(text))


def test_codes_and_numbers_that_open_something_go() -> None:
    """Where clear words say so."""
    hidden("my PIN is 482133", "482133")
    hidden("The card's pin: 4821", "4821")
    hidden("Backup codes:\n1. 4821-9934\n2. 7a21-c934", "4821-9934", "7a21-c934")
    hidden("recovery codes\n  3f9a1b2c\n  77e0aa12", "3f9a1b2c", "77e0aa12")


@pytest.mark.parametrize(
    "text",
    [
        '<td><a accesskey="n" href="libxslt-numbersInternals2.html"><img src="right.png"/></a>',
        '"AWS::Config::AggregationAuthorization": "af318b77aaceeeaa"',
        "Authorization: https://example.com/rfc7235/a1b2c3d4e5f6",
        'jwt.decode(token, "public.pem", algorithms=["RS256"]); jwt.encode(payload, key, "HS256")',
        "hmac.new(key, b'message1234', 'sha256'); createHmac('sha256', key1).digest('base64')",
        "FTP('ftp.example.com', 'anonymous', 'me2@example.com'); server.login(user, os.environ['PW2'])",
        "la clave primaria id_usuario1; clave: valor2; clave = userId2Name; enclave: Intel2SGX!x",
        "chiave: valore, chiave esterna utente_id2; chave: nome do campo",
        "pin is 1234 on the header; the pin: 13; GPIO pin is 4096; my pin: 13",
        "login with bob / alice2; log in as user1 with role2; login with GitHub/OAuth2",
        "Backup codes:\nfoo bar\nbaz\nrecovery codes:\n  404\n  500",
        "ParameterKey=InstanceType,ParameterValue=t2.micro ParameterKey=KeyName,ParameterValue=my-key2",
        "gh secret set FOO < file2.txt; git config set user.name bob2",
        "UPDATE t SET value='abc12' WHERE name='max_tokens'",
        "https://example.com/?appid=1234567890&appid=com.example.app1",
        "X_AUTH=true BASIC_AUTH=0123456789abcdef",
        "GIT_COMMIT=Zx81mQ4tLw9Bv72KpY3sRe5T0q ETAG=Zx81mQ4tLw9Bv72KpY3sRe5T0q",
        "my token is invalid; my token expired2; my key abcdefghijklmnopqrstu1",
    ],
)
def test_what_looks_like_it_stays(text: str) -> None:
    """Links, types, methods, other documents, words."""
    assert REDACTOR.text(text) == text
