"""The version of the counting rules: by which of them the parts of a stored call were read.

Stored parts of the version in force are rated again as they are; older ones are first read anew from the raw
usage.
"""

from __future__ import annotations

from typing import Final

COUNTING: Final = 1
"""To be raised in each release in which a reader of ``pricing/usage*.py`` answers otherwise than before."""
