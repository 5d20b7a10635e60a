"""Hosts: a user and a password before an ``@`` where no scheme says that a URL begins.

``user:password@host:5432/db``, ``user:password@tcp(host:3306)/db`` of Go, ``user:password@host`` of git or
scp, and Oracle's ``user/password@name``. A mail address may stand behind a colon as well, so that a name of a
host alone is not enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from spantally.redaction import shapes
from spantally.redaction.commands import BEGINS, is_chosen
from spantally.redaction.devices import acl_line
from spantally.redaction.spans import STRUCTURE, Span

_REACH: Final = 200
_NO_PASSWORD: Final = frozenset(" \n\t\r:/,;|<>()[]{}")
"""Before an ``@`` that no password ends at, but for one of Go's."""
_NETWORKS: Final = ("tcp", "unix", "udp", "cloudsql")
_VALUE: Final = re.compile(r"""[^\s:"'`<>()\[\]{}\\|,;/]{4,128}""")
_USER: Final = re.compile(r"(?<![\w%/.+-])(?P<user>[A-Za-z0-9_][\w.+-]{0,63})\Z")
_DIALED: Final = re.compile(r"[a-z][a-z0-9]{1,15}\(")
_LONGEST_DIALED: Final = 18
"""Characters of an ``@``, a protocol and its bracket."""
_CERTAIN: Final = re.compile(
    r"(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w.])|localhost(?!\w)"
    r"|[A-Za-z0-9][A-Za-z0-9-]{0,62}:[0-9]{2,5}(?!\w)"
    r"|(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z0-9-]{2,63}(?:/[\w~%]|:[\w~/]))"
)
"""An address, or a name with a port or a path."""
_LIKELY: Final = re.compile(r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_LOCAL_PART: Final = re.compile(r"[A-Za-z][a-z]*(?:[._+-]?[A-Za-z][a-z]*){0,4}[0-9]{0,4}")
"""How people write their names in mail addresses."""
_NO_USERS: Final = frozenset(
    """
    acct bcc by catalog cc e-mail email from group im jid jsr mail mailto message-id npm pkg
    principal recipient references reply-to sender serviceaccount sip sips sub to uid upn workspace
    xmpp
    """.split()  # noqa: SIM905
)
"""Words before a colon and an address of another kind, or a version."""
_NAMES_OF_USERS: Final = frozenset(
    "account author contact id login maintainer name owner user username".split()  # noqa: SIM905
)
_ACCOUNTS: Final = frozenset(
    "admin administrator app deploy git mysql oauth2 postgres root service svc".split()  # noqa: SIM905
)
_ORACLE: Final = re.compile(
    rf"(?i){BEGINS}(?:conn(?:ect)?|userid|imp|exp|impdp|expdp|rman|target|auxiliary|catalog|sqlldr)[ =]"
    r"""(?:\\{0,16}["'])?[\w$#]{1,64}/(?:\\{0,16}["'])?(?P<value>[^\s@"'\\/]{4,128})\\{0,16}["']?\Z"""
)


_BEFORE_LOGIN: Final = frozenset("dDgGnNpPrRtTyY")
"""How the words that a login of Oracle's follows end."""


def accounts(text: str, places: Iterable[int], taken: list[Span]) -> None:
    """A password before each ``@``, of which a decorator or a space before it leaves none."""
    acl_end = 0
    for at in places:
        before = text[at - 1] if at else "@"
        if before == "@" or (before in _NO_PASSWORD and not text.startswith(_NETWORKS, at + 1)):
            continue
        if before in "+-":
            if at >= acl_end:
                acl_end = acl_line(text, at, taken)
            continue
        # Mostly an address in a sentence: a word without a colon or a slash.
        low = max(0, at - _REACH)
        space = text.rfind(" ", low, at)
        if text.rfind(":", max(low, space), at) >= 0 or text.rfind("/", max(low, space), at) >= 0:
            userinfo(text, at, taken)


def userinfo(text: str, at: int, taken: list[Span]) -> None:
    """A password before the ``@`` at ``at``, behind something that may be its end."""
    low = max(0, at - _REACH)
    colon = text.rfind(":", low, at)
    value = text[colon + 1 : at] if colon >= 0 else ""
    if colon < 0 or " " in value or _VALUE.fullmatch(value) is None:  # mostly an address in a sentence
        dialed = None if text.find("(", at, at + _LONGEST_DIALED) < 0 else _DIALED.match(text, at + 1)
        if dialed is not None and colon > 0 and text[colon - 1].isalnum():
            _dialed(value, at, taken)
        elif "/" in text[max(0, at - 64) : at]:
            begin = max(text.rfind(" ", low, at), text.rfind("=", low, at))
            in_word = begin > 0 and text[begin - 1] in _BEFORE_LOGIN and text.find("/", begin, at) >= 0
            hit = _ORACLE.search(text, max(low, begin - 12), at) if in_word else None
            if hit is not None and is_chosen(hit["value"]):
                taken.append(Span(*hit.span("value"), STRUCTURE, "password"))
        return
    named = _USER.search(text, max(0, colon - 64), colon)
    if named is None or shapes.is_placeholder(value):
        return
    if _DIALED.match(text, at + 1) is not None:
        _dialed(value, at, taken)
        return
    user = named["user"].lower()
    if text[named.start() - 1 : named.start()] == "\\" and user[0] in "nrt":
        user = user[1:]  # behind the end of an escape
    if user in _NO_USERS or not is_chosen(value):
        return
    like_mail = _LOCAL_PART.fullmatch(value) is not None
    if _CERTAIN.match(text, at + 1) is not None:
        good = not like_mail or user not in _NAMES_OF_USERS
    else:
        good = (
            user not in _NAMES_OF_USERS
            and (not like_mail or user in _ACCOUNTS)
            and text[named.start() - 1 : named.start()] != ":"
            and _LIKELY.match(text, at + 1) is not None
        )
    if good:
        taken.append(Span(colon + 1, at, STRUCTURE, "url-password"))


def _dialed(value: str, at: int, taken: list[Span]) -> None:
    """``user:password@tcp(host:3306)``: nothing else looks like it, so that any value goes."""
    if len(value) >= 4 and "//" not in value and not any(map(str.isspace, value)):
        value = re.split("[\"'`]", value)[-1]
        if len(value) >= 4 and not shapes.is_placeholder(value):
            taken.append(Span(at - len(value), at, STRUCTURE, "url-password"))
