"""The key of the digits in tags: one per installation, in a private file, or a random one of this process.

Equal secrets then have equal digits in every process of a user, so that a leak can be followed from one
program to another, while nobody without the key can try words against a tag. Whatever is wrong with the file
costs that: the key is then random, a line says so, and nothing waits or raises.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from spantally.ground.guard import say_once, swallowed
from spantally.ground.places import data_directory

if TYPE_CHECKING:
    from pathlib import Path

KEY_VARIABLE: Final = "SPANTALLY_REDACTION_KEY"
"""Environment variable with the key of the digits, any text; it wins over the file."""
FILE_NAME: Final = "redaction.key"
SIZE: Final = 32
"""Bytes of a key; the file holds them in hexadecimal digits."""

_MOST_BYTES: Final = 4 * SIZE
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_own: Final = os.urandom(SIZE)
"""The key where there is no other. It is made here, so that children by fork have the same."""


class Key(NamedTuple):
    """The key in use."""

    secret: bytes
    source: str
    """``environment``, ``file``, or ``random``: other processes then have another key."""
    place: str
    """The variable or the file."""
    fault: str | None = None
    """Why there is no key of the file."""


class UnusableError(Exception):
    """The file is there and is not to be trusted; the text says why, and what to do."""


def path() -> Path:
    """The file of the key, beside the ledger of this user."""
    return data_directory() / FILE_NAME


def load(*, create: bool = True) -> Key:
    """The key to be used; never raises.

    Args:
        create: whether the file is made where there is none.
    """
    try:
        given = os.environ.get(KEY_VARIABLE, "")
        if given.strip():
            import hashlib  # here, so that it is no part of our import

            secret = hashlib.blake2b(given.encode("utf-8", "surrogatepass")).digest()
            return Key(secret, "environment", KEY_VARIABLE)
        return _of_file(path(), create=create)
    except Exception as error:
        swallowed("redaction.key", error)
        return Key(_own, "random", "", type(error).__name__)


def _of_file(place: Path, *, create: bool) -> Key:
    try:
        secret = _read(place)
        if secret is None and create:
            _make(place)
            secret = _read(place)
        if secret is not None:
            return Key(secret, "file", str(place))
        if not create and _may_be_made(place):
            return Key(_own, "file", str(place))
        fault = "the directory cannot be written"
    except UnusableError as error:
        fault = str(error)
    except OSError as error:
        fault = error.strerror or type(error).__name__
    if create:
        say_once(
            f"redaction:key:{place}",
            "spantally: the key of redaction tags in %s is not used (%s); this process has a random one, so "
            "that its tags cannot be compared with those of others",
            place,
            fault,
        )
    return Key(_own, "random", str(place), fault)


def _may_be_made(place: Path) -> bool:
    parent = place.parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    return parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)


def _read(place: Path) -> bytes | None:
    """The key of the file; None if there is no file.

    Raises:
        UnusableError: it is not a private file of this user, or holds no key.
        OSError: it cannot be read.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    )  # a pipe must not hold us
    try:
        file = os.open(place, flags | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode):
            raise UnusableError("it is no file")
        if hasattr(os, "geteuid"):  # modes mean nothing on Windows
            if about.st_uid != os.geteuid():
                raise UnusableError("it belongs to another user")
            if about.st_mode & _OTHERS:
                raise UnusableError(f"others may read it; chmod 600 {place}")
        text = os.read(file, _MOST_BYTES + 1)
    finally:
        os.close(file)
    try:
        secret = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise UnusableError("it holds no key; remove it, and another is made") from None
    if len(secret) != SIZE:
        raise UnusableError("it holds no whole key; remove it, and another is made")
    return secret


def _make(place: Path) -> None:
    """Make the file with a new key, unless another process is there first; it is whole whenever it is there.

    Raises:
        OSError: it cannot be made.
    """
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.{os.getpid()}.{os.urandom(4).hex()}")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0)
    try:
        file = os.open(part, flags, 0o600)
        try:
            os.write(file, os.urandom(SIZE).hex().encode("ascii") + b"\n")
        finally:
            os.close(file)
        try:
            os.link(part, place)  # fails where there is one, as no renaming does
        except FileExistsError:
            return
        except (OSError, NotImplementedError):  # a file system without links
            if not place.exists():
                part.replace(place)
    finally:
        part.unlink(missing_ok=True)
