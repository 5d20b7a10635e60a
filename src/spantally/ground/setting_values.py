"""What a value of each kind of setting may be: a parser a kind, and the limits of ids, tags and baggage.

Each takes the name that the user knows the setting by, for the message, and the value as it was given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from spantally.ground.errors import SettingsError, shown

CAPTURE_MODES: Final = ("no_content", "span_only", "event_only", "span_and_event")
STREAM_USAGE_MODES: Final = ("unknown", "request", "estimate")
COEXIST_MODES: Final = ("yield", "own")
CONSOLE_MODES: Final = ("off", "summary", "full")
EXPORT_FILTERS: Final = ("all", "genai")
LEDGER_CONTENT_MODES: Final = ("never", "explicit", "all")
PII_KINDS: Final = ("iban", "card", "ssn", "email", "ip", "phone")
"""Personal data that redaction knows; where two overlap, the earlier names the whole."""

MAX_ID_LENGTH: Final = 256
"""Longest session, user or entity id, in characters."""
MAX_TAGS: Final = 48
"""Most tags in force at once; W3C Baggage promises only 64 members, and ours need a few."""
MAX_TAG_KEY: Final = 64
MAX_TAG_VALUE: Final = 256
MAX_BAGGAGE_BYTES: Final = 8192
"""Limit of the W3C Baggage specification for the whole header."""
MAX_ID_BYTES: Final = 640
"""Most bytes of an id as baggage, percent-encoded: six ids, their keys and the tags then fit together."""

_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})
_TAG_KEY_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./")


def parse_bool(name: str, value: object) -> bool:
    """Read a truth value: true, 1, yes, on / false, 0, no, off in any case.

    Raises:
        SettingsError: for anything else.
    """
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise SettingsError(f"{name}={shown(value)} is not a truth value; use true or false")


def parse_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """Read one of ``choices``, in any case.

    Raises:
        SettingsError: for anything else.
    """
    text = value.strip().lower() if isinstance(value, str) else None
    if text in choices:
        return text
    raise SettingsError(f"{name}={shown(value)} is not allowed; use one of: {', '.join(choices)}")


def parse_console(name: str, value: object) -> str:
    """Read a mode of the live view: off, summary, full, or a truth value, whose true is full.

    Raises:
        SettingsError: for anything else.
    """
    if isinstance(value, bool):
        return "full" if value else "off"
    if isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        return "full" if value.strip().lower() in _TRUE else "off"
    return parse_choice(name, value, CONSOLE_MODES)


def parse_id(name: str, value: object) -> str:
    """Read an id of a session, user or conversation: 1 to 256 printable characters, 640 bytes as baggage.

    Raises:
        SettingsError: for another type, an empty or overlong text, or control characters.
    """
    if not isinstance(value, str):
        raise SettingsError(f"{name}={shown(value)} must be a string, not {type(value).__name__}")
    if not 1 <= len(value) <= MAX_ID_LENGTH:
        raise SettingsError(
            f"{name}={value[:40]!r} has {len(value)} characters; an id has 1 to {MAX_ID_LENGTH}"
        )
    if not value.isprintable() or value != value.strip():
        raise SettingsError(
            f"{name}={value[:40]!r} holds control characters or outer spaces; "
            "use printable text without spaces around it"
        )
    if len(value) > _SURELY_FITS and (size := _bytes_of_id(value)) > MAX_ID_BYTES:
        raise SettingsError(
            f"{name}={value[:40]!r} takes {size} bytes as baggage, percent-encoded; "
            f"use a shorter id, of at most {MAX_ID_BYTES} (a letter beyond ASCII takes 6 to 12 bytes)"
        )
    return value


_MOST_BYTES: Final = 12
"""Bytes that one character takes at most, percent-encoded."""
_SURELY_FITS: Final = MAX_ID_BYTES // _MOST_BYTES
"""Characters that fit whatever they are."""


def parse_entity(name: str, value: object) -> tuple[str, str]:
    """Read an entity: ``("type", "id")`` or ``"type:id"``, split at the first colon.

    Raises:
        SettingsError: for anything else.
    """
    if isinstance(value, str):
        kind, colon, ident = value.partition(":")
        if colon and kind and ident:
            return parse_id(f"{name} type", kind), parse_id(f"{name} id", ident)
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        kind, ident = value
        kind = parse_id(f"{name} type", kind)
        if ":" not in kind:
            return kind, parse_id(f"{name} id", ident)
    raise SettingsError(
        f"{name}={shown(value)} is not an entity; use ('customer', 'acme') or 'customer:acme' "
        "(the type holds no colon)"
    )


def parse_tags(name: str, value: object) -> tuple[tuple[str, str], ...]:
    """Read tags: a mapping of text to text, or ``"k=v,k=v"`` with percent-encoded values.

    Returns:
        Pairs sorted by key.

    Raises:
        SettingsError: where a key or value is not allowed, or there are too many.
    """
    if isinstance(value, str):
        from urllib.parse import unquote  # here and below: it brings much that redaction alone does not need

        pairs: dict[Any, Any] = {}
        for part in value.split(","):
            if not part.strip():
                continue
            key, equals, text = part.partition("=")
            if not equals:
                raise SettingsError(f"{name}: {shown(part)} is not a tag; use key=value, several by commas")
            pairs[unquote(key.strip())] = unquote(text.strip())
    elif isinstance(value, Mapping):
        pairs = dict(value)
    else:
        raise SettingsError(f"{name}={shown(value)} must be a mapping of text to text, or 'k=v,k=v'")
    if len(pairs) > MAX_TAGS:
        raise SettingsError(f"{name}: {len(pairs)} tags; at most {MAX_TAGS} may be in force (baggage limit)")
    at_most = 0
    for key, text in pairs.items():
        if (
            not isinstance(key, str)
            or not 1 <= len(key) <= MAX_TAG_KEY
            or not _TAG_KEY_CHARACTERS.issuperset(key)
        ):
            raise SettingsError(
                f"{name}: tag key {shown(key)} is not allowed; use up to {MAX_TAG_KEY} letters, "
                "digits and _-./"
            )
        if not isinstance(text, str):
            raise SettingsError(f"{name}: tag {shown(key)} has value {shown(text)}; a tag value is a string")
        if len(text) > MAX_TAG_VALUE or (text and not text.isprintable()):
            raise SettingsError(
                f"{name}: value of tag {shown(key)} ({len(text)} characters) is not allowed; "
                f"use at most {MAX_TAG_VALUE} printable characters"
            )
        at_most += len("spantally.tag.") + 3 * len(key) + 2 + _MOST_BYTES * len(text)
    if at_most > MAX_BAGGAGE_BYTES // 2 and (size := _bytes_of_tags(pairs)) > MAX_BAGGAGE_BYTES // 2:
        raise SettingsError(
            f"{name}: the tags take {size} bytes as baggage; at most {MAX_BAGGAGE_BYTES // 2} are allowed, "
            f"so that ids fit within the {MAX_BAGGAGE_BYTES} of W3C Baggage"
        )
    return tuple(sorted(pairs.items()))


def _bytes_of_id(value: str) -> int:
    """How long an id is as baggage, percent-encoded."""
    from urllib.parse import quote_plus

    return len(quote_plus(value))


def _bytes_of_tags(pairs: Mapping[str, str]) -> int:
    """How long tags are as baggage, percent-encoded."""
    from urllib.parse import quote, quote_plus

    return sum(
        len("spantally.tag.") + len(quote_plus(key)) + 2 + len(quote(text, safe=""))
        for key, text in pairs.items()
    )


def parse_ledger(name: str, value: object) -> object:
    """Read the ledger argument: a path, ``":memory:"``, False (none), or an object of the store contract.

    Raises:
        SettingsError: for other types and an empty path.
    """
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if isinstance(path, str) and "\0" in path:
        raise SettingsError(f"{name}={path!r} is no path; use one without NUL characters")
    if isinstance(value, str):
        if not value.strip():
            raise SettingsError(f"{name} is empty; use a path, ':memory:' or false")
        if value.strip().lower() in _FALSE:
            return False
        return value
    if value is False:
        return False
    if value is True or value is None or isinstance(value, (int, float, bytes)):
        raise SettingsError(
            f"{name}={shown(value)} is not a ledger; use a path, ':memory:', False or a store"
        )
    if isinstance(value, os.PathLike):
        return path
    missing = [part for part in ("write", "close") if not callable(getattr(value, part, None))]
    if missing:
        raise SettingsError(
            f"{name}={type(value).__name__} object lacks {', '.join(missing)}; "
            "pass a path, ':memory:', False or an object of spantally.ledger.Store"
        )
    return value


def parse_tools(name: str, value: object) -> tuple[str, ...]:
    """Read the functions to wrap: a sequence, or a text by commas, of ``package.module:function``.

    Raises:
        SettingsError: for an entry of another shape.
    """
    if isinstance(value, str):
        entries: list[Any] = [part.strip() for part in value.split(",") if part.strip()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        entries = list(value)
    else:
        raise SettingsError(f"{name}={shown(value)} must be a list of 'package.module:function'")
    for entry in entries:
        module, colon, path = entry.partition(":") if isinstance(entry, str) else ("", "", "")
        parts = (*module.split("."), *path.split("."))
        if not colon or not all(part.isidentifier() for part in parts):
            raise SettingsError(
                f"{name}: {shown(entry)} is not allowed; use 'package.module:function' or '...:Class.method'"
            )
    return tuple(entries)


def parse_pii(name: str, value: object) -> tuple[str, ...]:
    """Read kinds of personal data: True or ``"all"``, False or ``"none"``, some of them, or a text by commas.

    Returns:
        The kinds, in the order of :data:`PII_KINDS`.

    Raises:
        SettingsError: for a kind that is not known, and another type.
    """
    allowed = f"use true, false, or some of: {', '.join(PII_KINDS)}"
    if isinstance(value, bool):
        return PII_KINDS if value else ()
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _TRUE or text == "all":
            return PII_KINDS
        if text in _FALSE or text in ("none", ""):
            return ()
        kinds: list[Any] = [part.strip() for part in text.split(",") if part.strip()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        kinds = list(value)
    else:
        raise SettingsError(f"{name}={shown(value)} names no kinds of personal data; {allowed}")
    for kind in kinds:
        if kind not in PII_KINDS:
            raise SettingsError(f"{name}: {shown(kind)} is no kind of personal data; {allowed}")
    return tuple(kind for kind in PII_KINDS if kind in kinds)


def parse_path(name: str, value: object) -> str:
    """Read the path of a file.

    Raises:
        SettingsError: for another type and an empty path.
    """
    if isinstance(value, str) and value.strip():
        return value
    raise SettingsError(f"{name}={shown(value)} is not the path of a file")


def parse_url(name: str, value: object) -> str:
    """Read a URL that is downloaded from: http, https or file.

    Raises:
        SettingsError: for anything else.
    """
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith(("http://", "https://", "file:///")) and text.isprintable() and " " not in text:
        return text
    raise SettingsError(
        f"{name}={shown(value)} is not a URL; use one that begins with https://, http:// or file:///"
    )


def parse_size(name: str, value: object) -> int:
    """Read a number of characters or bytes, from 1,000 up.

    Raises:
        SettingsError: for anything else.
    """
    number: object = value
    if isinstance(value, str):
        text = value.strip().replace("_", "")
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None
    if isinstance(number, int) and not isinstance(number, bool) and _MIN_SIZE <= number < 10**_MAX_DIGITS:
        return int(number)
    raise SettingsError(f"{name}={shown(value)} is not a size; use a whole number from {_MIN_SIZE} up")


_MIN_SIZE: Final = 1_000
_MAX_DIGITS: Final = 15


def parse_hosts(name: str, value: object) -> tuple[str, ...]:
    """Read host names: a sequence, or a text by commas.

    A name means the host and all beneath it, ``*.example.com`` only those beneath, ``*`` every host.

    Returns:
        The names in lower case, those of hosts beneath with a dot in front, ``*`` for every host.

    Raises:
        SettingsError: for what is no host name, a URL or a port among them.
    """
    if isinstance(value, str):
        entries: list[Any] = [part for part in value.split(",") if part.strip()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        entries = list(value)
    else:
        raise SettingsError(f"{name}={shown(value)} must be a list of host names")
    found = []
    for entry in entries:
        text = entry.strip().lower() if isinstance(entry, str) else ""
        if text == "*":
            found.append(text)
            continue
        host = text.rstrip(".")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        bare = host.removeprefix("*.").removeprefix(".")
        if not bare or _NO_HOST.intersection(bare) or bare.count(":") == 1:
            raise SettingsError(
                f"{name}: {shown(entry)} is not allowed; use the name of a host without scheme and port, as "
                "in api.example.com or *.example.com, or * for all"
            )
        found.append(host.removeprefix("*"))
    return tuple(found)


_NO_HOST: Final = frozenset("*/?#@,[]\\ \t")
