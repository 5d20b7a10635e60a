"""Which files are meant by the paths of a command, and reading one while it is still written."""

from __future__ import annotations

import io
import os
import re
import select
import time
from collections.abc import Callable, Iterable
from glob import glob, has_magic
from pathlib import Path
from typing import IO, Any, Final

STDIN: Final = "-"
POLL_SECONDS: Final = 0.25
_ENDINGS: Final = (".json", ".jsonl", ".ndjson", ".otlp", ".pb", ".proto", ".binpb", ".log", ".data")
_PACKED: Final = (".gz", ".zst", ".zstd")
_ROTATED: Final = re.compile(
    r"^(?P<stem>.+?)-(?P<time>\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3})(?P<end>\..+)?$", re.IGNORECASE
)
"""How the file exporter names what it has rotated."""


class InputError(ValueError):
    """A path that names nothing that can be read; the text says what is allowed."""


def files_of(paths: Iterable[str]) -> list[str]:
    """The files that paths name, oldest first where they are rotations of one: folders, patterns, ``-``.

    Args:
        paths: as the user gave them.

    Raises:
        InputError: there is nothing at one of them.
    """
    found: list[str] = []
    for path in paths:
        if path == STDIN:
            found.append(path)
        elif os.path.isdir(path):  # noqa: PTH112 - a path as the user gave it
            inside = [str(one) for one in Path(path).iterdir() if _is_data(one.name) and one.is_file()]
            if not inside:
                raise InputError(f"{path} holds no file whose name ends in one of {', '.join(_ENDINGS)}")
            found += sorted(inside, key=_age)
        elif os.path.exists(path):  # noqa: PTH110 - a path as the user gave it
            found.append(path)
        elif has_magic(path) and (matching := glob(path)):  # noqa: PTH207 - a pattern as the user gave it
            found += sorted((one for one in matching if not os.path.isdir(one)), key=_age)  # noqa: PTH112
        else:
            raise InputError(f"there is nothing at {path}; give files, a folder, a pattern or - for stdin")
    return list(dict.fromkeys(found))


def _is_data(name: str) -> bool:
    lowered = name.lower()
    for end in _PACKED:
        lowered = lowered.removesuffix(end)
    rotated = _ROTATED.match(lowered)
    if rotated is not None:
        lowered = rotated["stem"] + (rotated["end"] or "")
    return not name.startswith(".") and lowered.endswith(_ENDINGS)


def _age(path: str) -> tuple[str, str]:
    """Rotated files come by their time, and the one that is still written after them."""
    folder, name = os.path.split(path)
    for end in _PACKED:
        name = name.removesuffix(end)
    rotated = _ROTATED.match(name)
    if rotated is None:
        return os.path.join(folder, name), "~"  # noqa: PTH118
    return os.path.join(folder, rotated["stem"] + (rotated["end"] or "")), rotated["time"]  # noqa: PTH118


class Waiting(io.RawIOBase):
    """A stream that waits for more at its end, or while nothing comes, and says so meanwhile.

    Args:
        stream: unbuffered.
        idle: runs each time that nothing has come for a moment.
        path: of a file that is followed beyond its end, and into the next one of its name; None for a pipe.
    """

    def __init__(self, stream: IO[bytes], idle: Callable[[], None], path: str | None = None) -> None:
        self._stream = stream
        self._idle = idle
        self._path = path

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next; returns nothing only at the end of a pipe."""
        while True:
            if self._path is None:
                self._wait()
                return self._read(buffer)
            count = self._read(buffer)
            if count:
                return count
            self._idle()
            if self._is_replaced():
                # What was written between the last read and the rotation is still in the file that we hold.
                if count := self._read(buffer):
                    return count
                self._take_next()
                continue
            time.sleep(POLL_SECONDS)

    def _take_next(self) -> None:
        try:
            following = open(self._path or "", "rb", buffering=0)  # noqa: PTH123, SIM115
        except OSError:  # rotated once more at this moment; the next one will be there
            time.sleep(POLL_SECONDS)
            return
        self._stream.close()
        self._stream = following

    def _read(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer)) or b""
        buffer[: len(data)] = data
        return len(data)

    def _wait(self) -> None:
        try:
            while not select.select([self._stream], [], [], POLL_SECONDS)[0]:
                self._idle()
        except (OSError, ValueError):
            return  # what cannot be waited for is read at once

    def _is_replaced(self) -> bool:
        try:
            there, here = os.stat(self._path or ""), os.fstat(self._stream.fileno())  # noqa: PTH116
        except OSError:
            return False
        if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
            return True
        if there.st_size < self._stream.tell():
            self._stream.seek(0)  # emptied and begun anew
        return False
