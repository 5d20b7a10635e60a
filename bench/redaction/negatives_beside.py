"""Hard negatives of two more kinds: harmless values beside telling names, and random words of other trades."""

from __future__ import annotations

import base64
from random import Random

from .negatives import negative
from .values import PEOPLE, SERVICES, WORDS, chars, host, uuid

_BESIDE = """
token_type=bearer | "token_type": "Bearer" | token_endpoint: https://<host>/oauth/token | auth: none | auth=oauth2
secretName: <word>-tls | secret_name = "<word>/db-password" | secretKeyRef: {name: <word>, key: password}
private_key_path=/etc/ssl/<word>.key | key_file: ~/.ssh/id_ed25519 | ssl_key = <word>.pem | keystore=/opt/<word>.jks
credentials: include | credentials: "same-origin" | "credentials": {"type": "default"} | cookie_policy=strict
primary_key=id | foreign_key: <word>_id | partition_key = "<word>" | sort_key=created_at | key: primary | key="<word>"
"key": "<word>.title", "value": "<word>" | i18n_key: errors.<word>.missing | cache_key_prefix=<word> | hotkey: Ctrl+K
password_min_length: 12 | password_reset_url=https://<host>/reset | password: required | password?: string | pass: true
"password": null | "password": false | "api_key": {"required": true} | api_key_header = "X-API-Key" | api_key=None
session: monday-morning | session_timeout=3600 | "session": {"ttl": 900} | sessions per user: 3 | sessionStorage: enabled
access_token_lifetime = 3600 | refresh_token_rotation: true | max_tokens_per_day: 200000 | token_budget: 4096
signature: def run(self, key: str) -> None | Signature: (a, b=1, *, key=None) | sig: SIGTERM | signing_region=eu-west-1
author=<person> | authority: https://<host>/ | authorized: true | auth_type=iam | authMethod: "SCRAM-SHA-256"
secret: false | secrets: [] | is_secret: true | secret_count: 4 | secretary: <person> | "secret": "" | secret_rotation: 30d
bearer: <person> | the bearer of this letter is <person> | Bearer token required | Basic plan, Pro plan, Team plan
passenger: <person> | passport: required | bypass_cache=true | compass: north | passive: yes | pass_rate=0.98
credential_type: oauth | credential_id: <uuid> | api_key_id: <uuid> | key_id=<uuid> | token_bucket_id=<uuid>
keyboard: qwerty | monkey: banana | keyword: <word> <word> | turkey: yes | keynote=<word> | keys: [a, b, c]
cookie: accepted | cookies: 3 | cookieConsent=all | "cookies": [] | Set-Cookie is missing | cookie banner: hidden
x-api-version: 2026-03-01 | x-auth-mode: iam | authorization: optional | Authorization: <type> <credentials>
env: {"DB_PASSWORD": {"secretKeyRef": "<word>"}} | password: ${DB_PASSWORD:?missing} | token: $(vault read -field=token a)
"""
BESIDE = [one.strip() for line in _BESIDE.strip().splitlines() for one in line.split(" | ")]

SAID = (
    "my password is not working any more", "the password is required", "the token is invalid or has expired",
    "the secret is out, everybody knows it", "API key is missing or malformed", "the passphrase is optional here",
    "your password was changed on Monday", "my api key is blocked since yesterday", "the access token is too old",
    "password: see the vault", "password is stored in the keychain", "the pin code is four digits long",
    "Passwort vergessen?", "das Passwort ist falsch", "Passwort: siehe Tresor", "mot de passe oublié ?",
    "le mot de passe est incorrect", "la contraseña es incorrecta", "contraseña olvidada", "a senha está errada",
    "esqueci a senha", "la password è sbagliata", "wachtwoord vergeten", "het wachtwoord is verlopen",
    "hasło jest nieprawidłowe", "zapomniałem hasła", "пароль неверный", "пароль истёк вчера", "забыли пароль?",
    "密码错误,请重试", "密码是必填项", "忘记密码?", "パスワードは必須です", "パスワードを忘れた場合", "비밀번호가 틀렸습니다",
    "şifre yanlış", "şifremi unuttum", "the key is under the mat", "the session is full", "credentials are rejected",
    "I forgot to pass the token to the function", "token refresh failed twice", "we hash every password with argon2",
    "Which secret do you mean: the one in staging or the one in production?", "pass it on to the next step",
    "the authorization is granted by the owner", "Enter password:", "Password: ", "New password: Retype new password: ",
    "sign in with your passkey instead of a password", "user: admin, role: owner, password: hidden",
)  # fmt: skip


@negative
def _beside(rng: Random) -> str:
    one = rng.choice(BESIDE)
    for mark, value in (
        ("<host>", host(rng)),
        ("<word>", rng.choice(WORDS)),
        ("<person>", rng.choice(PEOPLE)),
        ("<uuid>", uuid(rng)),
    ):
        one = one.replace(mark, value)
    return one


@negative
def _said(rng: Random) -> str:
    return rng.choice(SAID)


@negative
def _other_trades(rng: Random) -> str:
    """Random words that biologists, chess players, designers and archivists have."""
    pairs = ":".join(chars(rng, "H", 2) for _ in range(20))
    return rng.choice(
        [
            f"ipfs://Qm{chars(rng, 'a', 44)}",
            f"ulid 01{chars(rng, 'u', 24)} created",
            f'class="sc-{chars(rng, "a", 6)} {chars(rng, "a", 6)}"',
            f".css-{chars(rng, 'l', 7)}{{margin:0;padding:{rng.randint(1, 9)}px}}",
            f">seq{rng.randint(1, 99)}\n{''.join(rng.choices('ACDEFGHIKLMNPQRSTVWY', k=70))}",
            f"{''.join(rng.choices('ACGT', k=90))}",
            f'd="M{rng.randint(1, 99)} {rng.randint(1, 99)}L{rng.random():.5f} {rng.random():.5f}h{rng.random():.3f}z"',
            f"index {chars(rng, 'h', 10)}..{chars(rng, 'h', 10)} 100644",
            f"SHA1 Fingerprint={pairs}",
            f"{{{uuid(rng).upper()}}}",
            f"#{chars(rng, 'h', 6)}, #{chars(rng, 'h', 6)}, #{chars(rng, 'h', 6)}",
            f"ghcr.io/{rng.choice(SERVICES)}/app:{chars(rng, 'h', 40)}",
            "rnbqkbnr/pp1ppppp/8/2p5/4P3/5N2/PPPP1PPP/RNBQKB1R b KQkq - 1 2",
            f"Message-ID: <{chars(rng, 'a', 28)}@{host(rng)}>",
            f"boundary=----WebKitFormBoundary{chars(rng, 'a', 16)}",
            f"Sec-WebSocket-Accept: {base64.b64encode(rng.randbytes(20)).decode()}",
            f"orcid 0000-000{rng.randint(1, 3)}-{chars(rng, 'd', 4)}-{chars(rng, 'd', 4)}",
            f"container {chars(rng, 'h', 12)} exited with 137",
            f"\\begin{{equation}} \\sum_{{k=1}}^{{{rng.randint(9, 99)}}} a_k x^k \\end{{equation}}",
            f"0x{chars(rng, 'H', 8)} mov rax, [rbp-0x{chars(rng, 'h', 2)}]",
            f"blob:https://{host(rng)}/{uuid(rng)}",
            f"shard-{rng.randint(1, 9)}_{chars(rng, 'l', 12)}_of_{rng.randint(10, 99)}",
            f"experiment_{rng.choice(WORDS)}_lr3e-4_bs{rng.randint(8, 512)}_seed{rng.randint(1, 9)}_{chars(rng, 'h', 8)}",
            f"https://{host(rng)}/p/{rng.choice(WORDS)}-{rng.choice(WORDS)}-{chars(rng, 'h', 12)}",
            f"job {rng.choice(WORDS)}-{chars(rng, 'l', 5)}-{chars(rng, 'l', 10)} queued",
            f"https://{host(rng)}/watch?v={chars(rng, 'w', 11)}&list=PL{chars(rng, 'w', 32)}",
        ]
    )
