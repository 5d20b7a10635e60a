"""Tokens: long unbroken words, looked up in the vendors' table and then judged by shape alone.

One pass finds the words of sixteen characters or more; only one with a digit or noise in case is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from spantally.redaction import shapes
from spantally.redaction.runs import SHORTEST, Runs
from spantally.redaction.shaped_tokens import AZURE_KEY_LENGTH, HALVES, TWILIO_LENGTH, find_shaped
from spantally.redaction.spans import VENDOR, Span
from spantally.redaction.tags import know_types
from spantally.redaction.unknown_tokens import (
    NEVER_SPREAD,
    find_in_environment,
    find_in_query,
    find_unknown,
    find_uuid,
)
from spantally.redaction.vendor_tokens import PREFIX, PREFIX_BY_PARTS, PREFIX_STARTS, take_vendor

LONGEST_GENERIC: Final = 512
"""A longer word without a known prefix is data (media, a certificate), not a key."""
_CASES: Final = re.compile("[A-Z][a-z][A-Z]|[a-z][A-Z]{2,4}(?:[a-z]|(?![A-Za-z]))")
_AWS_LETTERS: Final = re.compile("A(?:[KSB]IA|CCA)[A-Z]{16}")
"""One in thirty ids of AWS has no digit."""
_GLUED: Final = re.compile(r"u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|0{1,3}|[nrtbfave]")
_COLOURED: Final = re.compile("[0-9]{0,3}m")
_BEFORE_GLUED: Final = frozenset("\\[;")
"""Behind these a word may begin with the end of an escape, as in ``\\x1b[1;32mword``."""
_MAILCHIMP: Final = re.compile(r"(?<![A-Za-z0-9])[a-f0-9]{32}-us[0-9]{1,2}(?![A-Za-z0-9_-])")
_BEFORE_SPECIAL: Final = frozenset("!:$}|")
_BEFORE_TWILIO: Final = frozenset("\"' /")
_SHORTEST_DOTTED: Final = 34
"""Characters of a token of Airtable's, the shortest of those that a dot is in."""
_DIGESTS: Final = ("sha256=", "sha384=", "sha512=")
"""Before what a file of the files of a package, or a lock, says of each; in base64 it looks like a key."""
_BEHIND_NAME: Final = frozenset("\"'` =:>")
_SHORT_REACH: Final = 24
_SHORT_NAME: Final = re.compile(
    r"""(?:[A-Za-z0-9](?:[._-](?:pat|Pat|PAT|sk|Sk|SK)|(?<=[a-z0-9])(?:Pat|Sk|PAT|SK)))\\{0,16}["'`]?"""
    r"""\s{0,2}(?:=>|:=|[:=]|,|[ ](?:content|value)=|</key>\s{0,8}<string>|>|[ ]?\|)?"""
    r"""\s{0,4}@?\\{0,16}["'`]?\Z"""
)
_SESSION: Final = (
    "jsessionid",
    "phpsessid",
    "asp.net_sessionid",
    "connect.sid",
    "laravel_session",
    ".aspxauth",
    ".roblosecurity",
    "cloudfront-signature",
)
"""Cookies that servers keep sessions by, wherever they stand."""
_NAMES_END: Final = frozenset("dDeEhHnNtTyY")
"""How the names of those, and of personal access tokens, end."""
_SHORTEST_NAME: Final = 3
_IN_QUERY: Final = frozenset("?&")
_SESSION_ID: Final = re.compile(r"[A-Za-z0-9_.%!~-]{16,}")
_MANGLED: Final = ("_Z", "__Z", "_R")
"""How names of compiled C++ and Rust begin."""
_LONG_RUN: Final = re.compile("[A-Za-z0-9]{9}")
"""The signs of base64 that vendors use in keys stand in one place of thirty."""
_LONGER_RUN: Final = re.compile("[A-Za-z0-9]{18}")
_LONG_WORD: Final = 28
_UUID_LENGTH: Final = 36
_HYPHENS: Final = 4
"""In a UUID."""
know_types(frozenset({"mailchimp-key"}))
_OBJECT_ID: Final = re.compile(r"([a-z]{2,12})[-_][A-Za-z0-9]{8,}")
_LONGEST_ID: Final = 51
"""From the next length on a word may be a key of Azure's, which has no prefix."""


def is_object_id(text: str) -> bool:
    """True for a plain id of a provider's object (``chatcmpl-...``), in which no rule finds anything.

    A quick answer for what comes with every call; where it says False the whole of the rules decides.
    """
    hit = _OBJECT_ID.fullmatch(text)
    if hit is None or len(text) > _LONGEST_ID or hit[1] not in shapes.KEPT_PREFIXES:
        return False
    # A vendor's prefix stands where a word begins: at the start, and behind the separator.
    behind = hit.end(1) + 1
    return (text[:2] not in PREFIX_STARTS or PREFIX.match(text) is None) and (
        text[behind : behind + 2] not in PREFIX_STARTS or PREFIX.match(text, behind) is None
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


def _of_short_name(text: str, start: int, word: str, taken: list[Span]) -> bool:
    """``linode_pat: "..."``: what personal access tokens and secret keys are called for short."""
    if _SHORT_NAME.search(text, max(0, start - _SHORT_REACH), start) is None or shapes.is_provider_id(word):
        return False
    if not shapes.looks_random(word, 16) and not (
        len(word) >= TWILIO_LENGTH and (shapes.is_hex(word) or shapes.is_restless(word, TWILIO_LENGTH))
    ):
        return False
    taken.append(Span(start, start + len(word), VENDOR, "token"))
    return True


def _judge(text: str, start: int, word: str, taken: list[Span], generic: bool) -> None:
    if word.startswith(_DIGESTS):
        return
    length = len(word)
    found = False
    by_parts = length <= LONGEST_GENERIC and "%" not in word
    hit = PREFIX_BY_PARTS.match(word) if by_parts else PREFIX.search(word)
    while hit is not None:
        end = take_vendor(text, start, word, hit, taken)
        found = found or end > 0
        hit = PREFIX.search(word, end if end > 0 else hit.end())
    if found or length > LONGEST_GENERIC or length < SHORTEST:
        return
    before = text[start - 1] if start else ""
    # A run of letters and digits as long as a key's: nearly all words are names and paths, and have none.
    long = _LONGER_RUN.search(word) is not None
    if (
        (before in _BEFORE_SPECIAL and (before != ":" or word[0] != "/"))  # not of every URL
        or (length >= _SHORTEST_DOTTED and "." in word and (long or "pat" in word or word.count(".") > 1))
        or "Q~" in word
        or length >= AZURE_KEY_LENGTH
        or (word[-1] == "L" and word.endswith("NRAL"))
        or (length == TWILIO_LENGTH and before in _BEFORE_TWILIO)
        or (length in HALVES and "_" in word)
    ) and find_shaped(text, start, word, taken, long=long):
        return
    if generic and long and before in _BEHIND_NAME and _of_short_name(text, start, word, taken):
        return
    equals = word.find("=")
    if equals > 0 and _judge_assigned(text, start, word, equals, taken, generic):
        return
    if generic and length > _UUID_LENGTH and word.count("-") >= _HYPHENS and find_uuid(start, word, taken):
        return
    if (
        (
            long
            or (length >= _LONG_WORD and word[0] not in NEVER_SPREAD and _LONG_RUN.search(word) is not None)
        )
        and ("-" in word or "_" in word or "." in word)  # without one there is no prefix
        and (long or not word.islower())
        and not word.startswith(_MANGLED)
    ):
        if long and "-us" in word and (mailchimp := _MAILCHIMP.search(word)) is not None:
            taken.append(Span(start + mailchimp.start(), start + mailchimp.end(), VENDOR, "mailchimp-key"))
        elif generic:
            find_unknown(text, start, word, taken, long=long)


def _judge_assigned(text: str, start: int, word: str, equals: int, taken: list[Span], generic: bool) -> bool:
    """What stands behind the first equals sign of a word; whether nothing else may judge the word."""
    if start and text[start - 1] in _IN_QUERY and find_in_query(start, word, taken):
        return True
    if equals <= _SHORTEST_NAME:
        return False
    last = word[equals - 1]
    if last.isupper() and generic and find_in_environment(start, word, equals, taken):
        return True
    if last not in _NAMES_END:  # most words
        return False
    if generic and len(word) > _UUID_LENGTH and word.count("-") >= _HYPHENS and find_uuid(start, word, taken):
        return True
    if word.endswith(("_PAT", "_pat"), 0, equals):
        if shapes.looks_random(word[equals + 1 :], 20):
            taken.append(Span(start + equals + 1, start + len(word), VENDOR, "token"))
        return True
    if word[:equals].lower().endswith(_SESSION):
        session = _SESSION_ID.match(word, equals + 1)
        if session is not None:
            taken.append(Span(start + session.start(), start + session.end(), VENDOR, "cookie"))
            return True
    return False
