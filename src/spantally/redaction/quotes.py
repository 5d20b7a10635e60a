"""How quotes stand in texts of any kind: plain, escaped at any depth, as entities, encoded for a URL."""

from __future__ import annotations

from typing import Final

QUOTE: Final = r"""(?:\\{0,64}(?:["'`]|u0022|u0027)|&quot;|&\#3[49];|%22|%27)"""
"""A pattern, also for ``re.VERBOSE``."""
