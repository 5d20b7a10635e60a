"""Who answers: the provider's name by client class and host, and whose rates apply.

Names are those of ``gen_ai.provider.name`` where the conventions have one, else the vendor's common short
name. The two questions differ for an unknown host: it speaks OpenAI's API, so its flavour is ``openai``, but
what it charges is not known.
"""

from __future__ import annotations

from typing import Final

from spantally.instrumentors.stainless.wire.hosts import AZURE, BEDROCK, OPENAI, priced_provider

CLIENTS: Final[tuple[tuple[str, str], ...]] = (
    ("AzureOpenAI", AZURE),
    ("BedrockOpenAI", BEDROCK),
)
"""What a client's class name contains, and the provider it then talks to."""

SERVERS: Final = ("ollama", "vllm")
"""Servers of open models that go by their name where they are a service of a network: ``vllm.internal``."""

OLLAMA_PORT: Final = 11434
"""Nobody else's by default; the ports of other servers (8000, 8080) are anybody's and tell nothing."""


def provider_of(client_class_name: str, base_url_host: str, port: int | None = None) -> str:
    """The ``gen_ai.provider.name`` of a client.

    Args:
        client_class_name: name of the client's class, and of its bases.
        base_url_host: host of its base URL, without a port.
        port: port of its base URL.

    Returns:
        The provider; ``openai``, the flavour of the API, for a host that is not known.
    """
    for part, name in CLIENTS:
        if part in client_class_name:
            return name
    known = priced_provider(base_url_host)
    if known is not None:
        return known
    name = base_url_host.partition(".")[0].lower()
    if name in SERVERS:
        return name
    return "ollama" if port == OLLAMA_PORT else OPENAI
