"""Which failures may have been billed: one rule, whoever tells of the failure (docs/decisions/0005)."""

from __future__ import annotations

from typing import Final

_OVERLOADED: Final = 529
"""Anthropic's status of a server that takes no more: the same as its ``overloaded_error``."""

_REFUSALS: Final = frozenset(
    {
        "authentication_error",
        "billing_error",
        "context_length_exceeded",
        "insufficient_quota",
        "invalid_api_key",
        "invalid_prompt",
        "invalid_request_error",
        "model_not_found",
        "not_found_error",
        "overloaded",
        "overloaded_error",
        "permission_error",
        "rate_limit_error",
        "rate_limit_exceeded",
        "request_too_large",
    }
)
"""Codes and types of errors that say of a request that it was not worked on."""

_SERVER_ERRORS: Final = (
    "internalserver",
    "internal_server",
    "servererror",
    "server_error",
    "serviceunavailable",
)
"""Parts of what libraries and providers call a server error, in lower case; and see ``api_error``."""


def refuses(status: int) -> bool:
    """True for an HTTP status that says that the provider did not do the work: 3xx, 4xx, 429, and 529."""
    return 300 <= status < 500 or status == _OVERLOADED


def is_refusal(code: str) -> bool:
    """True for the code or type of an error, or an HTTP status as a text, that stands for a refusal."""
    return refuses(int(code)) if code.isascii() and code.isdigit() else code.lower() in _REFUSALS


def is_server_error(name: str) -> bool:
    """True for what a server error is called where only a name tells of it.

    Args:
        name: the ``error.type`` of a span, or the name of an exception's class.
    """
    if name.isascii() and name.isdigit():
        return 500 <= int(name) < 600 and not refuses(int(name))
    lowered = name.lower()
    return lowered == "api_error" or any(part in lowered for part in _SERVER_ERRORS)
