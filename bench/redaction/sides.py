"""The sides of the comparison, each a function from text and key to text.

A side is made fresh for every measurement, so that nothing it remembers helps it, and takes its text as a
program would hand it over: ours, LazyBridge and logfire see the key, the others have no place for one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from .gitleaks import Rules, UnavailableError

Redact = Callable[[str, str], str]
NAMES = ("spantally", "spantally+fast", "lazybridge", "logfire", "detect-secrets", "gitleaks")
PLAIN_KEY = "input.value"


def modules_of(distribution: str) -> set[str]:
    """The names that a distribution lets one import; none if it is not installed."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return set()
    tops = {path.parts[0].partition(".")[0] for path in files if path.suffix in (".py", ".so", ".pyd")}
    return {name for name in tops if name.isidentifier()}


def _fast_modules() -> list[str]:
    """The modules that the extra ``fast`` of spantally brings, if there is one and it is installed."""
    wanted = {
        re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        for line in metadata.requires("spantally") or ()
        if "extra" in line and "fast" in line.partition(";")[2]
    }
    return sorted(module for name in wanted for module in modules_of(name))


def _ours(*, fast: bool) -> Callable[[], Redact]:
    modules = _fast_modules()
    if fast and not modules:
        raise UnavailableError("spantally has no extra `fast` here")
    if not fast:
        # A name that is None in sys.modules cannot be imported: as if the extra were not installed.
        sys.modules.update(dict.fromkeys(modules))  # type: ignore[arg-type]
    import spantally

    def make() -> Redact:
        redactor = spantally.Redactor()

        def redact(text: str, key: str) -> str:
            return str(redactor.attributes({key: text}).get(key, "")) if key else redactor.text(text)

        return redact

    return make


def _lazybridge() -> Callable[[], Redact]:
    from lazybridge.session import redact_secrets

    return lambda: lambda text, key: str(redact_secrets({key or PLAIN_KEY: text})[key or PLAIN_KEY])


def _logfire() -> Callable[[], Redact]:
    from logfire._internal.scrubbing import Scrubber

    def make() -> Redact:
        scrubber = Scrubber(None)

        def redact(text: str, key: str) -> str:
            return str(scrubber.scrub_value(("attributes",), {key or PLAIN_KEY: text})[0][key or PLAIN_KEY])

        return redact

    return make


def _detect_secrets() -> Callable[[], Redact]:
    """Its plugins but the entropy ones, on each line as of a YAML file, where it finds most."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.core.scan import _process_line_based_plugins
    from detect_secrets.settings import get_settings

    plugins = [
        {"name": one.__name__}
        for one in get_mapping_from_secret_type_to_class().values()
        if "HighEntropy" not in one.__name__
    ]

    get_settings().configure_plugins(plugins)

    def redact(text: str, _key: str) -> str:
        lines = list(enumerate(text.split("\n"), 1))
        values = {one.secret_value for one in _process_line_based_plugins(lines, filename="text.yaml")}
        for value in sorted((one for one in values if one), key=len, reverse=True):
            text = text.replace(value, "[REDACTED]")
        return text

    return lambda: redact


def _gitleaks(path: str) -> Callable[[], Redact]:
    if not path:
        raise UnavailableError("no rules")
    rules = Rules(Path(path))
    return lambda: lambda text, _key: rules.redact(text)


def maker(name: str, gitleaks: str = "") -> Callable[[], Redact]:
    """What makes a fresh redactor of that side.

    Raises:
        UnavailableError: with the reason.
    """
    table: dict[str, Callable[[], Callable[[], Redact]]] = {
        "spantally": lambda: _ours(fast=False),
        "spantally+fast": lambda: _ours(fast=True),
        "lazybridge": _lazybridge,
        "logfire": _logfire,
        "detect-secrets": _detect_secrets,
        "gitleaks": lambda: _gitleaks(gitleaks),
    }
    try:
        return table[name]()
    except ImportError as error:
        raise UnavailableError(f"not installed ({error.name})") from error


def versions() -> dict[str, Any]:
    """The versions of what is compared."""
    found = {}
    for name in ("spantally", "lazybridge", "logfire", "detect-secrets"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found
