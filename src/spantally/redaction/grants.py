"""Grants: what an application shows a server for a token: codes of OAuth, assertions of an identity.

Each handler begins at its fixed mark and reads anchored and bounded from there.
"""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import shapes
from spantally.redaction.quotes import QUOTE
from spantally.redaction.spans import STRUCTURE, Span

_ASSERTION: Final = re.compile(
    rf"""(?i)(?:samlresponse|code_?verifier|client_?assertion)(?:{QUOTE})?(?:\s{{1,4}}value)?\s{{0,4}}(?:=|:|%3D)\s{{0,4}}(?:{QUOTE})?"""
    r"""(?P<value>[A-Za-z0-9+/=%._~-]{40,65536}+)"""
)
_CODE: Final = re.compile(r"[?&;_](?:code|sas|hmac)=([A-Za-z0-9._/~%-]{16,2048})")
_BEFORE_CODE: Final = ("device_", "auth_", "authorization_")
_CODE_GRANT: Final = re.compile(rf"authorization_code{QUOTE}")
_CODE_FIELD: Final = re.compile(
    rf"""{QUOTE}code{QUOTE}\s{{0,4}}:\s{{0,4}}{QUOTE}(?P<value>[A-Za-z0-9._/~%-]{{16,2048}}+)(?={QUOTE})"""
)
_GRANT_REACH: Final = 800


def code(text: str, at: int, taken: list[Span]) -> None:
    """``?code=...`` of a redirection, and keys that sign a link."""
    hit = _CODE.match(text, at - 1) if at else None
    if hit is not None and text[at - 1] == "_" and not text.endswith(_BEFORE_CODE, 0, at):
        return
    if hit is not None and (shapes.looks_random(hit[1], 16) or shapes.case_noise(hit[1])):
        taken.append(Span(hit.start(1), hit.end(1), STRUCTURE, "secret"))


def code_grant(text: str, at: int, taken: list[Span]) -> None:
    """``{"grant_type": "authorization_code", "code": "..."}``, which is sent for a token."""
    if _CODE_GRANT.match(text, at) is None:
        return
    begin = text.rfind("{", max(0, at - _GRANT_REACH), at)
    end = text.find("}", at, at + _GRANT_REACH)
    if begin < 0:
        return
    hit = _CODE_FIELD.search(text, begin, end if end >= 0 else min(len(text), at + _GRANT_REACH))
    if hit is not None and (shapes.looks_random(hit["value"], 16) or shapes.case_noise(hit["value"])):
        taken.append(Span(*hit.span("value"), STRUCTURE, "secret"))


def assertion(text: str, at: int, taken: list[Span]) -> int:
    """What a provider of identities says of somebody, and the half of a login that nobody else may know."""
    hit = _ASSERTION.match(text, at)
    if hit is None:
        return at
    if shapes.has_digit(hit["value"]):
        taken.append(Span(*hit.span("value"), STRUCTURE, "secret"))
    return hit.end()  # also behind what is none, or a text of such names would be read again from each
