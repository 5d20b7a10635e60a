"""The taps of the SDK's websockets: where one is entered, what is sent and received, where it is closed.

Websockets do not pass ``request()``. What is received is watched at the one method with which both majors of
the SDK read every frame; events, iterators and handlers of the program stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from opentelemetry import context as otel_context

from spantally.calls.telemetry import Telemetry
from spantally.ground import semconv
from spantally.ground.guard import swallowed
from spantally.ground.scope import BAGGAGE_KEY, with_values
from spantally.instrumentors.openai.socket_connection import Connection, is_closing, target_of
from spantally.instrumentors.openai.socket_live import LiveConnection
from spantally.instrumentors.openai.socket_realtime import RealtimeConnection
from spantally.instrumentors.openai.socket_responses import ResponsesConnection
from spantally.instrumentors.openai.wire import frames
from spantally.instrumentors.patching import Wrapper
from spantally.instrumentors.stainless import asking
from spantally.instrumentors.stainless.wire.fields import plain, text

_KEY: Final = "_spantally_connection"
"""Attribute of the SDK's connection that holds ours."""

_QUEUED: Final = "_spantally_queued"
"""Attribute of the SDK's connection manager: events that wait for the connection."""

MAX_QUEUED: Final = 64

_SENT: Final = frozenset(
    {b"response.create", b"conversation.item.create", b"session.start", b"response.item.create"}
)
"""Events that a program may send as bytes, and that are read."""

_LIVE: Final = frozenset({"LiveConnectionManager", "ForksConnectionManager"})

TelemetryOf: TypeAlias = Callable[[], Telemetry]

_sending: Final[ContextVar[bool]] = ContextVar("spantally-openai-sending", default=False)
"""True while an event is sent that has been read already."""


def _watched(connection: Any) -> Connection | None:
    found = connection.__dict__.get(_KEY)
    return found if isinstance(found, Connection) else None


# -- entering --------------------------------------------------------------------------------------------


class _Entry:
    """What is done around the opening of a connection; no key of ours goes over its handshake."""

    __slots__ = ("connection", "token")

    def __init__(self, telemetry_of: TelemetryOf | None, manager: Any) -> None:
        self.connection: Connection | None = None
        self.token: Any = None
        try:
            if telemetry_of is not None:
                self.connection = _connection_of(telemetry_of(), manager)
            self.token = _attach_without_own_baggage()
        except Exception as error:
            swallowed("openai.socket_enter", error)

    def _leave(self) -> None:
        if self.token is not None:
            otel_context.detach(self.token)

    def opened(self, made: Any) -> None:
        """The connection is there: from now on it keeps ours alive."""
        try:
            self._leave()
            if self.connection is not None:
                setattr(made, _KEY, self.connection)
        except Exception as error:
            swallowed("openai.socket_opened", error)

    def failed(self, error: BaseException) -> None:
        """There is none; ``error`` goes on to the program."""
        try:
            self._leave()
            if self.connection is not None:
                self.connection.refused_entry(error)
        except Exception as failure:
            swallowed("openai.socket_opened", failure)


def _attach_without_own_baggage() -> Any:
    context = otel_context.get_current()
    carried = context.get(BAGGAGE_KEY)
    if not isinstance(carried, dict) or not any(semconv.is_own_baggage(key) for key in carried):
        return None
    others = {key: value for key, value in carried.items() if not semconv.is_own_baggage(key)}
    return otel_context.attach(with_values(context, {BAGGAGE_KEY: others}))


def _private(manager: Any, name: str) -> Any:
    """A private attribute of the SDK's manager, which may be of a class that derives from it."""
    for base in type(manager).__mro__:
        key = f"_{base.__name__.lstrip('_')}__{name}"
        if key in manager.__dict__:
            return manager.__dict__[key]
    return None


def _connection_of(telemetry: Telemetry, manager: Any) -> Connection:
    target = target_of(_private(manager, "client"))
    made: Connection
    names = [base.__name__ for base in type(manager).__mro__]
    if any("Realtime" in name for name in names):
        query = plain(_private(manager, "extra_query"))
        model = text(_private(manager, "model")) or text(query.get("model") if type(query) is dict else None)
        made = RealtimeConnection(telemetry, target, model)
    elif any(name.removeprefix("Async") in _LIVE for name in names):
        made = LiveConnection(telemetry, target)
    else:
        made = ResponsesConnection(telemetry, target)
    for event in manager.__dict__.pop(_QUEUED, ()):
        made.sending(event)
    return made


def _enter(telemetry_of: TelemetryOf | None) -> Wrapper:
    def enter(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        entry = _Entry(telemetry_of, instance)
        try:
            made = wrapped(*args, **kwargs)
        except BaseException as error:
            entry.failed(error)
            raise
        entry.opened(made)
        return made

    return enter


def _enter_async(telemetry_of: TelemetryOf | None) -> Wrapper:
    async def enter(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        entry = _Entry(telemetry_of, instance)
        try:
            made = await wrapped(*args, **kwargs)
        except BaseException as error:
            entry.failed(error)
            raise
        entry.opened(made)
        return made

    return enter


def _queue(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An event is sent before there is a connection: the SDK keeps it until then, and so do we."""
    result = wrapped(*args, **kwargs)
    try:
        queued = instance.__dict__.setdefault(_QUEUED, [])
        if len(queued) < MAX_QUEUED:
            queued.append(plain(_event(args, kwargs)))
    except Exception as error:
        swallowed("openai.socket_queue", error)
    return result


# -- sending ---------------------------------------------------------------------------------------------


def _event(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else kwargs.get("event", kwargs.get("data"))


class _Sending:
    """What is done around the sending of one event."""

    __slots__ = ("call", "connection", "event", "token")

    def __init__(
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, unparsed: bool
    ) -> None:
        self.call: Any = None
        self.event: Any = None
        self.token: Any = None
        try:
            self.connection = _watched(instance)
            if self.connection is None or _sending.get():
                return
            event = _event(args, kwargs)
            if unparsed:
                event = _sent_raw(event)
            self.call = self.connection.sending(event)
            self.event = event
            self.token = _sending.set(True)
        except Exception as error:
            swallowed("openai.socket_send", error)

    @property
    def budgeted(self) -> bool:
        """Whether budgets are to be asked before it is sent."""
        return self.call is not None and self.call.operation.scope.session.budget is not None

    def done(self, error: BaseException | None = None) -> None:
        """It was sent, or ``error`` was raised, which goes on to the program."""
        try:
            if self.token is not None:
                _sending.reset(self.token)
            if error is not None and self.call is not None and self.connection is not None:
                self.connection.unsent(self.call, error)
        except Exception as failure:
            swallowed("openai.socket_sent", failure)


def _sent_raw(data: Any) -> Any:
    """The event in a frame that the program made itself, where it is one that is read."""
    from spantally.instrumentors.stainless.call import parsed

    frame = frames.raw(data)
    if frame is None or len(frame) > frames.MAX_PARSED:
        return None
    kind = frames.event_type(frame)
    return parsed(frame) if kind is None or kind in _SENT else None


def _send(*, unparsed: bool) -> Wrapper:
    def send(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        sending = _Sending(instance, args, kwargs, unparsed=unparsed)
        try:
            if sending.budgeted:
                asking.admit(sending.call, plain(sending.event))
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            sending.done(error)
            raise
        sending.done()
        return result

    return send


def _send_async(*, unparsed: bool) -> Wrapper:
    async def send(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        sending = _Sending(instance, args, kwargs, unparsed=unparsed)
        try:
            if sending.budgeted:
                await asking.admit_async(sending.call, plain(sending.event))
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            sending.done(error)
            raise
        sending.done()
        return result

    return send


# -- receiving and closing -------------------------------------------------------------------------------


def _received(instance: Any, frame: Any) -> None:
    try:
        connection = _watched(instance)
        if connection is not None:
            connection.received(frame)
    except Exception as error:
        swallowed("openai.socket_event", error)


def _raised(instance: Any, error: BaseException) -> None:
    """Reading was cut off: by the end of the connection, or by a cancellation, after which it may go on."""
    try:
        connection = _watched(instance)
        if connection is not None and is_closing(error):
            connection.lost(error)
    except Exception as failure:
        swallowed("openai.socket_lost", failure)


def _receive(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        frame = wrapped(*args, **kwargs)
    except BaseException as error:
        _raised(instance, error)
        raise
    _received(instance, frame)
    return frame


async def _receive_async(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        frame = await wrapped(*args, **kwargs)
    except BaseException as error:
        _raised(instance, error)
        raise
    _received(instance, frame)
    return frame


def _close(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The program closes the connection (a coroutine for the asynchronous one)."""
    try:
        connection = _watched(instance)
        if connection is not None:
            connection.closed()
    except Exception as error:
        swallowed("openai.socket_close", error)
    return wrapped(*args, **kwargs)


# -- the taps --------------------------------------------------------------------------------------------


def tap(name: str, telemetry_of: TelemetryOf) -> Wrapper:
    """The tap of a place of :mod:`socket_places`, by its name."""
    made: Wrapper = _TAPS[name](telemetry_of)
    return made


_TAPS: Final[Mapping[str, Callable[[TelemetryOf], Wrapper]]] = {
    "enter": _enter,
    "enter_async": _enter_async,
    "connect": lambda _: _enter(None),
    "connect_async": lambda _: _enter_async(None),
    "queue": lambda _: _queue,
    "send": lambda _: _send(unparsed=False),
    "send_async": lambda _: _send_async(unparsed=False),
    "send_raw": lambda _: _send(unparsed=True),
    "send_raw_async": lambda _: _send_async(unparsed=True),
    "receive": lambda _: _receive,
    "receive_async": lambda _: _receive_async,
    "close": lambda _: _close,
}
