"""Private keys: PEM, whole or cut off or behind what a log puts before each line, PuTTY's, those of wallets.

Each handler begins at its fixed mark and reads anchored and bounded from there.
"""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction.spans import STRUCTURE, Span

_LONGEST_PREFIX: Final = 200
_PEM_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_PEM_WORD: Final = re.compile(r"([A-Za-z0-9+/]{4,100}={0,2})[\"',;\\]{0,4}[ \t\r]*\Z")
_PEM_CLOSED: Final = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM: Final = re.compile(
    r"-----BEGIN (?:([A-Z0-9 ]{0,40}?)PRIVATE KEY(?: BLOCK)?"
    r"|OpenVPN (?:Static key|tls-crypt-v2 (?:client|server) key)(?: V[0-9])?)-----"
    r"|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----"
)
_PEM_HEADERS: Final = re.compile(
    r"(?:(?:\s|\\+[nr]){1,8}[A-Z][A-Za-z-]{2,24}: (?:[^\r\n\\]|\\{1,16}[\"']){0,120}+){1,8}+"
)
_PEM_GAP: Final = r"""(?:\s|\\+[nrt]|["',+\\]|%0[AaDd]|&#1[03];|<br[ ]?/?>|[>|#*;]|(?<=\n)//[ ]){0,64}+"""
_PEM_LINE: Final = re.compile(_PEM_GAP + r"([A-Za-z0-9+/=_%]{4,})")
_PEM_END: Final = re.compile(
    _PEM_GAP + r"""(?:-----END [A-Za-z0-9 -]{0,48}-----|---- END SSH2 [A-Z ]{0,48}----)"""
)
_PUTTY: Final = re.compile(
    r"private-lines: ?[0-9]{1,4}(?:\r?\n|(?:\\{1,16}r)?\\{1,16}n)"
    r"((?:[A-Za-z0-9+/=]{1,80}(?:(?:\r?\n|(?:\\{1,16}r)?\\{1,16}n)(?!Private-MAC))?){1,512}+)",
    re.IGNORECASE,
)
_WALLET: Final = re.compile(r"""(?i:wallet)\(\s{0,8}\\{0,16}["'`]((?:0x)?[0-9a-fA-F]{64})(?!\w)""")
_ETHEREUM_KEY: Final = re.compile("(?:0x)?[0-9a-fA-F]{64}")
_ACCOUNTS: Final = re.compile(
    r"""accounts(?:\\{0,16}["'])?\s{0,4}[:=]\s{0,4}\["""
    r"""(?P<keys>(?:(?:\s|\\{1,16}n){0,16}\\{0,16}["'`](?:0x)?[0-9a-fA-F]{64}\\{0,16}["'`],?){1,64})"""
)


def pem(text: str, at: int, taken: list[Span]) -> int:
    """A private key from its first mark on: to its last mark, or as far as lines of base64 go."""
    begin = _PEM.match(text, at)
    if begin is None:
        return at
    end = begin.end()
    headers = _PEM_HEADERS.match(text, end)
    if headers is not None:
        end = headers.end()
    lines = 0
    while (line := _PEM_LINE.match(text, end)) is not None:
        closing = _PEM_END.match(text, line.end())
        body = line[1]
        word = len(body) < 16 or (body.isalpha() and (body.islower() or body.istitle()))
        if closing is None and word and not (lines and body.endswith("=")):
            break
        end = line.end()
        lines += 1
        if closing is not None:
            break
    closing = _PEM_END.match(text, end)
    if closing is not None:
        end = closing.end()
    further, prefixed = _behind_prefixes(text, begin)
    if prefixed and further > end:
        end, lines = further, prefixed
    if lines:
        taken.append(Span(begin.start(), end, STRUCTURE, "private-key"))
    return end


def _behind_prefixes(text: str, begin: re.Match[str]) -> tuple[int, int]:
    """The end and the number of lines of a key each of which stands behind what a log put there.

    ``web_1  | MIIEow...``: name of a container, time or level, another on each line.
    """
    end, lines = begin.end(), 0
    row = text.rfind("\n", max(0, begin.start() - _LONGEST_PREFIX), begin.start())
    if not text[row + 1 : begin.start()].strip():
        return end, 0
    at = text.find("\n", end, end + 8) + 1
    while at:
        stop = text.find("\n", at, at + _LONGEST_PREFIX + 200)
        stop = len(text) if stop < 0 and len(text) - at <= _LONGEST_PREFIX + 200 else stop
        if stop < 0:
            break
        closing = text.find("-----END ", at, stop)
        if closing >= 0:
            closed = _PEM_CLOSED.match(text, closing)
            return end if closed is None or not lines else closed.end(), lines
        body = _PEM_WORD.search(text, max(at, stop - 140), stop)
        if body is None or text[body.start() - 1] in _PEM_LETTERS:
            break
        word = body[1]
        last = word.endswith("=") or stop + 2 > len(text) or "-----END " in text[stop : stop + 300]
        if len(word) < (48 if not lines else 4 if last else 32):
            break
        if word.isalpha() and (word.islower() or word.isupper() or word.istitle()):
            break
        end, lines = body.end(1), lines + 1
        at = stop + 1 if stop < len(text) else 0
    return end, lines


def putty(text: str, at: int, taken: list[Span]) -> None:
    """The lines of a key of PuTTY's."""
    hit = _PUTTY.match(text, at)
    if hit is not None:
        taken.append(Span(*hit.span(1), STRUCTURE, "private-key"))


def wallet(text: str, at: int, taken: list[Span]) -> None:
    """``new Wallet("0x...")``."""
    hit = _WALLET.match(text, at)
    if hit is not None:
        taken.append(Span(*hit.span(1), STRUCTURE, "private-key"))


def accounts(text: str, at: int, taken: list[Span]) -> None:
    """``accounts: ["0x..."]`` of a network in Hardhat's configuration: keys, since addresses are shorter."""
    hit = _ACCOUNTS.match(text, at)
    if hit is not None:
        taken.extend(
            Span(*key.span(), STRUCTURE, "private-key")
            for key in _ETHEREUM_KEY.finditer(text, *hit.span("keys"))
        )
