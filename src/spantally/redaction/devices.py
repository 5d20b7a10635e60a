r"""Devices: what is typed at the prompt of a server, a switch or a router, or stands in its configuration.

``AUTH password`` and ``ACL SETUSER bob >password`` of Redis, ``AUTH PLAIN ...`` of mail, names of SNMP,
``enable secret``, ``key-string`` and the like of network devices, ``send "password\r"`` of expect.
Each handler begins at its fixed mark or name and reads anchored and bounded from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from spantally.redaction import shapes
from spantally.redaction.commands import is_chosen, is_strong
from spantally.redaction.spans import STRUCTURE, Span

_QUOTE: Final = r"""(?:\\{0,16}["'])"""
_VALUE: Final = rf"""{_QUOTE}?(?P<value>[^\s"'\\<>{{}},;()]{{4,256}})"""
_LINE_STARTS: Final = r"(?:\A|\n|\\[nr]|[#>$] ?)[ ]{0,16}"

_AUTH: Final = re.compile(
    rf"""(?xm)
    {_QUOTE}? [ ,]{{1,2}} {_QUOTE}? (?: (?P<user>[\w.-]{{1,64}}) {_QUOTE}? [ ,]{{1,2}} {_QUOTE}? )?
    (?P<value> [^\s"'\\,\])`]{{6,512}} ) {_QUOTE}?
    (?= [ ]? (?: $ | [\r\])`}}"'] | \\{{1,16}}[nr"'] | ,\s?["'{{] ) )
    """
)
_PROMPT: Final = re.compile(
    r"""(?:\A|\n|\\[nr]|[\[("'`]|[>$\#\]][ ]?|[CS]:[ ]|redis-cli(?:[ ][^\s|;]{1,64}){0,6}[ ])[ ]{0,4}\Z"""
)
_METHODS: Final = re.compile(
    r"(?i)x?oauth.*|(?:cram|digest)-?md5|md5|sha.*|scram.*|ntlm.*|tls.*|ssl.*|gssapi|aes.*|pam_.*|.*\.so|.*auth2?"
)
_ACL: Final = re.compile(r"""(?<=[ "'])>(?P<value>[^\s"'\\<>=][^\s"'\\<>]{3,256})(?=[\s"'\\]|\Z)""")
_ACL_USER: Final = re.compile(r"""(?:\A|[\n"'`]|\\n)user [\w.-]{1,64} (?:on|off|reset|resetpass|>)""")
_ACL_REACH: Final = 300

_COMMUNITY: Final = re.compile(
    rf"(?:[_ -]?(?:string|name))?{_QUOTE}?(?:\s{{0,4}}[=:]\s{{0,4}}|[ \t]{{1,4}})(?:[0-9][ ])?{_VALUE}"
)
_TRAPS: Final = re.compile(
    rf"[^\s]{{1,64}}[ ](?:(?:traps|informs)[ ])?(?:version[ ](?:1|2c|3[ ]\w{{2,8}})[ ])?{_VALUE}"
)
_SHA: Final = r"(?:md5|sha(?:-?[0-9]{1,3}){0,2})"
_USER: Final = re.compile(
    rf"""(?xi) [ ] {_SHA} [ ] {_QUOTE}? (?P<value>[^\s"'\\]{{6,128}}) {_QUOTE}?
    (?: [ ] (?:priv[ ])? (?:3?des|aes)(?:-?[0-9]{{2,3}})? (?:[ ][0-9]{{3}})? [ ]
        {_QUOTE}? (?P<other>[^\s"'\\]{{6,128}}) )?"""
)
_CREATED: Final = re.compile(r"createuser(?:[ ]-e[ ]0x[0-9a-f]{2,64})?[ ][\w.@-]{1,64}", re.IGNORECASE)

_SETTING: Final = re.compile(
    r"(?:[ ][0-9]{1,5})?(?:[ ](?:ascii(?:-text)?|hex|md5|hmac-sha-?[0-9]{1,3}|encrypted|plaintext))?"
    r"(?:[ ][0-9])?[ ]" + _VALUE
)
_CONFIGURED: Final = re.compile(
    rf"""(?xi) {_LINE_STARTS}
    (?: enable | username[ ]\S{{1,64}}(?:[ ]privilege[ ][0-9]{{1,2}})?
      | (?:tacacs|radius)-server(?:[ ]host[ ]\S{{1,64}})? | neighbor[ ]\S{{1,64}}
      | crypto[ ](?:isakmp|ikev[12]) | ikev[12](?:[ ](?:local|remote)-authentication)? | ip[ ]ospf
      | ppp[ ](?:chap|pap) | (?:standby|vrrp)[ ][0-9]{{1,4}}[ ]authentication[ ]md5 | ntp | area[ ]\S{{1,16}}
      | set[ ](?:security|system|snmp|access|protocols)[ ][^\n\\]{{1,120}} | wpa2? | isis | peer[ ]\S{{1,64}}
    ) [ ] \Z"""
)
_SEED: Final = re.compile(r"(?:[A-Z2-7]{16,64}|[a-z2-7]{16,64})=*")
_FACTOR: Final = re.compile(r"(?i)(?:2fa|mfa|otp|authenticator|(?:two|second)[- ]factor)[ ](?:setup[ ])?\Z")
_ALONE: Final = re.compile(rf"{_LINE_STARTS}\Z")
_SERVER: Final = re.compile(r"(?i)radius|tacacs")
_TRAILING: Final = ";,)|&`"
LINE: Final = 40
"""Characters behind a name that are looked at before it is asked what it is."""
_LINE_REACH: Final = 160
_SENT: Final = re.compile(
    r"""send[ ](?:-{1,2}[sh]?[ ])?\\{0,16}["'](?P<value>[^\s"'\\$\[]{4,128})\\{1,16}[rn]\\{0,16}["']"""
)
_MIGRATION: Final = re.compile(r"://offline\?data=(?P<value>[A-Za-z0-9+/=%_-]{16,2048})")


def _append(
    hit: re.Match[str] | None, taken: list[Span], group: str = "value", kind: str = "password"
) -> None:
    if hit is None or hit[group] is None:
        return
    value = hit[group].rstrip(_TRAILING)
    if len(value) >= 4 and is_chosen(value):
        start = hit.start(group)
        taken.append(Span(start, start + len(value), STRUCTURE, kind))


def auth(text: str, start: int, end: int, taken: list[Span]) -> None:
    """``AUTH password``, ``AUTH user password`` and ``AUTH PLAIN ...`` at the beginning of a line or list."""
    users = _USER.match(text, end)
    if users is not None:
        if "snmp" in text[max(0, start - 120) : start].lower():
            _append(users, taken)
            _append(users, taken, "other")
        return
    hit = _AUTH.match(text, end)
    if hit is None or _PROMPT.search(text, max(0, start - 120), start) is None:
        return
    value = hit["value"]
    if _METHODS.fullmatch(value) is not None or "://" in value:
        return
    listed = text[end : end + 1] != " "
    if not listed or is_strong(value) or shapes.looks_random(value, 12):
        _append(hit, taken)


def setuser(text: str, at: int, taken: list[Span]) -> int:
    """``ACL SETUSER bob on >password``; where reading may go on."""
    if text[max(0, at - 4) : at].lower() != "acl ":
        return at
    return _rules(text, at, taken)


def acl_line(text: str, at: int, taken: list[Span]) -> int:
    """``user bob on >password ~* +@all`` of a file of Redis, around its ``@``; where reading may go on."""
    low = max(0, at - _ACL_REACH)
    if text.rfind("user ", low, at) < 0:
        return at
    hit = _ACL_USER.search(text, low, at)
    return at if hit is None else _rules(text, hit.start() + 1, taken)


def _rules(text: str, at: int, taken: list[Span]) -> int:
    end = text.find("\n", at, at + _ACL_REACH)
    if end < 0:
        end = at + _ACL_REACH
    for hit in _ACL.finditer(text, at, end):
        _append(hit, taken)
    return end


def community(text: str, at: int, taken: list[Span]) -> None:
    """``snmp-server community name RO``, ``rocommunity name``."""
    before = text[max(0, at - 80) : at].lower()
    hit = _COMMUNITY.match(text, at + len("community"))
    if before.endswith(("ro", "rw", "snmp ", "snmp-server ", "snmp_", "snmp-")) or (
        hit is not None and not hit[0].startswith(" ") and "snmp" in before
    ):
        _append(hit, taken)


def traps(text: str, at: int, taken: list[Span]) -> None:
    """``snmp-server host address version 2c name``."""
    _append(_TRAPS.match(text, at + len("snmp-server host ")), taken)


def create_user(text: str, at: int, taken: list[Span]) -> None:
    """``createUser bob SHA "password" AES "password"``."""
    created = _CREATED.match(text, at)
    hit = _USER.match(text, created.end()) if created is not None else None
    _append(hit, taken)
    _append(hit, taken, "other")


def setting(text: str, start: int, end: int, taken: list[Span]) -> None:
    """``enable secret 0 password``, ``username bob password 7 0822455D0A16``, ``radius-server key ...``."""
    hit = _SETTING.match(text, end)
    if hit is not None and _SEED.fullmatch(hit["value"]) is not None:
        if _FACTOR.search(text, max(0, start - 32), start) is not None:
            taken.append(Span(*hit.span("value"), STRUCTURE, "secret"))
        return
    if hit is None or hit["value"].isalpha() or not is_chosen(hit["value"].rstrip(_TRAILING)):
        return  # nearly always, and what stands before takes longer to read
    low = max(0, start - _LINE_REACH)
    if text.startswith("key", start) and text.endswith("enable ", low, start):
        return
    if _CONFIGURED.search(text, low, start) is not None or (
        _ALONE.search(text, low, start) is not None and _SERVER.search(text, low, start) is not None
    ):
        _append(hit, taken)


def typed(text: str, start: int, end: int, taken: list[Span]) -> None:
    """``wpa-psk ascii 0 password``: what its form is told of is a value, wherever the line stands."""
    hit = _SETTING.match(text, end)
    if hit is not None and text.find(" ", end + 1, hit.start("value")) > 0:
        _append(hit, taken)
    else:
        setting(text, start, end, taken)


def key_string(text: str, _start: int, end: int, taken: list[Span]) -> None:
    """``key-string 7 ...`` of a key chain."""
    _append(_SETTING.match(text, end), taken)


def sent(text: str, at: int, taken: list[Span]) -> int:
    r"""``expect "password:"`` and ``send "password\r"`` behind it; where reading may go on."""
    begin = max(0, at - 5)
    stop = at + _ACL_REACH
    asked = text.find("ass", max(0, at - _ACL_REACH), stop) >= 0
    for hit in _SENT.finditer(text, begin, stop):
        if asked or is_strong(hit["value"]):
            _append(hit, taken)
    return at + _ACL_REACH // 2


def migration(text: str, _start: int, end: int, taken: list[Span]) -> None:
    """``otpauth-migration://offline?data=...``: all seeds of an authenticator at once."""
    hit = _MIGRATION.match(text, end)
    if hit is not None:
        taken.append(Span(*hit.span("value"), STRUCTURE, "secret"))


_TYPED: Final = ("authentication-key", "message-digest-key", "pre-shared-key", "psk", "wpa-psk")
_RESET: Final = re.compile(
    r"/(?:(?:reset|confirm|change|edit|new)/)?(?P<value>[A-Za-z0-9_-]{20,256})(?![\w./-])"
)


_LONG_HEX: Final = 32
_PAGE: Final = re.compile("(?:^|[_-])[a-z]{3,}(?=[_-]|$)")
"""Of a page that tells of it."""


def reset(text: str, _start: int, end: int, taken: list[Span]) -> None:
    """``/password/reset/...``: who has the rest of the path may set another one."""
    hit = _RESET.match(text, end)
    if hit is None or _PAGE.search(hit["value"]) is not None:
        return
    if shapes.looks_random(hit["value"], 20) or shapes.is_plain_id(hit["value"]):
        taken.append(Span(*hit.span("value"), STRUCTURE, "secret"))


_PATH: Final = re.compile(
    r"/(?:(?:verify|confirm|v[0-9]|login|signup|accept)/)?(?P<value>[A-Za-z0-9_-]{16,256}={0,2})(?![\w.-])"
)


def in_path(text: str, start: int, end: int, taken: list[Span]) -> None:
    """``/token/...``, ``/apikey/...``: a part of a path behind one that says what it is."""
    if text[start - 1 : start] != "/":
        return
    hit = _PATH.match(text, end)
    if hit is None or _PAGE.search(hit["value"]) is not None or shapes.is_provider_id(hit["value"]):
        return
    value = hit["value"]
    if shapes.is_plain_id(value):
        is_open = len(value) >= _LONG_HEX and shapes.is_hex(value) and text[start:end].lower() != "key"
    else:
        is_open = shapes.looks_random(value, 16) or shapes.is_restless(value, 16)
    if is_open:
        taken.append(Span(*hit.span("value"), STRUCTURE, "token"))


_Reader = Callable[[str, int, int, list[Span]], None]
BY_NAME: Final[Mapping[str, Mapping[str, _Reader]]] = {
    **{name: {" ": setting} for name in ("secret", "password", "key")},
    "password": {" ": setting, "/": reset},
    **{
        name: {"/": reset}
        for name in ("reset-password", "password-reset", "reset_password", "password_reset")
    },
    **{
        name: {"/": in_path}
        for name in ("token", "apikey", "api-key", "api_key", "access-token", "access_token", "authtoken")
    },
    "secret": {" ": setting, "/": in_path},
    "key": {" ": setting, "/": in_path},
    **{name: {" ": typed} for name in _TYPED},
    **{name: {" ": key_string} for name in ("key-string", "keystring")},
    **{name: dict.fromkeys(" \"'\\", auth) for name in ("AUTH", "auth", "AUTHENTICATE")},
    "otpauth-migration": {":": migration},
}
"""What reads behind a name, by what follows it."""
