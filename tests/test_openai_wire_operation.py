"""Method and path of a request tell its operation, whatever stands before the path."""

from __future__ import annotations

import pytest

from spantally.ground.records import Kind, UsageFormat
from spantally.instrumentors.openai.wire.operation import classify


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/chat/completions", "chat_completions"),
        ("chat/completions", "chat_completions"),
        ("/v1/chat/completions?api-version=2025-01-01", "chat_completions"),
        ("/openai/deployments/my-gpt/chat/completions", "chat_completions"),
        ("/deployments/responses/embeddings", "embeddings"),
        ("https://openrouter.ai/api/v1/chat/completions", "chat_completions"),
        ("https://h.example/v1/responses/?x=https://a/b", "responses"),
        ("/responses", "responses"),
        ("/completions", "completions"),
        ("/openai/deployments/m/completions", "completions"),
        ("/embeddings#top", "embeddings"),
    ],
)
def test_the_end_of_the_path_tells_the_api(path: str, api: str) -> None:
    """Prefixes, hosts and queries make no difference."""
    found = classify("post", path, {})
    assert found is not None
    assert found.api == api


def test_operations_carry_the_names_of_the_conventions() -> None:
    """Kind, operation name and usage format belong to the API."""
    chat = classify("POST", "/chat/completions", None)
    text = classify("POST", "/completions", None)
    responses = classify("POST", "/responses", None)
    embeddings = classify("POST", "/embeddings", None)
    assert chat == (Kind.INFERENCE, "chat", "chat_completions", UsageFormat.OPENAI_CHAT)
    assert text == (Kind.INFERENCE, "text_completion", "completions", UsageFormat.OPENAI_CHAT)
    assert responses == (Kind.INFERENCE, "chat", "responses", UsageFormat.OPENAI_RESPONSES)
    assert embeddings == (Kind.EMBEDDINGS, "embeddings", "embeddings", UsageFormat.OPENAI_CHAT)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/chat/completions"),
        ("GET", "/responses/resp_1"),
        ("POST", "/responses/resp_1/cancel"),
        ("POST", "/responses/compact"),
        ("POST", "/chat/completions/chatcmpl-1"),
        ("POST", "/images/generations"),
        ("GET", "/models"),
        ("POST", ""),
        ("POST", "/"),
    ],
)
def test_other_endpoints_are_none(method: str, path: str) -> None:
    """What the table does not name is not guessed at."""
    assert classify(method, path, {"model": "m"}) is None


def test_a_path_that_is_no_text_is_none() -> None:
    """Odd arguments give None instead of an exception."""
    assert classify("POST", object(), {}) is None  # type: ignore[arg-type]
    assert classify(None, "/responses", {}) is None  # type: ignore[arg-type]
