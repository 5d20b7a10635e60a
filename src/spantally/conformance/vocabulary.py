"""Words of the conventions: attribute types, allowed values, and names that are no longer used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TYPES: Final = {
    "string": """
        gen_ai.operation.name gen_ai.provider.name gen_ai.conversation.id gen_ai.output.type
        gen_ai.prompt.name gen_ai.prompt.version gen_ai.data_source.id
        gen_ai.request.model gen_ai.request.previous_response.id gen_ai.request.reasoning.level
        gen_ai.request.stream_cursor gen_ai.response.id gen_ai.response.model gen_ai.response.status
        gen_ai.agent.id gen_ai.agent.name gen_ai.agent.description gen_ai.agent.version
        gen_ai.tool.name gen_ai.tool.type gen_ai.tool.description gen_ai.tool.call.id
        gen_ai.workflow.name gen_ai.retrieval.query.text
        gen_ai.memory.store.id gen_ai.memory.record.id gen_ai.memory.query.text
        gen_ai.evaluation.name gen_ai.evaluation.score.label gen_ai.evaluation.explanation
        gen_ai.token.type gen_ai.token.modality
        error.type server.address
        openai.api.type openai.request.service_tier openai.response.service_tier
        openai.response.system_fingerprint
        mcp.method.name
        """,
    "int": """
        gen_ai.request.choice.count gen_ai.request.max_tokens gen_ai.request.seed gen_ai.request.top_k
        gen_ai.retrieval.top_k gen_ai.embeddings.dimension.count gen_ai.memory.record.count
        gen_ai.usage.input_tokens gen_ai.usage.output_tokens gen_ai.usage.reasoning.output_tokens
        gen_ai.usage.cache_read.input_tokens gen_ai.usage.cache_write.input_tokens
        gen_ai.usage.text.input_tokens gen_ai.usage.text.output_tokens
        gen_ai.usage.text.cache_read.input_tokens
        gen_ai.usage.image.input_tokens gen_ai.usage.image.output_tokens
        gen_ai.usage.image.cache_read.input_tokens
        gen_ai.usage.audio.input_tokens gen_ai.usage.audio.output_tokens
        gen_ai.usage.audio.cache_read.input_tokens
        server.port
        """,
    "double": """
        gen_ai.request.frequency_penalty gen_ai.request.presence_penalty gen_ai.request.temperature
        gen_ai.request.top_p gen_ai.response.time_to_first_chunk gen_ai.evaluation.score.value
        """,
    "boolean": "gen_ai.request.stream gen_ai.conversation.compacted",
    "string[]": """
        gen_ai.request.stop_sequences gen_ai.request.encoding_formats gen_ai.response.finish_reasons
        """,
    "any": """
        gen_ai.input.messages gen_ai.output.messages gen_ai.system_instructions gen_ai.tool.definitions
        gen_ai.tool.call.arguments gen_ai.tool.call.result gen_ai.retrieval.documents gen_ai.memory.records
        """,
}

ATTRIBUTE_TYPES: Final[Mapping[str, str]] = {
    name: kind for kind, names in _TYPES.items() for name in names.split()
}
"""By attribute: its type in the newest conventions."""

VARIABLE_PREFIX: Final = "gen_ai.prompt.variable."
"""What the names of a prompt's variables begin with; their values are strings."""

NOT_IN_1_41: Final = _words(
    """
    gen_ai.conversation.compacted gen_ai.prompt.version gen_ai.request.previous_response.id
    gen_ai.request.reasoning.level gen_ai.request.stream_cursor gen_ai.response.status gen_ai.retrieval.top_k
    gen_ai.memory.store.id gen_ai.memory.record.id gen_ai.memory.query.text gen_ai.memory.record.count
    gen_ai.memory.records gen_ai.token.modality gen_ai.usage.cache_write.input_tokens
    gen_ai.usage.text.input_tokens gen_ai.usage.text.output_tokens gen_ai.usage.text.cache_read.input_tokens
    gen_ai.usage.image.input_tokens gen_ai.usage.image.output_tokens
    gen_ai.usage.image.cache_read.input_tokens
    gen_ai.usage.audio.input_tokens gen_ai.usage.audio.output_tokens
    gen_ai.usage.audio.cache_read.input_tokens
    """
)
"""Attributes that came after version 1.41.0."""

CACHE_CREATION: Final = "gen_ai.usage.cache_creation.input_tokens"
CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"

RENAMED: Final[Mapping[str, str | None]] = {
    "gen_ai.system": "gen_ai.provider.name",
    "gen_ai.usage.prompt_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.completion_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.usage.total_tokens": None,
    "gen_ai.usage.reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens": CACHE_WRITE,
    "gen_ai.prompt": "gen_ai.input.messages",
    "gen_ai.completion": "gen_ai.output.messages",
    "gen_ai.openai.request.seed": "gen_ai.request.seed",
    "gen_ai.openai.request.response_format": "gen_ai.output.type",
    "gen_ai.openai.request.service_tier": "openai.request.service_tier",
    "gen_ai.openai.response.service_tier": "openai.response.service_tier",
    "gen_ai.openai.response.system_fingerprint": "openai.response.system_fingerprint",
    "gen_ai.response.finish_reason": "gen_ai.response.finish_reasons",
    "gen_ai.request.is_stream": "gen_ai.request.stream",
}
"""Names of older conventions and drafts, and what stands in their place (None: nothing)."""

INDEXED: Final[Mapping[str, str]] = {
    "gen_ai.prompt.": "gen_ai.input.messages",
    "gen_ai.completion.": "gen_ai.output.messages",
}
"""Older names that go on with a number, one attribute a message."""

OPERATIONS_1_41: Final = _words(
    """
    chat generate_content text_completion embeddings retrieval create_agent invoke_agent execute_tool
    invoke_workflow
    """
)
OPERATIONS: Final = OPERATIONS_1_41 | _words(
    """
    fetch_response plan search_memory create_memory update_memory upsert_memory delete_memory
    create_memory_store delete_memory_store
    """
)

PROVIDERS_1_41: Final = _words(
    """
    anthropic aws.bedrock azure.ai.inference azure.ai.openai cohere deepseek gcp.gemini gcp.gen_ai
    gcp.vertex_ai groq ibm.watsonx.ai mistral_ai openai perplexity x_ai
    """
)
PROVIDERS: Final = PROVIDERS_1_41 | {"moonshot_ai"}

RENAMED_PROVIDERS: Final[Mapping[str, str]] = {
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Spellings that are met instead of the conventions' own."""

OUTPUT_TYPES: Final = frozenset({"text", "json", "image", "speech"})

FINISH_REASONS_1_41: Final = frozenset({"stop", "length", "content_filter", "tool_call", "error"})
FINISH_REASONS: Final = FINISH_REASONS_1_41 | {"compaction"}

RESPELLED_REASONS: Final[Mapping[str, str]] = {
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "tool_use": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "safety": "content_filter",
    "refusal": "content_filter",
}
"""Reasons in a provider's words that the conventions have a word for."""

ROLES: Final = frozenset({"system", "user", "assistant", "tool"})

EVENT_DETAILS: Final = "gen_ai.client.inference.operation.details"
EVENT_EXCEPTION: Final = "gen_ai.client.operation.exception"
EVENT_EVALUATION: Final = "gen_ai.evaluation.result"
EVENT_SEVERITIES: Final[Mapping[str, tuple[int, str]]] = {
    EVENT_DETAILS: (5, "DEBUG"),
    EVENT_EXCEPTION: (13, "WARN"),
}
"""By event: the severity number that its log record should have."""
EVENTS: Final = frozenset({EVENT_DETAILS, EVENT_EXCEPTION, EVENT_EVALUATION})

OLD_EVENTS: Final[Mapping[str, str]] = dict.fromkeys(
    _words(
        """
    gen_ai.content.prompt gen_ai.content.completion gen_ai.system.message gen_ai.user.message
    gen_ai.assistant.message gen_ai.tool.message gen_ai.choice
    """
    ),
    EVENT_DETAILS,
)
"""Events of older conventions, and the one that stands in their place."""
