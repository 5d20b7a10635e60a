"""Structures: places that hold a secret by their form: URLs, headers, PEM blocks, shell arguments.

Each handler begins at its fixed mark and reads anchored and bounded from there.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from spantally.redaction import commands, devices, hosts, jars, languages, logins, shapes, snippets
from spantally.redaction.marks import LISTED_FLAGS, URL, URL_ENCODED, URL_ESCAPED
from spantally.redaction.spans import STRUCTURE, Span

_OFTEN: Final = 128
"""After as many places the clock is looked at."""

Check = Callable[[], None]
Handler: TypeAlias = Callable[[str, Iterable[int], list[Span]], None]

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

_SPACE: Final = r"(?:[ \t]|%20|\+|\\u0020){1,4}"
_BEARER: Final = re.compile(rf"bearer(?:{_SPACE}|:[ \t]{{0,4}})([A-Za-z0-9._~+/=|:-]{{8,}})", re.IGNORECASE)
_NEXT_PAIR: Final = re.compile("[A-Za-z_]{2,24}=[^=]")
_BASIC: Final = re.compile(rf"basic{_SPACE}([A-Za-z0-9+/_-]{{8,}}={{0,2}})", re.IGNORECASE)

_QUOTE: Final = r"""(?:\\{0,64}(?:["'`]|u0022|u0027)|&quot;|&\#3[49];|%22|%27)"""
_HEADER: Final = re.compile(
    rf"""(?xi)
    (?P<name>(?:proxy-|x-(?:amz-|forwarded-|original-)?)?(?:authorization|cookie)) [0-9]?
    (?:{_QUOTE})? \]? (?: [^\S\n]{{0,8}} (?: => | = | : | %3A ) | \s{{0,8}} , | \s{{0,4}} \( ) \s{{0,8}}
    (?: \[ \s{{0,8}} )? (?: [bfr](?=["']) )? (?P<opening>{_QUOTE})?
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

_LONGEST_PREFIX: Final = 200
_PEM_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_PEM_WORD: Final = re.compile(r"([A-Za-z0-9+/]{4,100}={0,2})[\"',;\\]{0,4}[ \t\r]*\Z")
_PEM_CLOSED: Final = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM: Final = re.compile(
    r"-----BEGIN (?:([A-Z0-9 ]{0,40}?)PRIVATE KEY(?: BLOCK)?"
    r"|OpenVPN (?:Static key|tls-crypt-v2 (?:client|server) key)(?: V[0-9])?)-----"
    r"|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----"
)
_PEM_HEADERS: Final = re.compile(
    r"(?:(?:\s|\\+[nr]){1,8}[A-Z][A-Za-z-]{2,24}: (?:[^\r\n\\]|\\{1,16}[\"']){0,120}+){1,8}+"
)
_PEM_GAP: Final = r"""(?:\s|\\+[nrt]|["',+\\]|%0[AaDd]|&#1[03];|<br[ ]?/?>|[>|#*;]|(?<=\n)//[ ]){0,64}+"""
_PEM_LINE: Final = re.compile(_PEM_GAP + r"([A-Za-z0-9+/=_%]{4,})")
_PEM_END: Final = re.compile(
    _PEM_GAP + r"""(?:-----END [A-Za-z0-9 -]{0,48}-----|---- END SSH2 [A-Z ]{0,48}----)"""
)
_PUTTY: Final = re.compile(
    r"private-lines: ?[0-9]{1,4}(?:\r?\n|(?:\\{1,16}r)?\\{1,16}n)"
    r"((?:[A-Za-z0-9+/=]{1,80}(?:(?:\r?\n|(?:\\{1,16}r)?\\{1,16}n)(?!Private-MAC))?){1,512}+)",
    re.IGNORECASE,
)

_DJANGO: Final = re.compile(r"django-insecure-(?:&amp;|%[0-9A-F]{2}|[a-z0-9!@#$%^&*(\-_=+)]){16,50}")
"""A key of Django's: marks of any kind are in it, which end a value elsewhere."""
_WALLET: Final = re.compile(r"""(?i:wallet)\(\s{0,8}\\{0,16}["'`]((?:0x)?[0-9a-fA-F]{64})(?!\w)""")
_ETHEREUM_KEY: Final = re.compile("(?:0x)?[0-9a-fA-F]{64}")
_ACCOUNTS: Final = re.compile(
    r"""accounts(?:\\{0,16}["'])?\s{0,4}[:=]\s{0,4}\["""
    r"""(?P<keys>(?:(?:\s|\\{1,16}n){0,16}\\{0,16}["'`](?:0x)?[0-9a-fA-F]{64}\\{0,16}["'`],?){1,64})"""
)
_COOKIE_LINE: Final = re.compile(
    r"""(?:\#HttpOnly_)?[^\s\#]{1,256}\t(?:TRUE|FALSE)\t[^\t\n]{0,256}\t(?:TRUE|FALSE)\t[0-9.]{1,16}\t"""
    r"""(?P<name>[^\t\n]{1,128})\t(?P<value>[^\s]{1,4096})"""
)

_ASSERTION: Final = re.compile(
    rf"""(?i)(?:samlresponse|code_?verifier|client_?assertion)(?:{_QUOTE})?(?:\s{{1,4}}value)?\s{{0,4}}(?:=|:|%3D)\s{{0,4}}(?:{_QUOTE})?"""
    r"""(?P<value>[A-Za-z0-9+/=%._~-]{40,65536}+)"""
)
_CODE: Final = re.compile(r"[?&;_](?:code|sas|hmac)=([A-Za-z0-9._/~%-]{16,2048})")
_BEFORE_CODE: Final = ("device_", "auth_", "authorization_")
_CODE_GRANT: Final = re.compile(rf"authorization_code{_QUOTE}")
_CODE_FIELD: Final = re.compile(
    rf"""{_QUOTE}code{_QUOTE}\s{{0,4}}:\s{{0,4}}{_QUOTE}(?P<value>[A-Za-z0-9._/~%-]{{16,2048}}+)(?={_QUOTE})"""
)
_GRANT_REACH: Final = 800
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
    ("api.telegram.org/bot", re.compile(r"api\.telegram\.org/bot([0-9]{6,14}:[A-Za-z0-9_-]{16,64})")),
)


_OF_LINK: Final = re.compile(
    r"(?:hooks?|magic-link|verify)/(?P<id>[0-9]{8,24}/)?(?:(?!_)[a-z_-]{2,24}/)?(?P<value>[A-Za-z0-9_-]{16,256})(?![\w.-])"
)
_PAGE: Final = re.compile("(?:^|[_-])[a-z]{4,}(?=[_-]|$)")
"""Words, as the names of files and pages have them."""


def find_structures(text: str, present: Mapping[str, list[int]], check: Check, taken: list[Span]) -> None:
    """Append the spans of all structures of ``text`` to ``taken``.

    Args:
        text: what is scanned.
        present: where each mark stands that does.
        check: raises when the time is over.
        taken: receives the spans.
    """
    for mark, places in present.items():
        handle = _HANDLERS.get(mark)
        if handle is not None:
            handle(text, places if len(places) < _OFTEN else _counted(places, check), taken)


def _counted(places: list[int], check: Check) -> Iterator[int]:
    for seen, at in enumerate(places, 1):
        if not seen % _OFTEN:
            check()
        yield at


def _each(read: Callable[[str, int, list[Span]], None]) -> Handler:
    """What reads at every place by itself."""

    def handle(text: str, places: Iterable[int], taken: list[Span]) -> None:
        for at in places:
            read(text, at, taken)

    return handle


def _following(read: Callable[[str, int, list[Span]], int], behind: int = 0) -> Handler:
    """What goes on behind what was read: ``read`` answers where that is."""

    def handle(text: str, places: Iterable[int], taken: list[Span]) -> None:
        cursor = 0
        for at in places:
            if at >= cursor:
                cursor = read(text, at + behind, taken)

    return handle


# -- URLs --------------------------------------------------------------------------------------------------


def _encoded_userinfo(text: str, at: int, taken: list[Span]) -> None:
    hit = _ENCODED_USERINFO.match(text, at + len(URL_ENCODED))
    if hit is not None:
        taken.append(Span(hit.start(2), hit.end(2), STRUCTURE, "url-password"))


def _code(text: str, at: int, taken: list[Span]) -> None:
    hit = _CODE.match(text, at - 1) if at else None
    if hit is not None and text[at - 1] == "_" and not text.endswith(_BEFORE_CODE, 0, at):
        return
    if hit is not None and (shapes.looks_random(hit[1], 16) or shapes.case_noise(hit[1])):
        taken.append(Span(hit.start(1), hit.end(1), STRUCTURE, "secret"))


def _code_grant(text: str, at: int, taken: list[Span]) -> None:
    """``{"grant_type": "authorization_code", "code": "..."}``, which is sent for a token."""
    if _CODE_GRANT.match(text, at) is None:
        return
    begin = text.rfind("{", max(0, at - _GRANT_REACH), at)
    end = text.find("}", at, at + _GRANT_REACH)
    if begin < 0:
        return
    hit = _CODE_FIELD.search(text, begin, end if end >= 0 else min(len(text), at + _GRANT_REACH))
    if hit is not None and (shapes.looks_random(hit["value"], 16) or shapes.case_noise(hit["value"])):
        taken.append(Span(*hit.span("value"), STRUCTURE, "secret"))


def _assertion(text: str, at: int, taken: list[Span]) -> int:
    """What a provider of identities says of somebody, and the half of a login that nobody else may know."""
    hit = _ASSERTION.match(text, at)
    if hit is None:
        return at
    if shapes.has_digit(hit["value"]):
        taken.append(Span(*hit.span("value"), STRUCTURE, "secret"))
    return hit.end()  # also behind what is none, or a text of such names would be read again from each


def _hook(pattern: re.Pattern[str]) -> Handler:
    def read(text: str, at: int, taken: list[Span]) -> None:
        hit = pattern.match(text, at)
        if hit is not None:
            taken.append(Span(hit.start(1), hit.end(1), STRUCTURE, "webhook"))

    return _each(read)


def _link(text: str, at: int, taken: list[Span]) -> None:
    """``/hooks/...``, ``/verify/...``: a part of a path that whoever has it may go by."""
    if at and text[at - 1].isspace():
        return
    hit = _OF_LINK.match(text, at)
    if hit is None:
        return
    value = hit["value"]
    if hit["id"] is None and (
        _PAGE.search(value) is not None
        or shapes.is_provider_id(value)
        or shapes.is_plain_id(value)
        or not (shapes.looks_random(value, 16) or shapes.is_restless(value, 16))
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


def _userinfo(text: str, at: int, taken: list[Span]) -> int:
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


# -- schemes and headers -----------------------------------------------------------------------------------


def _bearer(text: str, at: int, taken: list[Span]) -> None:
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


def _basic(text: str, at: int, taken: list[Span]) -> None:
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


def _authorization(text: str, start: int, stop: int, quoted: bool, certain: bool, taken: list[Span]) -> None:
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


def _cookie(text: str, start: int, stop: int, quoted: bool, certain: bool, taken: list[Span]) -> None:
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


def _sent_cookie(text: str, at: int, taken: list[Span]) -> None:
    """``curl -b "session=..."``."""
    hit = _SENT_COOKIE.match(text, at + len(" -b"))
    if hit is not None:
        _cookie(text, hit.start("pairs"), hit.end("pairs"), True, True, taken)


def _cookie_file(text: str, at: int, taken: list[Span]) -> int:
    """The lines of a cookie jar behind its title; where reading may go on."""
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
        _sent_cookie(text, at + len("cookie") - len(" -b"), taken)
    if not text.startswith(" File", at + len("cookie")):
        return at
    begin = text.find("\n", at) + 1
    while begin:
        line = _COOKIE_LINE.match(text, begin)
        if line is not None:
            name, value = line["name"].lower(), line["value"]
            if jars.is_secret(name, value):
                taken.append(Span(*line.span("value"), STRUCTURE, "cookie"))
        elif not text.startswith(("#", "\n", "\r"), begin):
            break
        at = begin
        begin = text.find("\n", begin) + 1
    return at


# -- PEM ---------------------------------------------------------------------------------------------------


def _pem(text: str, at: int, taken: list[Span]) -> int:
    """A private key from its first mark on: to its last mark, or as far as lines of base64 go."""
    begin = _PEM.match(text, at)
    if begin is None:
        return at
    end = begin.end()
    headers = _PEM_HEADERS.match(text, end)
    if headers is not None:
        end = headers.end()
    lines = 0
    while (line := _PEM_LINE.match(text, end)) is not None:
        closing = _PEM_END.match(text, line.end())
        body = line[1]
        word = len(body) < 16 or (body.isalpha() and (body.islower() or body.istitle()))
        if closing is None and word and not (lines and body.endswith("=")):
            break
        end = line.end()
        lines += 1
        if closing is not None:
            break
    closing = _PEM_END.match(text, end)
    if closing is not None:
        end = closing.end()
    further, prefixed = _behind_prefixes(text, begin)
    if prefixed and further > end:
        end, lines = further, prefixed
    if lines:
        taken.append(Span(begin.start(), end, STRUCTURE, "private-key"))
    return end


def _behind_prefixes(text: str, begin: re.Match[str]) -> tuple[int, int]:
    """The end and the number of lines of a key each of which stands behind what a log put there.

    ``web_1  | MIIEow...``: name of a container, time or level, another on each line.
    """
    end, lines = begin.end(), 0
    row = text.rfind("\n", max(0, begin.start() - _LONGEST_PREFIX), begin.start())
    if not text[row + 1 : begin.start()].strip():
        return end, 0
    at = text.find("\n", end, end + 8) + 1
    while at:
        stop = text.find("\n", at, at + _LONGEST_PREFIX + 200)
        stop = len(text) if stop < 0 and len(text) - at <= _LONGEST_PREFIX + 200 else stop
        if stop < 0:
            break
        closing = text.find("-----END ", at, stop)
        if closing >= 0:
            closed = _PEM_CLOSED.match(text, closing)
            return end if closed is None or not lines else closed.end(), lines
        body = _PEM_WORD.search(text, max(at, stop - 140), stop)
        if body is None or text[body.start() - 1] in _PEM_LETTERS:
            break
        word = body[1]
        last = word.endswith("=") or stop + 2 > len(text) or "-----END " in text[stop : stop + 300]
        if len(word) < (48 if not lines else 4 if last else 32):
            break
        if word.isalpha() and (word.islower() or word.isupper() or word.istitle()):
            break
        end, lines = body.end(1), lines + 1
        at = stop + 1 if stop < len(text) else 0
    return end, lines


# -- who reads what ----------------------------------------------------------------------------------------


def _header(read: Callable[..., None]) -> Handler:
    def at_header(text: str, at: int, taken: list[Span]) -> int:
        hit = _HEADER.match(text, at)
        if hit is None and text.startswith("_code", at + len("authorization")):
            _code_grant(text, at, taken)
        if hit is None or (text[at] in "cC" and text.startswith(("{", "[{"), hit.end())):
            return _cookie_file(text, at, taken)
        if text.rfind("::", max(0, at - 64), at) > text.rfind(" ", max(0, at - 64), at):
            return hit.end()  # the name of a type
        end = _HEADER_END.search(text, hit.end(), hit.end() + 8192)
        stop = end.start() if end else min(len(text), hit.end() + 8192)
        if "%3" in hit[0] and text.find("%", hit.end(), stop) >= 0:
            return stop  # all of it is encoded; what it says is read once it is decoded
        certain = "," not in hit[0] and "(" not in hit[0]
        read(text, hit.end(), stop, bool(hit["opening"]), certain, taken)
        return stop

    return _following(at_header)


def _putty(text: str, at: int, taken: list[Span]) -> None:
    hit = _PUTTY.match(text, at)
    if hit is not None:
        taken.append(Span(*hit.span(1), STRUCTURE, "private-key"))


def _wallet(text: str, at: int, taken: list[Span]) -> None:
    hit = _WALLET.match(text, at)
    if hit is not None:
        taken.append(Span(*hit.span(1), STRUCTURE, "private-key"))


def _accounts(text: str, at: int, taken: list[Span]) -> None:
    """``accounts: ["0x..."]`` of a network in Hardhat's configuration: keys, since addresses are shorter."""
    hit = _ACCOUNTS.match(text, at)
    if hit is not None:
        taken.extend(
            Span(*key.span(), STRUCTURE, "private-key")
            for key in _ETHEREUM_KEY.finditer(text, *hit.span("keys"))
        )


def _django(text: str, at: int, taken: list[Span]) -> None:
    hit = _DJANGO.match(text, at)
    if hit is not None:
        taken.append(Span(hit.start(), hit.end(), STRUCTURE, "django-key"))


_HANDLERS: Final[dict[str, Handler]] = {
    URL: _following(_userinfo, len(URL)),
    URL_ESCAPED: _following(_userinfo, len(URL_ESCAPED)),
    URL_ENCODED: _each(_encoded_userinfo),
    "code=": _each(_code),
    "sas=": _each(_code),
    "hmac=": _each(_code),
    **dict.fromkeys(("hooks/", "hook/", "magic-link/", "verify/"), _each(_link)),
    **{mark: _hook(pattern) for mark, pattern in _HOOKS},
    "-----begin ": _following(_pem),
    " begin ssh2 ": _following(lambda text, at, taken: _pem(text, max(0, at - 4), taken)),
    **dict.fromkeys(
        ("samlresponse", "code_verifier", "codeverifier", "client_assertion", "clientassertion"),
        _following(_assertion),
    ),
    "private-lines:": _each(_putty),
    "bearer": _each(_bearer),
    "basic": _each(_basic),
    "authorization": _header(_authorization),
    "cookie": _header(_cookie),
    "httponly": _following(jars.marked),
    **dict.fromkeys(("\ttrue\t/", "\tfalse\t/", "\\ttrue\\t/", "\\tfalse\\t/"), _each(jars.row)),
    **dict.fromkeys((" -u", '"-u', "'-u"), _each(logins.user_flag_behind_space)),
    "--user": _each(logins.user_flag),
    "--proxy-user": _each(logins.user_flag),
    " login ": _each(logins.login),
    "login(": _each(logins.login_call),
    "django-insecure-": _each(_django),
    "wallet(": _each(_wallet),
    "accounts": _each(_accounts),
    **dict.fromkeys(("sudo -s", "kinit ", "cryptsetup"), _each(logins.echo)),
    "redis-cli": _each(logins.redis),
    **dict.fromkeys((" -p", " -w", " -k", " -a", " -x", " -c", " -hp"), commands.flags),
    **dict.fromkeys(LISTED_FLAGS, commands.flags),
    **dict.fromkeys((" /p", " /rp"), _each(commands.slashed)),
    " -b": _each(_sent_cookie),
    "curl": _following(commands.curl),
    "freerdp": _following(commands.freerdp),
    "net use": _each(commands.net_use),
    "wifi:": _each(commands.wifi),
    "securestring": _each(commands.secure_string),
    "sqlplus": _each(commands.sqlplus),
    **dict.fromkeys(("connect(", "connection(", "pdo("), _each(commands.connect)),
    "@": hosts.accounts,
    "setuser": _following(devices.setuser),
    "community": _each(devices.community),
    "snmp-server host ": _each(devices.traps),
    "createuser": _each(devices.create_user),
    **dict.fromkeys(("expect ", "send --"), _following(devices.sent)),
    **dict.fromkeys(
        ("kv put", "kv patch", "vault write", "config:set", "put-parameter"), _following(commands.kept)
    ),
    "nupkg": _each(commands.pushed),
    "mc alias set ": _each(commands.alias),
    "bw unlock ": _each(commands.unlock),
    "config set ": _each(commands.put_in),
    "jwt.": _each(snippets.signed),
    "hmac.new(": _each(snippets.hmac),
    "createhmac(": _each(snippets.created),
    **dict.fromkeys(("pgp_sym_", "aes_encrypt(", "aes_decrypt("), _each(snippets.symmetric)),
    **dict.fromkeys(("ftp(", "ftp_tls("), _each(snippets.ftp)),
    **dict.fromkeys(
        ("btoa(", "b64encode(", "base64_encode(", "encode64(", "buffer.from(", "[]byte("),
        _each(snippets.encoded),
    ),
    **dict.fromkeys(("create_user(", "create_superuser("), _each(snippets.created_user)),
    "fernet(b": _each(snippets.fernet),
    "sonar.login": _each(snippets.sonar),
    "kty": _following(snippets.jwk),
    **dict.fromkeys(("pin is ", "pin code", "pin: "), _each(snippets.pin)),
    **dict.fromkeys(("backup code", "recovery code", "backup_code", "recovery_code"), _each(snippets.codes)),
    **dict.fromkeys(("mnemonic", "phrase"), _following(snippets.seed)),
    **dict.fromkeys(("log in as ", "log in with ", "login with "), _each(snippets.told)),
    **{
        word: _each(languages.named_in(word))
        for word in ("clave", "chiave", "chave", "jeton", "klucz", "sleutel", "nyckel", "kunci", "kulcs")
    },
    **{word: _each(languages.named_in(word, clear=True)) for word in ("kata sandi", "salasana")},
    "login: ": _each(languages.find_strong_login),
    **dict.fromkeys(("zugangsdaten", "inloggegevens"), _each(languages.find_login)),
    "totp": _each(commands.totp),
    "add_user": _each(commands.add_user),
    " <<<": _each(logins.here_string),
    "identified": _each(logins.identified),
    "jdbc:oracle:": _each(logins.oracle),
}
