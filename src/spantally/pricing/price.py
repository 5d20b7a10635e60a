"""What one call costs, from its bodies: the same rating that the ledger gives, for whoever has the bodies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from spantally.ground.errors import ArgumentError
from spantally.ground.money import CostStatus, UsageParts, usd
from spantally.ground.records import CallRecord
from spantally.pricing.body import BodyFacts, facts_of
from spantally.pricing.body_shapes import mapping, unwrap
from spantally.pricing.rate import rate
from spantally.pricing.vendors import canonical

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Cost(NamedTuple):
    """What a call costs, or why that is not known."""

    nano_usd: int | None
    """Integer nano-USD (10⁻⁹ US dollars), rounded half-even once; None where the cost is not known."""
    status: str
    """How it stands: ``priced``, ``provider_reported``, ``override``, ``free``, ``covered``, ``estimated``,
    ``partial:<part>`` (the sum of the known parts, or None), ``unknown_model``, ``no_usage`` or
    ``bad_usage``."""
    parts: UsageParts | None = None
    """The usage in disjoint parts; None where it was not reported or cannot be."""
    price_id: str | None = None
    """Which rate: vendor and model, since when it holds, tier."""
    source: str | None = None
    """Who says so: ``genai-prices 0.2.3``, ``provider``, ``override``."""

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost in US dollars, exact; None where it is not known."""
        return usd(self.nano_usd)


def price(
    response: Mapping[str, Any],
    *,
    provider: str,
    request: Mapping[str, Any] | None = None,
    at: datetime | None = None,
    batch: bool = False,
) -> Cost:
    """What one call cost, from the bodies that went over the wire.

    It is rated as the ledger rates it: each token once and by its kind, at the rates of that day, tier and
    geography; the provider's own tools with their fees; a cost that the provider reports wins. What is not
    known is None with a status that says why, never 0. Nothing is sent, stored or changed; the first call
    waits up to a second for the price data.

    Args:
        response: the response body, in the provider's own shape; also the last chunk or event of a stream
            (the one with the usage), or a line of a batch's results.
        provider: a value of ``gen_ai.provider.name`` or a usual spelling: ``openai``, ``azure``,
            ``anthropic``, ``bedrock``, ``gemini``, ``vertex``, ``groq``, ``mistral``. A host whose prices are
            not known gives ``unknown_model``.
        request: the request body, as far as it is at hand: some facts stand only there (the model of Gemini
            and Bedrock, a text that is read aloud).
        at: when the call was made, with a time zone; None for now.
        batch: True for a call that was submitted as part of a batch.

    Returns:
        The cost with its status, parts and source.

    Raises:
        ArgumentError: (a ``ValueError``) where an argument has the wrong type.
    """
    _check(response, provider, request, at, batch)
    name = canonical(provider)
    facts = facts_of(response, request, provider=name, batch=batch)
    if facts.usage is None and not _is_answer(response):
        return Cost(None, CostStatus.NO_USAGE)
    moment = datetime.now(UTC) if at is None else at
    since = (moment - _EPOCH) // timedelta(microseconds=1)
    rating = rate(record_of(facts, name, since * 1_000))
    return Cost(rating.nano_usd, str(rating.status), rating.parts, rating.price_id, rating.source)


_NO_ANSWERS: Final = frozenset({"failed", "cancelled", "queued", "in_progress", "errored", "expired"})


def _is_answer(response: Mapping[str, Any]) -> bool:
    """False for a body that tells of a failure, or of an answer that is still to come.

    An answer without usage has its cost where a rate of the user's own needs none.
    """
    body, _ = unwrap(response)
    if not body or body.get("error") or body.get("type") == "error":
        return False
    told = (body.get("status"), mapping(body.get("result")).get("type"))
    return _NO_ANSWERS.isdisjoint(one for one in told if isinstance(one, str))


def record_of(facts: BodyFacts, provider: str, start_ns: int) -> CallRecord:
    """The record of a call that is known by its bodies alone, as far as a rating looks at it.

    Args:
        facts: of the bodies.
        provider: ``gen_ai.provider.name``.
        start_ns: when the call began, UNIX nanoseconds.
    """
    return CallRecord(
        call_id="",
        session_id="",
        kind=facts.kind,
        operation="chat",
        start_ns=start_ns,
        provider=provider,
        request_model=facts.request_model,
        response_model=facts.response_model,
        usage=facts.usage,
        usage_format=facts.usage_format,
        price_context=facts.context or None,
    )


def _check(response: Any, provider: Any, request: Any, at: Any, batch: Any) -> None:
    if not isinstance(response, Mapping):
        raise ArgumentError(
            f"response is a {type(response).__name__}; give the response body as a mapping, e.g. "
            "response.json() or response.model_dump()"
        )
    if not isinstance(provider, str) or not provider.strip():
        raise ArgumentError(
            f"provider is {provider!r}; name the host that answered, e.g. 'openai', 'anthropic', "
            "'gcp.gemini', 'aws.bedrock', 'azure.ai.openai', 'groq', 'mistral_ai', 'openrouter'"
        )
    if request is not None and not isinstance(request, Mapping):
        raise ArgumentError(
            f"request is a {type(request).__name__}; give the request body as a mapping, or None"
        )
    if at is not None and (not isinstance(at, datetime) or at.utcoffset() is None):
        raise ArgumentError(
            f"at is {at!r}; give a datetime with a time zone, e.g. datetime.now(timezone.utc), "
            "or None for now"
        )
    if not isinstance(batch, bool):
        raise ArgumentError(f"batch is {batch!r}; it is True or False")
