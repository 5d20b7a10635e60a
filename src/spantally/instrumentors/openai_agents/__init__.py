"""The instrumentor of the OpenAI Agents SDK, by its own trace processors."""

from __future__ import annotations

from typing import Any, ClassVar

from spantally.ground.guard import swallowed
from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.patching import Patch, PatchSet, Wrapper

__all__ = ["OpenAIAgentsInstrumentor"]


class OpenAIAgentsInstrumentor(TableInstrumentor):
    """Makes agents, tools, handoffs and guardrails of openai-agents rows around the SDK's model calls.

    A trace processor of ours stands beside the SDK's own, which goes on exporting as before. Where tracing is
    disabled in the SDK nothing tells of agents; their model calls are counted all the same.
    """

    supported: ClassVar[tuple[str, ...]] = ("openai-agents >= 0.20, < 1",)

    def make_patches(self) -> PatchSet:
        """Where the SDK's list of processors is made and replaced; both happen at the first use."""
        module = "agents.tracing.provider"
        return PatchSet(
            "openai_agents",
            (
                Patch(module, "SynchronousMultiTracingProcessor.__init__", load=self._load),
                Patch(module, "SynchronousMultiTracingProcessor.set_processors", load=self._load),
            ),
        )

    def _load(self) -> Wrapper:
        from spantally.instrumentors.openai_agents import adding

        return adding.use(lambda: self.telemetry)

    def _uninstrument(self, **kwargs: Any) -> None:
        super()._uninstrument(**kwargs)
        try:
            from spantally.instrumentors.openai_agents import added

            added.remove()
        except Exception as error:
            swallowed("openai_agents.uninstrument", error)
