"""Keys of a client: whatever opens its requests is hidden wherever it turns up, however it was given.

A key may be a text, come from a function at each request, be a token of Azure's directory, or stand in a
header that the program sets itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spantally.calls.secrets import remember_secret

_HELD: Final = ("api_key", "admin_api_key", "_azure_ad_token", "webhook_secret")
_PROVIDERS: Final = ("_api_key_provider", "_azure_ad_token_provider")
_TELLING: Final = ("authorization", "api-key", "x-api-key", "proxy-authorization", "x-goog-api-key")
_SCHEMES: Final = ("bearer", "basic", "token")


def remember_keys(client: Any, options: Any) -> bool:
    """Hide what a client holds and what a request adds, from now on.

    Args:
        client: of the SDK.
        options: of the request.

    Returns:
        True where a function gives the key: then :func:`remember_sent` learns it from the request.
    """
    held = getattr(client, "__dict__", None)
    if held is None:  # what stands for a client where a websocket is used
        held = {name: getattr(client, name, None) for name in _HELD}
    for name in _HELD:
        value = held.get(name)
        if value is not None:
            remember_secret(value)
    for headers in (held.get("_custom_headers"), getattr(options, "headers", None)):
        if headers and isinstance(headers, Mapping):
            for name, value in headers.items():
                _remember_header(name, value)
    return any(held.get(name) is not None for name in _PROVIDERS)


def remember_sent(request: Any) -> None:
    """Hide what a request was sent with.

    Args:
        request: of the HTTP client.
    """
    for name, value in request.headers.items():
        _remember_header(name, value)


def _remember_header(name: Any, value: Any) -> None:
    if not isinstance(name, str) or not isinstance(value, str) or name.lower() not in _TELLING:
        return
    scheme, space, credential = value.partition(" ")
    remember_secret(credential.strip() if space and scheme.lower() in _SCHEMES else value)
