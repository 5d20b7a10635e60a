"""Real text without secrets, found on the machine when the bench runs: documentation, code, JSON, chats.

It comes from the standard library and the packages installed beside the bench; nothing of it is kept with the
project. Tests and packages that are about secrets are left out: they are full of made-up ones.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from .scoring import TAGS, lost
from .sides import Redact

_ENDINGS = {
    "documentation": (".md", ".rst", "METADATA", ".txt"),
    "code": (".py", ".pyi", ".c", ".h", ".js"),
    "json": (".json",),
}
_LEFT_OUT = (
    "test",
    "tests",
    "testing",
    "spantally",
    "detect_secrets",
    "lazybridge",
    "idle_test",
    "__pycache__",
    "lib2to3",
    "turtledemo",
    "site-packages",
)
_MOST_OF_A_FILE = 16_000
_PIECE = 8_000


def _folders() -> list[Path]:
    paths = sysconfig.get_paths()
    return [Path(one) for one in dict.fromkeys((paths["stdlib"], paths["purelib"], paths["platlib"]))]


@cache
def _all_files() -> tuple[Path, ...]:
    """Whatever may be read, in order; to look through the packages takes seconds."""
    endings = tuple(ending for ones in _ENDINGS.values() for ending in ones)
    found: set[Path] = set()
    for folder in _folders():
        for place, folders, names in os.walk(folder):
            path = Path(place)
            ours = ("spantally", "lazybridge", "detect_secrets") if path == folder else ()
            folders[:] = [name for name in folders if name not in _LEFT_OUT and not name.startswith(ours)]
            found.update(
                path / name for name in names if name.endswith(endings) and not name.startswith(ours)
            )
    return tuple(sorted(found))


def _files(kind: str, rng: Random) -> list[Path]:
    found = [path for path in _all_files() if path.name.endswith(_ENDINGS[kind])]
    rng.shuffle(found)
    return found


def _pieces(content: str) -> Iterator[str]:
    """Parts that end at the end of a line."""
    while content:
        end = content.rfind("\n", 0, _PIECE) + 1 if len(content) > _PIECE else len(content)
        end = end or min(len(content), _PIECE)
        yield content[:end]
        content = content[end:]


def _read(kind: str, wanted: int, rng: Random) -> tuple[list[str], int]:
    pieces: list[str] = []
    length = files = 0
    for path in _files(kind, rng):
        if length >= wanted:
            break
        try:
            content = path.read_text(encoding="utf-8")[:_MOST_OF_A_FILE]
        except (OSError, UnicodeDecodeError):
            continue
        files += 1
        length += len(content)
        pieces += _pieces(content)
    return pieces, files


def _about_packages(wanted: int, rng: Random) -> list[str]:
    """What installed packages say of themselves, as JSON: few machines have enough JSON in files."""
    found = sorted(metadata.distributions(), key=lambda one: one.name)
    rng.shuffle(found)
    pieces: list[str] = []
    for one in found:
        if sum(map(len, pieces)) >= wanted or one.name in ("spantally", "lazybridge", "detect-secrets"):
            continue
        pieces += _pieces(json.dumps(one.metadata.json, indent=rng.choice([None, 2]))[:_MOST_OF_A_FILE])
    return pieces


def _chats(pieces: list[str], wanted: int, rng: Random) -> list[str]:
    """Paragraphs of documentation and code as the messages of conversations."""
    roles = ("user", "assistant", "tool")
    chats: list[str] = []
    length = 0
    while pieces and length < wanted:
        messages = [
            {"role": roles[turn % 3], "content": rng.choice(pieces)[:1500]}
            for turn in range(rng.randint(2, 6))
        ]
        text = json.dumps(messages, ensure_ascii=rng.random() < 0.5)
        chats.append(text)
        length += len(text)
    return chats


def collect(seed: int, size: int) -> tuple[dict[str, list[str]], str]:
    """``size`` characters or more by kind, and a sentence on what was read."""
    rng = Random(f"{seed}-benign")
    share = size // 4 + 1
    kinds: dict[str, list[str]] = {}
    counts = []
    for kind in _ENDINGS:
        kinds[kind], files = _read(kind, share, rng)
        counts.append(f"{files} files of {kind}")
    short = share - sum(map(len, kinds["json"]))
    kinds["json"] += _about_packages(short, rng)
    counts.append("the metadata of packages as JSON")
    kinds["chat"] = _chats(kinds["documentation"] + kinds["code"], share, rng)
    counts.append(f"{len(kinds['chat'])} conversations put together from them")
    return (
        kinds,
        f"standard library of Python {sys.version.split()[0]} and installed packages: {', '.join(counts)}",
    )


def texts(seed: str, size: int, count: int) -> list[str]:
    """``count`` texts of ``size`` characters: pieces of documentation, code, JSON and chats, shuffled."""
    rng = Random(f"{seed}-texts")
    kinds, _ = collect(rng.randrange(1 << 30), size * count + 4 * _PIECE)
    pieces = [piece for found in kinds.values() for piece in found]
    rng.shuffle(pieces)
    whole = "\n\n".join(pieces)
    while len(whole) < size * count:  # a machine with few packages: the same pieces in another order
        rng.shuffle(pieces)
        whole += "\n\n" + "\n\n".join(pieces)
    return [whole[at : at + size] for at in range(0, size * count, size)]


def _removed(text: str, output: str) -> list[str]:
    """What stood where a tag is, with a little of what stood around it."""
    found = []
    at = 0
    parts = TAGS.split(output)
    for before, after in pairwise(parts):
        start = text.find(before, at) + len(before)
        end = text.find(after[:40], start) if after else len(text)
        found.append(f"{text[max(0, start - 60) : start]}⟦{text[start:end][:200]}⟧{text[end : end + 20]}")
        at = end
    return found


def score(kinds: dict[str, list[str]], redact: Redact) -> dict[str, Any]:
    """Characters, characters lost and tags, by kind and in all; ``removed`` is for a file, not a screen."""
    result: dict[str, Any] = {"kinds": {}, "removed": []}
    for kind, pieces in kinds.items():
        count = {"characters": 0, "lost": 0, "tags": 0}
        for piece in pieces:
            output = redact(piece, "")
            count["characters"] += len(piece)
            if output != piece:
                count["lost"] += lost(piece, "", output)
                count["tags"] += len(TAGS.findall(output))
                result["removed"] += [f"{kind}: {one}" for one in _removed(piece, output)]
        result["kinds"][kind] = count
    for name in ("characters", "lost", "tags"):
        result[name] = sum(one[name] for one in result["kinds"].values())
    result["share"] = result["lost"] / result["characters"] if result["characters"] else 0.0
    return result
