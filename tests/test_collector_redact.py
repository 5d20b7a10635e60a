"""redact.yaml hides what a program without redaction sends, in the bytes that the collector writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]
from opentelemetry.trace import Status, StatusCode

from collector_kit import CONFIGS, ROOT, Collector, plain_provider, post, spans_of
from spantally.redaction.table import ROWS, example

KEY = "sk-proj-" + "Zx81kQwPmB40vTn2" * 2
GITHUB = "ghp_" + "q7Lw02NcXa93TtRe" * 2
AWS = "AKIA" + "QX7Z2M4LPO6NB3VU"
HEADER, CLAIMS = "eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0"
JWT = f"{HEADER}.{CLAIMS}.c2lnbmF0dXJlLW1hZGUtdXA"
PASSWORD = "Tr0ub4dor-x9"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIBVAIBADANBgkqhkiGmadeup\n-----END PRIVATE KEY-----"

ATTRIBUTES: dict[str, Any] = {
    "db.password": PASSWORD + "-1",
    "api_key": PASSWORD + "-2",
    "OPENAI_API_KEY": PASSWORD + "-3",
    "client_secret": PASSWORD + "-4",
    "http.request.header.authorization": [f"Basic {PASSWORD}-5"],
    "http.request.header.cookie": f"sid={PASSWORD}-6; theme=dark",
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": f"my key is {KEY}, use it"}]}]
    ),
    "gen_ai.tool.call.arguments": json.dumps({"password": PASSWORD + "-7", "query": "cells"}),
    "nested": json.dumps({"inner": json.dumps({"access_token": PASSWORD + "-8", "n": 1})}),
    "url.full": f"https://alice:{PASSWORD}-9@db.example:5432/x?sig={PASSWORD}-10&page=2",
    "log": f"Authorization: Bearer {PASSWORD}-11-abcdef and {GITHUB}",
    "shell": f"export AWS_ACCESS_KEY_ID={AWS} DB_PASSWORD={PASSWORD}-12 REGION=eu",
    "jwt": f"token {JWT} in a text",
    "pem": PEM,
    "process.command_args": ["run", f"--password={PASSWORD}-13", KEY],
}
HARMLESS: dict[str, Any] = {
    "session.id": "chat-42",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1234,
    "gen_ai.usage.cache_read.input_tokens": 56,
    "gen_ai.token.type": "input",
    "spantally.cost.usd": 0.25,
    "spantally.cost.nano_usd": 250000000,
    "gen_ai.response.id": "chatcmpl-9f8e7d",
    "text": "The key idea: tokens are counted, passwords are hashed. See https://example.com/a?page=2",
    "stop": ["\n", "END"],
}
PLANTED = re.compile("|".join(map(re.escape, (KEY, GITHUB, AWS, JWT, PASSWORD, "MIIBVAIBADAN"))))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what the collector wrote of a program that redacts nothing."""
    folder = tmp_path_factory.mktemp("redact")
    with Collector("redact.yaml", folder, OTLP_DIR=str(folder / "otlp")) as collector:
        provider = plain_provider(collector.http, **{"deploy.api_key": PASSWORD + "-14", "team": "search"})
        tracer = provider.get_tracer("test")
        span = tracer.start_span("planted", attributes=ATTRIBUTES)
        span.add_event(f"sent {KEY}", {"body": f"password={PASSWORD}-15", "secret": PASSWORD + "-16"})
        span.record_exception(ValueError(f"401 for {KEY}, password: {PASSWORD}-17"))
        span.set_status(Status(StatusCode.ERROR, f"401 for {KEY} password={PASSWORD}-18"))
        span.end()
        tracer.start_span(f"GET https://bob:{PASSWORD}-19@host/ {GITHUB}").end()
        tracer.start_span("harmless", attributes=HARMLESS).end()
        for start in range(0, len(ROWS), 100):
            rows = ROWS[start : start + 100]
            tracer.start_span("table", attributes={row.prefix: f"x {example(row)} y" for row in rows}).end()
        provider.shutdown()
        assert post(f"{collector.http}/v1/logs", logs()) == 200
        assert post(f"{collector.http}/v1/metrics", METRICS) == 200
    return folder / "otlp"


def logs() -> dict[str, Any]:
    """Log records with a text and with a structure as body."""
    fields = [text("password", PASSWORD + "-20"), text("note", f"uses {KEY}")]
    records = [
        {"body": {"stringValue": f"login with password={PASSWORD}-21 and {GITHUB}"}},
        {"body": {"kvlistValue": {"values": fields}}, "attributes": [text("auth_token", PASSWORD + "-22")]},
    ]
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}


def text(key: str, value: str) -> dict[str, Any]:
    """An attribute of OTLP JSON."""
    return {"key": key, "value": {"stringValue": value}}


POINT = {"asInt": "7", "timeUnixNano": "1", "attributes": [text("header", f"Bearer {PASSWORD}-23-abcdef")]}
METRICS = {
    "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [POINT]}}]}]}]
}


@pytest.mark.collector
def test_no_planted_key_is_in_what_is_written(written: Path) -> None:
    """Attributes of spans, events, resources, logs, metrics; names, messages: all planted keys are gone."""
    files = sorted(written.iterdir())
    assert [file.name for file in files] == ["logs.jsonl", "metrics.jsonl", "traces.jsonl"]
    for file in files:
        raw = file.read_text(encoding="utf-8")
        assert "****" in raw
        left = sorted({raw[max(0, hit.start() - 60) : hit.end() + 5] for hit in PLANTED.finditer(raw)})
        assert left == []


@pytest.mark.collector
def test_what_stands_around_a_key_stays(written: Path) -> None:
    """A text keeps its words and the name of what was hidden, and JSON is still JSON."""
    (span,) = [span for span in spans_of(written / "traces.jsonl") if span.name == "planted"]
    assert span.attributes["db.password"] == "****"
    assert json.loads(span.attributes["gen_ai.tool.call.arguments"]) == {"password": "****", "query": "cells"}
    (message,) = json.loads(span.attributes["gen_ai.input.messages"])
    assert message["parts"][0]["content"] == "my key is ****, use it"
    assert json.loads(json.loads(span.attributes["nested"])["inner"]) == {"access_token": "****", "n": 1}
    assert span.attributes["url.full"] == "https://alice:****@db.example:5432/x?sig=****&page=2"
    assert span.attributes["shell"].endswith("DB_PASSWORD=**** REGION=eu")
    assert span.raw["status"]["message"] == "401 for **** password=****"
    assert span.attributes["redaction.masked.count"]


@pytest.mark.collector
def test_what_is_no_key_is_left_alone(written: Path) -> None:
    """Sessions, models, numbers and plain words come out as they went in."""
    (span,) = [span for span in spans_of(written / "traces.jsonl") if span.name == "harmless"]
    expected = {key: str(value) if isinstance(value, int) else value for key, value in HARMLESS.items()}
    found = {key: value for key, value in span.attributes.items() if key != "stop"}
    del expected["stop"]
    assert found == expected
    assert [one["stringValue"] for one in span.attributes["stop"]["values"]] == ["\n", "END"]


@pytest.mark.collector
def test_every_credential_that_the_package_knows_is_hidden(written: Path) -> None:
    """A made-up example of each row of the table is gone."""
    values: dict[str, str] = {}
    for span in spans_of(written / "traces.jsonl"):
        if span.name == "table":
            values |= span.attributes
    left = [row.prefix for row in ROWS if example(row)[len(row.prefix) :][:8] in values[row.prefix]]
    assert left == []
    assert all("****" in values[row.prefix] for row in ROWS)


def test_the_rules_are_those_of_the_package() -> None:
    """The rules in the file are what tools/redact_rules.py writes today."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "redact_rules.py"), "--check"], check=False, timeout=60
    )
    assert done.returncode == 0, "run: python tools/redact_rules.py"


def test_a_rule_that_fails_lets_nothing_pass() -> None:
    """The processors are set so that data is refused, not passed on, where a rule fails."""
    config = yaml.safe_load((CONFIGS / "redact.yaml").read_text(encoding="utf-8"))
    assert config["processors"]["transform/texts"]["error_mode"] == "propagate"
    for pipeline in config["service"]["pipelines"].values():
        assert pipeline["processors"][:3] == ["memory_limiter", "transform/texts", "redaction"]
