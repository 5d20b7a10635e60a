"""Which places a module that nobody has imported will have, read in its source.

Importing the parts of an SDK that it imports only when they are used takes seconds.
"""

from __future__ import annotations

import ast
import importlib.machinery
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_MOST_BASES: Final = 8
"""How far a class is followed to those it is derived from."""


def all_defined(module: str, paths: Iterable[str]) -> bool:
    """Whether a module's source plainly gives every one of these attribute paths.

    Args:
        module: its name; the package at its top is imported.
        paths: a name within the module, or ``Class.method``, of the class or of one that it is derived from.

    Returns:
        False where any of them is not seen: then only importing tells.
    """
    return Sources().all_defined(module, paths)


class Sources:
    """Modules by their source, each read once."""

    def __init__(self) -> None:
        self._trees: dict[str, ast.Module | None] = {}

    def all_defined(self, module: str, paths: Iterable[str]) -> bool:
        """See :func:`all_defined`."""
        return all(self._gives(module, *path.split(".")) for path in paths)

    def _gives(self, module: str, name: str, *inner: str, bases: int = _MOST_BASES) -> bool:
        """Whether the module has the name and, of the class of this name, the inner one."""
        tree = self._tree(module)
        if tree is None:
            return False
        if not inner:
            return _binds(tree.body, name)
        for statement in tree.body:
            if isinstance(statement, ast.ClassDef) and statement.name == name:
                return (len(inner) == 1 and _binds(statement.body, inner[0])) or any(
                    bases > 0 and self._gives(module, base.id, *inner, bases=bases - 1)
                    for base in statement.bases
                    if isinstance(base, ast.Name)
                )
            if isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    if (alias.asname or alias.name) == name and bases > 0:
                        return self._gives(_imported(module, statement), alias.name, *inner, bases=bases - 1)
        return False

    def _tree(self, module: str) -> ast.Module | None:
        if module not in self._trees:
            self._trees[module] = _parsed(module)
        return self._trees[module]


def _binds(body: list[ast.stmt], name: str) -> bool:
    """Whether statements give something this name: a class, a function, a value."""
    return any(name in _names(statement) for statement in body)


def _names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []


def _imported(module: str, statement: ast.ImportFrom) -> str:
    """The module that a ``from`` names, seen from a module that is no package."""
    parents = module.split(".")[: -statement.level] if statement.level else []
    return ".".join([*parents, *filter(None, [statement.module])])


def _parsed(module: str) -> ast.Module | None:
    source = _source(module)
    if source is None:
        return None
    try:
        return ast.parse(source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _source(module: str) -> Path | None:
    """The file of a module; found by name, since importlib would import all packages above it."""
    top, *inner = module.split(".")
    path = [str(one) for one in getattr(sys.modules.get(top), "__path__", ())]
    for depth, name in enumerate(inner, 1):
        found = importlib.machinery.PathFinder.find_spec(name, path)
        if found is None:
            return None
        if depth == len(inner):
            if found.origin is None or found.submodule_search_locations is not None:
                return None
            return Path(found.origin) if found.origin.endswith(".py") else None
        path = list(found.submodule_search_locations or ())
    return None
