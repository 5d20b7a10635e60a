"""Docstrings, tables and field texts as Markdown."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from typing import Any, Final

_ROLE: Final = re.compile(r":[a-z]+:`~?(?:[\w.]+\.)?([\w]+)`")


def markdown(text: str) -> str:
    """A docstring's text as Markdown."""
    return _ROLE.sub(r"`\1`", text).replace("``", "`").strip()


def cell(text: str) -> str:
    """A text as a cell of a table."""
    return " ".join(markdown(text).split()).replace("|", "\\|")


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def summary(owner: Any) -> str:
    """The first paragraph of a docstring."""
    return cell((inspect.getdoc(owner) or "").split("\n\n")[0])


def field_docs(*owners: type) -> dict[str, str]:
    """The texts beneath the fields of classes; the first owner that has one wins."""
    found: dict[str, str] = {}
    for owner in owners:
        body = ast.parse(inspect.getsource(owner)).body[0]
        assert isinstance(body, ast.ClassDef)
        for node, after in itertools.pairwise(body.body):
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(node, ast.AnnAssign) and isinstance(text, ast.Constant):
                assert isinstance(node.target, ast.Name)
                found.setdefault(node.target.id, inspect.cleandoc(str(text.value)))
    return found
