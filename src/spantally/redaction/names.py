"""Names of keys: which ones say that their value is a secret, and how surely.

A name is split into words (``spring.datasource.dbPassword`` -> db, password) and judged by its last part,
so that ``max_tokens``, ``token_type``, ``author``, ``primary_key`` or ``password_policy`` stay out.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from typing import Final

NONE: Final = 0
"""Says nothing."""
WEAK: Final = 1
"""``key``, ``token``, ``auth`` alone: only a value that looks random counts."""
TOKEN: Final = 2
"""``api_key``, ``access_token``: a value of eight characters or more that is no word."""
SECRET: Final = 3
"""``client_secret``, ``credentials``: as a token, but a quoted value may be a word."""
PASSWORD: Final = 4
"""``password``, ``DB_PASS``: people choose these, so nearly any value counts."""
AUTH: Final = 5
"""``Authorization``: a scheme and a credential."""
COOKIE: Final = 6
"""``Cookie``, ``Set-Cookie``: pairs of name and value."""
SIGNATURE: Final = 7
"""``sig``, ``X-Amz-Signature``: a secret in a URL only."""

TYPES: Final = {
    WEAK: "token",
    TOKEN: "token",
    SECRET: "secret",
    PASSWORD: "password",
    AUTH: "authorization",
    COOKIE: "cookie",
    SIGNATURE: "signature",
}
"""Tag type by class."""

FOREIGN_STEMS: Final = (
    *("senha", "contrase", "wachtwoord", "kennwort", "parol", "heslo"),
    *("adgangskode", "geslo", "zaporka", "lozinka"),
)
"""Of other languages, and rare in most texts."""
STEM_WORDS: Final = (
    "pass",
    "pw",
    "psk",
    "secret",
    "token",
    "key",
    "cred",
    "auth",
    "cookie",
    "sig",
    "appid",
    "grant",
    "macaroon",
    "connectionstring",
    "connection_string",
    *FOREIGN_STEMS,
)
"""Every name that says something holds one of these, in lower case."""

_TAG: Final = re.compile(r"\[REDACTED:[a-z0-9:-]{1,48}\]")
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_TAIL: Final = frozenset(
    """
    active algo algorithm arn as at attempts authenticated authentication author backend bits body budget
    bytes changed char chars class code configured confirm confirmation context count counter counts
    created date default dir directory disabled embedding enabled encoding endpoint env error
    errors exists exp expiration expires expiry field fields file filename fingerprint flow
    format function generator group handler hash hasher header help hint history id identifier
    ids in index info input invalid is issuer label last left len length lengths level limit
    limits link list location logprobs manager map mask max maximum message method min minimum
    missing mode model module name names needed notice num number object only option options
    output owner page param parameter params part path pattern per placeholder policy position
    prefix price pricing property provider question rate reader realm reason reasons ref refs
    regex region required reset resets response role rotated rotation rule rules schema scheme scope scopes
    score scores server set shape size source stage state status stem stems step store strategy stream
    strength string style suffix table tail test text threshold time timeout timestamp title total ttl
    type types updated uri url urls usage used user username valid validation validator validity
    vars verified version window word words
    """.split()  # noqa: SIM905
)
"""Last words that turn a name into one *about* a secret."""

_BEFORE_KEY: Final = frozenset(
    """
    access account admin api app application auth authorization bearer bot client conn connection
    consumer crypt customer data db decryption deploy deployment dev developer device enc encrypt
    encryption feed gateway hmac host identity integration jwt license live management master
    merchant oauth personal primary priv private prod production project publishable push read
    recovery rest restricted root sas secondary secret security seller sending server service
    session shared sign signing smtp sse ssh ssl staging storage stream subscription super team test
    tls transport unseal user vault vendor wallet webhook write writer
    """.split()  # noqa: SIM905
)
"""``<word> key`` that names a secret."""

_PLAIN_KEY: Final = frozenset(
    """
    alias answer arrow attribute backup bucket cache candidate column composite config context
    crashreporter cursor dedup dedupe dict dictionary down enter entity escape evaluated event field
    file filter first foreign group hash hit hot idempotency idx incident inchi index issue item join
    json kernel kms label last left lookup map message meta metadata miss natural next object order
    parent partition pipeline pk prev primary
    prompt property pub public query range react redis registry resource right route
    routing row s3 safety shard site sort state string sub surrogate tag tenant ticket translation
    tree trigger unique up value variable verify websocket which zobrist
    """.split()  # noqa: SIM905
)
"""``<word> key`` that names a place, not a secret; ``primary`` counts only where a value looks random."""

_PLAIN_KEYS: Final = _PLAIN_KEY | frozenset(
    """
    all allowed bad by commit dead excluded expected extra given got gpg has host known missing new num of
    old other required reserved restore safe signature sorted ssh stale the unexpected unknown unused valid
    """.split()  # noqa: SIM905
)
"""The same of more than one."""
_PLAIN_TOKEN: Final = frozenset(
    """
    added bos cached class cls completion continuation count current cursor delimiter delta each end eos
    eot estimated every fim first generated image input last lookahead mask max min next no num
    number of output pad padding page pagination per position prev previous prompt reasoning
    remaining sep skip special start stop sync text thinking token total type unk used vocab word
    """.split()  # noqa: SIM905
)

_BEFORE_AUTH: Final = frozenset(
    """
    allow basic bearer check client contrib custom default disable django enable flask force has jwt ldap need
    needs mutual no not oauth optional require required requires sasl saml self set skip smtp test tls
    type use user users uses using verify with without
    """.split()  # noqa: SIM905
)
"""``<word> auth`` of which people tell the kind, or whether it is on."""
_MANY: Final = frozenset(
    """
    access admin api auth bearer bot deploy encryption license master private refresh secret service signing
    """.split()  # noqa: SIM905
)
"""Words before ``keys`` or ``tokens`` that make a list of secrets."""
_BEFORE_CODE: Final = frozenset({"mfa", "otp", "totp", "pin", "recovery", "backup"})

_PASSWORD: Final = (
    "password", "passwd", "passphrase", "passcode", "passwort", "pwd", "passe", "senha", "contrasena",
    "wachtwoord", "kennwort", "parola", "heslo", "passord", "adgangskode", "geslo", "zaporka", "lozinka",
    "requirepass", "masterauth",
)  # fmt: skip
_SECRET: Final = ("secret", "secrets", "credential", "credentials", "creds", "cred")
_TOKEN: Final = (
    "apikey", "apitoken", "authtoken", "accesstoken", "accesskey", "secretkey", "privatekey", "accountkey",
    "authkey", "sharedaccesskey", "idtoken", "refreshtoken", "sessiontoken", "bearertoken",
)  # fmt: skip
_PASS: Final = re.compile(
    r"(?:[a-z]{0,3}db|my|sql|mysql|pg|user|root|admin|ftp|smtp|mail|proxy|imap|ssh|sudo|(?:src|dest)?(?:key|store))?pass\Z"
)
_SIGNATURES: Final = frozenset({"sig", "signature", "hmac"})

_SPLIT: Final = {
    "key": (
        ".api",
        ".access",
        ".secret",
        ".private",
        ".encryption",
        ".signing",
        ".master",
        ".shared",
        ".account",
        ".admin",
        ".app",
    ),
    "token": (".api", ".access", ".auth", ".refresh", ".bearer", ".secret", ".bot"),
}
"""``openai.api.key``: what the parts of a property are named for, which other files join by a line."""

_HOLDERS: Final = ("cache", "event", "message", "object", "partition", "redis", "routing", "shard", "sort")
"""``messaging.kafka.message.key``: what has keys that are places."""

_memo: Final[dict[str, int]] = {}
_MEMO_SIZE: Final = 4096
_MEMO_LENGTH: Final = 48
known: Final = _memo.get
"""What :func:`classify` answered of a name before, or None: for those who ask of many."""


def words_of(name: str) -> list[str]:
    """The lower-case words of the last dotted part of ``name``."""
    if "[REDACTED:" in name:
        name = _TAG.sub("", name)  # its type says what stood there, and nothing of the value
    before, _, last = name.rpartition(".")
    if before and (
        (last.lower() in _SPLIT and f".{before.lower()}".endswith(_SPLIT[last.lower()]))
        or (last == "key" and before.endswith(_HOLDERS))
    ):
        last = f"{before.rpartition('.')[2]}_{last}"
    if not last.isascii():
        last = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    return [word.lower() for word in _WORDS.findall(last)]


def classify(name: str) -> int:
    """What the name of a key says about its value: one of the classes of this module."""
    if name == "_auth":
        return TOKEN  # of .npmrc
    if name == "data-key":
        return NONE  # an attribute of an element
    known = _memo.get(name)
    if known is not None:
        return known
    answer = judge(words_of(name))
    if len(name) <= _MEMO_LENGTH:
        if len(_memo) >= _MEMO_SIZE:
            _memo.clear()
        _memo[name] = answer
    return answer


def is_place(word: str) -> bool:
    """Whether a key with that word before it says where something is: ``sort key``, ``cache key``."""
    return word in _PLAIN_KEY


def judge(words: list[str]) -> int:
    """The class of a name that is already split into lower-case words."""
    while words and words[-1].isdigit():
        words = words[:-1]
    # "value", "plaintext", "base64": the name before them is the one that speaks
    while len(words) > 1 and words[-1] in ("value", "val", "plaintext", "plain", "base", "b", "old", "new"):
        words = words[:-1]
    if not words:
        return NONE
    last = words[-1]
    before = words[-2] if len(words) > 1 else ""
    if last == "data" and before in ("key", "secret") and len(words) > 2:
        return TOKEN  # client-key-data of kubectl
    if last in ("code", "codes") and before in _BEFORE_CODE:
        return SECRET
    if last in ("bearer", "otp", "totp", "pat") and (last != "pat" or before):
        return TOKEN
    if words[-3:] == ["public", "key", "token"] or (last == "key" and before == "recv"):
        return NONE  # of an assembly of .NET, of gpg
    if words[-3:] in (["ch", "i", "key"], ["web", "socket", "key"], ["change", "token"]):
        return NONE  # InChIKey of a molecule, of a handshake, of what has changed
    if last == "string" and before == "secret":
        return SECRET  # of AWS Secrets Manager
    if last == "connectionstring" or (last == "string" and before == "connection"):
        return WEAK  # mostly with parts that have names; noise alone is a key
    if last in _TAIL or (last.endswith("s") and last[:-1] in _TAIL):
        return NONE
    if (
        (last.endswith(_PASSWORD) or (last[-1] == "s" and last[:-1].endswith(_PASSWORD)))
        or last in ("pw", "pws", "pswd", "psw", "passwords", "pwds", "psk")
        or _PASS.match(last)
    ):
        return NONE if before in ("forgot", "reset", "no", "show", "hide", "update") else PASSWORD
    if last == "material" and before == "key":
        return PASSWORD  # of a network, in Windows
    if last.endswith(_TOKEN):
        return TOKEN
    if last.endswith(_SECRET):
        return NONE if words[0] in ("existing", "hashed") else SECRET  # the name of one, what is left of one
    if last == "key" or last.endswith("key"):
        return _judge_key(words, before, last)
    if last.endswith("token") or (last in ("tokens", "keys") and before in _MANY):
        return _judge_token(before, last)
    if (
        last in ("tokens", "keys")
        and before
        and before not in (_PLAIN_TOKEN if last == "tokens" else _PLAIN_KEYS)
    ):
        return WEAK  # composio_keys
    if last in ("authorization", "authorisation"):
        return AUTH
    if last == "auth" and before == "registry":
        return TOKEN
    if last == "auth":
        if before in ("proxy", "http"):
            return AUTH
        return WEAK if before in _BEFORE_AUTH or len(before) < 3 else TOKEN  # redis_auth, blynk_auth
    if (last == "grant" and before == "access") or last in ("macaroon", "macaroons"):
        return TOKEN
    if last == "appid" and ("openweather" in words or "openweathermap" in words or "owm" in words):
        return TOKEN
    if last in ("cookie", "cookies"):
        return PASSWORD if before == "erlang" else COOKIE
    if last in _SIGNATURES:
        return SIGNATURE
    if any(word in ("password", "passwd", "passphrase", "secret", "apikey", "credential") for word in words):
        # the secret word is inside: client_secret_prod, PASSWORD_MASTER
        return SECRET
    if any(
        pair in ("apikey", "accesskey", "authtoken", "accesstoken", "privatekey") for pair in _pairs(words)
    ):
        return TOKEN
    return NONE


def _pairs(words: list[str]) -> list[str]:
    return [first + second for first, second in itertools.pairwise(words)]


def _judge_key(words: list[str], before: str, last: str) -> int:
    if last != "key":
        return (
            WEAK
            if last
            not in (
                "monkey",
                "pubkey",
                "publickey",
                "sitekey",
                "turkey",
                "hotkey",
                "donkey",
                "hockey",
                "whiskey",
            )
            else NONE
        )
    if not before:
        return WEAK
    if before in ("wifi", "fi", "wlan", "wpa", "wep"):
        return PASSWORD
    if before in ("primary", "product"):
        return WEAK  # of a table, of a shop: only noise is a licence
    if before in ("public", "publishable") or words[:2] == ["ext", "x"]:
        return NONE
    if before in _PLAIN_KEY or words[-3:-1] in (
        ["s", "3"],
        ["application", "server"],
    ):  # that of push messages
        return NONE
    if before in _BEFORE_KEY or any(word in ("secret", "api", "private") for word in words):
        return TOKEN
    return WEAK if len(words) < 2 else TOKEN


def _judge_token(before: str, last: str) -> int:
    if last != "token" and not last.endswith("token"):
        return TOKEN
    if last[:-5] in _PLAIN_TOKEN:
        return NONE
    if before in ("", "client"):  # that of a client is the id of a request with AWS
        return WEAK
    return NONE if before in _PLAIN_TOKEN else TOKEN
