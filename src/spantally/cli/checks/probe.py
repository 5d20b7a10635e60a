"""A program of one line, started as `spantally run` would: it imports the SDKs and tells what is in force.

Printed as JSON on the last line of stdout. It is a process of its own so that the doctor's stays unpatched.
"""

from __future__ import annotations

import contextlib
import importlib
import json
from importlib.util import find_spec
from typing import Final

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

    for patch in report()["patches"]:  # parts of an SDK that it imports when they are used
        module = patch["target"].partition(":")[0]
        if module.partition(".")[0] in SDKS and not errors:
            with contextlib.suppress(Exception):
                importlib.import_module(module)
    print(json.dumps({"report": report(), "errors": errors}, default=str), flush=True)


if __name__ == "__main__":
    main()
