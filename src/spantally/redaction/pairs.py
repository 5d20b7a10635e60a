"""Pairs: key, separator, value, in JSON at any depth of escaping, YAML, code, shells, URLs, XML and prose.

The scan walks from stem to stem (``key``, ``token``, ``pass`` ...). At each it reads the name around the
stem, then one separator, then one value, every step anchored and bounded; the cursor then stands behind
what was read, so that the whole is linear on any input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from spantally.redaction import commands, devices, languages, logins, names, nearby, shapes, snippets, typed
from spantally.redaction.columns import HEAD_END
from spantally.redaction.pair_names import (
    INNER,
    LONGEST_NAME,
    LONGEST_SHORT,
    TAIL,
    is_id,
    name_around,
    with_word_before,
)
from spantally.redaction.pair_reading import VERBS, goes_on, in_query, read_pair
from spantally.redaction.pair_syntax import AFTER_NAME
from spantally.redaction.runs import Runs
from spantally.redaction.spans import PAIR, Span
from spantally.redaction.tags import OPENING, is_tag_at, tag_end_at

_BRAINTREE: Final = re.compile(r"\$(?:production|sandbox)\$[a-z0-9]{8,24}\$[a-f0-9]{4,64}")
"""What follows ``access_token`` in a token of Braintree's."""
_MAY_FOLLOW: Final = frozenset("$ \t\r\n:=>,;|(\"'`\\&%]*)-<\uff1a")
_HEAD_FOLLOWS: Final = frozenset(" \t\r\n,;|\"'`*\\")
_ELSEWHERE: Final = frozenset({names.AUTH, names.COOKIE})
"""Their values have parts; structures.py reads them."""
_CLEAR: Final = frozenset({names.TOKEN, names.SECRET, names.PASSWORD})
"""What says of its value that it is a secret, and no more."""
_WEAK_PROSE: Final = (
    " is",
    " was",
    " :",
    " =",
    " provided",
    " -",
    " (",
    " |",
    "  ",
    " to ",
    " as ",
    ' "',
    " '",
    " `",
)
_PROSE_REACH: Final = 64
_BEFORE_TAG: Final = re.compile(rf"""[=:][ ]?["']?(?={re.escape(OPENING)})""")
_BEHIND_TAG: Final = frozenset({"", " ", "\n", "\r", "\t", '"', "'", ",", ";"})
"""What ends a value that is a tag as a whole."""
_BEFORE_NAME: Final = frozenset({" ", '"', "'"})
_AUTH: Final = frozenset({"auth", "Auth", "AUTH"})
_FLAG_FOLLOWS: Final = frozenset(" =")
_CALLED: Final = frozenset("= (")
_PIPE_REACH: Final = 160
"""Characters of a command, ``| docker login --password-stdin``, behind which its password is told."""
_PROPERTY_DEFAULT: Final = re.compile(r":[^-+?={}$\s][^{}$\s]{3,256}\}")
"""``${openai.api.key:value}`` of Spring: a property's default, where a shell has no dots."""
_DEFAULT: Final = re.compile(
    r"""(?::[-=]?|[-=])(?![0-9: -]+\})[\"']?(?P<value>[^{}$\s"'`\\]{4,256})[\"']?\}"""
)
_ABOUT: Final = re.compile(
    r"(?i)[ ](?:arn|class|count|fingerprint|id|identifier|kind|location|name|path|policy|region|status|type"
    r"|url|version)s?[ ]{0,2}(?::|[ ](?:is|was)[ ])"
    r"|[ ](?:was[ ]|is[ ])?(?:assigned|belonging|belongs|given|"
    r"granted|issued|limited|restricted|sent)[ ]to[ ]"
    r"""|(?:(?<=secret)|(?<=secrets))[ ]\\{0,16}["'`][a-z0-9.-]{1,128}\\{0,16}["'`][ ]"""
    r"(?:already[ ]exists|configured|created|deleted|is[ ]forbidden|is[ ]invalid|not[ ]found|unchanged)"
)
"""What tells something else of it than what it is."""
_TAKE_LOGINS: Final = ("auth", "credential", "credentials", "cred", "creds")
"""How names end that a user and a password follow in brackets."""
_BY_NAME: Final = {
    "htpasswd": logins.htpasswd,
    "PASS": logins.pass_line,
    "chpasswd": logins.changed,
    "passwd": logins.changed,
    "wpa_passphrase": logins.added,
    "mosquitto_passwd": logins.added,
    "change_password": logins.added,
}
"""Names that something else than a separator and a value follows."""

_BESIDE: Final = {**devices.BY_NAME, **snippets.BY_NAME}
"""Names that something else may follow beside, by what stands next."""
_FAR: Final = frozenset(snippets.BY_NAME)
"""Those of them whose values stand far behind."""
_SHORTEST_KEY: Final = 12
_CHECKSUM: Final = "checksum/"
"""Before the name of a file of a chart of Helm's, of which a hash follows."""
_OF_A_HASH: Final = ("} =", "}=")
"""Behind a name in a hash of Perl."""
_FIELD_ENDS: Final = frozenset("dDtTxX")
"""How the words end that say of a name that it is one of a field."""
_REFERENCE: Final = 200
_CLASS: Final = re.compile("[A-Za-z]__[A-Za-z0-9+_-]{5,8}\\Z")
"""``passwordField__WuM65``, as modules of CSS call their classes."""
_OF_A_CLASS: Final = frozenset("{:.,")
_IN_A_MAP: Final = frozenset(":\"'\\")
_PARENT: Final = re.compile(
    r"""(?:encryption|signing|license)\\{0,16}["']?\s?:(?:\s|\\{1,16}n){0,16}\{?(?:\s|\\{1,16}n){0,16}\\{0,16}["']?\Z"""
)
"""``encryption:`` and, beneath it, ``key:``."""
_PLURAL: Final = frozenset("sS")
_STORES: Final = frozenset({"secret", "secrets"})


def find_pairs(
    text: str,
    stems: Iterable[int],
    runs: Runs,
    check: Callable[[], None],
    taken: list[Span],
    heads: list[int],
) -> None:
    """Append a span to ``taken`` for each value that the name before it says is a secret.

    Args:
        text: what is scanned.
        stems: where a stem of a telling name begins, in order.
        runs: of the text.
        check: raises when the time is over.
        taken: receives the spans.
        heads: receives the places of names that may be heads of columns.
    """
    cursor = 0
    seen = 0
    size = len(text)
    waste = 65_536 + size // 2
    tail = TAIL.match
    known = names.known
    beside = _BESIDE
    may_hold_value = runs.may_hold_value
    tagged = runs.tagged
    for at in stems:
        if at < cursor:
            continue
        seen += 1
        if not seen & 127:
            check()
        cursor = name_end = tail(text, at).end()  # type: ignore[union-attr]
        if name_end - at > LONGEST_NAME:
            continue
        following = text[name_end] if name_end < size else ""
        if at and text[at - 1] in INNER:
            name_start, name = name_around(text, at, name_end)
        else:
            name_start, name = at, text[at:name_end]
            if name[-1] == "-":
                name = name.rstrip("-")
        kind = known(name)
        if kind is None:
            kind = names.classify(name)
        if following == "$":
            paid = _BRAINTREE.match(text, name_end)
            if paid is not None:
                taken.append(Span(name_start, paid.end(), PAIR, "token"))
                cursor = paid.end()
            continue
        if (
            name in beside
            and following in beside[name]
            and (name in _FAR or may_hold_value(name_end, name_end + devices.LINE))
        ):
            beside[name][following](text, name_start, name_end, taken)
        if kind == names.NONE:
            if name[-1] in _FIELD_ENDS and name[:1] in "pP" and typed.kind_of_field(name) == names.PASSWORD:
                typed.find_typed(text, name_end, taken)
            continue
        if tagged and _has_gone(text, name_end):
            continue
        if following == "}" and text.startswith("${", max(0, name_start - 2)):
            continue  # a variable, and what stands behind it
        if following == ":" and (goes_on(text, name_end) or _is_reference(text, name_start)):
            continue
        if "__" in name and following in _OF_A_CLASS and _CLASS.search(name) is not None:
            continue
        if text[name_start - 1 : name_start] == "/" and text.endswith(_CHECKSUM, 0, name_start):
            continue
        if kind == names.PASSWORD and len(name) >= LONGEST_SHORT and is_id(name):
            continue
        _read_commands(text, (name_start, name_end), kind, name, following, taken)
        if (
            kind == names.PASSWORD
            and name not in VERBS
            and following != "="
            and may_hold_value(name_end, name_end + typed.REACH)
        ):
            typed.find_typed(text, name_end, taken)
        known_form = following in _MAY_FOLLOW or (following == "}" and text.startswith(_OF_A_HASH, name_end))
        place = (name_start, name_end)
        if known_form and _is_read_elsewhere(text, place, kind, name, following, taken, heads, at):
            continue
        # Most names stand in talk, with nothing around that could be a secret: that is seen by bytes.
        nothing_behind = (
            following == " "
            and kind != names.PASSWORD
            and not may_hold_value(name_end, name_end + _PROSE_REACH)
        )
        nothing_before = text[name_start - 1 : name_start] not in _BEFORE_NAME or _nothing_before(
            name_start, kind, runs
        )
        if nothing_behind and nothing_before:
            continue
        if not known_form:
            _find_beside(text, place, kind, name, runs, taken, nothing_before=nothing_before)
            continue
        if (
            kind == names.WEAK
            and following in _IN_A_MAP
            and _PARENT.search(text, max(0, name_start - 48), name_start)
        ):
            kind = names.TOKEN
        elif kind == names.WEAK and name_start and text[name_start - 1] in " \t":
            kind = with_word_before(text, name_start, name)
            if kind == names.NONE:
                continue
        count = len(taken)
        if not nothing_before:
            _find_before(text, name_start, kind, runs, taken)
        if nothing_behind or (following == " " and _is_prose(text, place, kind, runs, taken)):
            continue
        found = AFTER_NAME.match(text, name_end)
        read = cursor
        if found is not None:
            cursor, read = read_pair(text, place, kind, name, found, taken)
        if len(taken) == count and name not in VERBS and len(name) > 2:
            _find_after(text, name_end, kind, runs, taken)
        # A value that was read and let go may hold a further name, so the scan goes on behind its name only;
        # but not for ever, or `token=token=token=` would read everything a thousand times.
        if read > cursor:
            waste -= read - cursor
            if waste < 0:
                cursor = read


def _is_reference(text: str, name_start: int) -> bool:
    """Whether a name is a part of ``{{resolve:secretsmanager:app/db:SecretString:password}}``."""
    begin = text.rfind("{{resolve:", max(0, name_start - _REFERENCE), name_start)
    return begin >= 0 and text.find("}}", begin, name_start) < 0


def _is_read_elsewhere(
    text: str,
    place: tuple[int, int],
    kind: int,
    name: str,
    following: str,
    taken: list[Span],
    heads: list[int],
    at: int,
) -> bool:
    """Whether no separator and value are to be read behind a name, since others read what stands there.

    Args:
        text: what is scanned.
        place: start and end of the name.
        kind: what the name says.
        name: the name.
        following: the character behind it, one that a known form begins with.
        taken: receives what is found on the way.
        heads: receives ``at`` if the name may be the head of a column.
        at: where the stem of the name begins.
    """
    name_start, name_end = place
    if (
        name_start > 1
        and text.startswith("${", name_start - 2)
        and not ("." in name and _PROPERTY_DEFAULT.match(text, name_end))
    ):
        if kind in _CLEAR:
            _read_default(text, name_end, kind, taken)
        return True  # a variable of a shell: what follows is its default or its fault
    if following == ":" and is_tag_at(text, name_start):
        return True  # a type: [REDACTED:token:0123abcd]
    in_words = following == " " and text[name_end + 1 : name_end + 2].isalpha()
    if not in_words and following in _HEAD_FOLLOWS and HEAD_END.match(text, name_end):
        heads.append(at)
    if kind in _ELSEWHERE or (
        in_words and name in VERBS and not text.startswith((" is ", " was "), name_end)
    ):
        return True
    if kind == names.SECRET and name.startswith(("cred", "Cred", "CRED")):
        languages.find_login(text, name_start, taken)
    if following in _FLAG_FOLLOWS and name.endswith(_TAKE_LOGINS) and text.startswith("--", name_start):
        logins.credentials(text, name_end, taken)
    elif kind == names.WEAK and following in _CALLED and name[-4:] in _AUTH:
        logins.pair(text, name_end, taken)
    return kind == names.SIGNATURE and not in_query(text, name_start)


def _nothing_before(name_start: int, kind: int, runs: Runs) -> bool:
    """Whether nothing that could be a secret stands before a name; one of a password may be short."""
    low = name_start - nearby.BEFORE if name_start > nearby.BEFORE else 0
    return not runs.may_hold_value(low, name_start) or (
        kind != names.PASSWORD and not runs.has_long(low, name_start)
    )


def _find_beside(
    text: str,
    place: tuple[int, int],
    kind: int,
    name: str,
    runs: Runs,
    taken: list[Span],
    *,
    nothing_before: bool,
) -> None:
    """A value beside a name behind which stands what no form begins with."""
    name_start, name_end = place
    if nothing_before and not runs.may_hold_value(name_end, name_end + nearby.AFTER):
        return
    if kind == names.WEAK:
        kind = with_word_before(text, name_start, name)
    if not nothing_before:
        _find_before(text, name_start, kind, runs, taken)
    if name not in VERBS and len(name) > 2:
        _find_after(text, name_end, kind, runs, taken)


def _is_prose(text: str, place: tuple[int, int], kind: int, runs: Runs, taken: list[Span]) -> bool:
    """Whether a name with a space behind it stands in a sentence that tells something else than its value."""
    name_start, name_end = place
    if kind == names.WEAK:
        has_key = runs.has_key(name_end, name_end + nearby.FARTHEST)
        if has_key:
            nearby.find_refused(text, name_end, taken)
        if not text.startswith(_WEAK_PROSE, name_end):
            if has_key:
                nearby.find_weak(text, name_start, name_end, taken)
            return True
    return _ABOUT.match(text, name_end) is not None


def _read_commands(
    text: str, place: tuple[int, int], kind: int, name: str, following: str, taken: list[Span]
) -> None:
    """What stands beside some names that no separator joins them with: arguments, pipes, subcommands.

    Args:
        text: what is scanned.
        place: start and end of the name.
        kind: what the name says.
        name: the name.
        following: the character behind it.
        taken: receives the spans.
    """
    name_start, name_end = place
    if kind == names.SECRET and name.endswith(("-stdin", "-fd")):
        pipe = text.rfind("|", max(0, name_start - _PIPE_REACH), name_start)
        logins.echo(text, pipe + 1, taken)
    if following == "(" or (following == "=" and text[name_end + 1 : name_end + 2] == "("):
        if name.lower().endswith(_TAKE_LOGINS):
            logins.arguments(text, name_end, taken)
        elif name.endswith("AndPassword"):
            snippets.address_and_password(text, name_end, taken)
    elif following == "]" and text.startswith("]::new(", name_end):
        if name.lower().endswith("credential"):
            logins.arguments(text, name_end + len("]::new"), taken)
    elif following == "=" and text[name_end + 1 : name_end + 2] == "{":
        if kind == names.PASSWORD and text[name_start - 1 : name_start] == ";":
            logins.braced(text, name_end, taken)
    elif following == " " and name in _STORES:
        if text.startswith(" set ", name_end):
            commands.kept(text, name_end, taken)
        elif text.startswith((" create ", " versions add "), name_end):
            logins.piped(text, name_start, taken)
        elif name != "secret":
            pass
        elif text.startswith(" generic ", name_end):
            commands.literals(text, name_end, taken)
        elif text.startswith(" put ", name_end):
            pipe = text.rfind("|", max(0, name_start - _PIPE_REACH), name_start)
            logins.echo(text, pipe + 1, taken)
    elif kind == names.PASSWORD and name in _BY_NAME:
        _BY_NAME[name](text, name_end, taken)


def _read_default(text: str, name_end: int, kind: int, taken: list[Span]) -> None:
    """``${DB_PASSWORD:-hunter2}``: what holds where a variable is not set."""
    hit = _DEFAULT.match(text, name_end)
    if hit is None or OPENING in hit["value"]:
        return
    value = hit["value"]
    if commands.is_chosen(value) and (
        kind == names.PASSWORD or (shapes.looks_random(value, _SHORTEST_KEY) or shapes.is_restless(value, 16))
    ):
        taken.append(Span(*hit.span("value"), PAIR, names.TYPES[kind]))


def _has_gone(text: str, name_end: int) -> bool:
    """Whether the value of a name is a tag already, and nothing else."""
    before = _BEFORE_TAG.match(text, name_end)
    if before is None:
        return False
    end = tag_end_at(text, before.end())
    return end > 0 and text[end : end + 1] in _BEHIND_TAG


def _find_after(text: str, name_end: int, kind: int, runs: Runs, taken: list[Span]) -> None:
    if kind == names.WEAK and text[name_end - 1] in _PLURAL:
        kind = names.TOKEN  # a list of keys: what stands there is asked more than behind a name of one
    if (
        kind in _CLEAR
        and runs.may_hold_value(name_end, name_end + nearby.AFTER)
        and (kind == names.PASSWORD or runs.has_key(name_end, name_end + nearby.FARTHEST))
    ):
        nearby.find_after(text, name_end, kind, taken)


def _find_before(text: str, name_start: int, kind: int, runs: Runs, taken: list[Span]) -> None:
    languages.find_before(text, name_start, taken)
    if kind == names.PASSWORD or (kind in _CLEAR and runs.has_key(name_start - nearby.BEFORE, name_start)):
        nearby.find_before(text, name_start, kind, taken)
