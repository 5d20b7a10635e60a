"""What a complete response says: ids, model, finish reasons, usage, tool calls, failure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from spantally.ground import semconv
from spantally.instrumentors.openai.wire.endpoints import (
    RUN_REASONS,
    answer_attributes,
    pieces_of,
    run_tool_calls,
    usage_of_embeddings,
    usage_of_endpoint,
)
from spantally.instrumentors.openai.wire.operation import Operation
from spantally.instrumentors.openai.wire.request import tool_name
from spantally.instrumentors.openai.wire.usage import add_usage_attributes, usage_attributes
from spantally.instrumentors.stainless.wire.errors import error_code, says_refused
from spantally.instrumentors.stainless.wire.fields import (
    AttributeValue,
    field,
    integer,
    items,
    plain,
    plain_mapping,
    text,
)

__all__ = [
    "ResponseFacts",
    "add_usage_attributes",
    "field",
    "finish_reason",
    "plain",
    "response_facts",
    "usage_attributes",
]


class ResponseFacts(NamedTuple):
    """The facts of one response, plain values all."""

    model: str | None = None
    response_id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    """One for each choice, in the conventions' words; ``error`` where one was expected and none came."""
    usage: dict[str, Any] | None = None
    """The provider's usage object as it came."""
    service_tier: str | None = None
    system_fingerprint: str | None = None
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Id and name of each tool that the program is asked to run."""
    conversation_id: str | None = None
    status: str | None = None
    """Of the Responses API: completed, failed, incomplete, cancelled, queued, in_progress."""
    error_type: str | None = None
    server_tools: tuple[tuple[str, int], ...] = ()
    """How often the provider ran each tool of its own (``web_search_call``, ...): some cost a fee."""
    background: bool = False
    """True for an answer that is made after the request has ended: somebody asks for it later."""
    attributes: tuple[tuple[str, AttributeValue], ...] = ()
    """Further span attributes."""
    refused: bool = False
    """True where the error is of a kind that stands for a rejection."""

    @property
    def goes_on(self) -> bool:
        """True if the provider has not finished: there is no usage yet, and there will be one."""
        return self.usage is None and self.status in _GOING_ON


_STOPPED: Final = ("stop",)

_GOING_ON: Final = frozenset({"queued", "in_progress", "requires_action", "cancelling"})

_REASONS: Final = {"tool_calls": "tool_call", "function_call": "tool_call", "max_output_tokens": "length"}
"""Finish reasons that the conventions spell otherwise."""

_COMPACTED: Final = ((semconv.CONVERSATION_COMPACTED, True),)
"""Of an answer before which the provider compacted the conversation."""

MISSING: Final = "error"
"""The finish reason of a choice whose reason was expected but did not come."""

CLIENT_TOOLS: Final = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "computer_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
    }
)
"""Output items of the Responses API that ask the program to act."""


def finish_reason(value: Any) -> str:
    """A finish reason in the conventions' words."""
    reason = text(value)
    if reason is None:
        return MISSING
    return _REASONS.get(reason, reason)


def response_facts(op: Operation, body: Any, *, owned: bool = False) -> ResponseFacts:
    """The facts of a response body.

    Args:
        op: what :func:`classify` said.
        body: parsed JSON, or the SDK's object of it.
        owned: True for JSON that nobody else holds: its usage need not be copied.
    """
    if op.api in ("responses", "compact"):
        return _of_response(op, body)
    read = _READERS.get(op.api)
    if read is not None:
        return read(op, body)
    return of_choices(op, body, owned=owned)


_SAID: Final = frozenset({str, type(None)})


_FIELDS: Final = ("model", "id", "service_tier", "system_fingerprint", "choices", "error", "usage")


def of_choices(op: Operation, body: Any, *, owned: bool = False) -> ResponseFacts:
    """Of chat completions, completions and embeddings: see :func:`response_facts`.

    Args:
        op: what :func:`classify` said.
        body: parsed JSON, or the SDK's object of it.
        owned: True for JSON that nobody else holds: its usage need not be copied.
    """
    get: Callable[[str], Any] = body.get if type(body) is dict else functools.partial(field, body)
    embeds = op.api == "embeddings"
    reasons: tuple[str, ...] = ()
    calls: tuple[tuple[str, str], ...] = ()
    *said, choices, failure, usage = map(get, _FIELDS)
    if embeds:
        choices = None
    elif type(choices) is not list:
        choices = items(choices)
    if choices and len(choices) == 1:
        choice = choices[0]
        if type(choice) is dict:
            told, message = choice.get("finish_reason"), choice.get("message")
        else:
            told, message = field(choice, "finish_reason"), field(choice, "message")
        reasons = _STOPPED if told == "stop" else (finish_reason(told),)
        asked = message.get("tool_calls") if type(message) is dict else field(message, "tool_calls")
        if asked is not None:
            calls = tuple(pair for call in items(asked) or () if (pair := _call(call)) is not None)
    elif choices:
        reasons = tuple(finish_reason(field(choice, "finish_reason")) for choice in in_order(choices))
        calls = tuple(
            pair
            for choice in choices
            for call in items(field(field(choice, "message"), "tool_calls")) or ()
            if (pair := _call(call)) is not None
        )
    if failure is None and reasons is not _STOPPED and "error" in reasons:
        failure = failure_of(choices)
    if not (_SAID.issuperset(map(type, said)) and "" not in said and "".join(filter(None, said)).isascii()):
        said = [value if value is None else text(value) for value in said]
    if not (owned and type(usage) is dict and usage):
        usage = usage_of(body)
    return ResponseFacts(  # by position: with names it takes three times as long
        said[0],
        said[1],
        reasons,
        usage_of_embeddings(usage) if embeds else usage,
        said[2],
        said[3],
        calls,
        None,
        None,
        None if failure is None else error_code(failure),
        (),
        False,
        answer_attributes(op, body) if embeds else (),
        failure is not None and says_refused(failure),
    )


def joined(facts: ResponseFacts, rest: ResponseFacts) -> ResponseFacts:
    """The facts of an answer that was not read to its end, with the usage that its last part tells.

    What the program has not seen stays untold: no tool is run of which nobody has read.

    Args:
        facts: of what was read.
        rest: of the last part: of all of the answer, or of what a chunk tells.
    """
    return rest._replace(
        model=rest.model or facts.model,
        response_id=rest.response_id or facts.response_id,
        finish_reasons=facts.finish_reasons or rest.finish_reasons,
        service_tier=rest.service_tier or facts.service_tier,
        system_fingerprint=rest.system_fingerprint or facts.system_fingerprint,
        tool_calls=facts.tool_calls,
        conversation_id=rest.conversation_id or facts.conversation_id,
        error_type=facts.error_type or rest.error_type,
        server_tools=rest.server_tools or facts.server_tools,
        background=rest.background or facts.background,
    )


def failure_of(choices: Any) -> Any:
    """The error within a choice that ended by one: OpenRouter tells so that a host behind it failed."""
    found = (field(choice, "error") for choice in choices or () if field(choice, "finish_reason") == "error")
    return next((error for error in found if error is not None), None)


def usage_of(body: Any) -> dict[str, Any] | None:
    """The usage object of a body or chunk; Groq's streams carry it one level down."""
    usage = body.get("usage") if type(body) is dict else field(body, "usage")
    if usage is None:
        usage = field(field(body, "x_groq"), "usage")
    return plain_mapping(usage)


def in_order(choices: Any) -> list[Any]:
    """Choices by their index; those without one keep their place at the end."""
    if len(choices) < 2:
        return list(choices)
    return sorted(choices, key=lambda choice: _index(choice, len(choices)))


def _index(choice: Any, default: int) -> int:
    index = integer(field(choice, "index"))
    return default if index is None else index


def _call(call: Any) -> tuple[str, str] | None:
    call_id = text(field(call, "id"))
    name = tool_name(call)
    return None if call_id is None or name is None else (call_id, name)


def _of_response(op: Operation, body: Any) -> ResponseFacts:
    output = items(field(body, "output")) or ()
    status = text(field(body, "status"))
    error = error_code(field(body, "error"))
    kinds = [item_kind(item) for item in output]
    if error is None and status == "failed":
        error = "_OTHER"
    return ResponseFacts(
        model=text(field(body, "model")),
        response_id=text(field(body, "id")),
        finish_reasons=_response_reason(body, status, kinds),
        usage=usage_of(body),
        service_tier=text(field(body, "service_tier")),
        tool_calls=tuple(pair for item in output if (pair := item_call(item)) is not None),
        conversation_id=text(field(field(body, "conversation"), "id")),
        status=status,
        error_type=error,
        server_tools=count_server_tools(kinds, preview=_offers_preview(body)),
        background=field(body, "background") is True,
        attributes=_COMPACTED if "compaction" in kinds and op.api == "responses" else (),
        refused=error is not None and not output and says_refused(field(body, "error")),
    )


def _of_run(op: Operation, body: Any) -> ResponseFacts:
    """A run of an assistant: its usage comes with its end."""
    status = text(field(body, "status"))
    return ResponseFacts(
        model=text(field(body, "model")),
        response_id=text(field(body, "id")),
        finish_reasons=RUN_REASONS.get(status or "", ()),
        usage=usage_of(body),
        tool_calls=tuple(pair for call in run_tool_calls(body) if (pair := _call(call)) is not None),
        conversation_id=text(field(body, "thread_id")),
        status=status,
        error_type=error_code(field(body, "last_error")) or ("_OTHER" if status == "failed" else None),
        background=True,
        attributes=answer_attributes(op, body),
        refused=says_refused(field(body, "last_error")),
    )


def _of_made(op: Operation, body: Any) -> ResponseFacts:
    """Something the model made that is no message: an image, speech, a transcript."""
    return ResponseFacts(
        model=text(field(body, "model")),
        finish_reasons=("stop",),
        usage=usage_of_endpoint(op.api, field(body, "usage")) or pieces_of(op, body),
        attributes=answer_attributes(op, body),
    )


def _of_video(op: Operation, body: Any) -> ResponseFacts:
    """A video is made after its request has ended, and nothing counts it in tokens."""
    status = text(field(body, "status"))
    reason = {"completed": "stop", "failed": MISSING}.get(status or "")
    return ResponseFacts(
        model=text(field(body, "model")),
        response_id=text(field(body, "id")),
        finish_reasons=() if reason is None else (reason,),
        usage=usage_of_endpoint(op.api, field(body, "usage")),
        error_type=error_code(field(body, "error")) or ("_OTHER" if status == "failed" else None),
        attributes=() if status is None else ((semconv.RESPONSE_STATUS, status),),
    )


def _of_stored(op: Operation, body: Any) -> ResponseFacts:
    """What is stored, listed or found; it has no usage of its own."""
    return ResponseFacts(attributes=answer_attributes(op, body))


def _of_judged(op: Operation, body: Any) -> ResponseFacts:
    """The answer of a model that bills nothing."""
    return ResponseFacts(model=text(field(body, "model")), response_id=text(field(body, "id")))


def _of_conversation(op: Operation, body: Any) -> ResponseFacts:
    made = text(field(body, "id")) if text(field(body, "object")) == "conversation" else None
    return ResponseFacts(conversation_id=made)


_READERS: Final[dict[str, Callable[[Operation, Any], ResponseFacts]]] = {
    "runs": _of_run,
    "images": _of_made,
    "speech": _of_made,
    "transcriptions": _of_made,
    "videos": _of_video,
    "decisions": _of_made,
    "model": _of_judged,
    "stored": _of_stored,
    "file_content": _of_stored,
    "retrieval": _of_stored,
    "assistants": _of_stored,
    "conversations": _of_conversation,
}
"""By API, for those whose answers are no messages."""


def _response_reason(body: Any, status: str | None, kinds: list[str]) -> tuple[str, ...]:
    """One response is one generation: one reason, or none while it still runs."""
    if status in ("queued", "in_progress"):
        return ()
    if status == "incomplete":
        return (finish_reason(field(field(body, "incomplete_details"), "reason")),)
    if status in ("failed", "cancelled") or (status is None and not kinds):
        return (MISSING,)
    return ("tool_call",) if any(kind in CLIENT_TOOLS for kind in kinds) else ("stop",)


def item_call(item: Any) -> tuple[str, str] | None:
    """Id and name of an output item that asks for a tool of the program, else None."""
    kind = text(field(item, "type"))
    call_id = text(field(item, "call_id"))
    if kind is None or call_id is None or kind not in CLIENT_TOOLS:
        return None
    return call_id, text(field(item, "name")) or kind.removesuffix("_call")


def item_kind(item: Any) -> str:
    """The type of an output item; nothing for a step of a search that costs no fee, as opening a page."""
    kind = text(field(item, "type")) or ""
    if kind == _SEARCH and (text(field(field(item, "action"), "type")) or "search") != "search":
        return ""
    return kind


_SEARCH: Final = "web_search_call"


def _offers_preview(body: Any) -> bool:
    """True where the older web search was offered: it has a price of its own."""
    kinds = (text(field(tool, "type")) or "" for tool in items(field(body, "tools")) or ())
    return any(kind.startswith("web_search_preview") for kind in kinds)


def count_server_tools(kinds: list[str], *, preview: bool = False) -> tuple[tuple[str, int], ...]:
    """How often each tool of the provider's own was run, by the types of the output items."""
    served = sorted({kind for kind in kinds if kind.endswith("_call") and kind not in CLIENT_TOOLS})
    counts = [(kind, kinds.count(kind)) for kind in served]
    return tuple(
        ("web_search_preview_call" if preview and kind == _SEARCH else kind, n) for kind, n in counts
    )
