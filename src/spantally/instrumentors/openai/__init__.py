"""The instrumentor of the OpenAI SDK. What reads the wire is imported with the SDK, not before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from spantally.instrumentors.openai.socket_places import socket_places
from spantally.instrumentors.patching import Patch, Wrapper
from spantally.instrumentors.stainless.instrumentor import StainlessInstrumentor

__all__ = ["OpenAIInstrumentor"]


class OpenAIInstrumentor(StainlessInstrumentor):
    """Traces and meters every OpenAI client, also those made before it was enabled.

    Every endpoint that bills, and those that tell of one that did; synchronous, asynchronous, streamed, raw
    and parsed.
    """

    supported: ClassVar[tuple[str, ...]] = ("openai >= 2.0, < 4",)
    package: ClassVar[str] = "openai"
    taps_module: ClassVar[str] = "spantally.instrumentors.openai.taps"

    def further_patches(self) -> Sequence[Patch]:
        """The websockets, which do not pass the choke point."""
        return [
            Patch(one.module, one.path, load=self._socket(one.tap), required=False) for one in socket_places()
        ]

    def _socket(self, name: str) -> Callable[[], Wrapper]:
        """One tap of the websockets, imported once the part of the SDK is there that has them."""

        def load() -> Wrapper:
            from spantally.instrumentors.openai import sockets

            self.telemetry.prepare()
            return sockets.tap(name, lambda: self.telemetry)

        return load
