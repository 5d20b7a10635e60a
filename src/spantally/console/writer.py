"""Lines to stderr: one write each, so that no line of the program's or of another process's is torn.

Where stderr is closed, or its reader has gone, the view is silently off. A file descriptor that the program
has closed may be one of its own files by now: it is written to only as long as it is what it was.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Final

RED: Final = "\x1b[31m"
DIM: Final = "\x1b[2m"
PLAIN: Final = "\x1b[0m"


class Writer:
    """Writes to what ``sys.stderr`` is at that moment.

    Attributes:
        off: True once it could not be written to; it stays so for that stream.
    """

    def __init__(self) -> None:
        self.off = False
        self._stream: Any = None
        self._file: int | None = None
        self._identity: tuple[int, int] | None = None
        self._coloured = False
        self._masked = False

    def write(self, text: str) -> None:
        """Write one line; never raises.

        Args:
            text: without its end.
        """
        try:
            self._mask()
            stream = sys.stderr
            if stream is not self._stream:
                self._take(stream)
            if self.off:
                return
            line = f"{coloured(text) if self._coloured else text}\n"
            if self._file is None:
                stream.write(line)
                stream.flush()
                return
            found = os.fstat(self._file)
            if (found.st_dev, found.st_ino) != self._identity:
                self.off = True
                return
            os.write(self._file, line.encode("utf-8", "replace"))
        except BlockingIOError:
            pass  # a full pipe that must not be waited for: this line is lost
        except Exception:
            self.off = True

    def _take(self, stream: Any) -> None:
        self._stream = stream
        self._file = None
        self.off = stream is None or bool(getattr(stream, "closed", False))
        if self.off:
            return
        try:
            self._file = stream.fileno()
        except Exception:
            self._file = None  # a stream of the program's own, in memory
        if self._file is not None:
            found = os.fstat(self._file)
            self._identity = (found.st_dev, found.st_ino)
        self._coloured = can_colour(stream)

    def _mask(self) -> None:
        """A program may have given SIGPIPE its deadly meaning back; on this thread it stays an error."""
        if not self._masked and hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        self._masked = True

    def in_child(self) -> None:
        """In the child of a fork: its thread is another."""
        self._masked = False


def can_colour(stream: Any) -> bool:
    """True for a terminal that may be coloured: not where NO_COLOR is set, nor a dumb one."""
    try:
        return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    except Exception:
        return False


def coloured(text: str) -> str:
    """The same line for a terminal: its time dimmed, the whole in red where something went wrong."""
    clock, _, rest = text.partition(" ")
    if " ! " in rest[:60]:
        return f"{DIM}{clock}{PLAIN} {RED}{rest}{PLAIN}"
    return f"{DIM}{clock}{PLAIN} {rest}"
