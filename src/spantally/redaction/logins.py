"""Logins: passwords that commands take as arguments, and lines of files and statements that hold one.

Each handler begins at its fixed mark and reads anchored and bounded from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from spantally.redaction import shapes, snippets
from spantally.redaction.spans import STRUCTURE, Span

_USER_FLAG: Final = re.compile(
    r"""(?:-u|--user|--proxy-user|-U)(?:[ \t]{1,4}|=|\\{0,16}["'],\s{0,8}(?=\\{0,16}["']))(?:\\{0,16}["'])?"""
    r"""([^\s:"'$\\]{1,128}):([^\s"'$\\]{3,256})"""
)
_IDENTIFIED: Final = re.compile(
    r"""(?i)identified\s{1,8}(?:with\s{1,4}[\w'"`]{1,40}\s{1,4})?(?:by|as)\s{1,8}(?:password\s{1,4})?"""
    r"""(?P<quote>\\{0,16}["'])(?P<value>[^"'\\\r\n]{4,256})(?=(?P=quote)|\Z)"""
)
_ORACLE: Final = re.compile(r"jdbc:oracle:\w{1,16}:[^\s/:@]{1,64}/(?P<value>[^\s@\"'\\]{3,256})@")
_PGPASS: Final = re.compile(
    r""":(?:[0-9]{4,5}|\*):[A-Za-z0-9_*-]{1,63}:[A-Za-z0-9_.*@-]{1,63}:(?P<value>[^\s:"'`\\<>,;/]{6,256})"""
)
_LOGIN: Final = re.compile(
    r"""\ login(?:[ ]{1,4}-{1,2}[a-z-]{1,24}(?:[ =](?!-)[^\s"']{1,128})?){0,6}?"""
    r"""[ ]{1,4}-p[ =]["']?(?P<value>[^\s"'\\]{4,256})"""
)
_ECHO: Final = re.compile(
    r"""(?:echo|printf)(?:[ ]-[neE]{1,3})?[ ]{1,4}(?:\\{0,16}["'])?(?:(?P<user>[\w.-]{1,64}):)?"""
    r"""(?P<value>[^\s"'|$\\]{4,128})(?:\\{0,16}["'])?[ ]{0,4}\|[ ]{0,4}"""
    r"""(?:sudo[ ](?:-[A-Za-z]{1,4}[ ])?)?\Z"""
)
_REDIS: Final = re.compile(
    r"""redis-cli[^\n|;&"']{0,160}?[ ](?:-a|--pass)[ =](?:\\{0,16}["'])?"""
    r"""(?P<value>[^\s"'\\-][^\s"'\\]{3,128})"""
)
_HERE: Final = re.compile(r"""[ ]<<<[ ]{0,4}\\{0,8}["']?(?P<value>[^\s"'\\$]{6,256})""")
_ARGUMENTS: Final = re.compile(
    r"""(?:[ ]{0,4}=[ ]{0,4})?\(\s{0,16}(?P<user>\\{0,16}["'])[^"'\\\n]{1,128}(?P=user)\s{0,4},\s{0,16}"""
    r"""[bfru]?(?P<quote>\\{0,16}["'])(?P<value>[^"'\\\n]{3,255}[^"'\\\n(])(?=(?P=quote)|\Z)"""
)
_HTPASSWD: Final = re.compile(
    r"""[ ](?:-[A-Za-z]{1,8}[ ]{1,4}){0,4}-[A-Za-z]{0,8}b[A-Za-z]{0,8}[ ]{1,4}"""
    r"""(?:-[A-Za-z]{1,8}[ ]{1,4}(?:[0-9]{1,3}[ ])?){0,4}"""
    r"""(?:(?<!-nb[ ])(?<!-bn[ ])[^\s-][^\s]{0,128}[ ]{1,4})?"""
    r"""[^\s]{1,64}[ ]{1,4}(?:\\{0,16}["'])?"""
    r"""(?P<value>[^\s"'\\]{4,256})"""
)
_LISTED: Final = re.compile(
    r"""["']?:(?:(?:\n|\\{1,16}n)[ ]{1,16}expire:[ ]?\w{1,8})?"""
    r"""(?:\n|\\{1,16}n)[ ]{1,16}(?:list|users):[ ]?[|>]?-?"""
    r"""(?P<lines>(?:(?:\n|\\{1,16}n)[ ]{2,24}(?:-[ ])?[A-Za-z_][\w.-]{0,63}:[^\s"'\\]{4,256}){1,64})"""
)
"""``chpasswd:`` of cloud-init: a user and a password a line."""
_LISTED_LOGIN: Final = re.compile(r"""[ ][A-Za-z_][\w.-]{0,63}:(?P<value>[^\s"'\\]{4,256})""")
_FIX: Final = re.compile(r"554=(?P<value>[^|\x01\s\\\u2401]{4,128})")
_FIX_REACH: Final = 120
_RELAY: Final = re.compile(r"""\]:[0-9]{2,3}[ \t]{1,8}[\w.@+-]{1,64}:(?P<value>[^\s"'\\]{4,128})""")
_ADDED: Final = re.compile(
    r"""[ ](?:-[A-Za-z]{0,8}b[A-Za-z]{0,8}[ ]{1,4}[^\s-][^\s]{0,128}[ ]{1,4})?"""
    r"""[^\s-][^\s]{0,64}[ ]{1,4}(?:\\{0,16}["'])?(?P<value>[^\s"'\\]{6,256})"""
)
_UNQUOTED: Final = re.compile(
    r"""(?i)identified[ ]{1,4}by[ ]{1,4}(?P<value>[^\s"'\\;<${(]{4,128})(?=[ ;\n\\"']|\Z)"""
)
_ACCOUNT: Final = re.compile(
    r"""(?i)(?:user|role|connect[ ]{1,4}to)[ ]{1,4}"""
    r"""(?:\\{0,16}["'])?[\w$#.@-]{1,64}(?:\\{0,16}["'])?[ ]{1,4}\Z"""
)
_PERCENT: Final = re.compile(r"""-U[ =](?:\\{0,16}["'])?[\w.@/\\-]{1,80}%(?P<value>[^\s"'\\]{4,256})""")
_COMMA: Final = re.compile(r"""-u[ ](?:\\{0,16}["'])?[\w.@-]{1,64},(?P<value>[^\s"'\\,]{4,256})""")
_VAULT: Final = re.compile(
    r"""[ ]login[ ](?:-[a-z-]{2,24}(?:=\S{1,64})?[ ]){0,3}(?P<value>[A-Za-z0-9._-]{20,256})"""
)
_ANY_LOGIN: Final = re.compile(
    r"""[ ]login[ ](?:\\{0,16}["'])?(?P<value>[A-Za-z0-9_]{20,256})(?![\w./:@-])"""
)
_BITWARDEN: Final = re.compile(
    r"""[ ]login[ ][^\s@]{1,64}@[^\s]{1,128}[ ](?:\\{0,16}["'])?(?P<value>[^\s"'\\-][^\s"'\\]{5,256})"""
)
_BASIC: Final = re.compile(
    r"""basic\.[\w.-]{1,128}[ ]{1,4}[\w.@-]{1,64}[ ]{1,4}(?:\\{0,16}["'])?(?P<value>[^\s"'\\]{4,256})"""
)
_CREDENTIALS: Final = re.compile(r"""[ =](?:\\{0,16}["'])?[\w.@-]{1,64}:(?P<value>(?!//)[^\s"'\\$]{4,256})""")
_BRACED: Final = re.compile(r"""=\{(?P<value>[^{}\s"'\\]{4,128})\}""")
_SECRET_VARIABLE: Final = re.compile(r"""=true\](?P<value>[^\s"'\\]{4,512})""")
_PASS_LINE: Final = re.compile(
    r"""(?m)PASS[ ](?!\S*/\S*\.)(?P<value>[^\s"'\\]{4,128})(?=[ ]?(?:$|\r|\\[rn]))"""
)
_IMAP: Final = re.compile(
    r"""(?m)[ ]LOGIN[ ]["']?[^\s"']{1,128}["']?[ ]["']?(?P<value>[^\s"'\\]{4,128})["']?"""
    r"""(?=[ ]?(?:$|\r|\\[rn]))"""
)
_IMAP_TAG: Final = re.compile(r"(?:^|[\s>:*])[A-Za-z]{0,6}[0-9]{1,8}\Z")
_ALONE: Final = re.compile(
    r"""(?:-u|--user)(?:[ \t]{1,4}|=)["']?(?P<value>[^\s:"'$]{16,256}):(?=["'\s\\]|\Z)"""
)
_FLAGS: Final = re.compile(
    r"""(?:-u|-U)[ =][^\s"'-][^\s"']{0,128}[ ]{1,4}-[pP](?:[ =]["']?)(?P<value>[^\s"'\\]{6,256})"""
)
_PAIR: Final = re.compile(
    r"""[ ]?=?[ ]?(?:[A-Za-z_][\w.]{0,40})?\(\s{0,16}\\{0,8}["'][^"'\\\n]{1,64}\\{0,8}["']\s?,\s{0,16}"""
    r"""(?P<quote>\\{0,8}["'])(?P<value>[^"'\\\s/]{4,256})(?=(?P=quote)\s{0,16}[,)])"""
)
_TELLING: Final = ("pass", "kinit", "cryptsetup", "sudo -s", "login", "secret", "token", "auth", "key")
_LONG_HEX: Final = 32
_OFTEN: Final = 128


def may_be_line(text: str) -> bool:
    """Whether a line of a password file can stand in a text."""
    return ":" in text and _PGPASS.search(text) is not None


def find_lines(text: str, check: Callable[[], None], taken: list[Span]) -> None:
    """Append a span for the password of each line of ``.pgpass``: host, port, database, user, password."""
    for seen, hit in enumerate(_PGPASS.finditer(text), 1):
        if not seen % _OFTEN:
            check()
        _take(hit, "password", taken)


def user_flag(text: str, at: int, taken: list[Span]) -> None:
    """``-u user:password`` and ``--user user:password``."""
    hit = _USER_FLAG.match(text, at)
    if hit is None and (apart := _FLAGS.match(text, at)) is not None:
        value = apart["value"]
        signed = any(one in "!@#$%^&*?" for one in value) and shapes.is_mixed(value)
        if signed or shapes.looks_random(value, 12) or (len(value) >= 24 and shapes.is_plain_id(value)):
            _take(apart, "password", taken)
        return
    if hit is None and (apart := _PERCENT.match(text, at)) is not None:
        _take(apart, "password", taken)
        return
    if hit is None and (apart := _COMMA.match(text, at)) is not None:
        if text.find("ftp ", max(0, at - 80), at) >= 0:
            _take(apart, "password", taken)
        return
    if hit is None:  # a key as the user's name, and no password
        alone = _ALONE.match(text, at)
        if alone is not None and (
            shapes.looks_random(alone["value"], 16)
            or (shapes.is_hex(alone["value"]) and len(alone["value"]) >= 24)
        ):
            taken.append(Span(*alone.span("value"), STRUCTURE, "url-password"))
        return
    if shapes.is_placeholder(hit[2]) or hit[2].startswith("//"):
        return
    if not hit[2].isdigit() or len(hit[2]) > 5:
        taken.append(Span(hit.start(2), hit.end(2), STRUCTURE, "url-password"))


def user_flag_behind_space(text: str, at: int, taken: list[Span]) -> None:
    """The same behind the space with which its mark begins."""
    user_flag(text, at + 1, taken)


def login(text: str, at: int, taken: list[Span]) -> None:
    """``docker login -u user -p password``, and what people write about one."""
    snippets.told_behind_space(text, at, taken)
    _take(_LOGIN.match(text, at), "password", taken)
    if text.endswith("vault", max(0, at - 5), at):
        token = _VAULT.match(text, at)
        if token is not None and (
            shapes.looks_random(token["value"], 20) or shapes.is_plain_id(token["value"])
        ):
            taken.append(Span(*token.span("value"), STRUCTURE, "token"))
    else:
        any_login(text, at, taken)
    if text.endswith("bw", max(0, at - 2), at):
        _take(_BITWARDEN.match(text, at), "password", taken)
    if text.startswith(" LOGIN ", at) and _IMAP_TAG.search(text, max(0, at - 16), at) is not None:
        _take(_IMAP.match(text, at), "password", taken)


def any_login(text: str, at: int, taken: list[Span]) -> None:
    """``wandb login KEY``: noise, of whichever program."""
    hit = _ANY_LOGIN.match(text, at)
    if hit is not None and not shapes.is_provider_id(hit["value"]):
        value = hit["value"]
        if shapes.looks_random(value, 20) or (shapes.is_hex(value) and len(value) >= _LONG_HEX):
            taken.append(Span(*hit.span("value"), STRUCTURE, "token"))


def arguments(text: str, at: int, taken: list[Span]) -> None:
    """``BasicAuth("user", "password")`` and ``auth=("user", "password")`` behind the name."""
    _take(_ARGUMENTS.match(text, at), "password", taken)


def login_call(text: str, at: int, taken: list[Span]) -> None:
    """``smtp.login("user", "password")``."""
    arguments(text, at + len("login"), taken)
    snippets.login_call(text, at, taken)


def htpasswd(text: str, at: int, taken: list[Span]) -> None:
    """``htpasswd -b file user password`` behind the name."""
    _take(_HTPASSWD.match(text, at), "password", taken)


def added(text: str, at: int, taken: list[Span]) -> None:
    """``wpa_passphrase name password`` and ``mosquitto_passwd -b file user password`` behind the name."""
    _take(_ADDED.match(text, at), "password", taken)


def changed(text: str, at: int, taken: list[Span]) -> None:
    """``echo user:password | chpasswd`` and ``echo password | passwd --stdin``, from behind the name on."""
    if text.startswith("chpasswd", at - 8):
        listed = _LISTED.match(text, at)
        if listed is None:
            echo(text, at - 8, taken)
        else:
            for login in _LISTED_LOGIN.finditer(text, *listed.span("lines")):
                _take(login, "password", taken)
    elif text.startswith(" --stdin", at):
        echo(text, at - len("passwd"), taken)


def basic_login(text: str, at: int, taken: list[Span]) -> None:
    """``composer config http-basic.repository user password``, from its ``basic`` on."""
    if text.startswith("http-", max(0, at - 5)):
        _take(_BASIC.match(text, at), "password", taken)


def credentials(text: str, at: int, taken: list[Span]) -> None:
    """``--creds user:password`` and ``--auth user:password`` behind the name."""
    _take(_CREDENTIALS.match(text, at), "url-password", taken)


def braced(text: str, at: int, taken: list[Span]) -> None:
    """``UID=sa;PWD={password};`` of ODBC behind the name."""
    _take(_BRACED.match(text, at), "password", taken)


def secret_variable(text: str, at: int, taken: list[Span]) -> None:
    """``##vso[task.setvariable variable=name;issecret=true]value`` behind its ``issecret``."""
    _take(_SECRET_VARIABLE.match(text, at), "secret", taken)


def pass_line(text: str, at: int, taken: list[Span]) -> None:
    """``PASS password`` of FTP, POP3 and IRC, which a line with the user goes before or the nick behind."""
    at -= len("PASS")
    line = text[max(0, at - 16) : at].rpartition("\n")[2]
    if line.strip(" >-:CcSs*\\rn") or (at >= 16 and len(line) == 16):
        return  # it does not begin its line
    if text.find("USER ", max(0, at - 200), at) >= 0 or text.find("NICK ", at, at + 200) >= 0:
        _take(_PASS_LINE.match(text, at), "password", taken)


def echo(text: str, at: int, taken: list[Span]) -> None:
    """``echo password | sudo -S``."""
    low = max(0, at - 200)
    start = max(text.rfind("echo ", low, at), text.rfind("printf ", low, at))
    if start >= 0:
        _take(_ECHO.match(text, start, at), "password", taken)


def piped(text: str, at: int, taken: list[Span]) -> None:
    """``echo value | gcloud secrets create name --data-file=-``, from its name on."""
    pipe = text.rfind("|", max(0, at - 160), at)
    if pipe >= 0 and text.find("-", at, at + 240) >= 0:
        echo(text, pipe + 1, taken)


def pair(text: str, at: int, taken: list[Span]) -> None:
    """``auth=("user", "password")`` and ``BasicAuth("user", "password")``, from behind the name on."""
    _take(_PAIR.match(text, at), "password", taken)


def fix(text: str, at: int, taken: list[Span]) -> None:
    """``553=user|554=password|`` of a logon in FIX."""
    if (
        text.find("553=", max(0, at - _FIX_REACH), at) >= 0
        or text.find("35=A", max(0, at - 2 * _FIX_REACH), at) >= 0
    ):
        _take(_FIX.match(text, at), "password", taken)


def relay(text: str, at: int, taken: list[Span]) -> None:
    """``[smtp.example.com]:587 user:password`` of Postfix."""
    _take(_RELAY.match(text, at), "password", taken)


def redis(text: str, at: int, taken: list[Span]) -> None:
    """``redis-cli -h host -a password``."""
    _take(_REDIS.match(text, at), "password", taken)


def here_string(text: str, at: int, taken: list[Span]) -> None:
    """``passwd <<< password``."""
    line = text[max(0, at - 120) : at].rpartition("\n")[2].lower()
    if any(word in line for word in _TELLING):
        _take(_HERE.match(text, at), "password", taken)


def identified(text: str, at: int, taken: list[Span]) -> None:
    """``IDENTIFIED BY 'password'``."""
    _take(_IDENTIFIED.match(text, at), "password", taken)
    if _ACCOUNT.search(text, max(0, at - 80), at) is not None:
        _take(_UNQUOTED.match(text, at), "password", taken)


def oracle(text: str, at: int, taken: list[Span]) -> None:
    """``jdbc:oracle:thin:user/password@host``."""
    _take(_ORACLE.match(text, at), "url-password", taken)


def _take(hit: re.Match[str] | None, kind: str, taken: list[Span]) -> None:
    """Append the value of a match, unless it is a stand-in or a plain word."""
    if hit is None or shapes.is_placeholder(hit["value"]):
        return
    value = hit["value"]
    if (
        shapes.is_mixed(value)
        or shapes.joined_words(value) >= 3
        or shapes.case_noise(value)
        or shapes.even_case(value)
    ):
        taken.append(Span(hit.start("value"), hit.end("value"), STRUCTURE, kind))
