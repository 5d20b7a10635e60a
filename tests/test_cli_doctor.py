"""`spantally doctor`: it finds what is wrong, says what to do, and ends with 1 only then."""

from __future__ import annotations

import json
import os
import socket
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from spantally.cli import otlp_pieces
from spantally.cli import run as run_command
from spantally.cli.checks import exporters, launches, ledger, process, settings, versions
from spantally.cli.checks.finding import Finding, Level
from spantally.cli.main import cli
from spantally.ground import setting_names


def problems(found: list[Finding]) -> dict[str, str]:
    """Advice by name, of the problems."""
    return {one.name: one.advice or "" for one in found if one.level is Level.PROBLEM}


def test_all_defaults_are_no_problem() -> None:
    """An empty environment gives the defaults of every setting and no complaint."""
    found = settings.check({})
    assert problems(found) == {}
    assert {one.name: one.value for one in found}["SPANTALLY_LEDGER_CONTENT"] == "explicit (default)"


def test_wrong_setting_is_named_with_its_range() -> None:
    """A wrong value is a problem that names the value and what is allowed; the default is in force."""
    found = settings.check({"SPANTALLY_LEDGER_CONTENT": "everything"})
    advice = problems(found)["SPANTALLY_LEDGER_CONTENT"]
    assert "'everything'" in advice
    assert "never, explicit, all" in advice


def test_misspelt_setting_is_found() -> None:
    """A variable of ours that does not exist is a problem with the near name."""
    assert "SPANTALLY_LEDGER?" in problems(settings.check({"SPANTALLY_LEDGR": "/x"}))["SPANTALLY_LEDGR"]


def test_slips_in_the_prefix_and_what_is_ours_without_being_a_setting() -> None:
    """Another case and a letter too few are found; variables that processes hand on are no problem."""
    given = {"SPANTALY_LEDGER": "/x", "spantally_summary": "true", "SPANTALLY_CARRIER": "{}", "SPANNER": "1"}
    advice = problems(settings.check(given))
    assert set(advice) == {"SPANTALY_LEDGER", "spantally_summary"}
    assert "SPANTALLY_LEDGER?" in advice["SPANTALY_LEDGER"]
    assert "SPANTALLY_SUMMARY?" in advice["spantally_summary"]


def test_names_that_cannot_be_looked_at_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong there is counted, and `instrument()` goes on."""

    def broken(_names: object) -> None:
        raise RuntimeError("no")

    seen: list[str] = []
    monkeypatch.setattr(setting_names, "misspelt", broken)
    monkeypatch.setattr(setting_names, "swallowed", lambda where, _error: seen.append(where))
    setting_names.say_misspelt()
    assert seen == ["ground.setting_names"]


def test_values_in_force_are_shown() -> None:
    """Parsed values are shown as a user would write them."""
    given = {"SPANTALLY_ENTITY": "customer:acme", "SPANTALLY_TAGS": "b=2,a=1", "SPANTALLY_SIGTERM": "OFF"}
    shown = {one.name: one.value for one in settings.check(given)}
    assert shown["SPANTALLY_ENTITY"] == "customer:acme"
    assert shown["SPANTALLY_TAGS"] == "a=1,b=2"
    assert shown["SPANTALLY_SIGTERM"] == "false"


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10000", True),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "61", True),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "ten", True),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "60", False),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2.5", False),
    ],
)
def test_timeout_meant_in_milliseconds(name: str, value: str, wrong: bool) -> None:
    """A time-out above 60 is a problem, for all signals and for each."""
    assert (name in problems(exporters.check_timeouts({name: value}))) is wrong


def test_installed_exporter_reads_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the check rests on: before a server that never answers, 0.5 means half a second."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
        exporter = OTLPSpanExporter(endpoint=endpoint)
        before = time.monotonic()
        exporter.export([])
        assert 0.4 < time.monotonic() - before < 10
        exporter.shutdown()  # type: ignore[no-untyped-call]


def test_exporter_without_its_package() -> None:
    """An exporter that no installed package provides is a problem."""
    assert "no_such" in problems(exporters.check({"OTEL_TRACES_EXPORTER": "no_such"}))["traces"]


def launches_of(environ: dict[str, str]) -> list[tuple[str, str | None]]:
    """What each way of starting a program sends, with the advice: the launcher, `run`, `instrument()`."""
    found = [one for one in exporters.check(environ) if one.name.startswith("with ")]
    return [(one.value, one.advice) for one in found]


TO_COLLECTOR = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}


def test_each_way_of_starting_is_told_apart() -> None:
    """The launcher sends by default, the others what variables name; `instrument()` sends traces."""
    nothing = "nothing: no OTEL_* variable names an exporter or endpoint"
    launcher, run, instrument = launches_of({})
    assert "traces by otlp_proto_grpc" in launcher[0]
    assert (run, instrument) == ((nothing, None), (nothing, None))
    everything = "traces by otlp_proto_http; metrics by otlp_proto_http; logs by otlp_proto_http"
    launcher, run, instrument = launches_of(TO_COLLECTOR)
    assert (launcher[0], run[0]) == (everything, everything)
    assert instrument[0].startswith("traces by otlp_proto_http;")
    some = {**TO_COLLECTOR, "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    assert launches_of(some)[1][0] == "traces by otlp_proto_http"
    assert launches_of({"OTEL_SDK_DISABLED": "true"}) == []
    assert "OTEL_CONFIG_FILE" in launches_of({"OTEL_CONFIG_FILE": "otel.yaml"})[1][0]


def test_what_a_way_of_starting_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the distro, and without the exporter that is asked for, each says what is missing."""
    monkeypatch.setattr(launches, "has_configurator", lambda: False)
    launcher, run, instrument = launches_of(TO_COLLECTOR)
    for value, advice in (launcher, run):
        assert value == "sends nothing"
        assert advice is not None
        assert advice.startswith("opentelemetry-distro is missing: pip install 'spantally[otlp]'")
    assert instrument[1] is None  # it needs none
    monkeypatch.undo()
    for module in (otlp_pieces, launches):
        monkeypatch.setattr(module, "installed_plugins", lambda _signal: {"otlp_proto_grpc", "console"})
    launcher, run, instrument = launches_of(TO_COLLECTOR)
    assert launcher[0] == "starts no instrumentor"
    assert (run[0], instrument[0]) == ("sends nothing", "sends nothing")
    for _, advice in (launcher, run, instrument):
        assert advice is not None
        assert advice.startswith("exporter otlp_proto_http is missing")


def test_run_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks for the exporter that is asked for and for what makes exporters, not for a shared package."""
    assert run_command._missing(TO_COLLECTOR) is None
    monkeypatch.setattr(otlp_pieces, "has_configurator", lambda: False)
    assert "opentelemetry-distro" in str(run_command._missing(TO_COLLECTOR))
    assert run_command._missing({**TO_COLLECTOR, "OTEL_CONFIG_FILE": "otel.yaml"}) is None
    monkeypatch.setattr(otlp_pieces, "installed_plugins", lambda _signal: {"otlp_proto_grpc"})
    assert "otlp_proto_http" in str(run_command._missing(TO_COLLECTOR))


def test_unknown_protocol() -> None:
    """A protocol that Python's OTLP exporters lack is named with those they have."""
    found = problems(exporters.check({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}))
    assert "http/json" in found["traces"]
    assert "http/protobuf" in found["traces"]


def test_missing_config_file(tmp_path: Path) -> None:
    """OTEL_CONFIG_FILE that leads nowhere is a problem, and so is one that no installed package reads."""
    there = tmp_path / "otel.yaml"
    there.write_text("file_format: '1.0'\n")
    assert "OTEL_CONFIG_FILE" in problems(exporters.check({"OTEL_CONFIG_FILE": "/nowhere.yaml"}))
    found = problems(exporters.check({"OTEL_CONFIG_FILE": str(there)}))
    unread = find_spec("opentelemetry.configuration") is None
    assert ("OTEL_CONFIG_FILE" in found) is unread


def test_endpoint_hides_its_secrets() -> None:
    """Password and query of an endpoint are not printed."""
    shown = exporters.endpoint(
        "TRACES", "grpc", {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://u:p4ss@host:4317/v1?key=k3y#f"}
    )
    assert shown == "https://host:4317/v1"


def test_resolver_trap() -> None:
    """A distro older than the core is a problem; a current one and none at all are not."""
    assert versions.check_distro("0.48b0").level is Level.PROBLEM
    assert versions.check_distro("0.62b0").level is Level.OK
    assert versions.check_distro("1.0").level is Level.OK
    assert versions.check_distro(None).level is Level.NOTE


@pytest.mark.parametrize(("text", "level"), [("2.0.1", Level.OK), ("3.9", Level.OK), ("4.0", Level.NOTE)])
def test_untested_sdk_is_noted(text: str, level: Level) -> None:
    """An SDK outside the tested range is worth a note."""
    assert versions.check_openai(text).level is level


def test_ledger_that_is_not_there_yet(tmp_path: Path) -> None:
    """No ledger yet is no problem, and the check does not make one."""
    path = tmp_path / "new.db"
    assert problems(ledger.check(str(path))) == {}
    assert not path.exists()


def test_ledger_in_a_missing_directory(tmp_path: Path) -> None:
    """A path whose directory is missing is a problem, and the directory is not made."""
    found = problems(ledger.check(str(tmp_path / "no" / "ledger.db")))
    assert str(tmp_path / "no") in found["path"]
    assert not (tmp_path / "no").exists()


def test_json_is_one_array_and_exit_code_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--json` gives one array of findings; a problem among them makes the exit code 1."""
    monkeypatch.setattr(process, "check", lambda environ: [])
    environ = {"SPANTALLY_SEMCONV": "0.1", "SPANTALLY_LEDGER": str(tmp_path / "ledger.db")}
    done = CliRunner().invoke(cli, ["doctor", "--json"], env=environ)
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert {"section", "name", "value", "level", "advice"} == set(found[0])
    assert [one["name"] for one in found if one["level"] == "problem"] == ["SPANTALLY_SEMCONV"]


def test_without_a_problem_exit_code_is_0() -> None:
    """This installation is healthy, and the text says so on stderr."""
    done = CliRunner().invoke(cli, ["doctor"], env={"COLUMNS": "80"})
    assert (done.exit_code, done.stderr) == (0, "no problem found\n"), done.stdout
    assert os.environ["SPANTALLY_LEDGER"] in done.stdout
