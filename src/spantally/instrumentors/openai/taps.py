"""The taps of the OpenAI SDK."""

from __future__ import annotations

from typing import Final

from spantally.instrumentors.openai import beginning
from spantally.instrumentors.stainless.taps import Taps

TAPS: Final = Taps("openai", beginning)
