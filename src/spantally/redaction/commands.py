"""Commands: passwords that programs take behind a flag of one letter, or at a place of their own.

A flag says nothing by itself (``mkdir -p``, ``ssh -p``): its program does, which stands before it.
Each handler begins at its fixed mark and reads anchored and bounded from there, or goes on where it stopped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from spantally.redaction import shapes
from spantally.redaction.spans import STRUCTURE, Span

_REACH: Final = 240
"""Characters of a command before its password."""

_MARK: Final = r"""(?:\\{0,16}["'])"""
_VALUE: Final = rf"""{_MARK}?(?P<value>[^\s"'`\\$<-][^\s"'`\\]{{3,255}})"""

_TAKE_WORDS: Final = ("mysql", "mariadb", "sshpass")
_LONG_FLAGS: Final = frozenset({"assword", "rotocol", "lugin"})
"""What stands behind ``-p`` of a flag that was to have two hyphens."""
_ATTACHED: Final = 1
_SPACED: Final = 2
_FLAGS: Final[dict[str, tuple[str, int]]] = {
    **dict.fromkeys(("mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlcheck"), ("p", _ATTACHED)),
    **dict.fromkeys(("mariadb", "mariadb-dump", "mariadb-admin", "mysqlpump"), ("p", _ATTACHED)),
    **dict.fromkeys(("7z", "7za", "7zr", "7zz"), ("p", _ATTACHED)),
    **dict.fromkeys(("rar", "unrar", "winrar", "WinRAR", "Rar"), ("ph", _ATTACHED)),
    **dict.fromkeys(("unzip", "zip", "sqlcmd", "bcp", "osql", "isql"), ("P", _ATTACHED | _SPACED)),
    **dict.fromkeys(("mosquitto_pub", "mosquitto_sub", "mosquitto_rr", "ipmitool", "tsql"), ("P", _SPACED)),
    **dict.fromkeys(("mongo", "mongosh", "mongodump", "mongorestore", "mongoimport"), ("p", _SPACED)),
    **dict.fromkeys(("mongoexport", "mongostat", "mongotop", "mongofiles"), ("p", _SPACED)),
    **dict.fromkeys(("mycli", "cqlsh", "cypher-shell", "influx", "snowsql", "twine"), ("p", _SPACED)),
    **dict.fromkeys(("ncftpget", "ncftpput", "rdesktop", "psexec", "psexec64", "evil-winrm"), ("p", _SPACED)),
    **dict.fromkeys(
        ("crackmapexec", "netexec", "nxc", "rabbitmqadmin", "useradd", "usermod"), ("p", _SPACED)
    ),
    **dict.fromkeys(("certutil", "altool", "login", "winrs"), ("p", _SPACED)),
    "redis-cli": ("a", _SPACED),
    "sshpass": ("p", _ATTACHED | _SPACED),
    "security": ("pPw", _SPACED),
    "supabase": ("p", _SPACED),
    **dict.fromkeys(
        ("ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldapwhoami", "ldappasswd", "ldapcompare"),
        ("w", _ATTACHED | _SPACED),
    ),
    "openssl": ("kK", _SPACED),
    **dict.fromkeys(("snmpwalk", "snmpbulkwalk", "snmpget", "snmpset", "snmptrap"), ("AXc", _SPACED)),
    "nuget": ("k", _SPACED),
    **dict.fromkeys(("http", "https", "xh"), ("a", _SPACED)),
}
"""Programs with the letters of their flag, and where its value stands."""
BEGINS: Final = r"(?:(?<![\w.-])|(?<=\\[nrt]))"
"""Where a word begins, also behind the escape of a line break or tab."""
_PROGRAM: Final = re.compile(
    # A line goes on behind a backslash (JSON makes 3, 6 or 12 of it and the break), a list behind a comma.
    r"(?P<end>(?<![,\\])(?:\n|(?:\\{{1,2}}|\\{{4}}|\\{{8}})n)|[|;]|&&)"
    r"|{}(?P<program>{})(?:\.exe)?(?=[ ]|\\{{0,16}}[\"'])".format(
        BEGINS, "|".join(sorted(map(re.escape, _FLAGS), key=len, reverse=True))
    )
)
_NEXT: Final = rf"""{_MARK},(?:\s|\\{{1,16}}n){{0,8}}(?={_MARK})"""
"""From one text of a list to the next."""
_FLAG: Final = re.compile(rf"(?P<gap>[ =:]{{0,2}}|{_NEXT}){_VALUE}")
_TRAILING: Final = ";,)|&"

_CURL: Final = re.compile(
    rf"""curl(?:\.exe)?[ ](?:[^\n|;]{{0,200}}?[ ])??-[A-Za-z]{{0,8}}[uU][ ]?{_MARK}?"""
    r"""[^\s:"'$\\-][^\s:"'$\\]{0,127}:(?P<value>[^\s"'$\\]{3,256})"""
)
_RDP: Final = re.compile(rf"freerdp[^\n|;]{{0,200}}?[ ]/p:{_VALUE}", re.IGNORECASE)
_SLASHED: Final = re.compile(
    rf"(?i){BEGINS}(?:schtasks|signtool|tasklist|taskkill|systeminfo|getmac|driverquery|openfiles|eventcreate)"
    r"(?:\.exe)?[\"']?[ ][^\n|;]{0,400}\Z"
)
_SLASHED_VALUE: Final = re.compile(rf"(?:[ ]{{1,4}}|:){_VALUE}")
_COMMAND_END: Final = re.compile(r"\n|\\n|[|;]")

_GLUED: Final = re.compile(r"\\[nrt]")
"""The end of an escape before a word."""
_NET_USE: Final = re.compile(
    rf"""(?xi)
    net1?[ ]use (?: [ ]{{1,4}} (?:[a-z]:|\*) )? [ ]{{1,4}}
    {_MARK}? \\{{2,32}} [^\s"'|]{{1,160}} {_MARK}? [ ]{{1,4}}
    (?: /user:[^\s]{{1,128}} [ ]{{1,4}} {_VALUE} | {_VALUE.replace("value", "first")} [ ]{{1,4}} /user: )
    """
)
_NET_USER: Final = re.compile(
    rf"(?i)net1? user [\w.$-]{{1,64}} {_VALUE}(?= /| \\|\\{{0,16}}[\s\"'`]|\\{{1,16}}[nrt]|\Z)"
)
_WIFI: Final = re.compile(
    r"""WIFI:(?:[A-OQ-Z][0-9]?:(?:[^;\\\n]|\\{1,8}.){0,64};){0,5}"""
    r"""P:(?P<value>(?:[^;\\\s]|\\{1,8}[^\\\s]){4,128})(?=;|\Z)"""
)
_SECURE: Final = re.compile(
    rf"""(?i)securestring(?P<flags>(?:[ ]{{1,4}}-(?:asplaintext|force|string)){{0,3}})[ ]{{1,4}}{_VALUE}"""
)
_PIPED: Final = re.compile(
    r"""(?i)(?P<quote>["'])(?P<value>[^"'\\\n$]{4,128})\\{0,16}(?P=quote)\s{0,4}\|\s{0,4}convertto-\Z"""
)
_SQLPLUS: Final = re.compile(
    rf"""(?i)sqlplus(?:[ ]-[a-z]{{1,8}}){{0,3}}[ ]{{1,4}}{_MARK}?[\w$#]{{1,64}}/{_MARK}?"""
    r"""(?P<value>[^\s@"'\\/]{4,128})(?=\\{0,16}["']?@)"""
)
_CONNECT: Final = re.compile(
    rf"""(?xi)
    (?: connect | connection | pdo ) \( \s{{0,16}}
    (?: [\w.$:>-]{{1,80}} | {_MARK} [^"'\n]{{0,200}} ["'] ) \s{{0,4}} , \s{{0,16}}
    {_MARK} [\w.@-]{{1,64}} {_MARK} \s{{0,4}} , \s{{0,16}}
    {_MARK} (?P<value> [^"'\n\\]{{4,128}} ) (?= {_MARK} \s{{0,8}} [,)] )
    """
)
_TWO: Final = re.compile(
    rf"""(?i)connect\(\s{{0,16}}{_MARK}[\w$#]{{1,64}}{_MARK}\s?,\s{{0,16}}{_MARK}(?P<value>[^"'\n\\]{{4,128}})"""
)
_TOTP: Final = re.compile(
    r"(?i:totp)[^\n]{0,24}?(?<![A-Za-z0-9])(?P<value>(?:[A-Z2-7]{16,128}|[a-z2-7]{16,128})={0,6})(?![A-Za-z0-9])"
)
_ADD_USER: Final = re.compile(rf"add_user [\w.@-]{{1,64}} {_VALUE}")
_LITERAL: Final = re.compile(rf"--from-literal[ =]{_MARK}?[\w.-]{{1,128}}=(?P<value>[^\s\"'\\$]{{4,256}})")
_LITERALS_REACH: Final = 600
_KEPT: Final = re.compile(
    rf"""[ ]{_MARK}?(?:--(?:value|body|secret)[ =]{_MARK}?|(?P<name>[A-Za-z_][\w./-]{{0,128}})={_MARK}?)"""
    r"""(?P<value>[^\s"'\\$<-][^\s"'\\]{3,512})"""
)
NO_SECRETS: Final = frozenset(
    """
    address allowed_domains allowed_roles app bound_audiences capabilities connection_url db_name
    default_ttl env environment host lease lease_max max_lease_ttl max_ttl name mount namespace period
    plugin_name policies port profile region role role_id space stage token_period token_policies
    token_ttl ttl type url user username version
    """.split()  # noqa: SIM905
)
"""Names of what is no secret itself beside those that are."""
_PUSHED: Final = re.compile(
    rf"""[.]?nupkg{_MARK}?[ ]{_MARK}?(?P<value>[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}"""
    r"""|(?=[a-z0-9_-]{0,64}[0-9])[a-z0-9_-]{20,256})(?![\w./-])""",
    re.IGNORECASE,
)
_PUT_IN: Final = re.compile(
    rf"""config[ ]set[ ](?:--secret[ ](?:--\w[^\s]{{0,64}}[ ]){{0,2}}[\w:.-]{{1,128}}[ ]{_VALUE}"""
    rf"""|(?:--path[ ])?[\w:.-]{{1,128}}[ ]{_VALUE.replace("value", "first")}(?={_MARK}?[ ]--secret))"""
)
_ALIAS: Final = re.compile(
    rf"""mc[ ]alias[ ]set[ ][\w.-]{{1,64}}[ ]{_MARK}?https?:[^\s]{{1,256}}[ ]"""
    rf"""{_MARK}?[^\s"'\\$]{{3,128}}{_MARK}?[ ]{_VALUE}"""
)
_UNLOCK: Final = re.compile(rf"bw unlock {_VALUE}")


def is_chosen(value: str) -> bool:
    """Whether a value is none of the stand-ins, words, numbers and paths that documents show."""
    if value.isdigit():
        return len(value) >= 6
    if shapes.is_placeholder(value) or "://" in value or value.startswith(("/", "~/", "./", "../")):
        return False
    if (
        shapes.is_mixed(value)
        or shapes.joined_words(value.rpartition(":")[2]) >= 3
        or shapes.case_noise(value)
    ):
        return True
    # Letters alone: no word has a capital in its middle.
    inner = value[1:]
    return len(value) >= 8 and inner.isalpha() and not (inner.islower() or inner.isupper())


def is_strong(value: str) -> bool:
    """Whether two of digits, marks and a capital within a value say that nobody writes it by the way."""
    inner = any(map(str.islower, value)) and any(map(str.isupper, value[1:]))
    marks = any(one in "!@#$%^&*+=?~" for one in value)
    return len(value) >= 7 and shapes.has_digit(value) + marks + inner >= 2 and value.count("/") < 2


def _take(hit: re.Match[str] | None, taken: list[Span], group: str = "value") -> None:
    if hit is None or hit[group] is None:
        return
    value = hit[group].rstrip(_TRAILING)
    if len(value) >= 4 and is_chosen(value):
        start = hit.start(group)
        taken.append(Span(start, start + len(value), STRUCTURE, "password"))


def flags(text: str, places: Iterable[int], taken: list[Span]) -> None:
    """What stands behind `` -p`` and the like, if the program before takes a password there.

    A command may also be a list of texts: ``["mysql", "-uroot", "-ppassword"]``.
    """
    program = ""
    seen = 0
    for at in places:
        hit = _FLAG.match(text, at + (3 if text[at + 2] != "h" else 4))
        if hit is None:
            continue
        value = hit["value"].rstrip(_TRAILING)
        # Letters alone are a password where nothing else can stand.
        is_word = not hit["gap"] and len(value) > 5 and value.isalpha() and value.islower()
        if not is_chosen(value) and (not is_word or value in _LONG_FLAGS):
            continue
        low = at - _REACH
        if low > seen:
            program = ""
        # Each part of a text is searched once, however many flags there are.
        for named in _PROGRAM.finditer(text, max(seen, low, 0), at + 1):
            program = named["program"] or ""
        seen = max(seen, at)
        letters, where = _FLAGS.get(program, ("", 0))
        if text[at + 2] in letters and where & (_SPACED if hit["gap"] else _ATTACHED):
            if not is_word:
                _take(hit, taken)
            elif program.startswith(_TAKE_WORDS) and not shapes.is_placeholder(value):
                start = hit.start("value")
                taken.append(Span(start, start + len(value), STRUCTURE, "password"))


def _to_end(pattern: re.Pattern[str]) -> Callable[[str, int, list[Span]], int]:
    """What looks through one command: the next reading begins behind it."""

    def read(text: str, at: int, taken: list[Span]) -> int:
        hit = pattern.match(text, at)
        if hit is not None:
            _take(hit, taken)
            return hit.end()
        end = _COMMAND_END.search(text, at, at + _REACH)
        return at + _REACH if end is None else end.end()

    return read


curl: Final = _to_end(_CURL)
"""``curl -sSLu user:password`` and ``curl -uuser:password``."""
freerdp: Final = _to_end(_RDP)
"""``xfreerdp /v:host /u:user /p:password``."""


def slashed(text: str, at: int, taken: list[Span]) -> None:
    """``schtasks /create ... /rp password`` and ``signtool sign ... /p password``."""
    hit = _SLASHED_VALUE.match(text, at + (3 if text[at + 2] in "pP" else 4))
    if hit is not None and is_chosen(hit["value"].rstrip(_TRAILING)):
        line = max(text.rfind("\n", 0, at), at - 2 * _REACH, 0)
        if _SLASHED.search(text, line, at) is not None:
            _take(hit, taken)


def net_use(text: str, at: int, taken: list[Span]) -> None:
    r"""``net use X: \\host\share /user:name password`` and ``net user name password /add``."""
    if at and text[at - 1].isalnum() and _GLUED.match(text, at - 2, at) is None:
        return
    hit = _NET_USE.match(text, at)
    if hit is None:
        _take(_NET_USER.match(text, at), taken)
        return
    _take(hit, taken)
    _take(hit, taken, "first")


def wifi(text: str, at: int, taken: list[Span]) -> None:
    """``WIFI:T:WPA;S:name;P:password;;``, as phones read it from a picture."""
    hit = _WIFI.match(text, at)
    if hit is not None and not shapes.is_placeholder(hit["value"]):
        taken.append(Span(*hit.span("value"), STRUCTURE, "password"))


def secure_string(text: str, at: int, taken: list[Span]) -> None:
    """``ConvertTo-SecureString "password" -AsPlainText -Force``, and the password piped into it."""
    low = max(0, at - len("ConvertTo-"))
    if text[low:at].lower() != "convertto-":
        return
    if "|" in text[max(0, low - 4) : low]:
        _take(_PIPED.search(text, max(0, at - 180), at), taken)
    else:
        _take(_SECURE.match(text, at), taken)


def sqlplus(text: str, at: int, taken: list[Span]) -> None:
    """``sqlplus user/password@host``."""
    _take(_SQLPLUS.match(text, at), taken)


def connect(text: str, at: int, taken: list[Span]) -> None:
    """``connect("host", "user", "password")``, and Oracle's without the host."""
    _take(_CONNECT.match(text, at), taken)
    if "oracle" in text[max(0, at - 10) : at].lower():
        _take(_TWO.match(text, at), taken)


def totp(text: str, at: int, taken: list[Span]) -> None:
    """The seed of one-time passwords: ``oathtool --totp -b SEED``."""
    hit = _TOTP.match(text, at)
    if hit is not None and (shapes.has_digit(hit["value"]) or shapes.is_gibberish(hit["value"])):
        taken.append(Span(*hit.span("value"), STRUCTURE, "secret"))


def add_user(text: str, at: int, taken: list[Span]) -> None:
    """``rabbitmqctl add_user name password``."""
    _take(_ADD_USER.match(text, at), taken)


def kept(text: str, at: int, taken: list[Span]) -> int:
    """``vault kv put secret/app key=value``, ``heroku config:set KEY=value``, ``--value value``."""
    end = _COMMAND_END.search(text, at, at + _LITERALS_REACH)
    stop = min(len(text), at + _LITERALS_REACH) if end is None else end.start()
    for hit in _KEPT.finditer(text, at, stop):
        value = hit["value"].rstrip(_TRAILING)
        if (hit["name"] or "").lower() not in NO_SECRETS and is_chosen(value) and value[0] != "@":
            taken.append(Span(hit.start("value"), hit.start("value") + len(value), STRUCTURE, "secret"))
    return stop


def put_in(text: str, at: int, taken: list[Span]) -> None:
    """``pulumi config set --secret name value`` and ``pulumi config set name value --secret``."""
    hit = _PUT_IN.match(text, at)
    _take(hit, taken)
    _take(hit, taken, "first")


def pushed(text: str, at: int, taken: list[Span]) -> None:
    """``nuget push package.nupkg KEY``, behind its package."""
    hit = _PUSHED.match(text, at)
    if hit is not None and text.find("push ", max(0, at - _REACH), at) >= 0:
        taken.append(Span(*hit.span("value"), STRUCTURE, "token"))


def alias(text: str, at: int, taken: list[Span]) -> None:
    """``mc alias set name https://host access-key secret-key``."""
    _take(_ALIAS.match(text, at), taken)


def unlock(text: str, at: int, taken: list[Span]) -> None:
    """``bw unlock password``."""
    _take(_UNLOCK.match(text, at), taken)


def literals(text: str, at: int, taken: list[Span]) -> None:
    """``kubectl create secret generic name --from-literal=key=value``, behind its ``secret``."""
    end = text.find("\n", at, at + _LITERALS_REACH)
    for hit in _LITERAL.finditer(text, at, at + _LITERALS_REACH if end < 0 else end):
        value = hit["value"].rstrip(_TRAILING)
        if is_chosen(value):
            taken.append(Span(hit.start("value"), hit.start("value") + len(value), STRUCTURE, "secret"))
