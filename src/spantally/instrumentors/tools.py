"""Functions that a setting names become tools, with no edit of the program.

``package.module:function`` and ``package.module:Class.method`` are wrapped when their module is imported,
before any ``from module import function`` binds the name. Functions of ``__main__`` are wrapped when the
first call begins, since the main module is never imported: names looked up from then on are the wrapped ones.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from collections.abc import Iterable
from typing import Any

import wrapt

from spantally.calls.starting import first_start
from spantally.ground.errors import ArgumentError
from spantally.ground.guard import say_once, swallowed
from spantally.ground.settings import from_environment
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.patching import Patch, PatchSet


def _as_tool(entry: str, name: str, original: Any) -> Any:
    from spantally.calls.work import ToolWork

    work = ToolWork(name, None)
    try:
        made = work(original)
    except ArgumentError:
        say_once(f"no tool:{entry}", "spantally: %s is neither a function nor a method: it is no tool", entry)
        raise
    if isinstance(original, (classmethod, staticmethod)) or inspect.isfunction(original):
        return made

    def run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return (made if wrapped is original else work(wrapped))(*args, **kwargs)

    return _Binding(original, run) if hasattr(type(original), "__get__") else _Callable(original, made)


class _Like:
    """An object that the program calls stays the object that it is: a cache can be cleared, a class told."""

    __wrapped__: Any

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)

    def __reduce__(self) -> Any:
        return self.__wrapped__.__reduce__()

    def __copy__(self) -> Any:
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)


class _Binding(_Like, wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """A callable that a class makes a method of."""


class _Callable(_Like, wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A callable that is the same wherever it is found.

    Args:
        original: the program's.
        run: calls it as a tool.
    """

    def __init__(self, original: Any, run: Any) -> None:
        super().__init__(original)
        self._self_run = run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._self_run(*args, **kwargs)


def _patches(entries: Iterable[str]) -> tuple[Patch, ...]:
    made = []
    for entry in entries:
        module, _, path = entry.partition(":")
        name = path.rpartition(".")[2]
        made.append(Patch(module, path, factory=functools.partial(_as_tool, entry, name)))
    return tuple(made)


class ToolsInstrumentor(TableInstrumentor):
    """Wraps the functions of ``SPANTALLY_TOOLS`` and of ``instrument(tools=[...])``."""

    def make_patches(self) -> PatchSet:
        """Nothing until a setting names something."""
        return PatchSet("tools", ())

    def _instrument(self, **kwargs: Any) -> None:
        try:
            entries = kwargs.get("tools")
            if entries is None:
                entries = from_environment("tools")
            self.patch_set = PatchSet("tools", _patches(entries))
            super()._instrument(**kwargs)
            if self.patch_set.enabled and any(patch.module == "__main__" for patch in self.patch_set.patches):
                first_start.append(self._wrap_main)
        except Exception as error:
            swallowed("tools.instrument", error)

    def _wrap_main(self) -> None:
        if self.patch_set.enabled and "__main__" in sys.modules:
            self.patch_set.apply("__main__")
