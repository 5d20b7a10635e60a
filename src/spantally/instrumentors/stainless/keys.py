"""Keys that stand in headers: whatever opens a request is hidden wherever it turns up."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.secrets import opens, remember_secret

_TELLING: Final = (
    "authorization",
    "api-key",
    "x-api-key",
    "proxy-authorization",
    "x-goog-api-key",
    "x-amz-security-token",
)
_SCHEMES: Final = ("bearer", "basic", "token")
_PLAIN: Final = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host"}
)
_OWN_CLIENT: Final = ("SyncHttpxClientWrapper", "AsyncHttpxClientWrapper")
"""What the SDKs make for themselves: it adds no header."""


def may_add_headers(http_client: Any) -> bool:
    """True for an HTTP client of the program's own, which may add headers and credentials to requests.

    Args:
        http_client: of an SDK's client.
    """
    return http_client is not None and type(http_client).__name__ not in _OWN_CLIENT


def remember_sent(request: Any) -> None:
    """Hide what a request was sent with.

    Args:
        request: of the HTTP client.
    """
    remember_headers(request.headers)


def remember_headers(headers: Any) -> None:
    """Hide what headers, or parameters of a query, open a request with.

    Args:
        headers: names and values.
    """
    if headers and isinstance(headers, Mapping):
        for name, value in headers.items():
            if isinstance(name, str) and isinstance(value, str):
                _remember_header(name.lower(), value)


def _remember_header(name: str, value: str) -> None:
    if name in _PLAIN or name.startswith("x-stainless-"):
        return
    scheme, space, credential = value.partition(" ")
    has_scheme = bool(space) and scheme.lower() in _SCHEMES
    if has_scheme:
        value = credential.strip()
    if name in _TELLING or opens(name, value, has_scheme=has_scheme):
        remember_secret(value)
        if has_scheme and scheme.lower() == "basic":
            _remember_login(value)


def _remember_login(encoded: str) -> None:
    """The password within the credential of ``Basic``."""
    try:
        _, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return  # none
    remember_secret(password)
