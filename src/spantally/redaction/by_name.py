"""What the name of a value says of it: that all of it goes, or that random words are to be expected there."""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import names, shapes

_KEPT_KEY: Final = re.compile(
    r"(?:.*[._])?(?:ids?|uuid|fingerprint|hash|digest|checksum|etag|sha256|version|path|model|traceparent)\Z"
    r"|gen_ai\.usage\..*|spantally\.(?:call|cost|usage|agent)\b.*",
    re.IGNORECASE,
)
SCHEME_ONLY: Final = re.compile(
    r"[\s\"'\[\],]*(?:bearer|basic|token|apikey|digest|negotiate)?[\s\"'\[\],]*", re.IGNORECASE
)
_STAND_IN: Final = re.compile(
    r"(?i:[\[(<{*]{1,3}\s?(?:filtered|hidden|masked|omitted|protected|redacted|removed|scrubbed|secret|sensitive)"
    r"(?:\s(?:data|value))?\s?[\])>}*]{1,3})"
    r"|\$\{[A-Za-z_][\w.]{0,64}\}|\$[A-Z][A-Z0-9]{0,24}(?:_[A-Z0-9]{1,24}){1,4}|\{\{\s?[A-Za-z_][\w.]{0,64}\s?\}\}"
    r"|(?i:bearer|basic|token)\s[*.xX\u2022]{3,64}|[xX]{3,64}"
    r"|%\([a-z_]\w{0,64}\)s|<[A-Za-z]{2,16}(?:[ _-][A-Za-z]{2,16}){1,4}>"
)
"""What others put there: a word in brackets, the name of a variable, what somebody is to fill in."""
_NO_SECRETS: Final = frozenset(
    {"true", "false", "none", "null", "undefined", "enabled", "disabled", "required", "optional"}
)
_WHOLE: Final = frozenset({names.PASSWORD, names.SECRET, names.TOKEN, names.AUTH, names.COOKIE})
_OPEN_TO_IDS: Final = frozenset({"auth", "connectionstring", "connection_string"})
"""What a hash or a UUID under them is: nothing but a key."""
_LONG_ID: Final = 32

_LONGEST_NAME: Final = 64
_MOST_NAMES: Final = 4_096
_policies: Final[dict[str, tuple[int, bool]]] = {}


def policy(key: str) -> tuple[int, bool]:
    """What a key says of its value, and whether the rule of unknown vendors applies to it."""
    known = _policies.get(key)
    if known is None:
        known = (names.classify(key), _KEPT_KEY.match(key) is None)
        if len(key) <= _LONGEST_NAME and len(_policies) < _MOST_NAMES:
            _policies[key] = known
    return known


def goes_whole(text: str, kind: int, key: str = "") -> bool:
    """Whether the name alone decides over the value."""
    bare = text.strip()
    if not bare:
        return False
    if kind in _WHOLE:
        # A stand-in (true, ********) is no secret, but anything in doubt goes.
        return (
            any(map(str.isalnum, bare))
            and bare.lower() not in _NO_SECRETS
            and _STAND_IN.fullmatch(bare) is None
        )
    if kind != names.WEAK or shapes.is_placeholder(bare):
        return False
    if shapes.is_plain_id(bare):
        last = key.rpartition(".")[2].lower()
        return len(bare) >= _LONG_ID and (last in _OPEN_TO_IDS or (last == "token" and shapes.is_hex(bare)))
    if not shapes.looks_random(bare, 14) or shapes.is_provider_id(bare):
        return False
    from spantally.redaction.values import is_place  # its patterns take a fifth of the time of our import

    return not is_place(bare)
