"""Keys that stand in headers: whatever opens a request is hidden wherever it turns up."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from itertools import compress, repeat
from operator import itemgetter, ne, not_
from typing import Any, Final

from spantally.calls.secrets import known_secrets, note_known, opens, remember_secret

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
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "traceparent",
    }
)
_STEADY: Final = frozenset({"accept", "accept-encoding", "connection", "content-type", "host"})
"""Those of them that say the same with most requests."""
_LENGTH_NAME: Final = b"Content-Length"
_LENGTH: Final = repeat(_LENGTH_NAME)
_LONGEST_STEADY: Final = 48
"""Longest value of such a header that is remembered: what is longer has a boundary of its own in it."""

OWN_CLIENTS: Final = ("SyncHttpxClientWrapper", "AsyncHttpxClientWrapper")
"""What the SDKs make for themselves: it adds no header."""


def may_add_headers(http_client: Any) -> bool:
    """True for an HTTP client of the program's own, which may add headers and credentials to requests.

    Args:
        http_client: of an SDK's client.
    """
    return http_client is not None and type(http_client).__name__ not in OWN_CLIENTS


def remember_sent(request: Any) -> None:
    """Hide what a request was sent with.

    Nearly all of its headers are those of the request before: which were looked at is kept, by their hashes.

    Args:
        request: of the HTTP client.
    """
    sent, known = request.headers, known_secrets
    raw = getattr(sent, "raw", None)
    if type(raw) is not list:  # of a library that is not httpx
        remember_headers(sent)
        return
    # All of them but the length of the body are mostly those of some request before: one look tells.
    steady = hash(tuple(compress(raw, map(ne, map(itemgetter(0), raw), _LENGTH))))
    if steady in known:
        return
    learned = True
    for header in list(compress(raw, map(not_, map(known.__contains__, map(hash, raw))))):
        name, value = header[0].decode("latin-1").lower(), header[1]
        # What differs from request to request would fill the table, and holds no secret.
        done = name in _STEADY and len(value) <= _LONGEST_STEADY
        if name not in _PLAIN:
            done = _remember_header(name, value.decode("latin-1"))
        if done:
            note_known(hash(header))
        else:
            learned = learned and header[0] == _LENGTH_NAME
    if learned:
        note_known(steady)


def remember_headers(headers: Any) -> None:
    """Hide what headers, or parameters of a query, open a request with.

    Args:
        headers: names and values.
    """
    if headers and isinstance(headers, Mapping):
        for name, value in headers.items():
            if isinstance(name, str) and isinstance(value, str):
                _remember_header(name.lower(), value)


def _remember_header(name: str, value: str) -> bool:
    """Hide what a header opens a request with; False where that is to be tried again."""
    if name in _PLAIN or name.startswith("x-stainless-"):
        return True
    scheme, space, credential = value.partition(" ")
    has_scheme = bool(space) and scheme.lower() in _SCHEMES
    if has_scheme:
        value = credential.strip()
    if name in _TELLING or opens(name, value, has_scheme=has_scheme):
        done = remember_secret(value)
        if has_scheme and scheme.lower() == "basic":
            done = _remember_login(value) and done
        return done
    return True


def _remember_login(encoded: str) -> bool:
    """The password within the credential of ``Basic``."""
    try:
        _, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return True  # none
    return remember_secret(password)
