"""Exceptions of the SDK by their fields: type, rejection, and whether the request was sent."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from spantally.instrumentors.stainless.wire.errors import (
    body_refuses,
    class_name,
    error_code,
    error_type_of,
    is_rejection,
    was_sent,
)


def _status_error(kind: type[openai.APIStatusError], status: int, body: object) -> openai.APIStatusError:
    response: Any = SimpleNamespace(status_code=status, headers={}, request=None)
    return kind("message with sk-secret", response=response, body=body)


class _Fake(Exception):
    """Stands for an exception of an HTTP library."""


def _named(name: str) -> Exception:
    made: Exception = type(name, (_Fake,), {})("x")
    return made


def _raised_from(outer: Exception, inner: BaseException) -> BaseException:
    try:
        raise outer from inner
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": "rate_limit_exceeded", "type": "tokens", "message": "m"}, "rate_limit_exceeded"),
        ({"code": None, "type": "insufficient_quota"}, "insufficient_quota"),
        ({"error": {"code": "nested_code"}}, "nested_code"),
        ({"code": "no such model: my secret prompt"}, "429"),
        ("plain text", "429"),
        (None, "429"),
    ],
)
def test_the_providers_code_comes_before_type_and_status(body: object, expected: str) -> None:
    """A sentence is no code; without one the status as text remains."""
    assert error_type_of(_status_error(openai.RateLimitError, 429, body)) == expected


def test_without_an_answer_the_class_is_named() -> None:
    """Canonical names, built-ins without a module."""
    request: Any = None
    assert error_type_of(openai.APITimeoutError(request)) == "openai.APITimeoutError"
    assert error_type_of(asyncio.CancelledError()) == "asyncio.exceptions.CancelledError"
    assert error_type_of(ValueError("x")) == "ValueError"
    assert error_type_of(SystemExit(3)) == "SystemExit"
    assert class_name(json.JSONDecodeError) == "json.decoder.JSONDecodeError"


def test_the_status_of_an_answer_that_is_no_error_is_no_type() -> None:
    """What cannot be validated came with 200."""
    response: Any = SimpleNamespace(status_code=200, headers={}, request=None)
    found = openai.APIResponseValidationError(response=response, body="text")
    assert error_type_of(found) == "openai.APIResponseValidationError"
    assert error_type_of(_status_error(openai.InternalServerError, 500, None)) == "500"


def test_a_4xx_is_a_rejection_and_nothing_else_is() -> None:
    """The provider does not bill what it refused."""
    assert is_rejection(_status_error(openai.RateLimitError, 429, None))
    assert is_rejection(_status_error(openai.BadRequestError, 400, None))
    assert not is_rejection(_status_error(openai.InternalServerError, 500, None))
    assert not is_rejection(TimeoutError())
    assert is_rejection(_status_error(openai.InternalServerError, 503, {"type": "overloaded_error"}))
    assert not is_rejection(_status_error(openai.InternalServerError, 503, {"type": "server_error"}))
    assert body_refuses(b'{"error": {"code": "rate_limit_exceeded"}}')
    for content in (b"", b"<html>", b"[" * 9000, b'{"error": {"type": "server_error"}}', b"[]", b"7"):
        assert not body_refuses(content)


@pytest.mark.parametrize(
    ("cause", "sent"),
    [
        ("ConnectError", False),
        ("ConnectTimeout", False),
        ("PoolTimeout", False),
        ("UnsupportedProtocol", False),
        ("ReadTimeout", True),
        ("ReadError", True),
        ("RemoteProtocolError", True),
        ("WriteError", True),
    ],
)
def test_the_cause_of_a_connection_error_tells_if_it_was_sent(cause: str, sent: bool) -> None:
    """A failure to connect was never sent, a lost connection may have been."""
    request: Any = None
    error = _raised_from(openai.APIConnectionError(request=request), _named(cause))
    assert was_sent(error) is sent


@pytest.mark.parametrize(
    ("cause", "sent"),
    [("ServerDisconnectedError", True), ("ClientOSError", True), ("ClientConnectorError", False)],
)
def test_what_aiohttp_lost_is_no_failure_to_connect(cause: str, sent: bool) -> None:
    """Its httpx transport raises ``ConnectTimeout`` from either."""
    request: Any = None
    inner = _raised_from(_named("ConnectTimeout"), _named(cause))
    assert was_sent(_raised_from(openai.APITimeoutError(request), inner)) is sent


def test_an_earlier_failure_of_the_program_does_not_count() -> None:
    """What an exception was raised during, not from, is somebody else's."""
    request: Any = None
    error = openai.APITimeoutError(request)
    error.__context__ = _named("ConnectError")
    error.__cause__ = _named("ReadTimeout")
    assert was_sent(error)
    only_during = openai.APITimeoutError(request)
    only_during.__context__ = _named("ConnectError")
    assert was_sent(only_during)


def test_cancellation_and_answers_were_sent_and_local_errors_were_not() -> None:
    """A wrong argument never left the process."""
    assert was_sent(asyncio.CancelledError())
    assert was_sent(KeyboardInterrupt())
    assert was_sent(_status_error(openai.InternalServerError, 500, None))
    assert was_sent(ConnectionResetError())
    assert not was_sent(ConnectionRefusedError())
    assert not was_sent(TypeError("x"))
    assert not was_sent(openai.OpenAIError("no api key"))


def test_a_circle_of_causes_ends() -> None:
    """Somebody may link exceptions into a ring."""
    one, two = _named("A"), _named("B")
    one.__cause__, two.__cause__ = two, one
    assert was_sent(one) is False


def test_an_exception_whose_fields_raise_is_still_named() -> None:
    """Reading an error must not become another."""

    class Hostile(Exception):
        @property
        def code(self) -> str:
            raise RuntimeError("no")

        body = property(lambda self: 1 / 0)
        status_code = property(lambda self: 1 / 0)
        response = property(lambda self: 1 / 0)

    assert error_type_of(Hostile()).endswith("Hostile")
    assert is_rejection(Hostile()) is False


def test_the_code_of_an_error_object() -> None:
    """A code, else a type, else that something is there; an absent one is None."""
    assert error_code({"code": "c", "type": "t"}) == "c"
    assert error_code({"type": "t"}) == "t"
    assert error_code({"message": "it broke"}) == "_OTHER"
    assert error_code("overloaded") == "overloaded"
    assert error_code("it broke down") == "_OTHER"
    assert error_code(None) is None
    assert error_code({}) is None
    assert error_code(False) is None
