"""The one background thread of a process.

Rooms above register a channel with a handler; the worker hands each handler its items in batches, in
the order in which the channels were opened. It knows nothing of what flows through them.

Why it looks as it does:

* :meth:`Channel.put` is one ``deque.append``, a look at two flags and at the clock; a caller who never lets
  the worker have the interpreter lock waits for it now and then (``ground/turn.py``).
* A finaliser, weakref callback or signal handler may run *anywhere*, also inside a lock of the OpenTelemetry
  SDK or of this module: so there is no lock, no logging and no ``queue.Queue`` in
  :meth:`Channel.put_from_finaliser`. The wake-up is the release of a bare lock, which never blocks.
* It gathers for :data:`GATHER_SECONDS`, so that sparse calls cost one transaction, and runs until every
  channel is empty. From its second round on it gathers for :data:`STEADY_SECONDS`: what is slow at first
  (opening the ledger, code that never ran) is behind it, and a transaction costs as much as ten rows. While
  items keep coming it goes on so without being woken: a thread that is woken waits for the interpreter lock,
  and every time the program lets go of that lock for a moment, waiting costs both of them a switch. After
  :data:`IDLE_WAITS` gatherings without an item it sleeps until it is woken.
* Who watches something that no item tells of (:meth:`Worker.watch`) is asked after each gathering, names the
  moment at which it wants to be asked again, and keeps the worker awake until then; nobody is asked while the
  worker sleeps.
* A fork takes no thread along, and a thread alive at the fork makes Python 3.12 warn: the worker drains
  and stops before a fork and starts again, in parent and child, with the next item.
* From 3.12 on no thread starts while the interpreter shuts down: :meth:`Worker.flush` then drains on the
  calling thread. Once this module's own exit handler has run, nobody flushes any more, and a thread would not
  live long enough to gather: whoever hands over an item (an exit handler that the program had registered
  before us) then drains.
"""

from __future__ import annotations

import _thread
import atexit
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from spantally.ground import greenlets
from spantally.ground.guard import swallowed
from spantally.ground.joining import join
from spantally.ground.process import keep_interrupt
from spantally.ground.turn import OVERDUE_SECONDS, Turn

_T = TypeVar("_T")

GATHER_SECONDS: Final = 0.4
"""How long the worker gathers after it was woken: below the 1 s within which a call must be durable."""

STEADY_SECONDS: Final = 0.6
"""How long it gathers while it stays awake."""

IDLE_WAITS: Final = 3
"""Gatherings without an item before the worker sleeps: two seconds."""

BATCH: Final = 64
"""Items a handler gets at once: a larger batch holds up the program's other threads for over 5 ms."""

PAUSE_SECONDS: Final = 0.0005
"""Rest between two full batches, so that a backlog does not starve the program."""

FORK_SECONDS: Final = 2.0
"""How long a fork waits for the worker to drain and stop."""

LAST_SECONDS: Final = 1.0
"""How long whoever hands over an item after that waits for another thread that drains."""


class Channel(Generic[_T]):
    """One kind of work: a lock-free queue with the handler that takes its batches."""

    __slots__ = ("_append", "_handler", "_items", "_worker", "name", "on_stop")

    def __init__(
        self,
        worker: Worker,
        name: str,
        handler: Callable[[Sequence[_T]], None],
        on_stop: Callable[[], None] | None,
    ) -> None:
        self._worker = worker
        self.name = name
        self._handler = handler
        self._items: deque[_T] = deque()
        self._append = self._items.append
        self.on_stop = on_stop

    def put(self, item: _T) -> None:
        """Hand one item over: lock-free; starts the thread when there is none."""
        self._append(item)
        worker = self._worker
        if worker.sleeping:
            worker.wake()
        elif not worker.running:
            worker.start()
        elif monotonic() > worker.turn.late_at:
            worker.let_in()

    def put_from_finaliser(self, item: _T) -> None:
        """Hand one item over from a finaliser, weakref callback or signal handler: only append and wake."""
        self._append(item)
        worker = self._worker
        if worker.sleeping:
            worker.wake()

    def __len__(self) -> int:
        return len(self._items)

    def take(self, limit: int) -> list[_T]:
        """Up to ``limit`` items from the front of the queue."""
        items = self._items
        taken: list[_T] = []
        try:
            while len(taken) < limit:
                taken.append(items.popleft())
        except IndexError:
            pass
        return taken

    def run(self, batch: Sequence[_T]) -> None:
        """Give a batch to the handler; what it raises is counted and costs nobody else anything."""
        try:
            self._handler(batch)
        except Exception as error:
            swallowed(f"worker.{self.name}", error)

    def clear(self) -> None:
        """Forget every queued item (the child of a fork: its parent has them)."""
        self._items.clear()


class Worker:
    """The background thread and its channels; see the module's text for its rules."""

    def __init__(
        self,
        *,
        gather_seconds: float = GATHER_SECONDS,
        steady_seconds: float = 0.0,
        name: str = "spantally-worker",
        fork_seconds: float = FORK_SECONDS,
        overdue_seconds: float = math.inf,
    ) -> None:
        self.gather_seconds = gather_seconds
        self.steady_seconds = steady_seconds
        """The same from the second round on, where it is longer."""
        self.name = name
        self.fork_seconds = fork_seconds
        """How long a fork waits for it; the owner may change it."""
        self.turn = Turn(overdue_seconds)
        self.ran_at_fork = False
        self.is_over = False
        """True once nobody flushes any more before the process ends."""
        self.sleeping = False
        self.running = False
        self._channels: tuple[Channel[Any], ...] = ()
        self._watchers: tuple[Callable[[], float | None], ...] = ()
        self._wake = _thread.allocate_lock()
        self._urgent = _thread.allocate_lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._ending = False
        self._draining = 0
        """How many drain: one, or one within itself."""
        self._draining_thread: int | None = None
        self._life = object()
        """Of the thread in force: greenlets go on in the child of a fork, where another one takes over."""
        self._start_lock = threading.RLock()
        self._drain_lock = threading.RLock()
        self._waiters: deque[Callable[[], None]] = deque()
        self._wake.acquire()
        self._urgent.acquire()

    def channel(
        self,
        name: str,
        handler: Callable[[Sequence[_T]], None],
        *,
        on_stop: Callable[[], None] | None = None,
    ) -> Channel[_T]:
        """Open a channel.

        Args:
            name: shown by ``doctor`` and in log lines.
            handler: takes a batch of at most :data:`BATCH` items, on the worker (or, when there is no
                thread to be had, on the thread that drains); what it raises is swallowed and counted.
            on_stop: called when the thread stops (before a fork, at exit), to let go of connections.
        """
        made: Channel[_T] = Channel(self, name, handler, on_stop)
        with self._start_lock:
            self._channels += (made,)
        return made

    def watch(self, look: Callable[[], float | None]) -> None:
        """Ask ``look`` on the worker after each gathering.

        Args:
            look: answers in how many seconds it wants to be asked again, at the latest; None while it has
                nothing to wait for. Whoever gives it something wakes the worker. What it raises is swallowed.
        """
        with self._start_lock:
            self._watchers += (look,)

    def close_channel(self, channel: Channel[Any]) -> None:
        """Drain a channel and take it out."""
        self.flush(5.0)
        with self._start_lock:
            self._channels = tuple(one for one in self._channels if one is not channel)
        if channel.on_stop is not None:
            try:
                channel.on_stop()
            except Exception as error:
                swallowed(f"worker.{channel.name}.on_stop", error)

    # -- the caller's side ---------------------------------------------------------------------------

    def is_here(self) -> bool:
        """Whether this is the worker's thread."""
        return self._thread is threading.current_thread()

    def wake(self) -> None:
        """Let the sleeping worker go on; safe anywhere, since releasing a bare lock never blocks."""
        self.sleeping = False
        self.turn.expect(0.0)
        try:
            self._wake.release()
        except RuntimeError:
            pass  # somebody else has woken it already

    def let_in(self) -> None:
        """Wait for the overdue worker; a channel that feeds another one does not wait for itself."""
        if not self.is_here():
            self.turn.wait()

    def hurry(self) -> None:
        """End the gathering at once."""
        self.turn.expect(0.0)
        try:
            self._urgent.release()
        except RuntimeError:
            pass
        if self.sleeping:
            self.wake()

    def start(self) -> None:
        """Start the thread if there is none; quietly does nothing where none can be started."""
        if self._busy():
            return
        if self.is_over:
            self._drain_at_once()
            return
        with self._start_lock:
            if self._busy():
                return
            self._renew_foreign_locks()
            thread = threading.Thread(target=self._run, args=(self._life,), name=self.name, daemon=True)
            self._thread = thread
            self.running = True
            try:
                thread.start()
            except RuntimeError:
                # No thread can be started while the interpreter shuts down: flush() drains in place.
                self.running = False
                self._thread = None

    def _drain_at_once(self) -> None:
        """Drain on the calling thread; what a drain of its own hands over is taken by that one."""
        if self._draining_thread != threading.get_ident():
            self.flush(LAST_SECONDS)
            self._tell_waiters()

    def _renew_foreign_locks(self) -> None:
        """Take locks of the kind that threads have now; to be called while there is no thread.

        Once gevent has put its own threads and locks in the place of Python's, the thread is one of many on
        the same stack of the system, and a lock of before that it waits for would hold up all of them.
        """
        if type(_thread.allocate_lock()) is type(self._wake):
            return
        self._wake = _thread.allocate_lock()
        self._urgent = _thread.allocate_lock()
        self._drain_lock = threading.RLock()
        self._wake.acquire()
        self._urgent.acquire()

    def _busy(self) -> bool:
        return self.running or self._stopping

    def pending(self) -> int:
        """Items that wait in all channels."""
        return sum(len(channel) for channel in self._channels)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything handed over so far has been handled.

        Args:
            timeout: seconds to wait at most.

        Returns:
            True when all of it was handled in time.
        """
        deadline = time.monotonic() + timeout
        thread = self._thread
        if thread is threading.current_thread():
            self._drain()
            return self.pending() == 0
        if not self.running or thread is None or not thread.is_alive():
            if not self._drain_lock.acquire(timeout=max(0.0, timeout)):
                return False
            try:
                self._drain()
            finally:
                self._drain_lock.release()
            return self.pending() == 0
        if timeout <= 0 and not self.pending() and not self._draining:
            return True  # in this order: nothing is taken before somebody drains
        done = threading.Event()
        self._waiters.append(done.set)
        self.hurry()
        while not done.wait(min(0.05, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return False
            if not thread.is_alive():
                return self.flush(max(0.0, deadline - time.monotonic()))
            self.hurry()
        return True

    def wait_for_batch(self, timeout: float) -> bool:
        """Wait until the thread has done with what it has in hand; True if it has.

        Args:
            timeout: seconds to wait at most.
        """
        if not self._drain_lock.acquire(timeout=max(0.0, timeout)):
            return False
        self._drain_lock.release()
        return True

    def notify_when_drained(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the worker once everything handed over so far has been handled.

        The way to wait without blocking: an event loop passes ``loop.call_soon_threadsafe`` of a future.
        """
        self._waiters.append(callback)
        if not self.running:
            self.start()
        self.hurry()
        if not self.running:
            self.flush(1.0)
            self._tell_waiters()

    # -- the worker's side ---------------------------------------------------------------------------

    def _run(self, life: object = None) -> None:
        try:
            idle = 0
            due: float | None = None
            window = self.gather_seconds
            while True:
                if idle >= IDLE_WAITS:
                    due = self._sleep_until_woken()
                    window = self.gather_seconds
                if not self._stopping and not self._waiters:
                    # acquire() with a timeout is the gathering; flush() and stop() cut it short.
                    wait = window if due is None else min(due, window)
                    self.turn.expect(wait)
                    self.turn.end_wait()
                    self._urgent.acquire(timeout=wait)
                if life is not None and life is not self._life:
                    return
                with self._drain_lock:
                    waiting = self._take_waiters()
                    busy = self._drain() or bool(waiting)
                    due = self._look()
                window = max(self.gather_seconds, self.steady_seconds)
                idle = 0 if busy or due is not None else idle + 1
                self._tell(waiting)
                if (self._stopping or self._ending) and not self.pending():
                    break
        except Exception as error:
            swallowed("worker.run", error)
        finally:
            if life is None or life is self._life:
                self._ended()

    def _ended(self) -> None:
        self.running = False
        self.sleeping = False
        self._tell_waiters()
        if self._ending:
            self._ending = False
            if self.pending() and not self._stopping:
                self.start()  # for an item that came at the last moment and found the thread there

    def _sleep_until_woken(self) -> float | None:
        """Sleep; returns in how many seconds a watcher wants to be asked."""
        while not self._stopping and not self._waiters and not self.pending():
            self.sleeping = True
            # An item that came between the test above and the flag would have found the flag down.
            due = self._look()
            if due is not None or self.pending() or self._waiters or self._stopping:
                self.sleeping = False
                return due
            self._wake.acquire()
            self.sleeping = False
        return None

    def _look(self) -> float | None:
        """Ask the watchers; returns the shortest time that one of them names."""
        soonest: float | None = None
        for look in self._watchers:
            try:
                due = look()
            except Exception as error:
                swallowed("worker.watch", error)
                continue
            if due is not None and (soonest is None or due < soonest):
                soonest = due
        return soonest

    def _drain(self) -> bool:
        """Run every channel until all are empty; an earlier channel may feed a later one.

        Returns:
            True if there was anything.
        """
        any_item, busy = False, True
        self._draining += 1
        outer, self._draining_thread = self._draining_thread, threading.get_ident()
        try:
            while busy:
                busy = False
                for channel in self._channels:
                    while batch := channel.take(BATCH):
                        any_item = busy = True
                        channel.run(batch)
                        rest = self.turn.done(PAUSE_SECONDS)
                        if len(batch) == BATCH and threading.current_thread() is self._thread:
                            time.sleep(rest)
        finally:
            self._draining -= 1
            self._draining_thread = outer
        return any_item

    def _take_waiters(self) -> list[Callable[[], None]]:
        taken: list[Callable[[], None]] = []
        try:
            while True:
                taken.append(self._waiters.popleft())
        except IndexError:
            return taken

    def _tell(self, waiting: list[Callable[[], None]]) -> None:
        for callback in waiting:
            try:
                callback()
            except Exception as error:
                swallowed("worker.notify", error)

    def _tell_waiters(self) -> None:
        self._tell(self._take_waiters())

    # -- life and death ------------------------------------------------------------------------------

    def stop(self, timeout: float = 5.0) -> bool:
        """Drain, end the thread and let every channel close what it holds open.

        Returns:
            True when everything was handled in time. The worker starts again with the next item.
        """
        deadline = time.monotonic() + timeout
        self._stopping = True
        try:
            thread = self._thread
            self.hurry()
            other = thread is not None and thread is not threading.current_thread()
            if thread is not None and other and not join(thread, deadline - time.monotonic()):
                return False
            self.running = False
            self._thread = None
            self._urgent.acquire(blocking=False)  # else the next thread would not gather at first
            drained = self.flush(max(0.0, deadline - time.monotonic()))
            for channel in self._channels:
                if channel.on_stop is not None:
                    try:
                        channel.on_stop()
                    except Exception as error:
                        swallowed(f"worker.{channel.name}.on_stop", error)
            return drained
        finally:
            self._stopping = False

    def is_greenlet(self) -> bool:
        """Whether its thread is one of many that share one of the system."""
        return type(self._wake).__module__ != "_thread"

    def end_thread(self) -> None:
        """End the thread once all is handled; to be called on it. It starts again with the next item."""
        self._ending = self.is_here()

    def forget(self) -> None:
        """In the child of a fork: the parent's queued items are the parent's; locks and thread are new."""
        self.sleeping = False
        self.running = False
        self._stopping = False
        self._ending = False
        self._draining = 0
        self._draining_thread = None
        self._life = object()
        self._thread = None
        self.turn.renew()
        self._wake = _thread.allocate_lock()
        self._urgent = _thread.allocate_lock()
        self._start_lock = threading.RLock()
        self._drain_lock = threading.RLock()
        self._waiters.clear()
        self._wake.acquire()
        self._urgent.acquire()
        for channel in self._channels:
            channel.clear()


worker: Final = Worker(steady_seconds=STEADY_SECONDS, overdue_seconds=OVERDUE_SECONDS)
"""The worker of this process."""

helpers: Final[list[Worker]] = []
"""Workers of those who may have to wait for somebody else, and must not hold up the one: a fork stops and
starts them, too. Their end is their owner's affair."""


def _before_fork() -> None:
    try:
        for one in (worker, *helpers):
            one.ran_at_fork = one.running
            if one.is_greenlet():
                continue  # the child takes it along, and nobody may wait here
            if one.running and not one.stop(one.fork_seconds) and one is not worker:
                one.fork_seconds = 0.0  # not waited for again until its owner says that it goes on
    except Exception as error:
        swallowed("worker.before_fork", error)


def _after_fork_in_child() -> None:
    try:
        for one in (worker, *helpers):
            one.forget()
    except Exception as error:
        swallowed("worker.after_fork", error)


def _at_exit() -> None:
    try:
        worker.is_over = True
        worker.stop(5.0)
        keep_interrupt()
    except Exception as error:
        swallowed("worker.at_exit", error)


def _after_fork_in_parent() -> None:
    try:
        for one in (worker, *helpers):
            if (one.ran_at_fork or one.pending()) and not greenlets.are_threads():
                one.start()  # noted ends come from finalisers, too, which start nothing
    except Exception as error:
        swallowed("worker.after_fork", error)


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
atexit.register(_at_exit)
