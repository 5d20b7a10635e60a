"""Much text of an asynchronous call: scanned in a thread of its own, so that the event loop goes on.

The redactor remembers what it has scanned; asked again on the thread of the loop, it answers from memory. The
scan is many short steps, between which the interpreter lets the loop run.
"""

from __future__ import annotations

import json
from typing import Any, Final

from spantally.calls.telemetry import Telemetry
from spantally.ground.event_loop import in_event_loop, run_beside
from spantally.ground.guard import swallowed
from spantally.redaction import Redactor
from spantally.redaction import engine as _rules  # noqa: F401 - set up with an SDK, not with its first call

MUCH: Final = 65_536
"""Characters; less is scanned in a few milliseconds."""
SHORTEST: Final = 200
"""Characters; the redactor does not remember shorter texts."""
MOST_BYTES: Final = 16_777_216
PATIENCE_SECONDS: Final = 5.0
"""How long a call waits for the scan; then it goes on, and scans what is left itself."""

_MOST_NODES: Final = 50_000
_DATA: Final = frozenset({"data", "b64_json", "file_data", "url", "image_url", "embedding"})
"""Fields that hold media or numbers, of which only size and hash are told."""


def texts_of(value: Any) -> list[str]:
    """The texts of a JSON value that are worth remembering, where together they are much; else none.

    Args:
        value: mappings, lists and texts; anything else is passed over.
    """
    found: list[str] = []
    size = nodes = 0
    waiting = [value]
    while waiting and nodes < _MOST_NODES:
        nodes += 1
        one = waiting.pop()
        kind = type(one)
        if kind is str:
            if len(one) >= SHORTEST and not one.startswith("data:"):
                found.append(one)
                size += len(one)
        elif kind is dict:
            waiting.extend(part for name, part in one.items() if name not in _DATA)
        elif kind is list or kind is tuple:
            waiting.extend(one)
    return found if size >= MUCH else []


async def scan_beside(telemetry: Telemetry, value: Any) -> None:
    """Have the redactor know the texts of a value before it is asked for them.

    Nothing of ours is raised; where the task is cancelled meanwhile, that is the program's.

    Args:
        telemetry: gives the redactor.
        value: see :func:`texts_of`; or JSON as bytes, which are read in the thread.
    """
    try:
        redactor = telemetry.redactor
        getattr(redactor, "revision", None)  # one that is made at its first text is made by that
        if type(redactor) is not Redactor or not in_event_loop():
            return
        is_raw = type(value) is bytes
        texts = [] if is_raw else texts_of(value)
        if not texts and not (is_raw and MUCH <= len(value) <= MOST_BYTES):
            return

        def scan() -> None:
            try:
                for text in texts_of(json.loads(value)) if is_raw else texts:
                    redactor.text(text, "content")
            except Exception as error:
                swallowed("calls.scan", error)

        await run_beside(scan, PATIENCE_SECONDS, name="spantally-scan")
    except Exception as error:
        swallowed("calls.beside", error)
