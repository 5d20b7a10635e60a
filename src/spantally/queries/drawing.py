"""A graph in the languages of Mermaid and Graphviz.

Names in a ledger are whatever a program, a model or a provider made up. Nodes are therefore numbered, and a
name stands in labels only, where each character that either language could take for its own is written as
a number or an escape: no name can end a label, begin a directive, or make a node, link or script.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

LONGEST_NAME: Final = 80
"""Characters of a name that a label shows."""

_SHAPES: Final = {
    "session": ("([", "])"),
    "agent": ("[", "]"),
    "workflow": ("[[", "]]"),
    "tool": ("{{", "}}"),
}
_MODEL_SHAPE: Final = ("(", ")")
_DOT_SHAPES: Final = {"session": "oval", "agent": "box", "workflow": "box3d", "tool": "hexagon"}
_PLAIN: Final = frozenset(" .,/+-_()")
"""Characters beside letters and digits that mean nothing in a quoted label of Mermaid. The colon is none of
them (Mermaid takes a line with "style", a colon and a number sign for a style), nor is the dollar (two of
them begin a formula)."""


class Picture(NamedTuple):
    """What is to be drawn: nodes by their place, each of a kind, and edges between places."""

    nodes: Sequence[tuple[str, Sequence[str]]]
    """Kind, and lines of the label."""
    edges: Sequence[tuple[int, int, Sequence[str]]]
    """Place of source and target, and lines of the label."""


def mermaid(picture: Picture) -> str:
    """A Mermaid flowchart, with a line end."""
    lines = ["flowchart LR"]
    for place, (kind, texts) in enumerate(picture.nodes):
        opening, closing = _SHAPES.get(kind, _MODEL_SHAPE)
        label = "<br/>".join(map(mermaid_text, texts))
        lines.append(f'    n{place}{opening}"{label}"{closing}')
    for source, target, texts in picture.edges:
        label = "<br/>".join(map(mermaid_text, texts))
        lines.append(f'    n{source} -->|"{label}"| n{target}')
    return "\n".join(lines) + "\n"


def dot(picture: Picture) -> str:
    """A Graphviz digraph, with a line end."""
    lines = ["digraph session {", "    rankdir=LR;"]
    for place, (kind, texts) in enumerate(picture.nodes):
        shape = _DOT_SHAPES.get(kind, "ellipse")
        label = "\\n".join(map(dot_text, texts))
        lines.append(f'    n{place} [shape={shape}, label="{label}"];')
    for source, target, texts in picture.edges:
        label = "\\n".join(map(dot_text, texts))
        lines.append(f'    n{source} -> n{target} [label="{label}"];')
    return "\n".join([*lines, "}"]) + "\n"


def mermaid_text(text: str) -> str:
    """Text for a quoted label of Mermaid: all but letters, digits and a few marks as ``#<number>;``."""
    return "".join(
        character if character in _PLAIN or character.isalnum() else f"#{ord(character)};"
        for character in _visible(text)
    )


def dot_text(text: str) -> str:
    """Text for a quoted string of Graphviz, which knows backslashes and the entities of HTML."""
    return _visible(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')


def _visible(text: str) -> str:
    """The text on one line: characters that cannot be seen, or turn the direction of writing, as escapes."""
    shown = text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."
    return "".join(
        character
        if character == " " or unicodedata.category(character)[0] not in "CZ"
        else character.encode("unicode_escape").decode("ascii")
        for character in shown
    )
