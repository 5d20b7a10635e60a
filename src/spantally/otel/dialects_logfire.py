"""The dialect of Logfire: the GenAI names, and the provider's own usage object as JSON.

Newer releases write it as ``gen_ai.usage.raw``, older ones inside ``response_data``. ``operation.cost`` is an
estimate without date and tier; calls are rated by their tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import COUNTED_KINDS
from spantally.otel.dialects_anthropic import tier_facts
from spantally.otel.dialects_genai import Dialect, Facts, read_genai
from spantally.otel.dialects_raw import as_json, raw_usage

RAW: Final = "gen_ai.usage.raw"
REQUEST_DATA: Final = "request_data"
RESPONSE_DATA: Final = "response_data"


def recognises(attributes: Mapping[str, Any]) -> bool:
    """True for a span about a request of a model's."""
    return RAW in attributes or REQUEST_DATA in attributes


def read(attributes: Mapping[str, Any], span_name: str) -> Facts | None:
    """Read a span."""
    if semconv.REQUEST_MODEL not in attributes:
        asked = as_json(attributes.get(REQUEST_DATA))
        model = asked.get("model") if isinstance(asked, dict) else None
        if isinstance(model, str):
            attributes = {**attributes, semconv.REQUEST_MODEL: model}
    facts = read_genai(attributes, span_name)
    if facts is None or facts.kind not in COUNTED_KINDS:
        return facts
    value = as_json(attributes.get(RAW))
    if value is None:
        answered = as_json(attributes.get(RESPONSE_DATA))
        value = answered.get("usage") if isinstance(answered, dict) else None
    found = raw_usage(value)
    if found is None:
        return facts
    context = facts.price_context
    if facts.provider == "anthropic" and isinstance(value, dict):
        context = {**(context or {}), **tier_facts(value.get("service_tier"))} or None
    return facts._replace(usage=found[0], usage_format=found[1], price_context=context)


DIALECT: Final = Dialect("logfire", recognises, read)
