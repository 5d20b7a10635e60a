#!/usr/bin/env python3
"""Build one of the pinned Go programs of this folder and print where the binary is.

    python tools/obtain.py collector            builds it if need be, prints the path of the binary
    python tools/obtain.py --cached collector   prints the path if it was built before, else ends with 3
    python tools/obtain.py --pin collector      resolves go.mod and go.sum anew, after a change of a manifest
    python tools/obtain.py --list               the names

A program is a folder beside this file with go.mod and go.sum, and either a `tool` line in go.mod that names
its main package, or a manifest builder.yaml, from which the OpenTelemetry Collector Builder (in the version
that the manifest names for the collector) writes a main package. Binaries are kept outside the repository, in
$XDG_CACHE_HOME/spantally/tools (else ~/.cache/spantally/tools) under a digest of all that is pinned: what is
built once is found until a pin changes. GO names the go command where it is not on PATH.

Standard output has the path and nothing else; what goes on is said on standard error. Exit codes: 0 the path
is printed, 1 the build failed, 2 wrong arguments, 3 not built yet (--cached), 4 there is no Go.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Raise it when the way of building changes, so that older binaries are not taken for the new ones.
RECIPE = 1
BUILDER = "go.opentelemetry.io/collector/cmd/builder"
FAILED, NOT_BUILT, NO_GO = 1, 3, 4
PINS = ("builder.yaml", "go.mod", "go.sum")


class ToolError(Exception):
    """What went wrong, for people, and the exit code that says it to programs."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says and answer with the exit code."""
    names = available()
    parser = argparse.ArgumentParser(description="Build a pinned Go program of tools/ and print its path.")
    parser.add_argument("name", nargs="?", choices=names, metavar="NAME", help="one of: " + ", ".join(names))
    parser.add_argument(
        "--cached", action="store_true", help="build nothing; end with 3 where it is not built"
    )
    parser.add_argument(
        "--pin", action="store_true", help="resolve go.mod and go.sum anew and write them here"
    )
    parser.add_argument("--list", action="store_true", help="print the names")
    chosen = parser.parse_args(arguments)
    if chosen.list:
        print("\n".join(names))
        return 0
    if chosen.name is None:
        parser.error("name a program: " + ", ".join(names))
    try:
        if chosen.pin:
            pin(chosen.name)
        print(cached(chosen.name) if chosen.cached else obtain(chosen.name))
    except ToolError as error:
        print(f"obtain {chosen.name}: {error}", file=sys.stderr)
        return error.code
    return 0


def available() -> list[str]:
    """The folders here that pin a program."""
    return sorted({path.parent.name for pattern in PINS[:2] for path in HERE.glob(f"*/{pattern}")})


def place(name: str) -> Path:
    """Where the binary of these pins is kept, on this kind of machine, whether it is built or not."""
    digest = hashlib.sha256(f"{RECIPE} {sys.platform} {platform.machine()}".encode())
    for pinned in PINS:
        path = HERE / name / pinned
        if path.exists():
            # git may check text out with other line ends; the pins are the same then.
            digest.update(pinned.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    suffix = ".exe" if sys.platform == "win32" else ""
    return cache_folder() / f"{name}-{digest.hexdigest()[:16]}" / f"{name}{suffix}"


def cache_folder() -> Path:
    """The folder outside the repository that holds all binaries."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "spantally" / "tools"


def cached(name: str) -> Path:
    """The binary that was built before."""
    binary = place(name)
    if not binary.exists():
        raise ToolError(f"not built yet; build it with: make {name}", NOT_BUILT)
    return binary


def obtain(name: str) -> Path:
    """The binary, built now if it was not before; of two that ask at once, one builds and one waits."""
    binary = place(name)
    if binary.exists():
        return binary
    go = find_go(name)
    with held(binary.parent.with_suffix(".lock"), name):
        if not binary.exists():
            build(name, go, binary)
    return binary


def build(name: str, go: str, binary: Path) -> None:
    """Compile in a folder of its own beside the cache, and move the binary to its place when it is whole."""
    began = time.monotonic()
    say(name, "building (some minutes the first time; downloads the modules)")
    with workshop(name) as work:
        package = sources(name, go, work)
        made = work / binary.name
        flags = ["-mod=readonly", "-trimpath", "-ldflags", "-s -w"]
        run(name, [go, "build", "-v", *flags, "-o", str(made), package], work, "compiling")
        binary.parent.mkdir(parents=True, exist_ok=True)
        made.replace(binary)
    size = binary.stat().st_size / 1e6
    say(name, f"built in {time.monotonic() - began:.0f} s, {size:.0f} MB: {binary}")


def sources(name: str, go: str, work: Path, *, pinning: bool = False) -> str:
    """Lay out in `work` what go compiles; the answer is the main package.

    With a manifest the builder writes the main package. It would resolve the modules anew (and fail on those
    that only tests of dependencies import), so it does not, and the go.mod and go.sum kept here are used.
    """
    manifest = HERE / name / "builder.yaml"
    if manifest.exists():
        shutil.copy(manifest, work)
        release = re.search(r"^  version: *v?(\S+)", manifest.read_text(encoding="utf-8"), re.MULTILINE)
        if release is None:
            raise ToolError(f"{manifest}: dist.version is missing")
        builder = f"{BUILDER}@v{release[1]}"
        generate = [go, "run", builder, "--config", "builder.yaml", "--skip-compilation"]
        if not pinning:
            generate.append("--skip-get-modules")
        run(name, generate, work, f"writing the main package with {builder}", may_fail=pinning)
    if not (pinning and manifest.exists()):
        for pinned in ("go.mod", "go.sum"):
            shutil.copy(HERE / name / pinned, work)
    tool = re.search(r"^tool\s+(\S+)\s*$", (work / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    return tool[1] if tool else "."


def pin(name: str) -> None:
    """Resolve the modules anew and keep the outcome here.

    Modules that only tests of dependencies import may be missing.
    """
    go = find_go(name)
    with workshop(name) as work:
        sources(name, go, work, pinning=True)
        run(name, [go, "mod", "tidy", "-e"], work, "resolving the modules")
        for pinned in ("go.mod", "go.sum"):
            shutil.copy(work / pinned, HERE / name)
    say(name, "go.mod and go.sum are written; look at the difference before you commit it")


def find_go(name: str) -> str:
    """The go command, or a clear word that it is missing."""
    said = os.environ.get("GO")
    found = shutil.which(said) if said else shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if found:
        return found
    pins = HERE / name / "go.mod"
    wanted = (
        re.search(r"^go (\S+)", pins.read_text(encoding="utf-8"), re.MULTILINE) if pins.exists() else None
    )
    version = f" {wanted[1]} or newer" if wanted else ""
    where = f"GO={said} is no program that runs" if said else "no go command on PATH"
    raise ToolError(
        f"{where}. Go{version} is needed to build it: install it from your system's packages or from "
        "https://go.dev/dl, or name one: GO=/path/to/go",
        NO_GO,
    )


def run(name: str, command: list[str], work: Path, doing: str, *, may_fail: bool = False) -> None:
    """Run one step with its progress on standard error; its last lines are shown where it fails."""
    say(name, doing)
    # Settings of the user's own Go would change what is built: workspaces, flags, C libraries.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-buildvcs=false"}
    began = said = time.monotonic()
    last: deque[str] = deque(maxlen=30)
    lines = 0
    with subprocess.Popen(  # noqa: S603 - the go command
        command,
        cwd=work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last.append(line.rstrip())
            lines += 1
            if time.monotonic() - said > 10:
                said = time.monotonic()
                say(name, f"{doing}: {said - began:.0f} s, {lines} steps, now {last[-1][:80]}")
    if process.returncode and not may_fail:
        shown = "\n  ".join(last)
        raise ToolError(f"{' '.join(command[:3])} failed with {process.returncode}:\n  {shown}")


@contextlib.contextmanager
def workshop(name: str) -> Iterator[Path]:
    """A folder to build in, on the same file system as the cache, gone afterwards."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=f".{name}-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def held(lock: Path, name: str) -> Iterator[None]:
    """Wait for others that build the same; the lock ends with its process, however that ends.

    Where the system has no flock two may build at once, each for itself, and the last one stays.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield
        return
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(name, "another process builds it; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(name: str, text: str) -> None:
    """A line about what goes on, for people."""
    print(f"obtain {name}: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
