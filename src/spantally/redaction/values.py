"""Values: what is taken for a secret beside a name, by where it was found and what it looks like."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from spantally.redaction import names, shapes
from spantally.redaction.tags import OPENING, without_tags

SHORTEST: Final = 4
"""Characters of a value that may be a secret."""
_CALL: Final = re.compile(r"[A-Za-z_][\w.]*(?:\(|=(?!=|$))")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\Z")
_PATH_OF_NAMES: Final = re.compile(r"\*?[A-Za-z_]\w*(?:(?:\.|::|->)[A-Za-z_]\w*)*\Z")
_WORD_AND_COUNT: Final = re.compile(r"[A-Za-z_.-]+[0-9]{0,2}\Z")
_PATH: Final = re.compile(
    r"(?:~|\.{1,2})?/[\w.@-]+(?:/[\w.@ -]*)*(?::[0-9]{1,6}){0,2}\Z|[A-Za-z]:\\\\?[\w.-]+.*"
)
_SNAKE: Final = re.compile(r"[a-z]{2,}(?:[_-][a-z]{2,})+(?:[_-]?[0-9]{1,4})?\Z")
"""``created_at_desc_2024``: words and a number."""
_OTHER_KEY: Final = re.compile(r"[a-z]+[0-9]{1,4}[A-Z][a-z]{2,}\Z")
"""``test1024Key``: a variable."""
_CONSTANT: Final = re.compile(r"[A-Z]{2,}[0-9]{1,3}[A-Z]{3,}\Z")
"""``HTTP200ALIASES`` in a list of constants."""
_RESOURCE_PART: Final = re.compile(
    r"(?:[A-Za-z][a-z]*(?:[A-Z][a-z]+)*(?:[._@-][A-Za-z]?[a-z]*){0,8}[0-9]{0,4}|[0-9]{1,4})\Z"
)
_LONGEST_NUMBER: Final = 10
_PIN: Final = 6
"""Digits in quotes that are a password."""
_MANY_DIGITS: Final = 18
"""From here on no number that people count with, nor a time in nanoseconds less than that."""
_RESOURCE_PARTS: Final = 4
_ODD: Final = re.compile(r"[!?~^#*;,@$%]")
"""Marks that no argument of a call has by itself."""
_CHOSEN: Final = re.compile(r"[!@#$%^&*+=?~]")
_STRUCTURE: Final = re.compile(r"[\s/\\(){}\[\]<>|:;,.\"'`]|\+\+|&&|==|[$%]\{?[A-Za-z]{2,}\Z|\A[$%#]")
_LONG_STRONG: Final = 12
_MARKS: Final = re.compile("[=_-]")
_POINTER: Final = re.compile(r"0x[0-9a-fA-F]{1,16}\Z")
_ESCAPED: Final = re.compile(r"(?:\\{1,16}u(?!00[0-7])[0-9a-fA-F]{4})+\Z")
"""A word of another script, as JSON may have it."""
_ISSUE: Final = re.compile(r"[A-Z][A-Z0-9]{1,9}-[0-9]{1,7}\Z")
"""``OPS-10465`` of a tracker, whose numbers are called keys."""
_CACHED: Final = re.compile(
    r"(?:(?:[A-Za-z][a-z]+|[a-z]{1,3}[0-9]{1,2})[:/|#-]){1,6}"
    r"(?:[0-9]{1,20}|[0-9a-f]{8,16}|[0-9a-f]{32,128}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"(?:[:/|#-](?:[a-z]+|[a-z]{1,3}[0-9]{1,2}|[0-9a-f]{8,16})){0,4}\Z"
)
"""``user:8241077:profile``, ``linux-pip-`` and a hash: words around one number or hash, of what is kept."""
_COORDINATE: Final = re.compile(r"[a-z][a-z-]{1,40}:v?[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}\Z")
"""``jjwt-api:3.17.1``: what is built with."""
_COUNTED_FOR: Final = re.compile(
    r"(?:[a-z][a-z_]{1,24}[:/|-]){1,4}[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:[:/|-][a-z0-9/_.-]{0,64})?\Z"
)
"""``rate:203.0.113.5:/api``: words around an address, for which something is counted."""
_ULID: Final = re.compile("01[0-9A-HJKMNP-TV-Z]{24}\\Z")
"""An id that begins with a time."""
_PRINT: Final = re.compile("[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
"""Of a certificate."""
_FILE: Final = re.compile(r"/[^/]*\.[a-z]{2,5}\Z")
_COUNTED: Final = re.compile("[A-Za-z]+[0-9]+")
_CASE_CHANGES: Final = re.compile("(?<=[a-z])[A-Z]|(?<=[A-Z])[a-z]")
_SPACED: Final = re.compile(r"[0-9!@#$%^&*]")
_LETTERED: Final = re.compile(r"[A-Z]{1,2}[a-z]+\Z")


_TALK: Final = re.compile(
    r"(?i)(?:\A|[ ])(?:a|at|be|can|cannot|de|der|die|does|has|is|la|must|no|not|of|or|pas|should|than|the|to)"
    r"[ ]"
)
_MESSAGE: Final = 4
"""Spaces of a sentence about a password: phrases that people choose have fewer, and no such words."""


class Site(NamedTuple):
    """Where a value was found, as far as it decides what counts as a secret."""

    kind: int
    quoted: bool
    how: str
    """``operator``, ``element``, ``list``, ``cell``, ``prose`` or ``space``."""
    tight: bool
    """No space around the separator: ``A=b``."""
    line_start: bool
    """The name begins its line (after ``export``, ``-`` or a prompt)."""
    in_url: bool
    far: bool
    """A line break lies between name and value."""


_LABELS: Final = frozenset(
    """
    adgangskode contraseña contrase\\u00f1a hasło has\\u0142o heslo kennwort lösenord l\\u00f6senord
    parola passord passwort salasana senha wachtwoord şifre пароль 密码 密碼 パスワード 비밀번호
    """.split()  # noqa: SIM905
)
"""What stands beside the field of a password, in languages that have one word for it."""
_NAME_WITH_NUMBER: Final = re.compile(r"_?[a-z]+(?:_(?:[a-z]+|[0-9]{1,4}))*_(?:key|token|secret|password)\Z")
"""``_pep_440_key``: a variable."""
_LETTER: Final = re.compile(r"\\{1,16}u([0-9a-fA-F]{4})")


def _letter_of(escape: re.Match[str]) -> str:
    """The letter that an escape of JSON stands for; the escape itself where it stands for none."""
    letter = chr(int(escape[1], 16))
    return letter if letter.isalpha() else escape[0]


def acceptable(value: str, site: Site) -> bool:
    """Whether ``value``, found at ``site``, is taken for a secret."""
    if OPENING in value:
        value = without_tags(value)  # the digits of a tag are noise, and say nothing of what stands beside it
    if site.kind == names.TOKEN and "\\u" in value:
        value = _LETTER.sub(_letter_of, value)  # of a word in another language it says no more than that
    if len(value) < SHORTEST or shapes.is_placeholder(value) or _named_like_a_secret(value):
        return False
    if value[0] == " ":
        return False  # what stands between two texts
    if site.kind == names.PASSWORD and site.quoted and value.lower() in _LABELS:
        return False
    if value[2] == ":" and site.kind != names.PASSWORD and _PRINT.match(value):
        return False
    if value[0] in "0\\" and (
        _ESCAPED.match(value) or (site.kind != names.PASSWORD and _POINTER.match(value))
    ):
        return False
    if "a-z" in value and ("A-Z" in value or "0-9" in value):
        return False  # a pattern
    if shapes.is_sealed(value):
        return False
    if site.kind == names.TOKEN and _named_like_a_secret(value.rstrip("0123456789")):
        return False
    if site.kind == names.WEAK and not site.in_url:
        return _weak(value, site)
    if site.how in ("space", "cell", "prose", "list") or site.far:
        return _loose(value, site)
    if site.kind == names.PASSWORD:
        return _password(value, site)
    return _token(value, site)


def _weak(value: str, site: Site) -> bool:
    if shapes.is_plain_id(value) or shapes.is_provider_id(value) or " " in value or "/" in value[:2]:
        return False
    if _SNAKE.match(value) or is_place(value):
        return False
    least = 20 if site.how in ("space", "list", "cell") else 14
    return (
        shapes.looks_random(value, least)
        or (len(value) >= 20 and shapes.case_noise(value))
        or (site.quoted and site.how == "operator" and _is_strong(value))
    )


def _is_strong(value: str) -> bool:
    """Whether letters of both cases, digits and a mark are in a value, and nothing that code has."""
    return (
        len(value) >= _LONG_STRONG
        and shapes.has_digit(value)
        and _CHOSEN.search(value) is not None
        and any(map(str.islower, value))
        and any(map(str.isupper, value[1:]))
        and _STRUCTURE.search(value) is None
    )


def is_place(value: str) -> bool:
    """Whether a value says where something is kept: a file, words around one number, an id with its time."""
    return (
        _FILE.search(value) is not None
        or _CACHED.match(value) is not None
        or _ULID.match(value) is not None
        or _COUNTED_FOR.match(value) is not None
        or _COORDINATE.match(value) is not None
    )


def _loose(value: str, site: Site) -> bool:
    """Prose, flags, cells, argument lists: the value itself must look like a secret."""
    if " " in value or "://" in value or _PATH.match(value) or _is_code(value, site):
        return False
    if site.how == "space" and site.kind == names.WEAK:
        return False
    if "." in value and not shapes.has_digit(value) and _IDENTIFIER.match(value):
        return False
    if value.count("_") > 1 and value.islower() and names.judge(names.words_of(value)) != names.NONE:
        return False  # another name
    if value.isdigit() and site.kind != names.WEAK and (site.how != "list" or site.kind == names.PASSWORD):
        if site.kind == names.PASSWORD and site.quoted and not site.far:
            return len(value) >= _PIN
        return (12 if site.kind == names.PASSWORD else _MANY_DIGITS) <= len(value) <= 40
    if not shapes.is_mixed(value):
        if site.kind == names.PASSWORD and (
            shapes.joined_words(value) >= 4 or (site.how != "list" and shapes.even_case(value))
        ):
            return True
        if site.kind == names.SECRET and site.how == "prose" and shapes.joined_words(value) >= 4:
            return True
        return len(value) >= 10 and shapes.case_noise(value)
    if site.kind == names.PASSWORD:
        if site.how == "list" and _CONSTANT.match(value):
            return False
        return len(value) >= 6 and not value.isdigit() and (site.how != "list" or len(value) >= 8)
    if shapes.looks_random(value, 12) or (len(value) >= 16 and shapes.case_noise(value)):
        return not shapes.is_provider_id(value)
    if site.kind == names.SECRET and site.how == "prose" and _is_chosen(value):
        return True
    if site.kind != names.WEAK and site.how == "list" and _is_chosen(value) and _CHOSEN.search(value):
        return site.kind == names.SECRET or len(value) >= 10
    if site.kind != names.WEAK and site.how == "space" and len(value) >= 10 and value.isalnum():
        if shapes.has_digit(value) and len(_CASE_CHANGES.findall(value)) >= 4:
            return True
        return len(value) >= 16 and sum(map(str.isdigit, value)) >= 3 and not _COUNTED.fullmatch(value)
    if len(value) >= 16 and value.isalnum() and shapes.even_case("".join(filter(str.isalpha, value))):
        return True
    if len(value) >= 16 and value.isalnum() and site.kind != names.WEAK and sum(map(str.isdigit, value)) >= 2:
        return True
    if site.kind != names.WEAK and "/" not in value and "." not in value:
        if (
            shapes.is_restless(value, 20)
            and not shapes.is_plain_id(value)
            and not shapes.is_provider_id(value)
        ):
            return True
        if len(value) >= 24 and value.isalnum() and shapes.is_gibberish(value):
            return True
    return len(value) >= 12 and (shapes.is_plain_id(value) or shapes.is_hex(value)) and site.how != "list"


def _is_code(value: str, site: Site) -> bool:
    """A call or an argument, unless it is of a password and has marks that those have not."""
    call = _CALL.match(value)
    if call is None or ("(" not in value and _is_noise_with_marks(value)):
        return False
    if site.kind == names.PASSWORD and site.quoted and "(" not in value:
        return False
    return site.kind != names.PASSWORD or "(" in value or _ODD.search(value) is None


def _is_noise_with_marks(value: str) -> bool:
    """``kz7bluetv=o6osvmjhh0v05_y9b-``: noise of which an equals sign is one letter, and no argument."""
    bare = _MARKS.sub("", value)
    return len(value) >= 24 and (shapes.looks_random(bare, 20) or shapes.is_restless(value, 24))


def _is_chosen(value: str) -> bool:
    """Whether people choose a secret like it: two of digits, marks and a capital within."""
    if len(value) < 8 or value[0] in "/~-@" or value.count(".") > 1 or shapes.is_provider_id(value):
        return False
    inner = any(map(str.islower, value)) and any(map(str.isupper, value[1:]))
    return shapes.has_digit(value) + (_CHOSEN.search(value) is not None) + inner >= 2


def _password(value: str, site: Site) -> bool:
    if " " in value:
        return (
            site.quoted and len(value) <= 128 and _SPACED.search(value) is not None and not _sentence(value)
        )
    if value.isdigit():
        return len(value) >= 6 or (site.quoted and len(value) >= 4)
    if shapes.joined_words(value) >= 3 or (len(value) >= 8 and shapes.case_noise(value)):
        return True
    if shapes.is_mixed(value):
        if site.quoted or not _IDENTIFIER.match(value):
            return "://" not in value or site.tight
        digits = sum(map(str.isdigit, value))
        return site.tight or "." not in value or digits >= 2 or shapes.looks_random(value, 8)
    if _LETTERED.match(value) and not site.in_url:
        return False
    if site.tight and shapes.even_case(value):
        return True
    if site.quoted:
        return len(value) >= 6 and "." not in value and "/" not in value
    return len(value) >= 6 and site.tight and site.line_start and "." not in value


def _sentence(value: str) -> bool:
    words = value.count(" ")
    return (words >= 2 and value[:1].isupper()) or (words >= _MESSAGE and _TALK.search(value) is not None)


def _token(value: str, site: Site) -> bool:
    if " " in value or len(value) < 8 or (value.isdigit() and len(value) < 16):
        return False
    if _PATH.match(value) or "://" in value:
        return False
    if (
        _is_resource(value)
        or _COUNTED_FOR.match(value)
        or _COORDINATE.match(value)
        or _ISSUE.match(value)
        or (value.startswith("0x") and len(value) <= _LONGEST_NUMBER)
    ):
        return False
    if site.kind == names.SIGNATURE:
        return len(value) >= 16 and (shapes.has_digit(value) or shapes.case_noise(value))
    if not shapes.has_digit(value):
        # random text of this length without a digit is rare
        if site.kind == names.SECRET and site.quoted and "_" not in value and "." not in value:
            return not _LETTERED.match(value)
        return (
            shapes.case_noise(value)
            or shapes.is_gibberish(value)
            or (len(value) >= 16 and shapes.even_case(value))
            or (site.kind == names.SECRET and site.tight and shapes.joined_words(value) >= 4)
        )
    if _WORD_AND_COUNT.match(value) and len(value) < 24 and not (site.kind == names.SECRET and site.quoted):
        return shapes.looks_random(value, 8) or shapes.case_noise(value) or shapes.is_gibberish(value)
    if not site.quoted and not site.tight and _OTHER_KEY.match(value):
        return False
    return site.quoted or not _IDENTIFIER.match(value) or "." not in value or shapes.looks_random(value, 8)


def _is_resource(value: str) -> bool:
    """``projects/my-project/locations/us/keyRings/my-ring``: where something stands."""
    parts = value.split("/")
    return len(parts) >= _RESOURCE_PARTS and all(map(_RESOURCE_PART.match, parts))


def _named_like_a_secret(value: str) -> bool:
    """``api_key=api_key``, ``token=OPENAI_API_KEY``: the value is itself a name, not a secret."""
    if len(value) > 48 or (shapes.has_digit(value) and _NAME_WITH_NUMBER.match(value) is None):
        return False
    if value.count("-") == 1:
        value = value.replace("-", "_")
    if not _IDENTIFIER.match(value):
        return False
    words = names.words_of(value)
    return (len(words) > 1 or value.isupper()) and names.judge(words) != names.NONE


def is_call(text: str, value: str, end: int, site: Site) -> bool:
    """Whether code computes a value: ``token = make_token(...)``, ``key = keys[0]``."""
    following = text[end : end + 1]
    if site.quoted or not following or following not in "([{":
        return False
    return _PATH_OF_NAMES.match(value) is not None and not shapes.looks_random(value, 12)
