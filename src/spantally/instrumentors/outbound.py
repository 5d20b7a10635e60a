"""Which hosts may be told whose work a request is, and taking that out of what goes to the others."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

from spantally.ground import semconv

BAGGAGE: Final = "baggage"
"""Name of the header."""

SDK_SIGN: Final = "x-stainless-lang"
"""A request that has it is of a generated SDK (openai, anthropic and others): it goes to a model provider,
whatever its host and endpoint are."""

_denied: tuple[str, ...] = ()
_allowed: tuple[str, ...] = ()


def use_hosts(*, deny: tuple[str, ...] | None, allow: tuple[str, ...] | None) -> None:
    """Put lists of hosts into force, as :func:`spantally.ground.setting_values.parse_hosts` gives them.

    Args:
        deny: hosts that must not be told, beside model providers; None leaves the list in force.
        allow: the only hosts that may be told, empty for all; None leaves the list in force.
    """
    global _denied, _allowed
    if deny is not None:
        _denied = deny
    if allow is not None:
        _allowed = allow
    takes_our_keys.cache_clear()


@lru_cache(maxsize=1024)
def takes_our_keys(host: str) -> bool:
    """False for hosts that session, user, entity and tags are kept from: model providers and those denied.

    Args:
        host: as in the URL, without port.
    """
    from spantally.instrumentors.stainless.wire.hosts import priced_provider  # not before the first request

    name = host.lower().strip("[]").rstrip(".")
    if _is_among(name, _denied) or (_allowed and not _is_among(name, _allowed)):
        return False
    return priced_provider(name) is None


def _is_among(name: str, hosts: tuple[str, ...]) -> bool:
    return any(
        host == "*" or (name.endswith(host) if host[0] == "." else name == host or name.endswith(f".{host}"))
        for host in hosts
    )


def cleaned(value: str) -> str | None:
    """A baggage header without entries of ours, the others as they are; None where nothing is left.

    Args:
        value: of the header.
    """
    members = value.split(",")
    kept = [member for member in members if not semconv.is_own_baggage(_key_of(member))]
    if len(kept) == len(members):
        return value
    return ",".join(kept).strip() or None


def _key_of(member: str) -> str:
    return unquote_plus(member.partition("=")[0].strip())
