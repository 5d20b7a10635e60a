"""Media as files beside the ledger, where a user asked for it: written by the worker, named by their SHA-256.

What cannot be written is counted and costs nobody anything. Files are not redacted, which is why what reads
as text is never kept.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from spantally.calls.media import decoded_slices
from spantally.ground.guard import say_once, swallowed
from spantally.ground.worker import worker

MOST_WAITING: Final = 67_108_864
"""Most bytes or characters that wait for the worker; what comes on top of it is not kept."""

MOST_KNOWN: Final = 65_536

_LOOK: Final = 4_096
"""Bytes at the beginning by which text is told from media."""


class MediaFiles:
    """Keeps media in one directory.

    Args:
        directory: made with mode 0700 when the first file comes.
        most_bytes: of all files together; what comes then is not kept.
    """

    def __init__(self, directory: str | os.PathLike[str], most_bytes: int) -> None:
        self.directory = Path(directory)
        self.most_bytes = most_bytes
        self._known: set[str] = set()
        self._waiting = 0
        self._used: int | None = None

    def offer(self, data: str | bytes, size: int, digest: str) -> None:
        """Hand media to the worker; on the caller's thread that is one append.

        Args:
            data: base64 or bytes; held, not copied.
            size: in bytes.
            digest: its SHA-256, in hex digits.
        """
        if digest in self._known or size > self.most_bytes:
            return
        if not len(_channel):
            self._waiting = 0
        if self._waiting + len(data) > MOST_WAITING:
            return
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known.add(digest)
        self._waiting += len(data)
        _channel.put((self, data, digest))

    def write(self, data: str | bytes, digest: str) -> None:
        """Write one file, on the worker.

        Raises:
            OSError: it cannot be written.
        """
        raw = data if isinstance(data, bytes) else b"".join(decoded_slices(data))
        if hashlib.sha256(raw).hexdigest() != digest or _reads_as_text(raw):
            return
        if self._used is None:
            self._used = self._prepared()
        target = self.directory / digest
        if target.exists():
            return
        if self._used + len(raw) > self.most_bytes:
            say_once(
                f"media:{self.directory}",
                "spantally: %s has reached its limit of %d bytes; further media is not kept",
                self.directory,
                self.most_bytes,
            )
            return
        _write(target, raw)
        self._used += len(raw)

    def _prepared(self) -> int:
        """Make the directory, and count what is there.

        Raises:
            OSError: it cannot be made, or is no directory of this user's.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.directory.mkdir(mode=0o700)
        except FileExistsError:
            found = self.directory.lstat()
            if not stat.S_ISDIR(found.st_mode):
                raise
            if stat.S_IMODE(found.st_mode) & 0o077:
                self.directory.chmod(0o700)
        with os.scandir(self.directory) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)


def _write(target: Path, raw: bytes) -> None:
    """Write under another name first, so that a file of this name is always whole."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
            file.write(raw)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _reads_as_text(raw: bytes) -> bool:
    """Whether the beginning is text of a usual encoding, which may hold secrets that no rule has read."""
    head = raw[:_LOOK]
    if head.startswith(b"%PDF-"):
        return False
    if head.startswith(_MARKS):
        return True
    if b"\0" not in head:
        try:
            head.decode("utf-8")
            return True
        except UnicodeDecodeError as error:
            if len(raw) > _LOOK and error.start > _LOOK - 4:
                return True  # cut within a character
        return _is_written(head)
    return _is_wide(head)


_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""How texts begin that say their encoding, and no format of media that models take."""
_CONTROLS: Final = bytes(sorted({*range(32), 127} - set(b"\t\n\v\f\r\x1b")))


def _is_wide(raw: bytes) -> bool:
    """Whether bytes are UTF-16 or UTF-32 without a mark, of mostly western text: most of them are zero."""
    for step in (2, 4):
        for place in (0, step - 1):
            letters = raw[place::step]
            others = [raw[at::step] for at in range(step) if at != place]
            if _is_written(letters) and all(one.count(0) >= 0.9 * len(one) for one in others):
                return True
    return False


def _is_written(raw: bytes) -> bool:
    """Whether bytes are letters of Latin-1 or its kin: no control characters, and mostly ASCII."""
    plain = raw.translate(None, _CONTROLS)
    return len(plain) == len(raw) and sum(byte < 128 for byte in raw) >= 0.7 * len(raw)


def _keep(batch: Sequence[tuple[MediaFiles, str | bytes, str]]) -> None:
    for files, data, digest in batch:
        try:
            files.write(data, digest)
        except Exception as error:
            swallowed("calls.media_files", error)
            say_once(
                f"media:{files.directory}:error", "spantally: media cannot be kept in %s", files.directory
            )


_channel: Final = worker.channel("media", _keep)
