"""Tokens without a prefix that have a shape of their own, and hashes of passwords behind what says so."""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import shapes
from spantally.redaction.spans import VENDOR, Span
from spantally.redaction.tags import know_types

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
_ASANA: Final = re.compile(r"(?<![A-Za-z0-9/])2/[0-9]{10,24}/[0-9]{10,24}\Z")
_ASANA_HEX: Final = re.compile(r"[a-f0-9]{16,64}")
_SHORTEST_ASANA: Final = 24
_TWILIO: Final = re.compile(
    r"""(?<![A-Za-z0-9])AC[a-f0-9]{32}\\{0,16}["']?\s{0,4}[,:;/]\s{0,8}\\{0,16}["']?\Z"""
)
"""Before the token of an account: its id."""
TWILIO_LENGTH: Final = 32
_NEW_RELIC: Final = re.compile(r"(?<![A-Za-z0-9])(?:eu01xx)?[a-f0-9]{30,36}(?:FFFF)?NRAL\Z")
AZURE_KEY_LENGTH: Final = 52
"""Characters of the shortest of them."""
_LONGEST_AZURE: Final = 200
"""Characters of a word, with what may stand before a key in it; in longer ones a sign is chance."""
_AZURE_SIGN: Final = re.compile("A(?:ZDO|zCa|CO|PIM|CDb|zSe|IoT|Sb|St)|JQQJ9")
"""One of these stands in each: most long words are paths."""
_WIF: Final = re.compile("(?:5[HJK]|[KL])[1-9A-HJ-NP-Za-km-z]{49,51}\\Z")
"""The key of a wallet, which has none of the letters that are taken for others."""
_WIF_LENGTHS: Final = (51, 52)
_HALVES: Final = re.compile(r"(2[A-Za-z0-9]{26}_[A-Za-z0-9]{19,22}|[A-Za-z0-9]{20}_[A-Za-z0-9]{20})\Z")
"""Of ngrok and MapTiler: no bytes make so many characters of base64."""
HALVES: Final = frozenset({41, 47, 48, 49, 50})
"""Their lengths."""
_SUMSUB: Final = re.compile(r"[A-Za-z0-9]{20,28}\.[A-Za-z0-9]{28,40}")
_BEFORE_SUMSUB: Final = ("prd:", "sbx:")
_CONVEX: Final = re.compile(r"(?<![A-Za-z0-9])(?:prod|dev|preview):[a-z0-9-]{3,40}\|\Z")
_BEFORE_HASH: Final = frozenset(":$}")
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
    r"""(?:\A|[\n"'`]|\\n)[\w.@-]{1,64}:(?![ ])"""
    r"(?:[^:\n\\]{0,64}[A-Z ][^:\n\\]{0,64}|(?i:webdav|realm|users|private|digest|restricted)):\Z"
)
"""``user:realm:`` of htdigest; a realm is a title."""
_AFTER_LM: Final = re.compile(r":[a-fA-F0-9]{32}:::")
_AZURE_ACCOUNT_KEY: Final = re.compile(r"[A-Za-z0-9+/]{86}==")
_ACCOUNT_KEY_LENGTH: Final = 88
_IS_HASH: Final = re.compile(
    r"(?i)hash|sha|digest|integrity|checksum|sum|sig|md5|debug|dnskey|publi|[A-Za-z0-9+/]{32}\s{0,4}\Z"
)
"""Before base64 of as many bytes that opens nothing: a SHA-512, a signature, the lines above a last one."""

know_types(
    frozenset(
        {
            "azure-key",
            "azure-secret",
            "discord-token",
            "password-hash",
            "asana-token",
            "salesforce-token",
            "sumsub-token",
            "telegram-token",
            "twilio-token",
            "twitter-token",
            "zhipu-key",
        }
    )
)


def find_shaped(text: str, start: int, word: str, taken: list[Span], *, long: bool) -> bool:
    """Append a span for a word that has one of the shapes, and answer whether nothing else may judge it.

    Args:
        text: what is scanned.
        start: where ``word`` begins in it.
        word: what stands there without a break.
        taken: receives the span.
        long: whether the word has eighteen letters and digits in a row.
    """
    if start > _SHORTEST_ASANA and text[start - 1] == ":":
        last = _ASANA_HEX.match(word)
        if last is not None and (ids := _ASANA.search(text, start - 52, start - 1)) is not None:
            taken.append(Span(ids.start(), start + last.end(), VENDOR, "asana-token"))
            return True
    if start and text[start - 1] in _BEFORE_HASH and _hashed(text, start, word, taken):
        return True
    if len(word) == _ACCOUNT_KEY_LENGTH and word[-1] == "=" and _AZURE_ACCOUNT_KEY.match(word) is not None:
        if _IS_HASH.search(text, max(0, start - 48), start) is None:
            taken.append(Span(start, start + len(word), VENDOR, "azure-key"))
        return True
    if start > 15 and text[start - 1] == "!" and _SALESFORCE.match(text, start - 16, start - 1):
        taken.append(Span(start - 16, start + len(word), VENDOR, "salesforce-token"))
        return True
    if len(word) in _WIF_LENGTHS and _WIF.match(word) is not None and shapes.looks_random(word, 51):
        taken.append(Span(start, start + len(word), VENDOR, "private-key"))
        return True
    if text.startswith(_BEFORE_SUMSUB, max(0, start - 4)) and _SUMSUB.match(word) is not None:
        taken.append(Span(start - 4, start + len(word), VENDOR, "sumsub-token"))
        return True
    if start and text[start - 1] == "|" and (deploy := _CONVEX.search(text, max(0, start - 50), start)):
        taken.append(Span(deploy.start(), start + len(word), VENDOR, "convex-key"))
        return True
    if len(word) in HALVES and (halves := _HALVES.match(word)) is not None:
        if not shapes.looks_random(halves[1], 41):
            return False
        taken.append(Span(start, start + len(word), VENDOR, "unknown-vendor"))
        return True
    if len(word) == TWILIO_LENGTH and _NT_HASH.match(word) is not None:
        if _TWILIO.search(text, max(0, start - 52), start) is None:
            return False
        taken.append(Span(start, start + len(word), VENDOR, "twilio-token"))
        return True
    telegram = _TELEGRAM.match(word) if start and text[start - 1] == ":" else None
    if (
        telegram is not None
        and word[telegram.end() :].rstrip(".")[:1] in ("", "/")
        and shapes.looks_random(telegram[0], 32)
    ):
        digits = text[max(0, start - 14) : start - 1]
        number = len(digits) - len(digits.rstrip("0123456789"))
        if 7 <= number <= 12 and not digits[-number - 1 : -number].isalnum():
            taken.append(Span(start - 1 - number, start + telegram.end(), VENDOR, "telegram-token"))
            return True
    if word.endswith("NRAL"):
        licence = _NEW_RELIC.search(word)
        if licence is not None:
            taken.append(Span(start + licence.start(), start + licence.end(), VENDOR, "newrelic-key"))
            return True
    hit = _AZURE.search(word) if "Q~" in word else None
    if (
        hit is None
        and AZURE_KEY_LENGTH <= len(word) <= _LONGEST_AZURE
        and _AZURE_SIGN.search(word) is not None
    ):
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
    if (
        hit is None
        and len(word) >= _SHORTEST_DISCORD
        and word.count(".") > 1
        and ("M" in word or "N" in word or "O" in word)
    ):
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
        salted = _CRYPT.search(text, max(0, start - _CRYPT_REACH), start)
        if body is None or salted is None:
            return False
        end = start + body.end()
        start = salted.start()
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
