"""Ways of writing a credential that another corpus held: logins as arguments, cookie jars, properties."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

import spantally
from spantally.redaction import Redactor

REDACTOR = Redactor()
HEX = "839b0f6d13c17083d9ed41037e7ae168"
NOISE = "Zx81mQ4tLw9Bv72KpY3sRe5T"
WORD = "Falcon$2002x"
DJANGO = "django-" + "insecure-" + "x2)_@l%_)+s9w6&w=ugaw@@wr3qbew47y%26eo*76r0r^5pw9k"
JAR = "# Netscape HTTP Cookie File\n# made by a program\n\n.example.com\tTRUE\t/\tTRUE\t1799999999\t"
PART = 'Content-Disposition: form-data; name="{}"\r\n\r\n{}\r\n--b--'

TEXTS = [
    (f"openai.api.key={HEX}", HEX),
    (f"api.key={HEX}", HEX),
    (f"spring.aws.secret.access.key = {HEX}", HEX),
    (f"<property><name>twilio.auth.token</name><value>{HEX}</value></property>", HEX),
    (f'props.put("stripe.api.key", "{HEX}");', HEX),
    (f'@Value("${{openai.api.key:{HEX}}}")', HEX),
    (f'const apiToken string = "{HEX}"', HEX),
    (f'var dbPassword string = "{WORD}"', WORD),
    (json.dumps({"op": 2, "d": {"token": HEX}}), HEX),
    (f"requests.get(url, auth=('bob', '{WORD}'))", WORD),
    (f'HTTPBasicAuth("bob", "{WORD}")', WORD),
    (f'req.SetBasicAuth("bob", "{WORD}")', WORD),
    (f'new NetworkCredential("bob", "{WORD}")', WORD),
    (f"smtp.login('bob@example.com', '{WORD}')", WORD),
    (json.dumps({"code": f'smtp.login("bob", "{WORD}")'}), WORD),
    (f"a1 LOGIN bob {WORD}\r\n", WORD),
    (f"USER bob\r\n331 ok\r\nPASS {WORD}\r\n", WORD),
    (f"PASS {WORD}\r\nNICK bob\r\n", WORD),
    (f"htpasswd -b /etc/nginx/users bob {WORD}", WORD),
    (f"htpasswd -cb -C 10 users bob {WORD}", WORD),
    (f"curl --user '{HEX}:' https://api.example.com", HEX),
    (f"curl -u {NOISE}: https://api.example.com", NOISE),
    (f"{JAR}sessionid\t{HEX}\n", HEX),
    (f"{JAR}theme\tdark\n#HttpOnly_.example.com\tTRUE\t/\tFALSE\t0\tcsrftoken\t{NOISE}\n", NOISE),
    (PART.format("password", WORD), WORD),
    (PART.format("api_key", HEX), HEX),
    (json.dumps(PART.format("api_key", HEX)), HEX),
    (f"##vso[task.setvariable variable=DB;issecret=true]{WORD}", WORD),
    ("ENV['ADMIN_PASSWORD'] ||= 'Purple_2024'", "Purple_2024"),
    ("admin_password: >-\n  Purple_2024\nother: 1", "Purple_2024"),
    ('SMTP_PASSWORD = (\n    "tundra-maple-quartz-orbit-20"\n)', "quartz-orbit"),
    (json.dumps({"outputs": {"db_password": {"value": "tundra-maple-quartz-20"}}}, indent=2), "maple-quartz"),
    (f"SECRET_KEY = '{DJANGO}'", DJANGO[16:]),
    (f"curl -H 'X-Secret-Key: {DJANGO}'", DJANGO[-12:]),
    (f"level=info {DJANGO} ok", DJANGO[-12:]),
    ("key " + "AKIA" + "ZSGJQVVWWPCRTJXZ used", "ZSGJQVVWWPCR"),
    ("use " + "hf_" + "GyPAEKuDMHUHCuiMxSimzuOvjMqsINEfLh now", "EKuDMHUHCuiMx"),
    (f"mailchimp {HEX}-us19", HEX),
    (f"users:\n- name: x\n  user:\n    token: {HEX}\n", HEX),
    (f"Your new API key is:\n\n    {HEX}\n", HEX),
    (f"Q: what's the API key?\nA: it's {HEX}", HEX),
    (f"api_key = <<EOF\n{HEX}\nEOF", HEX),
    (f"DbPassword:\n    Type: String\n    Default: {WORD}\n", WORD),
    (f"api_key:\n  type: string\n  example: {HEX}\n", HEX),
    (json.dumps({"Name": "/app/api_key", "Type": "SecureString", "Value": HEX}, indent=1), HEX),
    (json.dumps({"Name": "app", "SecretString": WORD}), WORD),
    (f"twine upload -u __token__ -p {WORD} dist/*", WORD),
    (f'["api_key"]=>\n  string(32) "{HEX}"\n', HEX),
    (f'Config {{ api_key: Some("{HEX}"), port: 80 }}', HEX),
    (f'const API_KEY: &str = "{HEX}";', HEX),
    (f'public string ApiKey {{ get; set; }} = "{HEX}";', HEX),
    (f"api_key: &k {HEX}\nother: *k", HEX),
    (f"<p>Your API key: <code>{HEX}</code></p>", HEX),
    (f'<td>API_KEY</td><td class="code"><pre>&#x27;{HEX}&#x27;</pre></td>', HEX),
    ("Hasło do bazy to " + WORD, WORD),
    ("Mein API-Schlüssel ist " + HEX, HEX),
    ("voici ma clé API : " + HEX, HEX),
    ("la password del server è " + WORD, WORD),
    ("A senha do banco é " + HEX, HEX),
    ("the password for the admin account is " + HEX, HEX),
]


@pytest.mark.parametrize(("text", "secret"), TEXTS)
def test_found(text: str, secret: str) -> None:
    out = REDACTOR.text(text)
    assert secret not in out
    assert "[REDACTED:" in out
    assert re.search(r"\[REDACTED:[a-z-]+:\[", out) is None
    assert "[[REDACTED:" not in out
    assert REDACTOR.text(out) == out


@pytest.mark.parametrize(
    "text",
    [
        "spring.cache.key=" + HEX,
        'map.put("sort.key", "created_at_desc_2024")',
        '@Value("${app.cache.key:default-cache}")',
        "echo ${API_KEY:-} ${TOKEN:?unset1234}",
        json.dumps({"next_page_token": HEX, "key": HEX}),
        "arn:aws:secretsmanager:eu-west-1:231479163520:secret:prod/db-7nXoqi",
        "--- PASS: TestLoginFlow123 (0.00s)",
        "USER guide\nPASS tests/test_login.py::test_reset[chromium-1280x720]",
        "the user's LOGIN page Version2",
        "requests.get(url, auth=(user, password))",
        "smtp.login(user, os.environ['SMTP_PASSWORD'])",
        "smtp.login('user', 'password')",
        JAR + "theme\tdark\n.example.com\tTRUE\t/\tFALSE\t0\tlang\ten-US\n",
        PART.format("key", "uploads/2024/05/abc6727b-452c-47ee-983b-92fabf43b1f5.png"),
        'The field "password"\n\nVersion2 of the form',
        "SECRET_KEY must not begin with django-" + "insecure- in production",
        "ASIAPACIFIC region",
        "python -u train.py -p model-v2 && docker run -u 1000 -p 8080:80 web2",
        "api_key:\n  type: string\n  description: the key of version 2\n",
        f"images/{HEX}-us-east-1",
        "workspace wrkspc_" + "011CZkZaBF1tNoB5wlCeusgy, rate limit rlg_" + "01VPTCmyiu5ZLsWkcxYG2pY8",
        "Mein Schlüssel ist weg. Hasło jest wymagane. Votre clé API est invalide. la password è scaduta",
    ],
)
def test_kept(text: str) -> None:
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize("unit", ["api_key: type: ", "api_key { type = ", "token { description: x type: y "])
def test_types_before_a_value_are_read_once(unit: str) -> None:
    text = unit * (20_000 // len(unit))
    begin = time.thread_time()
    REDACTOR.text(text)
    assert time.thread_time() - begin < 2  # it took minutes where each place was read in many ways


@pytest.mark.parametrize("pattern", ["(?i)(\u017fa|sa)+x", "(?i:(\u03c3a|\u03c2a))+x"])
def test_letters_of_one_capital_are_the_same_where_case_is_ignored(pattern: str) -> None:
    with pytest.raises(ValueError, match="without end"):
        Redactor([re.compile(pattern)])


@pytest.mark.parametrize("wrong", [(5,), (b"api_key=Falcon7", None), (None,), ("text", 5)])
def test_what_is_no_text_is_refused(wrong: tuple[Any, ...]) -> None:
    """The function for texts names the argument and its type, and not what it may hide."""
    with pytest.raises(ValueError, match=r"redact\((text|key)=\.\.\.\) of type ") as raised:
        spantally.redact(*wrong)
    assert "Falcon7" not in str(raised.value)
