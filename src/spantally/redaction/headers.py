"""Headers of HTTP that hold a secret, in requests and in code: ``Authorization``, its schemes, ``Cookie``.

Each handler begins at its fixed mark and reads anchored and bounded from there.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Final

from spantally.redaction import jars, logins, shapes
from spantally.redaction.grants import code_grant
from spantally.redaction.quotes import QUOTE
from spantally.redaction.spans import STRUCTURE, Span

_SPACE: Final = r"(?:[ \t]|%20|\+|\\u0020){1,4}"
_BEARER: Final = re.compile(rf"bearer(?:{_SPACE}|:[ \t]{{0,4}})([A-Za-z0-9._~+/=|:-]{{8,}})", re.IGNORECASE)
_NEXT_PAIR: Final = re.compile("[A-Za-z_]{2,24}=[^=]")
_BASIC: Final = re.compile(rf"basic{_SPACE}([A-Za-z0-9+/_-]{{8,}}={{0,2}})", re.IGNORECASE)
_HEADER: Final = re.compile(
    rf"""(?xi)
    (?P<name>(?:proxy-|x-(?:amz-|forwarded-|original-)?)?(?:authorization|cookie)) [0-9]?
    (?:{QUOTE})? \]? (?: [^\S\n]{{0,8}} (?: => | = | : | %3A ) | \s{{0,8}} , | \s{{0,4}} \( ) \s{{0,8}}
    (?: \[ \s{{0,8}} )? (?: [bfr](?=["']) )? (?P<opening>{QUOTE})?
    """
)
_LINE_END: Final = re.compile(r"""[\r\n<>]|\\+[nr]|\\*["'][ ]{0,4}(?:[}\])]|,\s{0,8}\\*["'])""")
_SCHEME: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9-]{1,24})(?:[ \t]|%20|\+){1,4}(?=\S)")
_HEADER_END: Final = re.compile(r"""[\r\n"'`<>]|\\+(?:["'`nr]|u0022)|&quot;|%22""")
_CREDENTIAL: Final = re.compile(r"""[^\s"'`\\<>,;)\]}&]{4,4096}""")
_PARAMETER: Final = re.compile(r"[A-Za-z_-]{2,24}=(?=[^=\s])")
_CALL: Final = re.compile(r"[A-Za-z_][\w.]*\(")
_SENT_COOKIE: Final = re.compile(
    r"""[ ](?:\\{0,16}["'])?(?P<pairs>[A-Za-z_][\w.-]{0,64}=[^\s"'\\;]{6,4096}"""
    r"""(?:;[ ]?[\w.-]{1,64}=[^\s"'\\;]{1,4096}){0,16})"""
)
_COOKIE_MAP: Final = re.compile(
    r"""cookies?(?:\\{0,16}["'])?\s{0,4}[=:]\s{0,4}\{(?P<pairs>[^{}]{1,2048})\}""", re.IGNORECASE
)
_COOKIE_PAIR: Final = re.compile(
    r"""["'](?P<name>[\w.-]{1,64})\\{0,16}["']\s{0,4}:\s{0,4}\\{0,16}["'](?P<value>[^"'\\]{6,4096})"""
)
_COOKIE_ATTRIBUTES: Final = frozenset(
    {"path", "domain", "expires", "max-age", "samesite", "version", "comment", "theme", "lang", "locale"}
)


def bearer(text: str, at: int, taken: list[Span]) -> None:
    """``Bearer ...``."""
    hit = _BEARER.match(text, at)
    if hit is None:
        return
    if _NEXT_PAIR.match(text, hit.start(1)) is not None:
        return  # "token_type=bearer status=200"
    value = hit[1].rstrip(".,:=" if hit[1].endswith((".", ",", ":")) else ".,:")
    if shapes.is_placeholder(value) or len(value) < 8:
        return
    if (
        shapes.has_digit(value)
        or shapes.looks_random(value, 8)
        or (len(value) >= 32 and not value.islower())
        or (len(value) >= 16 and value.isalnum() and (shapes.case_noise(value) or shapes.even_case(value)))
    ):
        taken.append(Span(hit.start(1), hit.start(1) + len(value), STRUCTURE, "bearer"))


def basic(text: str, at: int, taken: list[Span]) -> None:
    """``Basic ...``: a user and a password in base64."""
    hit = _BASIC.match(text, at)
    if hit is None:
        logins.basic_login(text, at, taken)
        return
    value = hit[1].rstrip("=")
    whole = value[: len(value) // 4 * 4].replace("-", "+").replace("_", "/")
    try:
        decoded = binascii.a2b_base64(whole)
    except ValueError:  # also for letters beyond ASCII that a case-blind pattern let through
        return
    printable = sum(32 <= byte < 127 for byte in decoded)
    if b":" in decoded and printable >= 0.9 * len(decoded):
        taken.append(Span(hit.start(1), hit.end(1), STRUCTURE, "basic-auth"))


def authorization(text: str, start: int, stop: int, quoted: bool, certain: bool, taken: list[Span]) -> None:
    """The value of an ``Authorization`` header: a scheme and a credential, or parameters."""
    scheme = _SCHEME.match(text, start, stop)
    if scheme is not None:
        start = scheme.end()
    if scheme is not None and _PARAMETER.match(text, start):
        # Digest, AWS4-HMAC-SHA256, OAuth: a list of parameters, most of them telling, to the end of the line
        line = _LINE_END.search(text, start, start + 8192)
        stop = max(stop, line.start() if line else min(len(text), start + 8192))
        _whole(text, start, stop, taken)
        return
    value = _CREDENTIAL.match(text, start, stop)
    if value is None:
        return
    secret = value[0].rstrip(".:")
    if shapes.is_placeholder(secret) or secret.startswith(("http://", "https://")):
        return
    if certain and (quoted or scheme is not None) and len(secret) >= 6:
        good = shapes.is_mixed(secret) and not _CALL.match(secret)
    else:
        good = shapes.looks_random(secret, 12 if certain else 20) or (certain and shapes.is_plain_id(secret))
    if good:
        _whole(text, start, start + len(secret), taken)


def _whole(text: str, start: int, stop: int, taken: list[Span]) -> None:
    if stop - start >= 4:
        taken.append(Span(start, stop, STRUCTURE, "authorization"))


def cookie(text: str, start: int, stop: int, quoted: bool, certain: bool, taken: list[Span]) -> None:
    """The value of a ``Cookie`` header: pairs of names and values."""
    at = start
    for part in text[start:stop].split(";"):
        name, equals, value = part.partition("=")
        begin = at + len(name) + 1
        at += len(part) + 1
        if not equals or len(name) > 128:
            continue
        begin += len(value) - len(value.lstrip(' "'))
        value = value.strip(' "')
        space = value.find(" ")
        value = (value if space < 0 else value[:space]).rstrip(",)]}")
        name = name.strip().lower()
        if " " in name:
            continue  # talk of cookies
        if name in _COOKIE_ATTRIBUTES:
            continue
        if jars.is_secret(name, value):
            taken.append(Span(begin, begin + len(value), STRUCTURE, "cookie"))


def sent_cookie(text: str, at: int, taken: list[Span]) -> None:
    """``curl -b "session=..."``."""
    hit = _SENT_COOKIE.match(text, at + len(" -b"))
    if hit is not None:
        cookie(text, hit.start("pairs"), hit.end("pairs"), True, True, taken)


def _cookie_map(text: str, at: int, taken: list[Span]) -> int:
    """Cookies of a map, ``cookies={"session": "..."}``, or of a command; where reading may go on."""
    end = jars.listed(text, at, taken)
    if end > at:
        return end
    given = _COOKIE_MAP.match(text, at)
    if given is not None:
        taken.extend(
            Span(*pair.span("value"), STRUCTURE, "cookie")
            for pair in _COOKIE_PAIR.finditer(text, given.start("pairs"), given.end("pairs"))
            if jars.SESSION.search(pair["name"]) and not shapes.is_placeholder(pair["value"])
        )
        return given.end()
    if text.startswith("--", max(0, at - 2)):
        sent_cookie(text, at + len("cookie") - len(" -b"), taken)
    return at


def header(read: Callable[..., None]) -> Callable[[str, int, list[Span]], int]:
    """What reads a header from its name on, and answers where reading may go on.

    Args:
        read: reads the value: :func:`authorization` or :func:`cookie`.
    """

    def at_header(text: str, at: int, taken: list[Span]) -> int:
        hit = _HEADER.match(text, at)
        if hit is None and text.startswith("_code", at + len("authorization")):
            code_grant(text, at, taken)
        if hit is None or (text[at] in "cC" and text.startswith(("{", "[{"), hit.end())):
            return _cookie_map(text, at, taken)
        if text.rfind("::", max(0, at - 64), at) > text.rfind(" ", max(0, at - 64), at):
            return hit.end()  # the name of a type
        end = _HEADER_END.search(text, hit.end(), hit.end() + 8192)
        stop = end.start() if end else min(len(text), hit.end() + 8192)
        if "%3" in hit[0] and text.find("%", hit.end(), stop) >= 0:
            return stop  # all of it is encoded; what it says is read once it is decoded
        certain = "," not in hit[0] and "(" not in hit[0]
        read(text, hit.end(), stop, bool(hit["opening"]), certain, taken)
        return stop

    return at_header
