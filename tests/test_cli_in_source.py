"""What doctor reads of modules that nobody has imported."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spantally.cli.checks.in_source import all_defined
from spantally.instrumentors.openai.socket_places import socket_places

PARTS = {
    "__init__.py": "",
    "inner/__init__.py": "raise RuntimeError('imported')\n",
    "inner/base.py": "class Base:\n    async def send(self): ...\n    close = send\n",
    "inner/late.py": (
        "from ..inner.base import Base as _Base\n"
        "from elsewhere import Unknown\n"
        "class Plain:\n"
        "    def enter(self): ...\n"
        "class Connection(_Base):\n"
        "    def receive(self): ...\n"
        "class Again(Connection): ...\n"
        "class Loop(Loop): ...\n"
        "class Foreign(Unknown): ...\n"
        "VALUE = 1\n"
    ),
    "inner/broken.py": "class (:\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of which nothing but the top is imported."""
    for name, text in PARTS.items():
        path = tmp_path / "in_source_parts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("in_source_parts")
    yield "in_source_parts"
    for name in [name for name in sys.modules if name.startswith("in_source_parts")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("module", "path", "seen"),
    [
        ("late", "Plain.enter", True),
        ("late", "Plain.leave", False),
        ("late", "Connection.receive", True),
        ("late", "Connection.send", True),
        ("late", "Again.close", True),
        ("late", "Again.open", False),
        ("late", "Loop.close", False),
        ("late", "Foreign.close", False),
        ("late", "VALUE", True),
        ("late", "Absent.send", False),
        ("base", "Base.close", True),
        ("broken", "Base.close", False),
        ("absent", "Base.close", False),
    ],
)
def test_what_the_source_shows(package: str, module: str, path: str, seen: bool) -> None:
    """Methods of a class and of those it is derived from, over imports; nothing is imported for it."""
    assert all_defined(f"{package}.inner.{module}", [path]) is seen
    assert f"{package}.inner" not in sys.modules


def test_a_package_and_what_is_not_imported_show_nothing(package: str) -> None:
    """Only plain modules of a package that is there are read."""
    assert not all_defined(f"{package}.inner", ["Base.close"])
    assert not all_defined("no_such_package.late", ["Plain.enter"])


def test_it_says_of_the_sdk_what_importing_says() -> None:
    """Each place of the SDK that the installed version has, and one that none has."""
    places = sorted({(one.module, one.path) for one in socket_places()})
    program = (
        "import importlib, json, sys, openai\n"
        "from operator import attrgetter\n"
        "from spantally.cli.checks.in_source import all_defined\n"
        "asked = json.loads(sys.argv[1])\n"
        "read = [all_defined(module, [path]) for module, path in asked]\n"
        "def has(module, path):\n"
        "    try: attrgetter(path)(importlib.import_module(module))\n"
        "    except (ImportError, AttributeError): return False\n"
        "    return True\n"
        "print(json.dumps([read, [has(*one) for one in asked]]))\n"
    )
    asked = [*places, (places[0][0], "RealtimeConnection.no_such"), ("openai.resources.no_such", "A.b")]
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(asked)], capture_output=True, text=True, check=True
    )
    read, imported = json.loads(done.stdout)
    assert read == imported
    assert read.count(False) >= 2
    assert read.count(True) > 10
