"""Who the provider is, in the conventions' names, whatever a dialect calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

_NAMES: Final[Mapping[str, str]] = {
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azure.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "amazon": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "google.generative-ai": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "together_ai": "together",
    "togetherai": "together",
    "fireworks_ai": "fireworks",
    "xai": "x_ai",
}
_APIS: Final = frozenset(
    {"chat", "completion", "responses", "embedding", "messages", "generative-ai", "image", "speech"}
)
"""Endings that the Vercel AI SDK adds to a provider's name: ``openai.responses``."""


def provider_of(name: str | None) -> str | None:
    """The conventions' name of a provider.

    Args:
        name: as a dialect writes it, in any case.
    """
    if not name:
        return None
    lowered = name.strip().lower()
    found = _NAMES.get(lowered)
    if found is None and "." in lowered:
        head, _, end = lowered.rpartition(".")
        if end in _APIS:
            return _NAMES.get(head, head)
    return found or lowered


def place_of(url: object) -> tuple[str | None, int | None]:
    """Host and port of a URL; None where it has none.

    Args:
        url: ``https://api.openai.com/v1/``; anything that is no URL is passed over.
    """
    if not isinstance(url, str) or "//" not in url:
        return None, None
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return (parts.hostname, port) if parts.hostname else (None, None)
    except ValueError:
        return None, None


_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0"})  # noqa: S104 - compared, not bound


def is_loopback(host: str) -> bool:
    """True for this machine: a gateway or a test."""
    return host in _LOOPBACK
