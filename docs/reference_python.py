"""The public names of a module as Markdown: signatures, docstrings, fields."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from reference_markup import cell, field_docs, markdown, summary, table
from reference_texts import JSON_TEXTS

import spantally

SOURCE: Final = Path(spantally.__file__).resolve().parent
WIDTH: Final = 100


def signature(owner: Any, name: str, *, method: bool = False) -> str:
    """A signature as one writes it, on several lines where it is long."""
    try:
        parameters = list(inspect.signature(owner).parameters.values())
        returned = inspect.signature(owner).return_annotation
    except (TypeError, ValueError):
        return name
    if method:
        parameters = parameters[1:]
    parts, star = [], False
    for index, one in enumerate(parameters):
        if one.kind is one.KEYWORD_ONLY and not star:
            star = True
            parts.append("*")
        text = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "") + one.name
        star = star or one.kind is one.VAR_POSITIONAL
        if one.annotation is not one.empty:
            text += f": {_annotation(one.annotation)}"
        if one.default is not one.empty:
            text += f" = {one.default!r}" if one.annotation is not one.empty else f"={one.default!r}"
        parts.append(text)
        follows = parameters[index + 1] if index + 1 < len(parameters) else None
        if one.kind is one.POSITIONAL_ONLY and (follows is None or follows.kind is not one.POSITIONAL_ONLY):
            parts.append("/")
    end = (
        ""
        if returned is inspect.Signature.empty or inspect.isclass(owner)
        else f" -> {_annotation(returned)}"
    )
    line = f"{name}({', '.join(parts)}){end}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){end}"


def _annotation(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", str(value))


_HOOKS: Final = frozenset({"make_patches", "on_start", "on_end", "handle_http"})
"""Methods that are called by others' machinery or ours, never by a user."""


_SECTIONS: Final = ("Args:", "Returns:", "Raises:", "Yields:", "Attributes:")


def docstring(owner: Any) -> str:
    """A Google-style docstring as Markdown: texts as they are, arguments and errors as lists."""
    lines: list[str] = []
    section = ""
    for line in (inspect.getdoc(owner) or "").splitlines():
        if line in _SECTIONS:
            section = line
            lines.append(f"*{line}*\n")
        elif not section or not line.strip():
            lines.append(line)
        elif not line.startswith("     ") and ": " in line and section not in ("Returns:", "Yields:"):
            what, _, text = line.strip().partition(": ")
            lines.append(f"- `{what}`: {text}")
        else:
            lines.append(("  " if section not in ("Returns:", "Yields:") else "") + line.strip())
    return markdown("\n".join(lines))


def api_section(module: ModuleType, title: str, text: str) -> Iterator[str]:
    """The public names of a module."""
    yield f"## {title}"
    yield text
    for name in module.__all__:
        value = getattr(module, name)
        heading = f"{module.__name__}.{name}"
        yield f"### {heading}"
        if name == "__version__":
            yield "The version, as text."
        elif inspect.isclass(value):
            yield from _class(heading, value)
        elif inspect.isfunction(value):
            yield f"```python\n{signature(value, heading)}\n```"
            yield docstring(value)
        else:
            yield alias_doc(name)


def alias_doc(name: str) -> str:
    """The text beneath a type alias, wherever in the package it stands."""
    for path in sorted(SOURCE.rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in itertools.pairwise(body):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and node.target.id == name
            ):
                text = after.value if isinstance(after, ast.Expr) else None
                alias = f"`{ast.unparse(node.value)}`. " if node.value is not None else ""
                return alias + (markdown(str(text.value)) if isinstance(text, ast.Constant) else "")
    return ""


_PARTS = {"Session": "spantally.api.session_", "Ledger": "spantally.queries."}
"""Where the parts of a class are that have no name of their own."""


def _class(heading: str, owner: type) -> Iterator[str]:
    if issubclass(owner, Exception):
        bases = ", ".join(base.__name__ for base in owner.__bases__)
        yield f"An exception ({bases})."
        yield docstring(owner)
        return
    protocol = bool(getattr(owner, "_is_protocol", False))
    dataclass = dataclasses.is_dataclass(owner) or hasattr(owner, "_fields")
    if not protocol and not dataclass and owner.__init__ is not object.__init__:
        yield f"```python\n{signature(owner, heading)}\n```"
    yield docstring(owner)
    own = vars(owner).get("__init__")
    if not dataclass and not protocol and "Args:" in (inspect.getdoc(own) or ""):
        yield docstring(own).partition("*Args:*")[2].strip()
    if supported := getattr(owner, "supported", ()):
        yield "Tested range: " + ", ".join(f"`{one}`" for one in supported) + "."
    rows: list[tuple[str, ...]] = []
    if dataclass:
        texts = field_docs(owner)
        fields = (
            owner._fields if hasattr(owner, "_fields") else [one.name for one in dataclasses.fields(owner)]
        )
        rows += [(f"`{name}`", cell(texts.get(name) or JSON_TEXTS.get(name, ""))) for name in fields]
    members: list[str] = []
    listed: dict[str, Any] = {}
    for one in owner.__mro__:  # what a class has from parts of ours that have no name of their own, too
        if one is owner or one.__module__.startswith(_PARTS.get(owner.__name__, "-")):
            listed = {**listed, **{key: value for key, value in vars(one).items() if key not in listed}}
    for name, value in listed.items():
        if name.startswith("_") or name in _HOOKS:
            continue
        if isinstance(value, property):
            rows.append((f"`{name}`", summary(value)))
        elif inspect.isfunction(value):
            members.append(f"```python\n.{signature(value, name, method=True)}\n```\n\n{docstring(value)}")
    if rows:
        yield table(("field", "meaning"), rows)
    yield from members
