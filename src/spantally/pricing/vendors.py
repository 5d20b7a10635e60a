"""Whose rates apply: from provider and host of a call to a vendor of the rate table, or to none.

A model's name alone never decides: ``gpt-4o`` on somebody's gateway, or ``gpt-oss-20b`` on a machine at
home, does not cost what a vendor asks for it. So a vendor is one that the provider's name says, or one whose
address the call went to; anything else has no known rate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

PROVIDERS: Final[Mapping[str, str]] = {
    "openai_responses": "openai",
    "openai-responses": "openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azure.openai": "azure.ai.openai",
    "az.ai.openai": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure-ai": "azure.ai.inference",
    "az.ai.inference": "azure.ai.inference",
    "claude": "anthropic",
    "bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "aws-bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "gemini": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "google-genai": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertex-ai": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "google-vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
    "x-ai": "x_ai",
    "x.ai": "x_ai",
    "grok": "x_ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
    "open_router": "openrouter",
    "together_ai": "together",
    "togetherai": "together",
    "together.ai": "together",
    "fireworks_ai": "fireworks",
    "fireworks.ai": "fireworks",
    "perplexity_ai": "perplexity",
    "perplexityai": "perplexity",
    "voyage": "voyageai",
    "voyage_ai": "voyageai",
}
"""Usual spellings, and the value of ``gen_ai.provider.name`` that each of them is."""

VENDORS: Final[Mapping[str, str]] = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}
"""Values of ``gen_ai.provider.name`` that the table calls otherwise."""

RESOLD: Final[Mapping[str, tuple[str, ...]]] = {"openai": ("gpt-oss",)}
"""Models that the table lists under a vendor that does not sell them: open weights, priced elsewhere."""

ELSEWHERE: Final[Mapping[str, frozenset[str]]] = {"azure": frozenset({"deepseek", "x-ai", "moonshotai"})}
"""Vendors whose models another one sells at prices of its own, which the table does not have: Azure's for
DeepSeek and Grok are not their makers' (azure.microsoft.com/pricing/details/ai-foundry-models)."""

FLAVOURS: Final[Mapping[str, str]] = {"openai": "openai.com", "anthropic": "anthropic.com"}
"""Vendors whose SDKs are used with others' hosts, and the domain of their own."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0"})  # noqa: S104 - compared, not bound


def canonical(provider: str) -> str:
    """The value of ``gen_ai.provider.name`` that a spelling stands for; an unknown one in lower case.

    Args:
        provider: as a program or an older instrumentor spells it.
    """
    name = provider.strip().lower()
    return PROVIDERS.get(name, name)


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
            for every compatible host, and those of Anthropic's ``anthropic`` for gateways and clouds, so from
            them such a name needs a host that does not contradict it.
        providers: the rate table's providers.

    Returns:
        The table's provider, or None where no vendor is known.
    """
    name = canonical(provider) if provider else ""
    wanted = VENDORS.get(name, name)
    by_name = next((one for one in providers if one.id == wanted), None) if wanted else None
    own = None if by_name is None else FLAVOURS.get(by_name.id)
    if host and (by_name is None or own is not None) and host not in _LOOPBACK:
        by_host = vendor_of_host(host, providers)
        if by_host is not None:
            return by_host
        if foreign and not is_at(host, own):
            return None
    return by_name


def is_at(host: str, domain: str | None) -> bool:
    """True for a host of a domain."""
    return domain is not None and f".{host.lower()}".endswith(f".{domain}")


def payee_of(provider: str | None, host: str | None, foreign: bool, providers: Sequence[Any]) -> str | None:
    """Who is paid for a call, for the entries of a user's own: by the same knowledge as :func:`vendor_of`.

    Args:
        provider: ``gen_ai.provider.name``.
        host: ``server.address``.
        foreign: the call is known by somebody else's span.
        providers: the rate table's providers.

    Returns:
        A provider's name, the given one unless the host says otherwise; None where a host that nobody knows
        speaks OpenAI's or Anthropic's API.
    """
    name = canonical(provider) if provider else ""
    vendor = vendor_of(provider, host, foreign, providers)
    if vendor is None:
        return None if name in FLAVOURS else provider
    return provider if vendor.id == VENDORS.get(name, name) else str(vendor.id)


def is_regional(vendor: str, host: str | None) -> bool:
    """True where the host is one of a vendor's regional addresses, which may cost more than the table says.

    OpenAI bills an uplift for processing in a region, for some models
    (platform.openai.com/docs/guides/your-data).
    """
    return vendor == "openai" and host is not None and host.lower().endswith(".api.openai.com")
