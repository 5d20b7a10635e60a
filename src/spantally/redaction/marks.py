"""Marks: the fixed strings at which the handlers begin to read, each looked for, or all in one pass.

With the extra ``fast`` (the wheel ``ahocorasick_rs``) a text is read once for all marks; without it once for
each of some rare letters of theirs, at several times the cost. Both give the same places.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from spantally.ground.guard import swallowed
from spantally.redaction import names

WORTH_A_PASS: Final = 256
"""Characters; in a shorter text setting up costs more than it saves."""

STEP: Final = 131_072
"""Characters that are searched at a time."""

URL: Final = "://"
URL_ESCAPED: Final = ":\\/\\/"
URL_ENCODED: Final = "%3a%2f%2f"
LISTED_FLAGS: Final = tuple(f"{quote}-{flag}" for quote in "\"'" for flag in ("p", "w", "k", "a", "hp"))
"""Flags with a password in a command that is a list of texts."""
OTHERS: Final = (
    URL,
    URL_ESCAPED,
    URL_ENCODED,
    "code=",
    "hooks.slack.com",
    "hooks/",
    "hook/",
    "magic-link/",
    "verify/",
    "webhook.office.com",
    "api.telegram.org/bot",
    "infura.io",
    "alchemy.com",
    "quiknode.pro",
    "rpc.ankr.com",
    "wallet(",
    "client_assertion",
    "clientassertion",
    "-----begin ",
    "bearer",
    "basic",
    "authorization",
    "private-lines:",
    " -u",
    "--user",
    "--proxy-user",
    "into",
    "identified",
    "jdbc:oracle:",
    " <<<",
    " login ",
    "login(",
    "django-insecure-",
    "sudo -s",
    "redis-cli",
    " -p",
    " -w",
    " -k",
    " -b",
    " -a",
    "curl",
    "freerdp",
    "net use",
    "wifi:",
    "securestring",
    "sqlplus",
    "connect(",
    "connection(",
    "pdo(",
    "@",
    "totp",
    "add_user",
    "kinit ",
    "cryptsetup",
    " -x",
    " -c",
    "sas=",
    "hmac=",
    " -hp",
    *LISTED_FLAGS,
    '"-u',
    "'-u",
    " /p",
    " /rp",
    "setuser",
    "community",
    "snmp-server host ",
    "createuser",
    "expect ",
    "send --",
    "kv put",
    "kv patch",
    "vault write",
    "config:set",
    "put-parameter",
    "nupkg",
    "bw unlock ",
    "jwt.",
    "hmac.new(",
    "createhmac(",
    "pgp_sym_",
    "aes_encrypt(",
    "aes_decrypt(",
    "ftp(",
    "ftp_tls(",
    "kty",
    "config set ",
    "pin is ",
    "pin code",
    "pin: ",
    "backup code",
    "recovery code",
    "backup_code",
    "recovery_code",
    "log in as ",
    "log in with ",
    "login with ",
    "kata sandi",
    "clave",
    "chiave",
    "chave",
    "httponly",
    "jeton",
    "klucz",
    "sleutel",
    "nyckel",
    "kunci",
    "kulcs",
    "salasana",
    "login: ",
    "mnemonic",
    "phrase",
    "samlresponse",
    "code_verifier",
    "codeverifier",
    " begin ssh2 ",
    "btoa(",
    "b64encode(",
    "base64_encode(",
    "encode64(",
    "buffer.from(",
    "[]byte(",
    "create_user(",
    "create_superuser(",
    "fernet(b",
    "sonar.login",
)
"""Beside the stems of names; all in lower case, none of which can overlap itself."""

_SIGNS: Final = {
    URL_ESCAPED: "\\",
    "@": "@",
    URL_ENCODED: "%",
    "sas=": "=",
    " <<<": "<",
}
"""Characters of marks that are rare: where one is missing, nobody looks for the whole."""

_RARE_AT: Final = {
    URL: 1,
    "hooks.slack.com": 3,
    "hooks/": 3,
    "hook/": 3,
    "magic-link/": 2,
    "verify/": 6,
    "webhook.office.com": 6,
    " -u": 1,
    " -p": 1,
    " -w": 1,
    " -k": 1,
    " -b": 1,
    " -a": 1,
    " -x": 1,
    " -c": 1,
    " -hp": 1,
    **dict.fromkeys((*LISTED_FLAGS, '"-u', "'-u"), 1),
    " /p": 1,
    " /rp": 1,
    "--user": 0,
    "--proxy-user": 0,
    "sudo -s": 1,
    "api.telegram.org/bot": 8,
    "infura.io": 8,
    "alchemy.com": 3,
    "quiknode.pro": 3,
    "rpc.ankr.com": 1,
    "wallet(": 0,
    "client_assertion": 0,
    "clientassertion": 0,
    " login ": 3,
    "login(": 2,
    "django-insecure-": 12,
    "code=": 0,
    "jdbc:oracle:": 3,
    "bearer": 0,
    "basic": 0,
    "-----begin ": 5,
    "private-lines:": 0,
    "redis-cli": 6,
    "curl": 1,
    "freerdp": 6,
    "net use": 4,
    "wifi:": 0,
    "securestring": 3,
    "sqlplus": 3,
    "connect(": 0,
    "connection(": 0,
    "pdo(": 0,
    "totp": 3,
    "add_user": 4,
    "kinit ": 0,
    "cryptsetup": 0,
    "hmac=": 0,
    "setuser": 3,
    "community": 4,
    "snmp-server host ": 4,
    "createuser": 6,
    "expect ": 4,
    "send --": 5,
    "kv put": 0,
    "kv patch": 0,
    "vault write": 6,
    "config:set": 0,
    "put-parameter": 0,
    "nupkg": 3,
    "bw unlock ": 8,
    "jwt.": 1,
    "hmac.new(": 0,
    "createhmac(": 6,
    "pgp_sym_": 0,
    "aes_encrypt(": 9,
    "aes_decrypt(": 9,
    "ftp(": 2,
    "ftp_tls(": 2,
    "kty": 0,
    "config set ": 5,
    "pin is ": 0,
    "pin code": 0,
    "pin: ": 0,
    "backup code": 5,
    "recovery code": 2,
    "backup_code": 5,
    "recovery_code": 2,
    "log in as ": 2,
    "log in with ": 2,
    "login with ": 6,
    "kata sandi": 0,
    "clave": 0,
    "chiave": 0,
    "chave": 0,
    "httponly": 3,
    "jeton": 3,
    "klucz": 0,
    "sleutel": 3,
    "nyckel": 3,
    "kunci": 0,
    "kulcs": 0,
    "login: ": 2,
    "mnemonic": 7,
    "phrase": 0,
    "samlresponse": 7,
    "code_verifier": 0,
    "codeverifier": 0,
    " begin ssh2 ": 1,
    "btoa(": 0,
    "b64encode(": 0,
    "base64_encode(": 0,
    "encode64(": 2,
    "buffer.from(": 0,
    "[]byte(": 2,
    "create_user(": 0,
    "create_superuser(": 0,
    "fernet(b": 7,
    "sonar.login": 1,
}
"""Marks that are found by one letter that is rare in texts, with its place in each."""

_STEMS_AT: Final = {
    "key": 0,
    "psk": 2,
    "token": 2,
    "cookie": 3,
    "kennwort": 0,
    "sig": 2,
    "pw": 1,
    "wachtwoord": 0,
    "pass": 0,
    "parol": 0,
    "auth": 1,
    "appid": 1,
    "grant": 0,
    "macaroon": 2,
    "connectionstring": 0,
    "connection_string": 0,
    "cred": 0,
    "secret": 2,
    "contrase": 0,
    "senha": 3,
    "heslo": 0,
    "adgangskode": 7,
    "geslo": 0,
    "zaporka": 5,
    "lozinka": 5,
}
"""The same of the stems of names."""
_ALSO: Final = {"cookie": "cookie", "auth": "authorization"}
"""Marks that begin as a stem does."""
_DULL: Final = {
    "key": r"words?[ .,:\n]",
    "auth": r"ors?[ .,:\n]",
    "sig": r"n(?:s|ed|als?|ing)?[ .,:\n]",
    "cred": r"its?[ .,:\n]",
    "pass": r"(?:ed|ing)[ .,:\n]",
    "pw": "ifi:",
    "grant": r"(?:s|ed|ing)[ .,:\n]",
}
"""What must not follow a stem: words of talk, of which :func:`names.classify` says nothing in any name.

And another mark that is found by the same letter.
"""


Marks: TypeAlias = tuple[dict[str, list[int]], list[int]]
"""The marks of :data:`PLACED` in a text, each with where it begins; and where any stem begins, in order."""


def _by_letter(letter: str) -> tuple[re.Pattern[bytes], tuple[tuple[str, int, bool], ...]]:
    """What finds stems and marks by one letter, and for each of its groups: the mark, how far before, a stem?

    A pattern that begins with one fixed letter is searched at the speed of memory, one that begins with any
    of several goes from character to character: ten passes of the first take half as long as one such. What
    follows the letter is sorted by what comes next, so that most places are left after one glance at it.
    """
    places = {**_STEMS_AT, **_RARE_AT}  # the stems first: they are met a hundred times as often
    meanings: list[tuple[str, int, bool]] = []
    branches: list[str] = []
    following: dict[str, list[str]] = {}

    def choice(mark: str, skipped: int) -> str:
        at = places[mark]
        meanings.append((_ALSO.get(mark, mark if mark in _RARE_AT else ""), at, mark in _STEMS_AT))
        before = f"(?<={re.escape(mark)})" if at else ""
        dull = f"(?!{_DULL[mark]})" if mark in _DULL else ""
        return f"{re.escape(mark[at + 1 + skipped :])}{before}{dull}()"

    def close() -> None:
        for begin, marks in following.items():
            branches.append(f"{re.escape(begin)}(?:{'|'.join([choice(mark, 1) for mark in marks])})")
        following.clear()

    for mark in [mark for mark, at in places.items() if mark[at] == letter]:
        rest = mark[places[mark] + 1 :]
        if rest:
            following.setdefault(rest[0], []).append(mark)
        else:
            close()  # of two marks at one place the first counts
            branches.append(choice(mark, 0))
    close()
    return re.compile(f"{re.escape(letter)}(?:{'|'.join(branches)})".encode()), tuple(meanings)


_LETTERS: Final = tuple(
    map(
        _by_letter,
        dict.fromkeys(mark[at] for table in (_STEMS_AT, _RARE_AT) for mark, at in table.items()),
    )
)


def looked(lower: bytes) -> Marks:
    """What a search for each rare letter finds; the few marks without one are looked for one by one."""
    met: dict[str, list[int]] = {}
    stems: list[int] = []
    # In steps: one search over megabytes without a hit would let no other thread run meanwhile.
    for step in range(0, len(lower), STEP):
        end = step + STEP
        for finditer, meanings in _FINDERS:
            for hit in finditer(lower, step, end + _LONGEST):
                at = hit.start()
                if at >= end:
                    break
                mark, before, is_stem = meanings[hit.lastindex - 1]  # type: ignore[operator]
                if is_stem:
                    stems.append(at - before)
                if mark and (not is_stem or lower.startswith(mark.encode(), at - before)):
                    met.setdefault(mark, []).append(at - before)
    if len(stems) > 1:
        stems.sort()
    find = lower.find  # of one character it takes half the time of `in`
    for mark, sought, sign in _SOUGHT:
        at = find(sought) if find(sign) >= 0 else -1
        if at >= 0:
            places = met[mark] = []
            while at >= 0:
                places.append(at)
                at = find(sought, at + len(sought))
    return met, stems


def found(hits: list[tuple[int, int, int]]) -> Marks:
    """The same of all marks, which were found in one pass."""
    met: dict[str, list[int]] = {}
    stems: list[int] = []
    for index, start, _ in hits:
        if index < _FIRST_OTHER:
            stems.append(start)
            if index != _FIRST_PLACED:
                continue
        mark = _ALL[index]
        if mark in met:
            met[mark].append(start)
        else:
            met[mark] = [start]
    if len(stems) > 1:
        stems.sort()  # they come by their ends
    return met, stems


PLACED: Final = ("cookie", *OTHERS)
"""Marks whose places are told one by one."""
_SOUGHT: Final = tuple(
    (mark, mark.encode(), _SIGNS.get(mark, "").encode())
    for mark in PLACED
    if mark not in _RARE_AT and mark not in _ALSO.values()
)
_STEMS: Final = tuple(sorted(names.STEM_WORDS, key=lambda stem: stem == "cookie"))
"""The one stem that is a mark as well stands last, beside the other marks."""
_ALL: Final = (*_STEMS, *OTHERS)
_FIRST_OTHER: Final = len(_STEMS)
_FIRST_PLACED: Final = _FIRST_OTHER - 1

_LONGEST: Final = max(map(len, _ALL))

_search: list[Callable[[bytes], list[tuple[int, int, int]]] | None] = []


_FINDERS: Final = tuple((pattern.finditer, meanings) for pattern, meanings in _LETTERS)
_SEARCHES: Final = tuple(pattern.search for pattern, _ in _LETTERS)
_ALONE: Final = tuple((sign, sought) for mark, sought, sign in _SOUGHT if mark != "into")
"""What the letters do not find; ``into`` says something beside the name of a column only, which is a stem."""


def has_marks(lower: bytes) -> bool:
    """Whether a handler other than that of tokens could say something about a text; quick for a short one.

    One search for each rare letter takes two thirds of the time of a plain ``in`` test for each mark.
    """
    for search in _SEARCHES:
        if search(lower) is not None:
            return True
    find = lower.find
    return any(find(sign) >= 0 and find(sought) >= 0 for sign, sought in _ALONE)


def marks_of(lower: bytes) -> Marks | None:
    """The marks of a text; None where there are none.

    Args:
        lower: the text in lower case, a byte for each character: places are those of the text, and bytes are
            searched, and put into lower case, as fast as can be.
    """
    size = len(lower)
    if size >= WORTH_A_PASS:
        search = _search[0] if _search else _prepared()
        if search is not None:
            hits = search(lower)
            return found(hits) if hits else None
        return looked(lower)
    return looked(lower) if has_marks(lower) else None


def is_fast() -> bool:
    """Whether the extra ``fast`` is there and works."""
    return (_search[0] if _search else _prepared()) is not None


def _prepared() -> Callable[[bytes], list[tuple[int, int, int]]] | None:
    search: Callable[[bytes], list[tuple[int, int, int]]] | None = None
    try:
        import ahocorasick_rs
    except ImportError:
        pass
    else:
        try:
            automaton: Any = ahocorasick_rs.BytesAhoCorasick(
                [mark.encode() for mark in _ALL], implementation=ahocorasick_rs.Implementation.DFA
            )

            def look(raw: bytes) -> list[tuple[int, int, int]]:
                found: list[tuple[int, int, int]] = automaton.find_matches_as_indexes(raw, overlapping=True)
                return found

            if look(b"a bearer") == [(_ALL.index("bearer"), 2, 8)]:
                search = look
        except Exception as error:
            swallowed("redaction.fast", error)
    _search[:] = [search]
    return search
