"""Tags of inner work over those around it."""

from __future__ import annotations

from spantally.ground.errors import SettingsError
from spantally.ground.guard import say_once
from spantally.ground.setting_values import parse_tags

Tags = tuple[tuple[str, str], ...]


def merged_tags(inherited: Tags, own: Tags, *, trusted: bool) -> Tags:
    """Both, the inner value winning.

    Args:
        inherited: those around.
        own: those said here.
        trusted: False where those around may be a stranger's, read from inbound baggage: then they are left
            out where they are too many together with the program's own, which raises nothing.

    Raises:
        SettingsError: if they are too many together.
    """
    if not inherited or not own:
        return own or inherited
    try:
        return parse_tags("tags", {**dict(inherited), **dict(own)})
    except SettingsError:
        if trusted:
            raise
        say_once(
            "baggage:tags", "spantally: tags from outside left no room for the program's; they were dropped"
        )
        return own
