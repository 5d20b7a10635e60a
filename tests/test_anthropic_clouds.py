"""Anthropic's models on Bedrock, Vertex and Foundry: the provider, the model, the usage, the keys."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import anthropic
import pytest

import spantally
from anthropic_forms_kit import ANSWER, ASK, INPUT, MODEL, OUTPUT, TRACES_ITSELF, client_of
from spantally.ground import guard
from spantally.instrumentors.anthropic.wire.operation import classify, model_of
from spantally.instrumentors.anthropic.wire.provider import provider_of
from spantally.redaction.registry import forget_literals
from spantally.testing import Reply, ScriptedServer
from watching import Watched, attributes

BEDROCK_MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


class Cloud(NamedTuple):
    """A client of a cloud."""

    make: Callable[[str, str], Any]
    provider: str
    model: str


def _bedrock(url: str, secret: str) -> Any:
    if "api_key" not in inspect.signature(anthropic.AnthropicBedrock.__init__).parameters:
        pytest.importorskip("botocore")
        keys: Any = {"aws_access_key": "made-up", "aws_secret_key": secret}
        return anthropic.AnthropicBedrock(base_url=url, aws_region="us-east-1", max_retries=0, **keys)
    return anthropic.AnthropicBedrock(
        base_url=url, aws_region="us-east-1", api_key=secret, max_retries=0, **_silent()
    )


def _vertex(url: str, secret: str) -> Any:
    return anthropic.AnthropicVertex(
        base_url=url, region="us-east5", project_id="p", access_token=secret, max_retries=0, **_silent()
    )


def _foundry(url: str, secret: str) -> Any:
    return anthropic.AnthropicFoundry(base_url=url, api_key=secret, max_retries=0, **_silent())


def _silent() -> dict[str, Any]:
    return {"open_telemetry": False} if TRACES_ITSELF else {}


CLOUDS: dict[str, Cloud] = {
    "bedrock": Cloud(_bedrock, "aws.bedrock", BEDROCK_MODEL),
    "vertex": Cloud(_vertex, "gcp.vertex_ai", "claude-sonnet-4-5@20250929"),
}
if hasattr(anthropic, "AnthropicFoundry"):
    CLOUDS["foundry"] = Cloud(_foundry, "azure.ai.inference", MODEL)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", CLOUDS)
def test_a_cloud_is_metered_as_itself(name: str, stream: bool, watched: Watched) -> None:
    """Provider, model and usage; the cloud's key is hidden from then on."""
    cloud = CLOUDS[name]
    if name == "bedrock" and stream:
        pytest.importorskip("botocore")  # the SDK needs it to read the frames
    forget_literals()
    secret = f"made-up-{name}-{stream}-0123456789abcdef"
    with ScriptedServer(ANSWER) as server:
        base = server.anthropic_url + ("/v1" if name == "vertex" else "")
        with cloud.make(base, secret) as client:
            made = client.messages.create(**{**ASK, "model": cloud.model}, stream=stream)
            assert len(list(made)) > 4 if stream else made.content
    (record,) = watched.records
    (span,) = watched.spans
    assert (record.provider, record.request_model) == (cloud.provider, cloud.model)
    assert record.usage is not None
    assert record.usage["output_tokens"] == OUTPUT
    assert attributes(span)["gen_ai.usage.input_tokens"] == INPUT
    assert attributes(span)["gen_ai.provider.name"] == cloud.provider
    assert secret not in spantally.redact(f"it is {secret} indeed")
    assert not guard.failures, guard.failures


def test_keys_of_a_client_are_hidden(watched: Watched) -> None:
    """The key, the token, and a header that the program sets itself."""
    forget_literals()
    given = {"api_key": "made-up-key-aaaa-bbbb-0001", "auth_token": "made-up-token-cccc-dddd-0002"}
    with (
        ScriptedServer(ANSWER) as server,
        client_of(server, api_key=given["api_key"], auth_token=None) as client,
    ):
        client.messages.create(**ASK, extra_headers={"X-Api-Key": "made-up-header-eeee-ffff-0003"})
        with client_of(server, api_key=None, auth_token=given["auth_token"]) as other:
            other.messages.create(**ASK)
    for secret in (*given.values(), "made-up-header-eeee-ffff-0003"):
        assert secret not in spantally.redact(f"it is {secret} indeed")


@pytest.mark.parametrize(
    ("names", "host", "provider"),
    [
        ("Anthropic SyncAPIClient", "api.anthropic.com", "anthropic"),
        ("AsyncAnthropicBedrock", "bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"),
        ("AnthropicBedrockMantle", "gateway.example", "aws.bedrock"),
        ("AnthropicVertex", "us-east5-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("AnthropicFoundry", "x.services.ai.azure.com", "azure.ai.inference"),
        ("Anthropic", "x.services.ai.azure.com", "azure.ai.inference"),
        ("AnthropicAWS Anthropic", "aws-external.example", "anthropic"),
        ("Anthropic", "openrouter.ai", "openrouter"),
        ("Anthropic", "api.deepseek.com", "deepseek"),
        ("Anthropic", "127.0.0.1", "anthropic"),
    ],
)
def test_who_answers(names: str, host: str, provider: str) -> None:
    """By the client's class, else by the host, else by the flavour of the API."""
    assert provider_of(names, host) == provider


@pytest.mark.parametrize(
    ("method", "path", "name", "model"),
    [
        ("post", "/v1/messages", "chat", "m"),
        ("POST", "/v1/messages?beta=true", "chat", "m"),
        ("post", "https://gateway.example/anthropic/v1/messages", "chat", "m"),
        ("post", "/model/us.anthropic.claude-x-v1%3A0/invoke", "chat", "us.anthropic.claude-x-v1:0"),
        ("post", "/model/claude-x/invoke-with-response-stream", "chat", "claude-x"),
        ("post", "/projects/p/publishers/anthropic/models/claude-x@1:rawPredict", "chat", "claude-x@1"),
        ("post", "/p/models/claude-x:streamRawPredict", "chat", "claude-x"),
        ("post", "/p/models/count-tokens:rawPredict", "count_tokens", "m"),
        ("post", "/v1/messages/count_tokens", "count_tokens", "m"),
        ("post", "/v1/messages/batches", "create_batch", "m"),
        ("get", "https://api.anthropic.com/v1/messages/batches/b_1/results", "fetch_batch_results", None),
        ("post", "/v1/complete", "text_completion", "m"),
        ("get", "/v1/models", None, None),
        ("get", "/v1/models/claude-x:1", None, None),
        ("post", "/v1/files", None, None),
        ("get", "/v1/messages", None, None),
        ("post", "/v1/sessions/s/messages/x", None, None),
    ],
)  # fmt: skip
def test_which_operation_a_request_is(method: str, path: str, name: str | None, model: str | None) -> None:
    """By the method and the end of the path; the model by the body, else by the path."""
    found = classify(method, path, None)
    assert (None if found is None else found.name) == name
    body = {"model": "m"} if model == "m" else {}
    assert name is None or model_of(path, body) == model


@pytest.mark.parametrize("odd", [None, 3, b"post", object()])
def test_odd_requests_are_no_operation(odd: Any) -> None:
    """What is no text is no path."""
    assert classify("post", odd, None) is None
    assert model_of(odd, {}) is None


def test_a_client_of_the_sdk_can_be_bound(watched: Watched) -> None:
    """``spantally.bind`` takes clients of this SDK, too."""
    with ScriptedServer(ANSWER) as server, client_of(server) as client:
        bound = spantally.bind(client, session="chat-7", user="bob")
        bound.messages.create(**ASK)
        client.messages.create(**ASK)
    first, second = watched.records
    assert (first.session_id, first.user_id) == ("chat-7", "bob")
    assert second.session_id != "chat-7"


def test_failed_attempts_are_one_call(monkeypatch: pytest.MonkeyPatch, watched: Watched) -> None:
    """429 and 529 before the answer: one row, its attempts told, the usage that of the last."""
    import anthropic._base_client as base

    monkeypatch.setattr(base, "INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr(base, "MAX_RETRY_DELAY", 0.001)
    limits = {"anthropic-ratelimit-requests-remaining": "3", "anthropic-ratelimit-tokens-reset": "soon"}
    replies = [Reply(status=429), Reply(status=529), ANSWER]
    replies = [reply.__class__(**{**_fields(reply), "headers": limits}) for reply in replies]
    with ScriptedServer(replies) as server, client_of(server, max_retries=3) as client:
        client.messages.create(**ASK)
    (record,) = watched.records
    (span,) = watched.spans
    assert (record.status, record.possibly_billed) == ("ok", False)
    told = attributes(span)
    assert told["anthropic.response.rate_limit.requests_remaining"] == 3
    assert told["anthropic.response.rate_limit.tokens_reset"] == "soon"
    if hasattr(base.SyncAPIClient, "_sleep_for_retry"):
        assert record.attempts == 3
        assert [event.name for event in span.events] == ["spantally.attempt.failed"] * 2


def _fields(reply: Reply) -> dict[str, Any]:
    return {name: getattr(reply, name) for name in Reply.__dataclass_fields__}


def test_a_timeout_is_possibly_billed(watched: Watched) -> None:
    """A provider that is too slow may have done the work."""
    with (
        ScriptedServer([Reply(text="late", delay=5)]) as server,
        client_of(server, timeout=0.15) as client,
        pytest.raises(anthropic.APITimeoutError),
    ):
        client.messages.create(**ASK)
    (record,) = watched.records
    assert (record.status, record.possibly_billed) == ("error", True)


def test_a_cancelled_call_is_possibly_billed(watched: Watched) -> None:
    """The task that waits for the answer is cancelled."""
    from anthropic_forms_kit import async_client_of

    async def run(server: ScriptedServer) -> None:
        async with async_client_of(server) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.messages.create(**ASK), 0.1)

    with ScriptedServer([Reply(text="late", delay=5)]) as server:
        asyncio.run(run(server))
    (record,) = watched.records
    assert (record.status, record.possibly_billed) == ("cancelled", True)
