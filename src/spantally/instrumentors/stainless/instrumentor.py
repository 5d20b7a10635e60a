"""The instrumentor of an SDK whose client the Stainless generator made: one table of patches for them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, ClassVar

from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.patching import Patch, PatchSet, Wrapper


class StainlessInstrumentor(TableInstrumentor):
    """Patches the choke point of both clients and the taps beneath."""

    package: ClassVar[str]
    """Name of the SDK's package."""
    taps_module: ClassVar[str]
    """Name of our module that holds its ``TAPS``."""

    def make_patches(self) -> PatchSet:
        """The choke point of both clients and the taps beneath; whatever else an SDK has."""
        base, streaming = f"{self.package}._base_client", f"{self.package}._streaming"
        retry, stream = self._tap("sleep_for_retry"), self._tap("stream_init")
        # A plain function in the place of the method costs less at each call than a wrapper object.
        request, request_async = self._around("around_request"), self._around("around_request_async")
        response, response_async = self._around("around_response"), self._around("around_response_async")
        return PatchSet(
            self.package,
            (
                Patch(base, "SyncAPIClient.request", factory=request, innermost=True),
                Patch(base, "AsyncAPIClient.request", factory=request_async, innermost=True),
                Patch(base, "SyncAPIClient._process_response", factory=response),
                Patch(base, "AsyncAPIClient._process_response", factory=response_async),
                Patch(base, "SyncAPIClient._sleep_for_retry", load=retry, required=False),
                Patch(base, "AsyncAPIClient._sleep_for_retry", load=retry, required=False),
                Patch(streaming, "Stream.__init__", load=stream),
                Patch(streaming, "AsyncStream.__init__", load=stream),
                *self.further_patches(),
            ),
        )

    def further_patches(self) -> Sequence[Patch]:
        """Places of this SDK alone."""
        return ()

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

    def _loaded(self, name: str) -> Any:
        """A part of the taps; what else the first call needs is made ready then, too."""
        taps = import_module(self.taps_module).TAPS
        taps.owner = self
        self.telemetry.prepare()
        return getattr(taps, name)
