"""The instrumentor of the OpenAI SDK. What reads the wire is imported with the SDK, not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.patching import Patch, PatchSet, Wrapper

__all__ = ["OpenAIInstrumentor"]


class OpenAIInstrumentor(TableInstrumentor):
    """Traces and meters every OpenAI client, also those made before it was enabled.

    Every endpoint that bills, and those that tell of one that did; synchronous, asynchronous, streamed, raw
    and parsed.
    """

    supported: ClassVar[tuple[str, ...]] = ("openai >= 2.0, < 4",)

    def make_patches(self) -> PatchSet:
        """The choke point of both clients, and the two taps beneath."""
        base, streaming = "openai._base_client", "openai._streaming"
        response, retry = self._tap("process_response"), self._tap("sleep_for_retry")
        stream = self._tap("stream_init")
        return PatchSet(
            "openai",
            (
                Patch(base, "SyncAPIClient.request", load=self._tap("request")),
                Patch(base, "AsyncAPIClient.request", load=self._tap("request_async")),
                Patch(base, "SyncAPIClient._process_response", load=response),
                Patch(base, "AsyncAPIClient._process_response", load=response),
                Patch(base, "SyncAPIClient._sleep_for_retry", load=retry, required=False),
                Patch(base, "AsyncAPIClient._sleep_for_retry", load=retry, required=False),
                Patch(streaming, "Stream.__init__", load=stream),
                Patch(streaming, "AsyncStream.__init__", load=stream),
            ),
        )

    def _tap(self, name: str) -> Callable[[], Wrapper]:
        """One tap, imported once the SDK is there; what else the first call needs is made ready then, too."""

        def load() -> Wrapper:
            from spantally.instrumentors.openai import taps

            taps.use(self)
            self.telemetry.prepare()
            tap: Wrapper = getattr(taps, name)
            return tap

        return load
