"""Keys of a client: whatever opens its requests is hidden wherever it turns up, however it was given.

A key may be a text, come from a function at each request, be a token of Azure's directory, or stand in a
header that the program sets itself.
"""

from __future__ import annotations

from typing import Any, Final

from spantally.calls.secrets import known_secrets, remember_secret
from spantally.instrumentors.stainless.keys import remember_headers

_HELD: Final = ("api_key", "admin_api_key", "_azure_ad_token", "webhook_secret")
_KEY_PROVIDER: Final = "_api_key_provider"
_DIRECTORY: Final = "_azure_ad_token_provider"


def remember_keys(client: Any, options: Any) -> bool:
    """Hide what a client holds and what a request adds, from now on.

    Args:
        client: of the SDK.
        options: of the request.

    Returns:
        True where a function gives the key: then ``remember_sent`` learns it from the request.
    """
    held = getattr(client, "__dict__", None)
    if held is None:  # what stands for a client where a websocket is used
        held = {name: getattr(client, name, None) for name in _HELD}
    for name in _HELD:
        value = held.get(name)
        # Mostly the same key as at the call before, and known.
        if value is not None and (type(value) is not str or hash(value) not in known_secrets):
            remember_secret(value)
    for headers in (held.get("_custom_headers"), getattr(options, "headers", None)):
        if headers:
            remember_headers(headers)
    return held.get(_KEY_PROVIDER) is not None or held.get(_DIRECTORY) is not None
