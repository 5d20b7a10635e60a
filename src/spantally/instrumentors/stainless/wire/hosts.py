"""Whose rates apply at a host.

Names are those of ``gen_ai.provider.name`` where the conventions have one, else the vendor's common short
name.
"""

from __future__ import annotations

from typing import Final

OPENAI: Final = "openai"
AZURE: Final = "azure.ai.openai"
BEDROCK: Final = "aws.bedrock"

HOSTS: Final[tuple[tuple[str, str], ...]] = (
    ("api.openai.com", OPENAI),
    ("openai.azure.com", AZURE),
    ("openai.azure.us", AZURE),
    ("openai.azure.cn", AZURE),
    ("cognitiveservices.azure.com", AZURE),
    ("services.ai.azure.com", AZURE),
    ("models.ai.azure.com", "azure.ai.inference"),
    ("inference.ai.azure.com", "azure.ai.inference"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("api.anthropic.com", "anthropic"),
    ("openrouter.ai", "openrouter"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.moonshot.cn", "moonshot_ai"),
    ("api.cohere.ai", "cohere"),
    ("api.cohere.com", "cohere"),
    ("api.together.xyz", "together"),
    ("api.together.ai", "together"),
    ("api.fireworks.ai", "fireworks"),
    ("api.cerebras.ai", "cerebras"),
    ("api.novita.ai", "novita"),
    ("api.arcee.ai", "arcee"),
    ("api.avian.io", "avian"),
    ("inference.baseten.co", "baseten"),
    ("api.githubcopilot.com", "github-copilot"),
    ("api.minimax.io", "minimax"),
    ("api.minimaxi.com", "minimax"),
    ("api.meta.ai", "meta"),
    ("api.z.ai", "zai"),
    ("open.bigmodel.cn", "zhipuai"),
    ("api.voyageai.com", "voyageai"),
    ("oai.endpoints.kepler.ai.cloud.ovh.net", "ovhcloud"),
    ("ml.cloud.ibm.com", "ibm.watsonx.ai"),
    ("azure-api.net", AZURE),
    ("router.huggingface.co", "huggingface"),
    ("api.ai21.com", "ai21"),
    ("api.writer.com", "writer"),
    ("ollama.com", "ollama"),
)
"""Host, its subdomains included, and provider."""

_BY_HOST: Final = dict(HOSTS)


def priced_provider(host: str) -> str | None:
    """Whose rates apply to calls of a host, or None where that is not known (a gateway, a local server)."""
    host = host.rstrip(".").lower()
    if host.endswith((".amazonaws.com", ".api.aws")):
        return BEDROCK if host.startswith(("bedrock-", "bedrock.")) else None
    if host.endswith("-aiplatform.googleapis.com"):
        return "gcp.vertex_ai"
    while host:
        found = _BY_HOST.get(host)
        if found is not None:
            return found
        host = host.partition(".")[2]
    return None
