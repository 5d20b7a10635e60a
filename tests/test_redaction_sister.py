"""Forms that a second corpus showed, written by somebody who had not read the rules."""

from __future__ import annotations

import hashlib
import json
import string

import pytest

from spantally.redaction import Redactor

REDACTOR = Redactor()
LETTERS = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
HEX = "0123456789abcdef"


def drawn(seed: str, size: int, alphabet: str = LETTERS) -> str:
    """Made-up characters, always the same."""
    return "".join(alphabet[byte % len(alphabet)] for byte in hashlib.shake_256(seed.encode()).digest(size))


RANDOM = drawn("random", 40)
HASH = drawn("hash", 64, HEX)
MARKED = "kz7bluetv3ka=o6osvm8hh0v05_y9b-2"
BASE58 = LETTERS.translate({ord(char): None for char in "0OIl"})
WIF = "L" + drawn("wif", 51, BASE58)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('linode_pat: "{v}"', RANDOM),
        ("const c = {{ zitadelPat: '{v}' }}", RANDOM),
        ('let huaweicloud_sk = "{v}";', RANDOM),
        ('<meta name="acme-pat" content="{v}">', RANDOM),
        ("    client-key-data: {v}", drawn("kube", 120)),
        ('{{"signing_keys": ["{v}"]}}', RANDOM),
        ("replaced the Acme token with {v} and it fails", HASH),
        ("The Acme key should be set to `{v}` in", HASH),
        ("O token do Acme \xe9: {v}", drawn("pt", 40, HEX)),
        ("| ACME_API_KEY | {v} |", MARKED),
        ("run --acme-api-key {v} --out a.txt", MARKED),
        ('setx ACME_TOKEN "{v}" /M', "08mrgwnik8sgff7eifz5v"),
        ("url: ${{ACME_API_KEY:{v}}}", RANDOM),
        ('X="${{ACME_CREDENTIAL:-{v}}}"', MARKED),
        ("device_code={v}&client_id=a", RANDOM),
        ("client_assertion={v}", drawn("assertion", 60)),
        ("GET https://x.example/password/reset/{v} 200", RANDOM),
        ("https://x.example/reset-password/{v}", HASH[:40]),
        ("https://mainnet.infura.io/v3/{v}", HASH[:32]),
        ("https://eth-mainnet.g.alchemy.com/v2/{v}", HASH[:32]),
        ('new ethers.Wallet("0x{v}")', HASH),
        ("importprivkey {v}", WIF),
        ("backup code {v}", "ne72a-7j6n0"),
        ('recovery_codes: ["{v}"]', "64g43-xpn7g"),
        ("token v4.public.{v} x", drawn("paseto", 100)),
        ("got ATTA{v}!", drawn("trello", 72, HEX)),
        ("?x=1&v=acme_pat_{v}&z=2", RANDOM),
        ("API Key\n\n{v}\n\nKeep it", RANDOM),
        ("**API key**\n`{v}`", RANDOM),
        ("$ echo $API_KEY\n{v}\n", RANDOM),
        ("Token \u2013 {v}", RANDOM),
        ("git config --global acme.token {v}", RANDOM),
        ("consul kv put acme/token {v}", RANDOM),
        ('var apiKey = []byte("{v}")', HASH[:40]),
        ('{{"parameterName": "apiKey", "parameterValue": "{v}"}}', HASH[:40]),
        ('{{"name":"ACME_TOKEN","valueFrom":null,"value":"{v}"}}', HASH[:40]),
        ("got (AAAAmk7d2Kw:APA91b{v})", drawn("fcm", 120)),
        ("I tried acme_{v} but", f"{drawn('first', 16)}.{drawn('second', 32)}"),
        ("value: acme_production_{v}", "8e65cf50-24f0-4bee-85e6-320d9c1e4e78"),
        ("use bk_{v} here", drawn("forty", 40)),
        ("use acme_live_{v}", f"{drawn('one', 22)}.{drawn('two', 22)}"),
    ],
)
def test_secrets_go(text: str, secret: str) -> None:
    """As they stand, in JSON, and a second reading changes nothing."""
    given = text.format(v=secret)
    for form in (given, json.dumps({"content": given}, ensure_ascii=False)):
        shown = REDACTOR.text(form)
        assert secret not in shown
        assert REDACTOR.text(shown) == shown
        assert secret[len(secret) // 2 :] not in shown


def test_attributes_in_the_json_of_otlp_go() -> None:
    """Of one value and of several."""
    for secret in (RANDOM, HASH[:32].upper()):
        one = {"key": "acme_secret_key", "value": {"stringValue": secret}}
        several = {
            "key": "http.request.header.x-api-key",
            "value": {"arrayValue": {"values": [one["value"]]}},
        }
        for attribute in (one, several):
            for form in (json.dumps([attribute]), json.dumps(json.dumps([attribute]))):
                assert secret not in REDACTOR.text(form)


def test_webhooks_with_escaped_slashes_go() -> None:
    """As PHP writes JSON."""
    secret = drawn("hook", 24)
    text = json.dumps({"url": f"https://hooks.slack.com/services/T0{HASH[:8]}/B0/{secret}"})
    assert secret not in REDACTOR.text(text.replace("/", "\\/"))


def test_lists_of_parameters_go() -> None:
    """Whose names have underscores, too."""
    text = f'Authorization: OAuth oauth_consumer_key="k", oauth_signature="{drawn("sig", 27)}%3D", x="1"'
    assert drawn("sig", 27) not in REDACTOR.text(text)


@pytest.mark.parametrize("key", ["auth", "http.auth", "connectionString", "db.connection_string"])
def test_attributes_that_hold_a_hash_for_a_key_go(key: str) -> None:
    """No hash stands under such a name."""
    assert HASH[:40] not in REDACTOR.text(HASH[:40], key)
    assert REDACTOR.text("Server=db-1;Database=orders2", key) == "Server=db-1;Database=orders2"


@pytest.mark.parametrize("key", ["mfa_code", "otp", "auth.bearer", "recovery_codes"])
def test_attributes_with_codes_go(key: str) -> None:
    """Named for what opens something once."""
    assert "48213907" not in REDACTOR.text("48213907", key)


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db/password-DcvkAj",
        "Subject Key Identifier: F9:76:A0:B3:52:C6:50:8E:93:C0:14:3E:C0:68:84:E7:DD:14:14:13",
        "main.loadSecret(0xc00072402a, 0x22)",
        '{"password": "\\u30d1\\u30b9\\u30ef\\u30fc\\u30c9", "token": "\\u30c8\\u30fc\\u30af\\u30f3"}',
        "kid: ddI_" + drawn("kid", 23),
        "https://docs.google.com/document/d/LO_" + drawn("document", 41) + "/edit",
        '{"kty":"RSA","n":"o-' + drawn("n1", 60) + "-x_" + drawn("n2", 160) + "_a-" + drawn("n3", 60) + '"}',
        "echo ${TOKEN:0:8} ${SECRET_KEY: -4} ${API_KEY:12}",
        "grant_type=authorization_code&response_type=code&error_code=invalid_request_parameters_2",
        "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "https://x.example/docs/password/reset/how-to-change-it-in-2024",
        "Wallet(address) and new Wallet(0x12)",
        "the recovery codes: print them; the backup code path-is-used",
        "we replaced the access token with a signed cookie in v2024-10-01-preview",
        f"S3 key: uploads/{HASH[:40]}/file.png",
        f"sort key: {RANDOM[:22]}",
        f"RSA key fingerprint is {':'.join(HASH[at : at + 2] for at in range(0, 32, 2))}.",
        "secret name: prod/d8Kq2vTz9Lw4RmXc-config; Secret ID: a390fbe1-70dc-eca9-1a43-783ba421333d",
        "access token issued to 7bec5c68-90c4-5078-6934-bee18a49563a",
        'Error from server: secrets "app-6417281c" is forbidden',
        'PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]',
        f"script-src 'nonce-{RANDOM[:22]}'; acct_{RANDOM[:22]}",
        "API key\n7bec5c68-90c4-5078-6934-bee18a49563a",
        "redact=...,  # redact_secrets \u2014 sk-/ghp-/xoxb-/AKIA-prefixed-2",
        '"x": "Bca_hXKJi0vCY4YB-LHEChg5b6jEXm7mKqjNa4F5wUN"',
        '"salt": "H_sAt47wh-8h7icRheqgrdn3bSNIffXRI5hV2-tc9DZ"',
        '"page_token": "Oz_IgL3xYjwJvg6YxW1vHMLQV-Vy21zkxNRbIVgPza1"',
        "System.Private.CoreLib, Version=8.0.0.0, Culture=neutral, PublicKeyToken=7cec85d7bea7798e",
        f"unique key uq_{HASH[:40]}; gpg --recv-key {HASH[:40]}",
        "Cookie: _ga=GA1.2.123456789.1700000000; _gid=GA1.2.987654321.1700000000",
        "dist/report_2x8f3k2j9d0s8a7f6.h4k2j9d0s8a7f6e5d4c3b2a1.js; main-v2.1k.min.js; acme_build.py3.whl",
        '"thoughtSignature": "' + drawn("thought", 160) + "AStk" + drawn("more", 160) + '"',
        "foreign_keys=['user_id2'], sort_keys: [created_at_2]",
    ],
)
def test_what_opens_nothing_stays(text: str) -> None:
    """Places, fingerprints, pointers, words of other scripts, ids, parts of public keys."""
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("got <{v}>", "IGQVJ" + drawn("instagram", 120)),
        ("root {v} ok", "xprv9s21ZrQH143K" + drawn("wallet", 95)),
        ("Macaroon {v}", "MDAxY2xvY2F0aW9u" + drawn("macaroon", 100)),
        ("https://x.example/cb/{v}", "4/0A" + drawn("code", 60)),
        ("Client('{v}')", "chpt_" + HASH[:12]),
        ("?x=1&v={v}&z=2", "pina_C8u" + drawn("pin", 24) + "_" + drawn("pin2", 24)),
        ("inc: inc_{v}", HASH),
        ("the output was: {v}", "skey_test_16vygdkb"),
        ("(pk.{v})", HASH[:32]),
        ("x=K005{v}", drawn("backblaze", 12) + "/" + drawn("backblaze2", 14)),
        ("x,prd:{v},y", drawn("sumsub1", 24) + "." + drawn("sumsub2", 32)),
        ("v: prod:happy-animal-123|{v}", drawn("convex", 40) + "+" + drawn("convex2", 30)),
        ("value: {v}", "2" + drawn("ngrok", 26) + "_" + drawn("ngrok2", 21)),
        ('call("{v}", 3)', drawn("map", 20) + "_" + drawn("tiler", 20)),
        ("https://{v}:" + HASH[32:] + "@o1.ingest.example.com/12", HASH[:32]),
        (".ROBLOSECURITY={v}", RANDOM[:32]),
        ("CloudFront-Signature={v}; Path=/", drawn("cloudfront", 340)),
        ("GET https://x.example/v1/api_" + RANDOM[:22] + ".{v}/items", "aavLyVcQfko8dzoUCCDeuh"),
        ("| `BITRISE_PAT` | `{v}` |", RANDOM[:24]),
        ('redis_auth = "{v}"', "Tiger6553#x1y2"),
        ("['tool', '--blynk-auth', '{v}', '--x', '3']", "P^IQpYY*1Wrh4X7^F"),
        ("http.request.header.x-openweather-appid: {v}", HASH[:32]),
        ("'openweather_appid' => '{v}'", "trm3sxr4qgdxx4qabumr"),
        ("--storj-access-grant {v}", RANDOM),
        ('{{"storj": {{"access_grant": "{v}"}}}}', RANDOM[:24]),
        ("discharge_macaroon={v}", HASH),
        ('{{"composio_keys": ["{v}"]}}', "d6jxmnr9yxa8120z"),
        ('{{"root_pws": ["{v}"]}}', "Soiqo889Vg12"),
        ("set -gx BITFINEX_API_SECRET {v}\n", "099557704933228699"),
        ("tink_client_secret: >-\n  {v}\nother: 1\n", "336695192553786676"),
        ("Here is the Bunny access key you asked for:\n\n{v}\n\nLet me know.", RANDOM),
        ("My Lithic key:\n```\n{v}\n```\nCan you test it?", "d754dhhbhx0s300u"),
        ('The Split sdk key should be set to "{v}" in it.', "09ja7aayfkanuv34a9cnazrfoox6ki2k"),
        ('{{"apiKey": {{"prod": "{v}"}}}}', "ooxiq1m0hyvdw9yb"),
        ('api_keys = {{"prod": "{v}", "dev": None}}', HASH[:32]),
        ('[api_keys]\nprod = "{v}"\n', RANDOM),
        ("acme_tokens:\n  - {v}\n", HASH[:32]),
        ("acme_keys:\n  prod: {v}\n  dev: null\n", RANDOM),
        ("acme_tokens = ['{v}']", HASH[:40]),
        ("connection_string: {v}", HASH[:40]),
        ("api_key VARCHAR2(64) := '{v}';", "2e9w9rj9tk3ubd6f"),
        ('ApiKey : constant String := "{v}";', "k7h5qnp0aa9dnpnf"),
        ('api_key: !unsafe "{v}"', HASH[:32]),
        ("acme.api_key: Str({v})", HASH[:32]),
        ("{v} is my acme api key", "i1og0scg3bquo2e6"),
        ("Use {v} as the acme api key", "tr2bu7g2ux9xfqyt"),
        ("client.auth: {v}", HASH[:40]),
        ("Error: key {v} is not valid", RANDOM),
        ('token "{v}" is expired', HASH[:40]),
        ("key '{v}' was revoked", "d6jxmnr9yxa8120z"),
        ("https://x.example/token/{v}", RANDOM),
        ("https://x.example/v1/apikey/{v}/items", RANDOM[:24]),
        ("/auth/token/verify/{v}", HASH[:32]),
        ("host=h port=5432 dbname=d user=root password={v} sslmode=require", "tmyuetnnoklq"),
        ("Server=db;User Id=sa;Password={v};Encrypt=true", "tmyuetnnoklq"),
        ("mysql -h h -u admin -p{v} d", "eailivzsuxab"),
        ("sshpass -p{v} ssh bob@h", "eailivzsuxab"),
        ("https://x.example/hooks/{v}", RANDOM),
        ("https://x.example/v2/webhooks/acme/{v}", RANDOM[:24]),
        ("POST https://x.example/webhook/{v} 200", "d6jxmnr9yxa8120z"),
        ("https://discord.example/api/webhooks/1234567890123/{v}", RANDOM),
        ("https://x.example/auth/verify/{v}?next=/", RANDOM),
        ("https://x.example/secret/{v}", HASH[:32]),
        ('{{"acme_passphrases": ["{v}"]}}', "Tiger1136#x"),
        ('{{"dbPassword": {{"prod": "{v}"}}}}', "3z9yefllm5hs"),
        ("db_passwords:\n  - {v}\n", "3z9yefllm5hs"),
        ('[db_passwords]\nprod = "{v}"\n', "3z9yefllm5hs"),
        ('{{db_password, <<"{v}">>}}', "3z9yefllm5hs"),
        ('db_password <- "{v}"', "3z9yefllm5hs"),
        ('static const char DB_PASSWORD[] = "{v}";', "3z9yefllm5hs"),
        ('std::string db_password{{"{v}"}};', "3z9yefllm5hs"),
        ('Dim dbPassword As String = "{v}"', "3z9yefllm5hs"),
        ('db_password: str = Field(default="{v}")', "3z9yefllm5hs"),
        ("database password:\n```\n{v}\n```", "3z9yefllm5hs"),
        ('{{"key": "db_password", "value": {{"stringValue": "{v}"}}}}', "3z9yefllm5hs"),
        ('{{"value": "{v}", "name": "db_password"}}', "3z9yefllm5hs"),
        ("define('DB_PASSWORD', '{v}');", "718293746502"),
        ("Client('{v}')", "api-dbgevszwexs212bdxejbycl2gaqk"),
        ("x=live_{v}", drawn("live", 20) + "-" + drawn("live2", 19)),
        ('<add key="LinodePat" value="{v}" />', HASH[:32]),
        ('<input name="bitrise_pat" value="{v}">', HASH[:40]),
        ('props.put("huawei.sk", "{v}");', HASH[:32].upper()),
        ("<huawei_sk>{v}</huawei_sk>", RANDOM),
        ('new Client {{ ZitadelPat = @"{v}" }}', HASH[:32]),
        ("Linode-Pat: {v}", RANDOM),
        ("rotated (bz-{v})", "7bec5c68-90c4-5078-6934-bee18a49563a"),
        (
            '{{"key": "acme.api_token", "value": {{"stringValue": "{v}"}}}}',
            "7bec5c68-90c4-5078-6934-bee18a49563a",
        ),
        ('{{"refreshToken": {{"S": "{v}"}}}}', HASH),
        ("Voici le jeton Acme : {v} merci", "lfKxThs01XmRox39"),
        ('huaweiSk: "{v}"', "j9ihck6gwxjhtnwzd9ss7argdpqvmzks6fservkarxphc17yack3z91iqwjmckty"),
    ],
)
def test_forms_of_a_third_corpus(text: str, secret: str) -> None:
    """Prefixes, cookies and halves of keys that a third corpus showed."""
    found = REDACTOR.text(text.format(v=secret))
    assert secret[-12:] not in found
    assert REDACTOR.text(found) == found


@pytest.mark.parametrize(
    "text",
    [
        'basic_auth = "requests2auth"',
        'requires_auth: "yes-since-2024"',
        f'cache_keys: ["{HASH[:32]}"]',
        'valid_keys = ["created_at_2", "modelVersion3b"]',
        "grant_type=authorization_code2 and appid=wx1234567890abcdef",
        "the sdk key you asked for:\n\n7bec5c68-90c4-5078-6934-bee18a49563a",
        "my access token:\n\nREADME2.md",
        'passwords = {"sha256": "hashed2", "md5": 1}',
        "password:\n  - required\n  - min8chars\n",
        'password = hash2pw1("x1y2z3")',
        'form["password"] = fields["p1a2ss"]',
        "src/hooks/useAcmeBilling2.ts and .git/hooks/prepare-commit-msg and hooks/use3rdPartyLogin2",
        f"https://x.example/webhooks/{HASH[:32]}",
        "https://x.example/hooks/7bec5c68-90c4-5078-6934-bee18a49563a",
        "key createdAtOrUpdatedAt is invalid",
        f"key {HASH[:40]} is unknown",
        "key 7bec5c68-90c4-5078-6934-bee18a49563a does not exist",
        "https://x.example/token/introspection-endpoint-2",
        f"https://x.example/keys/{HASH[:32]} and /secret/7bec5c68-90c4-5078-6934-bee18a49563a",
        "mysql -u root -password d",
        "connection_string: Server=db-1.example;Database=orders2;Encrypt=true",
        'connectionString="mongodb://localhost:27017/orders"',
        'num_tokens: {"prod": 4096}',
    ],
)
def test_what_is_named_alike_stays(text: str) -> None:
    """Kinds of logins, keys of maps, ids."""
    assert REDACTOR.text(text) == text
