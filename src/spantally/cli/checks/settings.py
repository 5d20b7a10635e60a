"""The settings in force, wrong values and misspelt names of the environment among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spantally.cli.checks.finding import Finding, Level
from spantally.ground.errors import SettingsError
from spantally.ground.places import config_path
from spantally.ground.setting_names import misspelt
from spantally.ground.settings import OPTIONS, from_environment, value_text

SECTION: Final = "settings"


def check(environ: Mapping[str, str]) -> list[Finding]:
    """Every setting with its value in force.

    Args:
        environ: the environment to read.
    """
    found: list[Finding] = []
    for option in OPTIONS:
        text = environ.get(option.env, "")
        if not text.strip():
            found.append(Finding(SECTION, option.env, f"{value_text(option.default)} (default)"))
            continue
        try:
            between = ":" if option.name == "entity" else ","
            found.append(Finding(SECTION, option.env, value_text(option.parse(option.env, text), between)))
        except SettingsError as error:
            value = f"{value_text(option.default)} (default, since the value is not allowed)"
            found.append(Finding(SECTION, option.env, value, Level.PROBLEM, str(error)))
    found.extend(_budgets())
    found.extend(_rates())
    for name, near in misspelt(environ):
        advice = f"no such setting{f'; did you mean {near}?' if near else ''}"
        found.append(Finding(SECTION, name, "ignored", Level.PROBLEM, advice))
    return found


def _budgets() -> list[Finding]:
    """The settings file, with the budgets that are in force by it."""
    path = config_path()
    if not path.is_file():
        named = from_environment("config") is not None
        level, advice = (Level.PROBLEM, "there is no such file") if named else (Level.OK, None)
        return [Finding(SECTION, "settings file", f"{path} (none)", level, advice)]
    from spantally.budgets.file import read_rules

    rules, wrong = read_rules(path)
    names = ", ".join(rule.name for rule in rules) or "no budget"
    found = [Finding(SECTION, "settings file", f"{path}: {names}")]
    found += [Finding(SECTION, "settings file", "not in force", Level.PROBLEM, text) for text in wrong]
    return found


def _rates() -> list[Finding]:
    """Rates of the user's own, and price data that was downloaded."""
    from importlib.metadata import version

    from spantally.pricing import downloads
    from spantally.pricing.overrides_file import read_own

    own = read_own(config_path())
    found = (
        [Finding(SECTION, "own rates", f"{len(own.rules)} rates, {len(own.aliases)} aliases")]
        if own.any or own.wrong
        else []
    )
    found += [Finding(SECTION, "own rates", "not in force", Level.PROBLEM, text) for text in own.wrong]
    package = version("genai-prices")
    try:
        history = downloads.history()
        if history and history[0].package == package:
            downloads.read(history[0])
            found.append(Finding(SECTION, "price data", history[0].source))
        elif history:
            advice = f"downloaded for genai-prices {history[0].package}, whose data was older than this one's"
            found.append(Finding(SECTION, "price data", f"genai-prices {package}", Level.NOTE, advice))
    except Exception as error:
        advice = f"{error}; spantally prices update, or prices update --undo"
        found.append(Finding(SECTION, "price data", "downloaded, not usable", Level.PROBLEM, advice))
    return found
