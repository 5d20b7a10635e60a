"""Inline media: its kind, size and hash instead of its bytes; the bytes at most go to a file of their own."""

from __future__ import annotations

import binascii
import hashlib
import re
import string
import threading
from collections.abc import Iterator
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes

from spantally.calls.marks import mark
from spantally.ground.guard import swallowed

_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*(;base64)?,", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\-\s]++={0,2}\s*+")  # possessive: linear on any text
_EMBEDDED: Final = re.compile(
    r"data:([\w.+-]+/[\w.+-]+)(?:;[\w.+-]+=[^;,\s]{0,100})*;base64,([A-Za-z0-9+/_-]{64,}={0,2})",
    re.IGNORECASE,
)
_LONG_RUN: Final = 1024
_LETTERS: Final = string.ascii_letters + string.digits + "+/"
_RUN: Final = re.compile(r"[A-Za-z0-9+/]++={0,2}")
_LONG: Final = 1024
"""From this length on, a text of nothing but base64 in an unknown place is taken for media."""
_SLICE: Final = 1 << 18
"""Characters that are decoded at once; a multiple of 4."""
_DEPTH: Final = 20
_MOST_KNOWN: Final = 1_024

_MODALITIES: Final = ("image", "audio", "video")

_known: dict[Any, tuple[int, str]] = {}
"""Size and hash of media seen before (a history holds its images with every call), by keyed hash."""


class Keeper(Protocol):
    """What takes media to keep it."""

    def offer(self, data: str | bytes, size: int, digest: str) -> None:
        """Take media as base64 or bytes, with its size in bytes and its SHA-256."""


keepers: Final[set[Any]] = set()
"""Who keeps media in this process."""


class _Local(threading.local):
    keeper: Keeper | None = None


_local: Final = _Local()


class kept_by:  # noqa: N801 - reads as a statement: `with kept_by(files):`
    """Gives the media that is met inside, on this thread, to a keeper, if there is one."""

    __slots__ = ("_before", "_keeper")

    def __init__(self, keeper: Keeper | None) -> None:
        self._keeper = keeper
        self._before: Keeper | None = None

    def __enter__(self) -> None:
        if self._keeper is not None:
            self._before, _local.keeper = _local.keeper, self._keeper

    def __exit__(self, *_: object) -> None:
        if self._keeper is not None:
            _local.keeper = self._before


def offer(data: str | bytes, size: int, digest: str) -> None:
    """Give media to whoever keeps it on this thread, if anybody does."""
    keeper = _local.keeper
    if keeper is not None:
        try:
            keeper.offer(data, size, digest)
        except Exception as error:
            swallowed("calls.media_offer", error)


def is_kept() -> bool:
    """Whether media is kept at all in this process."""
    return bool(keepers)


LEAST_HASHED: Final = 64
"""Bytes of no known type below which nothing tells what they are."""


def modality(mime_type: str | None) -> str:
    """The conventions' modality of a MIME type: image, audio, video or document."""
    kind = (mime_type or "").partition("/")[0].lower()
    return kind if kind in _MODALITIES else "document"


def blob(encoded: str, mime_type: str | None, kind: str | None = None) -> dict[str, Any]:
    """A blob part for base64 media: ``content`` stays empty, ``size`` (bytes) and ``sha256`` tell of it.

    Args:
        encoded: base64, also in the URL-safe alphabet; what cannot be decoded is hashed as it is.
        mime_type: its type where known.
        kind: the modality; by default that of the type.
    """
    size, digest = measure(encoded)
    return _described(encoded, size, digest, mime_type, kind)


def blob_of_bytes(raw: bytes, mime_type: str | None = None, kind: str | None = None) -> dict[str, Any]:
    """A blob part for media that is there as bytes.

    Of a few bytes of no known type the hash is not told: they may be a password, which it would give away to
    whoever tries words.
    """
    if mime_type is None and len(raw) < LEAST_HASHED:
        return {"type": "blob", "modality": kind or modality(None), "content": "", "size": len(raw)}
    return _described(raw, len(raw), hashlib.sha256(raw).hexdigest(), mime_type, kind)


def _described(
    data: str | bytes, size: int, digest: str, mime_type: str | None, kind: str | None
) -> dict[str, Any]:
    offer(data, size, digest)
    part: dict[str, Any] = {"type": "blob", "modality": kind or modality(mime_type), "content": ""}
    if mime_type is not None:
        part["mime_type"] = mime_type
    part["size"] = size
    part["sha256"] = digest
    return part


def measure(encoded: str) -> tuple[int, str]:
    """Size in bytes and SHA-256 (hex) of what a base64 text encodes, decoded slice by slice."""
    key = mark(encoded)
    known = _known.get(key)
    if known is None:
        known = _measured(encoded)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[key] = known
    return known


def _measured(encoded: str) -> tuple[int, str]:
    hashed = hashlib.sha256()
    size = 0
    try:
        for decoded in decoded_slices(encoded):
            hashed.update(decoded)
            size += len(decoded)
    except (ValueError, UnicodeError):
        raw = encoded.encode("utf-8", "replace")
        return len(raw), hashlib.sha256(raw).hexdigest()
    return size, hashed.hexdigest()


def decoded_slices(encoded: str) -> Iterator[bytes]:
    """The bytes that a base64 text encodes, in pieces.

    Raises:
        ValueError: it is no base64.
    """
    if "-" in encoded or "_" in encoded:
        encoded = encoded.replace("-", "+").replace("_", "/")
    if not _is_compact(encoded):
        encoded = "".join(encoded.split())
    for start in range(0, len(encoded), _SLICE):
        piece = encoded[start : start + _SLICE]
        yield binascii.a2b_base64(piece + "=" * (-len(piece) % 4))


def _is_compact(encoded: str) -> bool:
    return not any(space in encoded for space in ("\n", "\r", " ", "\t"))


def referenced(url: str, kind: str, mime_type: str | None = None) -> dict[str, Any]:
    """A part for a URL: a blob for a data URL, else a uri part.

    Args:
        url: the URL as it was sent.
        kind: the modality to assume where the URL does not tell it.
        mime_type: its type where known.
    """
    head = _DATA_URL.match(url)
    if head is None and url[:5].lower() != "data:":
        part: dict[str, Any] = {"type": "uri", "modality": kind, "uri": url}
        if mime_type is not None:
            part["mime_type"] = mime_type
        return part
    found = (head.group(1) if head is not None else None) or mime_type
    payload = url[head.end() :] if head is not None else url.partition(",")[2]
    kind = modality(found) if found else kind
    if head is not None and head.group(2) is None:
        return blob_of_bytes(unquote_to_bytes(payload), found, kind)  # written out, not base64
    return blob(payload, found, kind)


def without_media(value: Any, depth: int = _DEPTH) -> Any:
    """A plain value with inline media in it replaced by blob parts."""
    kind = type(value)
    if kind is str:
        return _text_or_blob(value)
    if kind is bytes:
        return blob_of_bytes(value)
    if depth <= 0:
        return None if kind in (dict, list) else value
    if kind is dict:
        return {name: without_media(one, depth - 1) for name, one in value.items()}
    if kind is list:
        return [without_media(one, depth - 1) for one in value]
    return value


def _text_or_blob(text: str) -> Any:
    if text[:5].lower() == "data:" and ";base64," in text[:256]:
        return referenced(text, "document")
    if len(text) < _LONG:
        return text
    # Prose has spaces, base64 has none but at line ends.
    if _BASE64.fullmatch(text, 0, _LONG) and " " not in text and _BASE64.fullmatch(text):
        return blob(text, None)
    return _without_runs(without_data_urls(text))


def _without_runs(text: str) -> str:
    """The text with each base64 of some length in it replaced by a note.

    A run of so many characters has one at a multiple of their number: one place in a thousand is looked at.
    """
    made: list[str] = []
    done = 0
    for place in range(0, len(text), _LONG_RUN):
        if place < done or (found := _RUN.match(text, place)) is None:
            continue
        before = text[max(done, place - _LONG_RUN + 1) : place]
        start = place - len(before) + len(before.rstrip(_LETTERS))
        end = found.end()
        if len(text[start:end].rstrip("=")) >= _LONG_RUN:
            made += (text[done:start], _told_run(text[start:end]))
            done = end
    return "".join((*made, text[done:])) if made else text


def without_data_urls(text: str) -> str:
    """The text with each base64 data URL in it replaced by a note of its type, size and hash."""
    return _EMBEDDED.sub(_told_url, text) if ";base64," in text else text


def _told_url(hit: re.Match[str]) -> str:
    return _told(blob(hit[2], hit[1]))


def _told_run(found: str) -> str:
    # Padding and long numbers have not all three kinds of characters; media of this length has.
    mixed = found.lower() != found != found.upper() and any(map(str.isdigit, found))
    return _told(blob(found, None)) if mixed else found


def _told(part: dict[str, Any]) -> str:
    kind = part.get("mime_type", "base64")
    return f"[{kind}, {part['size']} bytes, sha256 {part['sha256']}]"
