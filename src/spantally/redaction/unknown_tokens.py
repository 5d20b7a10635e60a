"""Tokens of vendors that nobody knows: noise behind a prefix, in a query, in a variable of a shell."""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import names, shapes
from spantally.redaction.spans import GENERIC, Span
from spantally.redaction.vendor_tokens import CASE_CHANGES, CLASSES

_VARIABLE: Final = re.compile("[A-Za-z0-9_-]{24,128}={0,2}")
_LONG_HEX: Final = 32
_PARAMETER: Final = re.compile(
    r"(?P<name>[A-Za-z_][\w.-]{0,32}(?:\[\w{0,8}\])?)=(?P<value>[A-Za-z0-9_-]{24,512}={0,2})\Z"
)
_PLAIN_PARAMETERS: Final = frozenset(
    """
    _ _ga _gl after anchor before build cb checksum ck code_challenge commit continuation
    continue ctoken cursor data dclid digest ei etag fbclid file gbraid gclid gs_lcp gs_lcrp
    gs_lp hash igshid integrity itag label list mc_cid mc_eid md5 model msclkid name next node
    nonce object offset p page page_token pagetoken partition path pb photo_reference
    photoreference prev q query rcm ref request rev revision rs run s sca_esv sdata sei sha sha1
    sha256 shard share si since source span sqp state sxsrf thread trace u upn usg utm_campaign
    utm_content utm_source utm_term v ved ver version video wbraid xsrf yclid
    """.split()  # noqa: SIM905
)
"""Parameters of URLs that hold noise and open nothing."""
_FOREIGN: Final = re.compile(
    r"(?<![A-Za-z0-9])(?P<prefix>[A-Za-z][A-Za-z0-9]{0,15}(?:[_.-][A-Za-z0-9]{1,12}){0,3}[_.-])"
    r"(?P<body>[A-Za-z0-9]{18,})"
)
_KIND_CHANGES: Final = re.compile("(?<=[a-z])[A-Z0-9]|(?<=[A-Z])[a-z0-9]|(?<=[0-9])[A-Za-z]")
_WORDY: Final = re.compile(
    r"(?:^|[_-])(?:[A-Za-z]?[a-z]{4,}(?=[_-])|(?:[A-Z][a-z]{2,}|[A-Z]{4,})(?=[_-]|\Z))"
)
_SPREAD: Final = re.compile(
    r"(?<![A-Za-z0-9_-])(?<![/=][A-Za-z0-9])(?<![/=])(?P<prefix>[A-Za-z][A-Za-z0-9]{1,11}(?:[_-][a-z0-9]{1,10}){0,2}[_-])"
    r"(?P<body>[A-Za-z0-9_-]{24,})"
)
NEVER_SPREAD: Final = frozenset("/=")
"""How words begin in which that is not looked for."""
_CAPITALISED: Final = re.compile("[A-Z][a-z]{2,}")
_TURNS: Final = re.compile("(?<=[0-9])[A-Za-z]|(?<=[A-Za-z])[0-9]")
_VOWEL: Final = re.compile("[aeiouy]")
_SEPARATOR: Final = re.compile("[_.-]")
_BEFORE_UUID: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:[a-z0-9]{2,12}[_-]){0,2}(?:[a-z0-9]{0,10}(?:pat|secret|token|apikey)|bz|[a-z0-9]{0,8}(?<![a-z])sk"
    r"|(?<=_)(?:live|production))[_-]\Z"
)
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![\w-])")
_KINDS_OF_IDS: Final = frozenset({"test", "live", "bdrk", "vrtx", "tool", "call", "pro", "v1", "v2"})
_HASHES: Final = frozenset(
    """
    archive asset blob block bundle cache cachekey checksum chunk ck commit content css digest fingerprint
    fk git hash head hex id idx image img index ix js layer main md5 media merge object page parent pk rev
    revision sha sha1 sha256
    sha512 snapshot src static trace tree uq version
    """.split()  # noqa: SIM905
)
_OPEN: Final = _HASHES | {
    "public",
    "etag",
    "nonce",
    "sum",
    "sums",
    "integrity",
    "state",
    "cursor",
    "user",
    "uid",
}
"""Words of the names of variables that hold noise and open nothing."""
_TITLE: Final = re.compile(r"(?:v[0-9]|[A-Z][a-z]+)-(?:[A-Za-z]+-){0,6}(?P<last>[A-Za-z]{3,}-)")
"""``Token-design-``: the title of a page, of which a hash follows, or ``v1-deps-`` of what is cached."""
_TYPE_ID: Final = re.compile(r"01[0-9a-z]{24}|01[A-Za-z0-9]{22}|[kl][A-Za-z]DO[A-Za-z0-9_-]{8,}")
"""How ids go on that begin with a time or with the version of their form, and those of GitHub's nodes."""
_RESOURCE: Final = re.compile(r"(?:db|cluster)-[A-Z0-9]{26}(?![A-Za-z0-9])")
"""What AWS calls a database."""
_MANY_HYPHENS: Final = 4
"""In the names of machines; of so few letters of base64 hardly one is a hyphen."""
_LONG_BODY: Final = 24
_BLOB: Final = 160
_BLOB_SIGNS: Final = 2
_OPENS_NOTHING: Final = re.compile(
    r"""(?i)(?<![A-Za-z0-9])(?:kid|etag|(?:(?:next|page|pagination|continuation|sync)_?){1,2}token"""
    r"""|(?:(?:next|prev|previous|start|end|after|before|page)_?){0,2}cursor"""
    r"""|(?:cache|public|verify|sort|partition|dedup|object)[ _-]?key|application[ _-]?server[ _-]?key"""
    r"""|x(?:-[a-z0-9]{1,16}){1,3}-id)"""
    r"""\\{0,16}["']?\s?[:=]\s?\\{0,16}["']?\Z"""
)
"""Before the id of a key, or one that locks nothing."""
_OF_AN_ID: Final = re.compile(r"""(?<!secret)(?<!session)(?:_id|[a-z]Id)\\{0,16}["']\s?:\s?\\{0,16}["']\Z""")
"""Before what a field calls the id of something."""
_POINT: Final = re.compile(r"""["'][xy]\\{0,16}["']\s?:\s?\\{0,16}["']\Z""")
"""Before a coordinate of a public key, behind the name of its curve."""
_VENDORS_WORD: Final = re.compile(
    "[a-z]+[0-9]{0,3}|[A-Z]+[0-9]{0,3}|[A-Z][a-z]+|[a-z]{1,3}[0-9][a-z]{1,3}|[0-9]+"
)
_SHORTEST_WORD: Final = 5
_LONE: Final = re.compile("(?:[A-Z][a-z]?|[a-z])[_-]")
"""So few letters before bytes of a usual number are hardly the name of a vendor."""
_CAPITALS: Final = re.compile("[A-Z]{1,4}[_-]")
_SIGNS: Final = frozenset("-_")
_FRONT: Final = 16
"""Characters of noise before what seems a prefix."""
_BYTES: Final = frozenset({22, 43, 64, 86, 128, 171, 342, 683})
"""Characters of 16, 32, 48, 64, 96, 128, 256 and 512 bytes."""
_SECOND: Final = re.compile(r"\.[A-Za-z0-9_-]{16,}")
"""Behind the first part of a key in two."""
_PAIR: Final = re.compile(
    r"(?<![A-Za-z0-9])(?P<prefix>[A-Za-z][A-Za-z0-9]{1,11}(?:[_-][a-z0-9]{1,10}){0,2}[_-])"
    r"(?P<one>[A-Za-z0-9]{8,64})\.(?P<two>[A-Za-z0-9]{20,})(?![A-Za-z0-9]|\.[a-z])"
)
"""``acme_8xK2....Zq91...``: the id of a key and its secret."""
_TEXINFO: Final = "_005f"
"""An underscore in the anchors of manuals."""
_SAYS_KEY: Final = re.compile(
    r"(?i)(?:^|[_.-])(?:live|sk|rk|pat|key|apikey|token|tok|secret|access|auth|private|priv)[_.-]"
)
_TELLING: Final = re.compile(
    r"(?i)(?:^|[_.-])(?:live|test|prod|production|sandbox|sk|rk|pat|key|apikey|token|tok|secret|api|svc|pw|access|auth|private"
    r"|priv|v[0-9])[_.-]"
)


def find_in_query(start: int, word: str, taken: list[Span]) -> bool:
    """Noise of a key's length in the query of a URL, whatever the name of the parameter."""
    hit = _PARAMETER.match(word)
    if hit is not None and hit["name"].lower() == "appid" and len(hit["value"]) == _LONG_HEX:
        taken.append(Span(start + hit.start("value"), start + hit.end("value"), GENERIC, "unknown-vendor"))
        return True
    if hit is None:
        return False
    if hit["name"].endswith(("id", "Id", "ID")):
        return not _TELLING.search(hit["value"])
    if hit["name"].lower() in _PLAIN_PARAMETERS or (
        hit["name"][0] == "_" and names.classify(hit["name"]) == names.NONE  # of those who count visitors
    ):
        return not _TELLING.search(hit["value"])
    value = hit["value"]
    body = value.rstrip("=").replace("_", "").replace("-", "")
    if (
        len(body) < _LONG_BODY
        or body.islower()
        or body.isupper()
        or shapes.is_provider_id(value)
        or shapes.is_plain_id(value)
        or _WORDY.search(value) is not None
        or not (shapes.looks_random(body, _LONG_BODY) or _no_words(body))
    ):
        return False
    taken.append(Span(start + hit.start("value"), start + hit.end("value"), GENERIC, "unknown-vendor"))
    return True


def find_in_environment(start: int, word: str, equals: int, taken: list[Span]) -> bool:
    """``SENDGRID=...``: noise of a key's length in a variable of any name but that of a hash."""
    name, value = word[:equals], word[equals + 1 :]
    if (
        not name.isupper()
        or not name.isidentifier()
        or _VARIABLE.fullmatch(value) is None
        or not _OPEN.isdisjoint(name.lower().split("_"))
        or value.islower()
        or value.isupper()
        or shapes.is_provider_id(value)
        or not shapes.looks_random(value, _LONG_BODY)
    ):
        return False
    taken.append(Span(start + equals + 1, start + len(word), GENERIC, "unknown-vendor"))
    return True


def _is_objects(prefix: str) -> bool:
    """Whether a prefix is that of an object's id: ``call_``, ``cs_test_``, but not ``prod_river_``."""
    words = prefix.lower().replace("-", "_").replace(".", "_").split("_")
    if words[0] not in shapes.KEPT_PREFIXES:  # nearly all, so that no more is asked of them
        return False
    for word in words:
        if word not in shapes.KEPT_PREFIXES and word not in _KINDS_OF_IDS and word.isalpha():
            return False
    return True


def _is_vendors(prefix: str, body: str) -> bool:
    """Whether hex digits behind words are a key rather than a hash: as long as one, and not called one."""
    return (
        len(body) >= 32
        and prefix[-1] == "_"
        and not any(word in _HASHES for word in _SEPARATOR.split(prefix.lower()))
    )


def _is_random(prefix: str) -> bool:
    """Whether the first word of a prefix is noise itself: the front of an id that has a hyphen in it."""
    first = _SEPARATOR.split(prefix, maxsplit=1)[0]
    return len(CASE_CHANGES.findall(first)) >= 3 or len(_KIND_CHANGES.findall(first)) >= 4


def _no_words(body: str) -> bool:
    """Whether letters and a digit are none that anybody can read: one letter of words in three is a vowel."""
    letters = sum(map(str.isalpha, body))
    return (
        letters >= 14
        and shapes.has_digit(body)
        and not body.isupper()
        and sum(map(body.count, "aeiouAEIOU")) <= 0.27 * letters
    )


def _goes_on(second: str) -> bool:
    """Whether what a dot joins to noise is more of it."""
    mixed = not second.islower() and not second.isupper()
    return shapes.looks_random(second, 17) or (len(second) > 20 and mixed and shapes.has_digit(second))


def _turns(body: str) -> int:
    """How often letters and digits follow each other, which in noise they do all the time."""
    return len(_TURNS.findall(body[:128]))


def _is_camel(body: str) -> bool:
    """``PKCS12PrivateKeyBagStr``: more than half of it are words that begin with a capital."""
    words = [word for word in _CAPITALISED.findall(body) if _VOWEL.search(word)]
    return len(words) > 1 and sum(map(len, words)) > 0.55 * len(body)


def _is_part(prefix: str, word: str, at: int) -> bool:
    """Whether a prefix is the front of bytes in base64 for URLs, one sign in thirty of which is a hyphen.

    Prefixes of vendors are words of one case, perhaps with a digit behind.
    """
    if prefix[-1] == "." or _TELLING.search(prefix) is not None:
        return False
    if at > _FRONT and word[at - 1] in _SIGNS and word.find("=", 0, at) < 0:
        front = word[: at - 1]
        if _WORDY.search(front) is None and shapes.looks_random(front, _FRONT):
            return True
    if all(map(_VENDORS_WORD.fullmatch, _SEPARATOR.split(prefix[:-1]))):
        size = len(word) - at
        lone = _LONE.fullmatch(prefix) is not None
        return (
            (at == 0 or word[at - 1] == "=")
            and (size in _BYTES or (word[-1] == "=" and _CAPITALS.fullmatch(prefix) is not None))
            and (lone or len(prefix) < _SHORTEST_WORD or size >= _BLOB)
            and (lone or not _SIGNS.isdisjoint(word[at + len(prefix) :]))
        )
    return True


def _by_chance(at: int, prefix: str) -> bool:
    """Whether a prefix in so long a word is chance: the modulus of a public key has the signs of any."""
    return at > 0 or not ((prefix.islower() and len(prefix) > 3) or _TELLING.search(prefix))


def find_uuid(start: int, word: str, taken: list[Span]) -> bool:
    """``ctx7sk-`` and a UUID: the id of an object has another word before it."""
    for hit in _UUID.finditer(word):
        prefix = _BEFORE_UUID.search(word, max(0, hit.start() - 40), hit.start())
        if prefix is not None:
            taken.append(Span(start + prefix.start(), start + hit.end(), GENERIC, "unknown-vendor"))
            return True
    return False


def find_unknown(text: str, start: int, word: str, taken: list[Span], *, long: bool) -> None:
    """Append a span for noise behind a short prefix: the form that vendors have settled on, whoever they are.

    Args:
        text: what is scanned.
        start: where ``word`` begins in it.
        word: what stands there without a break.
        taken: receives the span.
        long: whether the word has eighteen letters and digits in a row.
    """
    if start > 2 and text[max(0, start - 20) : start].rstrip('\\"').endswith("W/"):
        return  # an ETag
    if "/d/" in word or "/folders/" in word:
        return  # the id of a document in its URL
    if _OPENS_NOTHING.search(text, max(0, start - 32), start) is not None:
        return
    if _OF_AN_ID.search(text, max(0, start - 24), start) is not None and _TELLING.search(word) is None:
        return
    if (
        _POINT.search(text, max(0, start - 16), start) is not None
        and text.find("crv", max(0, start - 160), start) > 0
    ):
        return
    blob = len(word) >= _BLOB and max(word.count("-"), word.count("_")) >= _BLOB_SIGNS
    if text[start - 1 : start] == "<" and text[start + len(word) : start + len(word) + 1] == "@":
        return  # the id of a mail
    for hit in _FOREIGN.finditer(word) if long else ():
        prefix, body = hit["prefix"], hit["body"]
        if (
            _is_objects(prefix)
            or prefix in shapes.PUBLISHABLE
            or (word[hit.start() - 1] in "=:" and _OPENS_NOTHING.search(word[: hit.start()]) is not None)
            or (blob and _by_chance(hit.start(), prefix))
            or _is_part(prefix, word, hit.start())
            or _is_random(prefix)
            or _TYPE_ID.fullmatch(body) is not None
            or _RESOURCE.match(word, hit.start()) is not None
            or 0 <= word.rfind("/", 0, hit.start()) < hit.start() - 1
        ):
            continue  # of an object, or within a part of a path
        if shapes.is_hex(body):
            if len(body) < 24 or (_TELLING.search(prefix) is None and not _is_vendors(prefix, body)):
                continue
            title = _TITLE.fullmatch(prefix)
            if title is not None and _TELLING.match("-" + title["last"]) is None:
                continue
        elif prefix[-1] == "." and text[start + hit.end() : start + hit.end() + 1] == "(":
            continue  # a call of a function in a module
        elif prefix.isupper() and _is_camel(body):
            continue  # a name of C's
        elif (
            not shapes.looks_random(body, 18 if _TELLING.search(prefix) else 20)
            and not (len(body) >= _LONG_BODY and _SAYS_KEY.search(prefix) is not None and _no_words(body))
            and not (_is_vendors(prefix, body) and _turns(body) >= len(body) // 5)
        ):
            continue
        end = hit.end()
        tail = CLASSES["w"].match(word, end)
        if tail is not None:
            end = tail.end()
        second = _SECOND.match(word, end)
        if second is not None and _goes_on(second[0]):
            end = second.end()
        taken.append(Span(start + hit.start(), start + end, GENERIC, "unknown-vendor"))
        return
    pair = _PAIR.search(word) if "." in word else None
    if (
        pair is not None
        and not _is_objects(pair["prefix"])
        and not any(part in _HASHES for part in _SEPARATOR.split(pair["prefix"].lower()))
        and word.rfind("/", 0, pair.start()) < 0
        and shapes.looks_random(pair["one"] + pair["two"], 28)
        and not shapes.is_hex(pair["two"])
    ):
        taken.append(Span(start + pair.start(), start + pair.end(), GENERIC, "unknown-vendor"))
        return
    spread = None if word[0] in NEVER_SPREAD or _TEXINFO in word else _SPREAD.search(word)
    if (
        spread is not None
        and not _is_objects(spread["prefix"])
        and not word.startswith(shapes.PUBLISHABLE, spread.start())
        and _TYPE_ID.fullmatch(spread["body"]) is None
        and spread["body"].count("-") < _MANY_HYPHENS
        and not (blob and _by_chance(spread.start(), spread["prefix"]))
        and (spread.start() == 0 or _OPENS_NOTHING.search(word[: spread.start()]) is None)
        and not _is_part(spread["prefix"], word, spread.start())
        and not (spread["prefix"].isupper() and _is_camel(spread["body"]))
    ):
        body = spread["body"].replace("_", "").replace("-", "")
        if len(body) >= 22 and not shapes.is_hex(body) and not _WORDY.search(spread["body"]):
            mixed = not body.islower() and not body.isupper()
            if mixed and (
                shapes.looks_random(body, 22)
                or (len(body) >= 26 and shapes.case_noise(body))
                or (_SAYS_KEY.search(spread["prefix"]) is not None and _no_words(body))
            ):
                taken.append(Span(start + spread.start(), start + spread.end(), GENERIC, "unknown-vendor"))
