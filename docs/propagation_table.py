"""The table of docs/propagation.md, from what the tests of the boundaries have answered.

    python docs/propagation_table.py DIR          # exit code 1 if the page does not say what they answered
    python docs/propagation_table.py --write DIR  # write it

DIR holds one file of JSON lines for each interpreter, as BOUNDARIES_OUT=DIR makes them; the section
``propagation`` of ``.ci/run`` does all of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

PAGE: Final = Path(__file__).resolve().parent / "propagation.md"
BEGIN: Final = "<!-- boundaries -->\n"
END: Final = "<!-- /boundaries -->"
QUESTIONS: Final = ("kept", "clean", "parent")
HEAD: Final = "| {} | kept | nothing left | parent right | what you do |\n|---|---|---|---|---|\n"


def read(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Answers by row and interpreter, in the order of the tests."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            answer = json.loads(line)
            found.setdefault(answer["name"], {})[file.stem] = answer
    return found


def cell(answers: dict[str, dict[str, Any]], question: str) -> str:
    """``yes`` where every interpreter says so, else from which one on."""
    versions = sorted(answers, key=lambda version: int(version.partition(".")[2]))
    yes = [version for version in versions if answers[version][question]]
    if yes == versions:
        return "yes"
    if yes and yes == versions[-len(yes) :]:
        return f"from {yes[0]}"
    return "**no**"


def render(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The tables, one for each group."""
    groups: dict[str, list[str]] = {name: [] for name in ("One process", "Other processes")}
    for name, answers in found.items():
        one = next(iter(answers.values()))
        cells = [cell(answers, question) for question in QUESTIONS]
        groups.setdefault(one["group"], []).append(f"| {name} | {' | '.join(cells)} | {one['how']} |\n")
    return "\n" + "\n".join(HEAD.format(group) + "".join(rows) for group, rows in groups.items()) + "\n"


def main(arguments: list[str]) -> int:
    """Write or compare."""
    *options, folder = arguments
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = before + BEGIN + render(read(Path(folder))) + END + after
    if "--write" in options:
        PAGE.write_text(made, encoding="utf-8")
    elif made != page:
        print("docs/propagation.md does not say what the boundaries answered; PROPAGATION_WRITE=1 writes it")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
