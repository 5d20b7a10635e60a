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
    *("magic-login/", "reset/", "invite/", "confirm/", "activate/"),
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
    *("\ttrue\t/", "\tfalse\t/", "\\ttrue\\t/", "\\tfalse\\t/"),
    "mc alias set ",
    "mdp ",
    *("_salt", "ldap_bind(", "simple_bind", "serializer("),
    *("sign in with ", "kubeadm join"),
    *("hmac256(", "hmac384(", "hmac512("),
    "hooks.zapier.com",
    *("]:25 ", "]:465 ", "]:587 "),
    "554=",
    *("pin for ", "pin of "),
    *("backup-code", "recovery-code", "verification code", "one-time code"),
    *("la contra ", "mi contra "),
    "zugangsdaten",
    "inloggegevens",
    "accounts",
)
"""Beside the stems of names; all in lower case, none of which can overlap itself."""

_LETTERS: Final = "-kwgb/puhc"
"""Letters that are rare in texts, the rarest first: a mark is found by the first of them that it has.

The hyphen is before them: of two marks at one place of one letter only one is found, and `` -key`` has two.
"""
_SIGNS: Final = {
    "@": "@",
    URL_ENCODED: "%",
    "sas=": "=",
    " <<<": "<",
    "jeton": "j",
    "554=": "=",
    "]:25 ": "]",
    "]:465 ": "]",
    "]:587 ": "]",
}
"""The same of marks that have none of them and are looked for whole, each by itself."""
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


def _places() -> dict[str, int]:
    """Where the rarest letter stands in each mark that has one; the stems first, which are met most often."""
    found: dict[str, int] = {}
    for mark in (*names.STEM_WORDS, *OTHERS):
        letter = "b" if mark.startswith("-----") else next(filter(mark.__contains__, _LETTERS), None)
        if letter is not None and (mark in names.STEM_WORDS or mark not in _ALSO.values()):
            found.setdefault(mark, mark.index(letter))
    return found


_PLACES: Final = _places()


def _by_letter(letter: str) -> tuple[re.Pattern[bytes], tuple[tuple[str, int, bool], ...]]:
    """What finds stems and marks by one letter, and for each of its groups: the mark, how far before, a stem?

    A pattern that begins with one fixed letter is searched at the speed of memory, one that begins with any
    of several goes from character to character: ten passes of the first take half as long as one such. What
    follows the letter is sorted by what comes next, so that most places are left after one glance at it.
    """
    places = _PLACES
    meanings: list[tuple[str, int, bool]] = []
    branches: list[str] = []
    following: dict[str, list[str]] = {}

    def choice(mark: str, skipped: int) -> str:
        at = places[mark]
        meanings.append(
            (_ALSO.get(mark, "" if mark in names.STEM_WORDS else mark), at, mark in names.STEM_WORDS)
        )
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


_BY_LETTERS: Final = tuple(map(_by_letter, dict.fromkeys(mark[at] for mark, at in _PLACES.items())))


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
    if mark not in _PLACES and mark not in _ALSO.values()
)
_STEMS: Final = tuple(sorted(names.STEM_WORDS, key=lambda stem: stem == "cookie"))
"""The one stem that is a mark as well stands last, beside the other marks."""
_ALL: Final = (*_STEMS, *OTHERS)
_FIRST_OTHER: Final = len(_STEMS)
_FIRST_PLACED: Final = _FIRST_OTHER - 1

_LONGEST: Final = max(map(len, _ALL))

_search: list[Callable[[bytes], list[tuple[int, int, int]]] | None] = []


_FINDERS: Final = tuple((pattern.finditer, meanings) for pattern, meanings in _BY_LETTERS)
_SEARCHES: Final = tuple(pattern.search for pattern, _ in _BY_LETTERS)
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
