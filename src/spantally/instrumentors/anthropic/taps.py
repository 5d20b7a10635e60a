"""The taps of the Anthropic SDK."""

from __future__ import annotations

from typing import Final

from spantally.instrumentors.anthropic import beginning
from spantally.instrumentors.stainless.taps import Taps

TAPS: Final = Taps("anthropic", beginning)
