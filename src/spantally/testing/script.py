"""The script of a server: which reply answers which request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from spantally.testing.usage import PER_MESSAGE, Usage, count_tokens, texts_of


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool (function) that a reply asks for."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    """A mapping is sent as JSON, a text as it is (also where it is no JSON)."""
    id: str | None = None
    """By default ``call_1``, ``call_2``, ... of the server."""

    @property
    def json(self) -> str:
        """The arguments as the wire carries them."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One scripted answer. Every field has a default; ``Reply()`` is the deterministic echo."""

    text: str | None = None
    """What the model says; None echoes the last message (and is no text at all beside tool calls)."""
    tool_calls: Sequence[ToolCall] = ()
    usage: Usage | Mapping[str, Any] | Literal[False] | None = None
    """None counts what passed, a :class:`Usage` fixes it, another mapping is sent as is, False omits it."""
    model: str | None = None
    """Model that the answer names; the one asked for by default."""
    response_id: str | None = None
    finish_reason: str | None = None
    """``stop`` or ``tool_calls`` by default; ``length`` makes a response of the Responses API incomplete."""
    refusal: str | None = None
    service_tier: str | None = None
    delay: float = 0.0
    """Seconds before the first byte."""
    chunk_delay: float = 0.0
    """Seconds before each further chunk of a stream."""
    status: int = 200
    error: str | Mapping[str, Any] | None = None
    """Message or ``error`` object. With status 200 the error comes within the answer: as an event of the
    stream, or as a failed response."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Send exactly these bytes instead (wrong JSON, another content type by ``headers``)."""
    drop_after_chunks: int | None = None
    """Cut the connection after so many chunks; 0, or an answer that is no stream: before any byte."""
    malformed_after_chunks: int | None = None
    """After so many chunks send a chunk that is no JSON, then end the stream."""

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any]) -> Reply:
        """Read a reply of a JSON script.

        Raises:
            ValueError: where a name is unknown.
        """
        known = {spec.name for spec in fields(cls)}
        if unknown := sorted(set(value) - known):
            raise ValueError(
                f"unknown field of a reply: {', '.join(unknown)}; known: {', '.join(sorted(known))}"
            )
        given = dict(value)
        given["tool_calls"] = tuple(ToolCall(**call) for call in given.get("tool_calls", ()))
        usage = given.get("usage")
        if isinstance(usage, Mapping) and usage and set(usage) <= set(Usage._fields):
            given["usage"] = Usage(**usage)
        if isinstance(given.get("body"), str):
            given["body"] = given["body"].encode()
        return cls(**given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as the server received it."""

    number: int
    """1 for the first request of the server."""
    method: str
    path: str
    """Without the query."""
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    raw: bytes
    """The body as it came."""
    body: Mapping[str, Any] | None
    """The body as JSON, or the fields of a form (files by their sizes); None where it is neither."""

    @property
    def model(self) -> str | None:
        """The model asked for."""
        found = (self.body or {}).get("model")
        return found if isinstance(found, str) else None

    @property
    def stream(self) -> bool:
        """True if the answer is to be a stream."""
        return (self.body or {}).get("stream") is True

    @property
    def last_text(self) -> str:
        """Text of the last message, input item, or the whole input of embeddings."""
        body = self.body or {}
        value = next((body[name] for name in ("messages", "input", "prompt") if name in body), "")
        if isinstance(value, list) and value and isinstance(value[-1], Mapping):
            value = value[-1]
        return " ".join(texts_of(value))

    @property
    def all_text(self) -> str:
        """Every text of the request: instructions, messages, input."""
        body = self.body or {}
        names = ("instructions", "system", "messages", "input", "prompt")
        return "\n".join(text for name in names for text in texts_of(body.get(name)))

    def input_tokens(self) -> int:
        """Tokens of everything the request holds, definitions of tools included."""
        body = self.body or {}
        total = count_tokens(self.all_text)
        for name in ("messages", "input"):
            if isinstance(body.get(name), list):
                total += PER_MESSAGE * sum(isinstance(item, Mapping) for item in body[name])
        if body.get("tools"):
            total += count_tokens(json.dumps(body["tools"], sort_keys=True))
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A reply and the requests it answers: all that is given must hold."""

    reply: Reply | Callable[[Request], Reply]
    model: str | None = None
    contains: str | None = None
    """Part of the last message."""
    mentions: str | None = None
    """Part of any text of the request, instructions included."""
    path: str | None = None
    """End of the path: ``/embeddings``."""
    nth: int | None = None
    """Only the n-th request (from 1) for which the other conditions hold."""
    times: int | None = None
    """Answers so many requests, then is passed over."""

    def meets(self, request: Request) -> bool:
        """True if the request fits, whatever was answered before."""
        return (
            (self.model is None or request.model == self.model)
            and (self.contains is None or self.contains in request.last_text)
            and (self.mentions is None or self.mentions in request.all_text)
            and (self.path is None or request.path.endswith(self.path))
        )


ScriptSource: TypeAlias = Reply | Sequence["Reply | Rule"] | Callable[[Request], "Reply | None"] | None
"""None: echo everything. A reply: the answer to everything. A sequence: the first rule that fits, where a
bare reply answers one request. A callable: its reply, or None for the echo."""

_ECHO: Final = Reply()


class Script:
    """Chooses the reply; requests of several threads may ask at once."""

    def __init__(self, source: ScriptSource = None) -> None:
        self._choose: Callable[[Request], Reply | None] | None = None
        self._rules: list[Rule] = []
        if isinstance(source, Reply):
            self._rules = [Rule(reply=source)]
        elif isinstance(source, Sequence):
            self._rules = [rule if isinstance(rule, Rule) else Rule(reply=rule, times=1) for rule in source]
        elif source is not None:
            self._choose = source
        self._met = [0] * len(self._rules)
        self._answered = [0] * len(self._rules)
        self._lock = threading.Lock()

    def reply_to(self, request: Request) -> Reply:
        """The reply to a request; the echo where no rule fits."""
        if self._choose is not None:
            return self._choose(request) or _ECHO
        rule = self._take(request)
        if rule is None:
            return _ECHO
        return rule.reply if isinstance(rule.reply, Reply) else rule.reply(request)

    def _take(self, request: Request) -> Rule | None:
        with self._lock:
            chosen: int | None = None
            for index, rule in enumerate(self._rules):
                if not rule.meets(request):
                    continue
                self._met[index] += 1
                spent = rule.times is not None and self._answered[index] >= rule.times
                if chosen is None and not spent and rule.nth in (None, self._met[index]):
                    chosen = index
            if chosen is None:
                return None
            self._answered[chosen] += 1
            return self._rules[chosen]


def load_script(path: str | Path) -> list[Reply | Rule]:
    """Read a script from a JSON file: a list of replies, or of rules with a ``reply`` each.

    Raises:
        ValueError: where the file is not such a list; the text names the entry.
        OSError: where the file cannot be read.
    """
    entries = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(entries, list):
        raise ValueError(f"{path}: a script is a JSON list of replies or rules")  # noqa: TRY004
    script: list[Reply | Rule] = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            raise ValueError(f"{path}: entry {number} is no object")  # noqa: TRY004
        try:
            if "reply" in entry:
                rest = {key: value for key, value in entry.items() if key != "reply"}
                script.append(Rule(reply=Reply.from_mapping(entry["reply"]), **rest))
            else:
                script.append(Reply.from_mapping(entry))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: entry {number}: {error}") from error
    return script
