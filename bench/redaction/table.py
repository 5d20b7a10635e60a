"""The results as a table beside the goals."""

from __future__ import annotations

import math
from typing import Any

OURS = ("spantally", "spantally+fast")


def _mark(reached: bool) -> str:
    return "yes" if reached else "NO"


def _percent(value: float, places: int = 1) -> str:
    return "-" if math.isnan(value) else f"{value * 100:.{places}f} %"


def text(results: dict[str, Any]) -> str:
    """All of it."""
    about = results["machine"]
    lines = [
        f"{about['python']} on {about['system']}",
        f"{about['processor']}, {about['cores']} cores, load at the start {about['load']}",
        ", ".join(f"{name} {version}" for name, version in results["versions"].items()),
        f"size {results['size']}, seed {results['seed']}",
    ]
    lines += [f"not here: {name}: {reason}" for name, reason in results["missing"].items()]
    for label, found in results["corpora"].items():
        lines += ["", *_found(label, found)]
    for title, part in (
        ("benign", _benign),
        ("speed_real", _speed_real),
        ("speed", _speed_dense),
        ("worst", _worst),
        ("history", _history),
        ("imports", _imports),
    ):
        if results.get(title):
            lines += ["", *part(results[title])]
    return "\n".join([*lines, "", *_goals(results)])


def _found(label: str, found: dict[str, Any]) -> list[str]:
    first = next((one for one in found.values() if "recall" in one), None)
    if first is None:
        return [f"corpus {label}: no side answered"]
    kinds = list(first["recall_by_kind"])
    lines = [
        f"Corpus {label}: {first['secrets']} secrets, {first['negatives']} hard negatives",
        f"{'':16}{'recall':>9}"
        + "".join(f"{kind:>12}" for kind in kinds)
        + f"{'missed':>8}{'negatives touched':>22}{'benign lost':>13}",
    ]
    for name, one in found.items():
        if "recall" not in one:
            lines.append(f"{name:16}{one.get('failed', '?')}")
            continue
        touched = f"{_percent(one['negatives_touched'])} ({one['negatives_touched_rows']})"
        lines.append(
            f"{name:16}{_percent(one['recall']):>9}"
            + "".join(f"{_percent(one['recall_by_kind'].get(kind, math.nan)):>12}" for kind in kinds)
            + f"{one['missed']:>8}{touched:>22}{_percent(one['benign_lost'], 3):>13}"
        )
    for name in OURS:
        wrong = found.get(name, {}).get("wrong", [])[:24]
        if not math.isnan(found.get(name, {}).get("recall_aside", math.nan)):
            aside, listed = found[name]["recall_aside"], found[name]["recall_listed"]
            lines.append(
                f"{name}: recall {_percent(aside)} on the families and contexts kept aside, "
                f"{_percent(listed)} on those whose misses are listed"
            )
        if wrong:
            shown = ", ".join(f"{what} ({count})" for what, count in wrong)
            lines.append(f"most often wrong with {name}: {shown}")
    return lines


def _benign(found: dict[str, Any]) -> list[str]:
    first = next((one for one in found.values() if "share" in one), None)
    if first is None:
        return ["Real text: no side answered"]
    kinds = list(first["kinds"])
    lines = [
        f"Real text without secrets, {first['characters']:,} characters: {first['read']}",
        f"{'':16}{'lost':>10}{'tags':>7}" + "".join(f"{kind:>15}" for kind in kinds),
    ]
    for name, one in found.items():
        if "share" not in one:
            lines.append(f"{name:16}{one.get('failed', '?')}")
            continue
        shares = [one["kinds"][kind]["lost"] / max(1, one["kinds"][kind]["characters"]) for kind in kinds]
        lines.append(
            f"{name:16}{_percent(one['share'], 3):>10}{one['tags']:>7}"
            + "".join(f"{_percent(share, 3):>15}" for share in shares)
        )
    return lines


def _speed_real(found: dict[str, Any]) -> list[str]:
    return _speed(found, "real text")


def _speed_dense(found: dict[str, Any]) -> list[str]:
    return _speed(found, "dense text, a name that promises a secret in every other line")


def _speed(found: dict[str, Any], label: str) -> list[str]:
    sizes = sorted({int(size) for one in found.values() for size in one})
    lines = [
        f"Megabytes per CPU second on new {label}",
        "median of the rounds, sides interleaved (times LazyBridge)",
        f"{'':16}" + "".join(f"{size // 1000:>17} KB" for size in sizes),
    ]
    peer = found.get("lazybridge", {})
    for name, one in found.items():
        cells = []
        for size in sizes:
            if size not in one:
                cells.append(f"{'-':>20}")
                continue
            rate = one[size]["median"]
            ratio = f" ({rate / peer[size]['median']:.2f}x)" if size in peer else ""
            cells.append(f"{rate:.3g}{ratio}".rjust(20))
        lines.append(f"{name:16}" + "".join(cells))
    return lines


def _worst(found: dict[str, Any]) -> list[str]:
    lines = []
    for name, inputs in found.items():
        timed = sorted(((one.get("seconds", math.inf), label) for label, one in inputs.items()), reverse=True)
        gave_up = [label for label, one in inputs.items() if one.get("gave_up")]
        lines.append(f"Adversarial megabytes with {name}: {len(inputs)} inputs, the slowest in CPU seconds")
        lines += [f"  {seconds:8.3f}  {label}" for seconds, label in timed[:8]]
        lines.append(
            f"  {len(gave_up)} of them replaced whole because time ran out {', '.join(gave_up)[:400]}"
        )
        grown = max((one.get("grown", 0.0), label) for label, one in inputs.items())
        lines.append(f"  the output is at most {grown[0]:.2f} times the input ({grown[1]})")
    return lines


def _history(found: dict[str, Any]) -> list[str]:
    return [
        "A conversation seen before against a new one",
        *(f"{name:16}{one['ratio']:8.0f}x" for name, one in found.items()),
    ]


def _imports(found: dict[str, float]) -> list[str]:
    cpu = f"median {found['median']:.1f} ms CPU, of which {found['package']:.1f} ms `import spantally`"
    wall = f"{found['wall']:.1f} ms by the clock, fastest {found['fastest_wall']:.1f} ms"
    return [f"import spantally.redaction in a fresh process: {cpu}; {wall}"]


def goals(results: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Each goal: what, wanted, got, reached."""
    rows: list[tuple[str, str, str, bool]] = []
    for name in OURS:
        for label, found in results["corpora"].items():
            rows += _corpus_goals(name, label, found.get(name, {}))
        share = results.get("benign", {}).get(name, {}).get("share")
        if share is not None:
            rows.append(
                (
                    f"{name}: benign characters lost on real text",
                    "<= 0.1 %",
                    _percent(share, 3),
                    share <= 0.001,
                )
            )
        rows += _speed_goals(name, "real text", results.get("speed_real", {}))
        rows += _speed_goals(name, "dense text", results.get("speed", {}))
        ratio = results.get("history", {}).get(name, {}).get("ratio")
        if ratio is not None:
            rows.append((f"{name}: repeated history", ">= 50x", f"{ratio:.0f}x", ratio >= 50))
        inputs = results.get("worst", {}).get(name)
        if inputs:
            slowest = max(one.get("seconds", math.inf) for one in inputs.values())
            rows.append(
                (f"{name}: slowest adversarial megabyte", "<= 0.5 s", f"{slowest:.2f} s", slowest <= 0.5)
            )
    if results.get("imports"):
        took = results["imports"]["median"]
        rows.append(("import spantally.redaction", "<= 20 ms", f"{took:.1f} ms", took <= 20))
    return rows


def _corpus_goals(name: str, label: str, one: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    if "recall" not in one:
        return []
    rows = [(f"{name}: recall on {label}", ">= 97 %", _percent(one["recall"]), one["recall"] >= 0.97)]
    if "structural" in one["recall_by_kind"]:
        structural = one["recall_by_kind"]["structural"]
        rows.append(
            (f"{name}: structural recall on {label}", ">= 99 %", _percent(structural), structural >= 0.99)
        )
    touched = one["negatives_touched"]
    rows.append((f"{name}: negatives touched on {label}", "<= 0.5 %", _percent(touched, 2), touched <= 0.005))
    return rows


def _speed_goals(name: str, label: str, speed: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    peer, ours = speed.get("lazybridge"), speed.get(name)
    if not peer or not ours:
        return []
    wanted = 4 if name.endswith("+fast") else 2
    ratios = {size: ours[size]["median"] / peer[size]["median"] for size in ours if size in peer}
    return [
        (
            f"{name}: {size // 1000} KB of {label} against LazyBridge",
            f">= {wanted}x",
            f"{ratio:.2f}x",
            ratio >= wanted,
        )
        for size, ratio in ratios.items()
    ]


def _goals(results: dict[str, Any]) -> list[str]:
    return [
        f"{'goal':64}{'wanted':>10}{'got':>11}  reached",
        *(
            f"{what:64}{wanted:>10}{got:>11}  {_mark(reached)}"
            for what, wanted, got, reached in goals(results)
        ),
    ]
