"""What frameworks call the providers of models, and what the conventions do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PROVIDERS: Final[Mapping[str, str]] = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "amazon_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "mistralai": "mistral_ai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "fireworks_ai": "fireworks",
    "together_ai": "together",
    "watsonx": "ibm.watsonx.ai",
}
"""Names that frameworks have for providers, where ``gen_ai.provider.name`` has another."""


def provider_of(name: str | None) -> str | None:
    """The value of ``gen_ai.provider.name`` for a framework's name of a provider.

    Args:
        name: as the framework says it.
    """
    if name is None:
        return None
    lowered = name.lower()
    return PROVIDERS.get(lowered, lowered)
