"""Nearby: a value that looks like a secret beside a name that promises one, however the two are joined.

The last resort for ways of writing that no other rule knows: marks of any kind between the two, a few words
that end in "is" or "to", the next line, the value first. Only names that are clear, only values that nobody
writes by hand; never ids of objects, paths, dates or versions.
"""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import names, shapes
from spantally.redaction.spans import PAIR, Span

_VALUE: Final = r"""(?P<value>(?!&)[^\s"'`<>,;(){}\[\]|\\\u2502\u2503]{6,256})"""
_LEAD: Final = r"""(?:>|[-*]|`{3}\w{0,12}|\|-?|\w{1,16}:)"""

_ADJACENT: Final = re.compile(
    rf"""(?x)
    (?: \\{{0,16}}["'] (?: [ ][a-z-]{{2,16}}(?:=\\{{0,16}}["'][^"'<>\n]{{0,40}}["'])? ){{0,4}}
        [ ]value=\\{{0,16}}["']                                                   # of an element
      | \\{{0,16}}["'] (?: [ ]\[[^\]\n]{{1,24}}\] ){{0,3}} :[ ]       # what a browser shows
      | [^\w\n&]{{1,24}}                                                         # marks of any kind
      | [^\w\n]{{0,4}} \( [^()\n]{{1,24}} \) [^\w\n]{{1,6}}                     # (prod):
      | (?: [^\w\n&;,|]{{1,4}} [A-Za-z][\w'\u2019-]{{0,14}} ){{0,6}}
        [^\w\n]{{1,4}} (?:is|was|be|to|with|equals|value|expected|now|from|as|contains|reads|b|body|data
          |ist|lautet|est|es|er|\xe9|\xe8|\xe4r)
        [^\w\n]{{1,6}}
      | (?: [^\w\n&;,|]{{1,4}} [A-Za-z][\w'\u2019-]{{0,14}} ){{1,4}} [^\w\n]{{0,2}} (?:[:=]|->) [^\w\n]{{0,4}}
      | \?[ ]{{1,2}}(?:[Ii]t(?:'s|[ ]is)|[Tt]hat(?:'s|[ ]is)|[Uu]se|[Tt]ry)[ ][^\w\n]{{0,2}}
      | (?:[ ](?:is|below|follows))? [^\w\n]{{0,3}} [:?=] [^\w\n]{{0,3}}   # the next line
        (?: (?:\n|(?:\\{{1,16}}r)?\\{{1,16}}n) [^\S\n]{{0,8}} (?:{_LEAD} [^\S\n]{{0,4}})? ){{1,3}}
        (?:[Ii]t(?:'s|[ ]is)[ ])? [^\w\n]{{0,2}}
      | ["'\s:{{,=\]]{{1,12}}                                                      # its own object
        (?: ["']?(?i:type|kind|tier)["']? \s{{0,2}} : \s{{0,2}} ["']? \w{{1,24}} ["']? , \s{{0,4}} )?
        ["']?(?i:s|value|val|default|secret|prod(?:uction)?|dev(?:elopment)?|stag(?:e|ing)|test|live|sandbox|main
          |primary|secondary|current|old|new|us|eu|qa|uat)["']? \s{{0,2}} [:=] \s{{0,2}} ["'\[]{{0,2}}
    )
    {_VALUE}
    """
)
_SAID: Final = re.compile(
    r"(?:[ ][A-Za-z][\w'\u2019-]{0,14}){0,6}[ ](?:is|was|be|to|with|now|as|use)[ ][\"'`*(]{0,3}"
    r"(?P<value>[A-Za-z0-9_+/=.~-]{16,256})(?![A-Za-z0-9])"
)
_DASHED: Final = re.compile(
    r"[ ][\u2013\u2014\u2192][ ][\"'`*(]{0,3}(?P<value>[A-Za-z0-9_+/=.~-]{16,256})(?![A-Za-z0-9])"
)
_BELOW: Final = re.compile(
    r"(?:(?:[ ][A-Za-z][\w'\u2019-]{0,14}){1,6}:)?[*_`:]{0,4}[ ]?\r?\n"
    r"(?:[ ]{0,8}>?[ ]?\r?\n)?[ ]{0,8}(?:>[ ]|[-*][ ])?[\"'`*]{0,3}"
    r"(?P<value>[A-Za-z0-9_+/=.~-]{16,256})[\"'`*]{0,3}[ ]{0,4}(?=\r?\n|\Z)"
)
"""A line of its own below a title."""
_OF_OTLP: Final = re.compile(
    r"""(?x) \\{0,16} " \s{0,4} , \s{0,16} \\{0,16} "value\\{0,16}" \s{0,4} : \s{0,8} \{ \s{0,16}
    (?: \\{0,16} "arrayValue\\{0,16}" \s{0,4} : \s{0,8} \{ \s{0,16}
        \\{0,16} "values\\{0,16}" \s{0,4} : \s{0,8} \[
        \s{0,16} \{ \s{0,16} )?
    \\{0,16} "stringValue\\{0,16}" \s{0,4} : \s{0,4} \\{0,16} " (?P<value>[^\s"\\]{6,256})"""
)
"""An attribute in the JSON of OTLP."""
_FAR: Final = re.compile(
    r"[^\n]{0,48}?(?<![A-Za-z0-9_+/=.~-])(?P<value>[A-Za-z0-9_+/=.~-]{16,256})(?![A-Za-z0-9])"
)
_WEAK: Final = re.compile(
    r"(?P<words>(?:[ ][A-Za-z\xe9\xe8][\w'\u2019-]{0,14}){1,5})[ ]?(?:[:=]|->|=>)\s{0,2}[\"'`*(]{0,3}"
    r"(?P<value>[A-Za-z0-9_+/=.~-]{20,256})"
)
_SIMPLE: Final = re.compile(
    r"""(?x)
    (?: (?:\[[0-9]{0,4}\])? ["'`\])]{0,2} (?::[ ][\w.]{1,24}(?=[ ]=)|[ ]As[ ]String)? \s?
        (?: = | := | <- | -> | \u2192 | (?=\{["']) | ,[ ]<< )
        \s? (?: \{ | \w{0,12}Field\(default= )?
      | ["'\]]? (?: \s? [:=] )? \s? [\[{]? \s{0,8}
        (?: (?<=\s)-[ ] | ["']?(?i:prod(?:uction)?|dev|stag(?:e|ing)|test|live)["']? \s? (?:=>|[:=]) \s? )
      | :? \n`{3} \w{0,8} \n
      | \\{0,16} " , \s? \\{0,16} " value \\{0,16} " : \s? \{ \s? \\{0,16} " stringValue \\{0,16} " : \s?
    )
    [b@]? \\{0,8} ["']? (?P<value>[A-Za-z0-9]{8,64}) (?![\w./:@(=\[-]|\\{0,8}["']\s?(?::|=>))
    """
)
"""What joins a password to its name so closely that it may be letters and digits."""
_TURN: Final = re.compile("(?<=[0-9])[A-Za-z]|(?<=[A-Za-z])[0-9]")
_REFUSED: Final = re.compile(
    r"[ ]\\{0,16}[\"'`]?(?P<value>[A-Za-z0-9_+/=.~-]{16,256})\\{0,16}[\"'`]?,?[ ]"
    r"(?:(?:is|was|has|does|could|can|cannot|are)[ ])?(?:(?:not|been|be|no[ ]longer|already|now)[ ]){0,2}"
    r"(?:accepted|active|allowed|authenticated|authorized|blocked|compromised|correct|deactivated|disabled|exist|expired"
    r"|incorrect|invalid|leaked|rejected|recognized|revoked|rotated|suspended|unauthorized|unknown|valid|verified)"
    r"(?![\w-])"
)
"""What is said of a key or token that opens nothing."""
_OWN: Final = re.compile(r"[ ][\"'`*(]{0,3}(?P<value>[A-Za-z0-9_+/=.~-]{16,256})")
_IS_NONE: Final = re.compile(
    r"(?i)hash|sha|digest|print|sum|md5|\bids?\b|public|name|file|path|url|count|address|contract|used?\b"
)
_FIRST: Final = re.compile(
    rf"""(?x)
    (?<![\w+/=.~-]) {_VALUE} ["'`]?
    (?: [ \t]{{0,4}} [,;)\]}}]{{0,2}} [ \t]{{0,16}}
        (?: \#|//|--(?=[ ])|/\*|<!--|<-|\(|=>|->|\u2190 ) [ \t]{{0,4}}
        (?:[A-Za-z][\w'\u2019-]{{0,15}}[ ]){{0,4}}
      | [ ] (?:is|was|as|for) [ ] (?:(?:the|my|our|your|a|an|their|this)[ ])? (?:[\w./-]{{1,24}}[ ]){{0,3}}
      | \s{{1,4}} (?i:where) \s{{1,4}} ["'`]? \w{{0,24}} (?:name|key|id|field|variable) ["'`]? \s{{0,2}} =
        \s{{0,2}} ["']
      | (?:[ ][a-z-]{{1,20}}=["'][\w -]{{1,40}}["']){{0,3}}
        \\{{0,16}}["']?,?\s{{1,4}}
        \\{{0,16}}["']?(?:name|key|id|field|variable|element|label|forHTTPHeaderField)
        \\{{0,16}}["']? \s{{0,2}} [:=] \s{{0,2}} \\{{0,16}}["']
    ) \Z
    """
)
_BETWEEN: Final = re.compile(
    r"""(?x)
    (?: (?: \# | // | --[ ] | /\* | <!-- | <- | \( | => | -> | \u2190 ) [ \t]{0,4}
        (?:[A-Za-z][\w'\u2019-]{0,15}[ ]){0,4}
      | [ ] (?:is|was|as|for) [ ] (?:(?:the|my|our|your|a|an|their|this)[ ])? (?:[\w./-]{1,24}[ ]){0,3}
      | (?:name|key|id|field|variable|element|label|forHTTPHeaderField)
        \\{0,16}["']? \s{0,2} [:=] \s{0,2} \\{0,16}["']
    ) \Z
    """
)
"""What :data:`_FIRST` ends with; it takes a tenth of the time, and mostly there is none."""
_BETWEEN_REACH: Final = 128
_ASSIGNED: Final = re.compile(r"(?:--[a-z-]{0,40})?[A-Za-z_]\w{0,40}=\w")
_OF_CODE: Final = re.compile(r"\(|[ ]\*{1,2}[A-Za-z_]")
_FILE: Final = re.compile(r"\.[a-z]{1,5}\Z")
_NEXT_FIELD: Final = re.compile(r"&[A-Za-z_]\w{0,24}=")
"""Of a form: a value ends there."""
_FIELD: Final = ('value="', "value='", '"value": "', '"value":"', "'value': '", 'Value: "', "Value: '")
_LINKED: Final = ('href="', "href='", 'src="', "src='", 'href=\\"', 'src=\\"', "](", "](/")
"""Behind ``accesskey="n"`` of HTML."""
_PLACE: Final = re.compile(r"arn:[a-z-]{2,16}:[\w:/.-]{0,72}:\Z")
"""Before the place of a secret, which is none."""
_PRINT: Final = re.compile("[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
"""A fingerprint, or the number of a certificate."""
_ARGUMENT: Final = re.compile(r"[A-Za-z_]\w*=(?!=)")
_OF_A_PATH: Final = frozenset("/:")
_PUBLIC_KEYS: Final = ("AAAAB3NzaC1", "AAAAC3NzaC1", "AAAAE2VjZHNh", "AAAAGnNr", "AAAAInNr")
"""How public keys of SSH begin: with the length of the name of their kind, and it."""
_OF_A_BUILD: Final = re.compile(
    r"(?:\.[a-z]{1,5}:[0-9]{1,6}(?::[0-9]{1,6})?|[a-z]:v?[0-9]{1,4}(?:\.[0-9]{1,4}){1,3})\Z"
)
"""A line of a file, a version of a package: ``auth.js:93:41``, ``jjwt-api:3.17.1``."""
_ACCOUNT: Final = re.compile(r"0x[0-9a-fA-F]{40}\Z")
"""Of Ethereum: whom a contract belongs to, or it itself."""
_DIGESTS: Final = ("sha256:", "sha512:")
_HAS_NONE: Final = re.compile(
    r"""\\{0,16}["'`]?\s{0,2}[:=]\s{0,2}(?:\\{0,16}(?P<quote>["'])\\{0,16}(?P=quote)(?!["'])|null|None|~|\*{3,}|ENC\[)"""
)
"""Behind a name that has no value, or one that nobody can read, so that what follows is none of its."""
_OTHERS_NAME: Final = re.compile(
    r"(?<![A-Za-z])(?:[A-Za-z_]{0,24}(?:I[dD]|_id|Name|_name)|id)\\{0,16}[\"']?"
    r"(?:\s{0,2}[:=]\s{0,4}|[ ]{1,2})\\{0,16}[\"']?\Z"
)
"""``TopicId: ``, ``run_id=``, ``"id":"``, before a value: it is that of something else."""
_BRACKETED: Final = re.compile(
    r"[ ]\([^()\n]{1,32}\)[ ]?[:=][ ]{1,2}(?P<value>[A-Za-z0-9_+/=.~-]{16,256})(?![A-Za-z0-9])"
)
"""``ENCRYPTION_KEY (AES-256, hex): ...``."""
_ESCAPES: Final = re.compile(r"\\{1,16}[nrt]")
_WORD: Final = re.compile(r"\w")
_CALLED_ID: Final = re.compile(r"I[Dd][ ]{1,2}\Z")
"""``AAGUID ``, before what is then an id, whatever comes behind it."""
_BREAKS: Final = frozenset("nrt")
_LONG_HEX: Final = 32
AFTER: Final = 80
"""Characters behind a name in which its value may stand."""
FARTHEST: Final = 132 + 16
"""Characters behind a name in which a key must have begun and be sixteen characters long."""
_LINK: Final = re.compile(r"[#(=:<>\u2190]|//|--|/\*|[ ](?:is|was|as|for)[ ]")
"""What joins a value to the name behind it."""
_LINK_REACH: Final = 40
BEFORE: Final = 200
"""Characters before a name in which its value may stand."""
_STRONG: Final = frozenset({names.TOKEN, names.SECRET})
_GLUE: Final = frozenset("+/%~^.&@")
"""Behind these a name is part of something longer: base64, a path, an encoded field."""
_TRAILING: Final = ".!?:*"


def find_after(text: str, name_end: int, kind: int, taken: list[Span]) -> None:
    """Append a span for a value behind a clear name, whatever joins them.

    Args:
        text: what is scanned.
        name_end: where the name ends.
        kind: what the name promises.
        taken: receives the span.
    """
    if (kind not in _STRONG and kind != names.PASSWORD) or text[name_end : name_end + 1] in _GLUE:
        return
    simple = _SIMPLE.match(text, name_end) if kind == names.PASSWORD else None
    if simple is not None and _is_simple(simple["value"]):
        _take(simple, kind, taken)
        return
    if _HAS_NONE.match(text, name_end) is not None:
        return
    told = _OF_OTLP.match(text, name_end)
    if told is not None and kind in _STRONG and _is_long_id(told["value"]):
        _take(told, kind, taken)  # as it goes as an attribute
        return
    told = told or _SAID.match(text, name_end) or _BRACKETED.match(text, name_end)
    if told is not None and _is_told(told["value"].rstrip(_TRAILING), kind):
        _take(told, kind, taken)
        return
    below = _BELOW.match(text, name_end)
    if below is not None and kind in _STRONG and _is_told(below["value"], kind):
        _take(below, kind, taken)
        return
    hit = _ADJACENT.match(text, name_end)
    if hit is not None and text[hit.start("value") - 2 : hit.start("value")] in ("${", "$("):
        return
    if hit is None or not (
        _is_secret(hit["value"].rstrip(_TRAILING), kind)
        or (kind in _STRONG and hit["value"].isalnum() and _is_restless(hit["value"]))
    ):
        hit = _FAR.match(text, name_end) if kind in _STRONG else None
        if hit is None or not shapes.has_digit(hit["value"]) or not _is_noise(hit["value"]):
            return
    begin = hit.start("value")
    if (
        text[begin - 1] == "\\"
        and text[begin] in _BREAKS
        and _WORD.search(_ESCAPES.sub("", text[name_end : begin - 1])) is not None
    ):
        return  # on the next line, with words before its end
    if _PLACE.search(text, max(0, begin - 96), begin) is not None:
        return
    if _OTHERS_NAME.search(text, max(name_end, begin - 32), begin) is not None:
        return
    if not text.endswith(_LINKED, 0, hit.start("value")):
        _take(hit, kind, taken)


def find_weak(text: str, name_start: int, name_end: int, taken: list[Span]) -> None:
    """Append a span for noise behind a weak name and a few words: ``the token you wanted: ...``.

    Without any between, for what somebody calls his own: ``here is my token ...``.
    """
    if text.endswith("my ", 0, name_start):
        own = _OWN.match(text, name_end)
        if own is not None and _is_noise(own["value"].rstrip(_TRAILING)):
            _take(own, names.TOKEN, taken)
            return
    dashed = _DASHED.match(text, name_end)
    if dashed is not None and _is_told(dashed["value"].rstrip(_TRAILING), names.TOKEN):
        _take(dashed, names.TOKEN, taken)
        return
    if text.endswith("oken", 0, name_end) and (
        "." in text[name_start:name_end] or text[name_start - 1 : name_start] in _OF_A_PATH
    ):
        # "git config acme.token ...", "consul kv put acme/token ..."
        put = _OWN.match(text, name_end)
        if put is not None and _is_told(put["value"].rstrip(_TRAILING), names.TOKEN):
            _take(put, names.TOKEN, taken)
            return
    hit = _WEAK.match(text, name_end)
    if hit is None or _IS_NONE.search(hit["words"]) is not None:
        return
    value = hit["value"].rstrip(_TRAILING)
    if _is_noise(value) or (
        len(value) >= _LONG_HEX and shapes.is_hex(value) and text.endswith("oken", 0, name_end)
    ):
        _take(hit, names.TOKEN, taken)


def find_refused(text: str, name_end: int, taken: list[Span]) -> None:
    """Append a span for what stands between a weak name and its end: ``key ... is not valid``."""
    hit = _REFUSED.match(text, name_end)
    if hit is None:
        return
    value = hit["value"]
    if (
        _is_noise(value)
        or (value.isalnum() and _is_restless(value) and not shapes.is_hex(value))
        or (len(value) >= _LONG_HEX and text.endswith("oken", 0, name_end) and shapes.is_plain_id(value))
    ):
        _take(hit, names.TOKEN, taken)


def find_before(text: str, name_start: int, kind: int, taken: list[Span]) -> None:
    """Append a span for a value before a clear name: ``"...", # the API key``."""
    if kind not in _STRONG and kind != names.PASSWORD:
        return
    if _LINK.search(text, max(0, name_start - _LINK_REACH), name_start) is None:
        return
    if _BETWEEN.search(text, max(0, name_start - _BETWEEN_REACH), name_start) is None:
        return
    low = max(0, name_start - BEFORE)
    line = text.rfind("\n", low, name_start) + 1
    hit = _FIRST.search(text, max(low, line), name_start)
    if hit is None:
        return
    value = hit["value"].rstrip(_TRAILING)
    if shapes.is_plain_id(value) and _CALLED_ID.search(
        text, max(0, hit.start("value") - 12), hit.start("value")
    ):
        return
    # A field of a form says that it is one, so that its value may be simple.
    in_form = kind == names.PASSWORD and text.endswith(_FIELD, 0, hit.start("value"))
    if (
        _is_secret(value, kind)
        or (kind in _STRONG and value.isalnum() and _is_restless(value))
        or (in_form and shapes.is_mixed(value) and not shapes.is_placeholder(value))
    ):
        _take(hit, kind, taken)


def _take(hit: re.Match[str], kind: int, taken: list[Span]) -> None:
    start = hit.start("value")
    if hit.string[start - 1] == "(" and hit["value"][:-1].isalpha() and hit["value"][-1] in "&*":
        return  # the type of an argument
    if hit["value"].lstrip("*").isidentifier() and _OF_CODE.match(hit.string, hit.end("value")) is not None:
        return  # a function, or the type of an argument
    value = _NEXT_FIELD.split(hit["value"], maxsplit=1)[0]
    taken.append(Span(start, start + len(value.rstrip(_TRAILING)), PAIR, names.TYPES[kind]))


def _is_secret(value: str, kind: int) -> bool:
    value = _NEXT_FIELD.split(value, maxsplit=1)[0]
    if (
        len(value) < 6
        or value.startswith(_DIGESTS)
        or shapes.is_pod(value)
        or _OF_A_BUILD.search(value) is not None
        or _ACCOUNT.match(value) is not None
        or _PRINT.match(value)
        or shapes.is_placeholder(value)
        or shapes.is_provider_id(value)
        or shapes.is_sealed(value)
        or "://" in value
    ):
        return False
    return _is_password(value) if kind == names.PASSWORD else _is_key(value)


def _is_told(value: str, kind: int) -> bool:
    """A value that words or a wrapper join to its name: a hash there is a key, an id of an object is none."""
    if _is_secret(value, kind):
        return "-" not in value or not shapes.is_plain_id(value)
    return kind != names.PASSWORD and value.isalnum() and _is_restless(value)


def _is_restless(value: str) -> bool:
    """``d754dhhbhx0s300u``: noise of one case that is shorter than what counts elsewhere."""
    return shapes.looks_random(value, 16) or (shapes.is_restless(value, 16) and not shapes.is_hex(value))


def _is_key(value: str) -> bool:
    """A key, or an id or hash that stands where a key must stand."""
    if _is_noise(value):
        return True
    return len(value) >= 24 and shapes.is_plain_id(value)


def _is_noise(value: str) -> bool:
    if _ASSIGNED.match(value) or shapes.is_sealed(value) or value.startswith(_PUBLIC_KEYS):
        return False  # a further name with a value of its own, what is sealed, what a server may know
    if value.startswith("//") or shapes.is_pod(value) or _OF_A_BUILD.search(value) or _ACCOUNT.match(value):
        return False  # of a URL
    is_file = value.startswith(("/", "./", "~/")) and _FILE.search(value) is not None
    value = value.strip(".-=_/")
    if shapes.is_plain_id(value) or shapes.is_provider_id(value) or shapes.is_placeholder(value):
        return False
    if is_file or ("." in value and not shapes.has_digit(value)):
        return False  # fields of fields, files
    if value.count("/") > 3 or value.count(".") > 2 or value.count("_") > 3 or value.count("-") > 4:
        return False
    if value.islower() or value.isupper():
        return len(value) >= 20 and shapes.looks_random(value, 20)
    return shapes.looks_random(value, 16) or (len(value) >= 18 and shapes.case_noise(value))


def _is_long_id(value: str) -> bool:
    return len(value) >= 16 and (value.isdigit() or (len(value) >= _LONG_HEX and shapes.is_plain_id(value)))


def _is_simple(value: str) -> bool:
    """Letters and digits that no name of a thing is: ``hj18std8l7``."""
    return shapes.has_digit(value) and (value.isdigit() or len(_TURN.findall(value)) >= 2)


def _is_password(value: str) -> bool:
    if shapes.joined_words(value) >= 4 or (len(value) >= 10 and value.isalnum() and shapes.case_noise(value)):
        return True
    if len(value) >= 24 and (shapes.is_hex(value) or (len(value) >= 32 and _is_noise(value))):
        return True
    if shapes.is_plain_id(value) or value.count("/") > 1 or value.count(".") > 1 or value[0] in "/~-@":
        return False
    if value.endswith(("/", "=", ")")) or "(" in value or _ARGUMENT.match(value):
        return False
    lower = any(map(str.islower, value))
    upper = any(map(str.isupper, value[1:]))
    digits = sum(map(str.isdigit, value))
    symbol = any(one in "!@#$%^&*+=?~" for one in value)
    return (digits > 0) + symbol + (lower and upper) >= 2 and (lower or upper) and len(value) >= 7
