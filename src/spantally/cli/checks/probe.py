"""A program of one line, started as `spantally run` would: it imports the SDKs and tells what is in force.

Printed as JSON on the last line of stdout. It is a process of its own so that the doctor's stays unpatched.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from importlib.util import find_spec
from typing import Final

from spantally.cli.checks.in_source import Sources

SDKS: Final = ("openai", "anthropic")
"""SDKs that our instrumentors patch when they are imported."""


def main() -> None:
    """Import what is installed and print the report."""
    errors = {}
    for name in SDKS:
        try:
            if find_spec(name) is not None:
                importlib.import_module(name)
        except Exception as error:
            errors[name] = f"{type(error).__name__}: {error}"
    from spantally.api.report import report

    awaited = _awaited([patch["target"] for patch in report()["patches"]]) if not errors else set()
    told = report()
    for patch in told["patches"]:
        patch["awaited"] = patch["target"] in awaited
    print(json.dumps({"report": told, "errors": errors}, default=str), flush=True)


def _awaited(targets: list[str]) -> set[str]:
    """Places in parts of an SDK that it imports when they are used: those that their source shows.

    Where the source does not show all of them, the part is imported, and the report tells.
    """
    late: dict[str, list[str]] = {}
    for target in targets:
        module, _, path = target.partition(":")
        top = module.partition(".")[0]
        if top in SDKS and top in sys.modules and module not in sys.modules:
            late.setdefault(module, []).append(path)
    sources, found = Sources(), set()
    for module, paths in late.items():
        if sources.all_defined(module, paths):
            found |= {f"{module}:{path}" for path in paths}
        else:
            with contextlib.suppress(Exception):
                importlib.import_module(module)
    return found


if __name__ == "__main__":
    main()
