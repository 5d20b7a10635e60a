"""The pages for users of four other systems show the programs that the tests run, all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from migration_kit import EXAMPLES

PAGES = sorted((EXAMPLES.parent / "docs").glob("from-*.md"))
BLOCK = re.compile(r"^```python examples/(from_\w+)/(\w+)\.py\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown(source: str) -> str:
    """A program as a page shows it: without its docstring, which the page tells in its own words."""
    return re.sub(r'\A""".*?"""\n\n(?:from __future__ import annotations\n\n)?', "", source, flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_each_program_of_its_folder_as_it_is(page: Path) -> None:
    """What a page quotes is the file, letter by letter, and no program is left out or told twice."""
    folder = EXAMPLES / page.stem.replace("-", "_")
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert {where for where, _, _ in blocks} == {folder.name}
    assert sorted(name for _, name, _ in blocks) == sorted(path.stem for path in folder.glob("*.py"))
    for _, name, text in blocks:
        assert text == shown((folder / f"{name}.py").read_text(encoding="utf-8")), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_program_is_run_by_a_test(page: Path) -> None:
    """The test of a system runs every program of its folder."""
    folder = EXAMPLES / page.stem.replace("-", "_")
    tests = "\n".join(
        path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*migration*.py")
    )
    for program in folder.glob("*.py"):
        assert re.search(rf'\.run\("{program.stem}"', tests), program


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_ends_with_what_stands_for_what(page: Path) -> None:
    """The table of abilities is there, each with something beside it."""
    _, _, table = page.read_text(encoding="utf-8").rpartition("\n| there | here |\n")
    rows = [line for line in table.splitlines() if line.startswith("|")][1:]
    assert len(rows) >= 8
    assert all(cell.strip() for row in rows for cell in row.strip("|").split(" | ")), page
