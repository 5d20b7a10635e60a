"""Say which OpenTelemetry packages an environment resolved to, and fail where one is older than we allow.

Without lower bounds a resolver meets a core that is newer than the newest distro and falls back to a distro
of 2024 that cannot start; this looks at what was really installed.
"""

from __future__ import annotations

import sys
from importlib.metadata import distributions

OLDEST = {"api": (1, 41), "sdk": (1, 41), "instrumentation": (0, 62), "distro": (0, 62), "exporter": (1, 41)}


def main() -> int:
    found: dict[str, str] = {}
    for item in distributions():
        name = (item.metadata["Name"] or "").lower().replace("_", "-")
        if name.startswith("opentelemetry-"):
            found[name.removeprefix("opentelemetry-")] = item.version
    if not {"api", "sdk", "instrumentation"} <= set(found):
        print(f"OpenTelemetry is not complete: {found}", file=sys.stderr)
        return 1
    print(", ".join(f"{name} {version}" for name, version in sorted(found.items()) if name in OLDEST))
    old = []
    for name, version in found.items():
        bound = OLDEST.get("exporter" if name.startswith("exporter-otlp-proto") else name)
        if bound and _release(version) < bound:
            old.append(f"{name} {version}")
    if old:
        print(f"older than allowed: {', '.join(old)}", file=sys.stderr)
    return 1 if old else 0


def _release(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor.split("b")[0].split("rc")[0])


if __name__ == "__main__":
    sys.exit(main())
