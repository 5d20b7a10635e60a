"""The instrumentor of LangChain and LangGraph. What needs langchain-core is imported with it, not before."""

from __future__ import annotations

from typing import Any, ClassVar

from spantally.ground.guard import swallowed
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.langchain.places import CONTEXT_PATCHES
from spantally.instrumentors.patching import Patch, PatchSet

__all__ = ["LangChainInstrumentor"]


class LangChainInstrumentor(TableInstrumentor):
    """Sees every chain, agent, tool, retriever and model call of LangChain, and the graphs of LangGraph.

    It adds a callback handler to every run, by langchain-core's own hook for that. A run that has a
    :class:`spantally.langchain.CallbackHandler` already gets no second one.
    """

    supported: ClassVar[tuple[str, ...]] = ("langchain-core >= 1.0, < 2",)

    def make_patches(self) -> PatchSet:
        """Where langchain-core keeps the handlers that every run gets; it is imported with the first run."""
        return PatchSet(
            "langchain",
            (
                Patch(
                    "langchain_core.tracers.context",
                    "register_configure_hook",
                    factory=self._install,
                ),
            ),
        )

    def _install(self, register: Any) -> Any:
        """Give every run our handler; the function itself stays as it is."""
        from spantally.instrumentors.langchain import installing

        installing.install(register, lambda: self.telemetry)
        return register

    def _instrument(self, **kwargs: Any) -> None:
        super()._instrument(**kwargs)
        try:
            if self.patch_set.enabled:
                CONTEXT_PATCHES.enable()
        except Exception as error:
            swallowed("langchain.instrument", error)

    def _uninstrument(self, **kwargs: Any) -> None:
        super()._uninstrument(**kwargs)
        try:
            CONTEXT_PATCHES.disable()
            from spantally.instrumentors.langchain import installed

            installed.remove()
        except Exception as error:
            swallowed("langchain.uninstrument", error)
