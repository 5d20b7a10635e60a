"""What is no secret stays, as the same object: ids, hashes, counts, code, prose."""

from __future__ import annotations

import base64
import hashlib

import pytest

from spantally.redaction import Redactor

REDACTOR = Redactor()
DIGEST = hashlib.sha256(b"x").hexdigest()
MEDIA = base64.b64encode(hashlib.shake_256(b"media").digest(3000)).decode()

TEXTS = [
    "gpt-4o-mini-2024-07-18",
    "request 4ef776f4-d8f2-bc3b-9cad-ee3b7139af26 finished",
    f"sha256:{DIGEST} commit {DIGEST[:40]} md5={DIGEST[:32]}",
    '{"traceparent": "00-895cf4dbd6999126f95a04d31d2b0682-3f16e4115d594ab0-01"}',
    '{"id": "chatcmpl-9Zx81mQ4tLw9Bv72KpY3sA", "tool": "call_ILtbSuMFndfwrzVgZs9rXmu3"}',
    '{"m": "msg_01wLDI9xdCtzADqtzkE1spKW", "f": "file-lrGXfxyoy7G8qgxJEH389Syy"}',
    '{"usage": {"prompt_tokens": 4155, "total_tokens": 7070}, "max_tokens": 4096, "token_type": "bearer"}',
    "a/b.py,sha256=_N_MRBx7sdBAGhmryhGKdSIukCb0hbtqzRwIeMnfAsk,1568\nc.py,sha256=z_fXl9cFIICyTA0xofb8pGy-W",
    f"data:image/png;base64,{MEDIA}",
    '{"embedding": [-0.66252774, -0.75827628, -0.09199683, 0.012345678901234567]}',
    'api_key = os.environ["OPENAI_API_KEY"]\nclient = OpenAI(api_key=api_key)',
    "OPENAI_API_KEY=your-api-key-here",
    "Authorization: Bearer <YOUR_TOKEN>",
    "password: str = Field(..., min_length=8)",
    "token = self.tokens[self.pos]\nself.pos += 1",
    "The secret to good pasta is salt. Basic instructions: bearer of bad news arrives.",
    "Please reset my password. I forgot it and the token for the API key page expired.",
    "http://localhost:3245/path:segment@v1.2 and https://example.com/docs?id=284&utm_source=news",
    'author="someone", keyboard="qwertz123", primary_key="user_0001", passage: 12345678',
    "def f(password: str | None = None, token=token, key=lambda row: row[0]) -> None: ...",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQZM9unoTzm6eJZlEWsMHUAsLEtv dev@host",
    "password: ${DB_PASSWORD}\nsecret: {{ vault.secret }}\ntoken: ********",
    "docker run -e POSTGRES_PASSWORD=$PGPASS postgres:16",
    "vault kv get -field=password secret/prod/db1",
    "gcloud secrets versions access latest --secret=db-password --project=my-proj-123456",
    "mysqldump --password --host=db1.example.com2 shop",
    "mongodb+srv://<username>:<password>@cluster0.ab1cd.mongodb.net",
    "gpg: Signature made Tue 03 May 2024 using RSA key 8C1A6F2E3B4D5C6A7B8C9D0E1F2A3B4C5D6E7F80",
    r'{"said": "Done.\nThe key fingerprint is:\nSHA256:0z8Xyq3kP4mW1vB7nR5tL9cJ2dF6gH8sA0eU4iO7pQk"}',
    'it is "pass it to `ExtractedUsage.calc_price()`" and pass `capture_all=True`',
]


@pytest.mark.parametrize("text", TEXTS, ids=[text[:30] for text in TEXTS])
def test_it_stays_as_it_is(text: str) -> None:
    """The same object comes back."""
    assert REDACTOR.text(text) is text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("x --type=password hunter2!x", "hunter2!x"),
        ("mysqldump --password hunter2x --host=db1", "hunter2x"),
        ("<password>@Copper7!84x</password>", "Copper7!84x"),
        ("the RSA key Zx81mQ4tLw9Bv72KpY3sRe5T is mine", "Zx81mQ4tLw9Bv72K"),
    ],
)
def test_what_is_like_it_and_secret_goes(text: str, secret: str) -> None:
    """Beside what stays: a value that people choose, one with a flag behind it, one that begins with @."""
    assert secret not in REDACTOR.text(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("session.id", "fANTg9eShhsFV6UKbnrsFRzvsq8nY"),
        ("gen_ai.response.id", "Zx81mQ4tLw9Bv72KpY3s"),
        ("gen_ai.tool.call.id", "vendor_Zx81mQ4tLw9Bv72KpY3s1"),
        ("gen_ai.token.type", "input"),
        ("gen_ai.request.model", "gpt-4o"),
        ("author", "Someone 123"),
        ("token_type", "bearer"),
    ],
)
def test_keys_of_ids_and_counts_keep_their_values(key: str, value: str) -> None:
    """Neither the policy of keys nor the rule of unknown vendors touches ids."""
    assert REDACTOR.attributes({key: value}) == {key: value}


def test_numbers_under_kept_keys_stay() -> None:
    """Token counts are numbers, and numbers stay."""
    attributes = {"gen_ai.usage.input_tokens": 123456, "gen_ai.request.max_tokens": 4096, "a": 0.5, "b": True}
    assert REDACTOR.attributes(attributes) == attributes
