"""Where files of this user are: settings, data, the default ledger."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from spantally.ground.settings import from_environment

if TYPE_CHECKING:
    from pathlib import Path


def config_path() -> Path:
    """The settings file: that of SPANTALLY_CONFIG, else ``spantally.toml`` in the configuration directory."""
    from pathlib import Path  # late here and below: a fifth of what redaction would import, which needs none

    named = from_environment("config")
    if named is not None:
        return Path(named).expanduser()
    if _PLATFORM == "linux":  # the same, without an import at every start
        return Path(os.environ.get("XDG_CONFIG_HOME", "").strip() or "~/.config").expanduser() / _CONFIG
    import platformdirs

    return Path(platformdirs.user_config_dir("spantally", appauthor=False)) / "spantally.toml"


_CONFIG: Final = "spantally/spantally.toml"
_PLATFORM: Final = str(sys.platform)


_written: object = None


def tell_written(ledger: object) -> None:
    """Say which ledger this process is to write, before its first record opens it; None for none named."""
    global _written
    _written = ledger


def written() -> Any:
    """The ledger that this process was told to write, by name or as a store; None where none was named."""
    return _written


def data_directory() -> Path:
    """The directory of this user's data of spantally, as platformdirs names it."""
    from pathlib import Path

    if _PLATFORM == "linux":  # the same, without an import
        given = os.environ.get("XDG_DATA_HOME", "").strip()
        return Path(given or "~/.local/share").expanduser() / "spantally"
    import platformdirs

    return Path(platformdirs.user_data_dir("spantally", appauthor=False))


def default_ledger_path() -> Path:
    """The ledger of this user: ``ledger.db`` in the data directory."""
    return data_directory() / "ledger.db"
