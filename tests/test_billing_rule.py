"""Which failures may have been billed, by status, code and name."""

from __future__ import annotations

import pytest

from spantally.ground.billing import is_refusal, is_server_error, refuses


@pytest.mark.parametrize("status", [302, 400, 401, 404, 408, 409, 429, 499, 529])
def test_a_status_that_refuses(status: int) -> None:
    """Nobody did the work."""
    assert refuses(status)
    assert is_refusal(str(status))
    assert not is_server_error(str(status))


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 599])
def test_a_status_of_a_server_error(status: int) -> None:
    """Somebody may have done it."""
    assert not refuses(status)
    assert not is_refusal(str(status))
    assert is_server_error(str(status))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai.InternalServerError", True),
        ("google.genai.errors.ServerError", True),
        ("anthropic.ServiceUnavailableError", True),
        ("api_error", True),
        ("server_error", True),
        ("internal_server_error", True),
        ("200", False),
        ("overloaded_error", False),
        ("anthropic.OverloadedError", False),
        ("openai.RateLimitError", False),
        ("rate_limit_exceeded", False),
        ("ValueError", False),
        ("", False),
    ],
)
def test_what_a_server_error_is_called(name: str, expected: bool) -> None:
    """Where others tell of a call, there is only a name."""
    assert is_server_error(name) is expected
    assert is_refusal(name) is (name in ("overloaded_error", "rate_limit_exceeded"))


def test_200_is_neither() -> None:
    """What was answered was not refused."""
    assert not refuses(200)
    assert not is_refusal("²")
