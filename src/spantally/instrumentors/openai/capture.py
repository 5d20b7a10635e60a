"""Content of one call of the OpenAI SDK."""

from __future__ import annotations

from typing import Any, ClassVar

from spantally.instrumentors.openai.wire import content
from spantally.instrumentors.stainless.capture import Capture


class OpenAICapture(Capture):
    """Input and output as OpenAI's APIs have them."""

    __slots__ = ()

    reader: ClassVar[Any] = content
