"""`spantally conformance`: exit codes, table and JSON, and a run that is checked live."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from conformance_kit import CHAT
from leak_kit import SHAPES, Planter
from spantally.cli.live import environment
from spantally.cli.main import cli
from spantally.conformance import RULES
from spantally.redaction.registry import forget_literals
from spantally.testing import ScriptedServer


def otlp(*changes: dict[str, Any]) -> str:
    """A line of the Collector's file exporter: chat spans, each with changed fields."""
    kinds = {str: "stringValue", int: "intValue"}
    pairs = [
        {"key": key, "value": {kinds[type(value)]: value}}
        for key, value in CHAT.items()
        if type(value) in kinds
    ]
    reasons = {"arrayValue": {"values": [{"stringValue": "stop"}]}}
    pairs.append({"key": "gen_ai.response.finish_reasons", "value": reasons})
    spans = [
        {
            "traceId": "0af7651916cd43dd8448eb211c80319c",
            "spanId": f"{index + 1:016x}",
            "name": "chat gpt-4o",
            "kind": 3,
            "attributes": pairs,
            **change,
        }
        for index, change in enumerate(changes)
    ]
    url = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"
    scoped = {"scope": {"name": "lib"}, "schemaUrl": url, "spans": spans}
    return json.dumps({"resourceSpans": [{"scopeSpans": [scoped]}]}) + "\n"


OK: dict[str, Any] = {"status": {"code": 1}}


def invoke(*arguments: str, given: str | bytes | None = None) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["conformance", *arguments], input=given, catch_exceptions=False)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_finding_quotes_a_secret(tmp_path: Path, form: list[str], shape: str) -> None:
    """Spans of other packages hold what they hold, and findings go into the logs of CI."""
    planter = Planter(shape)

    def text(place: str, before: str = "") -> dict[str, Any]:
        return {"stringValue": before + planter(place)}

    faults = [
        {"key": key, "value": value}
        for key, value in (
            ("gen_ai.operation.name", text("operation", "padding " * 4)),  # the cut is within it
            ("gen_ai.provider.name", text("provider")),
            ("gen_ai.output.type", text("type")),
            ("gen_ai.input.messages", text("messages")),
            ("gen_ai.output.messages", text("role", '[{"parts": 1, "role": "')),
            ("gen_ai.response.finish_reasons", {"arrayValue": {"values": [text("reason")]}}),
            (f"gen_ai.{planter('key')}", {"intValue": 1}),
            ("gen_ai.usage.input_tokens", text("number")),
            (
                "gen_ai.request.max_tokens",
                {"arrayValue": {"values": [text("list"), text("list2", "padding " * 5)]}},
            ),
        )
    ]
    line = otlp({**OK, "name": f"chat {planter('name')}", "attributes": faults})
    path = tmp_path / "spans.jsonl"
    path.write_text(line.replace('"name": "lib"', f'"name": {json.dumps(planter("scope"))}'))
    result = invoke(*form, str(path))
    assert result.exit_code == 1
    assert result.stdout.count("REDACTED") > 4
    assert planter.found_in(result.output.encode()) == set()
    forget_literals()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("command", [["conformance"], ["ingest"], ["ingest", "--json"]])
def test_what_cannot_be_read_is_told_without_its_secrets(
    tmp_path: Path, command: list[str], shape: str
) -> None:
    """A message quotes the word that is no id or number."""
    planter = Planter(shape)
    faults: list[dict[str, Any]] = [
        {"traceId": planter("trace")},
        {"spanId": planter("span")},
        {"startTimeUnixNano": "padding " * 3 + planter("start")},  # forty characters end within it
        {"kind": planter("kind")},
        {"name": planter("name"), "traceId": ""},
    ]
    path = tmp_path / "spans.jsonl"
    path.write_text("".join(otlp(fault) for fault in faults))
    words = ["--ledger", str(tmp_path / "l.db"), *command, str(path)]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code in (1, 2)
    assert result.output.count("REDACTED") >= 3
    assert planter.found_in(result.output.encode()) == set()
    forget_literals()


def test_clean_spans_end_with_0(tmp_path: Path) -> None:
    """Without a finding nothing is on stdout, stderr says what was checked, and the exit code is 0."""
    path = tmp_path / "spans.jsonl.gz"
    path.write_bytes(gzip.compress(otlp({}, {}).encode()))
    result = invoke(str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "2 GenAI spans, 0 events checked: 0 errors, 0 warnings" in result.stderr


def test_errors_end_with_1_and_are_tabled() -> None:
    """The table has one line for the same finding on many spans, with their number."""
    result = invoke("-", given=otlp(OK, {}, OK))
    assert result.exit_code == 1
    heading, line = result.stdout.splitlines()
    assert heading.split() == ["SEVERITY", "RULE", "SPANS", "FIRST", "NAME", "FINDING"]
    assert line.split()[:5] == ["error", "GENAI-STATUS-OK", "2", "0000000000000001", "chat"]
    assert "3 GenAI spans, 0 events checked: 2 errors, 0 warnings" in result.stderr


def test_json_is_one_array_of_every_finding() -> None:
    """--json gives each finding, with the line and the span it is on."""
    result = invoke("-", "--json", given="\n" + otlp(OK, OK))
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert [(one["rule"], one["span_id"], one["line"]) for one in found] == [
        ("GENAI-STATUS-OK", "0000000000000001", 2),
        ("GENAI-STATUS-OK", "0000000000000002", 2),
    ]
    assert json.loads(invoke("-", "--json", given=otlp({})).stdout) == []


def test_warnings_do_not_fail() -> None:
    """Findings that are only warnings are shown, and the exit code is 0."""
    result = invoke("-", given=otlp({}).replace("gen-ai-dev/1.42.0-dev", "1.37.0"))
    assert result.exit_code == 0
    assert "GENAI-SCHEMA-URL" in result.stdout


def test_profile_is_chosen() -> None:
    """Under the profile 1.41 that version's schema URL is expected."""
    given = otlp({}).replace("gen-ai-dev/1.42.0-dev", "1.41.0")
    assert invoke("-", "--profile", "1.41", given=given).stdout == ""
    assert "GENAI-SCHEMA-URL" in invoke("-", "--profile", "latest", given=given).stdout


def test_last_spans_only() -> None:
    """--last leaves the earlier spans out."""
    given = otlp(OK) + otlp({})
    assert invoke("-", "--last", "1", given=given).exit_code == 0
    assert invoke("-", "--last", "2", given=given).exit_code == 1


@pytest.mark.parametrize("last", [None, "1"])
def test_an_agent_is_judged_by_calls_that_are_not_shown(last: str | None) -> None:
    """Spans of others between an agent and its calls count, and calls before the last spans."""
    agent = [
        {"key": key, "value": {"stringValue": value}}
        for key, value in {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"}.items()
    ]
    given = otlp(
        {"parentSpanId": "0000000000000002"},
        {"parentSpanId": "0000000000000003", "name": "step", "kind": 1, "attributes": []},
        {"name": "invoke_agent a", "kind": 1, "attributes": agent},
    )
    result = invoke("-", *(("--last", last) if last else ()), given=given)
    assert result.exit_code == 1
    assert "gen_ai.usage.output_tokens is missing" in result.stdout


def test_a_bad_line_ends_with_2_and_the_rest_is_checked() -> None:
    """A line that is no OTLP is named on stderr, the findings of the others are given."""
    result = invoke("-", given=otlp(OK) + "oops\n")
    assert result.exit_code == 2
    assert "GENAI-STATUS-OK" in result.stdout
    assert "line 2: is no JSON" in result.stderr


@pytest.mark.parametrize("given", ["", "{}", otlp({}).replace("gen_ai.", "other.")])
def test_nothing_to_check_ends_with_2(given: str) -> None:
    """An input without a GenAI span is no success."""
    result = invoke("-", given=given)
    assert result.exit_code == 2
    assert "nothing to check" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give a FILE"),
        (("a", "b"), "give a FILE"),
        (("--live",), "no command"),
        (("/no/such/file",), "No such file"),
        (("--live", "--", "/no/such/command"), "No such file"),
        (("-", "--profile", "1.0"), "1.41"),
    ],
)
def test_wrong_arguments_end_with_2(arguments: tuple[str, ...], says: str) -> None:
    """Wrong arguments name what is expected."""
    result = invoke(*arguments, given="")
    assert result.exit_code == 2
    assert says in result.stderr


def test_rules_are_listed() -> None:
    """--rules prints every rule with what it asks for, as a table and as JSON."""
    lines = invoke("--rules").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [rule.id for rule in RULES]
    assert [one["rule"] for one in json.loads(invoke("--rules", "--json").stdout)] == [
        rule.id for rule in RULES
    ]


def test_control_characters_of_spans_are_shown_safely() -> None:
    """A span's name cannot write escape sequences to the terminal."""
    result = invoke("-", given=otlp({"name": "\x1b[2J"}))
    assert "\x1b" not in result.stdout


def test_live_environment_points_all_exporters_here() -> None:
    """Whatever the environment said of exporters, the command's go to the receiver, past any proxy."""
    base = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://elsewhere",
        "OTEL_EXPORTER_OTLP_HEADERS": "key=1",
        "OTEL_CONFIG_FILE": "x.yaml",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_SERVICE_NAME": "kept",
        "NO_PROXY": "example.com",
    }
    assert environment(base, "http://127.0.0.1:1") == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_SERVICE_NAME": "kept",
        "NO_PROXY": "example.com,127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


PROGRAM = """
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-made-up-for-tests-0001")
client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
sys.exit(3)
"""


def test_live_run_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program under `spantally run` exports to the check, and its call conforms; its exit code is told."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    spantally = [sys.executable, "-m", "spantally.cli"]
    with ScriptedServer() as server:
        done = subprocess.run(
            [
                *spantally,
                "conformance",
                "--live",
                "--json",
                "--",
                *spantally,
                "run",
                "--quiet",
                "--",
                sys.executable,
                str(program),
                server.base_url,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stderr
    assert "ended with 3" in done.stderr
    assert "1 GenAI span, " in done.stderr
