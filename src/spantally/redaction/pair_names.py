"""The name around a stem, as it is written, and what words around it make of it."""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import names, shapes

_NAME_CHARS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
INNER: Final = frozenset(_NAME_CHARS)
LONGEST_NAME: Final = 64
TAIL: Final = re.compile(r"[A-Za-z0-9_\u00c0-\u024f-]*+")
_LITTLE_WORDS: Final = frozenset(
    """
    and any by del delete deleted each every evicted expired first for found from get getitem getobject
    headobject in is its key last message missing my new next no not of on one or our put putitem putobject
    record same set that the their this to token two what which with your
    """.split()  # noqa: SIM905
)
"""Words before ``key`` or ``token`` that are no part of its name."""
_OF_KEY_PAIRS: Final = frozenset(
    "dsa ecdsa eddsa gpg host openpgp pgp rsa signature signing ssh subkey".split()  # noqa: SIM905
)
"""Words before ``key`` of which people tell the id or the fingerprint."""
_FINGERPRINT: Final = re.compile(
    r"(?i)(?:[ ](?:id|fingerprint))?[ ]?(?:is|:)?[ ]?(?:0x|SHA256:)?"
    r"(?:[A-F0-9]{16}(?:[A-F0-9]{24})?|(?<=SHA256:)[A-Za-z0-9+/]{43})(?![\w+/=])"
)
"""Sixteen hex digits, forty, or a SHA-256 that is called one."""
_LAST_WORD: Final = re.compile(r"([A-Za-z]+)[ \t]+\Z")
LONGEST_SHORT: Final = 12
"""Characters of a name from which on it may be an id."""
_ESCAPE_LEFT: Final = re.compile(r"(?:u00[0-9a-fA-F]{2}|[nrtbf])")


def is_id(name: str) -> bool:
    """Whether a name is a random word that happens to end in ``pw``, such as the id of an object."""
    return name[-2:].lower() == "pw" and name[-3].isalnum() and shapes.looks_random(name, LONGEST_SHORT)


def name_around(text: str, at: int, end: int) -> tuple[int, str]:
    """Start and text of the name around ``at``, without the escape that may be glued to its front."""
    if at == 0 or text[at - 1] not in INNER:
        return at, text[at:end].strip("-.")
    left = text[max(0, at - LONGEST_NAME) : at]
    kept = left.rstrip(_NAME_CHARS)
    start = at - (len(left) - len(kept))
    if kept:
        before = kept[-1]
        if before == "\\":
            escape = _ESCAPE_LEFT.match(text, start, at)
            if escape:
                start = escape.end()
        elif before == "%":
            start = min(start + 2, at)
    return start, text[start:end].strip("-.")


def with_word_before(text: str, start: int, name: str) -> int:
    """``API key``, ``secret access key``: in prose the words of a name are apart."""
    before = text[max(0, start - 20) : start]
    if not before.endswith((" ", "\t")):
        return names.WEAK
    word = before.rstrip(" \t").rpartition(" ")[2]
    if not word.isalpha():  # the end of something longer: <td>secret
        found = _LAST_WORD.search(before)
        word = "" if found is None else found[1]
        if found is not None and before[: found.start()].endswith("<"):
            return names.WEAK  # an attribute: <li key=
        if found is not None and word[0] in "nrt" and before[: found.start()].endswith("\\"):
            word = word[1:]  # of an escaped line break
    if (
        word.lower() in _OF_KEY_PAIRS
        and name.lower() == "key"
        and _FINGERPRINT.match(text, start + len(name)) is not None
    ):
        return names.WEAK
    if not 2 <= len(word) <= 16 or word.lower() in _LITTLE_WORDS:
        return names.WEAK
    if name.lower() == "key" and names.is_place(word.lower()):
        return names.NONE
    return max(names.WEAK, names.classify(f"{word.lower()}_{name}"))
