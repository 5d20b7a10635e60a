"""Tokens: long unbroken words, looked up in the vendors' table and then judged by shape alone.

One pass finds the words of sixteen characters or more; only one with a digit or noise in case is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from spantally.redaction import shapes, table
from spantally.redaction.runs import Runs
from spantally.redaction.spans import GENERIC, VENDOR, Span
from spantally.redaction.tags import know_types

LONGEST_GENERIC: Final = 512
"""A longer word without a known prefix is data (media, a certificate), not a key."""

_DIGIT: Final = re.compile("[0-9]")
_CASES: Final = re.compile("[A-Z][a-z][A-Z]|[a-z][A-Z]{2,4}[a-z]")
_AWS_LETTERS: Final = re.compile("A(?:[KSB]IA|CCA)[A-Z]{16}")
"""One in thirty ids of AWS has no digit."""
_GLUED: Final = re.compile(r"u[0-9a-fA-F]{4}|[nrtbf]")
_COLOURED: Final = re.compile("[0-9]{0,3}m")
_BEFORE_GLUED: Final = frozenset("\\[;")
"""Behind these a word may begin with the end of an escape, as in ``\\x1b[1;32mword``."""
_BOUNDARY: Final = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}))"
_AWS: Final = ("AKIA", "ASIA", "ABIA", "ACCA")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9]{8,}")
_JWT_START: Final = ("eyJhbGci", "eyJ0eXAi", "eyJraWQi", "eyJlbmMi", "eyJjdHki", "eyJ4NXQi")
_JWT: Final = re.compile(r"[A-Za-z0-9_\-.=]+")
_AFTER_AWS: Final = re.compile(r"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])")
_SALESFORCE: Final = re.compile(r"00D[A-Za-z0-9]{12}\Z")
_TELEGRAM: Final = re.compile(r"[A-Za-z0-9_-]{32,40}")
_AIRTABLE: Final = re.compile(r"(?<![A-Za-z0-9])pat[A-Za-z0-9]{14}\.[a-f0-9]{16,64}")
_DISCORD: Final = re.compile(
    r"(?:(?<![A-Za-z0-9_.-])|(?<=%3D)|(?<=%2F)|(?<=%20))[MNO][A-Za-z0-9_-]{22,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{16,45}"
)
_AZURE: Final = re.compile(r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{20,40}")
_AZURE_KEY: Final = re.compile(
    r"[A-Za-z0-9+/]{40,90}(?:AZDO|JQQJ9|AzCa|AAAA?ACO|APIM|ACDb|AzSe|AIoT|ASbT|AStk|AStv)[A-Za-z0-9+/]{3,12}=*"
)
_ZHIPU: Final = re.compile(r"(?<![A-Za-z0-9])[a-f0-9]{32}\.[A-Za-z0-9]{16}(?![A-Za-z0-9])")
_TWITTER: Final = re.compile(r"(?<![A-Za-z0-9])A{20,24}[A-Za-z0-9%]{20,100}%3D[A-Za-z0-9%]{20,100}")
_NEW_RELIC: Final = re.compile(r"(?<![A-Za-z0-9])(?:eu01xx)?[a-f0-9]{30,36}FFFFNRAL\Z")
_AZURE_KEY_LENGTH: Final = 52
_AZURE_SIGN: Final = re.compile("A(?:ZDO|zCa|CO|PIM|CDb|zSe|IoT|Sb|St)|JQQJ9")
"""One of these stands in each: most long words are paths."""
_MAILCHIMP: Final = re.compile(r"(?<![A-Za-z0-9])[a-f0-9]{32}-us[0-9]{1,2}(?![A-Za-z0-9_-])")
_BEFORE_SPECIAL: Final = frozenset("!:$}")
_BEFORE_HASH: Final = frozenset(":$}")
_SHORTEST_DOTTED: Final = 34
"""Characters of a token of Airtable's, the shortest of those that a dot is in."""
_SHORTEST_DISCORD: Final = 47
"""Of one of Discord's; those of Zhipu are longer."""
_CRYPT: Final = re.compile(
    r"""(?x)
    (?: \$ (?: [1567] | g?y | 2[abxy] | apr1 | argon2(?:id|[id]) | sha1 | pbkdf2-sha[0-9]{1,3} | scrypt )
      | (?<![\w$]) (?: pbkdf2_sha(?:1|256|512) | (?:scrypt|pbkdf2:sha(?:1|256|512)) (?::[0-9]{1,8}){0,3} )
    ) \$ (?: [^\s$:"'\\\[]{1,64} \$ ){0,3} \Z
    """
)
"""Before the hash of a password, as in ``/etc/shadow``: scheme, parameters and salt."""
_CRYPT_REACH: Final = 160
_CRYPT_HASH: Final = re.compile(r"[A-Za-z0-9./+=]{20,}")
_LDAP_HASH: Final = re.compile(r"\{S?(?:SHA|MD5)(?:256|384|512)?\}\Z", re.IGNORECASE)
_NT_HASH: Final = re.compile(r"[a-fA-F0-9]{32}\Z")
_DIGEST_LINE: Final = re.compile(
    r"""(?:\A|[\n"'`]|\\n)[\w.@-]{1,64}:"""
    r"(?:[^:\n\\]{0,64}[A-Z ][^:\n\\]{0,64}|(?i:webdav|realm|users|private|digest|restricted)):\Z"
)
"""``user:realm:`` of htdigest; a realm is a title."""
_AFTER_LM: Final = re.compile(r":[a-fA-F0-9]{32}:::")
_AZURE_ACCOUNT_KEY: Final = re.compile(r"[A-Za-z0-9+/]{86}==")
_ACCOUNT_KEY_LENGTH: Final = 88
_IS_HASH: Final = re.compile(r"(?i)hash|sha|digest|integrity|checksum|sum|sig|md5|[A-Za-z0-9+/]{32}\s{0,4}\Z")
"""Before base64 of as many bytes that opens nothing: a SHA-512, a signature, the lines above a last one."""
_DIGESTS: Final = ("sha256=", "sha384=", "sha512=")
"""Before what a file of the files of a package, or a lock, says of each; in base64 it looks like a key."""
_SESSION: Final = ("jsessionid", "phpsessid", "asp.net_sessionid", "connect.sid", "laravel_session")
"""Cookies that servers keep sessions by, wherever they stand."""
_NAMES_END: Final = frozenset("dDnNtT")
"""How the names of those, and of personal access tokens, end."""
_VARIABLE: Final = re.compile("[A-Za-z0-9_-]{24,128}={0,2}")
_LONG_HEX: Final = 32
_IN_QUERY: Final = frozenset("?&")
_PARAMETER: Final = re.compile(r"(?P<name>[A-Za-z_][\w.-]{0,32})=(?P<value>[A-Za-z0-9_-]{24,512}={0,2})\Z")
_PLAIN_PARAMETERS: Final = frozenset(
    """
    _ _ga _gl after anchor before build cb checksum ck code_challenge commit continuation continue
    ctoken cursor data digest dclid ei etag fbclid file gclid gs_lcp gs_lcrp hash igshid integrity itag
    list mc_cid mc_eid md5 model msclkid name next nonce offset page page_token pagetoken path pb prev q
    query ref rev revision sca_esv sei sha sha1 sha256 si since source state sxsrf usg utm_campaign
    utm_content utm_source utm_term v ved ver version wbraid gbraid xsrf yclid
    """.split()  # noqa: SIM905
)
"""Parameters of URLs that hold noise and open nothing."""
_SESSION_ID: Final = re.compile(r"[A-Za-z0-9_.%!~-]{16,}")
_FOREIGN: Final = re.compile(
    r"(?<![A-Za-z0-9])(?P<prefix>[A-Za-z][A-Za-z0-9]{0,15}(?:[_.-][A-Za-z0-9]{1,12}){0,3}[_.-])"
    r"(?P<body>[A-Za-z0-9]{18,})"
)
_BLOB: Final = 160
_LONG_PREFIX: Final = 6
_TELLS: Final = 5
"""Characters of a prefix that nobody writes by chance."""
_BLOB_SIGNS: Final = frozenset("+/")
_MANGLED: Final = ("_Z", "__Z", "_R")
"""How names of compiled C++ and Rust begin."""
_CASE_CHANGES: Final = re.compile("(?<=[a-z])[A-Z]|(?<=[A-Z])[a-z]")
_KIND_CHANGES: Final = re.compile("(?<=[a-z])[A-Z0-9]|(?<=[A-Z])[a-z0-9]|(?<=[0-9])[A-Za-z]")
_WORDY: Final = re.compile(
    r"(?:^|[_-])(?:[A-Za-z]?[a-z]{4,}(?=[_-])|(?:[A-Z][a-z]{2,}|[A-Z]{4,})(?=[_-]|\Z))"
)
_SPREAD: Final = re.compile(
    r"(?<![A-Za-z0-9_-])(?<![/=][A-Za-z0-9])(?<![/=])(?P<prefix>[A-Za-z][A-Za-z0-9]{1,11}(?:[_-][a-z0-9]{1,8}){0,2}[_-])"
    r"(?P<body>[A-Za-z0-9_-]{24,})"
)
_NEVER_SPREAD: Final = frozenset("/=")
"""How words begin in which that is not looked for."""
_SEPARATOR: Final = re.compile("[_.-]")
_KINDS_OF_IDS: Final = frozenset({"test", "live", "bdrk", "vrtx", "tool", "call", "pro", "v1", "v2"})
_HASHES: Final = frozenset(
    """
    archive asset blob block bundle cache cachekey checksum chunk commit content css digest fingerprint git
    hash head hex id image img index js layer main md5 media merge object page parent rev revision sha sha1
    sha256
    sha512 snapshot src static trace tree version
    """.split()  # noqa: SIM905
)
_OPEN: Final = _HASHES | {"etag", "nonce", "sum", "sums", "integrity", "state", "cursor", "user", "uid"}
"""Words of the names of variables that hold noise and open nothing."""
_LONG_RUN: Final = re.compile("[A-Za-z0-9]{9}")
"""The signs of base64 that vendors use in keys stand in one place of thirty."""
_LONGER_RUN: Final = re.compile("[A-Za-z0-9]{18}")
_LONG_WORD: Final = 28
_LONG_BODY: Final = 24
_TEXINFO: Final = "_005f"
"""An underscore in the anchors of manuals."""
_SAYS_KEY: Final = re.compile(
    r"(?i)(?:^|[_.-])(?:live|sk|rk|pat|key|apikey|token|tok|secret|access|auth|private|priv)[_.-]"
)
_TELLING: Final = re.compile(
    r"(?i)(?:^|[_.-])(?:live|test|prod|sk|rk|pat|key|apikey|token|tok|secret|api|svc|pw|access|auth|private"
    r"|priv|v[0-9])[_.-]"
)

_BY_PREFIX: Final[dict[str, table.Row]] = {}
"""The row that asks most of those with one prefix, which stands for it where its body is long enough."""
_LESS: Final[dict[str, table.Row]] = {}
"""Of two vendors with one prefix the one whose keys are shorter."""
for _row in sorted(table.ROWS, key=lambda row: -row.least):
    (_LESS if _row.prefix in _BY_PREFIX else _BY_PREFIX)[_row.prefix] = _row
_CLASS: Final = {code: re.compile(f"[{chars}]*") for code, chars in table.CLASSES.items()}
know_types(
    frozenset(row.rule for row in table.ROWS)
    | {
        "jwt",
        "discord-token",
        "azure-secret",
        "aws-secret",
        "telegram-token",
        "salesforce-token",
        "mailchimp-key",
        "twitter-token",
        "zhipu-key",
        "password-hash",
        "azure-key",
    }
)


def _prefix_pattern(prefixes: list[str]) -> str:
    """An alternation that shares beginnings, so that a miss shows at the first character that differs."""
    tree: dict[str, list[str]] = {}
    for prefix in prefixes:
        if prefix:
            tree.setdefault(prefix[0], []).append(prefix[1:])
    branches = [re.escape(char) + _prefix_pattern(rest) for char, rest in sorted(tree.items())]
    if not branches:
        return ""
    body = "|".join(branches)
    return f"(?:{body})?" if "" in prefixes else (f"(?:{body})" if len(branches) > 1 else body)


_PREFIX: Final = re.compile(f"{_BOUNDARY}({_prefix_pattern(list(_BY_PREFIX))}|eyJ)")
# The same for words of usual length without a percent sign: from boundary to boundary, not letter by letter.
_PREFIX_BY_PARTS: Final = re.compile(
    r"(?:(?<![A-Za-z0-9])|[A-Za-z0-9]*+[^A-Za-z0-9])(?:[A-Za-z0-9]*+[^A-Za-z0-9])*?"
    f"({_prefix_pattern(list(_BY_PREFIX))}|eyJ)"
)


_OBJECT_ID: Final = re.compile(r"([a-z]{2,12})[-_][A-Za-z0-9]{8,}")
_LONGEST_ID: Final = 51
"""From the next length on a word may be a key of Azure's, which has no prefix."""


def is_object_id(text: str) -> bool:
    """True for a plain id of a provider's object (``chatcmpl-...``), in which no rule finds anything.

    A quick answer for what comes with every call; where it says False the whole of the rules decides.
    """
    hit = _OBJECT_ID.fullmatch(text)
    return (
        hit is not None
        and len(text) <= _LONGEST_ID
        and hit[1] in shapes.KEPT_PREFIXES
        # A vendor's prefix stands where a word begins: at the start, and behind the separator.
        and _PREFIX.match(text) is None
        and _PREFIX.match(text, hit.end(1) + 1) is None
    )


def find_tokens(
    text: str, runs: Runs, check: Callable[[], None], taken: list[Span], *, generic: bool
) -> None:
    """Append a span to ``taken`` for each word that a vendor's prefix, or noise behind a prefix, gives away.

    Args:
        text: what is scanned.
        runs: of it.
        check: raises when the time is over.
        taken: receives the spans.
        generic: also judge words whose prefix no table knows.
    """
    seen = 0
    for start, end, digit in runs.long_words():
        if (
            digit
            or _CASES.search(text, start, end) is not None
            or (
                (text.find("IA", start, end) >= 0 or text.find("ACCA", start, end) >= 0)
                and _AWS_LETTERS.search(text, start, end) is not None
            )
        ):
            seen += 1
            if not seen & 127:
                check()
            word = text[start:end]
            if start and text[start - 1] in _BEFORE_GLUED:
                glued = (_GLUED if text[start - 1] == "\\" else _COLOURED).match(word)
                if glued and (text[start - 1] != ";" or glued.end() > 1):  # not &quot;msg_...
                    start += glued.end()  # noqa: PLW2901
                    word = word[glued.end() :]
            _judge(text, start, word, taken, generic)


def _judge(text: str, start: int, word: str, taken: list[Span], generic: bool) -> None:
    if word.startswith(_DIGESTS):
        return
    at = 0
    found = False
    seek = _PREFIX.search if "%" in word or len(word) > LONGEST_GENERIC else _PREFIX_BY_PARTS.match
    while (hit := seek(word, at)) is not None:
        end = _vendor(text, start, word, hit, taken)
        found = found or end > 0
        at = end if end > 0 else hit.end()
    if found or len(word) > LONGEST_GENERIC or len(word) < 16:
        return
    length = len(word)
    before = text[start - 1] if start else ""
    # A run of letters and digits as long as a key's: nearly all words are names and paths, and have none.
    long = _LONGER_RUN.search(word) is not None
    if (
        (before in _BEFORE_SPECIAL and (before != ":" or word[0] != "/"))  # not of every URL
        or (length >= _SHORTEST_DOTTED and "." in word and (long or "pat" in word or word.count(".") > 1))
        or "Q~" in word
        or length >= _AZURE_KEY_LENGTH
        or (word[-1] == "L" and word.endswith("NRAL"))
    ) and _special(text, start, word, taken, long=long):
        return
    equals = word.find("=")
    if equals > 0 and start and text[start - 1] in _IN_QUERY and _query(start, word, taken):
        return
    if equals > 3 and word[equals - 1].isupper() and generic and _environment(start, word, equals, taken):
        return
    if equals > 3 and word[equals - 1] not in _NAMES_END:
        equals = 0  # most words
    if equals > 3 and word[:equals].endswith(("_PAT", "_pat")):
        if shapes.looks_random(word[equals + 1 :], 20):
            taken.append(Span(start + equals + 1, start + len(word), VENDOR, "token"))
        return
    if equals > 3 and word[:equals].lower().endswith(_SESSION):
        session = _SESSION_ID.match(word, equals + 1)
        if session is not None:
            taken.append(Span(start + session.start(), start + session.end(), VENDOR, "cookie"))
            return
    if (
        (
            long
            or (length >= _LONG_WORD and word[0] not in _NEVER_SPREAD and _LONG_RUN.search(word) is not None)
        )
        and ("-" in word or "_" in word or "." in word)  # without one there is no prefix
        and (long or not word.islower())
        and not word.startswith(_MANGLED)
    ):
        if long and "-us" in word and (mailchimp := _MAILCHIMP.search(word)) is not None:
            taken.append(Span(start + mailchimp.start(), start + mailchimp.end(), VENDOR, "mailchimp-key"))
        elif generic:
            _generic(text, start, word, taken, long=long)


def _query(start: int, word: str, taken: list[Span]) -> bool:
    """Noise of a key's length in the query of a URL, whatever the name of the parameter."""
    hit = _PARAMETER.match(word)
    if hit is not None and hit["name"].lower() == "appid" and len(hit["value"]) == _LONG_HEX:
        taken.append(Span(start + hit.start("value"), start + hit.end("value"), GENERIC, "unknown-vendor"))
        return True
    if hit is None or hit["name"].lower() in _PLAIN_PARAMETERS or hit["name"].endswith(("id", "Id", "ID")):
        return False
    value = hit["value"]
    body = value.rstrip("=").replace("_", "").replace("-", "")
    if (
        len(body) < _LONG_BODY
        or body.islower()
        or body.isupper()
        or shapes.is_provider_id(value)
        or shapes.is_plain_id(value)
        or _WORDY.search(value) is not None
        or not (shapes.looks_random(body, _LONG_BODY) or _no_words(body))
    ):
        return False
    taken.append(Span(start + hit.start("value"), start + hit.end("value"), GENERIC, "unknown-vendor"))
    return True


def _environment(start: int, word: str, equals: int, taken: list[Span]) -> bool:
    """``SENDGRID=...``: noise of a key's length in a variable of any name but that of a hash."""
    name, value = word[:equals], word[equals + 1 :]
    if (
        not name.isupper()
        or not name.isidentifier()
        or _VARIABLE.fullmatch(value) is None
        or not _OPEN.isdisjoint(name.lower().split("_"))
        or value.islower()
        or value.isupper()
        or shapes.is_provider_id(value)
        or not shapes.looks_random(value, _LONG_BODY)
    ):
        return False
    taken.append(Span(start + equals + 1, start + len(word), GENERIC, "unknown-vendor"))
    return True


def _vendor(text: str, start: int, word: str, hit: re.Match[str], taken: list[Span]) -> int:
    """The end in ``word`` of the credential that begins at ``hit``; 0 if it is none."""
    prefix = hit[1]
    if prefix == "eyJ":
        return _jwt(start, word, hit.start(1), taken)
    row = _BY_PREFIX[prefix]
    body = _CLASS[row.shape].match(word, hit.end())
    if body is not None and len(body[0]) < row.least and prefix in _LESS:
        row = _LESS[prefix]
        body = _CLASS[row.shape].match(word, hit.end())
    if body is None or len(body[0]) < row.least:
        return 0
    begin = hit.start(1)
    if (
        len(word) >= _BLOB
        and len(prefix) < _LONG_PREFIX
        and word[begin - 1 : begin] in _BLOB_SIGNS
        and word.count("+") >= 3
    ):
        return 0  # two or three letters behind a sign of base64 in an image are chance
    value = body[0].rstrip(".-_=") if row.shape == "d" else body[0]
    if not _is_noise(value, prefix):
        return 0
    end = hit.end() + len(value)
    taken.append(Span(start + begin, start + end, VENDOR, row.rule))
    if row.rule == "aws-access-key":
        secret = _AFTER_AWS.search(text, start + end, start + end + 240)
        if secret and shapes.looks_random(secret[0], 40):
            taken.append(Span(secret.start(), secret.end(), VENDOR, "aws-secret"))
    return end


def _is_noise(body: str, prefix: str) -> bool:
    """Not words: ``sk-learn-pipeline-version-2`` has the prefix of a key and is none."""
    if prefix.startswith("xox") or len(prefix) >= 8:
        mixed = not body.islower() and not body.isupper() and not body.istitle()
        return _DIGIT.search(body) is not None or mixed or shapes.is_gibberish(body)
    if shapes.looks_random(body, 8):
        return True
    if prefix in _AWS and len(body) == 16:
        return True
    if len(prefix) >= 4 and body.isalnum() and len(body) >= 14 and len(_CASE_CHANGES.findall(body)) >= 5:
        return True
    # Letters alone, as tokens of Hugging Face are: of names in camel case one letter in five is a capital.
    if len(prefix) >= 3 and 30 <= len(body) <= 64 and body.isalpha() and 0.3 <= _capitals(body) <= 0.7:
        return True
    for segment in _SEGMENT.findall(body[:256]):
        if _DIGIT.search(segment) and not segment.isdigit():
            return True
    return len(body) >= 14 and (
        shapes.case_noise(body) or shapes.is_gibberish(body) or _is_even(body, telling=len(prefix) >= _TELLS)
    )


def _is_even(body: str, *, telling: bool) -> bool:
    """Whether about half the letters are capitals, which camel case has not.

    One key in some hundreds is of letters alone, and says nothing to the other measures.

    Args:
        body: what stands behind a prefix.
        telling: whether the prefix is long enough to be no chance.
    """
    letters = [char for char in body[:128] if char.isalpha()]
    slack = 0.22 if telling else 0.15
    return len(letters) >= 16 and abs(sum(map(str.isupper, letters)) / len(letters) - 0.5) <= slack


def _capitals(body: str) -> float:
    return sum(map(str.isupper, body)) / len(body)


def _jwt(start: int, word: str, at: int, taken: list[Span]) -> int:
    """A JWT, whole or cut: a header that is known, or two parts that both begin an object."""
    whole = _JWT.match(word, at)
    if whole is None:
        return 0
    value = whole[0].rstrip(".")
    if not value.startswith(_JWT_START) and value.find(".eyJ") < 0:
        return 0
    if len(value) < 20:
        return 0
    taken.append(Span(start + at, start + at + len(value), VENDOR, "jwt"))
    return at + len(value)


def _special(text: str, start: int, word: str, taken: list[Span], *, long: bool) -> bool:
    """Shapes without a prefix of their own."""
    if start and text[start - 1] in _BEFORE_HASH and _hashed(text, start, word, taken):
        return True
    if len(word) == _ACCOUNT_KEY_LENGTH and word[-1] == "=" and _AZURE_ACCOUNT_KEY.match(word) is not None:
        if _IS_HASH.search(text, max(0, start - 48), start) is None:
            taken.append(Span(start, start + len(word), VENDOR, "azure-key"))
        return True
    if start > 15 and text[start - 1] == "!" and _SALESFORCE.match(text, start - 16, start - 1):
        taken.append(Span(start - 16, start + len(word), VENDOR, "salesforce-token"))
        return True
    telegram = _TELEGRAM.match(word) if start and text[start - 1] == ":" else None
    if (
        telegram is not None
        and word[telegram.end() :][:1] in ("", "/")
        and shapes.looks_random(telegram[0], 32)
    ):
        digits = text[max(0, start - 14) : start - 1]
        number = len(digits) - len(digits.rstrip("0123456789"))
        if 7 <= number <= 12:
            taken.append(Span(start - 1 - number, start + telegram.end(), VENDOR, "telegram-token"))
            return True
    if word.endswith("NRAL"):
        licence = _NEW_RELIC.search(word)
        if licence is not None:
            taken.append(Span(start + licence.start(), start + licence.end(), VENDOR, "newrelic-key"))
            return True
    hit = _AZURE.search(word) if "Q~" in word else None
    if hit is None and len(word) >= _AZURE_KEY_LENGTH and _AZURE_SIGN.search(word) is not None:
        hit = _AZURE_KEY.search(word)
    kind = "azure-secret"
    if hit is None and "pat" in word:
        hit = _AIRTABLE.search(word)
        kind = "airtable-token" if hit is not None else kind
    if hit is None and long and len(word) >= _SHORTEST_DISCORD and "." in word:
        hit = _ZHIPU.search(word)
        kind = "zhipu-key" if hit is not None else kind
    if hit is None and "%3D" in word:
        hit = _TWITTER.search(word)
        kind = "twitter-token" if hit is not None else kind
    if hit is None and len(word) >= _SHORTEST_DISCORD and word.count(".") > 1:
        hit = _DISCORD.search(word)
        kind = "discord-token"
    if hit is None or not shapes.looks_random(hit[0], 20):
        return False
    taken.append(Span(start + hit.start(), start + hit.end(), VENDOR, kind))
    return True


def _hashed(text: str, start: int, word: str, taken: list[Span]) -> bool:
    """The hash of a password: ``$6$salt$...``, ``{SSHA}...``, the last fields of ``user:500:...:...:::``."""
    before = text[start - 1]
    end = start + len(word)
    if before == "$":
        body = _CRYPT_HASH.match(word)
        if body is None or _CRYPT.search(text, max(0, start - _CRYPT_REACH), start) is None:
            return False
        end = start + body.end()
    elif before == "}":
        if _LDAP_HASH.search(text, max(0, start - 12), start) is None:
            return False
    elif (
        before != ":"
        or _NT_HASH.match(word) is None
        or not (
            text.startswith(":::", end)
            or _AFTER_LM.match(text, end) is not None
            or _DIGEST_LINE.search(text, max(0, start - _CRYPT_REACH), start) is not None
        )
    ):
        return False
    taken.append(Span(start, end, VENDOR, "password-hash"))
    return True


def _is_objects(prefix: str) -> bool:
    """Whether a prefix is that of an object's id: ``call_``, ``cs_test_``, but not ``prod_river_``."""
    words = prefix.lower().replace("-", "_").replace(".", "_").split("_")
    if words[0] not in shapes.KEPT_PREFIXES:  # nearly all, so that no more is asked of them
        return False
    for word in words:
        if word not in shapes.KEPT_PREFIXES and word not in _KINDS_OF_IDS and word.isalpha():
            return False
    return True


def _is_vendors(prefix: str, body: str) -> bool:
    """Whether hex digits behind words are a key rather than a hash: as long as one, and not called one."""
    return (
        len(body) >= 32
        and prefix[-1] == "_"
        and not any(word in _HASHES for word in _SEPARATOR.split(prefix.lower()))
    )


def _is_random(prefix: str) -> bool:
    """Whether the first word of a prefix is noise itself: the front of an id that has a hyphen in it."""
    first = _SEPARATOR.split(prefix, maxsplit=1)[0]
    return len(_CASE_CHANGES.findall(first)) >= 3 or len(_KIND_CHANGES.findall(first)) >= 4


def _no_words(body: str) -> bool:
    """Whether letters and a digit are none that anybody can read: one letter of words in three is a vowel."""
    letters = sum(map(str.isalpha, body))
    return (
        letters >= 14
        and _DIGIT.search(body) is not None
        and not body.isupper()
        and sum(map(body.count, "aeiouAEIOU")) <= 0.27 * letters
    )


def _generic(text: str, start: int, word: str, taken: list[Span], *, long: bool) -> None:
    """Noise behind a short prefix: the form that vendors have settled on, whoever they are."""
    if start > 2 and text[max(0, start - 20) : start].rstrip('\\"').endswith("W/"):
        return  # an ETag
    for hit in _FOREIGN.finditer(word) if long else ():
        prefix, body = hit["prefix"], hit["body"]
        if (
            _is_objects(prefix)
            or _is_random(prefix)
            or 0 <= word.rfind("/", 0, hit.start()) < hit.start() - 1
        ):
            continue  # of an object, or within a part of a path
        if shapes.is_hex(body):
            if len(body) < 24 or (_TELLING.search(prefix) is None and not _is_vendors(prefix, body)):
                continue
        elif not shapes.looks_random(body, 18 if _TELLING.search(prefix) else 20) and not (
            len(body) >= _LONG_BODY and _SAYS_KEY.search(prefix) is not None and _no_words(body)
        ):
            continue
        end = hit.end()
        tail = _CLASS["w"].match(word, end)
        if tail is not None:
            end = tail.end()
        taken.append(Span(start + hit.start(), start + end, GENERIC, "unknown-vendor"))
        return
    spread = None if word[0] in _NEVER_SPREAD or _TEXINFO in word else _SPREAD.search(word)
    if spread is not None and not _is_objects(spread["prefix"]):
        body = spread["body"].replace("_", "").replace("-", "")
        if len(body) >= 22 and not shapes.is_hex(body) and not _WORDY.search(spread["body"]):
            mixed = not body.islower() and not body.isupper()
            if mixed and (
                shapes.looks_random(body, 22)
                or (len(body) >= 26 and shapes.case_noise(body))
                or (_SAYS_KEY.search(spread["prefix"]) is not None and _no_words(body))
            ):
                taken.append(Span(start + spread.start(), start + spread.end(), GENERIC, "unknown-vendor"))
