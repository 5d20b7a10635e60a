"""Every setting once: its argument, environment variable, parser, default and meaning.

Argument over environment over default. A wrong value in a call raises
:class:`~spantally.ground.errors.SettingsError`; the same value met in the environment logs one clear line
and the default is used, since nobody's program may end because of a variable.
"""

# Annotations are not postponed: making a named tuple compiles each that is a text, 25 µs a field.

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from spantally.ground.errors import SettingsError
from spantally.ground.guard import say_once
from spantally.ground.setting_values import (
    CAPTURE_MODES,
    COEXIST_MODES,
    EXPORT_FILTERS,
    LEDGER_CONTENT_MODES,
    PII_KINDS,
    STREAM_USAGE_MODES,
    parse_bool,
    parse_choice,
    parse_console,
    parse_entity,
    parse_hosts,
    parse_id,
    parse_ledger,
    parse_path,
    parse_pii,
    parse_size,
    parse_tags,
    parse_tools,
    parse_url,
)


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
        "Whether tally and last spans are drained on SIGTERM, where the program has no handler of its own.",
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
            f"setting:{option.env}:{text}",
            "spantally: %s; using the default (%s)",
            error,
            value_text(option.default),
        )
        return option.default


def value_text(value: object, between: str = ",") -> str:
    """A value as somebody would write it in a variable; ``none`` for none.

    Args:
        value: of an option.
        between: what stands between several.
    """
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return ",".join(f"{key}={text}" for key, text in value)
        return between.join(map(str, value))
    return str(value)


def is_disabled() -> bool:
    """True where SPANTALLY_DISABLED makes everything a no-op."""
    return bool(from_environment("disabled"))
