"""Which hosts may be told whose work a request is: not those of model providers."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1024)
def takes_our_keys(host: str) -> bool:
    """False for hosts that session, user, entity and tags are kept from.

    Args:
        host: as in the URL, without port.
    """
    from spantally.instrumentors.openai.wire.provider import HOSTS  # not before the first request

    name = host.lower().rstrip(".")
    return not any(name == known or name.endswith(f".{known}") for known, _ in HOSTS)
