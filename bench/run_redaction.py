"""Measure redaction: what is found, what else is lost, how fast, beside others and beside the goals.

``python bench/run_redaction.py [--corpus FILE] [--size once|smoke|full] [--json FILE]``. README.md beside
this file says how to read it. No secret is printed; what was missed is written to files under ``--out``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import report
from redaction import corpus, gitleaks, measure, sides, table

PARTS = ("corpus", "benign", "speed", "worst", "history", "import")


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--corpus", action="append", default=[], help="also score this file of JSON lines (.gz or not)"
    )
    parser.add_argument("--size", choices=sorted(measure.PLANS), default="full")
    parser.add_argument("--seed", type=int, default=20260301)
    parser.add_argument("--rows", type=int, default=0, help="rows of the generated corpus")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--sides", nargs="*", choices=sides.NAMES, default=sides.NAMES)
    parser.add_argument("--gitleaks", default="", help="a gitleaks.toml, instead of fetching it")
    parser.add_argument(
        "--list-all",
        action="store_true",
        help="list misses in the third of the families that is kept aside, too",
    )
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--dump", type=Path, help="write the generated corpus there (.jsonl.gz) and end")
    parser.add_argument("--out", type=Path, default=Path("build/bench-redaction"))
    return parser.parse_args()


def rules(options: argparse.Namespace) -> tuple[str, str]:
    """The file of gitleaks' rules and its version; no file where it is not wanted or not to be had."""
    if "gitleaks" not in options.sides:
        return "", "not asked for"
    try:
        path, version = gitleaks.obtain(options.gitleaks)
    except (gitleaks.UnavailableError, OSError, ValueError) as reason:
        return "", f"absent: {reason}"
    return str(path), version


def run(options: argparse.Namespace, plan: measure.Plan) -> dict[str, Any]:
    """All that was asked for."""
    path, version = rules(options)
    there, missing = measure.start(tuple(options.sides), path)
    if "gitleaks" in missing:
        missing["gitleaks"] = version
    ours = [side for side in there if side.name in table.OURS]
    results: dict[str, Any] = {
        "size": options.size,
        "seed": options.seed,
        "machine": report.machine(),
        "missing": missing,
        "corpora": {},
        "versions": {**sides.versions(), "gitleaks rules": version},
    }
    if "corpus" in options.only:
        results["corpora"]["generated"] = measure.found(
            there, "", options.seed, plan, options.out, every=options.list_all
        )
        for one in options.corpus:
            label = Path(one).name.split(".")[0]
            results["corpora"][label] = measure.found(
                there, str(Path(one).resolve()), options.seed, plan, options.out
            )
    if "benign" in options.only:
        results["benign"] = measure.real_text(there, options.seed, plan, options.out)
    if "speed" in options.only:
        results["speed_real"] = measure.speed(there, options.seed, plan, real=True)
        results["speed"] = measure.speed(there, options.seed, plan, real=False)
    if "worst" in options.only:
        results["worst"] = measure.worst(ours, options.seed, plan)
    if "history" in options.only:
        results["history"] = measure.history(ours, options.seed, plan)
    if "import" in options.only:
        results["imports"] = measure.imports(plan)
    for side in there:
        side.close()
    return results


def main() -> int:
    """Measure, print, write."""
    options = arguments()
    plan = measure.PLANS[options.size]
    if options.rows:
        plan = plan._replace(rows=options.rows)
    if options.dump:
        corpus.dump(corpus.generate(options.seed, plan.rows), options.dump)
        return 0
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    results = run(options, plan)
    text = table.text(results)
    print(text)
    (options.out / "results.txt").write_text(text + "\n")
    (options.json or options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nrows that were missed or wrongly touched: {options.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
