"""The provider's name and whose rates apply, by client class and host."""

from __future__ import annotations

import openai
import pytest

from spantally.calls.telemetry import Telemetry
from spantally.instrumentors.openai.wire.provider import provider_of
from spantally.instrumentors.stainless.places import place_of
from spantally.instrumentors.stainless.wire.hosts import HOSTS, priced_provider


@pytest.mark.parametrize(
    ("client", "host", "name"),
    [
        ("OpenAI", "api.openai.com", "openai"),
        ("AsyncOpenAI", "eu.api.openai.com", "openai"),
        ("AzureOpenAI", "corp-gateway.example", "azure.ai.openai"),
        ("AsyncAzureOpenAI", "x.openai.azure.com", "azure.ai.openai"),
        ("OpenAI", "x.openai.azure.com", "azure.ai.openai"),
        ("BedrockOpenAI", "gateway.example", "aws.bedrock"),
        ("OpenAI", "bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"),
        ("OpenAI", "bedrock-mantle.eu-west-1.api.aws", "aws.bedrock"),
        ("OpenAI", "openrouter.ai", "openrouter"),
        ("OpenAI", "api.groq.com", "groq"),
        ("OpenAI", "API.DeepSeek.com.", "deepseek"),
        ("OpenAI", "api.x.ai", "x_ai"),
        ("OpenAI", "api.mistral.ai", "mistral_ai"),
        ("OpenAI", "generativelanguage.googleapis.com", "gcp.gemini"),
        ("OpenAI", "us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("MyClient AzureOpenAI BaseAzureClient OpenAI object", "corp-gateway.example", "azure.ai.openai"),
        ("OpenAI", "ollama.com", "ollama"),
        ("OpenAI", "ollama", "ollama"),
        ("OpenAI", "vllm.internal", "vllm"),
        ("OpenAI", "VLLM", "vllm"),
        ("OpenAI", "notvllm.internal", "openai"),
        ("OpenAI", "localhost", "openai"),
    ],
)
def test_the_provider_follows_from_class_and_host(client: str, host: str, name: str) -> None:
    """An unknown host has the flavour of the API."""
    assert provider_of(client, host) == name


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [
        ("localhost", 11434, "ollama"),
        ("192.168.0.7", 11434, "ollama"),
        ("api.openai.com", 11434, "openai"),
        ("localhost", 8000, "openai"),
        ("localhost", 8080, "openai"),
    ],
)
def test_a_port_tells_a_server_only_where_it_is_nobody_elses(host: str, port: int, name: str) -> None:
    """Ollama's does; what listens at 8000 or 8080 may be anything."""
    assert provider_of("OpenAI", host, port) == name


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "::1",
        "vllm.internal",
        "notapi.openai.com.evil.example",
        "s3.amazonaws.com",
        "",
        "ai",
    ],
)
def test_nobodys_rates_apply_to_an_unknown_host(host: str) -> None:
    """A gateway or local server is not priced at a vendor's rates by its API alone."""
    assert priced_provider(host) is None


def test_a_look_alike_host_is_not_the_vendor() -> None:
    """The whole host or a parent domain must match, not a part of a label."""
    assert priced_provider("evilapi.openai.com") is None
    assert priced_provider("fakeopenrouter.ai") is None


def test_each_host_of_the_table_prices_as_its_vendor() -> None:
    """Every line of the table is reachable, and a subdomain belongs to it."""
    for host, name in HOSTS:
        assert priced_provider(host) == name
        assert priced_provider(f"eu.{host}") == name


def test_a_client_that_keeps_its_address_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a class whose others keep it where the SDK does: it is asked, and nothing fails."""

    class Elsewhere(openai.OpenAI):
        pass

    def place(client: openai.OpenAI) -> str | None:
        return place_of(telemetry, client, "openai", lambda *asked: "openai").host

    telemetry = Telemetry()
    usual = Elsewhere(api_key="unused", base_url="http://one.example/v1")
    assert place(usual) == place(usual) == "one.example"
    other = Elsewhere(api_key="unused", base_url="http://two.example/v1")
    held = other.__dict__.pop("_base_url")
    monkeypatch.setattr(Elsewhere, "_base_url", held, raising=False)
    assert place(other) == "two.example"
