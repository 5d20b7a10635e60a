"""Running a program's function inside something of ours, whatever kind of function it is.

Functions, coroutine functions, generator functions and asynchronous generator functions keep their kind,
their values and their exceptions. ``open_`` makes the thing to run inside, at the moment the body starts.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar, cast

from opentelemetry.context import Context

from spantally.calls.entering import Entered, Steps
from spantally.ground.errors import ArgumentError, shown
from spantally.ground.guard import swallowed

_F = TypeVar("_F", bound=Callable[..., Any])


class Running(Protocol):
    """Something that a body runs inside: an agent, a tool, a session.

    Where it has an ``item`` that is not None, that is called with each item which a generator yields.
    """

    context: Context

    def result(self, value: Any) -> None:
        """The body returned ``value``."""

    def error(self, error: BaseException) -> None:
        """The body raised ``error``."""

    def left(self) -> None:
        """A generator was closed or collected before its end; may run in a finaliser."""


Opener = Callable[[tuple[Any, ...], dict[str, Any]], "Running | None"]


def wrap_function(
    function: _F, opener: Opener, *, what: str, beside: Callable[[Any], Awaitable[None]] | None = None
) -> _F:
    """The function, run inside what ``opener`` gives (or plainly, where that is None).

    Args:
        function: a function, method or callable object; classmethod and staticmethod objects too.
        opener: takes the call's arguments; must not raise.
        what: names the decorator in an error.
        beside: awaited by coroutine functions with the arguments before, and with the value after; must not
            raise anything of ours.

    Raises:
        ArgumentError: for something that cannot be decorated.
    """
    if isinstance(function, (classmethod, staticmethod)):
        inner = wrap_function(function.__func__, opener, what=what, beside=beside)
        return cast("_F", type(function)(inner))
    if inspect.isclass(function) or not callable(function):
        raise ArgumentError(f"{what}: {shown(function)} cannot be decorated; pass a function or method")
    kind: Any = function
    if not inspect.isroutine(function) and not isinstance(function, functools.partial):
        kind = type(function).__call__  # an object is of the kind of its method
    if _is(inspect.isasyncgenfunction, function, kind):
        wrapped: Any = _wrap_async_generator(function, opener)
    elif _is(inspect.iscoroutinefunction, function, kind):
        wrapped = _wrap_coroutine(function, opener, beside)
    elif _is(inspect.isgeneratorfunction, function, kind):
        wrapped = _wrap_generator(function, opener)
        if _is_awaitable(function):
            wrapped = types.coroutine(wrapped)
    else:
        wrapped = _wrap_plain(function, opener)
    for name in _OF_CACHES if isinstance(function, _CACHED) else ():
        setattr(wrapped, name, getattr(function, name))
    return cast("_F", wrapped)


_CACHED: Final = type(functools.lru_cache(len))
_OF_CACHES: Final = ("cache_info", "cache_clear", "cache_parameters")
"""What programs ask of a function behind ``functools.lru_cache``, beside calling it."""


def _is(check: Callable[[Any], bool], function: Any, kind: Any) -> bool:
    try:
        return check(function) or check(kind)
    except Exception:  # an object that answers what it is asked with an error
        return check(kind)


def _is_awaitable(function: Any) -> bool:
    """True for a generator function that ``types.coroutine`` has made one of coroutines."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _as(function: Callable[..., Any]) -> Callable[[_F], _F]:
    """``functools.wraps`` for whatever can be called: a stand-in for something remote answers anything."""

    def decorate(run: _F) -> _F:
        for name in functools.WRAPPER_ASSIGNMENTS:
            try:
                setattr(run, name, getattr(function, name))
            except Exception:  # has none, gives none, or something of another type
                continue
        functools.update_wrapper(run, function, assigned=())
        return run

    return decorate


def _tell(method: Callable[..., None], *args: Any) -> None:
    try:
        method(*args)
    except Exception as error:
        swallowed("calls.running", error)


def _enter(running: Running) -> Entered | None:
    try:
        return Entered(running.context)
    except Exception as error:
        swallowed("calls.enter", error)
        return None


def _wrap_plain(function: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    @_as(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        running = opener(args, kwargs)
        if running is None:
            return function(*args, **kwargs)
        entered = _enter(running)
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            if entered is not None:
                entered.leave()
            _tell(running.error, error)
            raise
        if entered is not None:
            entered.leave()
        _tell(running.result, value)
        return value

    return run


def _wrap_coroutine(
    function: Callable[..., Any], opener: Opener, beside: Callable[[Any], Awaitable[None]] | None
) -> Callable[..., Any]:
    @_as(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        if beside is not None:
            await beside((args, kwargs))
        running = opener(args, kwargs)
        if running is None:
            body = function(*args, **kwargs)
            del args, kwargs  # what the body drops goes
            return await body
        entered = _enter(running)
        try:
            body = function(*args, **kwargs)
            del args, kwargs
            value = await body
        except BaseException as error:
            if entered is not None:
                entered.leave()
            _tell(running.error, error)
            raise
        if entered is not None:
            entered.leave()
        if beside is not None:
            try:
                await beside(value)
            except BaseException as error:
                _tell(running.error, error)
                raise
        _tell(running.result, value)
        return value

    return run


# A generator's frame outlives its steps, and an exception that it raises holds the frame: so neither an item,
# nor what was sent or thrown in, nor the arguments may stay in it, or they would live longer than without us.


def _wrap_generator(function: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    @_as(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        running = opener(args, kwargs)
        if running is None:
            generator = function(*args, **kwargs)
            del args, kwargs
            return (yield from generator)
        steps = Steps(running.context)
        steps.enter()
        try:
            generator = function(*args, **kwargs)
        except BaseException as error:
            steps.leave()
            _tell(running.error, error)
            raise
        del args, kwargs
        steps.leave()
        step, given, left = generator.send, None, False
        taken = getattr(running, "item", None)
        items: list[Any] = []
        while True:
            steps.enter()
            try:
                items.append(step(given))
            except StopIteration as stop:
                steps.leave()
                _tell(running.left) if left else _tell(running.result, stop.value)
                return stop.value  # of a generator that is closed, from 3.13 on, what close() returns
            except BaseException as error:
                steps.leave()
                given = None
                _tell(running.left) if left else _tell(running.error, error)
                raise
            steps.leave()
            given, left = None, False
            if taken is not None:
                _tell(taken, items[0])
            try:
                given = yield items.pop()
                step = generator.send
            except BaseException as error:
                # Thrown in, never closed: the body's own errors, and what it still yields, are as without us.
                step, given, left = generator.throw, error, isinstance(error, GeneratorExit)

    return run


def _wrap_async_generator(function: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    @_as(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        running = opener(args, kwargs)
        if running is None:
            # `yield from` has no asynchronous form; the same loop runs, with nothing around its steps.
            steps: Any = _NoSteps()
            running = cast("Running", _NothingRunning())
        else:
            steps = Steps(running.context)
        try:
            generator = function(*args, **kwargs)
        except BaseException as error:
            _tell(running.error, error)
            raise
        del args, kwargs
        step, given, left = _unannounced(generator.asend), None, False
        taken = getattr(running, "item", None)
        items: list[Any] = []
        while True:
            steps.enter()
            try:
                items.append(await step(given))
            except StopAsyncIteration:
                steps.leave()
                _tell(running.left) if left else _tell(running.result, None)
                return
            except BaseException as error:
                steps.leave()
                given = None
                _tell(running.left) if left else _tell(running.error, error)
                raise
            steps.leave()
            given, left = None, False
            if taken is not None:
                _tell(taken, items[0])
            try:
                given = yield items.pop()
                step = generator.asend
            except BaseException as error:
                step, given, left = generator.athrow, error, isinstance(error, GeneratorExit)

    return run


def _unannounced(first: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The first step of a generator that the event loop is not to hear of.

    A loop closes the generators that it knows when it ends. Ours closes the program's; were both known, they
    would be closed at once, and the loop would report that one of them is running already.
    """

    def step(given: Any) -> Any:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None if hooks.finalizer is None else _leave)
        try:
            return first(given)
        finally:
            sys.set_asyncgen_hooks(*hooks)

    return step


def _leave(generator: Any) -> None:
    """The generator goes together with ours, whose loop has ended: a loop does nothing then, either."""


class _NoSteps:
    def enter(self) -> None:
        """Nothing to attach."""

    def leave(self) -> None:
        """Nothing to detach."""


class _NothingRunning:
    def result(self, value: Any) -> None:
        """Nobody asks."""

    def error(self, error: BaseException) -> None:
        """Nobody asks."""

    def left(self) -> None:
        """Nobody asks."""
