"""The rate table: genai-prices, loaded late and on a thread of its own.

Its import costs 0.3 to 1 s (pydantic, an HTTP client, 1.6 MB of data), so nothing here imports it when
spantally is imported, and nothing on a caller's thread ever waits for it: :func:`ensure_loading` starts one
thread, :func:`loaded` asks, :func:`on_loaded` calls back. The data that came with the installed package is
read, or what the user downloaded for it by ``spantally prices update``; never a table that the program
swapped in, and nothing is fetched here: a price then always is what its source says. With it comes what the
settings file says of rates (:mod:`~spantally.pricing.overrides_file`).
"""

from __future__ import annotations

import atexit
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from spantally.ground import greenlets
from spantally.ground.guard import say_once, swallowed
from spantally.ground.joining import join
from spantally.ground.places import config_path
from spantally.pricing.overrides import OwnRates
from spantally.pricing.overrides_file import NONE, read_own

RETRY_SECONDS: Final = 60.0
"""How long after a failed load the next one may be tried."""

STOP_SECONDS: Final = 2.0
"""How long a fork, or the end of the interpreter, waits for a load that is under way."""


@dataclass(frozen=True, slots=True)
class Table:
    """The loaded rates."""

    providers: tuple[Any, ...]
    """``genai_prices.types.Provider`` objects."""
    source: str
    """Name and version: ``genai-prices 0.2.3``."""
    own: OwnRates = NONE
    """What the settings file says of rates."""


class _Stopped(Exception):  # noqa: N818 - not an error: the interpreter ends
    """The load was given up because the interpreter ends."""


class _Loader:
    """The state of the load; one per process."""

    def __init__(self) -> None:
        self.table: Table | None = None
        self.failed_at: float | None = None
        self.stopping = False
        self.thread: threading.Thread | None = None
        self.callbacks: list[Callable[[], None]] = []
        self.lock = threading.Lock()
        self.starting = threading.Lock()

    def may_try(self) -> bool:
        failed = self.failed_at
        return failed is None or time.monotonic() - failed >= RETRY_SECONDS

    def load(self) -> Table | None:
        """Read the table on this thread; waits for a load that is under way elsewhere."""
        if self.table is None:
            with self.lock:
                self._load_once()
        if self.table is not None and self.callbacks:
            self.tell()
        return self.table

    def _load_once(self) -> None:
        if self.table is not None or not self.may_try():
            return
        try:
            self.table = _read(self._pause)
        except _Stopped:
            pass
        except Exception as error:
            self.failed_at = time.monotonic()
            swallowed("pricing.load", error)

    def _pause(self) -> None:
        """Between the steps of a load on our thread: give up when the interpreter ends.

        A daemon thread still inside an extension module when the interpreter goes can abort the process.
        """
        if self.stopping and threading.current_thread() is self.thread:
            raise _Stopped

    def tell(self) -> None:
        """Run the callbacks that wait, each once."""
        while True:
            try:
                callback = self.callbacks.pop(0)
            except IndexError:
                return
            try:
                callback()
            except Exception as error:
                swallowed("pricing.on_loaded", error)

    def start(self) -> None:
        """Start the thread unless there is one, or nothing to do."""
        if self.table is not None or self.stopping or self.thread is not None or not self.may_try():
            return
        if not self.starting.acquire(blocking=False):
            return  # another thread is just starting it
        try:
            if self.thread is None:
                thread = threading.Thread(target=self._run, name="spantally-rates", daemon=True)
                self.thread = thread
                try:
                    thread.start()
                except RuntimeError:
                    # No thread starts while the interpreter ends: rows stay pending for the next reader.
                    self.thread = None
        finally:
            self.starting.release()

    def _run(self) -> None:
        try:
            self.load()
        except Exception as error:
            swallowed("pricing.loader", error)
        finally:
            self.thread = None

    def wait(self, timeout: float) -> None:
        thread = self.thread
        if thread is not None and thread is not threading.current_thread():
            join(thread, timeout)


def _read(pause: Callable[[], None]) -> Table:
    # In steps: each takes a tenth of a second or so, and the end of the interpreter waits for one only.
    import pydantic  # noqa: F401

    pause()
    from spantally.pricing.late_package import late_package

    late_package("genai_prices")
    import genai_prices.types  # noqa: F401

    pause()
    package = version_of_package()
    newer = _downloaded(package)
    pause()
    own = _own()
    if newer is not None:
        return Table(*newer, own)
    from genai_prices.data import providers

    return Table(tuple(providers), f"genai-prices {package}", own)


def version_of_package() -> str:
    """The installed version of genai-prices."""
    from importlib.metadata import version

    return version("genai-prices")


def _downloaded(package: str) -> tuple[tuple[Any, ...], str] | None:
    """Providers and source of the data that the user downloaded, if that is in force."""
    try:
        from spantally.pricing import downloads

        found = downloads.in_force(package)
        return None if found is None else (downloads.read(found), found.source)
    except Exception as error:
        swallowed("pricing.downloaded", error)
        say_once(
            "pricing:downloaded",
            "spantally: downloaded price data cannot be used, that of the package is: %s "
            "(spantally prices update, or prices update --undo)",
            error,
        )
        return None


def _own() -> OwnRates:
    """The settings file as it is now; a new process reads it anew. What is wrong with it is logged once."""
    try:
        own = read_own(config_path())
    except Exception as error:
        swallowed("pricing.own_rates", error)
        return NONE
    for text in own.wrong:
        say_once(f"rates:{text}", "spantally: %s", text)
    return own


_loader = _Loader()


def load() -> Table | None:
    """Load the rates on this thread, once; 0.3 to 1 s the first time. Never raises.

    Returns:
        The table, or None when it cannot be loaded (logged once, tried again after a minute).
    """
    return _loader.load()


def loaded() -> bool:
    """True once the rates are there."""
    return _loader.table is not None


def table() -> Table | None:
    """The rates if they are there."""
    return _loader.table


_there_is_a_file: bool | None = None


def may_price_without_usage() -> bool:
    """True where a rate of the user's own may hold for a call without usage: only then is one looked for.

    While the file is not read, its being there decides; that is asked once, since a caller's thread asks.
    """
    global _there_is_a_file
    known = _loader.table
    if known is not None:
        return known.own.prices_without_usage
    if _there_is_a_file is None:
        _there_is_a_file = config_path().exists()
    return _there_is_a_file


def ensure_loading() -> None:
    """Start the one short-lived loader thread unless the rates are there. Never blocks, never raises."""
    try:
        _loader.start()
    except Exception as error:
        swallowed("pricing.ensure_loading", error)


def on_loaded(callback: Callable[[], None]) -> None:
    """Call ``callback`` once when the rates are there: at once if they are, else on the loading thread.

    What it raises is counted and logged once.
    """
    _loader.callbacks.append(callback)
    if _loader.table is not None:
        _loader.tell()


def _before_fork() -> None:
    # A child forked in the middle of an import inherits the import locks of a thread that it does not have,
    # and would hang at its own import of the same modules.
    try:
        if not greenlets.are_threads():
            _loader.wait(STOP_SECONDS)
    except Exception as error:
        swallowed("pricing.before_fork", error)


def _after_fork_in_child() -> None:
    if _loader.thread is not None and _loader.table is None:
        # The load outlasted the wait: half-imported modules and locks that nobody will release. This process
        # leaves its rows pending, for the next reader to rate, rather than hang.
        _loader.failed_at = math.inf
    _loader.thread = None
    _loader.lock = threading.Lock()
    _loader.starting = threading.Lock()


def _at_exit() -> None:
    try:
        _loader.stopping = True
        _loader.wait(STOP_SECONDS)
    except Exception as error:
        swallowed("pricing.at_exit", error)


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
