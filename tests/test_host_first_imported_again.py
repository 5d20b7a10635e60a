"""Modules that are imported again, as tests and notebooks do: what is new in them is patched, too."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import spantally
from program_kit import Programs
from spantally.ground import guard
from spantally.instrumentors.patching import Patch, PatchSet
from spantally.testing import Reply, ScriptedServer

NAME = "made_for_imports_again"


@pytest.fixture
def patches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PatchSet]:
    """A module of the program, and a patch that adds a hundred to what a function and a method give."""
    (tmp_path / f"{NAME}.py").write_text(
        "class Base:\n    def inherited(self): return 3\n"
        "def function(): return 1\nclass Class(Base):\n    def method(self): return 2\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def more(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return 100 + wrapped(*args, **kwargs)

    places = ("function", "Class.method", "Class.inherited")
    made = PatchSet("made", [Patch(NAME, place, more) for place in places])
    guard.reset()
    before = list(sys.meta_path)
    yield made
    made.disable()
    assert [one for one in sys.meta_path if one not in before and "wrapt" not in repr(one)] == []
    sys.modules.pop(NAME, None)
    assert not guard.failures
    guard.reset()


def _answers(module: Any) -> list[int]:
    return [module.function(), module.Class().method(), module.Class().inherited()]


def _imported() -> Any:
    return importlib.import_module(NAME)


@pytest.mark.parametrize("imported_first", [True, False])
def test_a_purged_module_is_patched_when_it_is_imported_again(
    patches: PatchSet, imported_first: bool
) -> None:
    """Whether it was there before us or not; what somebody has kept of the old one is taken back, too."""
    if imported_first:
        _imported()
    patches.enable()
    kept = [_imported()]
    for _ in range(3):
        del sys.modules[NAME]
        kept.append(_imported())
    assert [_answers(one) for one in kept] == [[101, 102, 103]] * 4
    assert len(patches.applied) == 3
    patches.disable()
    assert [_answers(one) for one in kept] == [[1, 2, 3]] * 4
    for one in kept:
        assert "inherited" not in vars(one.Class)
        assert not hasattr(one.Class.method, "__wrapped__")


def test_a_reloaded_module_is_patched_once(patches: PatchSet) -> None:
    """The module stays the same object, and has its own loader."""
    patches.enable()
    module = _imported()
    loader = type(module.__loader__)
    for _ in range(2):
        again: Any = importlib.reload(module)
        assert again is module
        assert _answers(module) == [101, 102, 103]
        assert type(module.__loader__) is type(module.__spec__.loader) is loader
    patches.disable()
    assert _answers(module) == [1, 2, 3]


def test_a_module_that_was_put_back_stays_patched(patches: PatchSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """monkeypatch takes a module out of sys.modules for one test, and puts it back."""
    patches.enable()
    module = _imported()
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, NAME)
        assert _answers(_imported()) == [101, 102, 103]
    assert _imported() is module
    assert _answers(module) == [101, 102, 103]
    patches.disable()
    assert _answers(module) == [1, 2, 3]


def test_a_module_purged_while_nothing_was_patched(patches: PatchSet) -> None:
    """Between two instrumentations: the next import is patched, too."""
    patches.enable()
    _imported()
    patches.disable()
    del sys.modules[NAME]
    patches.enable()
    assert _answers(_imported()) == [101, 102, 103]


def test_what_raises_at_an_import_is_the_modules_own(patches: PatchSet, tmp_path: Path) -> None:
    """A module that fails when it is imported again, or is not there any more."""
    patches.enable()
    _imported()
    file = tmp_path / f"{NAME}.py"
    source = file.read_text()
    del sys.modules[NAME]
    file.write_text("raise ZeroDivisionError('its own, and longer than it was before, so it is compiled')")
    importlib.invalidate_caches()
    with pytest.raises(ZeroDivisionError):
        _imported()
    file.unlink()
    importlib.invalidate_caches()
    with pytest.raises(ModuleNotFoundError):
        _imported()
    file.write_text(source)
    importlib.invalidate_caches()
    assert _answers(_imported()) == [101, 102, 103]


class _Odd(ModuleType):
    """A module whose loader nobody may set."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "__loader__" and hasattr(self, "__loader__"):
            raise RuntimeError("a module of its own mind")
        super().__setattr__(name, value)


class _Loader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        made = _Odd(spec.name)
        vars(made).pop("__loader__", None)
        return made

    def exec_module(self, module: ModuleType) -> None:
        exec("def function(): return 1\nclass Class:\n def method(self): return 2\n", vars(module))


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return importlib.machinery.ModuleSpec(name, _Loader()) if name == NAME else None


@pytest.mark.parametrize("target", ["loader", "spec"])
def test_a_failure_of_ours_leaves_the_import_alone(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is imported, patched or not, and we know of the failure."""
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, _Finder()])
    made = PatchSet("made", [Patch(NAME, "function", lambda wrapped, *_: 7)])
    guard.reset()
    try:
        module = _imported()
        made.enable()
        assert module.function() == 7
        del sys.modules[NAME]
        if target == "spec":
            monkeypatch.setattr("spantally.instrumentors.again._Loader.__init__", None)
        assert _imported().function() == (1 if target == "spec" else 7)
        assert {where for where, _ in guard.failures} == {f"again.{target}"}
    finally:
        made.disable()
        sys.modules.pop(NAME, None)
        guard.reset()


def test_the_sdk_is_seen_after_it_was_purged(tmp_path: Path) -> None:
    """As a test suite purges it: calls of the SDK that was imported again are tallied."""
    with ScriptedServer(Reply(text="fine")) as server:
        programs = Programs(tmp_path, server.base_url)
        done = programs.run(
            """
            ask(client())
            first, old = openai, dict(sys.modules)
            for name in [name for name in sys.modules if name.split(".")[0] == "openai"]:
                del sys.modules[name]
            import openai
            assert openai is not first
            ask(client())
            sys.modules.update(old)
            openai = first
            ask(client())
            spantally.uninstrument()
            ask(client())
            """
        )
        assert done.returncode == 0, done.stderr
        with spantally.open_ledger(str(programs.ledger)) as ledger:
            assert len(ledger.calls()) == 3
