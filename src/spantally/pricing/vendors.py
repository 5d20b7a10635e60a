"""Whose rates apply: from provider and host of a call to a vendor of the rate table, or to none.

A model's name alone never decides: ``gpt-4o`` on somebody's gateway, or ``gpt-oss-20b`` on a machine at
home, does not cost what a vendor asks for it. So a vendor is one that the provider's name says, or one whose
address the call went to; anything else has no known rate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

VENDORS: Final[Mapping[str, str]] = {
    "openai": "openai",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.openai": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "anthropic": "anthropic",
    "aws.bedrock": "aws",
    "aws_bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "groq": "groq",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "perplexity": "perplexity",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "openrouter": "openrouter",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
}
"""Values of ``gen_ai.provider.name`` (older ``gen_ai.system`` too) and what the table calls them."""

RESOLD: Final[Mapping[str, tuple[str, ...]]] = {"openai": ("gpt-oss",)}
"""Models that the table lists under a vendor that does not sell them: open weights, priced elsewhere."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0"})  # noqa: S104 - compared, not bound


def vendor_of_host(host: str, providers: Sequence[Any]) -> Any | None:
    """The vendor whose address pattern the host fits as a whole.

    Args:
        host: a host name, without scheme or path.
        providers: the rate table's providers.
    """
    url = f"https://{host.lower().rstrip('.')}/"
    for provider in providers:
        found = re.match(provider.api_pattern, url)
        # The patterns are not anchored: "https://api.openai.com.example.org/" begins like a vendor's address.
        if found is not None and (found.end() == len(url) or url[found.end()] == "/"):
            return provider
    return None


def vendor_of(provider: str | None, host: str | None, foreign: bool, providers: Sequence[Any]) -> Any | None:
    """The vendor of the rate table that a call was made to.

    Args:
        provider: ``gen_ai.provider.name``.
        host: ``server.address``.
        foreign: the call is known by somebody else's span. Instrumentors of the openai SDK write ``openai``
            for every compatible host, so from them that name needs a host that does not contradict it.
        providers: the rate table's providers.

    Returns:
        The table's provider, or None where no vendor is known.
    """
    name = provider.strip().lower() if provider else ""
    wanted = VENDORS.get(name, name)
    by_name = next((one for one in providers if one.id == wanted), None) if wanted else None
    if host and (by_name is None or by_name.id == "openai") and host not in _LOOPBACK:
        by_host = vendor_of_host(host, providers)
        if by_host is not None:
            return by_host
        if foreign and not host.lower().endswith(".openai.com"):
            return None
    return by_name


def is_regional(vendor: str, host: str | None) -> bool:
    """True where the host is one of a vendor's regional addresses, which may cost more than the table says.

    OpenAI bills an uplift for processing in a region, for some models
    (platform.openai.com/docs/guides/your-data).
    """
    return vendor == "openai" and host is not None and host.lower().endswith(".api.openai.com")
