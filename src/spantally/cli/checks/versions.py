"""Which versions are installed, read from metadata: nothing is imported."""

from __future__ import annotations

import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from spantally.cli.checks.finding import Finding, Level

SECTION: Final = "versions"
OLDEST_DISTRO: Final = (0, 62)
"""Below it a resolver fell back to a distro of 2024, which cannot start with a current core."""
TESTED_OPENAI: Final = (2, 4)
"""The tested majors of the openai SDK: from the first, below the second."""
TESTED_ANTHROPIC: Final = ((0, 45), (3, 0))
"""The tested versions of the anthropic SDK: from the first, below the second."""

_REQUIRED = (
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation",
    "wrapt",
    "genai-prices",
)
_FOR_EXPORT = (
    "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-configuration",
)
_INSTALL = "pip install 'spantally[otlp]'"


def installed(distribution: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def release(text: str) -> tuple[int, int]:
    """Major and minor of a version, (0, 0) where they cannot be read."""
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def check() -> list[Finding]:
    """Python, spantally, OpenTelemetry and the SDKs."""
    found = [
        Finding(SECTION, "python", f"{platform.python_version()} ({sys.executable})"),
        Finding(SECTION, "spantally", installed("spantally") or "not installed as a distribution"),
    ]
    for name in _REQUIRED:
        present = installed(name)
        if present is None:
            advice = f"pip install {name}"
            found.append(Finding(SECTION, name, "missing", Level.PROBLEM, advice))
        else:
            found.append(Finding(SECTION, name, present))
    found.append(check_distro(installed("opentelemetry-distro")))
    for name in _FOR_EXPORT:
        present = installed(name)
        if present is None:
            advice = f"needed only to export, or for OTEL_CONFIG_FILE: {_INSTALL}"
            found.append(Finding(SECTION, name, "not installed", Level.NOTE, advice))
        else:
            found.append(Finding(SECTION, name, present))
    found.append(check_openai(installed("openai")))
    found.append(check_anthropic(installed("anthropic")))
    return found


def check_distro(text: str | None) -> Finding:
    """The distro, and the trap that a resolver sets with it.

    Args:
        text: its version, None where it is not installed.
    """
    name = "opentelemetry-distro"
    if text is None:
        advice = f"`opentelemetry-instrument` configures no exporter without it: {_INSTALL}"
        return Finding(SECTION, name, "not installed", Level.NOTE, advice)
    if release(text) < OLDEST_DISTRO:
        advice = (
            "the resolver fell back to an old distro that cannot start with this core; "
            "pip install -U 'opentelemetry-distro>=0.62b0'"
        )
        return Finding(SECTION, name, text, Level.PROBLEM, advice)
    return Finding(SECTION, name, text)


def check_openai(text: str | None) -> Finding:
    """The openai SDK against the range that is tested.

    Args:
        text: its version, None where it is not installed.
    """
    if text is None:
        return Finding(SECTION, "openai", "not installed", Level.NOTE)
    if TESTED_OPENAI[0] <= release(text)[0] < TESTED_OPENAI[1]:
        return Finding(SECTION, "openai", text)
    advice = f"tested are {TESTED_OPENAI[0]}.x up to, not including, {TESTED_OPENAI[1]}.0"
    return Finding(SECTION, "openai", text, Level.NOTE, advice)


def check_anthropic(text: str | None) -> Finding:
    """The anthropic SDK against the range that is tested.

    Args:
        text: its version, None where it is not installed.
    """
    if text is None:
        return Finding(SECTION, "anthropic", "not installed", Level.NOTE)
    first, end = TESTED_ANTHROPIC
    if first <= release(text) < end:
        return Finding(SECTION, "anthropic", text)
    advice = f"tested are {first[0]}.{first[1]} up to, not including, {end[0]}.0"
    return Finding(SECTION, "anthropic", text, Level.NOTE, advice)
