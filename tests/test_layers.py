"""The direction of imports: the house of CONTRIBUTING.md, room by room, holds in every file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "spantally"
FACE = "__init__.py"
"""The package's own file: the public names."""


class Import(NamedTuple):
    """One import of ours by ours."""

    importer: str
    """Dotted name of the importing module."""
    target: str
    """Dotted name of the module imported."""
    line: int
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def _name_of(path: Path) -> str:
    parts = ["spantally", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    return {_name_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


@cache
def room_of(module: str) -> str:
    """The folder under src/spantally that a module lies in; a file beside the folders is its own room."""
    parts = module.split(".")
    if len(parts) == 1:
        return FACE
    alone = f"{'/'.join(parts[1:])}.py"
    if len(parts) > 2 and alone in table():
        return alone  # a file that is a room within its folder
    return f"{parts[1]}.py" if (SOURCE / f"{parts[1]}.py").is_file() else parts[1]


def _typing_lines(tree: ast.Module) -> set[int]:
    """Lines beneath ``if TYPE_CHECKING:``."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for below in node.body:
                found.update(range(below.lineno, (below.end_lineno or below.lineno) + 1))
    return found


def _targets(node: ast.AST) -> Iterator[str]:
    """The modules of ours that a node imports, by statement or by name in a text."""
    known = modules()
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "spantally")
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        assert node.level == 0, f"line {node.lineno}: relative imports hide the direction; name the module"
        if base.split(".")[0] == "spantally":
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield submodule if submodule in known else base
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        # A module named for import_module(), runpy or an interpreter's -m.
        yield from {node.value} & known.keys() - {"spantally"}


@cache
def imports() -> tuple[Import, ...]:
    """Every import of ours by ours, those inside functions included."""
    found = []
    for name, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typing_lines = _typing_lines(tree)
        for node in ast.walk(tree):
            for target in _targets(node):
                line = getattr(node, "lineno", 0)
                found.append(Import(name, target, line, line in typing_lines))
    return tuple(found)


@cache
def table() -> dict[str, frozenset[str]]:
    """The layer table of CONTRIBUTING.md: what each folder may import."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = iter(text.splitlines())
    header = next(line for line in lines if re.match(r"\|\s*layer\s*\|", line))
    columns = [cell.strip() for cell in header.strip("|").split("|")]
    assert columns == ["layer", "folder", "may import"]
    next(lines)
    rows: dict[str, frozenset[str]] = {}
    for line in lines:
        if not line.startswith("|"):
            break
        _, folder, allowed = (cell.strip() for cell in line.strip("|").split("|"))
        rows[folder.strip("`").rstrip("/")] = frozenset(re.findall(r"`([a-z_.]+)`", allowed))
    return rows


def test_the_table_names_every_room() -> None:
    """Each folder of the package has a line in the table, and each line a folder."""
    rooms = {path.parent.name for path in SOURCE.glob("*/*.py")}
    rooms |= {path.name for path in SOURCE.glob("*.py")}
    rooms |= {name for name in table() if "/" in name and (SOURCE / name).is_file()}
    assert set(table()) == rooms
    assert {name for allowed in table().values() for name in allowed} <= rooms


def test_the_table_has_no_circles() -> None:
    """The allowed directions themselves run one way."""
    order = list(TopologicalSorter(table()).static_order())
    assert order[0] == "ground"


@pytest.mark.parametrize("room", sorted({room_of(name) for name in modules()}))
def test_imports_run_downward(room: str) -> None:
    """No file of a room imports a room that the table does not allow it."""
    allowed = table()[room] | {room}
    strays = [
        str(one) for one in imports() if room_of(one.importer) == room and room_of(one.target) not in allowed
    ]
    assert strays == []


def test_what_is_imported_exists() -> None:
    """Every import of ours names a module that is there."""
    assert [str(one) for one in imports() if one.target not in modules()] == []


@pytest.mark.parametrize("room", sorted({room_of(name) for name in modules()}))
def test_no_circles_inside_a_room(room: str) -> None:
    """Modules of one room import each other one way, inside functions too."""
    graph: dict[str, set[str]] = {}
    for one in imports():
        inside = room_of(one.importer) == room == room_of(one.target) and one.importer != one.target
        if inside and not one.typing_only:
            graph.setdefault(one.importer, set()).add(one.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_walker_sees_every_form_of_import() -> None:
    """Imports at the top, inside functions, of submodules and by name are all met."""
    text = (
        "import spantally.ground.money\n"
        "from spantally.ground import ids\n"
        "from spantally.ground.guard import guard\n"
        "def late():\n"
        "    from spantally.api.runtime import flush\n"
        "    import_module('spantally.cli.main')\n"
    )
    seen = [target for node in ast.walk(ast.parse(text)) for target in _targets(node)]
    assert sorted(seen) == [
        "spantally.api.runtime",
        "spantally.cli.main",
        "spantally.ground.guard",
        "spantally.ground.ids",
        "spantally.ground.money",
    ]
