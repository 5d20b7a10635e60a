"""Passwords and keys that are named in other scripts, and secrets that stand before their name.

"пароль: …", "密码是…", "パスワードは…です"; "use … as the API token". The words are those that software of
these languages shows beside its password fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from spantally.redaction import names, shapes
from spantally.redaction.spans import PAIR, Span

# ruff: noqa: RUF001
_PASSWORDS: Final = (
    *("пароль", "паролем", "пароля", "密码", "密碼", "口令", "パスワード", "暗証番号", "비밀번호", "암호"),
    *("รหัสผ่าน", "كلمة المرور", "كلمة السر", "סיסמה", "סיסמא", "पासवर्ड", "hasło", "hasłem", "lösenord"),
    *("jelszó", "şifre", "şifresi", "mật khẩu", "κωδικός", "парола", "лозинка"),
)
_KEYS: Final = (
    *("ключ", "токен", "секрет", "密钥", "密鑰", "秘钥", "令牌", "トークン", "アクセスキー", "シークレット"),
    *("キー", "토큰", "비밀키", "키", "κλειδί", "מפתח", "مفتاح"),
)


def _any_of(words: tuple[str, ...]) -> str:
    return "|".join(word.replace(" ", "[ ]") for word in sorted(words, key=len, reverse=True))


_NAMED: Final = re.compile(
    rf"""(?xi)
    (?: (?P<password>{_any_of(_PASSWORDS)}) | (?P<key>{_any_of(_KEYS)}) )
    (?: [ ] [\w./-]{{1,24}} ){{0,2}}?
    [*"'`»」』”]{{0,2}} [^\S\n]{{0,4}}
    (?: [:：=＝] | -> | 是 | 为 | 為 | は | が | 는 | 은 | 이 | 가 | — | – | -
      | είναι | הוא | היא | هي | هو | है | คือ | là
      | (?:to|jest|est|är|är\ |on|je|е|это|az|a)\b )?
    [^\S\n]{{0,4}}
    ["'`«「『“*(（]{{0,2}} (?P<value> [!-~]{{4,256}} )
    """
)
_ENDS: Final = re.compile(r"""[\s"'`,;)\]}>*\\]""")
_CLOSING: Final = ".!?:,;)*"

_AS: Final = re.compile(
    r"""(?xi)
    (?: \b (?: use|using|with|try|set|take|enter|put|paste|send|pass|add|have|is|it|here|got ) \b [^\S\n]{1,3}
      | [("'`:] [^\S\n]{0,2} )
    ["'`]? (?P<value> [^\s"'`<>,;()]{12,256} ) ["'`]?
    [^\S\n]{1,3} (?:as|for|is) [^\S\n]{1,3} (?: (?:the|my|our|your|a|an|their|this) [^\S\n]{1,3} )?
    (?: [\w./-]{1,32} [^\S\n]{1,3} ){0,4} \Z
    """
)
_BEFORE: Final = 360
_LOGIN: Final = re.compile(
    r"""(?xi) (?:credentials|creds|login|логин) ["'`]? [^\S\n]{0,3} [:=] [^\S\n]{0,3} ["'`]?
    [\w.@+-]{2,64} [ ]? [/|] [ ]? (?P<value> [^\s"'`\\<>]{6,128} )"""
)


def find_named(text: str, check: Callable[[], None], taken: list[Span]) -> None:
    """Append a span for each value that a word of another script says is a secret."""
    if text.isascii():
        return
    for seen, hit in enumerate(_NAMED.finditer(text), 1):
        if not seen & 63:
            check()
        raw = hit["value"]
        end = _ENDS.search(raw)
        value = (raw if end is None else raw[: end.start()]).rstrip(_CLOSING)
        if _is_secret(value, loose=hit["key"] is not None):
            start = hit.start("value")
            kind = names.TOKEN if hit["key"] is not None else names.PASSWORD
            taken.append(Span(start, start + len(value), PAIR, names.TYPES[kind]))


def find_before(text: str, name_start: int, taken: list[Span]) -> None:
    """Append a span for a secret that stands before the name which starts at ``name_start``."""
    left = text[max(0, name_start - _BEFORE) : name_start]
    if " as " not in left and " for " not in left and " is " not in left:
        return
    line = left.rpartition("\n")[2]
    hit = None
    for hit in _AS.finditer(line):  # noqa: B007 - the last one is the nearest
        pass
    if hit is None:
        return
    value = hit["value"].rstrip(_CLOSING)
    if not _is_secret(value, loose=True):
        return
    start = name_start - len(line) + hit.start("value")
    taken.append(Span(start, start + len(value), PAIR, names.TYPES[names.TOKEN]))


def find_login(text: str, at: int, taken: list[Span]) -> None:
    """Append a span for the second part of ``credentials: user / password``."""
    hit = _LOGIN.match(text, at)
    if hit is not None and _is_secret(hit["value"].rstrip(_CLOSING), loose=False):
        value = hit["value"].rstrip(_CLOSING)
        start = hit.start("value")
        taken.append(Span(start, start + len(value), PAIR, names.TYPES[names.PASSWORD]))


def _is_secret(value: str, *, loose: bool) -> bool:
    if len(value) < 6 or shapes.is_placeholder(value) or "://" in value:
        return False
    if shapes.is_provider_id(value):
        return False
    if loose:
        return (
            shapes.looks_random(value, 12)
            or (len(value) >= 16 and shapes.case_noise(value))
            or (len(value) >= 24 and shapes.is_plain_id(value))
        )
    if value.isdigit():
        return len(value) >= 6
    return shapes.is_mixed(value) or shapes.joined_words(value) >= 3 or shapes.case_noise(value)
