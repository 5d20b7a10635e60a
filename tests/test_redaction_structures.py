"""Secrets that are known by where they stand: headers, URLs, PEM blocks, pairs, tables."""

from __future__ import annotations

import base64
import json

import pytest

from spantally.redaction import Redactor

REDACTOR = Redactor()
NOISE = "Zx81mQ4tLw9Bv72KpY3s"
PEM_LINES = [base64.b64encode(bytes((i * 37 + j * 11) % 251 for j in range(48))).decode() for i in range(12)]
BASIC = base64.b64encode(b"reader:wFw1ih0vjob!R9").decode()

TEXTS = [
    (f"Authorization: Bearer {NOISE}\nX: y", NOISE),
    (f"-H 'authorization: token {NOISE}'", NOISE),
    (f'headers = {{"Authorization": f"Bearer {NOISE}"}}', NOISE),
    (f"Authorization: Basic {BASIC}\r\nAccept: */*", BASIC),
    (f'Authorization: Digest username="a", nonce="{NOISE}", response="{NOISE}"', NOISE),
    (f"Cookie: theme=dark; sessionid={NOISE}; lang=en", NOISE),
    (f"Set-Cookie: auth={NOISE}; Path=/; HttpOnly", NOISE),
    ("postgresql://svc:hunter2pw@db.internal:5505/main", "hunter2pw"),
    ("redis://:p@ss#w0rd@cache:6379/0", "p@ss#w0rd"),
    ("amqp:\\/\\/user:Zebra8964!@mq\\/vhost", "Zebra8964!"),
    ("u=postgres%3A%2F%2Fsvc%3AZebra8964%40db%2Fmain", "Zebra8964"),
    (
        f"https://b.s3.amazonaws.com/k?X-Amz-Date=2026&X-Amz-Signature={'10e20c17f15f51d3' * 4}",
        "10e20c17f15f51d3",
    ),
    ("https://a.blob.core.windows.net/c?sv=2024&sig=ab%2Bcd12Ef34Gh56Ij78%3D&se=1", "cd12Ef34Gh56Ij78"),
    ("Server=tcp:db,1433;User Id=svc;Password=Zebra8964!;Encrypt=true;", "Zebra8964!"),
    ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=" + PEM_LINES[0] + "==;", PEM_LINES[0]),
    ("host=db password=Zebra8964 dbname=x", "Zebra8964"),
    ("machine example.com login bob password Zebra8964!", "Zebra8964!"),
    ("curl -u admin:Zebra8964! https://example.com", "Zebra8964!"),
    ("mysql --password Zebra8964 -h db", "Zebra8964"),
    (f"redis-cli -h cache.internal -a {NOISE} ping", NOISE),
    (f"https://example.com/v1/orders?page=2&hmac={NOISE}&sort=name", NOISE),
    (
        f"https://storage.example.com/a.png?X-Goog-Expires=9\\u0026X-Goog-Signature={'10e20c17f15f51d3' * 4}",
        "10e20c17f15f51d3",
    ),
    (f'<wsse:Password Type="#PasswordText">{NOISE}</wsse:Password>', NOISE),
    (f'{{"body": "data:\\n  db-password: {NOISE}=", "timeout": 30}}', NOISE),
    (f"$ export STRANGE_CLIENT_SECRET={NOISE} && ./deploy.sh", NOISE),
    (f"os.environ['STRANGE_API_KEY'] = '{NOISE}'", NOISE),
    ('password: str = "Zebra8964!"', "Zebra8964!"),
    (f"<ApiKey>{NOISE}</ApiKey>", NOISE),
    (f'<add key="ApiKey" value="{NOISE}"/>', NOISE),
    (f'{{"name": "STRANGE_TOKEN", "value": "{NOISE}"}}', NOISE),
    (f'variable "strange_token" {{\n  default = "{NOISE}"\n}}', NOISE),
    (f'[("x-api-key", "{NOISE}")]', NOISE),
    (f"my strange auth token is {NOISE}. please use it", NOISE),
    (f"**API key:** `{NOISE}`", NOISE),
    (f"?client_secret={NOISE}&page=2", NOISE),
    (f"id,name,strange_api_key\n1,alice,{NOISE}\n2,bob,n/a", NOISE),
    ("| user | password |\n|---|---|\n| bob | Zebra8964! |\n", "Zebra8964!"),
    (f"id\\tstrange_token\\n1\\t{NOISE}\\n", NOISE),
    (f"https://hooks.slack.com/services/T0AAAAAA/B0BBBBBB/{NOISE}", NOISE),
    (f"aws_access_key_id AKIA{'Q3' * 8} {PEM_LINES[1][:40]}", PEM_LINES[1][:40]),
    (f"I got strange_{NOISE}x9 from them", NOISE),
    ("{'db_password': 'qa$ieoCzZ2n', 'user': 'x'}", "qa$ieoCzZ2n"),
    (f"INSERT INTO users (id, api_key, name) VALUES (1, 'k', 'a'), (2, '{NOISE}', 'b')", NOISE),
    ("insert or ignore into `t` (`mail`, `password`) values ('a,b(c)', 'Zebra8964!')", "Zebra8964!"),
    (json.dumps({"sql": f"INSERT INTO t (a,\n secret_key)\nVALUES (now(), E'{NOISE}')"}), NOISE),
    (f'run("INSERT INTO t (name, token) VALUES (%s, %s)", ("bob", "{NOISE}"))', NOISE),
    (f"INSERT INTO t (id, token) VALUES (1, '{NOISE}", NOISE),
    (f"token: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtM2FTdzZQU2hIIn0.{NOISE}", NOISE),
    ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtM2", "eyJzdWIiOiJtM2"),
]


@pytest.mark.parametrize(("text", "secret"), TEXTS, ids=[text[:30] for text, _ in TEXTS])
def test_the_secret_goes_and_stays_gone(text: str, secret: str) -> None:
    """Nothing of the secret is left, and a second redaction changes nothing."""
    answer = REDACTOR.text(text)
    assert secret not in answer
    assert "[REDACTED:" in answer
    assert REDACTOR.text(answer) == answer


@pytest.mark.parametrize("depth", range(1, 6))
@pytest.mark.parametrize(
    "name", ["password", "api_key", "Authorization", "clientSecret", "AWS_SECRET_ACCESS_KEY"]
)
def test_pairs_are_found_at_any_depth_of_escaping(name: str, depth: int) -> None:
    """A pair inside JSON inside JSON: the value goes, its neighbour stays."""
    text: object = {"before": "kept text", name: NOISE, "after": "kept too"}
    for _ in range(depth):
        text = json.dumps(text)
    answer = REDACTOR.text(str(text))
    assert NOISE not in answer
    assert "kept text" in answer
    assert "kept too" in answer


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\\n", "\\\\n"])
@pytest.mark.parametrize("lines", [2, 5, 12])
@pytest.mark.parametrize("kind", ["RSA ", "", "EC ", "OPENSSH ", "ENCRYPTED "])
@pytest.mark.parametrize("closed", [True, False])
def test_private_keys_go_whole_or_cut(newline: str, lines: int, kind: str, closed: bool) -> None:
    """A PEM block goes with real or written line breaks, whole or cut; the text around it stays."""
    body = newline.join([f"-----BEGIN {kind}PRIVATE KEY-----", *PEM_LINES[:lines]])
    text = (
        "before "
        + body
        + (f"{newline}-----END {kind}PRIVATE KEY-----" if closed else "")
        + f"{newline}and then we go on"
    )
    answer = REDACTOR.text(text)
    assert not any(line[:16] in answer for line in PEM_LINES[:lines])
    assert answer.startswith("before [REDACTED:private-key:")
    assert answer.endswith("and then we go on")


def test_public_parts_of_a_url_stay() -> None:
    """Only the password of a URL goes."""
    answer = REDACTOR.text("postgresql://svc:hunter2pw@db.internal:5505/main")
    assert answer.startswith("postgresql://svc:[REDACTED:url-password:")
    assert answer.endswith("]@db.internal:5505/main")


@pytest.mark.parametrize("end", ["", "\u2026", "...", "\u2026[truncated 90 characters]"])
@pytest.mark.parametrize(
    ("before", "password"),
    [
        ("postgres://app:", "LDNPsmKzCW"),
        ("it is https://user:", "hunter2hunter2"),
        ("mongodb+srv://admin:", "Tr0ub4dor"),
        ("redis://:", "S3cretPass"),
        ('{"dsn": "amqp://svc:', "m64Eq2"),
    ],
)
def test_a_url_that_was_cut_off_within_its_password(before: str, password: str, end: str) -> None:
    """As by a stream that is left, or by a limit of another library: there is no host to know it by."""
    answer = REDACTOR.text(before + password + end)
    assert password not in answer
    assert answer.startswith(before + "[REDACTED:url-password:")


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8080",
        "see http://localhost:8080.",
        "**http://localhost:8080**",
        "http://localhost:8080\u2026",
        "http://localhost:8080...",
        "see http://host:port",
        "http://host:myPort",
        "http://{host}:{port1}",
        "http://host:$PORT1",
        "redis://h1:6379,h2:6379",
        "mongodb://h1:27017,h2:27017,h3:27018",
        "docker://python:3.11-slim",
        "docker://alpine:latest",
        "at://did:plc:abc123",
        "http://proxy:8080;https",
    ],
)
def test_ports_and_tags_at_the_end_of_a_text_stay(text: str) -> None:
    """What follows the name of a host is no password."""
    assert REDACTOR.text(text) is text


PREFIXES = (
    "web_1  | ",
    "2026-01-01T00:00:00Z ",
    "[pod/app-1] ",
    "kubernetes_pod_name_12345: ",
    "level=info msg=",
    "app-7d9f stdout F ",
    "- ",
)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("cut", [None, 5, 150])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_private_keys_in_the_lines_of_a_log(prefix: str, cut: int | None, newline: str) -> None:
    """Each line stands behind a name or a time; what follows the key stays."""
    lines = [
        "-----BEGIN RSA PRIVATE KEY-----",
        *PEM_LINES[:8],
        "x7YkQ2mVw==",
        "-----END RSA PRIVATE KEY-----",
    ]
    text = newline.join(prefix + line for line in ("starting", *lines, "server started"))
    if cut is not None:
        text = text[:-cut]
    answer = REDACTOR.text(text)
    assert not any(line[:16] in answer for line in PEM_LINES[:8])
    assert "x7YkQ" not in answer
    assert answer.startswith(f"{prefix}starting{newline}{prefix}[REDACTED:private-key:")
    assert cut is not None or answer.endswith(f"{prefix}server started")
    assert REDACTOR.text(answer) == answer


def test_talk_of_private_keys_in_a_log_stays() -> None:
    """A mark alone makes no key of the lines behind it."""
    text = (
        "INFO the file begins with -----BEGIN PRIVATE KEY-----\nINFO and ends with such a line\n"
        "INFO at commit 3f786850e387550fdab836ed7e6dc881de23001b\nINFO started\n"
    )
    assert REDACTOR.text(text) == text
