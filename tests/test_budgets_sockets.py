"""Budgets and websockets: a response is asked for only where there is room for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

import spantally
from sockets_kit import MODES, Both, SocketServer, on_create, response_events, talk
from watching import Watched


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("raw", [False, True])
def test_response_beyond_the_budget_is_not_asked_for(mode: str, raw: bool, watched: Watched) -> None:
    """The event that would ask for it is not sent, and the connection stays usable."""
    event = {"type": "response.create", "model": "gpt-4o", "input": "hi"}

    async def send(connection: Both) -> None:
        if raw:
            await connection.send_raw(json.dumps(event))
        else:
            await connection.send(event)

    async def program(connection: Both) -> Any:
        await send(connection)
        await connection.until("response.completed")
        with pytest.raises(spantally.BudgetExceeded, match="limit 1 calls, spent 1 calls"):
            await send(connection)
        return session.totals.calls

    with SocketServer(on_create(*response_events())) as server:
        budget = spantally.Budget(usd=1, calls=1, on_exceed="hard")
        with spantally.session("socket", budget=budget) as session:
            assert talk(mode, server, program, api="responses") == 1
            assert session.remaining.calls == 0
    rows = watched.records
    assert [(row.kind, row.status) for row in rows] == [("inference", "ok"), ("other", "error")]
