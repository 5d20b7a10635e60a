"""Forms that a corpus of services and contexts showed which no rule had been written for."""

from __future__ import annotations

import hashlib
import json
import string
import time
import uuid

import pytest

from spantally.redaction import Redactor

REDACTOR = Redactor()
LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def drawn(seed: str, size: int, alphabet: str = LETTERS) -> str:
    """Made-up characters, always the same."""
    return "".join(alphabet[byte % len(alphabet)] for byte in hashlib.shake_256(seed.encode()).digest(size))


def hidden(text: str, secret: str) -> None:
    """It goes as it stands, in JSON, and in JSON in JSON, and what is left stays as it is."""
    for form in (text, json.dumps({"content": text}), json.dumps({"a": json.dumps({"content": text})})):
        shown = REDACTOR.text(form)
        assert secret not in shown
        assert "[REDACTED:" in shown
        assert REDACTOR.text(shown) == shown


def test_tokens_of_two_parts_go() -> None:
    """Where what stands before says whose they are."""
    secret = drawn("asana", 32, HEX)
    for text in ("asana pat: 2/93{d}/403{d}:{v}", "(2/93{d}/403{d}:{v})", "x=2/93{d}/403{d}:{v}"):
        hidden(text.replace("{d}", "0173300173").replace("{v}", secret), secret)
    account = "AC" + drawn("account", 32, HEX)
    for text in ('Client("{a}", "{v}")', "twilio('{a}','{v}')", "{a}:{v}"):
        hidden(
            text.replace("{a}", account).replace("{v}", drawn("twilio", 32, HEX)), drawn("twilio", 32, HEX)
        )


@pytest.mark.parametrize("prefix", ["acme-pat-", "foo9sk-", "sk-", "x_secret_", "apikey-"])
def test_uuids_behind_a_telling_prefix_go(prefix: str) -> None:
    """As services give them away that make their keys of UUIDs."""
    secret = str(uuid.UUID(drawn(prefix, 32, HEX)))
    hidden(f"try {prefix}{secret} then", secret)


def test_passwords_that_are_defaults_of_variables_go() -> None:
    """In a URL and by itself; a fault that a shell would tell is none."""
    hidden("POSTGRES_PASSWORD: ${DB_PASSWORD:-Copper784x}", "Copper784x")
    hidden("export API_TOKEN=${API_TOKEN:-" + drawn("token", 24) + "}", drawn("token", 24))
    hidden("postgres://app:${DB_PASSWORD:-Copper784x}@db/x", "Copper784x")
    hidden("postgres://${DB_USER:-app}:Copper784x@db/x", "Copper784x")
    hidden("postgres://${DB_USER:-app}:${DB_PASSWORD:-Copper784x}@db/x", "Copper784x")


@pytest.mark.parametrize(
    "text",
    [
        "x: ${DB_PASSWORD:-postgres} ${API_KEY:-none} ${TOKEN:-default1} ${DB_PASSWORD:?err0r!}",
        "postgresql://${DB_USER:?error}:${DB_PASSWORD:?error}@db/x",
        "annotations:\n  checksum/secret: " + drawn("chart", 64, HEX),
        '<li key="item-d17c" data-key="9a81c4d0-8fc7-441d-a6d0-7984d747d644">',
        "task-9a81c4d0-8fc7-441d-a6d0-7984d747d644 disk-9a81c4d0-8fc7-441d-a6d0-7984d747d644",
        "Message-ID: <CAFXi-" + drawn("mail", 12) + "_" + drawn("id", 26) + "@mail.example.com>",
        "https://example.com/?gclid=Cj0KCQ-" + drawn("click", 40) + "&list=PL_" + drawn("list", 30),
        "that name a credential: `REQUIREPASS`, `MASTERAUTH`; redis-server --requirepass $$REDIS_PASSWORD",
    ],
)
def test_what_looks_like_it_stays(text: str) -> None:
    """Hashes, attributes, ids, names."""
    assert REDACTOR.text(text) == text


TYPED = [
    "await page.getByLabel('Password').fill('{v}')",
    'page.get_by_role("textbox", name="Password").fill("{v}")',
    "page.get_by_label('Password', exact=True).press_sequentially('{v}')",
    'await page.locator("input[type=\'password\']").fill("{v}")',
    "await page.locator('#password').first().pressSequentially('{v}');",
    "driver.find_element(By.ID, 'password').send_keys('{v}')",
    'driver.FindElement(By.Id("password")).SendKeys("{v}");',
    'driver.findElement(By.name("password-field")).sendKeys("{v}");',
    "cy.get('input[name=password]').type('{v}')",
    "cy.get('[data-cy=passwordInput]').clear().type('{v}')",
    "userEvent.type(screen.getByLabelText(/password/i), '{v}')",
    "$('#password').val('{v}')",
    "fill_in 'Password', with: '{v}'",
    "browser_type(ref='e12', element='Password field', text='{v}')",
    '{"element": "Password input", "ref": "e7", "text": "{v}"}',
    '{"action": "type", "selector": "#password", "text": "{v}"}',
    '{"selector": "input[name=password]", "submit": true, "value": "{v}"}',
    '{"text": "{v}", "element": "Password field"}',
]


@pytest.mark.parametrize("text", TYPED)
def test_passwords_that_are_typed_into_a_field_go(text: str) -> None:
    """By tests and by agents that use a browser."""
    for secret in ("Copper7!84x", drawn(text, 14) + "4Zq"):
        hidden(text.replace("{v}", secret), secret)


@pytest.mark.parametrize(
    "text",
    [
        "page.getByLabel('Password').fill('secret'); cy.get('#password').type('{enter}')",
        "await expect(page.getByLabel('Password')).toHaveAttribute('type', 'password')",
        '{"element": "Password input", "ref": "e7", "text": "Enter your password"}',
        '{"name": "password", "type": "text", "value": "", "label": "Field1"}',
        "driver.find_element(By.ID, 'password').send_keys(Keys.RETURN); x.find('#field2').type('abc123def')",
        "page.getByLabel('Password').fill(process.env.PASSWORD2)",
        "const passwordField = useRef(); expect(form.get('password').value).toBe('step2of3')",
    ],
)
def test_other_things_that_are_done_to_a_field_stay(text: str) -> None:
    """Words, keys, variables, other fields."""
    assert REDACTOR.text(text) == text


COOKIES = [
    '{"cookies": [{"name": "theme", "value": "dark"}, {"name": "connect.sid", "value": "{v}", "path": "/"}]}',
    "driver.add_cookie({'name': 'SESSION', 'value': '{v}'})",
    "await page.setCookie({ name: 'auth', value: '{v}', domain: 'example.com' })",
    "[{'domain': 'example.com', 'httpOnly': True, 'name': 'sid', 'path': '/', 'value': '{v}'}]",
    '[{"domain": "x.org", "name": "_t", "value": "{v}", "httpOnly": true, "sameSite": "Lax"}]',
    ".ASPXAUTH={v}; expires=Tue, 01-Dec-2026; path=/",
]


@pytest.mark.parametrize("text", COOKIES)
def test_cookies_in_objects_go(text: str) -> None:
    """As browsers and what drives them keep them."""
    hidden(text.replace("{v}", drawn(text, 32)), drawn(text, 32))


def test_cookies_that_open_nothing_stay() -> None:
    """Settings, and the attributes of cookies."""
    text = '{"cookies": [{"name": "theme", "value": "dark-mode", "httpOnly": false, "path": "/a1"}]}'
    assert REDACTOR.text(text) == text
    text = "Set-Cookie: theme=dark1; HttpOnly\nfunction x() { const value = 'session1'; }"
    assert REDACTOR.text(text) == text


OPENVPN = "-----BEGIN OpenVPN Static key V1-----"
SSH2 = "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----"
WORDS = "orbit canvas lemon walnut ticket marble copper saddle velvet harbor pepper window"
TALK = [
    "Klucz API to {v}",
    "De API-sleutel is {v}.",
    "API anahtar\u0131: {v}",
    "API-nyckel: {v}",
    "kunci API: {v}",
    "Te paso la clave de API de Acme: {v}",
    "Bearer {v}",
]
CHOSEN = [
    "WiFi key: {v}",
    "Wi-Fi key is {v}",
    "wifi password? it's {v}",
    "salasana on {v}",
    "\u015fifreniz {v}",
    "Login: admin / {v}",
    "Creds: bob@example.com : {v}",
    "recovery code: {v}",
    "your backup code is {v}",
]


@pytest.mark.parametrize("text", TALK)
def test_keys_in_talk_go(text: str) -> None:
    """Random ones and, but for headers, hex and UUIDs."""
    hidden(text.replace("{v}", drawn(text, 36)), drawn(text, 36))
    hidden(text.replace("{v}", "gCwFCVgTAscSTYvlxseGdU"), "gCwFCVgTAscSTYvlxseGdU")
    hidden(text.replace("{v}", str(uuid.UUID(drawn(text, 32, HEX)))), str(uuid.UUID(drawn(text, 32, HEX))))


@pytest.mark.parametrize("text", CHOSEN)
def test_passwords_in_talk_go(text: str) -> None:
    """Chosen ones."""
    for secret in ("Copper7!84x", "k7Lan!ter5z"):
        hidden(text.replace("{v}", secret), secret)


@pytest.mark.parametrize(
    "text",
    [
        'MNEMONIC="{v}"',
        "wallet seed phrase: {v}",
        "My secret recovery phrase is\n{v}\nkeep it",
        '"seedPhrase": "{v}"',
        "const mnemonic = '{v}';",
    ],
)
def test_words_of_a_wallet_go(text: str) -> None:
    """Twelve of them or twenty-four."""
    hidden(text.replace("{v}", WORDS), WORDS)
    longer = f"{WORDS} {' '.join(reversed(WORDS.split()))}"
    hidden(text.replace("{v}", longer), longer)


def test_other_blocks_of_keys_go() -> None:
    """Of OpenVPN, of SSH2, and in pages."""
    lines = [drawn(f"line{number}", 32, HEX) for number in range(4)]
    body = "\n".join(lines)
    for text in (
        f"<tls-auth>\n{OPENVPN}\n{body}\n{OPENVPN.replace('BEGIN', 'END')}\n</tls-auth>",
        f'{SSH2}\nComment: "x"\n{body}\n{SSH2.replace("BEGIN", "END")}',
        f"-----BEGIN PRIVATE KEY-----<br>{body}<br/>-----END PRIVATE KEY-----".replace("\n", "<br>"),
    ):
        for line in lines:
            hidden(text, line)
        assert "END" not in REDACTOR.text(text)


def test_halves_of_a_login_go() -> None:
    """What a provider of identities answers, and what only the client knows."""
    for text in (
        '<input type="hidden" name="SAMLResponse" value="{v}"/>',
        "SAMLResponse={v}&RelayState=x",
        "code_verifier={v}&grant_type=authorization_code",
        '{"codeVerifier": "{v}"}',
    ):
        hidden(text.replace("{v}", drawn(text, 80)), drawn(text, 80))


@pytest.mark.parametrize(
    "text",
    [
        "klucz: warto\u015b\u01071, klucz obcy id_uzytkownika2; de sleutel is verlopen; nyckel: namn2",
        "A mnemonic: every good boy deserves fudge. The seed phrase is a list of twelve words or more.",
        "The catch phrase: never give up. mnemonic = None; seed_phrase: str; recovery phrase: see page 12",
        "recovery code: 404; error recovery code is E1001x? no; backup code: src/backup2.py",
        "login: bob / alice2; Login: required | 2 attempts; wifi key: none; code_verifier: str = generate()",
        "Bearer authentication; bearer AuthenticationTokenProvider",
    ],
)
def test_talk_of_these_stays(text: str) -> None:
    """Words, stand-ins, files."""
    assert REDACTOR.text(text) == text


CODE = [
    'headers["Authorization"] = "Basic " + btoa("bob:{v}")',
    "base64.b64encode(b'bob:{v}')",
    'base64.StdEncoding.EncodeToString([]byte("bob:{v}"))',
    "Buffer.from('bob:{v}').toString('base64')",
    "User.objects.create_user('bob', 'bob@example.com', '{v}')",
    'User.objects.create_superuser(username, email, "{v}")',
    "signInWithEmailAndPassword(auth, 'bob@example.com', '{v}')",
    "security add-generic-password -a bob -s mail -w {v}",
    "supabase link --project-ref x -p {v}",
    "cryptsetup luksOpen /dev/sda x <<< '{v}'",
    "echo -n '{v}' | gcloud secrets create db --data-file=-",
    "[Environment]::SetEnvironmentVariable('JWT_SECRET','{v}','User')",
    "Here is the keystore password:\n\n{v}\n\nThanks!",
]
RANDOM = [
    "wandb login {v}",
    "sonar-scanner -Dsonar.login={v}",
    "HKEY_CURRENT_USER\\Environment\n    ACME_TOKEN    REG_SZ    {v}\n",
    "Fernet(b'{v}')",
]


@pytest.mark.parametrize("text", CODE)
def test_passwords_in_calls_and_commands_go(text: str) -> None:
    """At their places."""
    for secret in ("Copper7!84x", "k7Lan!ter5z"):
        hidden(text.replace("{v}", secret), secret)


@pytest.mark.parametrize("text", RANDOM)
def test_keys_in_calls_and_commands_go(text: str) -> None:
    """Noise."""
    hidden(text.replace("{v}", drawn(text, 40)), drawn(text, 40))


def test_secrets_that_people_choose_go() -> None:
    """In an environment in YAML, in a hash of Perl, in a list."""
    hidden("APP_SECRET=nickel-nectar-nimbus-fennel\nDEBUG=0", "nickel-nectar-nimbus-fennel")
    hidden('env:\n- name: WEBHOOK_SECRET\n  value: "p4rol-m6lot"\n', "p4rol-m6lot")
    hidden("$ENV{WEBHOOK_SECRET} = 'p4rol-m6lot';", "p4rol-m6lot")
    hidden("define('ENCRYPTION_KEY', 'Kpx4AEXQd!NUhU');", "Kpx4AEXQd!NUhU")


def test_noise_in_lower_case_behind_a_prefix_goes() -> None:
    """Though it holds a long run of letters, as it may if it is long itself."""
    hidden(
        "try acmetool_01fs1mn2pr8cc018zdqxzn54juolph0zqouomplqd6",
        "01fs1mn2pr8cc018zdqxzn54juolph0zqouomplqd6",
    )


@pytest.mark.parametrize("piece", ["samlresponse=", "btoa('a:b", "seed phrase: abandon ", '{"httpOnly": 1, '])
def test_time_stays_linear(piece: str) -> None:
    """A megabyte of what a reader begins at takes no more than a second or two."""
    text = piece * (1_000_000 // len(piece))
    begun = time.process_time()
    Redactor(budget_seconds=60).text(text)
    assert time.process_time() - begun < 5


def test_tokens_without_a_digit_or_before_a_full_stop_go() -> None:
    """One in some hundreds has none."""
    hidden("a|glpat-" + "aLdbfprYwjmTwkdJxdFZ|b", "aLdbfprYwjmTwkdJxdFZ")
    secret = drawn("bot", 33)
    hidden(f"try 939475{4481}:AA{secret}.", secret)


@pytest.mark.parametrize(
    "text",
    [
        "Buffer.from('data:image/png;base64,iVBORw0KGgo'); btoa('a:b'); []byte(\"level:info\")",
        "create_user('bob', 'bob2@example.com'); create_user(name, mail, password)",
        "createUserWithEmailAndPassword(auth, email, password1)",
        "docker login 123456789012.dkr.ecr.us-east-1.amazonaws.com",
        "az login --tenant 9a81c4d0-8fc7-441d-a6d0-7984d747d644; login page-2024-11-02-final-v2",
        "gcloud secrets create db --data-file=key2.txt; echo done2 | tee x; gcloud secrets versions list db1",
        "sonar.login=admin; supabase start -p 5432; security find-generic-password -w",
        "['JWT_SECRET', 'PORT2', 'DB_HOST1'] setValue('client_secret', 'value1')",
    ],
)
def test_other_calls_and_commands_stay(text: str) -> None:
    """Data, addresses, hosts, ids, words."""
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "u := archsimd.LoadInt8x16SlicePart(a)",
        "// isToken reports whether v is a valid token (https://www.rfc-editor.org/rfc/rfc2616#section-2.2).",
        'cmd.Env = append(cmd.Env, "PWD="+cmd.Dir)',
        "sign(test512Key, crypto.SHA512, buf, &PSSOptions{SaltLength: PSSSaltLengthEqualsHash})",
        "var rsaPrivateKey = test1024Key",
        "serviceStartName *uint16, password *uint16) (handle Handle, err error)",
        'data("AQEAOzAAAAEAABIAAQCwlhIAAQMBoGAAASmidzswAQADAAAIAAEACAADAMnYAwD95wIABvkBAAMANQoDAJwMAgCOHQEA+w==")',
        "AAAA8/" + "A" * 80 + "YKCAf6Dh4B" + "A" * 40,
        'net::UCred\\">UCred</a>",0],["impl <a href=\\"std/fmt/trait.Debug2.html\\" title=\\"x\\"',
        "#hupSig = process.platform === 'win32'",
        "--kms-key=projects/my-project/locations/us/keyRings/my-kr --secret=projects/p/secrets/s/versions/1",
        "encryption-key:\n  api_field: cluster.gcpConfig.kmsKey\n",
        '--client-secret-value="client-secret"',
        "bind($dn, password => $this->{bindpasswd}); pass => $self->causes_fail ? 0 : 1,",
        "SECStatus PK11_DoPassword(PK11SlotInfo *slot, char *pw); SEC_PKCS12PrivateKeyBagStr x;",
        "typedef struct SEC_PKCS7GetDecryptKeyCallback; FKF_IsAlignedDownTo32Bits = (1 << 1)",
        "EC_KEY *d2i_ECPrivateKey_fp(FILE *fp, EC_KEY **key); i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &buf)",
        "initializeLiveVariablesPass(*PassRegistry::getPassRegistry());",
        "void initializeAAResultsWrapperPassPass(PassRegistry&); PKCS12_NO_PERSIST_KEY = 0x00008000",
        "#define siv_cmac_aes128_set_key nettle_siv_cmac_aes128_set_key",
        '# "trust", "md5", "password", "scram-sha-256", "gss"',
        "made [`ParsePKCS1PrivateKey`](/pkg/crypto/x509/#ParsePKCS1PrivateKey) use and validate the key",
        "gpg --default-key YOURKEY --digest-algo SHA256 --clearsign /path/to/SHASUMS256.txt",
        "const pubkey256 = 'SIXv" + drawn("pin", 38) + "8=';",
        "**crypto**: add CryptoKey Symbol.toStringTag",
        '"pattern": "arn:aws:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[a-zA-Z0-9/_+=.@-]+$"',
        '"encryptionKey": "encryptionKey1024", "decryptionKey": "decryptionKey1024"',
        "['USERPWD', 'HTTP200ALIASES', 'KEYPASSWD', 'KRB4LEVEL', 'SSH_HOST']",
    ],
)
def test_code_stays(text: str) -> None:
    """What files of Go, JavaScript, Perl and descriptions of commands have."""
    assert REDACTOR.text(text) == text
