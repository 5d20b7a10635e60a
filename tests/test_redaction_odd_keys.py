"""Keys that neither a prefix nor a digit gives away, and what only looks like one."""

from __future__ import annotations

import hashlib

import pytest

from spantally.redaction import Redactor, languages, table


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("hf_" + "usyTPNARooQiuygeyMAZ" + "gokIGDVNChDKCV", "huggingface-token"),
        ("1,AS" + "IAUAVJVQFNFHIOUIFT,x", "aws-access-key"),
        ("snyk_uat." + "83ffa38f.OXqZUlXPkQy4vqKJ_8Y1f1mQsVOdqQDmr6vh", "snyk-token"),
        ("18aa372d315e54d0060ed7334ee0994e56d4" + "FFFFNRAL", "newrelic-key"),
        (
            "https://a.io/v1/MTAkbrfq1nM63tteqgHS5OQD5q" + ".36geMs.EtMK3gNF9_ZepLK1rD9H0hKlXxRbo_Vldsg5iE",
            "discord-token",
        ),
        ("b607e6679f15b1c3b1825f9b59c543b3." + "IIPvzWtHPcMA3dF2", "zhipu-key"),
        (
            "A" * 21 + "ef7NDIBwS70Gj8HOlexO" + "%3D1hfajkLNOuteedPQckL4r7yv3VrkSfEuC3RItkl3Kn",
            "twitter-token",
        ),
    ],
)
def test_keys_that_a_prefix_and_digits_do_not_give_away(text: str, rule: str) -> None:
    """Letters alone, an end instead of a beginning, a place within a URL."""
    assert f"[REDACTED:{rule}:" in Redactor().text(f"so I tried {text} and it failed")


def test_two_letters_in_an_image_are_no_prefix() -> None:
    """Base64 has every short prefix somewhere behind one of its signs."""
    body = "".join("QmZ0+Xa9/k" + str(i) for i in range(20))
    image = f"data:image/png;base64,{body}+hf_".replace("_", "x") + f"/AKIA{'Q7' * 8}+{body}"
    assert Redactor().text(image) == image


@pytest.mark.parametrize(
    "word", ["hf_getModelConfigFromHubRepositoryPath", "d41d8cd98f00b204e9800998ecf8427e.jpeg"]
)
def test_names_that_only_begin_alike_stay(word: str) -> None:
    """Camel case changes at its seams only; a hash may be the name of a file."""
    assert Redactor().text(f"see {word} there") == f"see {word} there"


def test_an_id_that_ends_like_a_name_is_none() -> None:
    """The id before it in a list may end in "pw"."""
    text = '["toolu_01Ywsye8CJf3Yk7YeYqPw", "run_ISCPCJdqmG4p49sKvdZsW1u5"]'
    assert Redactor().text(text) == text
    assert "run_" not in Redactor().text('["db_pw", "run_ISCPCJdqmG4p49sKvdZsW1u5"]')


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE64 = LETTERS + "0123456789+/"
CRYPT = LETTERS + "0123456789./"


def noise(alphabet: str, size: int, seed: str = "") -> str:
    """Made-up characters, always the same."""
    drawn = hashlib.shake_256(f"{alphabet}{size}{seed}".encode()).digest(size)
    return "".join(alphabet[byte % len(alphabet)] for byte in drawn)


@pytest.mark.parametrize(
    ("before", "secret", "behind"),
    [
        ("root:$6$Xa8w9Qd2$", noise(CRYPT, 86), ":19000:0:99999:7:::"),
        ("bob:$y$j9T$hU2kd81nZs$", noise(CRYPT, 43), ":19000:0:99999:7:::"),
        ("hash: $2b$12$", noise(CRYPT, 53), ""),
        ("admin:$apr1$hU2kd81n$", noise(CRYPT, 22), ""),
        ("$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$", noise(BASE64, 43), ""),
        ("'pbkdf2_sha256$260000$Zk2hU8s1$", noise(BASE64, 43) + "=", "'"),
        ("scrypt:32768:8:1$Zk2hU8s1$", noise("0123456789abcdef", 128), ""),
        ("userPassword: {SSHA}", noise(BASE64, 38), ""),
        (
            f"Administrator:500:{noise('0123456789abcdef', 32, 'lm')}:",
            noise("0123456789abcdef", 32),
            ":::",
        ),
    ],
)
def test_the_hash_of_a_password_goes(before: str, secret: str, behind: str) -> None:
    """Whoever has it tries passwords as fast as can be."""
    text = f"in the file: {before}{secret}{behind} and more"
    shown = Redactor().text(text)
    assert secret[4:-4] not in shown
    assert Redactor().text(shown) == shown


def test_a_key_of_a_storage_account_goes_and_hashes_as_long_stay() -> None:
    """64 bytes as base64 and nothing around: a key of Azure's; SHA-512 and signatures say what they are."""
    key = noise(BASE64, 86) + "=="
    for text in (key, f"use {key} for it", f'{{"key1": "{key}"}}', f"first\\n{key}\\nlast"):
        assert key[4:30] not in Redactor().text(text)
    for text in (
        f'"contentHash": "{key}"',
        f'"integrity": "sha512-{key}"',
        f"signature = {key}",
        f"{noise(BASE64, 64, 'line')}\n{key}\n",
    ):
        assert Redactor().text(text) == text


@pytest.mark.parametrize("name", ["JSESSIONID", "PHPSESSID", "ASP.NET_SessionId", ";jsessionid"])
def test_a_session_of_a_server_goes_wherever_it_stands(name: str) -> None:
    """The names are of cookies and of nothing else."""
    session = noise("0123456789ABCDEF", 32)
    assert session not in Redactor().text(f"GET https://shop.example.com/a{name}={session} 200")


@pytest.mark.parametrize(
    ("sign", "escape"), [("/", "%2F"), ("+", "%2b"), ("/", "&#x2F;"), ("+", "\\u002B"), ("//", "%2F%2F")]
)
def test_a_sign_of_base64_that_is_escaped_ends_no_key(sign: str, escape: str) -> None:
    """One alone, with no other escape around."""
    row = next(row for row in table.ROWS if row.shape == "b")
    front, back = noise(LETTERS + "0123456789", 21, sign), noise(LETTERS + "0123456789", 21, escape)
    shown = Redactor().text(f"GET https://a.example.com/v1?x={row.prefix}{front}{escape}{back}&n=2")
    assert front[4:] not in shown
    assert back[4:] not in shown
    assert "n=2" in shown


@pytest.mark.parametrize("prefix", [row.prefix for row in table.ROWS if row.rule == "aws-access-key"])
def test_ids_of_aws_may_be_letters_alone(prefix: str) -> None:
    """One in thirty is."""
    word = prefix + "PWEIBUNNELGGWNFK"
    assert word not in Redactor().text(f"with {word} there")


@pytest.mark.parametrize("prefix", ["canyo-key-", "nimbly_token_", "zeph_live_", "vudo-secret-"])
def test_signs_within_a_key_of_an_unknown_vendor_hide_nothing(prefix: str) -> None:
    """Of random base64 one sign in thirty is a hyphen or a low line, so that few keys have a long run."""
    alphabet = LETTERS + "0123456789-_"
    for seed in range(40):
        body = "a" + noise(alphabet, 41, f"{prefix}{seed}") + "Q7"
        if sum(map(str.isdigit, body)) > 3:
            assert body[8:-8] not in Redactor().text(f"so I tried {prefix}{body} and it failed"), body


@pytest.mark.parametrize(
    "text",
    [
        "https://video.example.com/watch?v=VhaS48rC_Ug&list=PLDnHAua-cWNBHoX06FkAEV9E3ab3KyrCX",
        '<dt id="index-GOSTHASH94CP_005fBLOCK_005fSIZE">',
        "self.NID_pbe_WithSHA1And3_Key_TripleDES_CBC",
        "<pre>&quot;last_id&quot;: &quot;msg_J0K0YS0uaXdTY88VUxyFx4TW&quot;</pre>",
    ],
)
def test_ids_with_a_hyphen_and_names_of_code_are_no_keys(text: str) -> None:
    """What stands before the hyphen is noise itself, or what stands behind are words."""
    assert Redactor().text(text) == text


def test_a_personal_access_token_is_known_by_its_variable() -> None:
    """PAT has no stem of a name."""
    token = noise(LETTERS + "0123456789", 52)
    assert token not in Redactor().text(f"environment:\n  - AZURE_DEVOPS_EXT_PAT={token}\n")


@pytest.mark.parametrize(
    "key",
    [
        "pat" + "aQ3x9Zk2Lm7Rt5" + "." + "9f3a7c1e5b8d2046",
        "M" + "TAx9Kd2Lm7Rt5Vw3Yz8Bc4" + "." + "aQ3x9Z" + "." + "k2Lm7Rt5Vw3Yz8Bc",
    ],
)
def test_the_shortest_of_those_that_a_dot_is_in(key: str) -> None:
    """A word is looked at for dots from the length on that such a key may have, and not one later."""
    assert key not in Redactor().text(f"so it went with {key} yesterday")


def test_names_in_other_scripts_begin_rarely() -> None:
    """A text without one of their first letters is not searched for them: none may begin as English does."""
    assert all(not letter.isascii() for letter in languages._FIRST_LETTERS)
    assert len(languages._FIRST_LETTERS) > 30
