"""Writes docs/reference.md from the code: settings, attributes, schema, command line, functions, JSON.

    python docs/generate.py            # write it
    python docs/generate.py --check    # exit code 1 if it is not what the code says

A test does the check as well, so the reference is never older than the code.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import click
from reference_markup import cell, field_docs, table
from reference_python import SOURCE, WIDTH, api_section
from reference_texts import ATTRIBUTES, JSON_FORMS, JSON_TEXTS, ON, READ_ONLY

from spantally.cli import check, exits, jsonout, overviewjson, reconcile, reprice, treejson
from spantally.cli.main import cli
from spantally.ground import semconv, settings
from spantally.ground.cache_use import NO_CACHE
from spantally.ground.setting_values import (
    MAX_BAGGAGE_BYTES,
    MAX_ID_LENGTH,
    MAX_TAG_KEY,
    MAX_TAG_VALUE,
    MAX_TAGS,
)
from spantally.ledger.contract import CallRow, CostRow, EventRow, OpenRow, SessionRow
from spantally.ledger.repricing import RepriceRow, Repricing
from spantally.ledger.sqlite import schema
from spantally.queries.checking import Verdict
from spantally.queries.figures import Figures
from spantally.queries.graph import GraphEdge, GraphNode, SessionGraph, build_graph
from spantally.queries.reconcile import Numbers, ReconcileRow, Reconciliation
from spantally.queries.summary import Summary, SummaryRow, build_summary
from spantally.queries.tree import build_tree
from spantally.redaction import key

TARGET: Final = Path(__file__).resolve().parent / "reference.md"


# -- helpers ------------------------------------------------------------------------------------------


def names() -> dict[str, str]:
    """The attribute names of ground/semconv.py by constant."""
    return {
        key: value
        for key, value in vars(semconv).items()
        if key.isupper() and isinstance(value, str) and not key.startswith(("EVENT_", "METRIC_"))
    }


@cache
def used() -> frozenset[str]:
    """Constants of ground/semconv.py that any other file of the package mentions."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        if path.name == "semconv.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id == "semconv":
                    found.add(node.attr)
            elif isinstance(node, ast.ImportFrom) and node.module == "spantally.ground.semconv":
                found.update(alias.name for alias in node.names)
    return frozenset(found)


# -- sections -----------------------------------------------------------------------------------------


def undescribed() -> list[str]:
    """Constants of ground/semconv.py in use without a text, and texts without a constant."""
    known, told = names(), {*ATTRIBUTES, *READ_ONLY}
    return sorted({name for name in known if name in used()} - told) + sorted(told - known.keys())


def settings_section() -> Iterator[str]:
    """The table of options."""
    yield "## Settings"
    yield (
        "An argument wins over the environment, the environment over the default. A wrong value in a call "
        "raises `SettingsError` before any effect; a wrong value in the environment is logged once and the "
        "default is used. The arguments are those of `spantally.instrument()`, but for the settings marked —."
    )
    arguments = set(inspect.signature(importlib.import_module("spantally").instrument).parameters)
    rows = [
        (
            f"`{option.env}`",
            f"`{option.name}`" if option.name in arguments else "—",
            cell(option.allowed),
            "none" if option.default in (None, ()) else f"`{str(option.default).lower()}`",
            cell(option.doc),
        )
        for option in settings.OPTIONS
    ]
    yield table(("variable", "argument", "allowed", "default", "meaning"), rows)
    yield (
        f"An id has at most {MAX_ID_LENGTH} characters. At most {MAX_TAGS} tags are in "
        f"force at once, of {MAX_BAGGAGE_BYTES // 2:,} bytes as baggage; a tag's key has at most "
        f"{MAX_TAG_KEY} characters (letters, digits and `_-./`), its value {MAX_TAG_VALUE}."
    )
    yield (
        f"One variable is the redaction's alone: `{key.KEY_VARIABLE}`, any text, is the key of the digits "
        f"in redaction tags; without it the key is that of the file `{key.FILE_NAME}` (mode 0600) in the "
        "user's data directory, made at the first tag."
    )


def attributes_section() -> Iterator[str]:
    """The attributes on spans."""
    known = names()
    yield "## Attributes"
    yield (
        "Names are those of the OpenTelemetry GenAI conventions where there is one; ours begin with "
        "`spantally.`. Attributes marked **Content** are there only with content capture "
        "(`capture_content`), redacted. An attribute whose value is not known is absent. Inference spans "
        "are those of `chat`, `text_completion` and `generate_content`."
    )
    rows = [
        (f"`{known[key]}{'<key>' if key.endswith('_PREFIX') else ''}`", kind, ON[place], cell(meaning))
        for key, (kind, place, meaning) in ATTRIBUTES.items()
        if key in used()
    ]
    yield table(("attribute", "type", "on", "meaning"), rows)
    yield (
        "Names of older profiles, by `SPANTALLY_SEMCONV`. Before the newest, `gen_ai.request.top_k` is a "
        "double, each output message has its `finish_reason`, an agent also has provider and cached tokens "
        "of the calls beneath, and reading an answer is no GenAI operation."
    )
    yield table(
        ("profile", "newest name", "emitted instead"),
        [
            (f"`{profile}`", f"`{new}`", "nothing" if old is None else f"`{old}`")
            for profile, renames in semconv.PROFILE_NAMES.items()
            for new, old in renames.items()
        ],
    )
    yield "Spellings that are read, too, from spans of other instrumentors:"
    yield table(
        ("newest name", "also read"),
        [
            (f"`{new}`", ", ".join(f"`{alias}`" for alias in aliases))
            for new, aliases in semconv.ALIASES.items()
        ],
    )
    read = [f"`{known[key]}` ({meaning})" for key, meaning in READ_ONLY.items() if key in used()]
    if read:
        yield "Read from such spans and not written: " + ", ".join(read) + "."
    yield (
        f"With content as events, or where `OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT` asks for it, each "
        f"inference sends the log event `{semconv.EVENT_OPERATION_DETAILS}` (DEBUG) with the attributes of "
        f"its span, and content in structured form. A client's call that ends by an exception sends "
        f"`{semconv.EVENT_EXCEPTION}` (WARN), where a logger provider is set; there `evaluation()` sends "
        f"`{semconv.EVENT_EVALUATION_RESULT}` and `decision()` `{semconv.EVENT_DECISION}` (INFO). As W3C "
        f"baggage travel "
        + ", ".join(f"`{key}`" for key in sorted(semconv.BAGGAGE_KEYS))
        + f" and `{semconv.TAG_PREFIX}<key>`; none of them goes to a model provider."
    )


def _metrics(profile: str, *, histograms: bool) -> dict[str, tuple[str, ...]]:
    """The metrics of a profile by name, as the meter is asked to make them."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from spantally.calls.telemetry import Telemetry
    from spantally.ground.money import PENDING
    from spantally.otel.metrics import MetricsConsumer

    made: dict[str, tuple[str, ...]] = {}

    class Meter:
        """Takes down what it is asked to make."""

        def __init__(self, meter: Any) -> None:
            self.meter = meter

        def create_histogram(self, name: str, unit: str, description: str, **more: Any) -> Any:
            made[name] = (f"`{name}`", "histogram", unit, cell(description))
            return self.meter.create_histogram(name, unit, description, **more)

        def create_counter(self, name: str, unit: str, description: str) -> Any:
            made[name] = (f"`{name}`", "counter", unit, cell(description))
            return self.meter.create_counter(name, unit, description)

        def create_observable_counter(self, name: str, callbacks: Any, unit: str, description: str) -> Any:
            made[name] = (f"`{name}`", "counter", unit, cell(description))
            return self.meter.create_observable_counter(name, callbacks, unit, description)

    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    get_meter = provider.get_meter
    provider.get_meter = lambda *given, **named: Meter(get_meter(*given, **named))  # type: ignore[assignment, return-value]
    telemetry = Telemetry()
    telemetry.use_profile(profile)
    telemetry.token_histograms = histograms
    MetricsConsumer(provider, telemetry, lambda _: PENDING)
    provider.shutdown()
    return made


def metrics_section() -> Iterator[str]:
    """The metrics of each profile."""
    always, all_of_them = _metrics("latest", histograms=False), _metrics("latest", histograms=True)
    yield "## Metrics"
    yield (
        "Recorded for what is metered at the source, by a background thread. Those marked * are made only "
        "with `SPANTALLY_TOKEN_HISTOGRAMS`. Nothing is recorded by the chunk, and points carry no exemplars "
        "([why](decisions/0008-metrics.md))."
    )
    yield table(
        ("metric", "kind", "unit", "meaning"),
        [(row[0] if name in always else f"{row[0]} *", *row[1:]) for name, row in all_of_them.items()],
    )
    yield "In profile 1.41:"
    yield table(("metric", "kind", "unit", "meaning"), list(_metrics("1.41", histograms=False).values()))


def schema_section() -> Iterator[str]:
    """The SQL of the ledger."""
    yield "## Ledger schema"
    yield (
        f"Schema version {schema.SCHEMA_VERSION} (`PRAGMA user_version`); `PRAGMA application_id` is "
        f"`0x{schema.APPLICATION_ID:08X}`. Times are UNIX nanoseconds, costs nano-USD (10⁻⁹ US dollars). "
        "The functions of `open_ledger()` are promised; the tables are documented and may change with a "
        "new version, which migrates older files."
    )
    yield f"```sql\n{schema.SCHEMA.strip()}\n```"


def command_section() -> Iterator[str]:
    """The help of every command."""
    yield "## Command line"
    yield "stdout is data, stderr is talk. " + cell(exits.HELP)
    root = click.Context(
        cli,
        info_name="spantally",
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )
    with root:
        yield f"```text\n{cli.get_help(root).rstrip()}\n```"
        yield from _commands(cli, root, "spantally")


def _commands(group: click.Group, parent: click.Context, path: str) -> Iterator[str]:
    """The help of the commands of a group, and of the groups in it."""
    for name in sorted(group.commands):
        command = group.commands[name]
        context = click.Context(
            command,
            parent=parent,
            info_name=name,
            terminal_width=WIDTH,
            max_content_width=WIDTH,
            help_option_names=["-h", "--help"],
        )
        with context:
            yield f"### {path} {name}"
            yield f"```text\n{command.get_help(context).rstrip()}\n```"
            if isinstance(command, click.Group):
                yield from _commands(command, context, f"{path} {name}")


def _dummy(row: type, **given: Any) -> Any:
    values = {one.name: None for one in dataclasses.fields(row)}
    values.update({name: 0 for name in values if name.endswith("_ns")})
    for name in ("agents", "models", "agent_path", "finish_reasons", "labels", "running"):
        values.update({name: ()} if name in values else {})
    for name in ("calls", "errors", "input_tokens", "output_tokens", "unpriced_calls", "pending_calls"):
        values.update({name: 0} if name in values and row is not CallRow else {})
    for name in ("tags", "metadata", "metrics", "reported"):
        values.update({name: {}} if name in values else {})
    values.update({one.name: False for one in dataclasses.fields(row) if one.type == "bool"})
    values.update({"cache": NO_CACHE} if "cache" in values else {})
    values.update(given)
    return row(**values)


def json_section() -> Iterator[str]:
    """The fields of the JSON of the command line."""
    from spantally.ground.records import CallRecord, SessionRecord

    session, call = (
        _dummy(SessionRow, session_id="s"),
        _dummy(CallRow, call_id="c", session_id="s", kind="agent"),
    )
    row = _dummy(ReconcileRow, provider=Numbers(), ledger=Numbers(), difference=Numbers())
    comparison = _dummy(
        Reconciliation, rows=(row,), provider=Numbers(), ledger=Numbers(), uncovered=(), notes=()
    )
    tree = treejson.tree_object(build_tree(session, [call]), content=False)
    own = jsonout.call_object(call)
    graph, summary = build_graph(build_tree(session, [call])), build_summary(session, [call])
    yield "## JSON"
    yield (
        "`--json` gives one array of objects. Times are RFC 3339 in UTC. A field that is not known is "
        "`null`, never 0."
    )
    groups = (
        (
            "Session",
            "`sessions`, and the outermost object of `show`, which has `events` and `children` as well.",
            jsonout.session_object(session),
            (SessionRow, SessionRecord),
        ),
        (
            "Running",
            "In the `running` of a session: what has begun and not ended.",
            jsonout.open_object(_dummy(OpenRow)),
            (OpenRow,),
        ),
        ("Call", "`calls`; its cost is its own.", own, (CallRow, CallRecord)),
        (
            "Node",
            "An object in the `children` of `show`: the fields of a call, and these, inclusive of all "  # noqa: ISC004
            "beneath. `content` is there with `--content`.",
            {name: None for name in tree["children"][0] if name not in own},
            (SessionRow,),
        ),
        (
            "Event",
            "In the `events` of `show`: what happened at one moment, in child sessions too.",
            treejson.event_object(_dummy(EventRow, attributes={})),
            (EventRow,),
        ),
        (
            "Cost",
            "`cost`: one field for each grouping, by its name, and these.",
            jsonout.cost_object(_dummy(CostRow, keys={}), "UTC"),
            (CostRow,),
        ),
        (
            "Reprice",
            "`reprice`: one object for each provider and model.",
            reprice.row_object(_dummy(RepriceRow, calls=0, statuses={}), dry_run=True),
            (RepriceRow, Repricing),
        ),
        (
            "Reconcile",
            "`reconcile`: one object, with `rows`.",
            reconcile.reconciliation_object(comparison),
            (Reconciliation,),
        ),
        (
            "Reconcile row",
            "In `rows`. `provider`, `ledger` and `difference` have `calls`, `input_tokens`, "  # noqa: ISC004
            "`output_tokens` and `cost_nano_usd`; null is what the export does not tell.",
            reconcile.row_object(comparison.rows[0]),
            (ReconcileRow,),
        ),
        (
            "Check",
            "`check`: one object for each limit, with `--each` for each session. Dollars are texts.",
            check.verdict_object(_dummy(Verdict, unit="nano_usd", limit=0, figure=0)),
            (Verdict,),
        ),
        (
            "Graph",
            "`graph`: the session and its child sessions.",
            overviewjson.graph_object(graph),
            (SessionGraph,),
        ),
        (
            "Graph node",
            "In `nodes`. Figures are inclusive of all beneath unless a name says own.",
            overviewjson.node_object(graph.nodes[0]),
            (GraphNode, Figures),
        ),
        (
            "Graph edge",
            "In `edges`. Figures are those of these invocations with all beneath.",
            overviewjson.edge_object(graph.edges[0]),
            (GraphEdge, Figures),
        ),
        (
            "Summary",
            "`summary`: the session, its total, and lists of groups that add up to it.",
            overviewjson.summary_object(summary),
            (Summary,),
        ),
        (
            "Summary group",
            "`total`, and what is in the lists. Figures are own.",
            overviewjson.row_object(summary.total),
            (SummaryRow, Figures),
        ),
    )
    for title, text, fields, owners in groups:
        texts = {**JSON_TEXTS, **field_docs(*owners), **JSON_FORMS}
        silent = [name for name in fields if not texts.get(name)]
        assert not silent, f"docs/generate.py: say what {silent} mean"
        yield f"### {title}"
        yield text
        yield table(("field", "meaning"), [(f"`{name}`", cell(texts.get(name, ""))) for name in fields])


def reference() -> str:
    """The whole reference."""
    import spantally
    from spantally import ledger, testing

    pieces = [
        "# Reference",
        "Made by `docs/generate.py` from the code; do not edit (`make docs` makes it anew).",
        *settings_section(),
        *command_section(),
        *api_section(spantally, "Python", "The public names. Everything else may change without notice."),
        *json_section(),
        *attributes_section(),
        *metrics_section(),
        *schema_section(),
        *api_section(ledger, "spantally.ledger", "The store contract: what any store answers, and its rows."),
        *api_section(testing, "spantally.testing", "Servers to test against."),
    ]
    return "\n\n".join(piece for piece in pieces if piece) + "\n"


def main() -> int:
    """Write or check; returns the exit code."""
    text = reference()
    if "--check" in sys.argv[1:]:
        fresh = TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text
        if not fresh:
            print("docs/reference.md is not what the code says; run: make docs", file=sys.stderr)
        return 0 if fresh else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
