"""Every attribute name once, with the spellings of other dialects.

Names follow the OpenTelemetry GenAI conventions (repository semantic-conventions-genai, state of
November 2026) and, for ``session.id``, ``user.id``, ``error.type``, ``server.*`` and ``service.name``, the
general registry. Where no convention exists the name is ours, under ``spantally.``. The published
``opentelemetry-semantic-conventions`` package marks its ``gen_ai`` names as moved and lacks the newest, so
the table is our own, with named profiles: a rename upstream is one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SCHEMA_URLS: Final[Mapping[str, str]] = {
    "latest": "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
    "1.41": "https://opentelemetry.io/schemas/1.41.0",
}
"""Schema URL of the instrumentation scope, by profile."""

# -- general registry --------------------------------------------------------------------------------
SESSION_ID: Final = "session.id"
SESSION_PREVIOUS_ID: Final = "session.previous_id"
USER_ID: Final = "user.id"
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
SERVICE_NAME: Final = "service.name"
HTTP_STATUS_CODE: Final = "http.response.status_code"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

# -- GenAI -------------------------------------------------------------------------------------------
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
OUTPUT_TYPE: Final = "gen_ai.output.type"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
EMBEDDINGS_DIMENSION_COUNT: Final = "gen_ai.embeddings.dimension.count"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
RESPONSE_STATUS: Final = "gen_ai.response.status"
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE_INPUT_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_TEXT_INPUT_TOKENS: Final = "gen_ai.usage.text.input_tokens"
USAGE_TEXT_OUTPUT_TOKENS: Final = "gen_ai.usage.text.output_tokens"
USAGE_TEXT_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.text.cache_read.input_tokens"
USAGE_AUDIO_INPUT_TOKENS: Final = "gen_ai.usage.audio.input_tokens"
USAGE_AUDIO_OUTPUT_TOKENS: Final = "gen_ai.usage.audio.output_tokens"
USAGE_AUDIO_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.audio.cache_read.input_tokens"
USAGE_IMAGE_INPUT_TOKENS: Final = "gen_ai.usage.image.input_tokens"
USAGE_IMAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.image.output_tokens"
USAGE_IMAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.image.cache_read.input_tokens"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
AGENT_ID: Final = "gen_ai.agent.id"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_DESCRIPTION: Final = "gen_ai.agent.description"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
RETRIEVAL_TOP_K: Final = "gen_ai.retrieval.top_k"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
TOKEN_MODALITY: Final = "gen_ai.token.modality"  # noqa: S105 - an attribute name

OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
OPENAI_RESPONSE_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"
OPENAI_API_TYPE: Final = "openai.api.type"
OPENAI_RATE_LIMIT_PREFIX: Final = "openai.response.rate_limit."
"""Before ``limit_requests``, ``remaining_tokens``, ``reset_requests``, ...: the headers of a response."""

# -- ours --------------------------------------------------------------------------------------------
ENTITY_TYPE: Final = "spantally.entity.type"
ENTITY_ID: Final = "spantally.entity.id"
TAG_PREFIX: Final = "spantally.tag."
CALL_ID: Final = "spantally.call.id"
CALL_PARENT_ID: Final = "spantally.call.parent_id"
CALL_ABANDONED: Final = "spantally.call.abandoned"
AGENT_PATH: Final = "spantally.agent.path"
COST_NANO_USD: Final = "spantally.cost.nano_usd"
COST_USD: Final = "spantally.cost.usd"
COST_STATUS: Final = "spantally.cost.status"
COST_SOURCE: Final = "spantally.cost.source"
USAGE: Final = "spantally.usage"
USAGE_AUDIO_SECONDS: Final = "spantally.usage.audio_seconds"
"""Seconds of audio of a call that is billed by time, as its usage object says."""
ATTEMPT: Final = "spantally.attempt"
"""Number of a failed attempt of a call, from 1."""
ATTEMPT_POSSIBLY_BILLED: Final = "spantally.attempt.possibly_billed"

OPERATIONS: Final = frozenset(
    {
        "chat",
        "create_agent",
        "embeddings",
        "execute_tool",
        "fetch_response",
        "generate_content",
        "invoke_agent",
        "invoke_workflow",
        "plan",
        "retrieval",
        "text_completion",
    }
)
"""Values of ``gen_ai.operation.name`` that we emit; a span of another operation is a plain client span."""

EVENT_OPERATION_DETAILS: Final = "gen_ai.client.inference.operation.details"
EVENT_EXCEPTION: Final = "gen_ai.client.operation.exception"
EVENT_ATTEMPT_FAILED: Final = "spantally.attempt.failed"
"""A failed attempt of a call that the SDK then made again; on the span of the call."""

BAGGAGE_KEYS: Final = frozenset(
    {SESSION_ID, SESSION_PREVIOUS_ID, CONVERSATION_ID, USER_ID, ENTITY_TYPE, ENTITY_ID}
)
"""Baggage keys of ours, beside those that begin with :data:`TAG_PREFIX`."""


def is_own_baggage(key: str) -> bool:
    """True for a baggage key that a session of ours writes."""
    return key in BAGGAGE_KEYS or key.startswith(TAG_PREFIX)


PROFILE_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "latest": {},
    "1.41": {USAGE_CACHE_WRITE_INPUT_TOKENS: "gen_ai.usage.cache_creation.input_tokens"},
}
"""By profile: the spelling to emit instead of the newest."""

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    PROVIDER_NAME: ("gen_ai.system",),
    USAGE_INPUT_TOKENS: ("gen_ai.usage.prompt_tokens",),
    USAGE_OUTPUT_TOKENS: ("gen_ai.usage.completion_tokens",),
    USAGE_CACHE_WRITE_INPUT_TOKENS: (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
    ),
    USAGE_CACHE_READ_INPUT_TOKENS: ("gen_ai.usage.cache_read_input_tokens",),
    USAGE_REASONING_OUTPUT_TOKENS: ("gen_ai.usage.reasoning_tokens",),
}
"""Older spellings, in order of preference, that reading a foreign span falls back to."""
