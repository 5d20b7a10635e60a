"""One websocket connection of the SDK: the responses that are asked for and made over it.

Each response is an operation of its own, in the scope that was in force where the connection was entered.
It begins when it is asked for, or, where the server began it by itself, when the server tells of it. Nothing
of ours is current while the program waits for events or works between them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeAlias

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from spantally.calls.telemetry import Telemetry
from spantally.ground.cancelling import is_cancellation as is_loop_cancellation
from spantally.ground.guard import counted
from spantally.ground.scope import is_paused
from spantally.instrumentors.openai.beginning import begin
from spantally.instrumentors.openai.call import OpenAICall
from spantally.instrumentors.openai.wire import frames
from spantally.instrumentors.stainless.binding import hand_on
from spantally.instrumentors.stainless.call import parsed
from spantally.instrumentors.stainless.wire.fields import field, items, plain, text

MAX_OPEN: Final = 1024
"""Responses of one connection that are open at once; the oldest is taken for left."""


class Target:
    """What :func:`begin` reads of a client: neither connection nor call keeps the client itself alive."""

    __slots__ = ("api_key", "base_url")

    def __init__(self, base_url: Any, api_key: Any) -> None:
        self.base_url = base_url
        self.api_key = api_key


@functools.lru_cache(maxsize=64)
def _target_class(names: str) -> type[Target]:
    """A class that is named as the client's and its bases are: the names tell the provider."""
    return type(names, (Target,), {})


def target_of(client: Any) -> Target:
    """The address of a client's websockets."""
    url = client.base_url
    other = getattr(client, "websocket_base_url", None)
    if other is not None:
        url = type(url)(str(other))
        url = url.copy_with(scheme={"ws": "http", "wss": "https"}.get(url.scheme, url.scheme))
    names = " ".join(base.__name__ for base in type(client).__mro__)
    made = _target_class(names)(url, getattr(client, "api_key", None))
    hand_on(client, made)
    return made


class Options(NamedTuple):
    """What :func:`begin` reads of a request."""

    method: str
    url: str
    json_data: Any


class _Ended(ConnectionError):  # noqa: N818 - tells what another one did
    """A connection that ended under a response; its code is the name of what told so.

    The exception itself is not read: its ``code`` warns that it is deprecated.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.code = f"{type(error).__module__}.{type(error).__qualname__}"


def is_closing(error: BaseException) -> bool:
    """True for what the websocket library raises when the connection is or was closed."""
    return any(base.__name__ == "ConnectionClosed" for base in type(error).__mro__)


def is_cancellation(error: BaseException | None) -> bool:
    """True for what stops the program's task or the program itself."""
    return isinstance(error, (KeyboardInterrupt, SystemExit)) or is_loop_cancellation(error)


class _Asked(NamedTuple):
    """A response that was asked for and that the server has not told of."""

    call: OpenAICall | None
    """None where it is not to be metered."""
    event_id: str | None
    metadata: Any
    lane: str | None


Handler: TypeAlias = Callable[[Any, dict[str, Any]], None]


class Connection:
    """What is known of one connection. Its owner, the SDK's connection, alone keeps it alive."""

    telling: frozenset[bytes]
    """Types of events that carry a fact."""
    content: frozenset[bytes] = frozenset()
    """Types of events that are read only where content is wanted."""
    handlers: Mapping[str, Handler]
    """What reads an event, by its type."""

    def __init__(self, telemetry: Telemetry, target: Target) -> None:
        self.telemetry = telemetry
        self.target = target
        self.context: Context = otel_context.get_current()
        self.reads_content = telemetry.wants_content
        self.asked: list[_Asked] = []
        self.open: dict[str, OpenAICall] = {}
        """Responses that the server began, by their ids."""
        self.lanes: dict[str | None, str] = {}
        """The newest response of each lane."""
        self.unheard: dict[str, OpenAICall] = {}
        """Responses of which no piece has come."""
        self.ignored: dict[str, None] = {}
        """Responses that are not to be metered."""

    # -- what the program sends ----------------------------------------------------------------------

    def sending(self, event: Any) -> OpenAICall | None:
        """Note an event that is about to be sent; the call that it begins, if it asks for a response."""
        if text(field(event, "type")) != "response.create":
            return None
        fields = frames.fields_of(event)
        lane = text(fields.get("stream_id"))
        paused = is_paused()
        call = None if paused else self._begin(self.asked_body(fields))
        if call is None and not paused:
            return None
        self.asked.append(_Asked(call, text(fields.get("event_id")), _metadata_of(self.params(fields)), lane))
        if len(self.asked) > MAX_OPEN:
            _leave(self.asked.pop(0).call)
        return call

    def unsent(self, call: OpenAICall, error: BaseException) -> None:
        """What began ``call`` could not be sent."""
        for one in tuple(self.asked):
            if one.call is call:
                self.forget(one)
        call.failed(error if is_cancellation(error) else _NotSent(error))

    # -- what the server sends -----------------------------------------------------------------------

    def received(self, frame: Any) -> None:
        """Look at one frame; most are passed over by their type alone."""
        data = frames.raw(frame)
        if data is None:
            return
        kind = frames.event_type(data)
        if kind is not None and kind not in self.telling:
            if self.unheard and kind.endswith(b".delta"):
                self.heard(self.piece_of(data))
            if kind not in self.content or not self.reads_content:
                return
        if len(data) > frames.MAX_PARSED:
            return
        event = parsed(data)
        if type(event) is dict:
            self.take(event)

    def take(self, event: dict[str, Any]) -> None:
        """Read one event."""
        handler = self.handlers.get(event.get("type") or "")
        if handler is not None:
            handler(self, event)

    def created(self, event: dict[str, Any]) -> None:
        """The server began a response."""
        response = event.get("response")
        response_id = text(field(response, "id"))
        if response_id is None or response_id in self.open or response_id in self.ignored:
            return
        lane = text(event.get("stream_id"))
        asked = self.match(_metadata_of(response), lane)
        call = asked.call if asked is not None else self._begin(self.told_body(response))
        if call is None:
            self._ignore(response_id)
            return
        self.open[response_id] = self.unheard[response_id] = call
        self.lanes[lane] = response_id
        if len(self.open) > MAX_OPEN:
            oldest = next(iter(self.open))
            self.unheard.pop(oldest, None)
            _leave(self.open.pop(oldest))
        self.observe(call, event)

    def ended(self, event: dict[str, Any]) -> None:
        """The server tells how a response ended."""
        response_id = text(field(event.get("response"), "id"))
        if response_id is not None and response_id not in self.open:
            self.created(event)  # its beginning was not seen
        if response_id is None or response_id not in self.open:
            return
        response = event["response"]
        if items(field(response, "output")) or text(field(response, "status")) == "completed":
            self.heard(response_id)
        self.unheard.pop(response_id, None)
        call = self.open.pop(response_id)
        for lane, newest in tuple(self.lanes.items()):
            if newest == response_id:
                self.lanes.pop(lane, None)
        self._ignore(response_id)
        self.observe(call, event)
        if getattr(call.stream_facts, "cancelled", False):
            call.left_early()
        else:
            call.exhausted()

    def observe(self, call: OpenAICall, event: dict[str, Any]) -> None:
        """Give an event to whoever gathers the facts of its response."""
        if call.stream_facts is not None:
            call.stream_facts.observe(event)

    def of_event(self, event: dict[str, Any]) -> OpenAICall | None:
        """The open response that an event belongs to: by its id, else by its lane."""
        response_id = text(event.get("response_id")) or text(field(event.get("response"), "id"))
        return self.open.get(response_id or self.lanes.get(text(event.get("stream_id"))) or "")

    def piece(self, event: dict[str, Any]) -> None:
        """A part of an answer."""
        call = self.of_event(event)
        if call is not None:
            self.observe(call, event)

    def heard(self, response_id: str | None) -> None:
        """A piece of a response came."""
        call = self.unheard.pop(response_id or "", None)
        if call is not None:
            call.operation.mark_first_chunk()

    def match(self, metadata: Any, lane: str | None) -> _Asked | None:
        """Who asked for a response: whoever sent its metadata, else the first who waits on its lane."""
        waiting = [one for one in tuple(self.asked) if one.lane == lane]
        found = next((one for one in waiting if one.metadata == metadata), None)
        found = found or next(iter(waiting), None)
        if found is not None:
            self.forget(found)
        return found

    def forget(self, asked: _Asked) -> None:
        """It waits no longer. In place: another thread may be sending."""
        try:
            self.asked.remove(asked)
        except ValueError:
            pass  # the other thread was faster

    def _ignore(self, response_id: str) -> None:
        self.ignored[response_id] = None
        while len(self.ignored) > MAX_OPEN:
            self.ignored.pop(next(iter(self.ignored)), None)

    # -- ends ----------------------------------------------------------------------------------------

    def _drain(self) -> Iterator[OpenAICall]:
        """Every call that has not ended, once."""
        self.unheard.clear()
        self.lanes.clear()
        while self.asked:
            call = self.asked.pop().call
            if call is not None:
                yield call
        while self.open:
            yield self.open.popitem()[1]

    def closed(self) -> None:
        """The program closes the connection, perhaps since it is being cancelled."""
        error = sys.exc_info()[1]
        if error is not None and is_cancellation(error):
            for call in self._drain():
                call.failed(error)
        else:
            self.left()

    def left(self) -> None:
        """The connection is closed or collected: what is open was left early. Safe in a finaliser."""
        for call in self._drain():
            call.left_early()

    def lost(self, error: BaseException) -> None:
        """The connection ended beneath the program."""
        told = _Ended(error)
        for call in self._drain():
            call.failed(told)

    def refused_entry(self, error: BaseException) -> None:
        """There is no connection: what was to be sent over it was not."""
        told = error if is_cancellation(error) else _NotSent(error)
        for call in self._drain():
            call.failed(told)

    def __del__(self) -> None:
        try:
            self.left()
        except AttributeError:
            pass  # never begun
        except Exception as error:
            counted("openai.socket_left", error)

    # -- beginning -----------------------------------------------------------------------------------

    def start(self, options: Options, start_ns: int | None = None) -> OpenAICall | None:
        """Begin a call where the connection was entered."""
        with _entered(self.context):
            return begin(self.telemetry, self.target, options, start_ns=start_ns)

    def _begin(self, body: dict[str, Any]) -> OpenAICall | None:
        raise NotImplementedError

    def asked_body(self, event: dict[str, Any]) -> dict[str, Any]:
        """The body of a response by the event that asks for it."""
        raise NotImplementedError

    def told_body(self, response: Any) -> dict[str, Any]:
        """The body of a response by what the server says of it."""
        raise NotImplementedError

    def params(self, event: dict[str, Any]) -> Any:
        """Where an event that asks for a response has its parameters."""
        raise NotImplementedError

    def piece_of(self, frame: bytes) -> str | None:
        """The id of the response that a piece belongs to."""
        raise NotImplementedError


class _NotSent(Exception):  # noqa: N818 - tells what another one did
    """A failure to send; its code is the name of the failure."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.code = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        response = getattr(error, "response", None)
        if response is not None:
            self.code = str(getattr(response, "status_code", self.code))


@contextmanager
def _entered(context: Context) -> Iterator[None]:
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)


def _leave(call: OpenAICall | None) -> None:
    if call is not None:
        call.left_early()


def _metadata_of(source: Any) -> Any:
    return plain(field(source, "metadata")) or None


def types_of(names: str) -> frozenset[bytes]:
    """Types of events, as the frames have them."""
    return frozenset(name.encode() for name in names.split())
