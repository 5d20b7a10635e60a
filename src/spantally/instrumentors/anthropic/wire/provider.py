"""Who answers a client of the Anthropic SDK."""

from __future__ import annotations

from typing import Final

from spantally.instrumentors.stainless.wire.hosts import BEDROCK, priced_provider

ANTHROPIC: Final = "anthropic"
FOUNDRY: Final = "azure.ai.inference"

CLIENTS: Final[tuple[tuple[str, str], ...]] = (
    ("Bedrock", BEDROCK),
    ("Vertex", "gcp.vertex_ai"),
    ("Foundry", FOUNDRY),
)
"""What the name of a client's class, or of a base of it, contains, and the provider it then talks to.

The clients of Anthropic's own platform on other clouds (AWS, Google Cloud) talk to Anthropic.
"""


def provider_of(client_class_names: str, base_url_host: str, port: int | None = None) -> str:
    """The ``gen_ai.provider.name`` of a client.

    Args:
        client_class_names: names of the client's class and of its bases.
        base_url_host: host of its base URL, without a port.
        port: port of its base URL.

    Returns:
        The provider; ``anthropic``, the flavour of the API, for a host that is not known.
    """
    for part, name in CLIENTS:
        if part in client_class_names:
            return name
    known = priced_provider(base_url_host)
    if known is None:
        return ANTHROPIC
    return FOUNDRY if known.startswith("azure.") else known
