"""Logins in URLs, ``user:password@host`` behind ``://``, and parts of paths that whoever has them may go by.

Each handler begins at its fixed mark and reads anchored and bounded from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from spantally.redaction import shapes
from spantally.redaction.marks import URL_ENCODED
from spantally.redaction.spans import STRUCTURE, Span

_USERINFO: Final = re.compile(r"""([^\s:/?\#@\[\]"'<>\\|`]{0,128}+):([^\s"'<>\\|`/]{1,256}+)""")
_STAND_IN_LOGINS: Final = frozenset(
    {("user", "pass"), ("username", "pass"), ("user", "pwd"), ("login", "pass"), ("guest", "guest")}
)
"""What manuals write, and what every RabbitMQ has that is not open to others."""
_DEFAULT: Final = re.compile(r"[^{}@]{0,128}\}:")
_BEHIND_DEFAULT: Final = re.compile(r"""()(?<=\}):([^\s"'<>\\|`/]{1,256}+)""")
_GIVEN: Final = re.compile(r"\$\{\w{1,64}:?-([^{}$\s]{4,256})\}\Z")
"""A password that holds where a variable is not set: ``${PASSWORD:-...}``."""
_USER_ONLY: Final = re.compile(r"""([^\s:/?\#@\[\]"'<>\\|`]{16,256}+)@[A-Za-z0-9\[]""")
_ENCODED_USERINFO: Final = re.compile(
    r"((?:[A-Za-z0-9_.-]|%(?!3A|40|2F)[0-9A-F]{2}){0,128}+)%3A((?:[A-Za-z0-9_.~!*()-]|%(?!40|2F)[0-9A-F]{2}){1,256}+)%40",
    re.IGNORECASE,
)
_ENCODED_STAND_INS: Final = ("%3C", "%7B", "$%7B", "%24%7B")
"""How ``<password>`` and ``{password}`` begin."""
_LONG_HEX: Final = 32
_MAY_BE_USER: Final = re.compile(r"""[^\s:/?\#@\[\]"'<>\\|`]*+[:@]""")
"""How both of these begin: behind the name of a host mostly stands a path."""
_CUT: Final = ("", '"', "'")
"""What a text ends with that was cut off behind a password."""
_ELLIPSIS: Final = re.compile(r"\.\.\.|\u2026")
_CLOSING: Final = ".,;!)]}*_"
_NO_PASSWORD: Final = re.compile(
    r"[0-9]{1,5}[^A-Za-z0-9].*|[0-9]+|v?[0-9]+(?:\.[0-9]+)+.*|[a-z]+:.*", re.DOTALL
)
"""Ports, also of a list of hosts, versions, names of several parts."""
_WORDS: Final = re.compile(r"[A-Za-z]?[a-z]{2,}(?:[A-Z][a-z]{2,})*|[$%{<(].*", re.DOTALL)
"""Words, and what is filled in later."""
_PORT: Final = re.compile(r"[0-9]{1,5}(?:[?#].*)?\Z", re.DOTALL)
_OF_LINK: Final = re.compile(
    r"(?:hooks?|magic-link|magic-login|verify|reset|invite|confirm|activate)/(?P<id>[0-9]{8,24}/)?(?:(?:(?!_)[a-z_-]{2,24}|[A-Za-z0-9]{1,4})/)?(?P<value>[A-Za-z0-9_-]{16,256})(?![\w.-])"
)
_PAGE: Final = re.compile("(?:^|[_-])[a-z]{4,}(?=[_-]|$)")
"""Words, as the names of files and pages have them."""


def encoded_userinfo(text: str, at: int, taken: list[Span]) -> None:
    """``user%3Apassword%40host`` behind an encoded ``://``."""
    hit = _ENCODED_USERINFO.match(text, at + len(URL_ENCODED))
    if hit is not None and not hit[2].upper().startswith(_ENCODED_STAND_INS):
        taken.append(Span(hit.start(2), hit.end(2), STRUCTURE, "url-password"))


def link(text: str, at: int, taken: list[Span]) -> None:
    """``/hooks/...``, ``/verify/...``: a part of a path that whoever has it may go by."""
    if at and text[at - 1].isspace():
        return
    hit = _OF_LINK.match(text, at)
    if hit is None:
        return
    value = hit["value"]
    if (
        hit["id"] is None
        and not text.endswith("bot/v2/", 0, at)
        and (
            _PAGE.search(value) is not None
            or shapes.is_provider_id(value)
            or shapes.is_plain_id(value)
            or not (shapes.looks_random(value, 16) or shapes.is_restless(value, 16))
        )
    ):
        return
    taken.append(Span(*hit.span("value"), STRUCTURE, "webhook" if text[at] in "hH" else "secret"))


def _is_cut_off(secret: str, behind: str) -> bool:
    """Whether a text that is broken off here ends within a password, and not with a port or a tag."""
    bare = _ELLIPSIS.split(secret, 1)[0]
    if _NO_PASSWORD.fullmatch(bare):
        return False
    if behind in _CUT and shapes.looks_random(secret, 12):
        return True
    if behind and len(bare) == len(secret):
        return False
    bare = bare.rstrip(_CLOSING)
    return (
        len(bare) >= 4
        and not _WORDS.fullmatch(bare)
        and not shapes.is_placeholder(bare)
        and (shapes.is_mixed(bare) or not (bare.islower() or bare.isupper()))
    )


def userinfo(text: str, at: int, taken: list[Span]) -> int:
    """``user:password@host`` or ``token@host`` behind ``://``; where reading may go on."""
    if _MAY_BE_USER.match(text, at) is None:
        return at
    hit = _USERINFO.match(text, at)
    if hit is None:
        alone = _USER_ONLY.match(text, at)
        if alone is not None and (shapes.looks_random(alone[1], 16) or shapes.case_noise(alone[1])):
            taken.append(Span(alone.start(1), alone.end(1), STRUCTURE, "url-password"))
        return at
    secret = hit[2]
    if hit[1].startswith("${") and (default := _DEFAULT.match(secret)) is not None and default.end() > 1:
        # The user is a variable with a default or a fault: ${USER:-bob}:...
        hit = _BEHIND_DEFAULT.match(text, hit.start(2) + default.end() - 1)
        if hit is None:
            return at
        secret = hit[2]
    cut = secret.rfind("@")
    if cut < 0 and "&" not in hit[1] and _is_cut_off(secret, text[hit.end() : hit.end() + 1]):
        taken.append(Span(hit.start(2), hit.end(2), STRUCTURE, "url-password"))
        return hit.end()
    if cut < 3 or shapes.is_placeholder(secret[:cut]) or "://" in secret[:cut]:
        given = _GIVEN.match(secret[:cut])
        if given is not None and not shapes.is_placeholder(given[1]):
            start = hit.start(2) + given.start(1)
            taken.append(Span(start, start + len(given[1]), STRUCTURE, "url-password"))
        return at
    if (hit[1].lower(), secret[:cut].lower()) in _STAND_IN_LOGINS:
        return at
    if _PORT.match(secret[:cut]) and ("?" in secret[:cut] or "#" in secret[:cut]):
        return at
    taken.append(Span(hit.start(2), hit.start(2) + cut, STRUCTURE, "url-password"))
    if len(hit[1]) >= _LONG_HEX and shapes.is_hex(hit[1]):
        taken.append(Span(hit.start(1), hit.end(1), STRUCTURE, "url-password"))  # both halves of Sentry's
    return hit.end()


def _hook(pattern: re.Pattern[str]) -> Callable[[str, int, list[Span]], None]:
    """What reads the part of a webhook's address that nobody else may know."""

    def read(text: str, at: int, taken: list[Span]) -> None:
        hit = pattern.match(text, at)
        if hit is not None:
            taken.append(Span(hit.start(1), hit.end(1), STRUCTURE, "webhook"))

    return read


_HOOKS: Final = (
    (
        "hooks.slack.com",
        re.compile(
            r"hooks\.slack\.com\\{0,16}/(?:services|workflows|triggers)\\{0,16}/([A-Za-z0-9_/\\+-]{16,256})"
        ),
    ),
    (
        "webhook.office.com",
        re.compile(r"webhook\.office\.com\\{0,16}/webhookb?2?\\{0,16}/([A-Za-z0-9@/\\_-]{32,512})"),
    ),
    *(
        (
            host,
            re.compile(
                rf"{re.escape(host)}\\{{0,16}}/(?:[a-z0-9_-]{{1,24}}/){{0,2}}([A-Za-z0-9_-]{{30,64}})(?![\w.-])"
            ),
        )
        for host in ("infura.io", "alchemy.com", "quiknode.pro", "rpc.ankr.com")
    ),
    (
        "hooks.zapier.com",
        re.compile(
            r"hooks\.zapier\.com\\{0,16}/hooks\\{0,16}/[a-z]{4,12}\\{0,16}/([0-9]{4,12}\\{0,16}/[A-Za-z0-9]{5,16})"
        ),
    ),
    ("api.telegram.org/bot", re.compile(r"api\.telegram\.org/bot([0-9]{6,14}:[A-Za-z0-9_-]{16,64})")),
)
HOOKS: Final = {mark: _hook(pattern) for mark, pattern in _HOOKS}
"""Who reads an address of a service, by its mark."""
