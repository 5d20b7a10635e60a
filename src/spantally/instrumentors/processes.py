"""Other processes carry the scope: children of multiprocessing, process pools, and programs that are started.

A forked child has the memory of its parent, so its scope is there. One that is started by spawn or
forkserver gets it with its pickled ``Process`` object. Workers of a pool start without, whoever made them
start, and each task brings its own. A program that ``subprocess`` starts finds it in its environment.

What travels by pickle is made to be unpickled anywhere: :class:`Arrival` and :class:`InCarried` are found by
the same ``sys.path``, which multiprocessing hands on itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.calls import carrier
from spantally.ground.guard import swallowed
from spantally.ground.scope import SCOPE_KEY
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.patching import Patch, PatchSet

_WORKERS: Final = frozenset(
    {("concurrent.futures.process", "_process_worker"), ("multiprocessing.pool", "worker")}
)

_CARRIED: Final = "_spantally_arrival"
"""Attribute of a ``Process`` that holds what its child shall be in."""

_ENV_PLACE: Final = 10
"""Place of ``env`` among the arguments of ``subprocess.Popen``."""


# -- multiprocessing.Process -----------------------------------------------------------------------------


class Arrival:
    """Enters the scope of whoever started this process, at the moment it is unpickled there."""

    __slots__ = ("packed",)

    def __init__(self, packed: carrier.Packed) -> None:
        self.packed = packed

    def __reduce__(self) -> tuple[Any, ...]:
        return arrive, (self.packed,)


def arrive(packed: carrier.Packed) -> Arrival:
    """Go on inside what a parent process has packed, for as long as this process lives.

    Args:
        packed: by :func:`spantally.calls.carrier.pack`.
    """
    try:
        otel_context.attach(carrier.unpack(packed))
    except Exception as error:
        swallowed("processes.arrive", error)
    return Arrival(packed)


def _start(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    token = None
    try:
        context = otel_context.get_current()
        if context.get(SCOPE_KEY) is not None:
            if _is_worker(instance):
                token = otel_context.attach(Context())  # a fork would keep what is in force here
            else:
                packed = carrier.pack(context)
                if packed is not None:
                    instance.__dict__[_CARRIED] = Arrival(packed)
    except Exception as error:
        swallowed("processes.start", error)
    try:
        return wrapped(*args, **kwargs)
    finally:
        _started(instance, token)


def _started(instance: Any, token: Any) -> None:
    try:
        instance.__dict__.pop(_CARRIED, None)
        if token is not None:
            otel_context.detach(token)
    except Exception as error:
        swallowed("processes.started", error)


def _is_worker(process: Any) -> bool:
    target = getattr(process, "_target", None)
    return (getattr(target, "__module__", None), getattr(target, "__name__", None)) in _WORKERS


# -- pools of processes ----------------------------------------------------------------------------------


class InCarried:
    """A callable that runs in another process, in the scope of whoever submitted it."""

    __slots__ = ("function", "packed")

    def __init__(self, function: Callable[..., Any], packed: carrier.Packed) -> None:
        self.function = function
        self.packed = packed

    def __reduce__(self) -> tuple[Any, ...]:
        return InCarried, (self.function, self.packed)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it, and leave again."""
        token = None
        try:
            token = otel_context.attach(carrier.unpack(self.packed))
        except Exception as error:
            swallowed("processes.enter", error)
        try:
            return self.function(*args, **kwargs)
        finally:
            _leave(token)


def _leave(token: Any) -> None:
    try:
        if token is not None:
            otel_context.detach(token)
    except Exception as error:
        swallowed("processes.leave", error)


def carried(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, bound to the scope in force for a run in another process; itself outside any."""
    try:
        packed = carrier.pack(otel_context.get_current())
        return function if packed is None else InCarried(function, packed)
    except Exception as error:
        swallowed("processes.submit", error)
        return function


def _submit(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args:
        args = (carried(args[0]), *args[1:])
    return wrapped(*args, **kwargs)


# -- subprocess ------------------------------------------------------------------------------------------


def _popen(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        context = otel_context.get_current()
        if context.get(SCOPE_KEY) is not None:
            variables = carrier.to_environment(context)
            if variables and len(args) > _ENV_PLACE:
                args = (*args[:_ENV_PLACE], _extended(args[_ENV_PLACE], variables), *args[_ENV_PLACE + 1 :])
            elif variables:
                kwargs = {**kwargs, "env": _extended(kwargs.get("env"), variables)}
    except Exception as error:
        swallowed("processes.popen", error)
    return wrapped(*args, **kwargs)


def _extended(env: Mapping[Any, Any] | None, variables: dict[str, str]) -> dict[Any, Any]:
    """The environment that a child gets, and ours; names and values may be bytes in the program's own."""
    if env is None:
        return {**os.environ, **variables}
    kept = {key: value for key, value in env.items() if os.fsdecode(key) not in variables}
    return {**kept, **variables}


class ProcessesInstrumentor(TableInstrumentor):
    """Carries session, agent path and current span into child processes, process pools and programs."""

    def make_patches(self) -> PatchSet:
        """Where processes are started, and where a pool of them is given work."""
        return PatchSet(
            "processes",
            (
                Patch("multiprocessing.process", "BaseProcess.start", _start),
                Patch("concurrent.futures.process", "ProcessPoolExecutor.submit", _submit),
                Patch("subprocess", "Popen.__init__", _popen),
            ),
        )
