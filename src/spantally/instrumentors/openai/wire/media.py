"""Inline media in messages: its kind, size and hash instead of its bytes."""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import Any, Final

from spantally.instrumentors.openai.wire.fields import text

_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*(;base64)?,", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\-\s]+={0,2}\s*")
_LONG: Final = 1024
"""From this length on, a text of nothing but base64 in an unknown place is taken for media."""
_SLICE: Final = 1 << 18
"""Characters that are decoded at once; a multiple of 4."""
_DEPTH: Final = 20

_MODALITIES: Final = ("image", "audio", "video")


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
    part: dict[str, Any] = {"type": "blob", "modality": kind or modality(mime_type), "content": ""}
    if mime_type is not None:
        part["mime_type"] = mime_type
    part["size"] = size
    part["sha256"] = digest
    return part


def measure(encoded: str) -> tuple[int, str]:
    """Size in bytes and SHA-256 (hex) of what a base64 text encodes; slice by slice, never as a whole."""
    hashed = hashlib.sha256()
    size = 0
    try:
        if "-" in encoded or "_" in encoded:
            encoded = encoded.replace("-", "+").replace("_", "/")
        if not _is_compact(encoded):
            encoded = "".join(encoded.split())
        for start in range(0, len(encoded), _SLICE):
            piece = encoded[start : start + _SLICE]
            decoded = binascii.a2b_base64(piece + "=" * (-len(piece) % 4))
            hashed.update(decoded)
            size += len(decoded)
    except (ValueError, UnicodeError):
        raw = encoded.encode("utf-8", "replace")
        return len(raw), hashlib.sha256(raw).hexdigest()
    return size, hashed.hexdigest()


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
    return blob(payload, found, modality(found) if found else kind)


def without_media(value: Any, depth: int = _DEPTH) -> Any:
    """A plain value (see :func:`plain`) with inline media in it replaced by blob parts."""
    kind = type(value)
    if kind is str:
        if value[:5].lower() == "data:" and ";base64," in value[:256]:
            return referenced(value, "document")
        if len(value) >= _LONG and _BASE64.match(value[:_LONG]) and _BASE64.fullmatch(value):
            # Prose has spaces, base64 has none but at line ends.
            return value if " " in value else blob(value, None)
        return value
    if depth <= 0:
        return None if kind in (dict, list) else value
    if kind is dict:
        return {name: without_media(one, depth - 1) for name, one in value.items()}
    if kind is list:
        return [without_media(one, depth - 1) for one in value]
    return value


def media_text(value: Any) -> str | None:
    """The value as a text without checking or copying its characters (media can be megabytes long)."""
    return value if type(value) is str and value else text(value)
