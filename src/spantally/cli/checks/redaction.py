"""What redaction does in a program started here: the net, the rules in force, the key of its tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spantally.cli.checks.finding import Finding, Level


def findings(section: str, told: Mapping[str, Any]) -> list[Finding]:
    """The redaction's part of a process's report as findings.

    Args:
        section: the section that they stand in.
        told: ``redaction`` of :func:`spantally.api.report.report`.
    """
    if not told.get("on"):
        advice = "secrets leave as they are; use redact=True, and unset SPANTALLY_REDACT"
        return [Finding(section, "redaction", "OFF", Level.PROBLEM, advice)]
    found = [_net(section, told.get("net"))]
    rules = told.get("rules")
    if isinstance(rules, Mapping):
        found += _rules(section, rules)
    elif "rules" in told:
        text = "a redactor of the program's own, of which nothing is known"
        found.append(Finding(section, "redaction rules", text, Level.NOTE))
    key = told.get("key")
    if isinstance(key, Mapping):
        found.append(_key(section, key))
    return found


def _net(section: str, net: Any) -> Finding:
    """The net that was seen at work when the process started."""
    if not isinstance(net, Mapping):
        return Finding(section, "redaction", str(net or "at the source (no provider is set)"))
    value = f"at the source, and by net {net['net']}: {net['detail']}"
    whole = net["earlier"] and net["later"]
    advice = "processors that are added before ours may get foreign spans as they are; add spantally's first"
    level = Level.OK if whole else Level.PROBLEM
    return Finding(section, "redaction", value, level, None if whole else advice)


def _rules(section: str, rules: Mapping[str, Any]) -> list[Finding]:
    """What is in force: built-in rules, those of the user, personal data, and what happens on a failure."""
    shown = [
        "built-in" if rules["defaults"] else "no built-in rule",
        *(f"{rules[name]} {name}" for name in ("patterns", "callables", "allowed") if rules[name]),
        f"personal data: {', '.join(rules['pii']) or 'no'}",
    ]
    level = Level.OK if rules["defaults"] else Level.NOTE
    found = [Finding(section, "redaction rules", "; ".join(shown), level)]
    if not rules["strict"]:
        advice = (
            "where a rule of yours fails, the value passes without it, with the mark [UNREDACTED:error]; "
            "use strict=True, and unset SPANTALLY_REDACTION_STRICT"
        )
        found.append(Finding(section, "redaction", "NOT STRICT", Level.PROBLEM, advice))
    return found


def _key(section: str, key: Mapping[str, Any]) -> Finding:
    """Where the key of the digits in tags comes from."""
    if key["source"] != "random":
        return Finding(section, "redaction key", f"{key['source']} ({key['place']})")
    value = f"RANDOM, of each process its own: {key['place']}: {key['fault']}"
    advice = (
        "tags of one secret differ from process to process; make that file private and readable, or set "
        "SPANTALLY_REDACTION_KEY"
    )
    return Finding(section, "redaction key", value, Level.NOTE, advice)
