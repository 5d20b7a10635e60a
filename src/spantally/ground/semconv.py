"""Every attribute name once, with the spellings of other dialects.

Names follow the OpenTelemetry GenAI conventions (repository semantic-conventions-genai, state of
November 2026) and, for ``session.id``, ``user.id``, ``error.type``, ``server.*`` and ``service.name``, the
general registry. Where no convention exists the name is ours, under ``spantally.``. The published
``opentelemetry-semantic-conventions`` package marks its ``gen_ai`` names as moved and lacks the newest, so
the table is our own, with named profiles: a rename upstream is one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
REQUEST_STREAM_CURSOR: Final = "gen_ai.request.stream_cursor"
"""The last event of a stream that was seen already, where one is resumed."""
REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
EMBEDDINGS_DIMENSION_COUNT: Final = "gen_ai.embeddings.dimension.count"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
RESPONSE_STATUS: Final = "gen_ai.response.status"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
CONVERSATION_COMPACTED: Final = "gen_ai.conversation.compacted"
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
RETRIEVAL_QUERY_TEXT: Final = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE_VALUE: Final = "gen_ai.evaluation.score.value"
EVALUATION_SCORE_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"
TOKEN_MODALITY: Final = "gen_ai.token.modality"  # noqa: S105 - an attribute name
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - an attribute name

OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
OPENAI_RESPONSE_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"
OPENAI_API_TYPE: Final = "openai.api.type"
OPENAI_RATE_LIMIT_PREFIX: Final = "openai.response.rate_limit."
"""Before ``limit_requests``, ``remaining_tokens``, ``reset_requests``, ...: the headers of a response."""

ANTHROPIC_REQUEST_SERVICE_TIER: Final = "anthropic.request.service_tier"
ANTHROPIC_RESPONSE_SERVICE_TIER: Final = "anthropic.response.service_tier"
ANTHROPIC_RATE_LIMIT_PREFIX: Final = "anthropic.response.rate_limit."
"""Before ``requests_limit``, ``input_tokens_remaining``, ``tokens_reset``, ...: the headers of a response."""

# -- ours --------------------------------------------------------------------------------------------
ENTITY_TYPE: Final = "spantally.entity.type"
ENTITY_ID: Final = "spantally.entity.id"
TAG_PREFIX: Final = "spantally.tag."
CALL_ID: Final = "spantally.call.id"
CALL_PARENT_ID: Final = "spantally.call.parent_id"
CALL_ABANDONED: Final = "spantally.call.abandoned"
CALL_ATTEMPTS: Final = "spantally.call.attempts"
"""Requests sent for one call, where they were several."""
CALL_POSSIBLY_BILLED: Final = "spantally.call.possibly_billed"
"""Of a call that was sent and ended without usage, or one of whose attempts did."""
AGENT_PATH: Final = "spantally.agent.path"
COST_NANO_USD: Final = "spantally.cost.nano_usd"
COST_USD: Final = "spantally.cost.usd"
COST_STATUS: Final = "spantally.cost.status"
COST_SOURCE: Final = "spantally.cost.source"
COST_BASIS: Final = "spantally.cost.basis"
"""Usage as it came and what chose the rate, as JSON, where other attributes cannot say it."""
USAGE: Final = "spantally.usage"
USAGE_AUDIO_SECONDS: Final = "spantally.usage.audio_seconds"
"""Seconds of audio of a call that is billed by time, as its usage object says."""
USAGE_UNKNOWN_CALLS: Final = "spantally.usage.unknown_calls"
"""Model calls beneath an agent that reported no usage: they are missing in its token counts."""
OWN_RESPONSE_STATUS: Final = "spantally.response.status"
"""What carries ``gen_ai.response.status`` where the profile has no such attribute."""
ATTEMPT: Final = "spantally.attempt"
"""Number of a failed attempt of a call, from 1."""
ATTEMPT_POSSIBLY_BILLED: Final = "spantally.attempt.possibly_billed"
DECISION_BY: Final = "spantally.decision.by"
DECISION_CHOICE: Final = "spantally.decision.choice"
DECISION_REASONING: Final = "spantally.decision.reasoning"
DECISION_ALTERNATIVES: Final = "spantally.decision.alternatives"
DECISION_ALTERNATIVE_COUNT: Final = "spantally.decision.alternative_count"
DECISION_CONFIDENCE: Final = "spantally.decision.confidence"
REDACTION_TYPE: Final = "spantally.redaction.type"
MESSAGE_ID: Final = "spantally.message.id"
MESSAGE_ROLE: Final = "spantally.message.role"
MESSAGE_CONTENT: Final = "spantally.message.content"
MESSAGE_TOKENS: Final = "spantally.message.tokens"
"""What the program says that the message has: beside the tally, never part of it."""
MESSAGE_MODEL: Final = "spantally.message.model"
MESSAGE_LATENCY: Final = "spantally.message.latency_ms"
MESSAGE_STATUS: Final = "spantally.message.status"
MESSAGE_METADATA: Final = "spantally.message.metadata"
"""JSON text."""
TOOL_REASONING: Final = "spantally.tool.reasoning"
"""Why a recorded tool was called."""
ID_OF_EVENT: Final = "spantally.event.id"
"""Of an event, so that it is one however often it is delivered."""
RECORD: Final = "spantally.record"
"""On what is exported from a ledger: the row or session, so that reading it gives the same again."""
RECORD_CONTENT: Final = "spantally.record.content"
"""Beside it: content of the row for which there is no attribute."""

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

METRIC_INFERENCE_DURATION: Final = "gen_ai.client.inference.duration"
METRIC_EMBEDDINGS_DURATION: Final = "gen_ai.client.embeddings.duration"
METRIC_OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
METRIC_TOOL_DURATION: Final = "gen_ai.execute_tool.duration"
METRIC_AGENT_DURATION: Final = "gen_ai.invoke_agent.duration"
METRIC_AGENT_INFERENCE_CALLS: Final = "gen_ai.invoke_agent.inference_calls"
METRIC_AGENT_TOOL_CALLS: Final = "gen_ai.invoke_agent.tool_calls"
METRIC_WORKFLOW_DURATION: Final = "gen_ai.invoke_workflow.duration"
METRIC_FIRST_CHUNK: Final = "gen_ai.client.inference.time_to_first_chunk"
METRIC_INPUT_TOKENS: Final = "gen_ai.client.inference.usage.input_tokens"
METRIC_OUTPUT_TOKENS: Final = "gen_ai.client.inference.usage.output_tokens"
METRIC_CACHE_READ_TOKENS: Final = "gen_ai.client.inference.usage.cache_read.input_tokens"
METRIC_CACHE_WRITE_TOKENS: Final = "gen_ai.client.inference.usage.cache_write.input_tokens"
METRIC_REASONING_TOKENS: Final = "gen_ai.client.inference.usage.reasoning.output_tokens"
METRIC_CALL_INPUT_TOKENS: Final = "gen_ai.client.inference.operation.input_tokens"
METRIC_CALL_OUTPUT_TOKENS: Final = "gen_ai.client.inference.operation.output_tokens"
METRIC_EMBEDDINGS_INPUT_TOKENS: Final = "gen_ai.client.embeddings.operation.input_tokens"
METRIC_TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - the name of a metric
METRIC_COST: Final = "spantally.cost"
METRIC_UNPRICED_CALLS: Final = "spantally.cost.unpriced_calls"
METRIC_REDACTED: Final = "spantally.redaction.redacted"
METRIC_REDACTION_FAILURES: Final = "spantally.redaction.failures"

PROFILE_METRICS: Final[Mapping[str, Mapping[str, str | None]]] = {
    "latest": {METRIC_TOKEN_USAGE: None},
    "1.41": {
        METRIC_INFERENCE_DURATION: METRIC_OPERATION_DURATION,
        METRIC_EMBEDDINGS_DURATION: METRIC_OPERATION_DURATION,
        METRIC_FIRST_CHUNK: "gen_ai.client.operation.time_to_first_chunk",
        METRIC_TOOL_DURATION: None,
        METRIC_AGENT_DURATION: None,
        METRIC_AGENT_INFERENCE_CALLS: None,
        METRIC_AGENT_TOOL_CALLS: None,
        METRIC_WORKFLOW_DURATION: None,
        METRIC_INPUT_TOKENS: None,
        METRIC_OUTPUT_TOKENS: None,
        METRIC_CACHE_READ_TOKENS: None,
        METRIC_CACHE_WRITE_TOKENS: None,
        METRIC_REASONING_TOKENS: None,
        METRIC_CALL_INPUT_TOKENS: None,
        METRIC_CALL_OUTPUT_TOKENS: None,
        METRIC_EMBEDDINGS_INPUT_TOKENS: None,
    },
}
"""By profile: the metric's name there instead of the newest; None for one that it does not have."""

EVENT_OPERATION_DETAILS: Final = "gen_ai.client.inference.operation.details"
EVENT_EXCEPTION: Final = "gen_ai.client.operation.exception"
EVENT_EVALUATION_RESULT: Final = "gen_ai.evaluation.result"
EVENT_DECISION: Final = "spantally.decision"
EVENT_ATTEMPT_FAILED: Final = "spantally.attempt.failed"
EVENT_MESSAGE: Final = "spantally.message"

# Events of the ledger alone, or of what is exported from one.
EVENT_SESSION: Final = "spantally.session"
EVENT_BUDGET: Final = "spantally.budget"
BUDGET_NAME: Final = "spantally.budget.name"
BUDGET_OUTCOME: Final = "spantally.budget.outcome"
BUDGET_SHARE: Final = "spantally.budget.share"
BUDGET_UNIT: Final = "spantally.budget.unit"
BUDGET_LIMIT: Final = "spantally.budget.limit"
BUDGET_SPENT: Final = "spantally.budget.spent"
BUDGET_RESERVED: Final = "spantally.budget.reserved"
BUDGET_UNPRICED: Final = "spantally.budget.unpriced_calls"
EVENT_LOOP: Final = "spantally.loop"
LOOP_TIMES: Final = "spantally.loop.times"
LOOP_WINDOW: Final = "spantally.loop.window"
LOOP_COST: Final = "spantally.loop.cost_nano_usd"
"""A failed attempt of a call that the SDK then made again; on the span of the call."""

# Events that nobody stores: what rows of a ledger say when they are read as events.
EVENT_AGENT_START: Final = "spantally.agent.start"
EVENT_AGENT_FINISH: Final = "spantally.agent.finish"
EVENT_WORKFLOW_START: Final = "spantally.workflow.start"
EVENT_WORKFLOW_FINISH: Final = "spantally.workflow.finish"
EVENT_LOOP_STEP: Final = "spantally.loop.step"
EVENT_CALL_START: Final = "spantally.call.start"
EVENT_CALL_FINISH: Final = "spantally.call.finish"
EVENT_TOOL_CALL: Final = "spantally.tool.call"
EVENT_TOOL_RESULT: Final = "spantally.tool.result"
EVENT_TOOL_ERROR: Final = "spantally.tool.error"
ROW_EVENTS: Final = frozenset(
    {
        EVENT_AGENT_START,
        EVENT_AGENT_FINISH,
        EVENT_WORKFLOW_START,
        EVENT_WORKFLOW_FINISH,
        EVENT_LOOP_STEP,
        EVENT_CALL_START,
        EVENT_CALL_FINISH,
        EVENT_TOOL_CALL,
        EVENT_TOOL_RESULT,
        EVENT_TOOL_ERROR,
    }
)
LOOP_TURN: Final = "spantally.loop.turn"
"""Which of an agent's model calls a step of its loop is, from 1."""
ROW_STATUS: Final = "spantally.call.status"
ROW_DURATION: Final = "spantally.call.duration_ms"

BAGGAGE_KEYS: Final = frozenset(
    {SESSION_ID, SESSION_PREVIOUS_ID, CONVERSATION_ID, USER_ID, ENTITY_TYPE, ENTITY_ID}
)
"""Baggage keys of ours, beside those that begin with :data:`TAG_PREFIX`."""


def is_own_baggage(key: str) -> bool:
    """True for a baggage key that a session of ours writes."""
    return key in BAGGAGE_KEYS or key.startswith(TAG_PREFIX)


PROFILE_NAMES: Final[Mapping[str, Mapping[str, str | None]]] = {
    "latest": {},
    "1.41": {
        USAGE_CACHE_WRITE_INPUT_TOKENS: "gen_ai.usage.cache_creation.input_tokens",
        RETRIEVAL_TOP_K: REQUEST_TOP_K,
        RESPONSE_STATUS: OWN_RESPONSE_STATUS,
        CONVERSATION_COMPACTED: None,
        PROMPT_VERSION: None,
        REQUEST_PREVIOUS_RESPONSE_ID: None,
        REQUEST_REASONING_LEVEL: None,
        REQUEST_STREAM_CURSOR: None,
        USAGE_TEXT_INPUT_TOKENS: None,
        USAGE_TEXT_OUTPUT_TOKENS: None,
        USAGE_TEXT_CACHE_READ_INPUT_TOKENS: None,
        USAGE_AUDIO_INPUT_TOKENS: None,
        USAGE_AUDIO_OUTPUT_TOKENS: None,
        USAGE_AUDIO_CACHE_READ_INPUT_TOKENS: None,
        USAGE_IMAGE_INPUT_TOKENS: None,
        USAGE_IMAGE_OUTPUT_TOKENS: None,
        USAGE_IMAGE_CACHE_READ_INPUT_TOKENS: None,
    },
}
"""By profile: the spelling to emit instead of the newest; None for what came later and is left out."""

LATER_OPERATIONS: Final = frozenset({"fetch_response", "plan"})
"""Operations that only the newest profile has; their spans are plain ones in all others."""

_ONCE_DOUBLES: Final = frozenset({REQUEST_TOP_K})
"""Attributes that are an int in the newest profile and a double in all others."""


def is_operation(operation: str, names: Mapping[str, str | None]) -> bool:
    """True for an operation that a profile knows.

    Args:
        operation: value of ``gen_ai.operation.name``.
        names: of the profile, from :data:`PROFILE_NAMES`.
    """
    return operation in OPERATIONS and not (names and operation in LATER_OPERATIONS)


def respelled(names: Mapping[str, str | None], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes in the spelling of a profile that is not the newest.

    Args:
        names: of the profile, from :data:`PROFILE_NAMES`.
        attributes: in the newest spelling.
    """
    found: dict[str, Any] = {}
    for key, value in attributes.items():
        name = names.get(key, key)
        if name is not None:
            found[name] = float(value) if name in _ONCE_DOUBLES and type(value) is int else value
    return found


ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    PROVIDER_NAME: ("gen_ai.system",),
    OPENAI_REQUEST_SERVICE_TIER: ("gen_ai.openai.request.service_tier",),
    OPENAI_RESPONSE_SERVICE_TIER: ("gen_ai.openai.response.service_tier",),
    USAGE_INPUT_TOKENS: ("gen_ai.usage.prompt_tokens",),
    USAGE_OUTPUT_TOKENS: ("gen_ai.usage.completion_tokens",),
    USAGE_CACHE_WRITE_INPUT_TOKENS: (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
    ),
    USAGE_CACHE_READ_INPUT_TOKENS: ("gen_ai.usage.cache_read_input_tokens",),
    USAGE_REASONING_OUTPUT_TOKENS: (
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
    ),
}
"""Older spellings, in order of preference, that reading a foreign span falls back to."""
