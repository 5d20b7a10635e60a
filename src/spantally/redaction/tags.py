"""Tags: what stands in the place of a secret, and how a tag is recognised again.

A tag is ``[REDACTED:type:hmac8]``. The eight hex digits are a *keyed* hash of the secret: equal secrets of
one installation (of all processes that share :mod:`the key <spantally.redaction.key>`) have equal digits,
while a bare hash of a weak password could be guessed by trying words.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

from spantally.redaction import key as keys

if TYPE_CHECKING:
    from collections.abc import Callable

ERROR_TAG: Final = "[REDACTED:error]"
"""Stands for a value whose scan failed or ran out of time: nothing of it is let through."""

OPENING: Final = "[REDACTED:"

_TAG: Final = re.compile(r"\[REDACTED:(?:error|([a-z][a-z0-9-]{0,31}):[0-9a-f]{8})\]")

_types: Final[set[str]] = {
    "authorization",
    "basic-auth",
    "bearer",
    "cookie",
    "credential",
    "django-key",
    "literal",
    "password",
    "private-key",
    "rule",
    "secret",
    "signature",
    "token",
    "unknown-vendor",
    "url-password",
    "webhook",
}
"""Types a tag may have. Text that merely looks like a tag is not trusted: it could hold a secret."""

MARK: Final = " [UNREDACTED:error]"
"""Stands at the end of a value for which a rule of the user failed, where ``strict=False`` lets it pass."""

_key: keys.Key | None = None
_cache_key: Final = os.urandom(32)
_keyed: Final[dict[int, Any]] = {}
"""What hashes begin with, by their size."""
_blake2b: Callable[..., Any] | None = None


def know_types(names: frozenset[str]) -> None:
    """Add types that tags may have; lower-case letters, digits and hyphens, at most 32."""
    _types.update(names)


def _hasher() -> Callable[..., Any]:
    """BLAKE2b, fetched at the first use: its module brings a cryptographic library, a tenth of our import."""
    global _blake2b
    from hashlib import blake2b

    _blake2b = blake2b
    return blake2b


def key_in_use() -> keys.Key:
    """The key of the digits; read at the first tag, and then kept, by children of a fork too."""
    global _key
    if _key is None:
        _key = keys.load()
    return _key


def key_to_be() -> keys.Key:
    """The same without making a file or keeping anything: for those who only ask."""
    return _key or keys.load(create=False)


def digest(data: bytes, size: int = 16) -> bytes:
    """The keyed BLAKE2b hash of ``data``, ``size`` bytes long, by a key that never leaves this process."""
    keyed = _keyed.get(size)
    if keyed is None:
        keyed = _keyed[size] = (_blake2b or _hasher())(digest_size=size, key=_cache_key)
    made = keyed.copy()  # the key was worked in already
    made.update(data)
    answer: bytes = made.digest()
    return answer


def tag(kind: str, secret: str) -> str:
    """The tag that replaces ``secret``.

    Args:
        kind: the type, one that :func:`know_types` was told or a built-in one.
        secret: the text that goes; only its keyed hash enters the tag.
    """
    made = (_blake2b or _hasher())(
        secret.encode("utf-8", "surrogatepass"), digest_size=4, key=(_key or key_in_use()).secret
    )
    return f"{OPENING}{kind}:{made.hexdigest()}]"


def tag_end_at(text: str, start: int) -> int:
    """Where the tag that begins at ``start`` ends; 0 if none begins there."""
    if not text.startswith(OPENING, start):
        return 0
    hit = _TAG.match(text, start)
    return hit.end() if hit is not None and (hit[1] is None or hit[1] in _types) else 0


def is_tag_at(text: str, type_start: int) -> bool:
    """Whether the word at ``type_start`` is the type of a tag, which says nothing of what follows it."""
    start = type_start - len(OPENING)
    return start >= 0 and tag_end_at(text, start) > 0


def find_tags(text: str) -> list[tuple[int, int]]:
    """Start and end of every tag in ``text``, in order."""
    if OPENING not in text:
        return []
    return [m.span() for m in _TAG.finditer(text) if m[1] is None or m[1] in _types]


def without_tags(text: str) -> str:
    """What stands beside the tags of a text."""
    kept: list[str] = []
    at = 0
    for start, end in find_tags(text):
        kept.append(text[at:start])
        at = end
    return "".join([*kept, text[at:]])
