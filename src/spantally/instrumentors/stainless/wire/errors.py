"""What an exception of an SDK says, by its fields: type, rejected or not, sent or not."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterator
from typing import Any, Final

from spantally.ground.billing import is_refusal, refuses
from spantally.instrumentors.stainless.wire.fields import field, integer, text

_CODE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}")
"""What a code looks like: some servers put whole sentences, even quoted input, into that field."""

_MOST_BYTES: Final = 65_536
"""Longest body of an attempt that is looked at."""

_NOT_SENT: Final = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "UnsupportedProtocol",
        "LocalProtocolError",
        "ProxyError",
        "InvalidURL",
        "CookieConflict",
        "ClientConnectorError",
        "ConnectionTimeoutError",
        "ServerTimeoutConnect",
        "ConnectionRefusedError",
        "SSLCertVerificationError",
        "gaierror",
    }
)
"""Class names of failures before the first byte of the request left."""

_LOST: Final = frozenset({"ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError"})
"""Classes, not bases, of aiohttp's for a connection that was there: its httpx transport calls them a time-out
while connecting."""

_SENT: Final = frozenset(
    {
        "APIConnectionError",
        "APIResponseValidationError",
        "TransportError",
        "DecodingError",
        "StreamError",
        "ClientError",
        "CancelledError",
        "Cancelled",
        "GreenletExit",
        "TimeoutError",
        "ConnectionError",
        "JSONDecodeError",
        "ValidationError",
        "LengthFinishReasonError",
        "ContentFilterFinishReasonError",
        "KeyboardInterrupt",
        "SystemExit",
        "GeneratorExit",
    }
)
"""Class names (also of bases) of failures that may come after the request was sent."""


def error_code(error: Any) -> str | None:
    """The code, else the type, of a provider's error object; None where there is no error.

    Args:
        error: the ``error`` of a body (an object, rarely a text), or anything with ``code`` and ``type``.
    """
    if error is None:
        return None
    for name in ("code", "type"):
        found = _code(field(error, name))
        if found is not None:
            return found
    found = _code(error)
    if found is not None:
        return found
    # An error is there, whatever it looks like, unless it is an empty object or False.
    return "_OTHER" if _says_something(error) else None


def error_type_of(exc: BaseException) -> str:
    """The ``error.type`` of an exception.

    The provider's code, else its type, else the HTTP status as text where that is one of an error, else the
    class's canonical name.
    """
    if not isinstance(exc, Exception):
        return class_name(type(exc))  # the code of a SystemExit is an exit code
    body = field(exc, "body")
    for source in (exc, field(body, "error"), body):
        found = _code(field(source, "code"))
        if found is not None:
            return found
    for source in (field(body, "error"), body, exc):
        found = _code(field(source, "type"))
        if found is not None:
            return found
    status = status_of(exc)
    return class_name(type(exc)) if status is None or status < 400 else str(status)


def class_name(kind: type) -> str:
    """The canonical name of an exception class: ``module.qualname``, without the module for built-ins."""
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def status_of(exc: BaseException) -> int | None:
    """The HTTP status that an exception carries, if any."""
    status = integer(field(exc, "status_code"))
    if status is None:
        status = integer(field(field(exc, "response"), "status_code"))
    return status if status is not None and 100 <= status <= 599 else None


def is_rejection(exc: BaseException) -> bool:
    """True for an answer that says that the work was not done: it is not billed.

    A status says so (4xx, 429 included, 529), or the body of a server error (``rate_limit_exceeded``).
    """
    status = status_of(exc)
    return status is not None and (refuses(status) or (status >= 500 and told_refusal(exc)))


def body_refuses(content: bytes) -> bool:
    """True where the JSON body of a server error tells of a rejection."""
    if len(content) > _MOST_BYTES:
        return False
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return says_refused(field(body, "error")) or says_refused(body)


def says_refused(error: Any) -> bool:
    """True where an error object of a body or event is of a kind that stands for a rejection.

    Args:
        error: as for :func:`error_code`.
    """
    return any(
        code is not None and is_refusal(code)
        for code in (_code(field(error, "code")), _code(field(error, "type")), _code(error))
    )


def told_refusal(exc: BaseException) -> bool:
    """True where an exception was raised for an event, or a body, that tells of a rejection."""
    body = field(exc, "body")
    return says_refused(field(body, "error")) or says_refused(body)


def was_sent(exc: BaseException) -> bool:
    """True if the request may have reached the provider, so that a call without usage may be billed.

    A failure to connect was not sent; a timeout, a lost connection, a cancellation and a bad answer may
    have been. An exception that has nothing to do with HTTP was raised before the request left, unless it
    came up where an answer was waited for, as a worker's time limit does.
    """
    if status_of(exc) is not None:
        return True
    sent = refused = False
    for one in _chain(exc):
        if type(one).__name__ in _LOST:
            return True
        names = {base.__name__ for base in type(one).__mro__}
        refused = refused or not names.isdisjoint(_NOT_SENT)
        sent = sent or not names.isdisjoint(_SENT)
    return (sent or _while_waiting(exc)) and not refused


def _while_waiting(exc: BaseException) -> bool:
    """True if it came up, from a signal say, in the HTTP library while that was receiving.

    Limits of workers raise what they like where the program happens to be (Celery's
    ``SoftTimeLimitExceeded``, ``gevent.Timeout``), and so do exceptions that are set from another thread.
    """
    for frame, _ in traceback.walk_tb(exc.__traceback__):
        if frame.f_code.co_name.startswith("_receive"):
            library = str(frame.f_globals.get("__name__"))
            if library.startswith("httpcore"):
                return True
    return False


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """An exception and what it was raised from, outermost first.

    What it was merely raised *during* does not count: that may be the program's own earlier failure.
    """
    one: BaseException | None = exc
    for _ in range(16):
        if one is None:
            return
        yield one
        one = one.__cause__


def _code(value: Any) -> str | None:
    number = integer(value)
    found = str(number) if number is not None else text(value)
    return found if found is not None and _CODE.fullmatch(found) else None


def _says_something(error: Any) -> bool:
    return (
        any(field(error, name) is not None for name in ("code", "type", "message")) or text(error) is not None
    )
