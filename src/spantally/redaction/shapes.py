"""What a value looks like: random or written by a person, an id that may stay, a stand-in for a secret."""

from __future__ import annotations

import functools
import re
from typing import Final

_DIGIT: Final = re.compile("[0-9]")
_CLASSES: Final = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "l" * 26 + "u" * 26 + "d" * 10,
)
_RUNS: Final = re.compile(r"l+|u+|d+|[^lud]")
_CAMEL: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_CONSONANTS: Final = re.compile("[bcdfghjklmnpqrstvwxz]{5}|[BCDFGHJKLMNPQRSTVWXZ]{7}")
_TURNS: Final = re.compile("(?<=[0-9])[A-Za-z]|(?<=[A-Za-z])[0-9]")
_LETTERS: Final = re.compile("[A-Za-z]{14,}")
_JOINED: Final = re.compile(r"[A-Za-z]{3,12}(?:-[A-Za-z]{3,12}){2,9}(?:-?[0-9]{1,4})?")
_HEX: Final = re.compile(r"(?:[0-9a-f]+|[0-9A-F]+)\Z")
_UUID: Final = re.compile(
    r"\{?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\}?\Z"
)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")
_POD: Final = re.compile(r"(?:pods?/)?[a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*-[0-9a-f]{8,10}-[a-z0-9]{5}\Z")
_SEALED: Final = re.compile("Ag[A-D][A-Za-z0-9+/]{60}")
"""How one begins whose key has up to 8192 bits: with the length of what RSA encrypted."""
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}")

KEPT_PREFIXES: Final = frozenset(
    """
    account acct ami arn asst aud ba batch build call card case ch channel chat chatcmpl chunk
    ci cmpl comment commit company contact container conv cs ctm ctx cus customer dataset deal
    doc dpl du embd etag eval evalrun event evt fc file folder fp fs ft ftckpt ftjob gen group i
    iauth ich id ii il img in ins inv invoice item job lead mandate mcp mcpl mcpr md5 member
    memory message modr msg msgbatch node nonce obj ord order org page part pay pi plink pm po post
    price prj prod proj project prompt prv qt re reasoning rect req request resp rev rlg rs run
    sess session setatt seti sha1 sha256 sha384 sha512 skill snap space span src srv srvtoolu step
    sub subnet task team thread ticket tool toolu tooluse tr trace txn txr upload user usr uuid vec
    vid video vol vpc vs vsfc wamid wf workflow wrkspc ws
    """.split()  # noqa: SIM905 - a block of words reads better than 80 quoted strings
)
"""First words of ids that providers give to objects; such an id opens nothing."""

_STAND_INS: Final = frozenset(
    """
    aarch64 amd64 any arm64 armhf bool boolean bytes change-me changeme default disabled empty enabled
    expired false float float32
    float64 hash hidden incorrect int int16 int32 int64 integer invalid login missing n/a na nil no none
    null number object optional passwd password plain required scram-sha-1 scram-sha-256 scram-sha-512
    secret secretstr str string tbd text todo token true type uint16 uint32 uint64 undefined unknown unset
    user username valid yes
    """.split()  # noqa: SIM905
)
_PLACEHOLDER: Final = r"""(?xi)
      \${1,2} [A-Za-z_]\w* (?: - (?: > .* )? )?
    | \${1,2} [{(\[] .* | % [(sd{] .* | % \w+ % | < [^>]* >? | \{ [^}]* \}{0,2} | \( .*
    | \#\{ .*
    | (?: \*+ | \.{2,} | -+ | _+ | \?+ | \u2026+ | \u2022+ ) .{0,8}     # *****, ..., ---
    | .{0,12} (?: \*{3} | \.{3} | \u2026 | \\{1,16}u2026 | \u2022{3} ) [*.\u2022]* .{0,8}  # sk-...abcd
    | x{3,} .{0,4} | (?: x{2,} [-.\ ] ){1,8} [0-9a-z]{0,4} | __ [A-Z_]{3,40} __
    | [A-Za-z_-]{1,16} \$\{ .* | .{0,12} x{6,}
    | (?: your | my | the | some | insert | enter | put | add | replace | change | fill | paste | set )
      (?: [-_ ] [a-z_ -]* | (?: api | secret | token | key | pass ) [a-z_ -]* )
    | your [-_ ] [0-9]{1,4} [-_ ] [a-z_ -]+
    | .{0,24} [-_] (?: here | goes[-_]here | placeholder | redacted | example )
    | (?: example | placeholder | redacted | filtered | hidden | masked | scrubbed | dummy | fake | sample )
      (?: [-_ ] [a-z_-]* )?
    | (?: env | keyring | ssm | kv | keyvault | sm | gcp | aws | file | cmd | pass ) : [A-Za-z_/.-]*
    | ! [A-Za-z]{2,14}
    | ! [a-z_/-]{0,12} (?: env | file | kms | param | ref | secret | sops | vault ) [a-z_/-]{0,12}
    | @ [\w./-]{1,80} \.
      (?: bin | conf | crt | env | ini | json | key | pass | pem | secret | toml | txt | ya?ml )
    | (?: confirmed | nullable | optional | required | sometimes | string )
      (?: \| [a-z_]+ (?: : [\w,./-]{1,40} )? )+
    | @ Microsoft\.KeyVault .* | \\{0,16} u003c .*
    | same-origin | include | omit
    | \[ (?: redacted | filtered | scrubbed | hidden | masked ) .*
    | (?: os\.|process\.env|env[.(\[]|import\.meta|getenv|secrets?\.|vault:|ref\+|op://
      |arn:|file:|config[.\[(]
      |settings[.\[(]|self[.\[]|this\.|args?\.|options?\.|params?\.|kwargs|request\.|data\[|st\.secrets ) .*
    """


_OPENINGS: Final = frozenset(
    """
    you my- my_ mya mys myt myk myp the som ins ent put add rep cha fil pas set exa pla red hid mas scr dum
    fak sam env key ssm kv: sm: gcp aws cmd inc omi os. pro imp get sec vau ref op: arn con sel thi arg opt
    par kwa req dat st. xxx u00 con nul som str
    """.split()  # noqa: SIM905
) | {"my "}
"""How stand-ins begin that begin with a letter; a test holds it against the pattern."""
_OPENING_SIGNS: Final = frozenset("$%<{(#*.-_?!@\\[")
_WITHIN: Final = ("***", "${", "...", "xxxxxx", "u2026")
_ENDINGS: Final = ("here", "placeholder", "redacted", "example")


def is_placeholder(value: str) -> bool:
    """True for a stand-in, not a secret: ``<your key>``, ``${TOKEN}``, ``os.environ[...]``, ``********``."""
    lower = value.lower()
    if lower in _STAND_INS:
        return True
    return may_be_placeholder(lower) and _placeholder().fullmatch(value, 0, 200) is not None


def may_be_placeholder(lower: str) -> bool:
    """Whether the long pattern of stand-ins has to be asked; it takes ten times as long as this look.

    Args:
        lower: a value in lower case.
    """
    return (
        lower[:3] in _OPENINGS
        or lower[:1] in _OPENING_SIGNS
        or any(map(lower.__contains__, _WITHIN))
        or lower.endswith(_ENDINGS)
        or not lower.isascii()
    )


@functools.cache
def _placeholder() -> re.Pattern[str]:
    return re.compile(_PLACEHOLDER)  # when it is first asked for: it takes a third of the time of this module


def has_digit(value: str) -> bool:
    """True if an ASCII digit is in ``value``."""
    return _DIGIT.search(value) is not None


def is_hex(value: str) -> bool:
    """True if ``value`` has hex digits of one case only."""
    return _HEX.match(value) is not None


def is_plain_id(value: str) -> bool:
    """True for a UUID, a bare hex hash, a trace context or a date: known shapes that open nothing."""
    return (
        _UUID.match(value) is not None
        or (_HEX.match(value) is not None and len(value) >= 6)
        or _TRACEPARENT.match(value) is not None
        or _TIME.match(value) is not None
    )


PUBLISHABLE: Final = ("pk_live_", "pk_test_")


def is_provider_id(value: str) -> bool:
    """True for the id of a provider's object, such as ``chatcmpl-...``, ``call_...`` or ``msg_...``.

    And for a key that its vendor calls publishable, which stands in web pages.
    """
    if value.startswith(PUBLISHABLE):
        return True
    for separator in ("_", "-"):
        head, found, _ = value.partition(separator)
        if found and head.lower() in KEPT_PREFIXES:
            return True
    return False


def is_pod(value: str) -> bool:
    """True for the name of a pod of Kubernetes: words, the hash of what it is made by, five letters."""
    return value.count("-") >= 2 and _POD.match(value) is not None


def is_sealed(value: str) -> bool:
    """True for a sealed secret of Kubernetes, which its cluster opens, and for what Vault logs of one."""
    return (value[:2] == "Ag" and _SEALED.match(value) is not None) or value.startswith("hmac-sha256:")


def looks_random(value: str, least: int) -> bool:
    """True if ``value`` has at least ``least`` characters and changes between letters and digits like noise.

    Words, camel case and versions change class seldom and at the seams of words; random text changes all
    the time. Hex digits of one case also count; the caller decides whether a bare hash is meant.

    Args:
        value: letters, digits and perhaps ``-_+/=.~``.
        least: the smallest length.
    """
    if len(value) < least:
        return False
    head = value[:128]
    classes = head.translate(_CLASSES)
    digits = classes.count("d")
    letters = len(head) - digits
    if digits < 2 or letters < 3:
        return False
    runs = _RUNS.findall(classes)
    long_words = sum(1 for run in runs if len(run) >= 6 and run[0] == "l")
    if long_words * 6 > len(head) * 0.35:
        return False
    changes = (len(runs) - 1) / (len(head) - 1)
    if "u" in classes and "l" in classes:
        return changes >= 0.4
    return digits >= 3 and changes >= 0.2


def case_noise(value: str) -> bool:
    """True if upper and lower case alternate as they do in random text: camel case has longer words."""
    head = value[:128]
    if head.islower() or head.isupper():
        return False
    parts = _CAMEL.findall(head)
    letters = sum(map(len, parts))
    if len(parts) >= 5 and letters <= 2.7 * len(parts):
        return True
    # Words of any language have vowels; of random letters one in five is one.
    return letters >= 12 and len(parts) >= 4 and sum(map(head.count, "aeiouAEIOU")) <= 0.27 * letters


def even_case(value: str) -> bool:
    """True for letters of which about half are capitals: of names in camel case one in five is."""
    return (
        len(value) >= 8
        and value.isascii()
        and value.isalpha()
        and 0.3 <= sum(map(str.isupper, value)) / len(value) <= 0.7
    )


def joined_words(value: str) -> int:
    """How many words a value is, if it is words of a phrase that hyphens join; else 0."""
    if not _JOINED.fullmatch(value):
        return 0
    return value.count("-") + 1


def is_gibberish(value: str) -> bool:
    """True if ``value`` holds a long run of letters that no language has: five consonants on end."""
    return any(_CONSONANTS.search(segment) is not None for segment in _LETTERS.findall(value[:256]))


def is_restless(value: str, least: int) -> bool:
    """True if letters and digits take turns five times or more: noise of one case, which no words do."""
    return len(value) >= least and len(_TURNS.findall(value[:128])) >= 5


def is_mixed(value: str) -> bool:
    """True if ``value`` is no single word: it has a letter and a digit, or a symbol that words lack."""
    digit = letter = symbol = False
    for char in value[:64]:
        if char.isdigit():
            digit = True
        elif char.isalpha():
            letter = True
        elif char not in "_-.,:/ " and (char.isascii() or char in "\u00a3\u00a7\u20ac"):
            symbol = True  # a mark of another script ends a sentence
    return (digit and letter) or (symbol and (digit or letter))
