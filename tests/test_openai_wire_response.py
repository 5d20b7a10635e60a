"""The facts of complete responses, from JSON and from the SDK's objects alike."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from spantally.ground.records import UsageFormat
from spantally.instrumentors.openai.wire import operation as op
from spantally.instrumentors.openai.wire.response import response_facts, usage_attributes
from spantally.instrumentors.openai.wire.stream import StreamFacts
from spantally.pricing.usage import read

USAGE: dict[str, Any] = {
    "prompt_tokens": 20,
    "completion_tokens": 10,
    "total_tokens": 30,
    "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 4},
    "cost": 0.25,
    "prompt_cache_hit_tokens": 7,
}

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "system_fingerprint": "fp_1",
    "choices": [
        {
            "index": 1,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "search", "arguments": "{}"}},
                    {"id": "c2", "type": "custom", "custom": {"name": "grep", "input": "x"}},
                ],
            },
        },
        {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": "x"}},
    ],
    "usage": USAGE,
}

RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-5",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "service_tier": "flex",
    "conversation": {"id": "conv_1"},
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "q"},
        },
        {
            "type": "web_search_call",
            "id": "ws_2",
            "status": "completed",
            "action": {"type": "search", "query": "q"},
        },
        {
            "type": "message",
            "id": "m_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "x", "annotations": []}],
        },
    ],
    "usage": {
        "input_tokens": 5,
        "output_tokens": 6,
        "total_tokens": 11,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2},
        "output_tokens_details": {"reasoning_tokens": 3},
    },
}


@pytest.mark.parametrize("form", ["json", "sdk"])
def test_a_chat_completion_gives_all_facts(form: str) -> None:
    """Choices in order of their index, reasons in the conventions' words, usage to the last extra key."""
    body = CHAT if form == "json" else ChatCompletion.model_validate(CHAT)
    facts = response_facts(op.CHAT, body)
    assert facts.model == "gpt-4o-2024-08-06"
    assert facts.response_id == "chatcmpl-1"
    assert facts.finish_reasons == ("length", "tool_call")
    assert facts.usage == USAGE
    assert facts.service_tier == "default"
    assert facts.system_fingerprint == "fp_1"
    assert facts.tool_calls == (("c1", "search"), ("c2", "grep"))
    assert facts.error_type is None


@pytest.mark.parametrize("form", ["json", "sdk"])
def test_a_response_gives_all_facts(form: str) -> None:
    """One generation has one finish reason, whatever number of items it has."""
    body = RESPONSE if form == "json" else Response.model_validate(RESPONSE)
    facts = response_facts(op.RESPONSES, body)
    assert facts.model == "gpt-5"
    assert facts.finish_reasons == ("stop",)
    assert facts.usage == RESPONSE["usage"]
    assert facts.conversation_id == "conv_1"
    assert facts.status == "completed"
    assert facts.service_tier == "flex"
    assert facts.server_tools == (("web_search_call", 2),)


@pytest.mark.parametrize(
    ("change", "reasons", "error"),
    [
        ({"output": [{"type": "function_call", "call_id": "f", "name": "n"}]}, ("tool_call",), None),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, ("length",), None),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            ("content_filter",),
            None,
        ),
        ({"status": "incomplete", "incomplete_details": None}, ("error",), None),
        ({"status": "failed", "error": {"code": "server_error", "message": "m"}}, ("error",), "server_error"),
        ({"status": "failed", "error": None}, ("error",), "_OTHER"),
        ({"status": "cancelled"}, ("error",), None),
        ({"status": "queued"}, (), None),
        ({"status": "in_progress"}, (), None),
    ],
)
def test_the_reason_of_a_response_follows_its_status(
    change: dict[str, Any], reasons: tuple[str, ...], error: str | None
) -> None:
    """A response that still runs has no reason yet; a failed one has an error type."""
    facts = response_facts(op.RESPONSES, RESPONSE | change)
    assert facts.finish_reasons == reasons
    assert facts.error_type == error


def test_a_missing_finish_reason_is_an_error_and_an_unknown_one_stays() -> None:
    """What was expected and did not come is said so; a provider's own word is not bent."""
    body = {"choices": [{"finish_reason": None}, {"finish_reason": "model_length"}]}
    assert response_facts(op.CHAT, body).finish_reasons == ("error", "model_length")


def test_no_usage_is_none_and_never_zero() -> None:
    """Absent, null and empty usage are unknown."""
    bodies: list[dict[str, Any]] = [{}, {"usage": None}, {"usage": {}}, {"usage": 5}]
    for body in bodies:
        assert response_facts(op.CHAT, body).usage is None


def test_completions_and_embeddings_share_the_reader() -> None:
    """Embeddings have no finish reason, completions no message."""
    text = Completion.model_validate(
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "text": "x", "logprobs": None}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
    )
    assert response_facts(op.COMPLETIONS, text).finish_reasons == ("stop",)
    vector = CreateEmbeddingResponse.model_validate(
        {"object": "list", "model": "e", "data": [], "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    )
    facts = response_facts(op.EMBEDDINGS, vector)
    assert facts.finish_reasons == ()
    assert facts.usage == {"prompt_tokens": 4, "total_tokens": 4}


def test_an_error_in_a_successful_body_is_seen() -> None:
    """Gateways answer 200 with an error object."""
    facts = response_facts(op.CHAT, {"error": {"code": 502, "message": "upstream"}})
    assert facts.error_type == "502"


def test_an_error_within_a_choice_is_seen() -> None:
    """OpenRouter tells so of a host behind it that failed; a reason that is missing is no such error."""
    failed = {"index": 0, "finish_reason": "error", "error": {"code": 502, "message": "upstream"}}
    told = response_facts(op.CHAT, {"choices": [failed], "usage": {"prompt_tokens": 3}})
    assert (told.error_type, told.finish_reasons, told.usage) == ("502", ("error",), {"prompt_tokens": 3})
    two = [{"index": 0, "finish_reason": "stop"}, {**failed, "index": 1}]
    assert response_facts(op.CHAT, {"choices": two}).error_type == "502"
    for reason in (None, "error"):
        assert response_facts(op.CHAT, {"choices": [{"finish_reason": reason}]}).error_type is None
    stream = StreamFacts(op.CHAT)
    stream.observe({"id": "c", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]})
    stream.observe({"id": "c", "choices": [failed]})
    assert stream.facts().error_type == "502"


def test_usage_attributes_of_chat_read_totals_and_details() -> None:
    """Details win over DeepSeek's key for cache hits; unknown keys are passed over."""
    assert usage_attributes(op.CHAT, USAGE) == {
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.audio.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 4,
    }


def test_usage_attributes_of_responses_and_embeddings() -> None:
    """Each format has its own keys; an embedding has no output."""
    assert usage_attributes(op.RESPONSES, RESPONSE["usage"]) == {
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 6,
        "gen_ai.usage.cache_read.input_tokens": 1,
        "gen_ai.usage.cache_write.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 3,
    }
    sent = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
    assert usage_attributes(op.EMBEDDINGS, sent) == {"gen_ai.usage.input_tokens": 3}


def _thinking(total: int, **beside: int) -> dict[str, Any]:
    told = {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": total, **beside}
    return told if beside else {**told, "completion_tokens_details": {"reasoning_tokens": 120}}


@pytest.mark.parametrize(
    ("provider", "usage", "output", "reasoning"),
    [
        ("x_ai", _thinking(161), 129, 120),
        ("x_ai", {**_thinking(161), "completion_tokens": 129}, 129, 120),  # counted within by now
        ("x_ai", _thinking(161, reasoning_tokens=120), 129, 120),
        ("gcp.gemini", _thinking(161), 129, 120),
        ("perplexity", _thinking(41, reasoning_tokens=120), 129, 120),
        ("openai", _thinking(161), 9, 120),  # what cannot be is not repaired
        (None, _thinking(161), 9, 120),
    ],
)
def test_reasoning_counts_within_the_output_whatever_the_host_does(
    provider: str | None, usage: dict[str, Any], output: int, reasoning: int
) -> None:
    """The span's output is what is billed as output, as the ledger's is."""
    told = usage_attributes(op.CHAT, usage, provider)
    assert told["gen_ai.usage.output_tokens"] == output
    assert told["gen_ai.usage.reasoning.output_tokens"] == reasoning
    if provider not in ("openai", None):
        assert read(usage, UsageFormat.OPENAI_CHAT, provider).parts.output_total == output


def test_impossible_counts_are_left_out_of_attributes() -> None:
    """A negative, boolean or textual count is no number of tokens; the raw usage keeps it."""
    sent = {"prompt_tokens": -1, "completion_tokens": True, "prompt_tokens_details": {"cached_tokens": "8"}}
    assert usage_attributes(op.CHAT, sent) == {}
    assert usage_attributes(op.CHAT, None) == {}
    assert usage_attributes(op.CHAT, {"prompt_cache_hit_tokens": 2}) == {
        "gen_ai.usage.cache_read.input_tokens": 2
    }


def test_reading_changes_nothing_and_shares_nothing() -> None:
    """The usage in the facts is a copy, so that nobody's object is held or altered."""
    body = {"usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}}}
    usage = response_facts(op.CHAT, body).usage
    assert usage is not None
    usage["prompt_tokens_details"]["cached_tokens"] = 5
    assert body == {"usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}}}
