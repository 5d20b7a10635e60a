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


@pytest.mark.parametrize(
    "stand_in", ["[Filtered]", "(sensitive value)", "<hidden>", "[REDACTED]", "{masked}"]
)
def test_stand_ins_of_others_stay_under_a_password(stand_in: str) -> None:
    assert REDACTOR.text(stand_in, "db.password") == stand_in


@pytest.mark.parametrize("value", ["[hunter2]", "(sensitive5)", "[filtered", "masked"])
def test_what_is_none_goes(value: str) -> None:
    assert value not in REDACTOR.text(value, "db.password")


@pytest.mark.parametrize("value", ["@dm1n.Jk29", "!Sommer2024", "required|Tig3rs", "string|9xQ#"])
def test_passwords_like_stand_ins_go(value: str) -> None:
    assert value not in REDACTOR.text(f'"password": "{value}"')


@pytest.mark.parametrize(
    ("form", "secret"),
    [
        ("8=FIX.4.4|9=120|35=A|49=BUY|56=VENUE|98=0|108=30|553=bob|554={}|10=188|", "Planet3996NID2"),
        ("[smtp.example.com]:587 mailer:{}", "riverWhisper450"),
        ("ENCRYPTION_KEY (AES-256, hex): {}", HEX),
        ('aes_key = bytes.fromhex("{}")', HEX),
        ('esphome:\n  api:\n    encryption:\n      key: "{}"', HEX[:32].upper()),
        ('{{"prod": {{"token": "{}"}}}}', "L3m0n!GOBL211"),
        ('[registry]\ntoken = "{}"  # of ours', "KZQn$Biwpb=$k4OcJoE"),
        ("Das Kennwort wurde auf {} zurückgesetzt.", "xSXzS$iOSGE"),
        ("Zugangsdaten VPN \u2013 valley / {}", "BSh4A$IHyi4"),
        ("mdp VPN: {}", "zd8RI$oQC9d"),
        ("te paso la contra del servidor: {}", "pepperTiger759"),
        ("parola pentru NAS: {}", "zipperCopper962"),
        ("jelszó (Jenkins): {}", "Jungle6931!"),
        ("новый пароль для Jenkins — {}", "Rocket6423!"),
        ("رمز عبور Grafana: {}", "Forest_571$x"),
        ('rabbitmq:\n  auth:\n    erlangCookie: "{}"', "bridgeSaddle178"),
        ("bob:{}:19966:0:99999:7:::", "$apr1$V1nr8eq0$oRqNVfArziGM4zXshWBu4T"),
        ("https://hooks.zapier.com/hooks/catch/{}/", "4660916/vnh486p"),
        ("Door PIN for the office of Moreau: {}#", "9014"),
        ("Your Example verification code is {}. Do not share it.", "763823"),
        ("nmcli dev wifi connect umbrella password {}", "2023694736217039"),
    ],
)
def test_secrets_of_a_fifth_corpus_go(form: str, secret: str) -> None:
    text = form.format(secret)
    redacted = REDACTOR.text(text)
    assert secret not in redacted
    assert redacted != text
    assert REDACTOR.text(redacted) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "product_key,name,price\nIV2501-UG,rocket forest,53.17\n6T2L4-XE5FL,yogurt ember,19.41",
        "PASSWORD_HASH_ALGO=argon2id\nTOKEN_EXPIRY=2404",
        f"VAPID_PUBLIC_KEY=B9LoP4G0ky7bOV4cfReMhZa9IDy4JfjUEUgnZU5x3m_{noise(40)}",
        "ii  passwd:amd64 2.37.0-1+deb12u1 amd64 description",
        f"CrashReporter Key:   {HEX[:40]}",
        f"compile=44ms pipelineKey={HEX[:16]}",
        f'{{"incident_key": "{HEX[:32]}"}}',
        f"kernel key: {HEX[:40]}'",
        '#EXT-X-KEY:METHOD=AES-128,URI="https://media.example.com/keys/1"',
        f"Topic: ledger.auth-tokens TopicId: {noise(22)} PartitionCount: 39",
        "Boarding pass: M1BRANDT/SOFIA ERCZCLW FRALHRLH",
        '["--password-file=/run/secrets/bridge_pw", "--token-path=/var/run/secrets/tokens/kettle"]',
        '"sg_message_id": "4Zp_pAxVyRtA3ef4JukXxA.filterdrecv-9e41440bef-rn0fq-1-9CEA126D-78.0"',
        f'  userPasswordKey: password\n  password: ""\nimage:\n  digest: sha256:{HEX}',
        "db_password: ENC[AES256_GCM,data:kzh9qE8Z+DggIdW7,iv:h6ChgUandlRisqTQ4H4=,type:str]",
        '{"out": "API_TOKEN: ***\\n2026-07-26T20:13:14.673Z   NAME: x"}',
        '{"login.password": "Contraseña", "x": 1}',
        ".valley_passwordField__Gierl{color:#6a0bc7}.harbor_token__5tNWp:hover{background:#000}",
        '{"errors": {"password": ["must be at least 12 characters"]}}',
        'secret "gateway-credentials" not found\n49m Warning Failed pod/ledger-ec62f1dcfb-a6ob2 Error',
        f"{{{{resolve:secretsmanager:app/db:SecretString:token::{UUID}}}}}",
        "SMTP_PASSWORD=__SET_IN_CI__",
        "_normalized_key = _pep_440_key",
        f"httpx.HTTPStatusError: md5:{HEX[:32]}",
        f'"ClientToken": "{UUID}"',
        '{"out": "611b8b4 rename secret for gateway (#8278)\\n' + HEX[:40] + ' rename"}',
        "signing_key: xxxx-xxxx-xxxx-2093",
        '3) "token:count:06a393c68dd4:meta"',
        'password_resets_total{service="checkout",pod="billing-api-70aa694f9-y4v92",le="0.2"} 7923',
    ],
)
def test_what_a_fifth_corpus_has_beside_stays(text: str) -> None:
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize(
    "stand_in",
    [
        "{{ password }}",
        "$API_KEY",
        "${DB_PASSWORD}",
        "%(password)s",
        "<your-password>",
        "xxxxx",
        "Bearer ****",
    ],
)
def test_names_of_variables_stay_under_a_password(stand_in: str) -> None:
    assert REDACTOR.text(stand_in, "db.password") == stand_in


@pytest.mark.parametrize("value", ["$ecret", "${x y9}", "x9xx", "<a1-b2>", "correct horse battery 7"])
def test_passwords_that_look_alike_go(value: str) -> None:
    assert value not in REDACTOR.text(value, "db.password")


@pytest.mark.parametrize(
    ("form", "secret"),
    [
        ("La password di notifier è {}, cambiala domani.", "Pebble-quartz114"),
        ("Ich habe das Kennwort auf {} geändert.", "y^WD6ns5H%=736A3CSQ"),
        ("Новый пароль для mq-17.example.com — {}, смени после входа.", "SaffronVelvet11?"),
        ("root pw on node-30.example.com -> {}", "Badger8Saffron$"),
        ("sign in with ines@example.com and {}", "Copper@5962"),
        ("wg genkey\n{}", "nCl3yRFQyPCv0vsqoFoyfLwciQvPhGZQ7JzIZvczhU8="),
        ('Algorithm.HMAC256("{}")', KEY),
        ("kubeadm join 10.0.0.30:6443 --token {}", "zswf3j.5nnuv2fwn3umczc4"),
        ("consul acl bootstrap\nSecretID: {}", UUID),
        ("https://example.org/accounts/reset/Mg/{}/", "ciqvh5-de60fc0457955508cf345e106846f537"),
        ("https://app.example.co/magic-login/{}", KEY),
        ("the access token was found invalid {}", KEY),
        ("API token, valid: {}", KEY),
        ("staging login is luca@example.dev / {}", "ZhcXfr^u4y*Q"),
        ('"key_id": "acme_live_{}"', KEY),
        ('<input id="apiSecret" readonly class="mono" value="{}">', HEX[:48]),
        ('- textbox "Password" [ref=e73]: {}', "L4nt3rN16!"),
        ("define('NONCE_SALT', '{}');", "lqqkR33tr2=PzmEEh#4wJK_?P8W7XiG_r2+kyJ+gqPp?l!Zg"),
        ("ldap_bind($c, 'cn=admin,dc=example', '{}');", "Marlin@8191"),
        ("s = Serializer('{}')", KEY),
        ("WordPress application password for svc: {}", "5onM a36Z l9A7 1FpZ gfA0 O2rk"),
        ("kinit anouk <<< {}", "jIH2BGzVYKoDWPCC"),
        ("got b'\\x00{}\\x00'", "sk-proj-" + KEY),
        ("got '\\0{}'", "sk-proj-" + KEY),
        ("https://open.example.cn/open-apis/bot/v2/hook/{}", UUID),
    ],
)
def test_secrets_of_a_sixth_corpus_go(form: str, secret: str) -> None:
    text = form.format(secret)
    redacted = REDACTOR.text(text)
    assert secret not in redacted
    assert REDACTOR.text(redacted) == redacted


@pytest.mark.parametrize(
    "text",
    [
        f"AAGUID {UUID} (security key)",
        "https://example.org/accounts/reset/done/",
        "user,password_enabled,password_last_changed,access_key_1_last_rotated\nbob,true,2024-01-14T20:25:58Z,2025-03-20T01:21:31Z",
        f"WorkerToken deployed at 0x{HEX[:40]}",
        f'"list secret names for pricing" run_id={UUID}',
        '  existingSecret: "user-profile-redis-7f2"',
        f"Idempotency-Key: {UUID} -> 201 pay_{noise(20)}",
        f'"hashed_secret":"{HEX[:40]}"',
        f'"credentials":{{"httpHeaderAuth":{{"id":"{noise(16)}","name":"Header"}}}}',
        "DB_URL=postgresql://${DB_USER}:${DB_PASSWORD}@cache-25.example.com:5432/orchard",
        '{"LastEvaluatedKey":{"pk":{"S":"report#01JFAK3MDGGKRFMDR5FTY8EM0Z"}}}',
        '{"in": "BEGIN:VEVENT\\nUID:24macnklaayeh5xn10pv25fb8g@google.com"}',
        '{ key: "session:6470:f4374456e522" }',
        f"KMS key {UUID} (alias/orders-prod)",
        f'"embedding_id":"vec_{noise(20, "abcdefghijklmnopqrstuvwxyz0123456789")}"',
        f'"message_id":"bulk_{noise(24)}"',
        f'applicationServerKey: "BG_Z_bXkxWg31ako2RpNp3Rhgp8U3jWXjTGhAXLT-{noise(46)}"',
        'const apiKey = `nat_${crypto.randomBytes(40).toString("hex")}`;',
        'read -rsp "Password: " PASSWORD && export PGPASSWORD="$PASSWORD"',
        "https://example.org/invite/team-members-of-2026",
        "serializer('UserProfileSerializer')",
        "AKIAIOSFODNN7EXAMPLE is the sample id of the documents",
        'implementation("io.jsonwebtoken:jjwt-api:3.17.1")',
        "    at Object.getToken (/srv/notifier/dist/auth.js:93:41)",
        "q=mysql%3A%2F%2F%3Cuser%3E%3A%3Cpassword%3E%40db.example.com%2Fapp",
        f"restore-keys: |\n  pip-{HEX}",
        'document.cookie = "sidebar=closed; path=/"',
    ],
)
def test_what_a_sixth_corpus_has_beside_stays(text: str) -> None:
    assert REDACTOR.text(text) == text
