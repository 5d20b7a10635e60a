"""FastAPI: a session that a synchronous dependency enters before its ``yield`` holds in the endpoint.

FastAPI runs such a dependency in a worker thread, in a copy of the request's context, so that what it
enters is gone when the endpoint runs. Here it is put in force in the request's own task, and left there.
Dependencies that are asynchronous generators need none of this.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.calls.entering import KEYS
from spantally.ground.guard import swallowed
from spantally.ground.scope import SCOPE_KEY, restore, with_values
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.patching import Patch, PatchSet

_PLACE: Final = "contextmanager_in_threadpool"


class _Watched:
    """The dependency's own context manager: notes what is in force once its body has yielded."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self.inner: Context | None = None

    def __enter__(self) -> Any:
        value = self._manager.__enter__()
        try:
            self.inner = otel_context.get_current()
        except Exception as error:
            swallowed("fastapi.enter", error)
        return value

    def __exit__(self, *raised: object) -> Any:
        return self._manager.__exit__(*raised)


class _InTask:
    """FastAPI's asynchronous form of that manager: has the task go on inside what the thread entered."""

    def __init__(self, manager: Any, watched: _Watched) -> None:
        self._manager = manager
        self._watched = watched
        self._entered: Context | None = None
        self._before = Context()

    async def __aenter__(self) -> Any:
        value = await self._manager.__aenter__()
        self._attach()
        return value

    async def __aexit__(self, *raised: object) -> Any:
        try:
            return await self._manager.__aexit__(*raised)
        finally:
            self._leave()

    def _attach(self) -> None:
        try:
            inner, before = self._watched.inner, otel_context.get_current()
            if inner is None or inner.get(SCOPE_KEY) is before.get(SCOPE_KEY):
                return
            self._before = before
            self._entered = with_values(before, {key: inner.get(key) for key in KEYS})
            otel_context.attach(self._entered)
        except Exception as error:
            swallowed("fastapi.attach", error)

    def _leave(self) -> None:
        try:
            entered, self._entered = self._entered, None
            if entered is not None:
                restore(entered, self._before, KEYS)
        except Exception as error:
            swallowed("fastapi.leave", error)


def _around(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) != 1 or kwargs:
        return wrapped(*args, **kwargs)
    watched = _Watched(args[0])
    return _InTask(wrapped(watched), watched)


class FastAPIInstrumentor(TableInstrumentor):
    """Has sessions of synchronous dependencies with ``yield`` hold in the endpoint; it makes no spans."""

    supported: ClassVar[tuple[str, ...]] = ("fastapi >= 0.115, < 1",)

    def make_patches(self) -> PatchSet:
        """Where a dependency that is a generator becomes an asynchronous context manager."""
        return PatchSet(
            "fastapi",
            (Patch("fastapi.dependencies.utils", _PLACE, _around, required=False),),
        )
