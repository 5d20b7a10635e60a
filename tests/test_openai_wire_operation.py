"""Method and path of a request tell its operation, whatever stands before the path."""

from __future__ import annotations

import pytest

from spantally.ground.records import Kind, UsageFormat
from spantally.instrumentors.openai.wire.operation import classify, path_attributes


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
    assert chat is not None
    assert text is not None
    assert responses is not None
    assert embeddings is not None
    assert chat[:4] == (Kind.INFERENCE, "chat", "chat_completions", UsageFormat.OPENAI_CHAT)
    assert text[:4] == (Kind.INFERENCE, "text_completion", "completions", UsageFormat.OPENAI_CHAT)
    assert responses[:4] == (Kind.INFERENCE, "chat", "responses", UsageFormat.OPENAI_RESPONSES)
    assert embeddings[:4] == (Kind.EMBEDDINGS, "embeddings", "embeddings", UsageFormat.OPENAI_CHAT)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/chat/completions"),
        ("GET", "/models"),
        ("POST", "/uploads"),
        ("GET", "/vector_stores/vs_1/files/file_1/content"),
        ("POST", "/containers/c_1/files"),
        ("POST", ""),
    ],
)
def test_other_endpoints_are_none(method: str, path: str) -> None:
    """What neither the table names nor carries a model is not traced."""
    assert classify(method, path, {"purpose": "p"}) is None
    assert classify(method, path, None) is None


@pytest.mark.parametrize(
    ("path", "name"), [("/rerank", "rerank"), ("/v2/jobs/J-17", "request"), ("", "request")]
)
def test_an_unknown_endpoint_with_a_model_is_an_operation(path: str, name: str) -> None:
    """It is named by its last word, never by an id, and its kind is none that counts."""
    found = classify("POST", path, {"model": "m"})
    assert found is not None
    assert (found.kind, found.name, found.api) == (Kind.OTHER, name, "unknown")


@pytest.mark.parametrize(
    ("method", "path", "kind", "name"),
    [
        ("get", "/responses/resp_1", Kind.OTHER, "fetch_response"),
        ("get", "/responses/resp_1?stream=true", Kind.OTHER, "fetch_response"),
        ("post", "/responses/resp_1/cancel", Kind.OTHER, "cancel_response"),
        ("post", "/responses/compact", Kind.INFERENCE, "chat"),
        ("post", "/responses/input_tokens", Kind.OTHER, "count_tokens"),
        ("get", "/responses/resp_1/input_items", Kind.OTHER, "list_input_items"),
        ("post", "/images/generations", Kind.INFERENCE, "generate_content"),
        ("post", "/openai/deployments/d/audio/speech", Kind.INFERENCE, "generate_content"),
        ("post", "/moderations", Kind.OTHER, "moderation"),
        ("post", "/batches", Kind.OTHER, "create_batch"),
        ("get", "/files/file_1/content", Kind.OTHER, "download_file"),
        ("post", "/vector_stores/vs_1/search", Kind.RETRIEVAL, "retrieval"),
        ("post", "/threads/runs", Kind.INFERENCE, "invoke_agent"),
        ("get", "/threads/t/runs/r", Kind.OTHER, "fetch_response"),
    ],
)
def test_an_endpoint_has_its_kind(method: str, path: str, kind: Kind, name: str) -> None:
    """What bills is of a kind that counts, what only reads or stores is not."""
    found = classify(method, path, {})
    assert found is not None
    assert (found.kind, found.name) == (kind, name)


def test_ids_in_the_path_are_attributes() -> None:
    """Each id goes where the conventions want it."""
    assert path_attributes("GET", "/v1/responses/resp_1") == (("gen_ai.response.id", "resp_1"),)
    assert path_attributes("POST", "/vector_stores/vs_1/search") == (("gen_ai.data_source.id", "vs_1"),)
    assert path_attributes("GET", "/threads/t_1/runs/r_1") == (
        ("gen_ai.conversation.id", "t_1"),
        ("gen_ai.response.id", "r_1"),
    )
    assert path_attributes("POST", "/chat/completions") == ()


def test_a_path_that_is_no_text_is_none() -> None:
    """Odd arguments give None instead of an exception."""
    assert classify("POST", object(), {}) is None  # type: ignore[arg-type]
    assert classify(None, "/responses", {}) is None  # type: ignore[arg-type]
