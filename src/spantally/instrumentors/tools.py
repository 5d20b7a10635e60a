"""Functions that a setting names become tools, with no edit of the program.

``package.module:function`` and ``package.module:Class.method`` are wrapped when their module is imported,
before any ``from module import function`` binds the name. Functions of ``__main__`` are wrapped when the
first call begins, since the main module is never imported: names looked up from then on are the wrapped ones.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from typing import Any

from spantally.calls.starting import first_start
from spantally.ground.guard import swallowed
from spantally.ground.settings import from_environment
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.patching import Patch, PatchSet


def _as_tool(name: str, original: Any) -> Any:
    from spantally.calls.work import ToolWork

    return ToolWork(name, None)(original)


def _patches(entries: Iterable[str]) -> tuple[Patch, ...]:
    made = []
    for entry in entries:
        module, _, path = entry.partition(":")
        name = path.rpartition(".")[2]
        made.append(Patch(module, path, factory=functools.partial(_as_tool, name)))
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
