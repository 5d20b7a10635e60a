"""Snippets: secrets at a place of their own in code, statements, manifests and talk.

``jwt.sign(payload, "...")``, ``createHmac("sha256", "...")``, a private JSON Web Key, ``kind: Secret`` of
Kubernetes, parameters of CloudFormation, ``log in as bob with ...``, a list of backup codes.
Each handler begins at its fixed mark or name and reads anchored and bounded from there, or goes on where it
stopped.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping
from typing import Final

from spantally.redaction import names, shapes
from spantally.redaction.commands import NO_SECRETS, is_chosen, is_strong
from spantally.redaction.spans import STRUCTURE, Span

_QUOTE: Final = r"""(?:\\{0,16}["'`])"""
_GAP: Final = r"(?:\s|\\{1,16}[nrt]){0,12}+"
_LITERAL: Final = (
    rf"""[bru]{{0,2}}(?P<quote>{_QUOTE})(?P<value>[^"'`\\\n]{{6,512}})(?=(?P=quote)[\s\\]{{0,8}}[,).]|\Z)"""
)
_NAMED: Final = r"(?:[\w.\[\]>:$@-]{1,80}(?:\([\w.,]{0,40}\))?)"
_TEXT: Final = rf"(?:[bru]{{0,2}}{_QUOTE}[^\"'`\\\n]{{0,200}}{_QUOTE})"
_OBJECT: Final = r"(?:(?:dict|new \w{1,40})?[\[({][^()\[\]{}]{0,400}[\])}])"
_ARGUMENT: Final = rf"(?:{_TEXT}|{_NAMED}|{_OBJECT}){_GAP},{_GAP}"

_SIGNED: Final = re.compile(
    rf"jwt\.(?:sign|verify|encode|decode)\({_GAP}{_ARGUMENT}{_LITERAL}", re.IGNORECASE
)
_HMAC: Final = re.compile(rf"hmac\.new\({_GAP}(?:key=)?{_LITERAL}", re.IGNORECASE)
_ALGORITHM: Final = re.compile(rf"hmac(?:256|384|512)\({_GAP}{_LITERAL}", re.IGNORECASE)
_WIREGUARD: Final = re.compile(r"(?:\s|\\{1,16}[nr]){1,4}(?P<value>[A-Za-z0-9+/]{43}=)")
_SALT: Final = re.compile(
    rf"_SALT{_QUOTE}?\s{{0,4}}[,=:]\s{{0,8}}{_QUOTE}(?P<value>[^\"'\n]{{24,128}})(?={_QUOTE})"
)
_BOUND: Final = re.compile(
    rf"(?:ldap_bind|simple_bind(?:_s)?)\({_GAP}(?:{_ARGUMENT}){{1,2}}{_LITERAL}", re.IGNORECASE
)
_SERIALIZER: Final = re.compile(rf"serializer\({_GAP}{_LITERAL}", re.IGNORECASE)
_JOINED: Final = re.compile(
    r"kubeadm join [\w.:-]{1,128} --token (?P<value>[a-z0-9]{6}\.[a-z0-9]{16})(?![a-z0-9])"
)
_CREATED: Final = re.compile(rf"createhmac\({_GAP}{_ARGUMENT}{_LITERAL}", re.IGNORECASE)
_SYMMETRIC: Final = re.compile(
    rf"(?:pgp_sym_(?:en|de)crypt(?:_bytea)?|aes_(?:en|de)crypt)\({_GAP}(?:{_TEXT}|[\w.:@%$]{{1,80}}){_GAP},{_GAP}{_LITERAL}",
    re.IGNORECASE,
)
_FTP: Final = re.compile(rf"ftp(?:_tls)?\({_GAP}{_ARGUMENT}{_ARGUMENT}{_LITERAL}", re.IGNORECASE)
_LOGIN: Final = re.compile(rf"login\({_GAP}{_NAMED}{_GAP},{_GAP}{_LITERAL}", re.IGNORECASE)

_CREATED_USER: Final = re.compile(
    rf"create_(?:super)?user\({_GAP}(?:{_ARGUMENT}){{1,2}}{_LITERAL}", re.IGNORECASE
)
_BEHIND_ADDRESS: Final = re.compile(rf"\({_GAP}(?:{_ARGUMENT}){{1,2}}{_LITERAL}")
_ENCODED: Final = re.compile(
    rf"""(?i)(?:btoa|b64encode|base64_encode|encode64|buffer\.from|\[\]byte)\(\s{{0,8}}[bf]?{_QUOTE}"""
    r"""(?!(?:data|file|urn|did|sha[0-9]{1,3}|https?):)[\w.@+-]{1,64}:(?P<value>[^"'`\\\s/,$]{6,256}+)(?=\\{0,16}["'`])"""
)
_FERNET: Final = re.compile(rf"fernet\({_GAP}{_LITERAL}", re.IGNORECASE)
_SONAR: Final = re.compile(r"""sonar\.login["']?\s{0,2}[=:,]\s{0,2}["']?(?P<value>[A-Za-z0-9_]{20,256})""")
_DJANGO: Final = re.compile(r"django-insecure-(?:&amp;|%[0-9A-F]{2}|[a-z0-9!@#$%^&*(\-_=+)]){16,50}")
"""A key of Django's: marks of any kind are in it, which end a value elsewhere."""
_JWK_REACH: Final = 6_000
_JWK_PART: Final = re.compile(
    rf"""{_QUOTE}(?:d|k|p|q|dp|dq|qi){_QUOTE}\s{{0,4}}:\s{{0,4}}{_QUOTE}(?P<value>[A-Za-z0-9_-]{{16,1400}}=*)"""
)
_JWK_KIND: Final = re.compile(rf"kty{_QUOTE}\s{{0,4}}:\s{{0,4}}{_QUOTE}(?:EC|RSA|oct|OKP){_QUOTE}")

_BREAK: Final = r"(?:\r?\n|(?:\\{1,16}r)?\\{1,16}n)"
_KIND: Final = re.compile(rf"kind{_QUOTE}?:\s{{0,4}}{_QUOTE}?\Z")
_MANIFEST: Final = 8_000
_DOCUMENT: Final = re.compile(rf"{_BREAK}---")
_DATA: Final = re.compile(
    rf"""(?:{_BREAK}|\A)(?P<indent>[ ]{{0,8}})(?P<which>data|stringData):[ ]{{0,4}}"""
    rf"""(?P<lines>(?:{_BREAK}(?P=indent)[ ]{{1,8}}[^\n\\]{{1,4096}}){{1,64}})"""
)
_ENTRY: Final = re.compile(
    rf"""[ ]{{1,16}}{_QUOTE}?(?P<name>[\w./-]{{1,253}}){_QUOTE}?:[ ]{{1,4}}{_QUOTE}?"""
    r"""(?P<value>[^\s"'\\|>#{\[][^\s"'\\]{3,4096})"""
)
_MAP: Final = re.compile(
    rf"""{_QUOTE}(?P<which>data|stringData){_QUOTE}{_GAP}:{_GAP}\{{(?P<lines>[^{{}}]{{1,8000}})\}}"""
)
_MAPPED: Final = re.compile(
    rf"""{_QUOTE}(?P<name>[\w./-]{{1,253}}){_QUOTE}\s{{0,4}}:\s{{0,4}}{_QUOTE}(?P<value>[^\s"'\\{{]{{4,4096}})"""
)

_PARAMETER: Final = re.compile(
    rf"""{_QUOTE}?\s{{0,4}}[=:]\s{{0,4}}{_QUOTE}?(?P<name>\w{{1,128}}){_QUOTE}?[ ]?,?{_GAP}{_QUOTE}?"""
    rf"""ParameterValue{_QUOTE}?\s{{0,4}}[=:]\s{{0,4}}{_QUOTE}?(?P<value>[^\s"'\\]{{4,256}})"""
)

_TOLD: Final = re.compile(
    r"""(?xi) (?:sign|log)(?:[ -]?in|ged[ ]in) [ ] (?:as|with|using) [ ] ["'`]{0,1}
    (?!the\b) [\w.@+-]{2,64} ["'`]{0,1}
    (?: [ ] (?:with|and|using) [ ] (?:(?:the|this)[ ])? (?:(?:pw|pass|pwd)[ ]?:?[ ])? | [ ]?[/|:][ ]? )
    ["'`]{0,1} (?P<value> [^\s"'`\\<>(){}]{6,128} )"""
)
_PIN: Final = re.compile(
    r"""(?xi) pin(?:[ ](?:code|number))? (?:[ ](?:for|of)(?:[ ]\w{1,16}){1,4})?
    (?:[ ]is | [ ]?:) [ ]{1,2} ["'`*]{0,2}
    (?P<value>[0-9]{4,8}) (?![\w.,:/-]\w)"""
)
_HOLDERS: Final = r"card|bank|debit|credit|phone|sim|door|alarm|safe|account|user|voicemail|unlock|security"
_OF_SOMEBODY: Final = re.compile(
    rf"""(?xi) (?: (?:\b|(?<=\\[nrt])) (?:my|our|your|his|her|their|{_HOLDERS})(?:'s)?[ ]
        (?:(?:{_HOLDERS})(?:'s)?[ ])?
    | (?: \A | [.,!?:"'\n] | \\n | \b(?:and|so|btw|that) ) [ ]? the[ ] ) \Z"""
)
_CODE: Final = (
    rf"{_BREAK}{{1,2}}[ ]{{0,8}}(?:[0-9]{{1,2}}[.)]?[ ]|[-*][ ])?[ ]?`?"
    r"(?P<value>[A-Za-z0-9]{4,24}(?:[- ][A-Za-z0-9]{4,12}){0,3})`?[ ]{0,2}(?=[\r\n\\\"]|\Z)"
)
_CODES: Final = re.compile(
    rf"codes?(?:[ ]\([^()\n]{{1,40}}\))?(?:[ ][^\s:]{{1,24}}){{0,8}}:?[ ]{{0,2}}"
    rf"(?P<lines>(?:{_CODE.replace('?P<value>', '?:')}){{2,20}})"
)
_SINGLE: Final = re.compile(
    r"""codes?(?:(?:[ ](?:is|was)|:)[ ]{1,2}|\\{0,16}["']?\s?[:=]\s?\[?\s{0,4}\\{0,16}"""
    r"""|[ ](?=[a-z0-9]{4,6}-[a-z0-9]{4,6}\b))"""
    r"""["'`*]{0,3}(?P<value>[A-Za-z0-9][^\s"'`\\<>*,;/]{5,40})"""
)
_SECRET_ID: Final = re.compile(
    rf"""{_QUOTE}?\s{{0,4}}[=:]\s{{0,4}}{_QUOTE}?(?P<value>[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})"""
)
_OF_SECRET_ID: Final = re.compile("role_id|AccessorID|consul acl")
_ROLE_REACH: Final = 160
_DIGITS: Final = re.compile("[0-9]{3,6}(?:[- ][0-9]{3,6}){1,5}")
_SIGNING_KEY: Final = 16
_SHORTEST_CODE: Final = 8
_SEED_BEFORE: Final = re.compile(r"(?i)(?:seed|recovery|secret|backup|wallet)[ _-]?\Z")
_SEED_WORDS: Final = re.compile(
    r"""(?xi) (?:mnemonic|phrase)s? (?:[ _-](?:phrase|words|seed|code))?
    (?:[ ][(][^()\n]{1,24}[)])? (?:[\\]{0,16}["'`*]){0,3} [ ]{0,3}
    (?: [:=]>? | -> | [ ](?:is|are|was) [ ]?:? ) (?:\s|[\\]{1,16}[nrt]){0,8}+ (?:[\\]{0,16}["'`*\[]){0,3}
    (?-i: (?P<value> (?: (?:[0-9]{1,2}[.)][ ]?)? [a-z]{3,8} (?:[ ]|,[ ]?|\n|[\\]{1,16}n) ){11,23}
        (?:[0-9]{1,2}[.)][ ]?)? [a-z]{3,8} ) (?![a-z]) )"""
)
_SEED_WORD: Final = re.compile(r"(?:(?<=\\n)|(?<![a-z\\]))[a-z]{3,8}(?![a-z])")
_SEED_SIZES: Final = (24, 21, 18, 15, 12)
_ONE_CODE: Final = re.compile(_CODE)
_ADDRESS: Final = re.compile(r"[\w.+-]{0,64}@(?:[\w-]{1,64}\.)*[\w-]{0,64}\Z")
_ERROR: Final = 4
_TRAILING: Final = ".,;:!?)*"


def _append(hit: re.Match[str] | None, taken: list[Span], kind: str = "secret") -> None:
    if hit is not None and is_chosen(hit["value"]) and " " not in hit["value"]:
        taken.append(Span(*hit.span("value"), STRUCTURE, kind))


def _reader(pattern: re.Pattern[str], kind: str = "secret") -> Callable[[str, int, list[Span]], None]:
    """What reads one form at its mark."""

    def read(text: str, at: int, taken: list[Span]) -> None:
        _append(pattern.match(text, at), taken, kind)

    return read


signed: Final = _reader(_SIGNED)
"""``jwt.sign(payload, "secret")`` and ``jwt.decode(token, "secret")``."""
hmac: Final = _reader(_HMAC)
"""``hmac.new(b"secret", message)``."""
algorithm: Final = _reader(_ALGORITHM)
"""``Algorithm.HMAC256("secret")``."""
bound: Final = _reader(_BOUND, "password")
"""``ldap_bind(connection, "cn=admin", "password")``."""
joined: Final = _reader(_JOINED, "token")
"""``kubeadm join host:6443 --token ...``."""
created: Final = _reader(_CREATED)
"""``createHmac("sha256", "secret")``."""
symmetric: Final = _reader(_SYMMETRIC, "password")
"""``pgp_sym_encrypt(column, 'password')``."""
login_call: Final = _reader(_LOGIN, "password")
"""``smtp.login(user, "password")``; logins.py reads a user that is written out."""


encoded: Final = _reader(_ENCODED, "password")
"""``btoa("user:password")``."""
fernet: Final = _reader(_FERNET)
"""``Fernet(b"key")``."""
sonar: Final = _reader(_SONAR, "token")
"""``-Dsonar.login=token``."""


def salt(text: str, at: int, taken: list[Span]) -> None:
    """``define('NONCE_SALT', '...')`` of WordPress, in which marks of any kind and spaces are."""
    hit = _SALT.match(text, at)
    if hit is not None and is_strong(hit["value"]):
        taken.append(Span(*hit.span("value"), STRUCTURE, "secret"))


def serializer(text: str, at: int, taken: list[Span]) -> None:
    """``URLSafeSerializer("key")``, which signs."""
    hit = _SERIALIZER.match(text, at)
    if hit is not None and shapes.looks_random(hit["value"], _SIGNING_KEY):
        _append(hit, taken)


def django(text: str, at: int, taken: list[Span]) -> None:
    """``django-insecure-...``: the key of a site that is being built, and often stays."""
    hit = _DJANGO.match(text, at)
    if hit is not None:
        taken.append(Span(hit.start(), hit.end(), STRUCTURE, "django-key"))


def _behind_address(pattern: re.Pattern[str]) -> Callable[[str, int, list[Span]], None]:
    """What reads a password behind a user, who may have an address as well."""

    def read(text: str, at: int, taken: list[Span]) -> None:
        hit = pattern.match(text, at)
        if hit is not None and _ADDRESS.match(hit["value"]) is None:
            _append(hit, taken, "password")

    return read


created_user: Final = _behind_address(_CREATED_USER)
"""``create_user("bob", "bob@example.com", "password")``."""
address_and_password: Final = _behind_address(_BEHIND_ADDRESS)
"""``signInWithEmailAndPassword(auth, "bob@example.com", "password")`` behind the name."""


def ftp(text: str, at: int, taken: list[Span]) -> None:
    """``FTP(host, user, "password")``; who has none gives an address of mail."""
    hit = _FTP.match(text, at)
    if hit is not None and _ADDRESS.match(hit["value"]) is None:
        _append(hit, taken, "password")


def jwk(text: str, at: int, taken: list[Span]) -> int:
    """The private parts of a JSON Web Key around its ``kty``; where reading may go on."""
    if _JWK_KIND.match(text, at) is None:
        return at
    begin = text.rfind("{", max(0, at - _JWK_REACH), at)
    end = text.find("}", at, at + _JWK_REACH)
    if begin < 0:
        return at
    if end < 0:
        end = min(len(text), at + _JWK_REACH)
    taken.extend(
        Span(*part.span("value"), STRUCTURE, "private-key") for part in _JWK_PART.finditer(text, begin, end)
    )
    return end


def kube(text: str, start: int, end: int, taken: list[Span]) -> None:
    """``kind: Secret`` of Kubernetes: what its ``data`` and ``stringData`` hold, whatever its name."""
    kind = _KIND.search(text, max(0, start - 24), start)
    if kind is None:
        return
    if kind[0][4] != ":":  # of JSON
        patterns: tuple[re.Pattern[str], re.Pattern[str]] = (_MAP, _MAPPED)
    else:
        patterns = (_DATA, _ENTRY)
    # One document has one kind; most have their data behind it, those that programs write have them before.
    stop = text.find("kind", end, end + _MANIFEST)
    behind = _DOCUMENT.search(text, end, end + _MANIFEST if stop < 0 else stop)
    high = behind.start() if behind is not None else end + _MANIFEST if stop < 0 else stop
    if not _data(text, end, high, patterns, taken):
        low = max(0, start - _MANIFEST)
        low = max(low, text.rfind("kind", low, kind.start()), text.rfind("---", low, start))
        _data(text, low, start, patterns, taken)


def _data(
    text: str, low: int, high: int, patterns: tuple[re.Pattern[str], re.Pattern[str]], taken: list[Span]
) -> bool:
    """Append the values of a manifest; whether there are any."""
    there = False
    for data in patterns[0].finditer(text, low, high):
        there = True
        for entry in patterns[1].finditer(text, *data.span("lines")):
            value = entry["value"]
            if entry["name"].lower() in NO_SECRETS or shapes.is_placeholder(value):
                continue
            if is_chosen(value) or (data["which"] == "data" and _is_base64(value)):
                taken.append(Span(*entry.span("value"), STRUCTURE, "secret"))
    return there


def _is_base64(value: str) -> bool:
    try:
        return len(value) >= 8 and bool(binascii.a2b_base64(value, strict_mode=False)) and not len(value) % 4
    except ValueError:
        return False


def parameter(text: str, _start: int, end: int, taken: list[Span]) -> None:
    """``ParameterKey=DBPassword,ParameterValue=...`` of CloudFormation."""
    hit = _PARAMETER.match(text, end)
    if hit is None:
        return
    value = hit["value"].rstrip(_TRAILING)
    if names.classify(hit["name"]) in (names.PASSWORD, names.SECRET, names.TOKEN) and is_chosen(value):
        start = hit.start("value")
        taken.append(Span(start, start + len(value), STRUCTURE, "password"))


def told(text: str, at: int, taken: list[Span]) -> None:
    """``log in as bob with ...`` and ``login with bob / ...``."""
    hit = _TOLD.match(text, at)
    if hit is None:
        return
    value = hit["value"].rstrip(_TRAILING)
    if is_strong(value) and is_chosen(value) and ("." not in value or "@" not in value):
        start = hit.start("value")
        taken.append(Span(start, start + len(value), STRUCTURE, "password"))


def told_behind_space(text: str, at: int, taken: list[Span]) -> None:
    """The same behind the space with which its mark begins."""
    told(text, at + 1, taken)


def pin(text: str, at: int, taken: list[Span]) -> None:
    """``my PIN is 4821``: of somebody, or of something that is opened with one."""
    hit = _PIN.match(text, at)
    if hit is not None and _OF_SOMEBODY.search(text, max(0, at - 40), at) is not None:
        taken.append(Span(*hit.span("value"), STRUCTURE, "password"))


def codes(text: str, at: int, taken: list[Span]) -> None:
    """A list of backup codes, one a line, or one of them by itself."""
    at += text[at : at + 24].lower().find("code")
    single = _SINGLE.match(text, at)
    if single is not None:
        value = single["value"].rstrip(_TRAILING)
        if shapes.has_digit(value) and (
            value.isdigit()
            or (len(value) >= _SHORTEST_CODE and (is_chosen(value) or _DIGITS.fullmatch(value)))
        ):
            start = single.start("value")
            taken.append(Span(start, start + len(value), STRUCTURE, "secret"))
        return
    hit = _CODES.match(text, at)
    if hit is None:
        return
    found = list(_ONE_CODE.finditer(text, *hit.span("lines")))
    # Numbers of errors have three digits or four; words have none.
    if 2 * sum(shapes.has_digit(one["value"]) for one in found) > len(found):
        taken.extend(
            Span(*one.span("value"), STRUCTURE, "secret") for one in found if len(one["value"]) > _ERROR
        )


def seed(text: str, at: int, taken: list[Span]) -> int:
    """Twelve to twenty-four words of a wallet behind ``seed phrase:``; where reading may go on."""
    if text[at : at + 1] in "pP" and _SEED_BEFORE.search(text, max(0, at - 12), at) is None:
        return at
    hit = _SEED_WORDS.match(text, at)
    if hit is None:
        return at
    words = list(_SEED_WORD.finditer(text, *hit.span("value")))
    size = next((size for size in _SEED_SIZES if size <= len(words)), 0)
    if size:
        taken.append(Span(hit.start("value"), words[size - 1].end(), STRUCTURE, "secret"))
    return hit.end()


def wireguard(text: str, name_start: int, name_end: int, taken: list[Span]) -> None:
    """What ``wg genkey`` prints."""
    hit = _WIREGUARD.match(text, name_end) if text.endswith("wg ", 0, name_start) else None
    if hit is not None:
        taken.append(Span(*hit.span("value"), STRUCTURE, "private-key"))


def approle(text: str, name_start: int, name_end: int, taken: list[Span]) -> None:
    """``"role_id": "...", "secret_id": "..."`` of Vault, of which the second is a UUID."""
    hit = _SECRET_ID.match(text, name_end)
    if (
        hit is not None
        and _OF_SECRET_ID.search(text, max(0, name_start - _ROLE_REACH), hit.end() + _ROLE_REACH) is not None
    ):
        taken.append(Span(*hit.span("value"), STRUCTURE, "secret"))


BY_NAME: Final[Mapping[str, Mapping[str, Callable[[str, int, int, list[Span]], None]]]] = {
    "Secret": dict.fromkeys("\n\r\"'\\", kube),
    **dict.fromkeys(("secret_id", "SecretID"), dict.fromkeys("=:\"'\\ ", approle)),
    "genkey": dict.fromkeys("\n\r\\", wireguard),
    "ParameterKey": dict.fromkeys("=:\"'\\", parameter),
}
"""What reads behind a name, by what follows it."""
