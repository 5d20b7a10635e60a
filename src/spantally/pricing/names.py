"""How programs and providers spell the name of a model, and the table's entry that is meant.

A name is tried as it stands first. Each further spelling takes off something that names the same model: the
path of a resource, a version of Bedrock, a prefix by which a router tells vendors apart. What makes another
product of it (a fine-tune, provisioned capacity, an imported model) is never taken off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from spantally.pricing.supplement import stand_in
from spantally.pricing.vendors import ELSEWHERE, RESOLD

_OWN_PRODUCTS: Final = re.compile(
    r":(?:application-inference-profile|provisioned-model|imported-model|custom-model|custom-model-deployment)/"
    r"|^tunedmodels/|/endpoints/\d"
    r"|^us-gov\.|^arn:aws-us-gov:|^arn:aws-cn:"
)
"""Of these nobody but their owner knows what is behind them, or they are not billed by tokens, or by another
price list (GovCloud)."""

_GEOGRAPHIES: Final = re.compile(r"(?:us|eu|apac|jp|au|ca|in|sa|mx|uk|kr|me|af)\.(?=[a-z0-9]+\.)")
"""Prefixes of Bedrock's inference profiles; all of them cost what the region itself costs."""

_BEDROCK_VERSION: Final = re.compile(r"(?:-v\d+)?(?::\d+)?(?::\d+k)?$")
_SNAPSHOT: Final = re.compile(r"-\d{3}$")

_ROUTED: Final = {
    "google": ("google/", "vertex_ai/", "gemini/"),
    "openai": ("openai/",),
    "azure": ("azure/", "azure_ai/"),
    "anthropic": ("anthropic/",),
    "x-ai": ("xai/", "x-ai/"),
    "mistral": ("mistral/", "mistralai/"),
    "deepseek": ("deepseek/", "deepseek-ai/"),
    "cohere": ("cohere/", "cohere_chat/"),
    "groq": ("groq/",),
    "aws": ("bedrock/", "converse/", "invoke/"),
    "perplexity": ("perplexity/",),
    "moonshotai": ("moonshotai/", "moonshot/"),
    "voyageai": ("voyage/", "voyageai/"),
    "openrouter": ("openrouter/",),
    "together": ("together_ai/",),
    "fireworks": ("fireworks_ai/",),
}
"""What a router puts before a name to tell the vendor."""


def find_model(vendor: Any, models: Sequence[str | None], providers: Sequence[Any]) -> Any | None:
    """The table's entry of the first model name that has one.

    Args:
        vendor: the table's provider.
        models: names in the order of their worth: response model, request model.
        providers: all providers; some vendors sell others' models.
    """
    for name in models:
        if not name:
            continue
        wanted = name.strip()
        if _OWN_PRODUCTS.search(wanted.lower()):
            return None
        for spelling in _spellings(wanted, vendor.id):
            found = vendor.find_model(spelling, all_providers=list(providers))
            if found is not None and not _resold(found, vendor.id, providers):
                return found
        known = stand_in(vendor.id, wanted)
        if known is not None:
            return known
        if wanted.startswith("ft:"):
            return None  # a fine-tuned model has rates of its own, never those of what it was made from
    return None


def _spellings(name: str, vendor: str) -> Iterator[str]:
    """A name, and what else it may be called by."""
    plain = name.removeprefix("models/")
    yield plain
    for prefix in _ROUTED.get(vendor, ()):
        if plain.lower().startswith(prefix):
            plain = plain[len(prefix) :]
            yield plain
    if vendor in ("google", "azure") and "models/" in plain:
        # projects/P/locations/L/publishers/google/models/gemini-2.5-pro
        plain = plain.rpartition("models/")[2]
        yield plain
    if vendor == "google":
        base = plain.partition("@")[0]
        if base != plain:
            yield base
        elif _SNAPSHOT.search(plain):
            yield _SNAPSHOT.sub("", plain)
    elif vendor == "aws":
        yield from _bedrock(plain)


def costs_by_region(names: Sequence[str | None], model: str) -> bool:
    """True for a model of Bedrock that was used outside of the US and has one entry for all regions.

    The table's rates are those of the US then; elsewhere most such models cost more
    (aws.amazon.com/bedrock/pricing).

    Args:
        names: of the call.
        model: the entry that was found.
    """
    if model.startswith(("regional.", "global.")):
        return False
    return any(_ABROAD.match(name.rpartition("/")[2]) for name in names if name)


_ABROAD: Final = re.compile(r"(?!us\.)(?:eu|apac|jp|au|ca|in|sa|mx|uk|kr|me|af)\.(?=[a-z0-9]+\.)")


def _bedrock(name: str) -> Iterator[str]:
    """Names of Bedrock: ARNs of models and profiles, geographies, versions.

    docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
    """
    plain = name.rpartition("/")[2] if name.lower().startswith("arn:") else name
    if plain != name:
        yield plain
    short = _BEDROCK_VERSION.sub("", plain)
    if short != plain:
        yield short
    for one in (plain, short):
        bare = _GEOGRAPHIES.sub("", one, count=1) if _GEOGRAPHIES.match(one) else one
        if bare != one:
            yield bare


def _resold(model: Any, vendor: str, providers: Sequence[Any]) -> bool:
    """True for a model that the table finds at a vendor that does not sell it at that price."""
    theirs = ELSEWHERE.get(vendor)
    if theirs and any(model is its for one in providers if one.id in theirs for its in one.models):
        return True
    for owner, prefixes in RESOLD.items():
        if model.id.startswith(prefixes):
            return any(one.id == owner and any(model is its for its in one.models) for one in providers)
    return False
