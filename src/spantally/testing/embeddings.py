"""Wire shape of embeddings: deterministic vectors, as floats or base64."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any, Final

from spantally.testing.wire import Answer

DIMENSIONS: Final = 8
"""Length of a vector where the request gives none."""
_MOST: Final = 4096


def embeddings_body(answer: Answer) -> dict[str, Any]:
    """The body of ``POST /v1/embeddings``: one vector for each input."""
    asked = answer.request.body or {}
    value = asked.get("input", "")
    # A text, or the token ids of one text, is one input; a list of either is several.
    one = isinstance(value, str) or (bool(value) and isinstance(value[0], int))
    inputs = [value] if one else list(value)
    wanted = asked.get("dimensions")
    size = wanted if isinstance(wanted, int) and 1 <= wanted <= _MOST else DIMENSIONS
    packed = asked.get("encoding_format") == "base64"
    data = []
    for index, item in enumerate(inputs):
        numbers = vector(repr(item), size)
        embedding: object = numbers
        if packed:
            embedding = base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode()
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    body: dict[str, Any] = {"object": "list", "data": data, "model": answer.model}
    if not answer.silent:
        body["usage"] = answer.reported or answer.billed.as_embeddings()
    return body


def vector(text: str, size: int) -> list[float]:
    """The vector of a text: ``size`` numbers between -1 and 1, the same each time, exact in 32 bits."""
    numbers: list[float] = []
    block = 0
    while len(numbers) < size:
        digest = hashlib.sha256(f"{block}:{text}".encode()).digest()
        numbers += [(byte - 128) / 128 for byte in digest]
        block += 1
    return numbers[:size]
