"""Keys that stand in headers: whatever opens a request is hidden wherever it turns up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.secrets import remember_secret

_TELLING: Final = (
    "authorization",
    "api-key",
    "x-api-key",
    "proxy-authorization",
    "x-goog-api-key",
    "x-amz-security-token",
)
_SCHEMES: Final = ("bearer", "basic", "token")


def remember_sent(request: Any) -> None:
    """Hide what a request was sent with.

    Args:
        request: of the HTTP client.
    """
    remember_headers(request.headers)


def remember_headers(headers: Any) -> None:
    """Hide what headers open a request with.

    Args:
        headers: names and values.
    """
    if headers and isinstance(headers, Mapping):
        for name, value in headers.items():
            _remember_header(name, value)


def _remember_header(name: Any, value: Any) -> None:
    if not isinstance(name, str) or not isinstance(value, str) or name.lower() not in _TELLING:
        return
    scheme, space, credential = value.partition(" ")
    remember_secret(credential.strip() if space and scheme.lower() in _SCHEMES else value)
