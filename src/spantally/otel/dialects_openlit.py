"""The dialect of OpenLIT: the GenAI names on another basis, and figures that nobody reported.

Of Anthropic and Bedrock its input excludes cached tokens, as those providers' own objects do. Where a stream
ends without usage it writes half the number of characters as tokens and says so nowhere: usage of a stream is
taken for an estimate, unless a part of it shows that it came from the provider. Of an Anthropic stream it
loses the cached tokens. ``gen_ai.usage.cost`` is from a table of its own, and 0 where that has nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.ground import semconv
from spantally.ground.records import COUNTED_KINDS, UsageFormat
from spantally.otel.dialects_genai import Dialect, Facts, inclusive, read_genai

SDK_NAME: Final = "telemetry.sdk.name"
SDK_VERSION: Final = "gen_ai.sdk.version"

_CUT: Final = len("gen_ai.usage.")
_READ: Final = semconv.USAGE_CACHE_READ_INPUT_TOKENS[_CUT:]
_WRITE: Final = semconv.USAGE_CACHE_WRITE_INPUT_TOKENS[_CUT:]
_REASONING: Final = semconv.USAGE_REASONING_OUTPUT_TOKENS[_CUT:]
_STREAM: Final = ("gen_ai.request.stream", "gen_ai.request.is_stream")
EXCLUSIVE: Final = frozenset({"anthropic", "aws.bedrock"})


def recognises(attributes: Mapping[str, Any]) -> bool:
    """True for a span of OpenLIT's."""
    return attributes.get(SDK_NAME) == "openlit"


def read(attributes: Mapping[str, Any], span_name: str) -> Facts | None:
    """Read a span."""
    facts = read_genai(attributes, span_name, normalised=False)
    if facts is None or facts.usage is None or facts.usage_format != UsageFormat.SEMCONV:
        return facts
    usage = facts.usage
    if facts.provider in EXCLUSIVE:
        usage = inclusive(usage)
    streamed = any(attributes.get(name) is True for name in _STREAM)
    told = any(usage.get(name) for name in (_READ, _WRITE, _REASONING))
    estimated = streamed and facts.kind in COUNTED_KINDS and not told
    return facts._replace(usage=usage, estimated=estimated)


DIALECT: Final = Dialect("openlit", recognises, read)
