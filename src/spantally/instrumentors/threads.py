"""Threads carry the scope: raw threads that of their starter, pool workers one per task.

A pool's worker threads are made by whoever submits first; if they kept that scope, everybody's later work
would run as theirs. So a worker starts without one, and each task brings its own. A raw thread keeps the
Context of its starter; its session's end does not matter to work that was begun inside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.ground.guard import swallowed
from spantally.ground.scope import SCOPE_KEY
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.patching import Patch, PatchSet

_SERVANTS: Final = frozenset(
    {
        "anyio._backends._asyncio",
        "concurrent.futures.process",
        "concurrent.futures.thread",
        "multiprocessing.managers",
        "multiprocessing.pool",
        "multiprocessing.queues",
        "multiprocessing.resource_sharer",
    }
)
"""Modules whose threads serve everybody, whoever has them start: workers, feeders, managers of a pool."""


class _InContext:
    """A callable that runs in the Context of whoever submitted it."""

    __slots__ = ("context", "function")

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        self.function = function
        self.context = context

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            token = otel_context.attach(self.context)
        except Exception as error:
            swallowed("threads.attach", error)
            return self.function(*args, **kwargs)
        try:
            return self.function(*args, **kwargs)
        finally:
            _detach(token)


def _detach(token: Any) -> None:
    try:
        otel_context.detach(token)
    except Exception as error:
        swallowed("threads.detach", error)


class _ThreadRun:
    """Stands in for one thread's ``run`` until it is called: subclasses override ``run`` without super()."""

    __slots__ = ("context", "run", "thread")

    def __init__(self, thread: threading.Thread, context: Context) -> None:
        self.thread = thread
        self.run = thread.run
        self.context = context

    def __call__(self) -> None:
        run = self.run
        token = None
        try:
            self.thread.__dict__.pop("run", None)
            if not _session_ended(self.context):
                token = otel_context.attach(self.context)
        except Exception as error:
            swallowed("threads.run", error)
        try:
            run()
        finally:
            if token is not None:
                _detach(token)


def _start(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    armed = False
    try:
        if not _is_servant(instance):
            context = otel_context.get_current()
            if context.get(SCOPE_KEY) is not None and "run" not in instance.__dict__:
                instance.run = _ThreadRun(instance, context)
                armed = True
    except Exception as error:
        swallowed("threads.start", error)
    try:
        return wrapped(*args, **kwargs)
    except BaseException:
        if armed:
            instance.__dict__.pop("run", None)
        raise


def _is_servant(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    return type(thread).__module__ in _SERVANTS or getattr(target, "__module__", None) in _SERVANTS


def _session_ended(context: Context) -> bool:
    scope: Any = context.get(SCOPE_KEY)
    return bool(getattr(getattr(scope, "session", None), "ended", False))


def _submit(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        context = otel_context.get_current()
        if args and context.get(SCOPE_KEY) is not None:
            args = (_InContext(args[0], context), *args[1:])
    except Exception as error:
        swallowed("threads.submit", error)
    return wrapped(*args, **kwargs)


def _task(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The pools of multiprocessing, of threads and of processes: each task of either is a function first."""
    try:
        context = otel_context.get_current()
        if args and context.get(SCOPE_KEY) is not None:
            args = (_task_of(instance, args[0], context), *args[1:])
    except Exception as error:
        swallowed("threads.task", error)
    return wrapped(*args, **kwargs)


def _task_of(pool: Any, function: Callable[..., Any], context: Context) -> Callable[..., Any]:
    from multiprocessing.pool import ThreadPool

    if isinstance(pool, ThreadPool):
        return _InContext(function, context)
    from spantally.instrumentors.processes import carried

    return carried(function)


class ThreadingInstrumentor(TableInstrumentor):
    """Carries session, agent path and current span into threads and thread pools."""

    def make_patches(self) -> PatchSet:
        """``Thread.start``, and where pools of threads (and those of multiprocessing) are given work."""
        return PatchSet(
            "threads",
            (
                Patch("threading", "Thread.start", _start),
                Patch("concurrent.futures.thread", "ThreadPoolExecutor.submit", _submit),
                Patch("multiprocessing.pool", "Pool.apply_async", _task),
                Patch("multiprocessing.pool", "Pool._map_async", _task, required=False),
                Patch("multiprocessing.pool", "Pool.imap", _task),
                Patch("multiprocessing.pool", "Pool.imap_unordered", _task),
            ),
        )
