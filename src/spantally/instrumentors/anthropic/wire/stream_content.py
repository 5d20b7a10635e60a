"""The content of a stream's events, joined block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from spantally.instrumentors.anthropic.wire.parts import block_part
from spantally.instrumentors.stainless.wire.fields import field, integer, plain_mapping
from spantally.instrumentors.stainless.wire.media import media_text
from spantally.instrumentors.stainless.wire.parts import Message, Part, parsed

_MOST: Final = 4096
"""Blocks of one answer that are kept."""

_PIECES: Final = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("partial_json", "input"),
    "compaction_delta": ("content", "content"),
}
"""By type of a delta: where its piece stands, and the field of the block that it belongs to."""


class _Block:
    """A block in the making."""

    __slots__ = ("begun", "pieces")

    def __init__(self, begun: dict[str, Any]) -> None:
        self.begun = begun
        self.pieces: dict[str, list[str]] = {}

    def part(self) -> Part | None:
        whole = dict(self.begun)
        for name, pieces in self.pieces.items():
            joined = "".join(pieces)
            whole[name] = parsed(joined) if name == "input" else joined
        return block_part(whole)


class StreamContent:
    """Content of the events of messages and of legacy completions."""

    __slots__ = ("_blocks", "_said")

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._said: list[str] = []

    def add(self, kind: Any, event: Any) -> None:
        """Take what one event of this type carries."""
        read = _READERS.get(kind)
        if read is not None:
            read(self, event)

    def _begin(self, event: Any) -> None:
        index = integer(field(event, "index"))
        begun = plain_mapping(field(event, "content_block"))
        if index is not None and begun is not None and len(self._blocks) < _MOST:
            self._blocks[index] = _Block(begun)

    def _piece(self, event: Any) -> None:
        delta = field(event, "delta")
        told = _PIECES.get(field(delta, "type"))
        block = self._blocks.get(integer(field(event, "index")) or 0)
        if told is None or block is None:
            return
        piece = media_text(field(delta, told[0]))
        if piece is not None:
            block.pieces.setdefault(told[1], []).append(piece)

    def _completion(self, event: Any) -> None:
        piece = media_text(field(event, "completion"))
        if piece is not None:
            self._said.append(piece)

    def messages(self) -> list[Message] | None:
        """One message: a stream is one generation."""
        parts = [part for index in sorted(self._blocks) if (part := self._blocks[index].part()) is not None]
        if self._said:
            parts.append({"type": "text", "content": "".join(self._said)})
        return [{"role": "assistant", "parts": parts}] if parts else None


_READERS: Final[dict[Any, Callable[[StreamContent, Any], None]]] = {
    "content_block_start": StreamContent._begin,
    "content_block_delta": StreamContent._piece,
    "completion": StreamContent._completion,
}
