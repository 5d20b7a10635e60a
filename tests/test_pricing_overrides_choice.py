"""Which entry holds for a call: where it went, what it is called, and which entry is the more specific."""

from __future__ import annotations

from typing import Any

import pytest

from own_rates_kit import UseOwn, own
from pricing_records import chat, record
from spantally.ground.money import CostStatus
from spantally.ground.records import Precedence
from spantally.pricing import overrides_card
from spantally.pricing.rate import rate

__all__ = ["own"]


def price_of(model: str | None = "m", **more: Any) -> str | None:
    """Which entry rated a call."""
    return rate(record(model, chat(10, 10), **more)).price_id


@pytest.mark.parametrize(
    ("pattern", "fits", "not_fits"),
    [
        ("gpt-4o", ["gpt-4o", "GPT-4o", " gpt-4o "], ["gpt-4o-mini", "my-gpt-4o"]),
        ("gpt-4o*", ["gpt-4o", "gpt-4o-2024-08-06"], ["ft:gpt-4o", "gpt-4"]),
        ("llama-?b", ["llama-8b"], ["llama-70b", "llama-b"]),
        ("claude-[34]*", ["claude-3-opus", "claude-4"], ["claude-5"]),
        ("/llama-(8|70)b/", ["llama-8b", "Llama-70B"], ["llama-8b-instruct", "xllama-8b"]),
        ("gemini-x", ["models/gemini-x"], ["tuned/gemini-x"]),
        ("*", ["anything"], []),
    ],
)
def test_names_are_meant_as_a_whole(own: UseOwn, pattern: str, fits: list[str], not_fits: list[str]) -> None:
    """Exact, with wildcards, or a regex between slashes; never a part of a name, in any case of letters."""
    own(f'[[rate]]\nname = "r"\nprovider = "mine"\nmodel = "{pattern}"\ninput = 1\noutput = 1\n')
    assert [price_of(name, provider="mine") for name in fits] == ["r"] * len(fits)
    assert [price_of(name, provider="mine") for name in not_fits] == [None] * len(not_fits)


ORDER = [
    ('model = "gpt-4o"', 'model = "gpt-4o*"'),
    ('model = "gpt-4*"', 'model = "gpt-*"'),
    ('model = "gpt-*"', 'model = "/gpt.*/"'),
    ('model = "/gpt.*/"', 'provider = "openai"'),
    ('model = "gpt-4o"', 'host = "gw.lan"\nprovider = "openai"'),
    ('model = "gpt-4o"\nhost = "gw.lan"', 'model = "gpt-4o"\nhost = "*.lan"'),
    ('model = "gpt-4o"\nhost = "*.lan"', 'model = "gpt-4o"\nhost = "*"'),
    ('model = "gpt-4o"\nhost = "*"', 'model = "gpt-4o"'),
    ('host = "gw.lan"', 'provider = "openai"'),
    ('provider = "openai"', ""),
    ('service_tier = "default"', ""),
    ("from = 2026-11-01", "from = 2026-10-01"),
    ("from = 2026-11-01", ""),
]


@pytest.mark.parametrize(("special", "general"), ORDER)
def test_the_more_specific_entry_wins(own: UseOwn, special: str, general: str) -> None:
    """Whichever of the two stands first in the file."""
    one = f'[[rate]]\nname = "special"\n{special}\ninput = 1\noutput = 1\n'
    other = f'[[rate]]\nname = "general"\n{general}\ninput = 2\noutput = 2\n'
    for text in (one + other, other + one):
        own(text)
        found = price_of("gpt-4o", server_address="gw.lan", price_context={"service_tier": "default"})
        assert (found or "").startswith("special")


def test_of_two_alike_the_later_wins(own: UseOwn) -> None:
    """So that an addition at the end of the file holds."""
    one = '[[rate]]\nname = "{}"\nmodel = "m"\ninput = 1\noutput = 1\n'
    own(one.format("first") + one.format("second"))
    assert price_of() == "second"


def test_the_model_of_the_response_goes_first(own: UseOwn) -> None:
    """Its own entry wins over one for the name that was asked for; that one holds where it has none."""
    own(
        '[[rate]]\nname = "answered"\nmodel = "a"\ninput = 1\noutput = 1\n'
        '[[rate]]\nname = "asked"\nmodel = "b"\ninput = 1\noutput = 1\n'
    )
    assert price_of("a", request_model="b") == "answered"
    assert price_of("c", request_model="b") == "asked"
    assert price_of(None, request_model="b") == "asked"


@pytest.mark.parametrize(
    ("named", "provider"),
    [
        ("azure", "azure.ai.openai"),
        ("azure.ai.openai", "azure"),
        ("aws.bedrock", "aws.bedrock"),
        ("google", "gcp.gemini"),
        ("mistral_ai", "mistral_ai"),
        ("Groq", "groq"),
        ("vllm", "vllm"),
    ],
)
def test_a_provider_goes_by_each_of_its_names(own: UseOwn, named: str, provider: str) -> None:
    """Those of the conventions, old and new, and the common ones."""
    own(f'[[rate]]\nname = "r"\nprovider = "{named}"\ninput = 1\noutput = 1\n')
    assert price_of(provider=provider) == "r"
    assert price_of(provider="somebody-else") is None


def test_a_provider_is_who_is_paid(own: UseOwn) -> None:
    """The SDK says openai of every host: an entry for OpenAI holds at a gateway only where it names it."""
    own('[[rate]]\nname = "openai"\nprovider = "openai"\nmultiplier = 0.5\n')
    gateway = {"server_address": "llm.lan", "price_context": {"provider": None}}
    assert (price_of("gpt-4o") or "").startswith("openai;x0.5")
    assert price_of("gpt-4o", **gateway) is None
    own('[[rate]]\nname = "gateway"\nprovider = "openai"\nhost = "llm.lan"\ninput = 1\noutput = 1\n')
    assert price_of("gpt-4o", **gateway) == "gateway"


HOSTS = [
    ("ollama", {"provider": "ollama", "server_address": "localhost"}),
    ("vllm", {"provider": "openai", "server_address": "vllm.lan", "price_context": {"provider": None}}),
    ("litellm", {"provider": "openai", "server_address": "litellm.lan", "price_context": {"provider": None}}),
    ("a foreign span", {"server_address": "litellm.lan", "precedence": Precedence.FOREIGN}),
    ("lm studio", {"provider": "lmstudio", "server_address": "127.0.0.1"}),
]


@pytest.mark.parametrize(("name", "more"), HOSTS)
def test_a_discount_at_the_vendor_is_none_elsewhere(own: UseOwn, name: str, more: dict[str, Any]) -> None:
    """Neither the list nor a factor on it holds for a model's name on a host that is not its vendor's."""
    own('[[rate]]\nmodel = "gpt-4o"\nmultiplier = 0.5\n')
    found = rate(record("gpt-4o", chat(10, 10), **more))
    assert (found.nano_usd, found.status) == (None, CostStatus.UNKNOWN_MODEL)


@pytest.mark.parametrize(
    ("model", "provider", "host", "listed"),
    [
        ("gpt-4o", "azure.ai.openai", "acme.openai.azure.com", "azure/"),
        ("openai/gpt-4o", "openrouter", "openrouter.ai", "openrouter/"),
        ("gemini-2.5-flash", "gcp.vertex_ai", "europe-west1-aiplatform.googleapis.com", "google/"),
    ],
)
def test_the_list_is_the_hosts_own(own: UseOwn, model: str, provider: str, host: str, listed: str) -> None:
    """A factor is one on the rates of who answered, not of who made the model."""
    own('[[rate]]\nname = "deal"\nmultiplier = 0.5\n')
    assert f"x0.5 of {listed}" in (price_of(model, provider=provider, server_address=host) or "")


# -- aliases ---------------------------------------------------------------------------------------------

ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2c3"
ALIASES = f"""
[aliases]
"prod-chat" = {{ provider = "azure", model = "gpt-4o" }}
"{ARN}" = {{ provider = "aws.bedrock", model = "anthropic.claude-sonnet-4-5-20250929-v1:0" }}
"team-*" = {{ provider = "openai", model = "gpt-4o-mini" }}
"team-big" = {{ provider = "openai", model = "gpt-4o" }}
"plain" = "gpt-4o"
"here" = {{ provider = "openai", model = "gpt-4o", host = "gw.lan" }}
"""


@pytest.mark.parametrize(
    ("model", "more", "price_id"),
    [
        ("prod-chat", {"provider": "azure.ai.openai"}, "azure/gpt-4o"),
        (ARN, {"provider": "aws.bedrock"}, "aws/regional.anthropic.claude-sonnet-4-5"),
        ("team-x", {"provider": None}, "openai/gpt-4o-mini"),
        ("team-big", {"provider": None}, "openai/gpt-4o"),
        ("plain", {}, "openai/gpt-4o"),
        ("here", {"provider": None, "server_address": "gw.lan"}, "openai/gpt-4o"),
    ],
)
def test_an_alias_is_priced_as_what_it_stands_for(
    own: UseOwn, model: str, more: dict[str, Any], price_id: str
) -> None:
    """By the list, status priced; the row names the alias beside the entry of the list."""
    own(ALIASES)
    found = rate(record(None, chat(10, 10), request_model=model, **more))
    assert found.status == CostStatus.PRICED
    assert (found.price_id or "").startswith(price_id)
    assert (found.price_id or "").endswith(f";alias={model}")


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("here", {"provider": None, "server_address": "elsewhere.lan"}),
        ("plain", {"provider": "vllm"}),
        ("unknown", {"provider": None}),
    ],
)
def test_an_alias_says_no_more_than_it_says(own: UseOwn, model: str, more: dict[str, Any]) -> None:
    """One for a host holds there only; one without a provider leaves the call's own."""
    own(ALIASES)
    assert rate(record(model, chat(10, 10), **more)).status == CostStatus.UNKNOWN_MODEL


def test_a_deployments_answer_says_more_than_its_name(own: UseOwn) -> None:
    """The model of the response is looked up at the alias's provider before the alias's model."""
    own(ALIASES)
    found = rate(record("gpt-4o-mini", chat(10, 10), provider=None, request_model="prod-chat"))
    assert (found.price_id or "").startswith("azure/gpt-4o-mini")
    other = rate(record("build-7", chat(10, 10), provider=None, request_model="prod-chat"))
    assert (other.price_id or "").startswith("azure/gpt-4o")


def test_entries_hold_for_what_an_alias_stands_for(own: UseOwn) -> None:
    """A discount for a model is one for its deployments."""
    own(ALIASES + '[[rate]]\nname = "deal"\nprovider = "azure"\nmodel = "gpt-4o"\nmultiplier = 0.5\n')
    assert (price_of(None, request_model="prod-chat", provider=None) or "").startswith(
        "deal;x0.5 of azure/gpt-4o"
    )


def test_an_entry_is_looked_for_once(own: UseOwn, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compiled to a card like any rate: however many entries there are, a call takes the same time."""
    own("".join(f'[[rate]]\nmodel = "m{number}"\ninput = 1\noutput = 1\n' for number in range(500)))
    looked: list[object] = []
    real = overrides_card.card_for

    def counted(*args: Any) -> Any:
        looked.append(args)
        return real(*args)

    monkeypatch.setattr("spantally.pricing.rate.card_for", counted)
    for _ in range(5):
        assert rate(record("m77", chat(1, 1))).nano_usd == 2_000
        assert rate(record("nobody's", chat(1, 1), provider="x")).nano_usd is None
    assert len(looked) == 2


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("api.openai.com", "theirs"),
        (None, "theirs"),
        ("gw.example.org", "gateway"),
        ("other.example.org", None),
        ("api.groq.com", "groq"),
    ],
)
def test_a_foreign_name_does_not_make_a_strangers_host_a_payee(
    own: UseOwn, host: str | None, fits: str | None
) -> None:
    """Other instrumentors call each host `openai` that speaks its API; an entry for openai is for openai."""
    own(
        '[[rate]]\nname = "theirs"\nprovider = "openai"\nmodel = "m*"\ninput = 1\noutput = 1\n'
        '[[rate]]\nname = "gateway"\nhost = "gw.example.org"\ninput = 2\noutput = 2\n'
        '[[rate]]\nname = "groq"\nprovider = "groq"\ninput = 3\noutput = 3\n'
    )
    assert price_of("m1", precedence=Precedence.FOREIGN, server_address=host) == fits
