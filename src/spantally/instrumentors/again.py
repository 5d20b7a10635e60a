"""Modules that are imported again: purged from ``sys.modules``, as tests do, or reloaded.

A post-import hook is called once, for the first import. So a finder that finds nothing by itself stands
before the others, while anything is patched: for a module that is watched it asks them, and lets its patches
be put in anew once the module's code has run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final, TypeAlias

import wrapt

from spantally.ground.guard import swallowed

_Imported: TypeAlias = Callable[[str, ModuleType], None]

_watched: Final[dict[str, dict[object, _Imported]]] = {}


class _Loader(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A loader that tells of the end of its work; the module itself never sees it."""

    def __init__(self, loader: Any, name: str) -> None:
        super().__init__(loader)
        self._self_name = name

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, then those who watch it."""
        try:
            spec: Any = module.__spec__
            if spec is not None and spec.loader is self:
                spec.loader = self.__wrapped__
            if getattr(module, "__loader__", None) is self:
                module.__loader__ = self.__wrapped__
        except Exception as error:
            swallowed("again.loader", error)
        self.__wrapped__.exec_module(module)
        for imported in tuple(_watched.get(self._self_name, {}).values()):
            imported(self._self_name, module)


class _Finder:
    """Stands before the finders of others, and finds what they find."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a watched module; None for any other."""
        if name not in _watched:
            return None
        for finder in tuple(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(name, path, target)
            if spec is not None:
                return _told(spec, name)
        return None


def _told(spec: ModuleSpec, name: str) -> ModuleSpec:
    try:
        if spec.loader is not None and hasattr(spec.loader, "exec_module"):
            loader: Any = _Loader(spec.loader, name)
            spec.loader = loader
    except Exception as error:
        swallowed("again.spec", error)
    return spec


_finder: Final = _Finder()


def watch(owner: object, name: str, imported: _Imported) -> None:
    """Call ``imported`` each time a module that is there by now is imported again.

    Args:
        owner: who watches; it is called once, however often it asks.
        name: the module's.
        imported: gets both; must not raise.
    """
    _watched.setdefault(name, {})[owner] = imported
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def forget(owner: object) -> None:
    """Call an owner no more; with the last one the finder goes, too."""
    for name, watchers in tuple(_watched.items()):
        watchers.pop(owner, None)
        if not watchers:
            _watched.pop(name, None)
    if not _watched and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
