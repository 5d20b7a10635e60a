"""gitleaks' published rules, run by ``re``: got when the bench runs, never kept with the project.

They come from the Go module of gitleaks by the ``go`` command, or from a file that ``--gitleaks`` names. A
rule is run as gitleaks runs it: keywords first, then the pattern, then entropy and allow-lists.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

MODULE = "github.com/zricethezav/gitleaks/v8@latest"
POSIX = {"[[:alnum:]]": "[A-Za-z0-9]", "[:alnum:]": "A-Za-z0-9", "[:alpha:]": "A-Za-z", "[:digit:]": "0-9"}


class UnavailableError(RuntimeError):
    """A side cannot take part; the message says why."""


def obtain(named: str = "") -> tuple[Path, str]:
    """The file of rules and its version.

    Raises:
        UnavailableError: with the reason.
    """
    if named:
        return Path(named), named
    if shutil.which("go") is None:
        raise UnavailableError("no `go` to fetch the rules with; name a gitleaks.toml by --gitleaks")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["go", "mod", "download", "-json", MODULE],
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=120,
            check=False,
        )
    if done.returncode:
        raise UnavailableError(
            "the Go module could not be fetched: " + done.stdout.strip()[-200:] + done.stderr.strip()[-200:]
        )
    about = json.loads(done.stdout)
    return Path(about["Dir"]) / "config" / "gitleaks.toml", about["Version"]


def _group_end(pattern: str, at: int) -> int:
    """Where the character class that starts at ``at`` ends."""
    end = at + 1
    if pattern[end : end + 1] == "^":
        end += 1
    if pattern[end : end + 1] == "]":
        end += 1
    while end < len(pattern) and pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    return end + 1


def from_go(pattern: str) -> str:
    """A pattern of Go's regexp as Python reads it: flags amid a pattern hold to the end of their group."""
    for posix, plain in POSIX.items():
        pattern = pattern.replace(posix, plain)
    pattern = pattern.replace(r"\z", r"\Z")
    out: list[str] = []
    opened: list[list[str]] = [[]]
    at = 0
    while at < len(pattern):
        flags = re.compile(r"\(\?([a-z]*(?:-[a-z]+)?)\)").match(pattern, at)
        step = 1
        if flags:
            opened[-1].append(flags[1])
            out.append(f"(?{flags[1]}:")
            at = flags.end()
            continue
        letter = pattern[at]
        if letter == "\\":
            step = 2
        elif letter == "[":
            step = _group_end(pattern, at) - at
        elif letter == "(":
            opened.append([])
        elif letter == ")":
            out.append(")" * len(opened.pop()))
        elif letter == "|" and opened[-1]:
            out.append(")" * len(opened[-1]) + "|" + "".join(f"(?{one}:" for one in opened[-1]))
            at += 1
            continue
        out.append(pattern[at : at + step])
        at += step
    return "".join(out) + ")" * len(opened[0])


def _entropy(text: str) -> float:
    return (
        -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
        if text
        else 0.0
    )


class _Allow(NamedTuple):
    patterns: list[re.Pattern[str]]
    words: list[str]
    target: str

    def allows(self, secret: str, match: str, line: str) -> bool:
        subject = {"match": match, "line": line}.get(self.target, secret)
        lowered = secret.lower()
        return any(one.search(subject) for one in self.patterns) or any(
            word in lowered for word in self.words
        )


def _allow(raw: dict[str, Any]) -> _Allow:
    return _Allow(
        [re.compile(from_go(one)) for one in raw.get("regexes", ())],
        [word.lower() for word in raw.get("stopwords", ())],
        raw.get("regexTarget", "secret"),
    )


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    keywords: tuple[str, ...]
    entropy: float
    group: int
    allowed: list[_Allow]


class Rules:
    """All rules that Python can compile."""

    def __init__(self, path: Path) -> None:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        self.refused = 0
        self._common = _allow(raw.get("allowlist", {}))
        self.rules: list[_Rule] = []
        for rule in raw["rules"]:
            if "regex" not in rule:
                continue
            try:
                self.rules.append(self._rule(rule))
            except re.error:
                self.refused += 1

    def _rule(self, rule: dict[str, Any]) -> _Rule:
        # An allow-list that also asks for a path or a commit never holds for text without one.
        allowed = [
            _allow(one) for one in rule.get("allowlists", ()) if not (one.get("paths") or one.get("commits"))
        ]
        keywords = tuple(word.lower() for word in rule.get("keywords", ()))
        return _Rule(
            re.compile(from_go(rule["regex"])),
            keywords,
            rule.get("entropy", 0.0),
            rule.get("secretGroup", 0),
            allowed,
        )

    def redact(self, text: str) -> str:
        """The text without what the rules find."""
        lowered = text.lower()
        spans: list[tuple[int, int]] = []
        for rule in self.rules:
            if rule.keywords and not any(word in lowered for word in rule.keywords):
                continue
            for found in rule.pattern.finditer(text):
                span = self._span(rule, text, found)
                if span:
                    spans.append(span)
        out: list[str] = []
        at = 0
        for start, end in sorted(spans):
            if end > at:
                out += [text[at : max(at, start)], "[REDACTED]"]
                at = end
        return "".join([*out, text[at:]])

    def _span(self, rule: _Rule, text: str, found: re.Match[str]) -> tuple[int, int] | None:
        group = rule.group or next((number for number, one in enumerate(found.groups(), 1) if one), 0)
        secret = found.group(group)
        if not secret or (rule.entropy and _entropy(secret) <= rule.entropy):
            return None
        line = text[
            text.rfind("\n", 0, found.start()) + 1 : (text.find("\n", found.end()) + 1 or len(text) + 1) - 1
        ]
        if any(one.allows(secret, found.group(), line) for one in (self._common, *rule.allowed)):
            return None
        return found.span(group)
