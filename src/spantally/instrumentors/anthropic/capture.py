"""Content of one call of the Anthropic SDK."""

from __future__ import annotations

from typing import Any, ClassVar

from spantally.instrumentors.anthropic.wire import content
from spantally.instrumentors.stainless.capture import Capture


class AnthropicCapture(Capture):
    """Input and output as Anthropic's API has them."""

    __slots__ = ()

    reader: ClassVar[Any] = content
