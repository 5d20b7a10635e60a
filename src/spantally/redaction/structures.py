"""Structures: places that hold a secret by their form: who reads at which mark.

Each handler begins at its fixed mark and reads anchored and bounded from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from spantally.redaction import (
    commands,
    devices,
    grants,
    headers,
    hosts,
    jars,
    languages,
    logins,
    private_keys,
    snippets,
    urls,
)
from spantally.redaction.marks import LISTED_FLAGS, URL, URL_ENCODED, URL_ESCAPED
from spantally.redaction.spans import Span

_OFTEN: Final = 128
"""After as many places the clock is looked at."""

Check = Callable[[], None]
Handler: TypeAlias = Callable[[str, Iterable[int], list[Span]], None]


def find_structures(text: str, present: Mapping[str, list[int]], check: Check, taken: list[Span]) -> None:
    """Append the spans of all structures of ``text`` to ``taken``.

    Args:
        text: what is scanned.
        present: where each mark stands that does.
        check: raises when the time is over.
        taken: receives the spans.
    """
    for mark, places in present.items():
        handle = _HANDLERS.get(mark)
        if handle is not None:
            handle(text, places if len(places) < _OFTEN else _counted(places, check), taken)


def _counted(places: list[int], check: Check) -> Iterator[int]:
    for seen, at in enumerate(places, 1):
        if not seen % _OFTEN:
            check()
        yield at


def _each(read: Callable[[str, int, list[Span]], None]) -> Handler:
    """What reads at every place by itself."""

    def handle(text: str, places: Iterable[int], taken: list[Span]) -> None:
        for at in places:
            read(text, at, taken)

    return handle


def _following(read: Callable[[str, int, list[Span]], int], behind: int = 0) -> Handler:
    """What goes on behind what was read: ``read`` answers where that is."""

    def handle(text: str, places: Iterable[int], taken: list[Span]) -> None:
        cursor = 0
        for at in places:
            if at >= cursor:
                cursor = read(text, at + behind, taken)

    return handle


def _login(text: str, at: int, taken: list[Span]) -> None:
    """``cli login -u bob -p ...``, and talk: ``the login is bob / ...``."""
    logins.login(text, at, taken)
    languages.find_strong_login(text, at + 1, taken)


_HANDLERS: Final[dict[str, Handler]] = {
    URL: _following(urls.userinfo, len(URL)),
    URL_ESCAPED: _following(urls.userinfo, len(URL_ESCAPED)),
    URL_ENCODED: _each(urls.encoded_userinfo),
    "code=": _each(grants.code),
    "sas=": _each(grants.code),
    "hmac=": _each(grants.code),
    **dict.fromkeys(
        (
            *("hooks/", "hook/", "magic-link/", "verify/"),
            *("magic-login/", "reset/", "invite/", "confirm/", "activate/"),
        ),
        _each(urls.link),
    ),
    **{mark: _each(read) for mark, read in urls.HOOKS.items()},
    "-----begin ": _following(private_keys.pem),
    " begin ssh2 ": _following(lambda text, at, taken: private_keys.pem(text, max(0, at - 4), taken)),
    **dict.fromkeys(
        ("samlresponse", "code_verifier", "codeverifier", "client_assertion", "clientassertion"),
        _following(grants.assertion),
    ),
    "private-lines:": _each(private_keys.putty),
    "bearer": _each(headers.bearer),
    "basic": _each(headers.basic),
    "authorization": _following(headers.header(headers.authorization)),
    "cookie": _following(headers.header(headers.cookie)),
    "httponly": _following(jars.marked),
    **dict.fromkeys(("\ttrue\t/", "\tfalse\t/", "\\ttrue\\t/", "\\tfalse\\t/"), _each(jars.row)),
    **dict.fromkeys((" -u", '"-u', "'-u"), _each(logins.user_flag_behind_space)),
    "--user": _each(logins.user_flag),
    "--proxy-user": _each(logins.user_flag),
    " login ": _each(_login),
    "login(": _each(logins.login_call),
    "django-insecure-": _each(snippets.django),
    "wallet(": _each(private_keys.wallet),
    "accounts": _each(private_keys.accounts),
    **dict.fromkeys(("sudo -s", "kinit ", "cryptsetup"), _each(logins.echo)),
    "redis-cli": _each(logins.redis),
    **dict.fromkeys((" -p", " -w", " -k", " -a", " -x", " -c", " -hp"), commands.flags),
    **dict.fromkeys(LISTED_FLAGS, commands.flags),
    **dict.fromkeys((" /p", " /rp"), _each(commands.slashed)),
    " -b": _each(headers.sent_cookie),
    "curl": _following(commands.curl),
    "freerdp": _following(commands.freerdp),
    "net use": _each(commands.net_use),
    "wifi:": _each(commands.wifi),
    "securestring": _each(commands.secure_string),
    "sqlplus": _each(commands.sqlplus),
    **dict.fromkeys(("connect(", "connection(", "pdo("), _each(commands.connect)),
    "@": hosts.accounts,
    "setuser": _following(devices.setuser),
    "community": _each(devices.community),
    "snmp-server host ": _each(devices.traps),
    "createuser": _each(devices.create_user),
    **dict.fromkeys(("expect ", "send --"), _following(devices.sent)),
    **dict.fromkeys(
        ("kv put", "kv patch", "vault write", "config:set", "put-parameter"), _following(commands.kept)
    ),
    "nupkg": _each(commands.pushed),
    "mc alias set ": _each(commands.alias),
    "bw unlock ": _each(commands.unlock),
    "config set ": _each(commands.put_in),
    "jwt.": _each(snippets.signed),
    "hmac.new(": _each(snippets.hmac),
    "createhmac(": _each(snippets.created),
    **dict.fromkeys(("pgp_sym_", "aes_encrypt(", "aes_decrypt("), _each(snippets.symmetric)),
    **dict.fromkeys(("ftp(", "ftp_tls("), _each(snippets.ftp)),
    **dict.fromkeys(
        ("btoa(", "b64encode(", "base64_encode(", "encode64(", "buffer.from(", "[]byte("),
        _each(snippets.encoded),
    ),
    **dict.fromkeys(("create_user(", "create_superuser("), _each(snippets.created_user)),
    "fernet(b": _each(snippets.fernet),
    "sonar.login": _each(snippets.sonar),
    "kty": _following(snippets.jwk),
    **dict.fromkeys(("pin is ", "pin code", "pin: ", "pin for ", "pin of "), _each(snippets.pin)),
    **dict.fromkeys(
        (
            *("backup code", "recovery code", "backup_code", "recovery_code", "backup-code", "recovery-code"),
            *("verification code", "one-time code"),
        ),
        _each(snippets.codes),
    ),
    **dict.fromkeys(("mnemonic", "phrase"), _following(snippets.seed)),
    **dict.fromkeys(("log in as ", "log in with ", "login with ", "sign in with "), _each(snippets.told)),
    **{
        word: _each(languages.named_in(word))
        for word in ("clave", "chiave", "chave", "jeton", "klucz", "sleutel", "nyckel", "kunci", "kulcs")
    },
    **{word: _each(languages.named_in(word, clear=True)) for word in ("kata sandi", "salasana")},
    **dict.fromkeys(("la contra ", "mi contra "), _each(languages.named_in("la contra", clear=True))),
    "_salt": _each(snippets.salt),
    **dict.fromkeys(("ldap_bind(", "simple_bind"), _each(snippets.bound)),
    "serializer(": _each(snippets.serializer),
    "kubeadm join": _each(snippets.joined),
    **dict.fromkeys(("hmac256(", "hmac384(", "hmac512("), _each(snippets.algorithm)),
    "mdp ": _each(languages.named_in("mdp", clear=True)),
    "554=": _each(logins.fix),
    **dict.fromkeys(("]:25 ", "]:465 ", "]:587 "), _each(logins.relay)),
    "login: ": _each(languages.find_strong_login),
    **dict.fromkeys(("zugangsdaten", "inloggegevens"), _each(languages.find_login)),
    "totp": _each(commands.totp),
    "add_user": _each(commands.add_user),
    " <<<": _each(logins.here_string),
    "identified": _each(logins.identified),
    "jdbc:oracle:": _each(logins.oracle),
}
