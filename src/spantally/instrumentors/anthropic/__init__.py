"""The instrumentor of the Anthropic SDK. What reads the wire is imported with the SDK, not before."""

from __future__ import annotations

from typing import ClassVar

from spantally.instrumentors.stainless.instrumentor import StainlessInstrumentor

__all__ = ["AnthropicInstrumentor"]


class AnthropicInstrumentor(StainlessInstrumentor):
    """Traces and meters every Anthropic client, also those made before it was enabled.

    Messages in all their forms, the tool runner's among them, batches and their results, legacy completions;
    synchronous, asynchronous, streamed, raw and parsed; Anthropic's own API, Bedrock, Vertex and Foundry.
    A client that traces itself (anthropic 2.x) makes the spans, and the calls are metered all the
    same.
    """

    supported: ClassVar[tuple[str, ...]] = ("anthropic >= 0.45, < 3",)
    package: ClassVar[str] = "anthropic"
    taps_module: ClassVar[str] = "spantally.instrumentors.anthropic.taps"
