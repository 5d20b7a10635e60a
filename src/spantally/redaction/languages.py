"""Passwords and keys that are named in other scripts, and secrets that stand before their name.

"пароль: …", "密码是…", "パスワードは…です"; "use … as the API token". The words are those that software of
these languages shows beside its password fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from spantally.redaction import names, shapes
from spantally.redaction.commands import is_strong
from spantally.redaction.spans import PAIR, Span

# ruff: noqa: RUF001
_PASSWORDS: Final = (
    *("пароль", "Пароль", "ПАРОЛЬ", "паролем", "пароля", "Парола", "парола", "лозинка", "Лозинка", "κωδικός"),
    *(
        "密码",
        "密碼",
        "口令",
        "パスワード",
        "暗証番号",
        "비밀번호",
        "암호",
        "รหัสผ่าน",
        "كلمة المرور",
        "كلمة السر",
        "رمز عبور",
        "گذرواژه",
    ),
    *("סיסמה", "סיסמא", "पासवर्ड", "şifre", "Şifre", "şifresi", "Şifresi", "şifreniz", "Şifreniz"),
    # A word that begins with a letter of ASCII is found by what follows, so that every choice begins rarely.
    *("ło(?<=[Hh]asło)", "łem(?<=[Hh]asłem)", "ösenord(?<=[Ll]ösenord)", "ó(?<=[Jj]elszó)"),
    "ật khẩu(?<=[Mm]ật khẩu)",
)
_KEYS: Final = (
    *("é API(?<=[Cc]lé API)", "é d['’]API(?<=[Cc]lé d.API)", "é secrète(?<=[Cc]lé secrète)"),
    *("üssel(?<=[Ss]chlüssel)", "øgle(?<=API-nøgle)"),
    *("ключ", "Ключ", "токен", "Токен", "секрет", "Секрет", "密钥", "密鑰", "秘钥", "令牌", "トークン"),
    *("é(?<=[Cc]lé)", "üssel(?<=chlüssel)", "ı(?<=[Aa]nahtarı)", "økkel(?<=[Nn]økkel)", "íč(?<=[Kk]líč)"),
    *("アクセスキー", "シークレット", "キー", "토큰", "비밀키", "키", "κλειδί", "מפתח", "مفتاح"),
)


def _any_of(words: tuple[str, ...]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


# Plain texts, of which the interpreter looks for the first letters alone: most texts have none of them.
_NAMES: Final = re.compile(_any_of((*_PASSWORDS, *_KEYS)))
_FIRST_LETTERS: Final = frozenset(word[0] for word in (*_PASSWORDS, *_KEYS))
_ASCII: Final = bytes(range(128))
_KEY_NAMES: Final = re.compile(_any_of(_KEYS))
_AFTER: Final = re.compile(
    r"""(?xi)
    (?: (?: [ ] [\w./-]{1,24} ){0,4}? (?: [ ] \( [^()\n]{1,24} \) )? [*"'`»」』”]{0,2} [ ]?
        (?: [:=] | \b (?:to|jest|ist|lautet|est) ) (?=[ ]|\b)
    |   (?: [ ] [\w./-]{1,24} ){3,4}? (?=[ ][—–-][ ])
    |   (?: [ ] [\w./-]{1,24} ){0,2}? )
    [*"'`»」』”]{0,2} [^\S\n]{0,4}
    (?: [:：=＝] | -> | 是 | 为 | 為 | は | が | 는 | 은 | 이 | 가 | — | – | -
      | είναι | הוא | היא | هي | هو | है | คือ | là
      | (?:to|jest|est|är|är\ |on|je|е|это|az|a)\b )?
    [^\S\n]{0,4}
    ["'`«「『“*(（]{0,2} (?P<value> [!-~]{4,256} )
    """
)
_FAR: Final = re.compile(
    r"""(?xi)
    \w{0,3} (?: [ ] [\w./-]{1,24} ){0,3}?
    [ ]? (?: [:：=＝] | (?<=[ ]) [\u2013\u2014] (?=[ ])
      | (?<=[ ]) (?:est|ist|es|är|on|è|é|is|lautet|to|jest|je|это) (?: [ ]?: )? (?=[ ]) )
    [^\S\n]{0,4} ["'`«「『“*(（]{0,2} (?P<value> [!-~]{4,256} )
    """
)
"""With words between the two, which end in what joins them."""
_GO_ON: Final = (" \u2014 ", " \u2013 ", " - ")
"""Behind the name of a host, of which a password follows."""
_ENDS: Final = re.compile(r"""[\s"'`,;)\]}>\\]|\*\*|\*(?=\s|\Z)""")
_CLOSING: Final = ".!?:,;)*"
_AROUND: Final = "\"'`()[]<>,;:.*"

_BEFORE: Final = 100
"""Characters between a secret and the name behind it."""
_LONGEST: Final = 1200
_LINKS: Final = (" is the ", " is my ", " is our ", " is your ", " is a ")
"""Beside " as " and " for "."""
_USES: Final = frozenset(
    """
    use using with try set take enter put paste send pass add have is it here got gave give that value
    """.split()  # noqa: SIM905
)
_LOGIN: Final = re.compile(
    r"""(?xi) (?:credentials|creds|inloggegevens|login|zugangsdaten|логин) ["'`]?
    (?: [ ](?:(?:for|to|of|für|voor)[ ])?[\w./-]{1,40} )?
    [^\S\n]{0,3} (?: [:=] | is | -> | \u2192 | \u2013 | \u2014 | \\{1,16}u201[34] ) [^\S\n]{0,3} ["'`]?
    [\w.@+-]{2,64} (?: [ ]? [/|] [ ]? | [ ]:[ ] ) (?P<value> [^\s"'`\\<>]{6,128} )"""
)


def find_named(text: str, check: Callable[[], None], taken: list[Span]) -> None:
    """Append a span for each value that a word of another script says is a secret."""
    if text.isascii() or not _may_name(text):
        return
    for seen, named in enumerate(_NAMES.finditer(text), 1):
        if not seen & 63:
            check()
        is_key = _KEY_NAMES.fullmatch(text, named.start(), named.end()) is not None
        for behind in (_AFTER, _FAR):
            hit = behind.match(text, named.end())
            if hit is None or (behind is _AFTER and text.startswith(_GO_ON, hit.end())):
                continue
            raw = hit["value"]
            end = _ENDS.search(raw)
            value = (raw if end is None else raw[: end.start()]).rstrip(_CLOSING)
            if _is_secret(value, loose=is_key):
                start = hit.start("value")
                kind = names.TOKEN if is_key else names.PASSWORD
                taken.append(Span(start, start + len(value), PAIR, names.TYPES[kind]))
                break


def named_in(word: str, *, clear: bool = False) -> Callable[[str, int, list[Span]], None]:
    """What reads behind a word of a language that ASCII is enough for: ``clave: ...``, ``kata sandi: ...``.

    Unless they are ``clear``, these words are those of the key of a table, too, so that their value must be
    none that is written by the way.
    """
    size = len(word)

    def read(text: str, at: int, taken: list[Span]) -> None:
        if text[at + size : at + size + 1].isalnum():
            return
        if at and text[at - 1].isalnum() and (text[at - 1] not in "nrt" or text[at - 2 : at - 1] != "\\"):
            return
        for behind in (_AFTER, _FAR):
            hit = behind.match(text, at + size)
            if hit is None:
                continue
            raw = hit["value"]
            end = _ENDS.search(raw)
            value = (raw if end is None else raw[: end.start()]).rstrip(_CLOSING)
            start = hit.start("value")
            if _is_secret(value, loose=not clear) or (
                is_strong(value)
                and _is_secret(value, loose=False)
                and not (value.isidentifier() and "=" in text[at + size : start])  # code that reads a map
            ):
                taken.append(Span(start, start + len(value), PAIR, names.TYPES[names.PASSWORD]))
                break

    return read


def _may_name(text: str) -> bool:
    """Whether a letter stands in a text by which a name begins: most have dashes and quotes alone."""
    foreign = text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass")
    return not _FIRST_LETTERS.isdisjoint(foreign)


def find_before(text: str, name_start: int, taken: list[Span]) -> None:
    """Append a span for a secret that stands before the name which starts at ``name_start``."""
    low = max(0, name_start - _BEFORE)
    at = max(text.rfind(" as ", low, name_start), text.rfind(" for ", low, name_start))
    if text.find(" is ", low, name_start) >= 0:
        for link in _LINKS:
            at = max(at, text.rfind(link, low, name_start))
    if at < 0 or text.find("\n", at, name_start) >= 0 or text.count(" ", at + 1, name_start) > 6:
        return
    begin = text.rfind(" ", max(0, at - _LONGEST), at) + 1
    word = text[begin:at].strip(_AROUND)
    if len(word) < 12 or not begin:
        return
    use = text[max(0, begin - 24) : begin].rstrip().rpartition(" ")[2].strip("\"'`([").lower()
    if (use in _USES or use.endswith((":", ","))) and _is_secret(word, loose=True):
        start = text.index(word, begin)
        taken.append(Span(start, start + len(word), PAIR, names.TYPES[names.TOKEN]))


def find_login(text: str, at: int, taken: list[Span]) -> None:
    """Append a span for the second part of ``credentials: user / password``."""
    hit = _LOGIN.match(text, at)
    if hit is not None and _is_secret(hit["value"].rstrip(_CLOSING), loose=False):
        value = hit["value"].rstrip(_CLOSING)
        start = hit.start("value")
        taken.append(Span(start, start + len(value), PAIR, names.TYPES[names.PASSWORD]))


def find_strong_login(text: str, at: int, taken: list[Span]) -> None:
    """The same behind ``Login:``, of which people write other things as well."""
    hit = _LOGIN.match(text, at)
    if hit is not None and is_strong(hit["value"].rstrip(_CLOSING)):
        find_login(text, at, taken)


def _is_secret(value: str, *, loose: bool) -> bool:
    if len(value) < 6 or value[0] == "&" or shapes.is_placeholder(value) or "://" in value:
        return False
    if shapes.is_provider_id(value):
        return False
    if loose:
        return (
            shapes.looks_random(value, 12)
            or (value.isalnum() and shapes.is_restless(value, 16))
            or (len(value) >= 16 and shapes.case_noise(value))
            or (len(value) >= 24 and shapes.is_plain_id(value))
        )
    if value.isdigit():
        return len(value) >= 6
    return (
        shapes.is_mixed(value)
        or shapes.joined_words(value) >= 3
        or shapes.case_noise(value)
        or shapes.even_case(value)
    )
