"""Recorded response bodies are priced: what holds of each, whoever recorded it.

A few bodies of our own are in the repository. SPANTALLY_RECORDINGS names a folder with more: JSON files, VCR
cassettes and the like of other projects.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest

import spantally
from pricing_recordings_kit import Body, bodies, totals, usage_of

OWN = Path(__file__).parent / "recordings"
ELSEWHERE = os.environ.get("SPANTALLY_RECORDINGS")

MAY_DIFFER = frozenset({"x_ai", "perplexity"})
"""Providers that count some output outside of the total that they give."""


def _wrong(body: Body, found: spantally.Cost) -> Iterator[str]:
    """What does not hold of a price that must hold of all."""
    usage = usage_of(body.response)
    assert usage is not None
    if (found.nano_usd is None) != (found.status in _WITHOUT) and not found.status.startswith("partial:"):
        yield f"{found.nano_usd} is {found.status}"
    if found.nano_usd == 0 and found.status not in ("free", "provider_reported"):
        yield f"a silent zero: {found.status}"
    if found.nano_usd is not None and found.nano_usd < 0:
        yield "a negative cost"
    cost = usage.get("cost")
    if type(cost) in (int, float) and not usage.get("is_byok"):
        told = int((Decimal(repr(cost)) * 10**9).to_integral_value(ROUND_HALF_EVEN))
        if (found.nano_usd, found.status) != (told, "provider_reported"):
            yield f"the provider reports {told}, here it is {found.nano_usd} ({found.status})"
    summed = totals(usage)
    if found.parts is None or summed is None or body.provider in MAY_DIFFER:
        return
    ours = found.parts.input_total, found.parts.output_total
    whole = usage.get("total_tokens")
    if body.provider.startswith("gcp.") and "prompt_tokens" in usage and type(whole) is int:
        summed = summed[0], whole - summed[0]  # thoughts stand in the total only
    if ours != summed:
        yield f"the provider's totals are {summed}, ours {ours}"


_WITHOUT = frozenset({"unknown_model", "no_usage", "bad_usage", "covered"})


def _judge(folder: Path) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Status by provider, and all that is wrong, over the distinct bodies beneath a folder."""
    seen: set[str] = set()
    kinds: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    for body in bodies(folder):
        key = repr(
            (body.provider, body.request.get("model"), body.response.get("model"), usage_of(body.response))
        )
        if key in seen:
            continue
        seen.add(key)
        found = spantally.price(body.response, provider=body.provider, request=body.request)
        kinds[body.provider, found.status] += 1
        wrong += [f"{body.source}: {text}" for text in _wrong(body, found)]
    return kinds, wrong


def test_our_own_recordings_are_priced() -> None:
    """Each has a cost or a reason, and its parts add up to what it says."""
    kinds, wrong = _judge(OWN)
    assert sum(kinds.values()) >= 5
    assert not wrong


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    not ELSEWHERE, reason="SPANTALLY_RECORDINGS names no folder with recorded response bodies"
)
def test_recordings_elsewhere_are_priced() -> None:
    """The same for whatever the folder holds; the numbers are printed."""
    assert ELSEWHERE is not None
    kinds, wrong = _judge(Path(ELSEWHERE))
    assert kinds, f"no response body with a usage in {ELSEWHERE}"
    print(f"{sum(kinds.values())} distinct bodies")
    for (provider, status), number in sorted(kinds.items()):
        print(f"  {provider}: {status} {number}")
    assert not wrong, f"{len(wrong)} wrong\n" + "\n".join(wrong[:60])
