"""Reading a pair: whether what stands behind a name and its separator is a secret, and how far it goes."""

from __future__ import annotations

import re
from typing import Final

from spantally.redaction import logins, names, shapes
from spantally.redaction.commands import is_strong
from spantally.redaction.pair_ends import parts_behind, plain_end, quoted_end
from spantally.redaction.pair_syntax import how_of
from spantally.redaction.spans import PAIR, Span
from spantally.redaction.tags import OPENING, tag_end_at
from spantally.redaction.values import SHORTEST, Site, acceptable

_QUERY: Final = frozenset("?&;#")
_ESCAPED_AND: Final = "\\u0026"
_BEHIND_TAG: Final = frozenset(" \t\r\n\"'")
_FEWEST: Final = 8
_FEWEST_WEAK: Final = 14
"""Characters of one that is no password, and of one behind a weak name; so long is gibberish, too."""
_GROUPS: Final = re.compile(
    r"(?:[a-z]{4}(?:[ ][a-z]{4}){3}|[A-Za-z0-9]{4}(?:[ ](?=[a-z]{0,3}[A-Z0-9])[A-Za-z0-9]{4}){5})"
    r"(?=[\"'`\\\s,.;)<]|\Z)(?! [a-z])"
)
"""Four times four letters, six times four of any: passwords that Google and WordPress give to one program."""
_FORM_FIELD: Final = re.compile(r"form-data|name=\\{0,16}[\"']\Z")
_UNQUOTED: Final = re.compile(r"""[^\s"'`,;&<>\\(){}\[\]|]{1,256}""")
_FUNCTION: Final = re.compile(
    r"::(?:[A-Za-z_]\w{0,64}::){0,8}(?:h[0-9a-f]{16}(?![0-9a-f])|[A-Za-z_]\w{0,64}[(<])"
)
"""``auth::verify_token::h57882757a3142be2``: the rest of a name in a trace of Rust, or of a call."""
_TRAVELS: Final = re.compile(
    r"(?i)(?:backward|boarding|bus|compiler|day|first|forward|hall|press|rail|render|season|second|ski|travel)"
    r"[ _-]\Z"
)
"""Before a pass that is none of somebody's."""
_OF_ANOTHER: Final = re.compile(r"[ ][A-Za-z]{0,24}(?:I[dD]|Name)[ ]?:\s{1,4}\Z")
"""``auth-tokens TopicId: ``: what follows is that of something else."""
VERBS: Final = frozenset({"pass", "Pass", "PASS", "sign", "passes"})
"""Words of ordinary text, and names only before an operator."""
_IS_ABOUT: Final = re.compile(r"(?:arn:[a-z-]{2,16}:[\w:/.-]{0,72}:|--- )\Z")
"""Before ``secret:`` of a secret's place, and ``PASS:`` of a test."""
_ITS_VALUE: Final = re.compile(r"[vV]alue\s{0,8}:\s{0,8}\Z")
"""Of an environment in YAML, where the value of a name stands on the next line."""
_DECLARED: Final = re.compile(r"[ ][*&]{0,2}[A-Za-z_]")
_JOINS: Final = ("+", " +")
_FLAG: Final = re.compile(r"--[A-Za-z][A-Za-z-]{1,40}=")
"""A further flag of a command, behind one whose value is asked for or stands elsewhere."""
_SENT: Final = frozenset({"token", "auth"})
_SENT_ENDS: Final = ("tokens", "connectionstring", "connection_string")
_LONG_ID: Final = 32
_OF_DSN: Final = re.compile(
    r"(?i)(?<![A-Za-z])(?:addr(?:ess)?|data source|database|dbname|endpoint|host(?:name)?|initial catalog"
    r"|port|server|sslmode|u(?:ser(?:[ _]?(?:id|name))?|id))[ ]?=[ ]?[^\s;,&=]{1,80}[ ;]{1,2}\Z"
)
"""The part before a password in ``host=db user=bob password=...``, in which it may be a word."""
_CALLED: Final = frozenset("([{")
_DSN_REACH: Final = 110
_EXPORT: Final = re.compile(
    r"(?:(?:export|set|setenv|env|arg|-e|--env|\$|>|-|\+)[ \t]{1,4})*\Z", re.IGNORECASE
)


def read_pair(
    text: str, place: tuple[int, int], kind: int, name: str, found: re.Match[str], taken: list[Span]
) -> tuple[int, int]:
    """Judge one separator and value; the answer is where the scan may go on, and how far was read."""
    name_start, name_end = place
    start = found.end()
    if found["form"] is not None and (
        kind == names.WEAK or _FORM_FIELD.search(text, max(0, name_start - 80), name_start) is None
    ):
        return name_end, name_end  # two paragraphs, not a field of a form; a form's "key" is a path
    if text.startswith(OPENING, start):
        return name_end, start  # a value that went already, as nearly all of a second reading
    if found["array"] is not None and (tag_end := tag_end_at(text, start - 1)) and _ends(text, tag_end):
        return name_end, tag_end
    if kind == names.WEAK and text.startswith("did:", name_start - 4):
        return name_end, start  # an identity that is a public key
    if name == "issecret":
        logins.secret_variable(text, name_end, taken)
        return name_end, start
    opening = found["opening"]
    if kind == names.PASSWORD and (groups := _GROUPS.match(text, start)) is not None:
        taken.append(Span(start, groups.end(), PAIR, names.TYPES[kind]))
        return groups.end(), groups.end()
    end = -1 if opening is None else quoted_end(text, start, opening)
    is_closed = end >= 0
    if not is_closed:
        if opening is not None and text.startswith(_JOINS, start):
            return name_end, start  # a text that ends with the separator: "PWD=" + directory
        plain = _UNQUOTED.match(text, start)
        if plain is None:
            return name_end, start
        end = plain.end()
    following = text[end : end + 1]
    # Most values are rejected here: so short a one is no key, wherever it stands.
    if (
        end - start < _FEWEST
        and (is_closed or following != "|")
        and (
            end - start < SHORTEST
            or (kind != names.PASSWORD and (is_closed or not in_query(text, name_start)))
        )
    ):
        return name_end, end
    how = how_of(found)
    if (kind == names.WEAK and how == "space") or (
        name in VERBS
        and how not in ("operator", "prose", "element")
        and (how != "space" or not text.startswith(" /", name_start - 2))
    ):
        return name_end, name_end
    if name in VERBS and _TRAVELS.search(text, max(0, name_start - 12), name_start) is not None:
        return name_end, name_end
    if how == "list" and _FLAG.match(text, start, end):
        return name_end, name_end
    if how == "prose" and _OF_ANOTHER.search(found["prose"]) is not None:
        return name_end, name_end
    if how == "space" and (
        _FLAG.match(text, start, end) or not _is_named(text, name_start, start, end, kind)
    ):
        return name_end, name_end
    if how == "list" and found[how][-2:] == "- " and not text.startswith("--", name_start):
        return name_end, name_end  # of a list that is none of arguments
    if how == "element" and text.startswith(":<", name_start - 2) and text.startswith("@", start):
        return name_end, name_end  # a stand-in in a URL: user:<password>@host
    in_url = how == "operator" and in_query(text, name_start)
    if opening is None and kind != names.PASSWORD and not in_url and following != "|":
        value = text[start:end]
        if end - start < (_FEWEST_WEAK if kind == names.WEAK else _FEWEST) or (
            end - start < _FEWEST_WEAK and value.isalpha() and value.islower()
        ):
            return name_end, end  # too short, or a word: what acceptable() says of most at more length
    separator = found[how]
    site = Site(
        kind,
        quoted=opening is not None,
        how=how,
        tight=not separator[-1:].isspace(),
        line_start=_starts_line(text, name_start),
        in_url=in_url,
        far="\n" in separator and not (name.isupper() and _ITS_VALUE.search(separator) is not None),
    )
    if how == "operator" and "%3" in separator and text.find("%", start, end) >= 0:
        return name_end, end  # all of it is encoded; what it says is read once it is decoded
    if is_closed:
        return _take_quoted(text, place, end, name, found, site, taken)
    return _take_plain(text, place, end, name, found, site, taken)


def _take_quoted(
    text: str,
    place: tuple[int, int],
    end: int,
    name: str,
    found: re.Match[str],
    site: Site,
    taken: list[Span],
) -> tuple[int, int]:
    """A value whose quotes close at ``end``, with the texts that are joined to it or listed behind it."""
    name_start, name_end = place
    start = found.end()
    kind = site.kind
    listed = found["array"] is not None
    joined, behind = parts_behind(text, end, listed=listed)
    whole = text[start:end] + "".join(text[low:high] for low, high in joined)
    value = text[start:end] if listed else whole
    if not acceptable(value, site) and not _is_sent(name, kind, site.how, value):
        return name_end, end
    if _is_about(text, name_start, found[site.how]):
        return name_end, name_end
    for low, high in joined:
        if not listed or acceptable(text[low:high], site):
            taken.append(Span(low, high, PAIR, names.TYPES[kind]))
    taken.append(Span(start, end, PAIR, names.TYPES[kind]))
    return behind, behind


def _take_plain(
    text: str,
    place: tuple[int, int],
    end: int,
    name: str,
    found: re.Match[str],
    site: Site,
    taken: list[Span],
) -> tuple[int, int]:
    """A value without quotes, which may go on behind ``end``."""
    name_start, name_end = place
    start = found.end()
    kind, how = site.kind, site.how
    if (
        how == "cell"
        and found[how] == "("
        and (_DECLARED.match(text, end) or (text[end - 1] in "&*" and text[start : end - 1].isalpha()))
    ):
        return name_end, end  # a function's argument with its type
    if (
        kind == names.PASSWORD
        and how == "operator"
        and site.tight
        and text[start:end].isalpha()
        and text[end : end + 1] not in _CALLED
        and _OF_DSN.search(text, max(0, name_start - _DSN_REACH), name_start) is not None
    ):
        good = acceptable(text[start:end], site._replace(line_start=True))
    else:
        end, good = plain_end(text, start, end, site)
    if not good and not _is_sent(name, kind, how, text[start:end]):
        return name_end, end
    if _is_about(text, name_start, found[how]):
        return name_end, name_end
    taken.append(Span(start, end, PAIR, names.TYPES[kind]))
    return end, end


def _is_about(text: str, name_start: int, separator: str) -> bool:
    """Whether what stands before a name and its colon says that its value tells something of a secret."""
    return separator[:1] == ":" and _IS_ABOUT.search(text, max(0, name_start - 96), name_start) is not None


def goes_on(text: str, name_end: int) -> bool:
    """Whether a name is only the front of one of a function, in Rust or C++."""
    return text.startswith("::", name_end) and _FUNCTION.match(text, name_end) is not None


def _is_named(text: str, name_start: int, start: int, end: int, kind: int) -> bool:
    """Whether a name with a space behind it names what comes there, and is no value or variable itself.

    ``-e PASSWORD=$PGPASS postgres:16`` and ``get -field=password secret/prod/db1`` go on with something else.
    """
    before = text[name_start - 1 : name_start]
    if before == "$":
        return False
    return before != "=" or kind != names.PASSWORD or is_strong(text[start:end])


def _is_sent(name: str, kind: int, how: str, value: str) -> bool:
    """Whether a name is just "token": what is sent as one is none of the hashes that stand under "key".

    Or ``TWILIO_AUTH`` of an environment, a list of tokens, a connection string.
    """
    if kind != names.WEAK or how != "operator" or len(value) < _LONG_ID:
        return False
    lower = name.rpartition(".")[2].lower()
    if lower in _SENT or name.endswith("_AUTH"):
        return shapes.is_hex(value)
    return lower.endswith(_SENT_ENDS) and shapes.is_plain_id(value)


def in_query(text: str, name_start: int) -> bool:
    """Whether a name is that of a parameter of a URL, whose ``&`` JSON may have as an escape."""
    return text[name_start - 1 : name_start] in _QUERY or text.startswith(_ESCAPED_AND, name_start - 6)


def _ends(text: str, at: int) -> bool:
    return at >= len(text) or text[at] in _BEHIND_TAG


def _starts_line(text: str, start: int) -> bool:
    line = text[max(0, start - 40) : start]
    newline = line.rfind("\n")
    if newline < 0 and start > 40:
        return False
    line = line[newline + 1 :].lstrip()
    return not line or _EXPORT.match(line) is not None
