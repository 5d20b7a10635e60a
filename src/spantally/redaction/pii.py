"""Personal data, where a user asks for it: e-mail, telephone, card, IBAN, US social security number, IP.

Every pattern is bounded and begins where a word begins, so that the time is linear; what has a check digit is
checked. Kept are loopback and unspecified addresses, and four numbers that are said to be a version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from spantally.redaction.spans import GENERIC, Span

_DOMAIN: Final = re.compile(
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}([^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![\w-])"
)
# Fewer than the standard allows: = & / and the like stand before addresses more often than within.
_LOCAL: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-~")
_LONGEST_LOCAL: Final = 64
_NOT_LOCAL_START: Final = ".%+-~"
_FILES: Final = frozenset(
    {"png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "ts", "mjs", "py", "json", "html", "map"}
)

# Each begins with the characters that it may begin with, which `re` finds many times as fast as a place where
# something else ends; what may not stand before is looked at next.
_INTERNATIONAL: Final = re.compile(
    r"[+0](?<![\w+].)(?<!\d .)(?:(?<=\+)|0)[ ]?[1-9](?:[ .\-/]?\(?\d\)?){5,13}[ .\-/]?\d(?!\w)"
)
_NORTH_AMERICAN: Final = re.compile(
    r"[(1-9](?<![\w.+/=:\-].)(?<!\d .)"
    r"(?:(?<=1)[ .\-](?:\([2-9]\d\d\)[ ]?|[2-9]\d\d[ .\-])|(?<=\()[2-9]\d\d\)[ ]?|(?<=[2-9])\d\d[ .\-])"
    r"[2-9]\d\d[ .\-]\d{4}(?![ .\-]?\d|\w)"
)
_TRUNK: Final = re.compile(
    r"[(0](?<![\w.+/=:\-].)(?<!\d .)(?:(?<=\()0[1-9]\d{0,4}\)|(?<=0)[1-9]\d{0,4})"
    r"(?:[ /\-]\d{2,8}){1,4}(?![ .\-/:]?\d|\w)"
)
_FEWEST_DIGITS: Final = 8
_MOST_DIGITS: Final = 15

_CARD: Final = re.compile(r"\d(?<![\w.+\-].)(?:[ \-]?\d){12,18}(?![ \-]?\d|\w)")
_IBAN_DIGITS: Final = re.compile(
    r"[0-9](?<=[A-Za-z][A-Za-z].)(?<![A-Za-z0-9][A-Za-z][A-Za-z].)[0-9](?=[ \-]?[A-Za-z0-9])"
)
_SSN: Final = re.compile(
    r"[0-8](?<![\w.\-].)\d\d(?<!000)(?<!666)([ \-])(?!00)\d\d\1(?!0000)\d{4}(?!\w|[.\-]\d)"
)
_IPV4: Final = re.compile(r"\d(?<![\w.\-].)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?!\w|[.\-+]\w)")
_IPV6: Final = re.compile(
    r"[0-9A-Fa-f:](?<![\w:.].)(?:(?<=:)|(?<!:)[0-9A-Fa-f]{0,3}:)(?:[0-9A-Fa-f]{0,4}:){1,7}"
    r"(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{1,4})?(?![\w:]|\.\d)"
)
_VERSION: Final = re.compile(
    r"(?:\bversion|\bver|\brelease|\bbuild|\bv|[=~<>!^]=|[A-Za-z]/)[\s:=\"']{0,3}\Z", re.IGNORECASE
)
_BEFORE: Final = 16

_IBAN_COUNTRIES: Final = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ DZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_IBAN_LENGTHS: Final = {
    country: length for length, countries in _IBAN_COUNTRIES.items() for country in countries.split()
}


def find_pii(text: str, kinds: tuple[str, ...], check: Callable[[], None], taken: list[Span]) -> None:
    """Append a span to ``taken`` for all personal data of these kinds.

    Args:
        text: what is scanned.
        kinds: of :data:`spantally.ground.setting_values.PII_KINDS`.
        check: raises when the time is over.
        taken: the spans so far.
    """
    for rank, kind in enumerate(kinds, GENERIC + 1):
        check()
        taken.extend(Span(start, end, rank, kind) for start, end in _FINDERS[kind](text, check))


def _emails(text: str, check: Callable[[], None]) -> Iterator[tuple[int, int]]:
    at = text.find("@")
    number = 0
    while at >= 0:
        number += 1
        if not number & 127:
            check()
        found = _DOMAIN.match(text, at)
        if found and found[1].lower() not in _FILES:
            start = at
            floor = max(0, at - _LONGEST_LOCAL)
            while start > floor and _is_local(text, start - 1):
                start -= 1
            while start < at and text[start] in _NOT_LOCAL_START:
                start += 1
            # git@host is an account of a service, not a person's.
            if start < at and text[start:at] != "git" and text[start - 2 : start] != "//":
                yield start, found.end()
        at = text.find("@", at + 1)


def _is_local(text: str, place: int) -> bool:
    char = text[place]
    if char == "'":  # between two letters it is part of a name, else a quote
        return place > 0 and text[place - 1].isalpha() and text[place + 1].isalpha()
    return char in _LOCAL or char.isalnum()


def _matches(pattern: re.Pattern[str], text: str, check: Callable[[], None]) -> Iterator[re.Match[str]]:
    for number, found in enumerate(pattern.finditer(text)):
        if not number & 127:
            check()
        yield found


def _phones(text: str, check: Callable[[], None]) -> Iterator[tuple[int, int]]:
    for found in _matches(_INTERNATIONAL, text, check):
        shown = found[0]
        digits = sum(map(str.isdigit, shown))
        # An id that begins with zeros, and a signed number with a decimal point.
        plain = (shown[0] == "0" and digits == len(shown)) or (shown[2] == "." and shown.count(".") == 1)
        if not plain and _FEWEST_DIGITS <= digits <= _MOST_DIGITS and shown.count("(") == shown.count(")"):
            yield found.span()
    for found in _matches(_NORTH_AMERICAN, text, check):
        yield found.span()
    for found in _matches(_TRUNK, text, check):
        if _FEWEST_DIGITS < sum(map(str.isdigit, found[0])) <= _MOST_DIGITS - 3:
            yield found.span()


def _cards(text: str, check: Callable[[], None]) -> Iterator[tuple[int, int]]:
    for found in _matches(_CARD, text, check):
        digits = re.sub(r"[^0-9]", "", found[0])
        if _is_issued(digits) and _passes_luhn(digits):
            yield found.span()


def _is_issued(digits: str) -> bool:
    """Whether a network issues numbers that begin so and have that length."""
    size, two, three, four = len(digits), int(digits[:2]), int(digits[:3]), int(digits[:4])
    if digits[0] == "4":
        return size in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return size == 16
    if two in (34, 37):
        return size == 15
    if 300 <= three <= 305 or two in (36, 38, 39):
        return size in (14, 16)
    return (two in (62, 65) or four == 6011 or 644 <= three <= 649 or 3528 <= four <= 3589) and size >= 16


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        total += digit if place % 2 == 0 else sum(divmod(2 * digit, 10))
    return total % 10 == 0


def _ibans(text: str, check: Callable[[], None]) -> Iterator[tuple[int, int]]:
    for found in _matches(_IBAN_DIGITS, text, check):
        start = at = found.start() - 2
        size = _IBAN_LENGTHS.get(text[start : start + 2].upper())
        if size is None:
            continue
        plain = ""
        while len(plain) < size and at < len(text):
            if text[at].isascii() and text[at].isalnum():
                plain += text[at].upper()
            elif text[at] not in " -" or text[at - 1] in " -":
                break
            at += 1
        bounded = at == len(text) or not (text[at].isalnum() or text[at] == "_")
        if len(plain) == size and bounded and _passes_97(plain):
            yield start, at


def _passes_97(plain: str) -> bool:
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def _ssns(text: str, check: Callable[[], None]) -> Iterator[tuple[int, int]]:
    for found in _matches(_SSN, text, check):
        yield found.span()


def _ips(text: str, check: Callable[[], None]) -> Iterator[tuple[int, int]]:
    for found in _matches(_IPV4, text, check):
        parts = found[0].split(".")
        if any(int(part) > 255 or (part[0] == "0" and part != "0") for part in parts):
            continue
        before = text[max(0, found.start() - _BEFORE) : found.start()]
        if parts[0] != "127" and found[0] != "0.0.0.0" and not _VERSION.search(before):  # noqa: S104
            yield found.span()
    if text.count(":") < 2:
        return
    for found in _matches(_IPV6, text, check):
        if _is_ipv6(found[0]):
            yield found.span()


def _is_ipv6(shown: str) -> bool:
    hexes = [part for part in shown.split(":") if part]
    if len(hexes) < 2 or sum(map(len, hexes)) < 5 or not any(map(str.isdigit, shown)):
        return False  # a::b, and the names of some languages
    import ipaddress

    try:
        address = ipaddress.IPv6Address(shown)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


_FINDERS: Final[dict[str, Callable[[str, Callable[[], None]], Iterator[tuple[int, int]]]]] = {
    "email": _emails,
    "phone": _phones,
    "card": _cards,
    "iban": _ibans,
    "ssn": _ssns,
    "ip": _ips,
}
