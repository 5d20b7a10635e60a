"""Whatever opens a client's requests is hidden everywhere, however the program gave it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

import spantally
from spantally.calls.secrets import known_secrets
from spantally.ground import guard
from spantally.redaction.registry import forget_literals
from spantally.testing import Reply, ScriptedServer
from watching import Watched

KEY = "corporate gateway pass 778899"  # no rule could guess it
ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(autouse=True)
def _no_literals() -> Iterator[None]:
    known_secrets.clear()
    forget_literals()
    yield
    forget_literals()


def _plain(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key=KEY, max_retries=0)


def _function(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key=lambda: KEY, max_retries=0)


def _default_header(url: str) -> openai.OpenAI:
    headers = {"Authorization": f"Bearer {KEY}"}
    return openai.OpenAI(base_url=url, api_key="unused", default_headers=headers, max_retries=0)


def _header(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="unused", default_headers={"X-API-Key": KEY}, max_retries=0)


def _azure(url: str) -> openai.OpenAI:
    return openai.AzureOpenAI(base_url=url, api_key=KEY, api_version="2024-10-21", max_retries=0)


def _azure_token(url: str) -> openai.OpenAI:
    return openai.AzureOpenAI(base_url=url, azure_ad_token=KEY, api_version="2024-10-21", max_retries=0)


def _azure_function(url: str) -> openai.OpenAI:
    return openai.AzureOpenAI(
        base_url=url, azure_ad_token_provider=lambda: KEY, api_version="2024-10-21", max_retries=0
    )


def _gateway_header(url: str) -> openai.OpenAI:
    headers = {"X-Portkey-Api-Key": KEY}
    return openai.OpenAI(base_url=url, api_key="unused", default_headers=headers, max_retries=0)


def _gateway_scheme(url: str) -> openai.OpenAI:
    headers = {"Helicone-Auth": f"Bearer {KEY}"}
    return openai.OpenAI(base_url=url, api_key="unused", default_headers=headers, max_retries=0)


def _query(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="unused", default_query={"api_key": KEY}, max_retries=0)


def _login(url: str) -> openai.OpenAI:
    client = openai.DefaultHttpxClient(auth=("app", KEY))  # it replaces the header of the SDK
    return openai.OpenAI(base_url=url, api_key="unused", http_client=client, max_retries=0)


def _header_of_http(url: str) -> openai.OpenAI:
    client = openai.DefaultHttpxClient(headers={"X-Gateway-Token": KEY})
    return openai.OpenAI(base_url=url, api_key="unused", http_client=client, max_retries=0)


def _copy(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="unused", max_retries=0).with_options(api_key=KEY)


WAYS = (
    _plain,
    _function,
    _default_header,
    _header,
    _azure,
    _azure_token,
    _azure_function,
    _gateway_header,
    _gateway_scheme,
    _query,
    _login,
    _header_of_http,
    _copy,
)


@pytest.mark.parametrize("make", WAYS)
@pytest.mark.parametrize("refused", [False, True])
def test_the_key_is_hidden_from_the_first_call_on(
    make: Callable[[str], openai.OpenAI], refused: bool
) -> None:
    """In the answer that quotes it, the message of the refusal, and all that follows."""
    watched = Watched(capture_content="span_only")
    reply = Reply(status=401, error=f"no: {KEY}") if refused else Reply(text=f"it is {KEY}")
    try:
        with ScriptedServer([reply]) as server, make(server.base_url) as client:
            if refused:
                with pytest.raises(openai.AuthenticationError, match=KEY):
                    client.chat.completions.create(**ASK)  # the program's own view is whole
            else:
                client.chat.completions.create(**ASK)
        assert KEY.encode() not in watched.exported()
        assert b"[REDACTED:literal:" in watched.exported()
        assert KEY not in spantally.redact(f"x {KEY} y")
    finally:
        watched.close()


def test_the_key_of_one_request_is_hidden(watched: Watched, server: ScriptedServer) -> None:
    """A header that a single request adds."""
    with openai.OpenAI(base_url=server.base_url, api_key="unused", max_retries=0) as client:
        client.chat.completions.create(**ASK, extra_headers={"authorization": f"Bearer {KEY}"})
    assert KEY not in spantally.redact(f"x {KEY} y")


def test_the_key_that_a_coroutine_gives_is_hidden(watched: Watched, server: ScriptedServer) -> None:
    """Of an asynchronous client."""

    async def give() -> str:
        return KEY

    async def run() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=give, max_retries=0) as client:
            await client.chat.completions.create(**ASK)

    asyncio.run(run())
    assert KEY not in spantally.redact(f"x {KEY} y")


def test_a_key_that_cannot_be_had_is_the_programs_fault(watched: Watched, server: ScriptedServer) -> None:
    """The function raises before there is a request: its exception comes out, and nothing of ours fails."""

    def give() -> str:
        raise LookupError("no token today")

    with (
        openai.OpenAI(base_url=server.base_url, api_key=give, max_retries=0) as client,
        pytest.raises(LookupError, match="no token today"),
    ):
        client.chat.completions.create(**ASK)
    assert not guard.failures


def test_a_key_that_the_http_client_changes_is_hidden(watched: Watched, server: ScriptedServer) -> None:
    """Headers that were looked at are not looked at again; the new one is, also after many of the old one."""
    http = openai.DefaultHttpxClient(headers={"X-Gateway-Key": "corporate gateway pass 112233"})
    with openai.OpenAI(base_url=server.base_url, api_key="unused", http_client=http, max_retries=0) as client:
        for _ in range(3):
            client.chat.completions.create(**ASK)
        assert spantally.redact(f"x {KEY} y") == f"x {KEY} y"
        http.headers["X-Gateway-Key"] = KEY
        client.chat.completions.create(**ASK)
    assert KEY not in spantally.redact(f"x {KEY} y")


def test_a_sent_key_that_could_not_be_registered_is_tried_again(
    watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure is not kept as if the header had been looked at."""

    def fail(value: str) -> None:
        raise RuntimeError

    with _function(server.base_url) as client:
        with monkeypatch.context() as patch:
            patch.setattr("spantally.redaction.register_literal", fail)
            client.chat.completions.create(**ASK)
        assert ("calls.secrets", "RuntimeError") in guard.failures
        assert spantally.redact(f"x {KEY} y") == f"x {KEY} y"
        client.chat.completions.create(**ASK)
    assert KEY not in spantally.redact(f"x {KEY} y")


@pytest.mark.parametrize(("part", "place"), [("remember_keys", "sdk.request"), ("remember_sent", "sdk.key")])
def test_failing_to_learn_a_key_stays_ours(
    part: str, place: str, watched: Watched, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is made and counted."""

    def fail(*args: Any) -> Any:
        raise RuntimeError

    module = "stainless.keys" if part == "remember_sent" else "openai.beginning"
    monkeypatch.setattr(f"spantally.instrumentors.{module}.{part}", fail)
    with _function(server.base_url) as client:
        assert client.chat.completions.create(**ASK).choices
    assert len(watched.records) == 1
    assert place in {where for where, _ in guard.failures}
