"""The instrumentor of the OpenAI SDK. What reads the wire is imported with the SDK, not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.openai.socket_places import socket_places
from spantally.instrumentors.patching import Patch, PatchSet, Wrapper

__all__ = ["OpenAIInstrumentor"]


class OpenAIInstrumentor(TableInstrumentor):
    """Traces and meters every OpenAI client, also those made before it was enabled.

    Every endpoint that bills, and those that tell of one that did; synchronous, asynchronous, streamed, raw
    and parsed.
    """

    supported: ClassVar[tuple[str, ...]] = ("openai >= 2.0, < 4",)

    def make_patches(self) -> PatchSet:
        """The choke point of both clients, the taps beneath, and the websockets that do not pass there."""
        base, streaming = "openai._base_client", "openai._streaming"
        retry, stream = self._tap("sleep_for_retry"), self._tap("stream_init")
        # A plain function in the place of the method costs less at each call than a wrapper object.
        request, request_async = self._around("around_request"), self._around("around_request_async")
        response, response_async = self._around("around_response"), self._around("around_response_async")
        return PatchSet(
            "openai",
            (
                Patch(base, "SyncAPIClient.request", factory=request, innermost=True),
                Patch(base, "AsyncAPIClient.request", factory=request_async, innermost=True),
                Patch(base, "SyncAPIClient._process_response", factory=response),
                Patch(base, "AsyncAPIClient._process_response", factory=response_async),
                Patch(base, "SyncAPIClient._sleep_for_retry", load=retry, required=False),
                Patch(base, "AsyncAPIClient._sleep_for_retry", load=retry, required=False),
                Patch(streaming, "Stream.__init__", load=stream),
                Patch(streaming, "AsyncStream.__init__", load=stream),
                *(
                    Patch(one.module, one.path, load=self._socket(one.tap), required=False)
                    for one in socket_places()
                ),
            ),
        )

    def _around(self, name: str) -> Callable[[Any], Any]:
        """What makes the function in the place of a method, imported once the SDK is there."""

        def make(original: Any) -> Any:
            return self._loaded(name)(original)

        return make

    def _tap(self, name: str) -> Callable[[], Wrapper]:
        """One tap, imported once the SDK is there."""

        def load() -> Wrapper:
            tap: Wrapper = self._loaded(name)
            return tap

        return load

    def _socket(self, name: str) -> Callable[[], Wrapper]:
        """One tap of the websockets, imported once the part of the SDK is there that has them."""

        def load() -> Wrapper:
            from spantally.instrumentors.openai import sockets

            self.telemetry.prepare()
            return sockets.tap(name, lambda: self.telemetry)

        return load

    def _loaded(self, name: str) -> Any:
        """A part of the taps; what else the first call needs is made ready then, too."""
        from spantally.instrumentors.openai import taps

        taps.use(self)
        self.telemetry.prepare()
        return getattr(taps, name)
