"""What all our instrumentors share: public ``BaseInstrumentor`` subclasses over a table of patches."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from spantally.calls import telemetry as telemetry_module
from spantally.calls.telemetry import Telemetry
from spantally.ground.guard import swallowed
from spantally.ground.settings import is_disabled
from spantally.instrumentors.patching import PatchSet


class TableInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """An instrumentor whose patching and unpatching come from one table.

    ``instrument(tracer_provider=...)`` reports to that provider; without it, to the active telemetry of
    the process, which ``spantally.instrument()`` or the auto-instrumentation hook has set up.
    """

    supported: ClassVar[tuple[str, ...]] = ()
    """Requirement strings of the versions that the test suite runs."""

    def __init__(self) -> None:
        if not hasattr(self, "telemetry"):  # BaseInstrumentor is a singleton: __init__ runs at each call
            super().__init__()
            self.telemetry: Telemetry = telemetry_module.active
            self.patch_set: PatchSet = self.make_patches()

    def make_patches(self) -> PatchSet:
        """The table of this instrumentor."""
        raise NotImplementedError

    def instrumentation_dependencies(self) -> Collection[str]:
        """Supported range. Empty: an instrumentor wakes when its SDK is imported, whatever is installed."""
        return self.supported

    def _instrument(self, **kwargs: Any) -> None:
        try:
            if is_disabled():
                return
            provider = kwargs.get("tracer_provider")
            self.telemetry = telemetry_module.active
            if provider is not None and provider is not self.telemetry.provider:
                self.telemetry = telemetry_module.derived(telemetry_module.active, provider)
            self.patch_set.enable()
        except Exception as error:
            swallowed(f"{type(self).__name__}.instrument", error)

    def _uninstrument(self, **kwargs: Any) -> None:
        try:
            self.patch_set.disable()
            self.telemetry = telemetry_module.active
        except Exception as error:
            swallowed(f"{type(self).__name__}.uninstrument", error)
