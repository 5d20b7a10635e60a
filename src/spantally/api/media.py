"""Where media of content is kept as files: beside the ledger, if that is a file."""

from __future__ import annotations

import os
from typing import Final

from spantally.calls.telemetry import Telemetry
from spantally.ground.guard import say_once
from spantally.ground.places import default_ledger_path

SUFFIX: Final = ".media"
"""What the directory's name adds to that of the ledger's file."""


def keep_media(telemetry: Telemetry, ledger: object, most_bytes: int | None) -> None:
    """Keep media from now on, or no longer.

    Args:
        telemetry: whose content it is of.
        ledger: the ledger's argument.
        most_bytes: of all files together; None to keep none.
    """
    before = telemetry.media_files
    if before is None and most_bytes is None:
        return
    from spantally.calls import media
    from spantally.calls.media_files import MediaFiles

    files = None
    if most_bytes is not None:
        path = default_ledger_path() if ledger is None else ledger
        if isinstance(path, (str, os.PathLike)) and os.fspath(path) != ":memory:":
            files = MediaFiles(os.fspath(path) + SUFFIX, most_bytes)
        else:
            say_once("media:none", "spantally: media is not kept: the ledger is no file")
    telemetry.media_files = files
    media.keepers.discard(before)
    if files is not None:
        media.keepers.add(files)
