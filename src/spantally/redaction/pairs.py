"""Pairs: key, separator, value, in JSON at any depth of escaping, YAML, code, shells, URLs, XML and prose.

The scan walks from stem to stem (``key``, ``token``, ``pass`` ...). At each it reads the name around the
stem, then one separator, then one value, every step anchored and bounded; the cursor then stands behind
what was read, so that the whole is linear on any input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from spantally.redaction import commands, languages, logins, names, nearby, shapes
from spantally.redaction.columns import HEAD_END
from spantally.redaction.runs import Runs
from spantally.redaction.spans import PAIR, Span
from spantally.redaction.tags import OPENING, is_tag_at, tag_end_at
from spantally.redaction.values import SHORTEST, Site, acceptable, is_call

_NAME_CHARS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
_ATTRIBUTE: Final = re.compile(r"[a-z]{2,16}(?:-[a-z]{2,16}){0,2}=\Z")
_OPENS: Final = frozenset("\"'\\")
_QUERY: Final = frozenset("?&;#")
_ESCAPED_AND: Final = "\\u0026"
_BEHIND_TAG: Final = frozenset(" \t\r\n\"'")
_INNER: Final = frozenset(_NAME_CHARS)
_LONGEST_NAME: Final = 64
_FEWEST: Final = 8
_FEWEST_WEAK: Final = 14
"""Characters of one that is no password, and of one behind a weak name; so long is gibberish, too."""

_QUOTE: Final = r"""(?:\\{0,64}(?:["'`]|u0022|u0027)|&quot;|&\#(?:3[49]|x2[27]);|&apos;|%22|%27)"""

_GAP: Final = r"(?:\s|\\{1,16}[nrt]|(?<=\n)[+-]){0,12}+"

_BREAK: Final = r"(?:\s|\\{1,16}[nrt])"

_TAIL: Final = re.compile(r"[A-Za-z0-9_\u00c0-\u024f-]*+")
_BRAINTREE: Final = re.compile(r"\$(?:production|sandbox)\$[a-z0-9]{8,24}\$[a-f0-9]{10,64}")
"""What follows ``access_token`` in a token of Braintree's."""
_MAY_FOLLOW: Final = frozenset("$ \t\r\n:=>,;|(\"'`\\&%]*)-<\uff1a")
_HEAD_FOLLOWS: Final = frozenset(" \t\r\n,;|\"'`*\\")
_WRAPPER: Final = (
    r"(?:(?:Some|Secret(?:Str|String|Bytes|Box)?|Sensitive(?:String)?|String::from|(?:Secret|Pydantic)?Field|SecretString::new)"
    r"\((?:\s{0,4}default=)?\s{0,4})"
)
"""What holds a secret in code without another value in it."""
_AFTER_NAME: Final = re.compile(
    rf"""(?x)
    (?P<closing>{_QUOTE})?
    (?:
      (?P<operator>
          \*{{0,2}} [^\S\n]{{0,16}} \]? [^\S\n]{{0,16}}
            (?: => | := | -> | ={{1,3}} | [|?]{{1,2}}= | : | \uff1a | %3[AaDd] ) \*{{0,2}} \s{{0,16}}+
          (?! [tT]ype: )
          (?: (?=[SPFJ(|>&!s<q\[{{])
            (?: (?: {_WRAPPER} | (?:Just)? \( \s{{0,16}} ) (?={_QUOTE}) | [|>][+-]? \n [ ]{{1,16}}
              | &(?!str\b)\w{{1,24}}[ ](?!=) | !!str[ ] | string\([0-9]{{1,5}}\)[ ]
              | <(?:code|pre|b|strong|tt)> | <<[-~]?["']?[A-Z_]{{1,16}}["']? \n [ ]{{0,16}}
              | \[ (?=\[) | qq?\{{
              | \{{ {_GAP}
                (?: {_QUOTE} (?:type|sensitive) {_QUOTE} [ ]? : [^\n,{{}}]{{1,24}} , {_GAP} ){{0,2}}
                {_QUOTE} (?:[vV]alue|val|default) {_QUOTE} \s{{0,4}} : \s{{0,4}} (?={_QUOTE}) ) )?
          (?: [&*]? (?: 'static[ ] )? [A-Za-z] [\w.\[\]|<>?]{{0,40}} (?: [ ]\|[ ] \w{{1,20}} )?
              \s{{0,4}} = \s{{0,4}} (?=@?{_QUOTE}(?!\s{{0,4}}(?:[,}}\]);]|\Z))) )?
        | (?=[ ][sS&\[{{]) [ ]{{1,4}} (?: \{{[ ]get;[ ](?:private[ ])?(?:(?:set|init);[ ])?\}}
            | string | String | \[\]byte | &str ) [^\S\n]{{1,4}}
            = [^\S\n]{{0,4}} (?={_QUOTE})
        | (?P<form> (?=[\r\n\\]) (?(closing) (?: \r?\n | (?: \\{{1,16}}r )? \\{{1,16}}n ){{2}} | (?!) ) )
        | (?: \s{{0,8}} [,)}}:] )? {_GAP} [\[({{]? {_GAP}
            (?: (?:[tT]ype|[dD]escription|sensitive|nullable|NoEcho|format)
                [^\S\n]{{0,12}} [=:] [^\n\\]{{0,120}}+ {_GAP} ){{0,4}}
            (?: {_QUOTE} [tT]ype {_QUOTE} \s{{0,4}} : \s{{0,4}}
                {_QUOTE} \w{{1,24}} {_QUOTE} \s{{0,4}} , {_GAP} )?
            {_QUOTE}? (?:[vV]alue|val|content|[dD]efault|example)
            {_QUOTE}? \s{{0,8}} [:=] \s{{0,8}}
        | ;s:[0-9]{{1,6}}: (?={_QUOTE})                                               # PHP, serialised
        | (?: \n | \\{{1,16}}n ) [ ]{{0,8}} [^\n\[\]\\]{{0,120}} \[type= [^\]\n]{{0,80}} input_value=
      )
      | (?P<element> (?: </[A-Za-z]{{1,16}}> {_GAP} <[A-Za-z]{{1,16}}[^<>\n]{{0,80}}
              (?: > {_GAP} <[A-Za-z]{{1,16}} )? )? > {_GAP}
          | (?(closing) (?!) )  # attributes of the element that the name is of
            (?: \s{{1,4}} [\w:.-]{{1,32}} = {_QUOTE} [^"'<>\n\\]{{0,80}} {_QUOTE} ){{1,3}} [ ]? > {_GAP} )
      | (?P<list> \s{{0,8}} , \s{{0,8}} (?: [\w.]{{1,40}} \( )? (?={_QUOTE}) | \s? \( \s{{0,4}} (?={_QUOTE}) )
      | (?P<cell> (?(closing) (?: \r?\n | \\{{1,16}}r\\{{1,16}}n ){{2}} | (?!) )       # a part of a form
          | [^\S\n]{{0,40}} \|{{1,2}} [^\S\n]{{0,40}} | [ ]? \( | \t{{1,4}} )
      | (?P<prose> [^\S\n]{{1,4}}
          (?: (?: is | was | are | provided | used | found | reads | below | set[ ]to | to | as
                | equals | value | est | ist | lautet | es
                | \xe9 | \xe8 | \xe4r ) [^\S\n]{{0,3}} [:=]? \s{{1,12}}
            | [A-Za-z]{{1,16}} [^\S\n]{{1,3}} (?:is|was|to) [^\S\n]{{0,3}} :? \s{{1,4}}
            | [A-Za-z]{{1,12}} [ ]? : \s{{1,4}}
            | (?: for | of | to | in | on | de | del | do | da | du | des | der | f\xfcr | von | van | voor
                | para )
              [ ] [\w.@/-]{{1,40}}
              (?: [ ] (?:is|was|=|est|ist|es|\xe9|\xe8|lautet) [ ]{{0,2}} :? | : ) \s{{1,4}}
          )
        )
      | (?P<space> [^\S\n]{{1,8}} (?: [0-9][ ] )?
          (?: --? (?: body | value | data | plaintext | secret-string | password | p ) [= ]{{1,2}} )? )
    )
    (?P<array> \[ \s{{0,8}} )?
    (?: \*{{1,2}} | [bBrRfFuUN]{{1,2}} (?=\\{{0,64}}["']) | \$?@ (?={_QUOTE}) )?
    (?P<opening>{_QUOTE}|<!\[CDATA\[)?
    """
)

_GROUPS: Final = re.compile(r"[a-z]{4}(?:[ ][a-z]{4}){3}(?=[\"'`\\\s,.;)<]|\Z)(?! [a-z])")
"""Four times four letters: a password that Google gives to one program."""
_MORE: Final = re.compile(
    rf"{_QUOTE}(?:(?P<joined>[ ]?[+.]{_BREAK}{{0,40}}+|[ ]?\\?(?:\n|\\{{1,16}}n){_BREAK}{{0,40}}+)"
    rf"|\s?,{_BREAK}{{0,40}}+)(?P<opening>{_QUOTE})"
)
"""From the end of one text to the next: of one that is written in parts, or of a list."""
_FORM_FIELD: Final = re.compile(r"form-data|name=\\{0,16}[\"']\Z")
_MOST_PARTS: Final = 64
_UNQUOTED: Final = re.compile(r"""[^\s"'`,;&<>\\(){}\[\]|]{1,256}""")
_REST_OF_UNQUOTED: Final = re.compile(r"""[^\s"'`,;&<>\\(){}\[\]|]*""")
_TO_SPACE: Final = re.compile(r"""[^\s"'`\\<]+""")
_MORE_BASE: Final = re.compile(r"[A-Za-z0-9_\-+/=.~|:]{6,}")
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
_LITTLE_WORDS: Final = frozenset(
    """
    and any by each every first for from in is its key last my new next no not of on one or our same that the
    their this to token two what which with your
    """.split()  # noqa: SIM905
)
"""Words before ``key`` or ``token`` that are no part of its name."""
_LAST_WORD: Final = re.compile(r"([A-Za-z]+)[ \t]+\Z")
_PROSE_REACH: Final = 64
_BEFORE_NAME: Final = frozenset({" ", '"', "'"})
_AUTH: Final = frozenset({"auth", "Auth", "AUTH"})
_FLAG_FOLLOWS: Final = frozenset(" =")
_CALLED: Final = frozenset("= (")
_LONGEST_SHORT: Final = 12
"""Characters of a name from which on it may be an id."""
_PIPE_REACH: Final = 160
"""Characters of a command, ``| docker login --password-stdin``, behind which its password is told."""
_VERBS: Final = frozenset({"pass", "Pass", "PASS", "sign", "passes"})
"""Words of ordinary text, and names only before an operator."""
_QUOTED_LIMIT: Final = 4096
_PROPERTY_DEFAULT: Final = re.compile(r":[^-+?={}$\s][^{}$\s]{3,256}\}")
"""``${openai.api.key:value}`` of Spring: a property's default, where a shell has no dots."""
_IS_ABOUT: Final = re.compile(r"(?:arn:[a-z-]{2,16}:[\w:/.-]{0,72}:|--- )\Z")
"""Before ``secret:`` of a secret's place, and ``PASS:`` of a test."""
_ESCAPE_LEFT: Final = re.compile(r"(?:u00[0-9a-fA-F]{2}|[nrtbf])")
_EXPORT: Final = re.compile(
    r"(?:(?:export|set|setenv|env|arg|-e|--env|\$|>|-|\+)[ \t]{1,4})*\Z", re.IGNORECASE
)


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
    tail = _TAIL.match
    known = names.known
    may_hold_value = runs.may_hold_value
    for at in stems:
        if at < cursor:
            continue
        seen += 1
        if not seen & 127:
            check()
        cursor = name_end = tail(text, at).end()  # type: ignore[union-attr]
        if name_end - at > _LONGEST_NAME:
            continue
        following = text[name_end] if name_end < size else ""
        if at and text[at - 1] in _INNER:
            name_start, name = _name(text, at, name_end)
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
        if kind == names.NONE:
            continue
        if kind == names.PASSWORD and len(name) >= _LONGEST_SHORT and _is_id(name):
            continue
        if kind == names.SECRET and name.endswith(("-stdin", "-fd")):
            pipe = text.rfind("|", max(0, name_start - _PIPE_REACH), name_start)
            logins.echo(text, pipe + 1, taken)
        if following == "(" or (following == "=" and text[name_end + 1 : name_end + 2] == "("):
            if name.lower().endswith(_TAKE_LOGINS):
                logins.arguments(text, name_end, taken)
        elif following == "]" and text.startswith("]::new(", name_end):
            if name.lower().endswith("credential"):
                logins.arguments(text, name_end + len("]::new"), taken)
        elif following == "=" and text[name_end + 1 : name_end + 2] == "{":
            if kind == names.PASSWORD and text[name_start - 1 : name_start] == ";":
                logins.braced(text, name_end, taken)
        elif following == " " and name == "secret":
            if text.startswith(" generic ", name_end):
                commands.literals(text, name_end, taken)
            elif text.startswith(" put ", name_end):
                pipe = text.rfind("|", max(0, name_start - _PIPE_REACH), name_start)
                logins.echo(text, pipe + 1, taken)
        elif kind == names.PASSWORD and name in _BY_NAME:
            _BY_NAME[name](text, name_end, taken)
        known_form = following in _MAY_FOLLOW
        in_words = False
        if known_form:
            if (
                name_start > 1
                and text.startswith("${", name_start - 2)
                and not ("." in name and _PROPERTY_DEFAULT.match(text, name_end))
            ):
                continue  # a variable of a shell: what follows is its default or its fault
            if following == ":" and is_tag_at(text, name_start):
                continue  # a type: [REDACTED:token:0123abcd]
            in_words = following == " " and text[name_end + 1 : name_end + 2].isalpha()
            if not in_words and following in _HEAD_FOLLOWS and HEAD_END.match(text, name_end):
                heads.append(at)
            if kind in _ELSEWHERE or (
                in_words and name in _VERBS and not text.startswith((" is ", " was "), name_end)
            ):
                continue
            if kind == names.SECRET and name.startswith(("cred", "Cred", "CRED")):
                languages.find_login(text, name_start, taken)
            if (
                following in _FLAG_FOLLOWS
                and name.endswith(_TAKE_LOGINS)
                and text.startswith("--", name_start)
            ):
                logins.credentials(text, name_end, taken)
            elif kind == names.WEAK and following in _CALLED and name[-4:] in _AUTH:
                logins.pair(text, name_end, taken)
            if kind == names.SIGNATURE and not _in_query(text, name_start):
                continue
        # Most names stand in talk, with nothing around that could be a secret: that is seen by bytes.
        nothing_behind = (
            following == " "
            and kind != names.PASSWORD
            and not may_hold_value(name_end, name_end + _PROSE_REACH)
        )
        nothing_before = True
        if text[name_start - 1 : name_start] in _BEFORE_NAME:
            low = name_start - nearby.BEFORE if name_start > nearby.BEFORE else 0
            # One of a password may be short, others are not.
            nothing_before = not may_hold_value(low, name_start) or (
                kind != names.PASSWORD and not runs.has_long(low, name_start)
            )
        if nothing_behind and nothing_before:
            continue
        if not known_form:
            # Where no rule knows what follows a name, its value may stand beside it all the same.
            if not nothing_before or may_hold_value(name_end, name_end + nearby.AFTER):
                if kind == names.WEAK:
                    kind = _with_word_before(text, name_start, name)
                if not nothing_before:
                    _find_before(text, name_start, kind, runs, taken)
                if name not in _VERBS and len(name) > 2:
                    _find_after(text, name_end, kind, runs, taken)
            continue
        if kind == names.WEAK and name_start and text[name_start - 1] in " \t":
            kind = _with_word_before(text, name_start, name)
        count = len(taken)
        if not nothing_before:
            _find_before(text, name_start, kind, runs, taken)
        if nothing_behind:
            continue
        if following == " " and kind == names.WEAK and not text.startswith(_WEAK_PROSE, name_end):
            if runs.has_key(name_end, name_end + nearby.FARTHEST):
                nearby.find_weak(text, name_end, taken)
            continue
        found = _AFTER_NAME.match(text, name_end)
        if found is None:
            if len(taken) == count and name not in _VERBS and len(name) > 2:
                _find_after(text, name_end, kind, runs, taken)
            continue
        cursor, read = _read(text, (name_start, name_end), kind, name, found, taken)
        if len(taken) == count and name not in _VERBS and len(name) > 2:
            _find_after(text, name_end, kind, runs, taken)
        # A value that was read and let go may hold a further name, so the scan goes on behind its name only;
        # but not for ever, or `token=token=token=` would read everything a thousand times.
        if read > cursor:
            waste -= read - cursor
            if waste < 0:
                cursor = read


def _find_after(text: str, name_end: int, kind: int, runs: Runs, taken: list[Span]) -> None:
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


def _read(
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
    if name == "issecret":
        logins.secret_variable(text, name_end, taken)
        return name_end, start
    opening = found["opening"]
    if kind == names.PASSWORD and (groups := _GROUPS.match(text, start)) is not None:
        taken.append(Span(start, groups.end(), PAIR, names.TYPES[kind]))
        return groups.end(), groups.end()
    end = -1 if opening is None else _quoted_end(text, start, opening)
    is_closed = end >= 0
    if not is_closed:
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
            or (kind != names.PASSWORD and (is_closed or not _in_query(text, name_start)))
        )
    ):
        return name_end, end
    how = _how(found)
    if (kind == names.WEAK and how == "space") or (
        name in _VERBS and how not in ("operator", "prose", "element")
    ):
        return name_end, name_end
    in_url = how == "operator" and _in_query(text, name_start)
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
        far="\n" in separator,
    )
    if how == "operator" and "%3" in separator and text.find("%", start, end) >= 0:
        return name_end, end  # all of it is encoded; what it says is read once it is decoded
    if is_closed:
        listed = found["array"] is not None
        joined, behind = _parts(text, end, listed=listed)
        whole = text[start:end] + "".join(text[low:high] for low, high in joined)
        value = text[start:end] if listed else whole
        if not acceptable(value, site) and not (_is_sent(name, kind, how) and _is_long_hex(value)):
            return name_end, end
        if separator[:1] == ":" and _IS_ABOUT.search(text, max(0, name_start - 96), name_start) is not None:
            return name_end, name_end
        for low, high in joined:
            if not listed or acceptable(text[low:high], site):
                taken.append(Span(low, high, PAIR, names.TYPES[kind]))
        taken.append(Span(start, end, PAIR, names.TYPES[kind]))
        return behind, behind
    end, good = _plain_end(text, start, end, site)
    if not good and not (_is_sent(name, kind, how) and _is_long_hex(text[start:end])):
        return name_end, end
    if separator[:1] == ":" and _IS_ABOUT.search(text, max(0, name_start - 96), name_start) is not None:
        return name_end, name_end
    taken.append(Span(start, end, PAIR, names.TYPES[kind]))
    return end, end


def _is_sent(name: str, kind: int, how: str) -> bool:
    """Whether a name is just "token": what is sent as one is none of the hashes that stand under "key"."""
    return kind == names.WEAK and how == "operator" and name.lower() == "token"


def _is_long_hex(value: str) -> bool:
    return len(value) >= 32 and shapes.is_hex(value)


def _is_id(name: str) -> bool:
    """Whether a name is a random word that happens to end in ``pw``, such as the id of an object."""
    return name[-2:].lower() == "pw" and name[-3].isalnum() and shapes.looks_random(name, _LONGEST_SHORT)


def _parts(text: str, end: int, *, listed: bool) -> tuple[list[tuple[int, int]], int]:
    """The further texts behind the first, which ends at ``end``, and where the last of them does."""
    parts: list[tuple[int, int]] = []
    while len(parts) < _MOST_PARTS:
        more = _MORE.match(text, end)
        if more is None or (more["joined"] is None) != listed:
            break
        start = more.end()
        stop = _quoted_end(text, start, more["opening"])
        if stop <= start or " " in text[start:stop] or text.startswith(OPENING, start):
            break
        parts.append((start, stop))
        end = stop
    return parts, end


def _in_query(text: str, name_start: int) -> bool:
    """Whether a name is that of a parameter of a URL, whose ``&`` JSON may have as an escape."""
    return text[name_start - 1 : name_start] in _QUERY or text.startswith(_ESCAPED_AND, name_start - 6)


def _ends(text: str, at: int) -> bool:
    return at >= len(text) or text[at] in _BEHIND_TAG


def _how(found: re.Match[str]) -> str:
    for group in ("operator", "space", "prose", "list", "cell"):
        if found[group] is not None:
            return group
    return "element"


def _name(text: str, at: int, end: int) -> tuple[int, str]:
    """Start and text of the name around ``at``, without the escape that may be glued to its front."""
    if at == 0 or text[at - 1] not in _INNER:
        return at, text[at:end].strip("-.")
    left = text[max(0, at - _LONGEST_NAME) : at]
    kept = left.rstrip(_NAME_CHARS)
    start = at - (len(left) - len(kept))
    if kept:
        before = kept[-1]
        if before == "\\":
            escape = _ESCAPE_LEFT.match(text, start, at)
            if escape:
                start = escape.end()
        elif before == "%":
            start = min(start + 2, at)
    return start, text[start:end].strip("-.")


def _with_word_before(text: str, start: int, name: str) -> int:
    """``API key``, ``secret access key``: in prose the words of a name are apart."""
    before = text[max(0, start - 20) : start]
    if not before.endswith((" ", "\t")):
        return names.WEAK
    word = before.rstrip(" \t").rpartition(" ")[2]
    if not word.isalpha():  # the end of something longer: <td>secret
        found = _LAST_WORD.search(before)
        word = "" if found is None else found[1]
    if not 2 <= len(word) <= 16 or word.lower() in _LITTLE_WORDS:
        return names.WEAK
    return max(names.WEAK, names.classify(f"{word.lower()}_{name}"))


def _starts_line(text: str, start: int) -> bool:
    line = text[max(0, start - 40) : start]
    newline = line.rfind("\n")
    if newline < 0 and start > 40:
        return False
    line = line[newline + 1 :].lstrip()
    return not line or _EXPORT.match(line) is not None


def _plain_end(text: str, start: int, end: int, site: Site) -> tuple[int, bool]:
    """Where a value without quotes ends, and whether it is a secret."""
    value = text[start:end]
    if (
        value[-1:] == "="
        and (text[end : end + 1] in _OPENS or text.startswith("&quot;", end))
        and _ATTRIBUTE.match(value)
    ):
        return end, False  # the next attribute of an element
    if not site.tight or site.how != "operator":
        value = value.rstrip(".:!?")
        end = start + len(value)
    if is_call(text, value, end, site):
        return end, False
    if not acceptable(value, site):
        if text[end : end + 1] != "|" or site.how != "operator":
            return end, False
        more = _MORE_BASE.match(text, end + 1, end + 256)
        if more is None or not shapes.looks_random(more[0], 16):
            return end, False
    return _extended(text, end, site), True


def _quoted_end(text: str, start: int, opening: str) -> int:
    """Where the quoted value ends: the same quote at the same depth of escaping; -1 if it does not close."""
    if opening == "<![CDATA[":
        return text.find("]]>", start, start + _QUOTED_LIMIT)
    mark = opening.lstrip("\\")
    depth = len(opening) - len(mark)
    at = start
    while True:
        at = text.find(mark, at, start + _QUOTED_LIMIT)
        if at < 0:
            return -1
        escapes = 0
        while at - escapes > start and text[at - escapes - 1] == "\\" and escapes <= 64:
            escapes += 1
        if escapes <= depth or (depth == 0 and escapes % 2 == 0):
            end = at - min(escapes, depth)
            return end if text.find("\n", start, end) < 0 else -1
        at += len(mark)


def _extended(text: str, end: int, site: Site) -> int:
    """A value may go on behind what ends values elsewhere: ``NAME=a|b&c`` on a line of its own."""
    end = _REST_OF_UNQUOTED.match(text, end).end()  # type: ignore[union-attr]
    if site.how == "operator" and site.line_start and not site.quoted and not site.in_url:
        rest = _TO_SPACE.match(text, end)
        if rest is not None:
            return end + len(rest[0].rstrip(",;)]}&|"))
    elif text[end : end + 1] == "|":
        more = _MORE_BASE.match(text, end + 1)
        if more is not None:
            return more.end()
    return end
