"""False alarms: what an outside author's hard negatives have, and what beside it still goes."""

from __future__ import annotations

import base64
import random
import string
import time

import pytest

from spantally.redaction.redactor import Redactor

REDACTOR = Redactor()
_DRAW = random.Random(20261128)


def noise(size: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(_DRAW.choice(letters) for _ in range(size))


HEX = noise(64, "0123456789abcdef")
UUID = f"{HEX[:8]}-{HEX[8:12]}-4{HEX[13:16]}-9{HEX[17:20]}-{HEX[20:32]}"


@pytest.mark.parametrize(
    "text",
    [
        "serviceAccount:590743232146-compute@developer.gserviceaccount.com roles/secretmanager.viewer",
        f"prj_{noise(28)} team_{noise(24)} dpl_{noise(28)}",
        "apikey_01hyk07vgmxa1kpx4g9r90j61m is the id of the key, not the key",
        f"cache-key: v1-deps-{HEX}",
        f"Cache restored from key: Linux-pip-{HEX}",
        "cache miss key=user:1123974:profile ttl=300",
        f'cache hit key="product:{UUID}:v2"',
        f"react key={noise(9)}-row-372",
        f"https://www.notion.so/ws/Token-design-{HEX[:32]}",
        "Sec-WebSocket-Key: qezoyHnmN26LwW+pW76g+g==",
        "span=04058ad95a6f6d99 auth=ok token_type=bearer status=200 request_id=x8f2",
        "VAPID public key: B_bR8krCscRtFcfy1jlqsN_WDxfHXm8EigOUFWjxy9OSJJUiQig00N5o4QYCTqkPvuCo0r",
        f'"verifyKey": "{HEX}"',
        f"token address: 0x{HEX[:40]}",
        "InChIKey=HEFNNWSXXWATRW-UHFFFAOYSA-N",
        "sk-ant-api03-XXXXXXXXXXXXXXXXXXXX and AKIAXXXXXXXXXXXXXXXX",
        '"password": "Passwort", "secret": "Geheimnis", "token": "Token"',
        '{\\"masked_key\\":\\"sk-\\u2026Yww1\\"}',
        f"https://x.io/?msclkid={HEX[:32]}&_hsenc=p2ANqtz-{noise(52)}&_hsmi=55665496",
        f"https://a.nel.cloudflare.com/report/v4?s={noise(16)}_{noise(30)}-{noise(40)}",
        "https://x.com/i/status/7686595026763302073?s=20&t=A_IFJGMr4bbPTCz6dEHZFg",
        f"https://x.io/a?shard={noise(27)}",
        '"etag": "Z_14oiu8eTuwlNHYxzKWNH6_Ngc"',
        "x-amz-id-2: BSA6HUsxQyff9Ib68vVxg8PpjQ72Q4mhBS8h5TF0oMkPZhSre8Tb7IF8DjYLZFiPlIM6enYP1dU=",
        f"kind: SealedSecret\nspec:\n  encryptedData:\n    password: AgB{noise(477)}",
        '"jira_key":"SEC-1046","project_key":"SEC","issue_key":"SEC-6901"',
        f"ctx_{noise(24)} evalrun_{HEX[:32]} re_3{noise(23)} tr_1{noise(23)} ctm_01{noise(24).lower()}",
        f"AAMkA{noise(24)}_WFZ_C5hr0{noise(60)}",
        f"wamid.HBgL{noise(40)}==",
        f'"x-fb-debug: {noise(86)}=="',
        f"DNSKEY 257 3 13 {noise(86)}==",
        "PR_kwDOv44O8dc5smUUyb-X IC_kwDOxJlpYbr9myzgP8Jwo3iu PRR_kwDO3tdwWTq4daavFrBT",
        f"stable#d0193cecdd9211bcd2cdd2ee56945777:{HEX[:40]}#{HEX[:32]}",
        f'redis.set key="session:{UUID}" ex=3600',
        f"memcached get key=catalog:v3:{HEX[:32]} hit",
        'GetItem Key={"pk":{"S":"USER#019C78XAKF037E4JJAEFP3Q145"}}',
        f"s3 PutObject key=uploads/3218/{UUID}.bin",
        "kafka message key=01RX1NSFK6FX4FMXS6PF1JMJV0 topic=orders",
        "JWT_SECRET=your-256-bit-secret",
        "Cookie: theme=dark; _fbp=fb.1.6300777981925.5647801407",
        "google-site-verification=Bu_xU1l8FtNwAOaDzuhrbyLWpitX4hiOfyS7Q1pGnew",
        f"did:key:z6Mk{noise(44)}",
        f"https://graph.example/v1.0/me/messages/delta?$deltatoken={noise(40)}-{noise(20)}",
        f'"client_token":"hmac-sha256:{HEX}", "password":"hmac-sha256:{HEX}"',
        '"changeToken":"1;3;c22d62df-1df4-4819-876c-1732ecd8b90c;218737311307652853;618330534"',
        f"https://www.google.com/search?q=a&gs_lp={noise(40)}_{noise(20)}&sclient=gws-wiz-serp",
        f"https://eur01.safelinks.example/?url=https%3A%2F%2Fx.io&sdata={noise(43)}%3D&reserved=0",
        f"https://x.googlevideo.example/videoplayback?ei={noise(22)}&id=o-A{noise(43)}&itag=251",
        "https://a.example/v3?continue=https%3A%2F%2Fm.example&dsh=S9485465909%3A9518033058477557&flow=Glif",
        '{"kty":"EC","crv":"P-256","x":"DFfpkXkIS8_k26Bh7","y":"n-rcSyDTBqISKdoJFuuG1Ei3O3Pb6DpkYTV3TfueXyU"}',
        '"pageToken":"rm_GlVDXay30JCZquPC_dcuVu2jKpQjZt1CCmMMO0NY8YL2LVOyOyxkwu6Hk"',
        '"x-amz-cf-id": "VB_GzqE4lWpwFZdnZ3Z20weGdG4UvjWreOf_6uXhNNKuXgUoT8AdJsDf=="',
        "> amqp://guest:guest@localhost//",
        "- https://user:pass@example.com/",
    ],
)
def test_what_opens_nothing_stays(text: str) -> None:
    """Ids, keys of caches, hashes with titles, handshakes, stand-ins, signs that came by chance."""
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize(
    "key", ["cache.key", "redis.key", "messaging.kafka.message.key", "shard_key", "s3_key", "rpc.key"]
)
@pytest.mark.parametrize(
    "value", ["user:468605:profile", f"orders:v2:{HEX[:40]}", "01A4SM9HFZVDPWNW44WBQ5PJQ5"]
)
def test_keys_of_what_is_kept_stay(key: str, value: str) -> None:
    """Attributes that say where something is."""
    assert REDACTOR.text(value, key) == value
    assert REDACTOR.text("3427", "password_strength_score") == "3427"


@pytest.mark.parametrize(
    "secret",
    [
        f"https://user:{noise(9)}@example.com/",
        "amqp://guest:Tr4vels!@localhost//",
        f"cache_password: {noise(14)}",
        f"sk_live_{noise(24)}",
        f"acme-live-{HEX[:40]}",
        f"token-v2-{HEX[:32]}",
        f"api_key: v1-{noise(32)}",
        f"Authorization: Bearer {noise(32)}",
        f"https://x.io/?_token={noise(32)}",
        '"secret": "Geheimnis7b"',
        f"re_{noise(8)}_{noise(24)}",
        f"password_change_token={noise(32)}",
        f"tr_dev_{noise(24)}",
        f"123456789:AAF{noise(32)}",
        f"JIRA_KEY={noise(24)}",
        f"config.key = '{noise(24)}'",
        f"https://x.io/?client_id=sk_live_{noise(24)}",
        f"https://x.io/?x={noise(32)}",
        f'{{"x": "gum_{noise(39)}"}}',
        f"project_key = {noise(24)}",
        f"AKIA{noise(16, string.ascii_uppercase + '234567')}",
        "password=" + base64.b64encode(bytes(range(60, 90))).decode(),
    ],
)
def test_what_is_like_it_goes(secret: str) -> None:
    """Next of kin of those above that are secrets."""
    assert "[REDACTED:" in REDACTOR.text(secret)


@pytest.mark.parametrize(
    "text",
    [
        f"publishable key pk_live_{noise(24)} in the page",
        f"stripe.js: Stripe('pk_test_{noise(60)}')",
        f"applicationServerKey: 'B{noise(86)}'",
        f'{{"nextPageToken": "WD3_{noise(22)}"}}',
        f"next_cursor=WD3_{noise(22)}",
        '{"settings.apiKey": "API-Schl\\u00fcssel"}',
        '{"settings.apiKey": "API-Schlüssel"}',
    ],
)
def test_what_is_public_stays(text: str) -> None:
    """Keys that stand in web pages, cursors, and translations, escaped or not."""
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        f"sk_live_{noise(24)}",
        f"live_{noise(30)}",
        f"api_key=pk_live_{noise(24)}",
        f'{{"apiKey": "{noise(8)}\\u0026{noise(20)}"}}',
        f"server_key: {noise(40)}",
        f"token=WD3_{noise(32)}",
    ],
)
def test_what_is_like_the_public_goes(text: str) -> None:
    """Secrets that look like them, and a publishable key under the name of one."""
    assert "[REDACTED:" in REDACTOR.text(text)


def test_signs_of_base64_are_counted_nearby() -> None:
    """A long word with a vendor's prefix behind every sign is read in time, and its keys go."""
    text = ("+BSA" + "aB3d" * 8) * 1_000
    begun = time.perf_counter()
    REDACTOR.text(text * 6)
    long = time.perf_counter() - begun
    begun = time.perf_counter()
    REDACTOR.text(text)
    assert long < 18 * (time.perf_counter() - begun) + 0.2
