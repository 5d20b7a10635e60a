"""Keys of a client: whatever opens its requests is hidden wherever it turns up, however it was given.

A key may be a text, come from a function at each request, be a token of Azure's directory, or stand in a
header that the program sets itself.
"""

from __future__ import annotations

from itertools import repeat
from operator import is_not
from typing import Any, Final

from spantally.calls.secrets import known_secrets, remember_secret
from spantally.instrumentors.stainless.keys import OWN_CLIENTS, remember_headers

_HELD: Final = ("api_key", "admin_api_key", "_azure_ad_token", "webhook_secret")
_GIVERS: Final = (
    "_api_key_provider",
    "_azure_ad_token_provider",
    "_provider_runtime",
    "_workload_identity_auth",
)
"""What gives or fetches a key at each request."""

_SELDOM: Final = (*_HELD[1:], *_GIVERS)
"""What most clients have none of: they have an ``api_key``, which is a text."""
_NONE: Final = repeat(None)


def remember_keys(client: Any, options: Any) -> bool:
    """Hide what a client holds and what a request adds, from now on.

    Args:
        client: of the SDK.
        options: of the request.

    Returns:
        True where what opens it is only known by the request: then ``remember_sent`` learns it from there.
    """
    held = getattr(client, "__dict__", None)
    if held is None:  # what stands for a client where a websocket is used
        held = {name: getattr(client, name, None) for name in _HELD}
    get = held.get
    seldom = any(map(is_not, map(get, _SELDOM), _NONE))
    key = get("api_key")
    # Mostly the same key as at the call before, and known.
    if key is not None and (type(key) is not str or hash(key) not in known_secrets):
        remember_secret(key)
    if seldom:
        for name in _HELD[1:]:
            remember_secret(get(name))
    given = (
        get("_custom_headers"),
        get("_custom_query"),
        getattr(options, "headers", None),
        getattr(options, "params", None),
    )
    for one in filter(None, given):
        remember_headers(one)
    if seldom and any(get(name) is not None for name in _GIVERS):
        return True
    http_client = get("_client")
    return http_client is not None and type(http_client).__name__ not in OWN_CLIENTS
