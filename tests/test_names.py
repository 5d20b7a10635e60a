"""The public names: what is promised exists, is documented, and nothing else slips out."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import spantally

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "spantally"


def packages() -> list[str]:
    """Every package of ours whose ``__init__`` states its names."""
    return [
        ".".join(("spantally", *path.parent.relative_to(SOURCE).parts))
        for path in sorted(SOURCE.rglob("__init__.py"))
        if "__all__" in path.read_text(encoding="utf-8")
    ]


def bound_names(module: ModuleType) -> set[str]:
    """Names that a package's file imports from its own modules, those for typing included."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    body = list(tree.body)
    for node in tree.body:
        if isinstance(node, ast.If):
            body += node.body
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{module.__name__}."):
            found.update(alias.asname or alias.name for alias in node.names)
    return found


def is_face(module: ModuleType) -> bool:
    """True for a package whose file only hands names on: no function or class of its own."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    own = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return not [name for name in own if not name.startswith("__")]


def test_all_is_sorted_and_unique() -> None:
    """`__all__` stands in order, each name once."""
    assert spantally.__all__ == sorted(set(spantally.__all__))


@pytest.mark.parametrize("name", spantally.__all__)
def test_each_name_can_be_imported(name: str) -> None:
    """Every promised name is there."""
    assert getattr(spantally, name) is not None


@pytest.mark.parametrize("name", spantally.__all__)
def test_each_name_is_documented(name: str) -> None:
    """Every promised name has a section in the reference, with a text under it."""
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    section = text.partition(f"### spantally.{name}\n")[2].partition("\n### ")[0]
    assert any(line and not line.startswith("```") for line in section.splitlines()), name


@pytest.mark.parametrize("name", spantally.__all__)
def test_each_name_explains_itself(name: str) -> None:
    """Every promised function and class has a docstring."""
    value = getattr(spantally, name)
    assert name == "__version__" or (inspect.getdoc(value) or "").strip()


def test_dir_is_what_is_promised() -> None:
    """`dir()` shows the public names and no machinery."""
    assert dir(spantally) == sorted(spantally.__all__)


def test_star_import_works() -> None:
    """`from spantally import *` gives every name, the lazily loaded ones too."""
    seen: dict[str, object] = {}
    exec("from spantally import *", seen)
    assert set(spantally.__all__) <= set(seen)


def test_unknown_names_raise() -> None:
    """A name that does not exist is an AttributeError that names it."""
    with pytest.raises(AttributeError, match="no attribute 'sesion'"):
        _ = spantally.sesion


def test_lazy_names_load_nothing_before_their_use() -> None:
    """`import spantally` leaves the lazy modules, price data and any SDK unloaded; using a name loads it."""
    program = (
        "import sys, spantally\n"
        "lazy = set(spantally._LAZY.values())\n"
        "own = lazy - {'spantally.otel.span_processor'}\n"
        "early = sorted(name for name in (*own, 'genai_prices', 'openai', 'click', 'rich', 'pydantic')\n"
        "               if name in sys.modules)\n"
        "missing = [name for name in spantally._LAZY if not hasattr(spantally, name)]\n"
        "late = sorted(name for name in lazy if name not in sys.modules)\n"
        "print(early, missing, late)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[] [] []", "")


@pytest.mark.parametrize("name", packages())
def test_rooms_state_what_they_bind(name: str) -> None:
    """In every package, the names of `__all__` resolve, each stands once, and a face hands on just these."""
    module = importlib.import_module(name)
    stated = list(module.__all__)
    assert len(stated) == len(set(stated))
    assert [one for one in stated if not hasattr(module, one)] == []
    assert not is_face(module) or bound_names(module) == {one for one in stated if one != "__version__"}
