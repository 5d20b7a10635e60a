"""The redactor used where none is given, with the secrets of the environment."""

from __future__ import annotations

import threading
from typing import Final

from spantally.ground.errors import ArgumentError
from spantally.redaction import registry
from spantally.redaction.redactor import Redactor

_default: Redactor | None = None
_default_lock: Final = threading.Lock()


def default_redactor() -> Redactor:
    """The redactor used where none is given; made at the first call, with the environment's secrets."""
    global _default
    if _default is None:
        registry.follow_environment()
        # No lock is held meanwhile: a wrong setting is said in a line, which is redacted, and comes here.
        made = Redactor()
        with _default_lock:
            if _default is None:
                _default = made
    return _default


def redact(text: str, key: str | None = None) -> str:
    """``text`` without its secrets, by the default rules.

    Each secret is replaced by ``[REDACTED:type:hmac8]``; a text whose scan fails by ``[REDACTED:error]``.

    Args:
        text: any string.
        key: the name under which it stands, such as an attribute's or a field's.

    Raises:
        ArgumentError: (a ValueError) for what is no text.
    """
    given: dict[str, object] = {"text": text, **({} if key is None else {"key": key})}
    for name, value in given.items():
        if not isinstance(value, str):
            # Its type alone: it may hold a secret.
            raise ArgumentError(
                f"redact({name}=...) of type {type(value).__name__}: use a text; "
                "spantally.Redactor().value(...) takes values of any shape"
            )
    return default_redactor().text(text, key)
