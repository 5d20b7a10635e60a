"""A tier that was asked for, and an answer that says nothing of it: `price()` and the ledger agree."""

from __future__ import annotations

import json
from typing import Any

import pytest

import spantally
from openai_forms_kit import client_of
from spantally.pricing.rate import rate
from spantally.testing import Reply, ScriptedServer
from watching import Watched

REQUEST: dict[str, Any] = {
    "model": "o3",
    "messages": [{"role": "user", "content": "x"}],
    "service_tier": "flex",
}


@pytest.mark.parametrize(
    ("served", "nano"), [(None, 10 * 1_000 + 5 * 4_000), ("default", 10 * 2_000 + 5 * 8_000)]
)
def test_the_tier_asked_for_holds_where_none_is_said(watched: Watched, served: str | None, nano: int) -> None:
    """o3's flex is half of the standard rates; what the answer says goes first."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "y"}}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "o3", "choices": [choice]}
    body |= {"usage": usage} if served is None else {"usage": usage, "service_tier": served}
    with ScriptedServer([Reply(body=json.dumps(body).encode())]) as server, client_of(server) as client:
        client.chat.completions.create(**REQUEST)
    (record,) = watched.records
    assert rate(record).nano_usd == nano
    assert spantally.price(body, provider="openai", request=REQUEST).nano_usd == nano
