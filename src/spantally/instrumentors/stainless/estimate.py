"""An estimate of the tokens of a call whose usage nobody reported, for those who ask for one.

The rule: a token for every four bytes of UTF-8, rounded up once for input and once for output, and three
tokens for each message. Input is the texts of messages and instructions and the definitions of tools; output
is the text, reasoning and tool arguments that arrived. Images and audio are not estimated, so that a call
with them is estimated too low. For English prose of current models it is within about a quarter of the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

BYTES_PER_TOKEN: Final = 4
TOKENS_PER_MESSAGE: Final = 3
_MAX_DEPTH: Final = 16


def input_tokens(messages: list[Any], instructions: list[Any], tools: list[Any]) -> int:
    """Estimated tokens of a request, by its content."""
    size = text_size(messages) + text_size(instructions) + text_size(tools)
    return -(-size // BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * len(messages)


def output_tokens(messages: Iterable[Mapping[str, Any]] | None) -> int:
    """Estimated tokens of output messages, as far as they arrived."""
    return -(-text_size(list(messages or ())) // BYTES_PER_TOKEN)


def parts(tokens_in: int, tokens_out: int) -> dict[str, int]:
    """The estimate as usage parts."""
    return {"uncached_input": tokens_in, "output": tokens_out}


_NO_TEXT: Final = frozenset({"type", "role", "id", "mime_type", "modality", "sha256", "finish_reason"})
"""Keys of messages and parts whose values are ours, not the text that was sent."""


def text_size(value: Any, depth: int = _MAX_DEPTH) -> int:
    """Bytes of all texts within a message, part, definition or list of them."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if depth <= 0:
        return 0
    if isinstance(value, Mapping):
        if value.get("type") in ("blob", "file", "uri"):
            return 0
        return sum(text_size(one, depth - 1) for name, one in value.items() if name not in _NO_TEXT)
    if isinstance(value, (list, tuple)):
        return sum(text_size(one, depth - 1) for one in value)
    return 0
