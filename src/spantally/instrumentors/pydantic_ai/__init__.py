"""The instrumentor of pydantic-ai: its agents and tools, whether its own instrumentation is on or off."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from spantally.instrumentors.base import TableInstrumentor
from spantally.instrumentors.patching import Patch, PatchSet, Wrapper

__all__ = ["PydanticAIInstrumentor"]

_MODELS: Final = (
    ("google", "GoogleModel"),
    ("bedrock", "BedrockConverseModel"),
    ("groq", "GroqModel"),
    ("mistral", "MistralModel"),
    ("cohere", "CohereModel"),
    ("huggingface", "HuggingFaceModel"),
    ("xai", "XaiModel"),
)
"""Models over SDKs that spantally does not patch: their usage is what pydantic-ai reads."""


class PydanticAIInstrumentor(TableInstrumentor):
    """Makes agents and tools of pydantic-ai rows around the model calls.

    Where pydantic-ai's own instrumentation makes spans, those are the only ones, and the rows are joined to
    them; where it is off, the spans are ours. Rows and totals are the same either way.
    """

    supported: ClassVar[tuple[str, ...]] = ("pydantic-ai-slim >= 2.0, < 3",)

    def make_patches(self) -> PatchSet:
        """Where runs and tools pass through all capabilities, and what asks models that nobody patches."""
        module = "pydantic_ai.capabilities.combined"
        return PatchSet(
            "pydantic_ai",
            (
                Patch(module, "CombinedCapability.wrap_run", load=self._load("wrap_run")),
                Patch(module, "CombinedCapability.wrap_tool_execute", load=self._load("wrap_tool_execute")),
                *(
                    Patch(f"pydantic_ai.models.{name}", f"{kind}.{method}", load=self._load(method))
                    for name, kind in _MODELS
                    for method in ("request", "request_stream")
                ),
            ),
        )

    def _load(self, name: str) -> Callable[[], Wrapper]:
        """One wrapper, imported once pydantic-ai is there."""

        def load() -> Wrapper:
            from spantally.instrumentors.pydantic_ai import hooks

            hooks.use(lambda: self.telemetry)
            wrapper: Wrapper = getattr(hooks, name)
            return wrapper

        return load
