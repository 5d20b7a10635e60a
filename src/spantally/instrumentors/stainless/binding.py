"""Clients that are bound to somebody: a copy of the SDK's client that names whose its calls are."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

from opentelemetry.context import Context

BOUND: Final = "_spantally_bound"
"""Name under which what is bound hangs on a client."""

_COPIES: Final = ("copy", "with_options")


class Bound(Protocol):
    """What a client is bound to."""

    def within(self, context: Context) -> Context:
        """The Context that a call of the client begins in."""


_WRAPPERS: Final = ("with_raw_response", "with_streaming_response")
"""What else holds the resources of a client, where it is made with the client."""

_SDKS: Final = ("openai._base_client", "anthropic._base_client")


def is_client(client: Any) -> bool:
    """Whether this is a client of an SDK that we instrument; no SDK is imported for it."""
    for name in _SDKS:
        sdk = sys.modules.get(name)
        if sdk is not None and isinstance(client, sdk.BaseClient) and not isinstance(client, type):
            return True
    return False


def bound_copy(client: Any, bound: Bound) -> Any:
    """A client of the same type, with the same connections, that is bound; the given one stays as it is.

    Args:
        client: the SDK's client, of whatever subclass.
        bound: what its calls carry.
    """
    made = copy.copy(client)  # the SDK's own copy() calls __init__, which a subclass may have changed
    for name, value in tuple(made.__dict__.items()):
        # Resources that the client has made hold the client that made them; others are made when asked for.
        held = getattr(value, "_client", None) is client
        if held and hasattr(type(client), name):
            del made.__dict__[name]
        elif held or name in _WRAPPERS:  # older SDKs make them all at once
            made.__dict__[name] = type(value)(made)
    made.__dict__[BOUND] = bound
    for name in _COPIES:
        if callable(getattr(type(client), name, None)):
            made.__dict__[name] = _copying(made, name, bound)
    return made


def _copying(client: Any, name: str, bound: Bound) -> Callable[..., Any]:
    method: Callable[..., Any] = getattr(type(client), name)

    def copied(*args: Any, **kwargs: Any) -> Any:
        """As the SDK's; the copy is bound to the same."""
        return bound_copy(method(client, *args, **kwargs), bound)

    copied.__name__ = name
    return copied


def bound_of(client: Any) -> Callable[[Context], Context] | None:
    """What makes the Context of a call of this client; None where it is bound to nobody."""
    bound = getattr(client, "__dict__", _NOTHING).get(BOUND)
    return None if bound is None else bound.within


def hand_on(client: Any, other: Any) -> None:
    """Bind what stands for a client to whatever the client is bound to."""
    bound = getattr(client, "__dict__", _NOTHING).get(BOUND)
    if bound is not None:
        other.__dict__[BOUND] = bound


_NOTHING: Final[dict[str, Any]] = {}
