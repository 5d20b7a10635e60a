"""Keys of a client: whatever opens its requests is hidden wherever it turns up, however it was given.

A key may be a text, a token, credentials of a cloud, or stand in a header that the program sets itself.
"""

from __future__ import annotations

from typing import Any, Final

from spantally.calls.secrets import remember_secret
from spantally.instrumentors.stainless.keys import may_add_headers, remember_headers

_HELD: Final = (
    "api_key",
    "auth_token",
    "webhook_key",
    "access_token",
    "aws_secret_key",
    "aws_session_token",
)
_PROVIDERS: Final = ("credentials", "_azure_ad_token_provider", "_token_cache")
"""What gives or fetches a token at each request."""


def remember_keys(client: Any, options: Any) -> bool:
    """Hide what a client holds and what a request adds, from now on.

    Args:
        client: of the SDK.
        options: of the request.

    Returns:
        True where what opens it is only known by the request: then ``remember_sent`` learns it from there.
    """
    held = vars(client)
    for name in _HELD:
        value = held.get(name)
        if value is not None:
            remember_secret(value)
    remember_headers(held.get("_custom_headers"))
    remember_headers(held.get("_custom_query"))
    remember_headers(getattr(options, "headers", None))
    remember_headers(getattr(options, "params", None))
    # Clouds sign or fetch a token for each request: only what is sent shows it.
    return any(held.get(name) is not None for name in _PROVIDERS) or may_add_headers(held.get("_client"))
