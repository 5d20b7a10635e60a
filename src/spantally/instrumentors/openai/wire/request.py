"""What a request says: span attributes, model, conversation, and the results of tools it hands back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from spantally.calls.tool_results import ToolResult
from spantally.ground import semconv
from spantally.ground.records import Kind
from spantally.instrumentors.openai.wire.operation import Operation
from spantally.instrumentors.stainless.wire.fields import (
    AttributeValue,
    field,
    integer,
    items,
    number,
    text,
    texts,
)

_Read: TypeAlias = Callable[[Any], AttributeValue | None]


def _true(value: Any) -> bool | None:
    return True if value is True else None


def _choices(value: Any) -> int | None:
    count = integer(value)
    return None if count == 1 else count


def _tier(value: Any) -> str | None:
    tier = text(value)
    return None if tier == "auto" else tier


def _format(value: Any) -> str | None:
    """``gen_ai.output.type`` of a ``response_format`` or ``text.format``."""
    kind = text(field(value, "type"))
    if kind is None:
        return None
    return "json" if kind.startswith("json") else "text" if kind == "text" else None


_MOST_SEARCHED: Final = 64


def _compacted(value: Any) -> bool | None:
    """Whether a conversation begins with what a compaction left of it; only a plain list is looked at."""
    if type(value) is list:
        for item in value[:_MOST_SEARCHED]:
            if type(item) is dict and text(item.get("type")) == "compaction":
                return True
    return None


def _heard(value: Any) -> str | None:
    """``gen_ai.output.type`` of the format of a transcript."""
    form = text(value)
    return None if form is None else "json" if "json" in form else "text"


def _modalities(value: Any) -> str | None:
    return "speech" if "audio" in (texts(value) or ()) else None


def _constant(said: str) -> _Read:
    """What the mere presence of a key says."""
    return lambda _: said


def _conversation(value: Any) -> str | None:
    return text(value) or text(field(value, "id"))


_SAMPLING: Final[dict[str, tuple[str, _Read]]] = {
    "model": (semconv.REQUEST_MODEL, text),
    "stream": (semconv.REQUEST_STREAM, _true),
    "temperature": (semconv.REQUEST_TEMPERATURE, number),
    "top_p": (semconv.REQUEST_TOP_P, number),
    "top_k": (semconv.REQUEST_TOP_K, integer),
    "frequency_penalty": (semconv.REQUEST_FREQUENCY_PENALTY, number),
    "presence_penalty": (semconv.REQUEST_PRESENCE_PENALTY, number),
    "seed": (semconv.REQUEST_SEED, integer),
    "stop": (semconv.REQUEST_STOP_SEQUENCES, texts),
    "n": (semconv.REQUEST_CHOICE_COUNT, _choices),
    "service_tier": (semconv.OPENAI_REQUEST_SERVICE_TIER, _tier),
    "max_tokens": (semconv.REQUEST_MAX_TOKENS, integer),
    "reasoning_effort": (semconv.REQUEST_REASONING_LEVEL, text),
    "reasoning": (semconv.REQUEST_REASONING_LEVEL, lambda value: text(field(value, "effort"))),
}

RULES: Final[Mapping[str, Mapping[str, tuple[str, _Read]]]] = {
    "chat_completions": {
        **_SAMPLING,
        "response_format": (semconv.OUTPUT_TYPE, _format),
        "modalities": (semconv.OUTPUT_TYPE, _modalities),
        "max_completion_tokens": (semconv.REQUEST_MAX_TOKENS, integer),
    },
    "responses": {
        **_SAMPLING,
        "text": (semconv.OUTPUT_TYPE, lambda value: _format(field(value, "format"))),
        "max_output_tokens": (semconv.REQUEST_MAX_TOKENS, integer),
        "previous_response_id": (semconv.REQUEST_PREVIOUS_RESPONSE_ID, text),
        "conversation": (semconv.CONVERSATION_ID, _conversation),
        "input": (semconv.CONVERSATION_COMPACTED, _compacted),
    },
    "realtime": {
        "model": (semconv.REQUEST_MODEL, text),
        "stream": (semconv.REQUEST_STREAM, _true),
        "temperature": (semconv.REQUEST_TEMPERATURE, number),
        "max_output_tokens": (semconv.REQUEST_MAX_TOKENS, integer),
        "output_modalities": (semconv.OUTPUT_TYPE, lambda value: _modalities(value) or "text"),
        "reasoning": (semconv.REQUEST_REASONING_LEVEL, lambda value: text(field(value, "effort"))),
    },
    "live": {"model": (semconv.REQUEST_MODEL, text)},
    "compact": {
        "model": (semconv.REQUEST_MODEL, text),
        "service_tier": (semconv.OPENAI_REQUEST_SERVICE_TIER, _tier),
        "previous_response_id": (semconv.REQUEST_PREVIOUS_RESPONSE_ID, text),
    },
    "completions": _SAMPLING,
    "images": {
        "model": (semconv.REQUEST_MODEL, text),
        "stream": (semconv.REQUEST_STREAM, _true),
        "n": (semconv.REQUEST_CHOICE_COUNT, _choices),
        "prompt": (semconv.OUTPUT_TYPE, _constant("image")),
        "image": (semconv.OUTPUT_TYPE, _constant("image")),
    },
    "speech": {
        "model": (semconv.REQUEST_MODEL, text),
        "input": (semconv.OUTPUT_TYPE, _constant("speech")),
    },
    "transcriptions": {
        "model": (semconv.REQUEST_MODEL, text),
        "stream": (semconv.REQUEST_STREAM, _true),
        "temperature": (semconv.REQUEST_TEMPERATURE, number),
        "response_format": (semconv.OUTPUT_TYPE, _heard),
    },
    "videos": {"model": (semconv.REQUEST_MODEL, text)},
    "decisions": {
        "model": (semconv.REQUEST_MODEL, text),
        "service_tier": (semconv.OPENAI_REQUEST_SERVICE_TIER, _tier),
    },
    "model": {"model": (semconv.REQUEST_MODEL, text)},
    "unknown": _SAMPLING,
    "retrieval": {"max_num_results": (semconv.RETRIEVAL_TOP_K, integer)},
    "assistants": {
        "model": (semconv.REQUEST_MODEL, text),
        "name": (semconv.AGENT_NAME, text),
        "description": (semconv.AGENT_DESCRIPTION, text),
        "temperature": (semconv.REQUEST_TEMPERATURE, number),
        "top_p": (semconv.REQUEST_TOP_P, number),
    },
    "runs": {
        "model": (semconv.REQUEST_MODEL, text),
        "assistant_id": (semconv.AGENT_ID, text),
        "stream": (semconv.REQUEST_STREAM, _true),
        "temperature": (semconv.REQUEST_TEMPERATURE, number),
        "top_p": (semconv.REQUEST_TOP_P, number),
        "max_completion_tokens": (semconv.REQUEST_MAX_TOKENS, integer),
        "reasoning_effort": (semconv.REQUEST_REASONING_LEVEL, text),
    },
    "embeddings": {
        "model": (semconv.REQUEST_MODEL, text),
        "encoding_format": (semconv.REQUEST_ENCODING_FORMATS, texts),
        "dimensions": (semconv.EMBEDDINGS_DIMENSION_COUNT, integer),
    },
}
"""By API: key of the body, attribute, and how its value is read."""

_YIELDING: Final = frozenset({"max_tokens", "response_format", "reasoning_effort"})
"""Keys that give way where a newer or stronger key of the body says the same thing."""

_SCALARS: Final = frozenset(
    {
        "model",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "n",
        "service_tier",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "max_num_results",
        "reasoning_effort",
        "encoding_format",
        "dimensions",
        "assistant_id",
    }
)
"""Keys whose own short values may stand in a shape: settings of a program, which repeat, never content."""

VARYING: Final = frozenset({"previous_response_id", "conversation"})
"""Keys whose values are other ones at each call: a body without one has no :func:`varying_attributes`."""

_LONGEST_SCALAR: Final = 64

_API_TYPES: Final[Mapping[str, str]] = {
    "chat_completions": "chat_completions",
    "responses": "responses",
    "compact": "responses.compact",
    "completions": "completions",
    "images": "images",
    "speech": "audio.speech",
    "transcriptions": "audio.transcriptions",
    "videos": "videos",
    "decisions": "decisions",
    "live": "live",
}
"""``openai.api.type``: the conventions list the first two, and let others have values of their own."""


def varying_attributes(op: Operation, body: Any) -> dict[str, AttributeValue]:
    """Those of :func:`request_attributes` that are other ones at each call."""
    found: dict[str, AttributeValue] = {}
    rules = RULES.get(op.api, {})
    for key in VARYING:
        rule = rules.get(key)
        if rule is not None:
            value = rule[1](field(body, key))
            if value is not None:
                found[rule[0]] = value
    return found


def request_attributes(op: Operation, body: Any, *, varying: bool = True) -> dict[str, AttributeValue]:
    """The span attributes of a request, each in the type of the conventions; odd values are left out.

    Args:
        op: what :func:`classify` said.
        body: the request's body, a mapping or an object with fields.
        varying: False leaves out those of :func:`varying_attributes`.
    """
    rules = RULES.get(op.api, {})
    found: dict[str, AttributeValue] = {}
    api_type = _API_TYPES.get(op.api)
    if api_type is not None and op.name in semconv.OPERATIONS:
        found[semconv.OPENAI_API_TYPE] = api_type
    for key, sent in _sent(body, rules):
        if sent is None or (not varying and key in VARYING):
            continue
        rule = rules.get(key)
        if rule is None:
            continue
        value = rule[1](sent)
        if value is None or (key in _YIELDING and rule[0] in found):
            continue
        found[rule[0]] = value
    if op.api == "responses":
        _add_template(found, field(body, "prompt"))
    return found


def shape_of(op: Operation, body: Any) -> tuple[Any, ...] | None:
    """What requests have in common that give the same :func:`request_attributes`, but for those that vary.

    None where that is not quickly told.

    Args:
        op: what :func:`classify` said.
        body: the request's body.
    """
    if type(body) is not dict:
        return None
    rules = RULES.get(op.api)
    if rules is None:
        return None
    shape: list[Any] = [op.name, op.api, "tools" in body or "functions" in body]
    for key, sent in body.copy().items():  # of any keys: what is no text has no rule
        rule = rules.get(key)
        if rule is None or sent is None:
            if key == "prompt" and op.api == "responses":
                shape += (key, *(text(field(sent, name)) for name, _ in _TEMPLATE))
            continue
        kind = type(sent)
        if key in VARYING:
            continue
        if kind is bool:
            shape += (key, "true" if sent else "false", bool)  # True equals 1, and says something else
        elif key in _SCALARS and (
            kind is int or kind is float or (kind is str and len(sent) <= _LONGEST_SCALAR)
        ):
            shape += (key, sent)
        else:
            said = rule[1](sent)  # a text or a tuple of texts
            if type(said) is str and len(said) > _LONGEST_SCALAR:
                return None
            shape += (key, said, tuple)
    return tuple(shape)


_SETTINGS: Final = frozenset({str, bool, int, float, type(None)})

_Asked: TypeAlias = tuple[tuple[str, ...], tuple[tuple[str, _Read], ...]]
_asked: Final[dict[tuple[Any, ...], _Asked | None]] = {}
"""By operation and keys of the body: settings, and what else is said of them; None where that is not all."""
_MOST_ASKED: Final = 256
_LONGEST_KEYS: Final = 1_024


def quick_shape(op: Operation, body: Any) -> tuple[Any, ...] | None:
    """A shape that takes fewer steps: requests that share it share their :func:`shape_of`, too.

    A program's requests have the same keys each time, so which of them count is found once. None where not
    all that counts is a plain setting. It may hold long texts: see :func:`may_be_kept`.

    Args:
        op: what :func:`classify` said.
        body: the request's body.
    """
    if type(body) is not dict:
        return None
    keys = (op.name, op.api, *body)
    asked = _asked.get(keys)
    if asked is None:
        if keys in _asked:
            return None
        asked = _new_asked(op, keys)
        if asked is None:
            return None
    values = [*map(body.__getitem__, asked[0])]
    kinds = [*map(type, values)]  # True equals 1, and says something else
    if not _SETTINGS.issuperset(kinds):
        return None
    for name, read in asked[1]:
        sent = body[name]
        values.append(None if sent is None else read(sent))
    return keys, *values, *kinds


def may_be_kept(shape: tuple[Any, ...]) -> bool:
    """False for a :func:`quick_shape` with a text that is long for a setting.

    Args:
        shape: what it gave.
    """
    return all(type(value) is not str or len(value) <= _LONGEST_SCALAR for value in shape)


def _new_asked(op: Operation, keys: tuple[Any, ...]) -> _Asked | None:
    """What counts of bodies with keys that were not met before, kept under these."""
    rules = RULES.get(op.api)
    sent = [key for key in keys[2:] if rules is not None and key in rules and key not in VARYING]
    asked: _Asked | None = None
    if rules is not None and not (op.api == "responses" and "prompt" in keys[2:]):
        settings = tuple(key for key in sent if key in _SCALARS)
        asked = settings, tuple((key, rules[key][1]) for key in sent if key not in _SCALARS)
    if all(type(key) is str for key in keys) and sum(map(len, keys)) <= _LONGEST_KEYS:
        if len(_asked) >= _MOST_ASKED:
            _asked.clear()
        _asked[keys] = asked
    return asked


_TEMPLATE: Final = (("id", semconv.PROMPT_NAME), ("version", semconv.PROMPT_VERSION))


def _add_template(found: dict[str, AttributeValue], template: Any) -> None:
    """Name and version of a stored prompt that a request uses."""
    if template is None:
        return
    for name, key in _TEMPLATE:
        value = text(field(template, name))
        if value is not None:
            found[key] = value


def _sent(body: Any, rules: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Keys and values of the body: all of a dict, whose keys are few, else those that a rule names."""
    if type(body) is dict:
        return body.copy().items()  # of any keys: what is no text has no rule
    if issubclass(type(body), dict):
        return [(key, value) for key, value in tuple(dict.items(body)) if type(key) is str]
    return [(key, field(body, key)) for key in rules]


def request_model(body: Any) -> str | None:
    """The model that is asked for."""
    return text(field(body, "model"))


def asks_a_model(op: Operation) -> bool:
    """True if a request of this operation is to one model: not to an agent, which has its own."""
    return op.kind in (Kind.INFERENCE, Kind.EMBEDDINGS) and op.api != "runs"


def expected_choices(body: Any) -> int:
    """How many choices the request asks for, at least 1."""
    return max(1, min(integer(field(body, "n")) or 1, 1024))


def newest_message_is_user(op: Operation, body: Any) -> bool:
    """True if the newest message of a request is the user's; False also where that cannot be told."""
    if op.kind is not Kind.INFERENCE:
        return False
    if op.api == "chat_completions" and type(body) is dict:
        sent = body.get("messages")
        newest = sent[-1] if type(sent) is list and sent else None
        if type(newest) is dict:
            return bool(newest.get("role") == "user")
    if op.api == "completions":
        return field(body, "prompt") is not None
    if op.api == "responses":
        sent = field(body, "input")
        if text(sent) is not None:
            return True
    else:
        sent = field(body, "messages")
    messages = items(sent)
    return text(field(messages[-1], "role")) == "user" if messages else False


_NOT_THE_PROGRAMS: Final = frozenset({"assistant", "tool"})


def newest_of(op: Operation, body: Any) -> tuple[bool, bool]:
    """Whether the newest message is the user's, and whether tools may have run since the model's newest.

    Args:
        op: what :func:`classify` said.
        body: the request's body.

    Returns:
        What :func:`newest_message_is_user` says; and False only where :func:`tool_results` finds none.
    """
    if op.api == "chat_completions" and type(body) is dict:
        messages = body.get("messages")
        if type(messages) is list and messages:
            newest = messages[-1]
            for message in reversed(messages):  # to the model's newest: long histories are not walked
                if type(message) is not dict:
                    break  # told by those who ask more carefully
                role = message.get("role")
                if type(role) is not str:
                    break
                if role in _NOT_THE_PROGRAMS:
                    return newest.get("role") == "user", role == "tool"
            else:
                return newest.get("role") == "user", False
    return newest_message_is_user(op, body), True


def tool_results(op: Operation, body: Any, *, latest: bool = False) -> list[ToolResult]:
    """The results of tools in a request's messages, oldest first.

    Args:
        op: what :func:`classify` said.
        body: the request's body.
        latest: only those after the newest message of the model: the tools that ran since the last call.
    """
    if op.api == "chat_completions":
        messages = items(body.get("messages") if type(body) is dict else field(body, "messages")) or ()
        return _results_of_messages(messages, latest=latest)
    if op.api == "responses":
        return _results_of_items(items(field(body, "input")) or (), latest=latest)
    return []


def _ends_with_results(messages: Any) -> bool:
    """Whether a tool's result stands after the newest message of the model: long histories are not walked."""
    for message in reversed(messages):
        role = message.get("role") if type(message) is dict else text(field(message, "role"))
        if role == "tool":
            return True
        if role == "assistant":
            return False
    return False


def _results_of_messages(messages: Any, *, latest: bool) -> list[ToolResult]:
    if latest and not _ends_with_results(messages):
        return []
    names: dict[str, str] = {}
    found: list[ToolResult] = []
    for message in messages:
        role = text(field(message, "role"))
        if role == "assistant":
            if latest:
                found.clear()
            for call in items(field(message, "tool_calls")) or ():
                call_id = text(field(call, "id"))
                name = tool_name(call)
                if call_id is not None and name is not None:
                    names[call_id] = name
        elif role == "tool":
            call_id = text(field(message, "tool_call_id"))
            if call_id is not None:
                found.append(ToolResult(call_id, names.get(call_id), field(message, "content")))
    return found


def _results_of_items(sent: Any, *, latest: bool) -> list[ToolResult]:
    names: dict[str, str] = {}
    found: list[ToolResult] = []
    for item in sent:
        kind = text(field(item, "type"))
        call_id = text(field(item, "call_id"))
        if kind is None or call_id is None:
            if latest and text(field(item, "role")) == "assistant":
                found.clear()
        elif kind.endswith("_call_output"):
            name = names.get(call_id) or text(field(item, "name"))
            found.append(ToolResult(call_id, name, field(item, "output")))
        elif kind.endswith("_call"):
            if latest:
                found.clear()
            name = text(field(item, "name"))
            if name is not None:
                names[call_id] = name
    return found


def tool_name(call: Any) -> str | None:
    """The name of a chat tool call, of a function or a custom tool."""
    return text(field(field(call, "function"), "name")) or text(field(field(call, "custom"), "name"))
