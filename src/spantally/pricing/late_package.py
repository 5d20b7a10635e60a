"""Import a package's submodules while its ``__init__`` waits until somebody needs it.

``genai_prices/__init__.py`` imports the HTTP client ``httpx2`` for a feature that is not used here. Done on a
background thread that would hurt the program: openai 2.x looks ``httpx2`` up in ``sys.modules`` at each call,
and there a module stands half-made while another thread imports it (its ``Timeout`` is missing then, and the
program's call fails). So the price data is imported without that ``__init__``; a program that uses
``genai_prices`` itself gets the whole package at its first use of it.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from typing import Any


def late_package(name: str) -> None:
    """Put a package into ``sys.modules`` whose ``__init__`` runs at the first use of a name it defines.

    Nothing happens where the package is already imported, or is not there (importing it then says so).

    Args:
        name: of a top-level package.
    """
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return
    loader = spec.loader
    module = importlib.util.module_from_spec(spec)
    lock = threading.RLock()
    running = False

    def complete(attribute: str) -> Any:
        nonlocal running
        with lock:
            # Without the flag, a name that __init__ itself looks for in vain would run it again, and again.
            if "__getattr__" in vars(module) and not running:
                running = True
                try:
                    loader.exec_module(module)
                    del module.__getattr__
                finally:
                    running = False
        try:
            return vars(module)[attribute]
        except KeyError:
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}") from None

    module.__getattr__ = complete  # type: ignore[method-assign]
    sys.modules.setdefault(name, module)
