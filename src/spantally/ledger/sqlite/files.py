"""The ledger's file: making it private, and telling whether it lies on a network file system."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote

from spantally.ground.errors import LedgerError
from spantally.ground.places import default_ledger_path

NETWORK_TYPES: Final = (
    "nfs",
    "cifs",
    "smb",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.rclone",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "fuse.glusterfs",
    "lustre",
    "webdav",
    "davfs",
)


def prepare(path: Path) -> None:
    """Make sure that the file can be opened: private to the user, its directory there.

    The directory is created for the default path only: a mistyped path must not grow directories.

    Raises:
        LedgerError: missing directory, or not writable.
    """
    parent = path.parent
    try:
        there, taken = parent.is_dir(), path.is_dir()
        in_the_way = not there and parent.exists()
    except OSError as error:  # a name that is too long, a directory on the way that may not be searched
        raise not_writable(path, error.strerror) from error
    if in_the_way:
        raise not_writable(path, f"{parent} is a file")
    if not there:
        if path != default_ledger_path():
            raise LedgerError(
                f"the directory of the ledger {path} does not exist; create it (mkdir -p {parent}) "
                "or choose another file with SPANTALLY_LEDGER",
                slug="missing_directory",
            )
        try:
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise not_writable(path, error.strerror) from error
    if taken:
        raise is_directory(path)
    try:
        # Made before SQLite opens it: -wal and -shm take the mode of the file. O_EXCL matters: closing
        # a second descriptor of an open database would drop this process's locks on it.
        place = os.path.realpath(path) if path.is_symlink() else path  # O_EXCL follows no link
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno == 28:  # ENOSPC
            raise LedgerError(disk_full_text(str(path)), slug="disk_full") from error
        raise not_writable(path, error.strerror) from error


def beside(target: str, suffix: str) -> str:
    """A side file of a ledger, as ``-wal``: it lies beside the file itself, also where the path is a link."""
    return (os.path.realpath(target) if os.path.islink(target) else target) + suffix  # noqa: PTH114


def uri(path: Path | str, mode: str) -> str:
    """The file as SQLite's URI, by its bytes: those of a name need be no text.

    Args:
        path: of the ledger.
        mode: the URI's query.
    """
    text = Path(path).absolute().as_posix()
    # Forward slashes, and one before a drive letter.
    return f"file:{quote(os.fsencode(text if text.startswith('/') else '/' + text))}?{mode}"


def is_directory(path: Path) -> LedgerError:
    """The error of a path that names a directory."""
    return LedgerError(
        f"the ledger {path} is a directory; name a file in it, such as {path / 'ledger.db'}",
        slug="not_writable",
    )


def not_writable(path: Path | str, cause: str | None) -> LedgerError:
    """The error of a file or directory that cannot be written."""
    return LedgerError(
        f"the ledger {path} cannot be written ({cause or 'no permission'}); make the file and its directory "
        "writable for this user, or choose another file with SPANTALLY_LEDGER",
        slug="not_writable",
    )


def disk_full_text(target: str) -> str:
    """What to do when there is no room."""
    return (
        f"there is no room to write the ledger {target}; free space on that disk, "
        "or choose another file with SPANTALLY_LEDGER"
    )


def network_file_system(path: Path) -> str | None:
    """The type of the network file system that holds ``path``; None on a local one or where unknown.

    SQLite's WAL needs memory shared by all who open the file, which no network file system gives.
    """
    try:
        if sys.platform == "win32":
            return _windows_network(path)
        return _mounted_network(path, _mounts())
    except Exception:
        return None  # best effort: an unreadable table of mounts is no reason to complain


def _mounts() -> list[tuple[str, str]]:
    """(mount point, type) pairs, from /proc or from the ``mount`` command."""
    table = Path("/proc/mounts")
    if table.exists():
        rows = [line.split(" ") for line in table.read_text(errors="replace").splitlines()]
        return [(row[1].replace("\\040", " "), row[2]) for row in rows if len(row) > 2]
    import subprocess

    # An absolute path and no shell; the only other way on macOS and BSD is a private structure.
    listing = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=2, check=False).stdout
    found: list[tuple[str, str]] = []
    for line in listing.splitlines():
        place, _, options = line.partition(" on ")[2].rpartition(" (")
        if place:
            found.append((place, options.split(",")[0].rstrip(")")))
    return found


def _mounted_network(path: Path, mounts: list[tuple[str, str]]) -> str | None:
    real = os.path.realpath(path)
    best, kind = "", ""
    for point, type_name in mounts:
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, type_name
    return kind if kind.startswith(NETWORK_TYPES) else None


def _windows_network(path: Path) -> str | None:
    real = os.path.realpath(path)
    if real.startswith("\\\\") and not real.startswith("\\\\?\\"):
        return "smb"
    import ctypes

    windll = getattr(ctypes, "windll", None)
    if windll is None:
        return None
    drive = os.path.splitdrive(real)[0] + "\\"
    return "smb" if windll.kernel32.GetDriveTypeW(drive) == 4 else None  # DRIVE_REMOTE
