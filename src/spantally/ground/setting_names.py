"""Variables that look like settings of ours and are none: nobody would notice that they do nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final

from spantally.ground.guard import say_once, swallowed
from spantally.ground.settings import OPTIONS

OTHERS: Final = frozenset(
    {"SPANTALLY_CARRIER", "SPANTALLY_REDACTION_KEY", "SPANTALLY_RUN_PID", "SPANTALLY_SUMMARY_OWNER"}
)
"""Variables that are ours and not in the table of settings."""

_OURS: Final = re.compile(r"spantal\w{0,60}", re.ASCII | re.IGNORECASE)
"""In any case, and with a slip in the prefix: ``SPANTALY_LEDGER``."""
_MOST_SAID: Final = 5


def misspelt(names: Iterable[str]) -> list[tuple[str, str | None]]:
    """Names that are no setting, each with the nearest real one, or None.

    Args:
        names: of environment variables.
    """
    known = {option.env for option in OPTIONS} | OTHERS
    found = sorted(name for name in names if _OURS.fullmatch(name) and name not in known)
    if not found:
        return []
    import difflib  # late: hardly ever needed

    # By what follows the prefix, which alone would make any two of them near.
    choices = {name.removeprefix("SPANTALLY_"): name for name in sorted(known)}
    near = (difflib.get_close_matches(name.upper().partition("_")[2], choices, n=1) for name in found)
    return [(name, choices[match[0]] if match else None) for name, match in zip(found, near, strict=True)]


def say_misspelt() -> None:
    """Log once what the environment has of them; never raises."""
    try:
        found = misspelt(os.environ)
        if found:
            told = ", ".join(
                f"{name} (did you mean {near}?)" if near else name for name, near in found[:_MOST_SAID]
            )
            more = f" and {len(found) - _MOST_SAID} more" if len(found) > _MOST_SAID else ""
            say_once(f"misspelt:{told}", "spantally: no such setting, and so ignored: %s%s", told, more)
    except Exception as error:
        swallowed("ground.setting_names", error)
