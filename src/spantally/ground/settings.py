"""Every setting once: its argument, environment variable, parser, default and meaning.

Argument over environment over default. A wrong value in a call raises
:class:`~spantally.ground.errors.SettingsError`; the same value met in the environment logs one clear line
and the default is used, since nobody's program may end because of a variable.
"""

# Annotations are not postponed: making a named tuple compiles each that is a text, 25 µs a field.

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, quote_plus, unquote

from spantally.ground.errors import SettingsError
from spantally.ground.guard import say_once

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
    raise SettingsError(f"{name}={value!r} is not a truth value; use true or false")


def parse_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """Read one of ``choices``, in any case.

    Raises:
        SettingsError: for anything else.
    """
    text = str(value).strip().lower() if isinstance(value, str) else value
    if text in choices:
        return str(text)
    raise SettingsError(f"{name}={value!r} is not allowed; use one of: {', '.join(choices)}")


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
        raise SettingsError(f"{name}={value!r} must be a string, not {type(value).__name__}")
    if not 1 <= len(value) <= MAX_ID_LENGTH:
        raise SettingsError(
            f"{name}={value[:40]!r} has {len(value)} characters; an id has 1 to {MAX_ID_LENGTH}"
        )
    if not value.isprintable() or value != value.strip():
        raise SettingsError(
            f"{name}={value[:40]!r} holds control characters or outer spaces; "
            "use printable text without spaces around it"
        )
    if len(value) > _SURELY_FITS and len(quote_plus(value)) > MAX_ID_BYTES:
        raise SettingsError(
            f"{name}={value[:40]!r} takes {len(quote_plus(value))} bytes as baggage, percent-encoded; "
            f"use a shorter id, of at most {MAX_ID_BYTES} (a letter beyond ASCII takes 6 to 12 bytes)"
        )
    return value


_SURELY_FITS: Final = MAX_ID_BYTES // 12
"""Characters that fit whatever they are: one takes up to 12 bytes."""


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
        f"{name}={value!r} is not an entity; use ('customer', 'acme') or 'customer:acme' "
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
        pairs: dict[Any, Any] = {}
        for part in value.split(","):
            if not part.strip():
                continue
            key, equals, text = part.partition("=")
            if not equals:
                raise SettingsError(f"{name}: {part!r} is not a tag; use key=value, several by commas")
            pairs[unquote(key.strip())] = unquote(text.strip())
    elif isinstance(value, Mapping):
        pairs = dict(value)
    else:
        raise SettingsError(f"{name}={value!r} must be a mapping of text to text, or 'k=v,k=v'")
    if len(pairs) > MAX_TAGS:
        raise SettingsError(f"{name}: {len(pairs)} tags; at most {MAX_TAGS} may be in force (baggage limit)")
    size = 0
    for key, text in pairs.items():
        if (
            not isinstance(key, str)
            or not 1 <= len(key) <= MAX_TAG_KEY
            or not _TAG_KEY_CHARACTERS.issuperset(key)
        ):
            raise SettingsError(
                f"{name}: tag key {key!r} is not allowed; use up to {MAX_TAG_KEY} letters, digits and _-./"
            )
        if not isinstance(text, str):
            raise SettingsError(f"{name}: tag {key!r} has value {text!r}; a tag value is a string")
        if len(text) > MAX_TAG_VALUE or (text and not text.isprintable()):
            raise SettingsError(
                f"{name}: value of tag {key!r} ({len(text)} characters) is not allowed; "
                f"use at most {MAX_TAG_VALUE} printable characters"
            )
        size += len("spantally.tag.") + len(quote_plus(key)) + 2 + len(quote(text, safe=""))
    if size > MAX_BAGGAGE_BYTES // 2:
        raise SettingsError(
            f"{name}: the tags take {size} bytes as baggage; at most {MAX_BAGGAGE_BYTES // 2} are allowed, "
            f"so that ids fit within the {MAX_BAGGAGE_BYTES} of W3C Baggage"
        )
    return tuple(sorted(pairs.items()))


def parse_ledger(name: str, value: object) -> object:
    """Read the ledger argument: a path, ``":memory:"``, False (none), or an object of the store contract.

    Raises:
        SettingsError: for other types and an empty path.
    """
    if isinstance(value, str):
        if not value.strip():
            raise SettingsError(f"{name} is empty; use a path, ':memory:' or false")
        if value.strip().lower() in _FALSE:
            return False
        return value
    if value is False:
        return False
    if value is True or value is None or isinstance(value, (int, float, bytes)):
        raise SettingsError(f"{name}={value!r} is not a ledger; use a path, ':memory:', False or a store")
    if isinstance(value, os.PathLike):
        return os.fspath(value)
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
        raise SettingsError(f"{name}={value!r} must be a list of 'package.module:function'")
    for entry in entries:
        module, colon, path = entry.partition(":") if isinstance(entry, str) else ("", "", "")
        parts = (*module.split("."), *path.split("."))
        if not colon or not all(part.isidentifier() for part in parts):
            raise SettingsError(
                f"{name}: {entry!r} is not allowed; use 'package.module:function' or '...:Class.method'"
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
        raise SettingsError(f"{name}={value!r} names no kinds of personal data; {allowed}")
    for kind in kinds:
        if kind not in PII_KINDS:
            raise SettingsError(f"{name}: {kind!r} is no kind of personal data; {allowed}")
    return tuple(kind for kind in PII_KINDS if kind in kinds)


def parse_path(name: str, value: object) -> str:
    """Read the path of a file.

    Raises:
        SettingsError: for another type and an empty path.
    """
    if isinstance(value, str) and value.strip():
        return value
    raise SettingsError(f"{name}={value!r} is not the path of a file")


def parse_url(name: str, value: object) -> str:
    """Read a URL that is downloaded from: http, https or file.

    Raises:
        SettingsError: for anything else.
    """
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith(("http://", "https://", "file:///")) and text.isprintable() and " " not in text:
        return text
    raise SettingsError(
        f"{name}={value!r} is not a URL; use one that begins with https://, http:// or file:///"
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
    raise SettingsError(f"{name}={value!r} is not a size; use a whole number from {_MIN_SIZE} up")


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
        raise SettingsError(f"{name}={value!r} must be a list of host names")
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
                f"{name}: {entry!r} is not allowed; use the name of a host without scheme and port, as in "
                "api.example.com or *.example.com, or * for all"
            )
        found.append(host.removeprefix("*"))
    return tuple(found)


_NO_HOST: Final = frozenset("*/?#@,[]\\ \t")


class Option(NamedTuple):
    """One setting of the table."""

    name: str
    """Name of the argument, where a function takes it."""
    env: str
    """Name of the environment variable."""
    parse: Callable[[str, object], Any]
    default: Any
    doc: str
    allowed: str
    """The allowed values, in words, for the reference."""


def _choice(choices: tuple[str, ...]) -> Callable[[str, object], str]:
    return lambda name, value: parse_choice(name, value, choices)


OPTIONS: Final[tuple[Option, ...]] = (
    Option(
        "disabled",
        "SPANTALLY_DISABLED",
        parse_bool,
        False,
        "Makes everything a silent no-op: no span, no metering, no ledger.",
        "true or false",
    ),
    Option(
        "ledger",
        "SPANTALLY_LEDGER",
        parse_ledger,
        None,
        "Where the tally is kept. By default a file in the user's data directory (`spantally path`).",
        "a path, `:memory:`, `false`, or (as argument) a store object",
    ),
    Option(
        "ledger_content",
        "SPANTALLY_LEDGER_CONTENT",
        _choice(LEDGER_CONTENT_MODES),
        "explicit",
        "What the ledger keeps of redacted prompts, answers, tool arguments and results, apart from what "
        "is exported. `explicit` keeps only what a program hands to spantally's own functions.",
        "`never`, `explicit` or `all`",
    ),
    Option(
        "capture_content",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        _choice(CAPTURE_MODES),
        "no_content",
        "Whether redacted content is exported: on spans, as events, both or not at all (the standard "
        "variable of the GenAI conventions).",
        "`no_content`, `span_only`, `event_only`, `span_and_event`",
    ),
    Option(
        "emit_event",
        "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
        parse_bool,
        None,
        "Whether each inference sends the log event of its details (the standard variable of the GenAI "
        "conventions). By default it does where content is exported as events; with `true` and no content "
        "there it carries all but the content.",
        "true or false",
    ),
    Option(
        "token_histograms",
        "SPANTALLY_TOKEN_HISTOGRAMS",
        parse_bool,
        False,
        "Whether the metrics hold how the tokens of single calls are distributed, beside their sums. It "
        "costs a few microseconds of a background thread for each call.",
        "true or false",
    ),
    Option(
        "content_limit",
        "SPANTALLY_CONTENT_LIMIT",
        parse_size,
        131_072,
        "Most characters of one exported attribute of content. What is longer loses its oldest messages and "
        "parts, then the end of its texts, says so, and stays valid JSON; so it does under the SDK's own "
        "limit, where that is lower.",
        "a whole number from 1000 up",
    ),
    Option(
        "content_span_limit",
        "SPANTALLY_CONTENT_SPAN_LIMIT",
        parse_size,
        262_144,
        "Most characters of all content of one span or event together.",
        "a whole number from 1000 up",
    ),
    Option(
        "ledger_content_limit",
        "SPANTALLY_LEDGER_CONTENT_LIMIT",
        parse_size,
        262_144,
        "Most characters of content that the ledger keeps of one call.",
        "a whole number from 1000 up",
    ),
    Option(
        "media_files",
        "SPANTALLY_MEDIA_FILES",
        parse_bool,
        False,
        "Whether inline media of captured content (images, sound, documents) is kept as files in a directory "
        "beside the ledger, named by their SHA-256. Files are not redacted; what reads as text is not kept.",
        "true or false",
    ),
    Option(
        "media_limit",
        "SPANTALLY_MEDIA_LIMIT",
        parse_size,
        1_073_741_824,
        "Most bytes of all these files together; what comes then is not kept.",
        "a whole number from 1000 up",
    ),
    Option(
        "redact",
        "SPANTALLY_REDACT",
        parse_bool,
        True,
        "Whether secrets are taken out of all that is recorded and sent. `false` lets everything pass as it "
        "is; the log and `spantally doctor` say so. As an argument also a `Redactor`.",
        "true or false",
    ),
    Option(
        "redaction_strict",
        "SPANTALLY_REDACTION_STRICT",
        parse_bool,
        True,
        "What becomes of a value for which a rule of the user fails. `true` replaces it by "
        "`[REDACTED:error]`; `false` leaves it as the other rules made it, with ` [UNREDACTED:error]` at its "
        "end. The built-in rules and the limit of time always replace. For redactors that name no `strict`.",
        "true or false",
    ),
    Option(
        "redact_pii",
        "SPANTALLY_REDACT_PII",
        parse_pii,
        (),
        "Which personal data is taken out, too, beside secrets. For redactors that name no `pii`.",
        "`all`, or some of " + ", ".join(f"`{kind}`" for kind in PII_KINDS) + ", by commas",
    ),
    Option(
        "stream_usage",
        "SPANTALLY_STREAM_USAGE",
        _choice(STREAM_USAGE_MODES),
        "unknown",
        "What is done where a call would end without usage. `unknown` leaves it so. `request` asks the "
        "provider for it (`stream_options.include_usage` of streamed chat completions that do not set it "
        "themselves) and hides the further chunk from the program. `estimate` counts a token for every four "
        "bytes of text and three for each message, and marks the row as estimated.",
        "`unknown`, `request` or `estimate`",
    ),
    Option(
        "coexist",
        "SPANTALLY_COEXIST",
        _choice(COEXIST_MODES),
        "yield",
        "Whose span a call gets that another instrumentor traces, too. `yield` makes none of ours: the call "
        "is metered and joined to theirs. `own` makes ours beside theirs. The call is counted once either "
        "way.",
        "`yield` or `own`",
    ),
    Option(
        "export_filter",
        "SPANTALLY_EXPORT_FILTER",
        _choice(EXPORT_FILTERS),
        "all",
        "Which spans are exported, by whatever exporter. `genai` keeps those of model calls, agents, tools "
        "and other GenAI operations, hung beneath the nearest ancestor that is kept; http, database and "
        "other spans stay in the process. The ledger is not affected.",
        "`all` or `genai`",
    ),
    Option(
        "config",
        "SPANTALLY_CONFIG",
        parse_path,
        None,
        "The settings file with budgets and rates of your own. By default `spantally.toml` in the user's "
        "configuration directory for spantally (`spantally doctor` names it).",
        "a path",
    ),
    Option(
        "prices_url",
        "SPANTALLY_PRICES_URL",
        parse_url,
        None,
        "Where `spantally prices update` downloads from. By default where genai-prices itself would.",
        "an http, https or file URL",
    ),
    Option(
        "user",
        "SPANTALLY_USER",
        parse_id,
        None,
        "User of calls whose session names none (`user.id`).",
        "1 to 256 printable characters",
    ),
    Option(
        "entity",
        "SPANTALLY_ENTITY",
        parse_entity,
        None,
        "Entity (customer, team, project, ...) of calls whose session names none.",
        "`type:id`",
    ),
    Option(
        "tags",
        "SPANTALLY_TAGS",
        parse_tags,
        (),
        "Tags on every call; those of a session win.",
        "`k=v,k=v`, values percent-encoded",
    ),
    Option(
        "session",
        "SPANTALLY_SESSION",
        parse_id,
        None,
        "Id of the session of calls outside any `session()`.",
        "1 to 256 printable characters",
    ),
    Option(
        "tools",
        "SPANTALLY_TOOLS",
        parse_tools,
        (),
        "Functions and methods to wrap as tools without an edit of the program.",
        "`package.module:function`, several by commas",
    ),
    Option(
        "trust_baggage",
        "SPANTALLY_TRUST_BAGGAGE",
        parse_bool,
        True,
        "Whether session, user, entity and tags of inbound W3C baggage are taken.",
        "true or false",
    ),
    Option(
        "baggage_deny",
        "SPANTALLY_BAGGAGE_DENY",
        parse_hosts,
        (),
        "Hosts whose requests do not carry session, user, entity and tags as baggage, beside those of model "
        "providers, which never do.",
        "host names by commas: `example.com` with all beneath it, `*.example.com`, `*`",
    ),
    Option(
        "baggage_allow",
        "SPANTALLY_BAGGAGE_ALLOW",
        parse_hosts,
        (),
        "The only hosts whose requests carry them, model providers and denied hosts excepted. Without it all "
        "others do.",
        "host names by commas: `example.com` with all beneath it, `*.example.com`, `*`",
    ),
    Option(
        "synchronous",
        "SPANTALLY_SYNCHRONOUS",
        _choice(("normal", "full")),
        "normal",
        "`normal`: a killed process loses nothing acknowledged, a power cut may lose the tail. "
        "`full`: a power cut loses nothing acknowledged either, at a third of the speed.",
        "`normal` or `full`",
    ),
    Option(
        "sigterm",
        "SPANTALLY_SIGTERM",
        parse_bool,
        True,
        "Whether the tally is drained on SIGTERM where the program has no handler of its own.",
        "true or false",
    ),
    Option(
        "console",
        "SPANTALLY_CONSOLE",
        parse_console,
        "off",
        "Shows on stderr, as it happens, what agents, calls and tools do and cost: `full` each beginning, "
        "end and decision, `summary` the ends of sessions and of top-level agents. As an argument also true, "
        "which is `full`, and false.",
        "`off`, `summary` or `full`",
    ),
    Option(
        "summary",
        "SPANTALLY_SUMMARY",
        parse_bool,
        False,
        "Print one line on stderr at exit: calls, tokens, cost, unpriced calls, session, next command.",
        "true or false",
    ),
    Option(
        "semconv",
        "SPANTALLY_SEMCONV",
        _choice(("latest", "1.41")),
        "latest",
        "Which spelling of renamed GenAI attributes is emitted.",
        "`latest` or `1.41`",
    ),
)

TABLE: Final[Mapping[str, Option]] = {option.name: option for option in OPTIONS}


def from_argument(name: str, value: object) -> Any:
    """Parse a value given in a call; None means "not given" and falls back to environment and default.

    Raises:
        SettingsError: naming value and allowed range.
    """
    if value is None:
        return from_environment(name)
    return TABLE[name].parse(name, value)


def from_environment(name: str, environ: Mapping[str, str] | None = None) -> Any:
    """The value of the environment, or the default; a wrong value is logged once and ignored.

    Args:
        name: of the option.
        environ: instead of ``os.environ``.
    """
    option = TABLE[name]
    text = (os.environ if environ is None else environ).get(option.env, "")
    if not text.strip():
        return option.default
    try:
        return option.parse(option.env, text)
    except SettingsError as error:
        say_once(
            f"setting:{option.env}:{text}", "spantally: %s; using the default (%s)", error, option.default
        )
        return option.default


def is_disabled() -> bool:
    """True where SPANTALLY_DISABLED makes everything a no-op."""
    return bool(from_environment("disabled"))


def config_path() -> Path:
    """The settings file: that of SPANTALLY_CONFIG, else ``spantally.toml`` in the configuration directory."""
    named = from_environment("config")
    if named is not None:
        return Path(named).expanduser()
    if _PLATFORM == "linux":  # the same, without an import at every start
        return Path(os.environ.get("XDG_CONFIG_HOME", "").strip() or "~/.config").expanduser() / _CONFIG
    import platformdirs

    return Path(platformdirs.user_config_dir("spantally", appauthor=False)) / "spantally.toml"


_CONFIG: Final = "spantally/spantally.toml"
_PLATFORM: Final = str(sys.platform)


def data_directory() -> Path:
    """The directory of this user's data of spantally, as platformdirs names it."""
    if _PLATFORM == "linux":  # the same, without an import
        given = os.environ.get("XDG_DATA_HOME", "").strip()
        return Path(given or "~/.local/share").expanduser() / "spantally"
    import platformdirs

    return Path(platformdirs.user_data_dir("spantally", appauthor=False))


def default_ledger_path() -> Path:
    """The ledger of this user: ``ledger.db`` in the data directory that platformdirs names."""
    import platformdirs

    return Path(platformdirs.user_data_dir("spantally", appauthor=False)) / "ledger.db"
