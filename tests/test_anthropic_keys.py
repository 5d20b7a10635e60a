"""Whatever opens the requests of an Anthropic client is hidden everywhere, however the program gave it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest

from anthropic_forms_kit import ASK, client_of
from spantally.calls.secrets import known_secrets
from spantally.redaction.registry import forget_literals
from spantally.testing import Reply, ScriptedServer
from watching import Watched

KEY = "corporate gateway pass 778899"  # no rule could guess it
GIVEN: dict[str, Callable[[], dict[str, Any]]] = {
    "key": lambda: {"api_key": KEY},
    "token": lambda: {"api_key": None, "auth_token": KEY},
    "header": lambda: {"default_headers": {"X-Portkey-Api-Key": KEY}},
    "scheme": lambda: {"default_headers": {"Helicone-Auth": f"Bearer {KEY}"}},
    "query": lambda: {"default_query": {"api_key": KEY}},
    "login": lambda: {"http_client": anthropic.DefaultHttpxClient(auth=("app", KEY))},
    "client": lambda: {"http_client": anthropic.DefaultHttpxClient(headers={"X-Gateway-Token": KEY})},
}


@pytest.fixture(autouse=True)
def _no_literals() -> Iterator[None]:
    known_secrets.clear()
    forget_literals()
    yield
    forget_literals()


@pytest.mark.parametrize("way", GIVEN)
def test_it_is_hidden_from_the_first_call_on(way: str) -> None:
    """In the very answer that quotes it."""
    watched = Watched(capture_content="span_only")
    given = {"api_key": "unused", **GIVEN[way]()}
    try:
        with (
            ScriptedServer([Reply(text=f"it is {KEY}")]) as server,
            client_of(server, **given) as client,
        ):
            client.messages.create(**ASK)
        assert KEY.encode() not in watched.exported()
        assert b"[REDACTED:literal:" in watched.exported()
    finally:
        watched.close()
