"""Tokens of vendors that a table knows by their prefixes, and JWTs, which begin alike everywhere."""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import shapes, table
from spantally.redaction.spans import VENDOR, Span
from spantally.redaction.tags import know_types

_DIGIT: Final = re.compile("[0-9]")
_BOUNDARY: Final = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}))"
_AWS: Final = ("AKIA", "ASIA", "ABIA", "ACCA")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9]{8,}")
_JWT_START: Final = (
    "eyJhbGci",
    "eyJ0eXAi",
    "eyJraWQi",
    "eyJlbmMi",
    "eyJjdHki",
    "eyJ4NXQi",
    "eyJhdXRocyI6",
    "eyJhIjoi",
    "eyJhIjogIj",
)
_JWT: Final = re.compile(r"[A-Za-z0-9_\-.=]+")
_AFTER_AWS: Final = re.compile(r"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])")
_BLOB: Final = 160
_NEAR: Final = 512
"""Characters on both sides of a prefix in which signs are counted, or long words would take for ever."""
_ONE_LETTER: Final = re.compile(r"(?i)(.)\1{7,}")
"""``XXXXXXXXXXXXXXXX``: a stand-in, whatever is before it."""
_LONG_PREFIX: Final = 6
_TELLS: Final = 5
"""Characters of a prefix that nobody writes by chance."""
_BLOB_SIGNS: Final = frozenset("+/")
_REFUND: Final = re.compile("[13][A-Za-z0-9]{23}")
"""What follows ``re_`` in the id of a refund, where a key of Resend's has a further underscore."""
_PADDING: Final = ("=", "==")
CASE_CHANGES: Final = re.compile("(?<=[a-z])[A-Z]|(?<=[A-Z])[a-z]")
"""Where a letter of one case follows one of the other: of names in camel case two a word."""

_BY_PREFIX: Final[dict[str, table.Row]] = {}
"""The row that asks most of those with one prefix, which stands for it where its body is long enough."""
_LESS: Final[dict[str, table.Row]] = {}
"""Of two vendors with one prefix the one whose keys are shorter."""
for _row in sorted(table.ROWS, key=lambda row: -row.least):
    (_LESS if _row.prefix in _BY_PREFIX else _BY_PREFIX)[_row.prefix] = _row
CLASSES: Final = {code: re.compile(f"[{chars}]*") for code, chars in table.CLASSES.items()}
know_types(frozenset(row.rule for row in table.ROWS) | {"jwt", "aws-secret"})


def _prefix_pattern(prefixes: list[str]) -> str:
    """An alternation that shares beginnings, so that a miss shows at the first character that differs."""
    tree: dict[str, list[str]] = {}
    for prefix in prefixes:
        if prefix:
            tree.setdefault(prefix[0], []).append(prefix[1:])
    branches = [re.escape(char) + _prefix_pattern(rest) for char, rest in sorted(tree.items())]
    if not branches:
        return ""
    body = "|".join(branches)
    return f"(?:{body})?" if "" in prefixes else (f"(?:{body})" if len(branches) > 1 else body)


PREFIX: Final = re.compile(f"{_BOUNDARY}({_prefix_pattern(list(_BY_PREFIX))}|eyJ)")
PREFIX_STARTS: Final = frozenset(prefix[:2] for prefix in (*_BY_PREFIX, "eyJ"))
"""How prefixes begin: where none of these two characters stands, the pattern need not be asked."""
PREFIX_BY_PARTS: Final = re.compile(
    rf"(?:[A-Za-z0-9]*+[^A-Za-z0-9]++)*?({_prefix_pattern(list(_BY_PREFIX))}|eyJ)"
)
"""The first one in a usual word without a percent sign: from boundary to boundary, not letter by letter.

Each boundary is kept in memory until the end."""


def take_vendor(text: str, start: int, word: str, hit: re.Match[str], taken: list[Span]) -> int:
    """Append a span for the credential that begins at ``hit``.

    Args:
        text: what is scanned.
        start: where ``word`` begins in it.
        word: what stands there without a break.
        hit: where :data:`PREFIX` or :data:`PREFIX_BY_PARTS` matched in the word.
        taken: receives the span.

    Returns:
        Where it ends in the word; 0 if it is none.
    """
    prefix = hit[1]
    if prefix == "eyJ":
        return _jwt(start, word, hit.start(1), taken)
    row = _BY_PREFIX[prefix]
    body = CLASSES[row.shape].match(word, hit.end())
    if body is not None and len(body[0]) < row.least and prefix in _LESS:
        row = _LESS[prefix]
        body = CLASSES[row.shape].match(word, hit.end())
    if body is None or len(body[0]) < row.least:
        return _take_shortened(start, word, hit, row.rule, taken)
    begin = hit.start(1)
    if (
        len(word) >= _BLOB
        and len(prefix) < _LONG_PREFIX
        and word[begin - 1 : begin] in _BLOB_SIGNS
        and word.count("+", max(0, begin - _NEAR), begin + _NEAR) >= 3
    ):
        return 0  # two or three letters behind a sign of base64 in an image are chance
    if prefix[:5] in ("live_", "test_") and word.startswith(
        shapes.PUBLISHABLE, begin - 3 if begin >= 3 else 0
    ):
        return 0
    if prefix == "re_" and _REFUND.fullmatch(body[0]) is not None:
        return 0
    if row.rule in _BLOBS and _is_blob(row.rule, word, begin, body[0]):
        return 0
    value = body[0].rstrip(".-_=") if row.shape == "d" else body[0]
    if not _is_noise(value, prefix) or _is_stand_in(value) or value.endswith("EXAMPLE"):
        return 0
    if len(prefix) < _LONG_PREFIX and prefix.isalnum() and prefix not in _AWS:
        behind = word[hit.end() + len(value) : hit.end() + len(value) + 3]
        if (behind[:1] in _BLOB_SIGNS and word.find("+", begin, begin + 128) >= 0) or (
            behind in _PADDING and len(word) % 4 == 0
        ):
            return 0  # base64 goes on or ends, so that the prefix is chance
    end = hit.end() + len(value)
    if word.startswith(_LEFT_OUT, end) and (back := _BACK.match(word, end)) is not None:
        end = back.end()
    second = _SECOND.match(word, end) if word[end : end + 1] == "." else None
    if second is not None and shapes.looks_random(second[0], 17):
        end = second.end()
    taken.append(Span(start + begin, start + end, VENDOR, row.rule))
    if row.rule == "aws-access-key":
        secret = _AFTER_AWS.search(text, start + end, start + end + 240)
        if secret and shapes.looks_random(secret[0], 40):
            taken.append(Span(secret.start(), secret.end(), VENDOR, "aws-secret"))
    return end


_KINDS: Final = ("live_", "test_")
_BLOBS: Final = frozenset({"adyen-key", "twitter-token"})


def _is_blob(rule: str, word: str, begin: int, body: str) -> bool:
    """Whether base64 of bytes that begin alike, or are nought, was taken for a key."""
    if rule == "adyen-key":
        return "-" not in body and "AAA" in body[:80]
    return body.startswith("AAAA") or word[begin - 1 : begin] in _BLOB_SIGNS


_SECOND: Final = re.compile(r"\.[A-Za-z0-9_-]{16,}")
"""Behind the first part of a key in two."""
_LEFT_OUT: Final = "..."
_BACK: Final = re.compile(r"\.\.\.[A-Za-z0-9_\-]{8,}")
_SHORTENED: Final = re.compile(r"([A-Za-z0-9_\-]{6,}?)\.\.\.([A-Za-z0-9_\-]{8,})")


def _take_shortened(start: int, word: str, hit: re.Match[str], rule: str, taken: list[Span]) -> int:
    """A key whose middle was left out, as messages shorten what they quote: both ends are most of it."""
    found = _SHORTENED.match(word, hit.end()) if len(hit[1]) >= _SHORT_PREFIX else None
    if found is None:
        return 0
    ends = found[1] + found[2]
    if not (shapes.looks_random(ends, 14) or len(CASE_CHANGES.findall(ends)) >= _CHANGES):
        return 0
    taken.append(Span(start + hit.start(1), start + found.end(), VENDOR, rule))
    return found.end()


_SHORT_PREFIX: Final = 3
_CHANGES: Final = 7
"""Of case, in what is left of a key of 14 characters or more; names in camel case have one a word."""


def _is_noise(body: str, prefix: str) -> bool:
    """Not words: ``sk-learn-pipeline-version-2`` has the prefix of a key and is none."""
    if prefix.startswith("xox") or len(prefix) >= 8:
        mixed = not body.islower() and not body.isupper() and not body.istitle()
        return _DIGIT.search(body) is not None or mixed or shapes.is_gibberish(body)
    if shapes.looks_random(body, 8):
        return True
    if prefix in _AWS and len(body) == 16:
        return True
    if len(prefix) >= 4 and body.isalnum() and len(body) >= 14 and len(CASE_CHANGES.findall(body)) >= 5:
        return True
    # Letters alone, as tokens of Hugging Face are: of names in camel case one letter in five is a capital.
    if len(prefix) >= 3 and 30 <= len(body) <= 64 and body.isalpha() and 0.3 <= _capitals(body) <= 0.7:
        return True
    for segment in _SEGMENT.findall(body[:256]):
        if _DIGIT.search(segment) and not segment.isdigit():
            return True
    return len(body) >= 14 and (
        shapes.case_noise(body) or shapes.is_gibberish(body) or _is_even(body, telling=len(prefix) >= _TELLS)
    )


def _is_stand_in(body: str) -> bool:
    """``XXXXXXXXXXXXXXXX``, ``api03-xxxxxxxx``: one letter all the time, and little else."""
    head = body[:256]
    return _ONE_LETTER.search(head) is not None and len(_ONE_LETTER.sub("", head)) < 8


def _is_even(body: str, *, telling: bool) -> bool:
    """Whether about half the letters are capitals, which camel case has not.

    One key in some hundreds is of letters alone, and says nothing to the other measures.

    Args:
        body: what stands behind a prefix.
        telling: whether the prefix is long enough to be no chance.
    """
    letters = [char for char in body[:128] if char.isalpha()]
    slack = 0.22 if telling else 0.15
    return len(letters) >= 16 and abs(sum(map(str.isupper, letters)) / len(letters) - 0.5) <= slack


def _capitals(body: str) -> float:
    return sum(map(str.isupper, body)) / len(body)


def _jwt(start: int, word: str, at: int, taken: list[Span]) -> int:
    """A JWT, whole or cut: a header that is known, or two parts that both begin an object."""
    whole = _JWT.match(word, at)
    if whole is None:
        return 0
    value = whole[0].rstrip(".")
    if not value.startswith(_JWT_START) and value.find(".eyJ") < 0:
        return 0
    if len(value) < 20:
        return 0
    taken.append(Span(start + at, start + at + len(value), VENDOR, "jwt"))
    return at + len(value)
