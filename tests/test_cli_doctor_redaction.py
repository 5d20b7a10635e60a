"""`spantally doctor` on redaction: what is in force, loud where secrets may pass."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import spantally
from doctor_kit import empty_sdks
from spantally.api.report import report
from spantally.cli.checks import process, redaction
from spantally.cli.checks.finding import Finding, Level
from spantally.cli.main import cli
from spantally.ground import guard
from spantally.redaction import tags


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No tag was made yet, and spantally is not active afterwards."""
    monkeypatch.setattr(tags, "_key", None)
    guard.reset()
    yield
    spantally.uninstrument()
    guard.reset()


def told() -> dict[str, list[Finding]]:
    """What doctor would say of this process's redaction, by name."""
    by_name: dict[str, list[Finding]] = {}
    for one in process.findings(report(), {}):
        if one.name.startswith("redaction"):
            by_name.setdefault(one.name, []).append(one)
    return by_name


def test_defaults_are_no_problem() -> None:
    """The built-in rules, no personal data, strict, and the key's file, which is not made for the answer."""
    spantally.instrument(ledger=False)
    found = told()
    assert {one.level for ones in found.values() for one in ones} == {Level.OK}
    assert found["redaction rules"][0].value == "built-in; personal data: no"
    assert found["redaction key"][0].value.startswith("file (")
    assert not Path(report()["redaction"]["key"]["place"]).exists()


def test_rules_in_force_are_counted() -> None:
    """Numbers of patterns, callables and allowed texts, and the kinds of personal data."""
    mine = spantally.Redactor(
        [re.compile("EMP-1"), re.compile("EMP-2"), lambda key, value, where: None],
        allow=["a"],
        pii={"email", "card"},
    )
    spantally.instrument(ledger=False, redact=mine)
    shown = told()["redaction rules"][0].value
    assert shown == "built-in; 2 patterns; 1 callables; 1 allowed; personal data: card, email"


def test_redaction_that_is_off_is_shouted() -> None:
    """redact=False is a problem, and the only thing to be said of redaction."""
    spantally.instrument(ledger=False, redact=False)
    found = told()
    assert list(found) == ["redaction"]
    assert (found["redaction"][0].value, found["redaction"][0].level) == ("OFF", Level.PROBLEM)


def test_fallback_is_shouted() -> None:
    """strict=False is a problem; to have no built-in rules is worth a note."""
    spantally.instrument(ledger=False, redact=spantally.Redactor(strict=False, defaults=False))
    found = told()
    assert [one.value for one in found["redaction"] if one.level is Level.PROBLEM] == ["NOT STRICT"]
    assert found["redaction rules"][0].level is Level.NOTE


def test_random_key_is_shouted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be used is named with the reason and what to do."""
    place = tmp_path / "data" / "spantally" / "redaction.key"
    place.parent.mkdir(parents=True)
    place.write_text("11" * 32)
    place.chmod(0o644)
    spantally.instrument(ledger=False)
    (key,) = told()["redaction key"]
    assert key.level is Level.NOTE
    assert key.value.startswith("RANDOM")
    assert f"chmod 600 {place}" in key.value
    monkeypatch.setenv("SPANTALLY_REDACTION_KEY", "between us")
    (key,) = told()["redaction key"]
    assert (key.value, key.level) == ("environment (SPANTALLY_REDACTION_KEY)", Level.OK)


def test_redactor_of_somebody_else_is_noted() -> None:
    """An object with the three methods is used, and nothing is known of it."""

    class Mine(spantally.Redactor):
        describe = None  # type: ignore[assignment]

    spantally.instrument(ledger=False, redact=Mine())
    assert told()["redaction rules"][0].level is Level.NOTE
    assert redaction.findings("x", {"on": True}) == [
        Finding("x", "redaction", "at the source (no provider is set)")
    ]


def test_json_carries_it(tmp_path: Path) -> None:
    """The settings of the environment reach the program that doctor starts, and the array tells of them."""
    environ = {
        "SPANTALLY_REDACT_PII": "email,ip",
        "SPANTALLY_REDACTION_STRICT": "false",
        "SPANTALLY_REDACTION_KEY": "between us",
        **empty_sdks(tmp_path),
    }
    done = CliRunner().invoke(cli, ["doctor", "--json"], env=environ)
    found = {(one["name"], one["value"]): one["level"] for one in json.loads(done.stdout)}
    assert found["redaction rules", "built-in; personal data: email, ip"] == "ok"
    assert found["redaction", "NOT STRICT"] == "problem"
    assert found["redaction key", "environment (SPANTALLY_REDACTION_KEY)"] == "ok"
    assert found["SPANTALLY_REDACT_PII", "email,ip"] == "ok"
    assert done.exit_code == 1
    assert "between us" not in done.stdout


@pytest.mark.parametrize("form", ["text", "json"])
def test_settings_that_hold_secrets_are_shown_without(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What doctor says is pasted into issues: no password of a URL, no key in a wrong value or a name."""
    secrets = ["Zx81mQ4tLw9Bv72KpY3sA", "dKq2wXv7Lm4Tz8Rb1Hs3a", "Wn5rT1xZq8vN2kLw5rT1x"]
    config = tmp_path / "spantally.toml"
    config.write_text(f'[[budget]]\nname = "sk-proj-{secrets[2]}"\ncalls = 3\n')
    monkeypatch.setenv("SPANTALLY_CONFIG", str(config))
    monkeypatch.setenv("SPANTALLY_PRICES_URL", f"https://app:{secrets[0]}@prices.internal/data.json")
    monkeypatch.setenv("SPANTALLY_ENTITY", f"sk-proj-{secrets[1]}")
    arguments = ["doctor", *(["--json"] if form == "json" else [])]
    done = CliRunner().invoke(cli, arguments, env=empty_sdks(tmp_path))
    assert "prices.internal" in done.output
    assert "SPANTALLY_ENTITY" in done.output
    assert str(config) in done.output
    assert [one for one in secrets if one in done.output] == []


def test_a_download_that_fails_does_not_say_the_password() -> None:
    """The URL is named, as what cannot be reached."""
    secret = "Zx81mQ4tLw9Bv72KpY3sA"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens there
        url = f"http://127.0.0.1:{free.getsockname()[1]}/data.json?token={secret}"
        done = CliRunner().invoke(cli, ["prices", "update", "--url", url])
    assert done.exit_code == 1
    assert "/data.json?token=[REDACTED:" in done.output
    assert secret not in done.output
